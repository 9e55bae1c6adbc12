/* SPDX-License-Identifier: Apache-2.0 */
/* label_set: a set of labels that does not change, packed, and shared by reference between discovery, targets and
   pages. Ten thousand pods have the same thirty names of labels: a name is kept once, in a table that many sets use. */
#ifndef OBSAGENT_LABEL_SET_H
#define OBSAGENT_LABEL_SET_H

#include "labels.h"

/* The names of many sets. Sets are made with one table in one thread only; they may be read in any. */
struct label_names;

struct label_names *label_names_new(void);
/* Gives up the maker's hold; the table stays as long as a set needs it. NULL is fine. */
void label_names_release(struct label_names *names);

struct label_set;

/* Packs what is in `labels` in order of names, without those that have an empty name or value; of several with one name
   the first counts. Names go to the table (NULL, or full at 65,535 of them: into the set). One reference. */
struct label_set *label_set_new(struct label_names *names, const struct labels *labels) MUSTCHECK;
/* The same with all labels of `base` that `labels` does not have. The base, which must not have one itself, is kept
   and not copied: targets of one object share what they have from it. */
struct label_set *label_set_over(struct label_names *names, struct label_set *base, const struct labels *labels)
    MUSTCHECK;
/* Thread-safe. */
struct label_set *label_set_ref(struct label_set *s);
void label_set_unref(struct label_set *s);

/* Adds all labels to `out`, in order of names; the strings are views that live as long as the set. */
void label_set_add(const struct label_set *s, struct labels *out);
/* Only those that it has over its base. */
void label_set_add_own(const struct label_set *s, struct labels *out);
/* The value, valid as long as the set; p == NULL when it has no such label. */
struct str label_set_get(const struct label_set *s, struct str name);
/* Equal sets have the same. */
uint64_t label_set_hash(const struct label_set *s);
/* The same labels, in whatever way they are packed. */
bool label_set_equal(const struct label_set *a, const struct label_set *b);

#endif
