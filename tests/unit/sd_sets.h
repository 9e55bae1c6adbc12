/* SPDX-License-Identifier: Apache-2.0 */
/* sd_sets: label sets as lines to compare: "{a=b,c=d}\n" in order of names, and the tables of bodies. */
#ifndef OBSAGENT_TESTS_SD_SETS_H
#define OBSAGENT_TESTS_SD_SETS_H

#include "unit.h"

#include "base/buf.h"
#include "scrape/discovery/source.h"

static inline void print_sets(const struct discovery_sets *sets, struct buf *out)
{
    for (size_t i = 0; i < sets->n; i++) {
        struct labels l;
        labels_init(&l, NULL);
        label_set_add(sets->v[i], &l);
        labels_sort(&l);
        for (size_t k = 0; k < l.n; k++)
            buf_addf(out, "%c%.*s=%.*s", k ? ',' : '{', STR_ARG(l.v[k].name), STR_ARG(l.v[k].value));
        buf_add_c(out, "}\n");
        labels_free(&l);
    }
}

/* A body, and the sets that must come of it; want "!..." when it must be refused with a message that has "...". */
struct sd_case {
    const char *body, *want;
};

typedef bool sd_read_fn(struct str body, struct discovery_sets *sets, struct err *err);

static inline void check_sd_cases(const struct sd_case *cases, size_t n, sd_read_fn *read)
{
    for (size_t i = 0; i < n; i++) {
        struct discovery_sets sets;
        struct err err = {0};
        struct buf said;
        buf_init(&said, 1 << 20);
        discovery_sets_init(&sets, NULL);
        bool good = read(str_of(cases[i].body), &sets, &err);
        print_sets(&sets, &said);
        if (cases[i].want[0] == '!' ? good || !strstr(err.msg, cases[i].want + 1)
                                    : !good || strcmp(buf_c(&said), cases[i].want) != 0)
            fail_msg("%s\n  gave %s%s\n  want %s", cases[i].body, err.msg, good ? buf_c(&said) : "", cases[i].want);
        discovery_sets_free(&sets);
        buf_free(&said);
    }
}

#endif
