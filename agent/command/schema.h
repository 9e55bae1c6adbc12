/* SPDX-License-Identifier: Apache-2.0 */
/* schema: JSON Schemas of what commands print with --json, made of tables. */
#ifndef OBSAGENT_COMMAND_SCHEMA_H
#define OBSAGENT_COMMAND_SCHEMA_H

#include "base/buf.h"

/* One field; those right behind it that are a level deeper are its own, or those of each item of an array; an array
   without any is of strings. */
struct schema_field {
    unsigned level;
    const char *name; /* "*": of any name */
    const char *type;
    const char *or_null; /* not NULL: it may be null */
    bool optional; /* only with the flag that help names */
    const char *help;
};

void schema_write(const char *title, const struct schema_field *fields, size_t n, struct buf *out);

#endif
