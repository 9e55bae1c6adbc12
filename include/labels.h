/* SPDX-License-Identifier: Apache-2.0 */
/* labels: a mutable set of label pairs, for the paths where labels are worked on (new series, targets, rules). */
#ifndef OBSAGENT_LABELS_H
#define OBSAGENT_LABELS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct label {
    struct str name;
    struct str value;
};

/* Pairs in no particular order until labels_sort; names are unique as long as only these functions are used.
   The set owns its array, not the bytes: strings are views that must outlive it, usually in `arena`, which is
   where functions that make new text put it. Not thread-safe. */
struct labels {
    struct label *v;
    size_t n;
    size_t cap;
    struct arena *arena;
};

void labels_init(struct labels *l, struct arena *arena);
void labels_free(struct labels *l);
/* Empties the set, keeps the array. */
void labels_clear(struct labels *l);
/* The value of `name`, or an empty view with p == NULL when there is no such label. */
struct str labels_get(const struct labels *l, struct str name);
bool labels_has(const struct labels *l, struct str name);
/* Sets or adds. An empty value is stored as it is (see labels_drop_empty). Views are kept, not copied. */
void labels_set(struct labels *l, struct str name, struct str value);
/* Adds without looking for an existing one; the caller knows the name is new. */
void labels_push(struct labels *l, struct str name, struct str value);
void labels_del(struct labels *l, struct str name);
/* Removes pairs with an empty name or an empty value. */
void labels_drop_empty(struct labels *l);
/* Sorts by name, bytewise. */
void labels_sort(struct labels *l);
/* Copies all names and values of src into dst's arena; dst is cleared first. */
void labels_copy(struct labels *dst, const struct labels *src);
/* A hash over names and values in sorted order, length-delimited, the same for equal sets in any order. */
uint64_t labels_hash(const struct labels *l);
/* Appends `name{a="b",c="d"}` in the present order; a name that is not [a-zA-Z_:][a-zA-Z0-9_:]* goes quoted
   inside the braces, as Prometheus 3 writes it. No name and no labels gives "{}". */
void labels_format(const struct labels *l, struct buf *out);
/* Reads the notation that labels_format writes (also with spaces, trailing comma, quoted names). Strings go
   to l's arena. False with "column N: why" on bad input or a repeated label name; l is then undefined. */
bool labels_parse(struct labels *l, struct str text, struct err *err) MUSTCHECK;

/* The legacy character sets of Prometheus. */
bool labels_is_legacy_name(struct str name);   /* [a-zA-Z_][a-zA-Z0-9_]* */
bool labels_is_legacy_metric(struct str name); /* [a-zA-Z_:][a-zA-Z0-9_:]* */

#endif
