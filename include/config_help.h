/* SPDX-License-Identifier: Apache-2.0 */
/* config_help: what the tables of fields say about the configuration, for those who write it down (the manual). */
#ifndef OBSAGENT_CONFIG_HELP_H
#define OBSAGENT_CONFIG_HELP_H

#include <stdbool.h>

/* A section, or a field of the one told last. */
struct config_help_line {
    bool is_section;
    const char *name, *help;
    const char *type, *standard, *words; /* of a field; standard and words may be NULL */
    const char *see;                     /* the section of its items or members, or NULL */
    bool no_effect;
};
/* All sections and fields that do something, in the order of `obsagent help config`. */
void config_help_each(void (*fn)(void *ctx, const struct config_help_line *line), void *ctx);

#endif
