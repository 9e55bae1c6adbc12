/* SPDX-License-Identifier: Apache-2.0 */
/* generation: what stands around a struct config: its reference count and what it was read from. */
#ifndef OBSAGENT_CONFIG_GENERATION_H
#define OBSAGENT_CONFIG_GENERATION_H

#include "config.h"

/* Every struct config is the first member of one of these. */
struct generation {
    struct config config;
    char **patterns; /* of the further files, absolute: a new file that matches is a change */
    size_t patterns_n;
    bool from_text;  /* the main document is no file */
    uint64_t start;  /* of the content hash: of that text */
};

/* An empty one with one reference. */
struct generation *generation_new(const char *path);
void generation_add_pattern(struct generation *g, const char *pattern);
/* Starts the content hash with a text instead of a file. */
void generation_from_text(struct generation *g, struct str text);
/* Notes a file that was read and adds it to the content hash. */
void generation_add_file(struct generation *g, const char *path, struct str text);

#endif
