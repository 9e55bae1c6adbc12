/* SPDX-License-Identifier: Apache-2.0 */
/* period: the groups from one number of the log on, and their form in a file: JSON,
   {"version":1,"periods":[{"begin":7,"groups":[{"replicas":1,"labels":"all|only|without","names":["hex"],
   "members":[{"name":"hex","endpoint":"a"}]}]}],"unsure_from":9}. Hashes stand for names of labels and members, so that
   it says what it said when it was written. */
#ifndef OBSAGENT_REMOTE_PERIOD_H
#define OBSAGENT_REMOTE_PERIOD_H

#include "base/buf.h"
#include "base/err.h"
#include "config.h"
#include "routing.h"

#define PERIODS_MAX 256
#define PERIOD_SURE UINT64_MAX

struct period_group {
    struct routing_group g;
    uint64_t *labels;  /* sorted, as are the members */
    uint64_t *members;
    char **endpoints;  /* who has the part of the member now; "" = nobody */
};

/* Counted. All but the names of endpoints stays as it is. */
struct period {
    int refs;
    uint64_t begin;
    struct period_group *groups; /* sorted by what they hold */
    size_t groups_n;
};

/* The groups of a configuration, with those endpoints for which placed[i] says so (NULL: all). */
struct period *period_of_config(const struct config *config, const bool *placed, uint64_t begin);
void period_unref(struct period *p);
/* The same groups with the same endpoints. */
bool period_equal(const struct period *a, const struct period *b);

/* In order of `begin`. */
struct periods {
    struct period *v[PERIODS_MAX];
    size_t n;
    uint64_t unsure_from;
};

bool periods_to_json(const struct periods *list, struct buf *out, struct err *err) MUSTCHECK;
/* False, with nothing in *out, for what is not such a file. */
bool periods_from_json(struct str text, struct periods *out, struct err *err) MUSTCHECK;

#endif
