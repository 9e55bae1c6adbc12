/* SPDX-License-Identifier: Apache-2.0 */
/* contract_set: what a scrape promises those who made queries, rules and dashboards of it: the names of its families,
   their types, and the names of their labels. Values, help and the number of series may change freely.
   Names are those of the text format, whatever the body came in. le of histograms and quantile of summaries are not
   among the labels. */
#ifndef OBSAGENT_COMMAND_CONTRACT_SET_H
#define OBSAGENT_COMMAND_CONTRACT_SET_H

#include "base/buf.h"
#include "survey.h"

struct contract_family {
    char *name;
    enum block_metric_type type;
    bool sampled; /* without samples nothing is known of labels */
    char **labels; /* sorted once all is over */
    size_t labels_n, labels_cap;
};

/* Zero-initialised is empty. Sorted by name when it has been read or its body has ended. */
struct contract_set {
    struct contract_family *v;
    size_t n, cap;
    bool cut; /* there were too many families, or labels */
};

void contract_set_free(struct contract_set *set);
/* Fills the set with what goes by; begins anew with each body. */
struct survey_watcher contract_set_watcher(struct contract_set *set);
/* As JSON, a family a line. */
void contract_set_write(const struct contract_set *set, struct buf *out);
/* What contract_set_write wrote, or a saved exposition in any format, packed or not. The set must be empty. */
bool contract_set_read(const char *path, struct contract_set *set, struct err *err) MUSTCHECK;

struct contract_change {
    enum contract_kind {
        CONTRACT_FAMILY_GONE,
        CONTRACT_FAMILY_NEW,
        CONTRACT_TYPE_CHANGED,
        CONTRACT_LABEL_GONE,
        CONTRACT_LABEL_NEW,
    } kind;
    const char *family;
    const char *label;               /* of the last two */
    enum block_metric_type was, now; /* of families, as far as they were there */
};

/* In order of the families; of one the type first, then labels by name. */
void contract_set_compare(const struct contract_set *was, const struct contract_set *now,
                          void (*tell)(void *ctx, const struct contract_change *change), void *ctx);
/* "counter"; "untyped" when nobody said. */
const char *contract_type_name(enum block_metric_type type);

#endif
