/* SPDX-License-Identifier: Apache-2.0 */
/* rule_tests: a file of tests of relabel rules, as `obsagent test` reads it. `obsagent help config rule_tests` has its
   fields. */
#ifndef OBSAGENT_RULE_TESTS_H
#define OBSAGENT_RULE_TESTS_H

#include "config.h"

enum rule_test_expect { RULE_TEST_LABELS, RULE_TEST_DROPPED, RULE_TEST_KEPT, RULE_TEST_UNCHANGED };

/* What shall come of one series, or of the target. */
struct rule_test_outcome {
    enum rule_test_expect expect;
    struct label *labels; /* of RULE_TEST_LABELS, sorted, without empty ones */
    size_t labels_n;
    int line;
};

struct rule_test {
    char *name;                    /* NULL = none */
    char *job, *remote;            /* of the configuration; NULL = none */
    struct relabel_rules *rules;   /* own ones, or those of the file; NULL = of the job, or none */
    bool has_target;
    struct label *target;          /* as discovery finds it */
    size_t target_n;
    char **series;                 /* what is exposed; none: the test is of the target */
    size_t series_n;
    struct rule_test_outcome *outcomes; /* one for all, or one for each series; none: only `has` counts */
    size_t outcomes_n;
    struct label *has;             /* these at least; an empty value: no such label */
    size_t has_n;
    int line;
};

struct rule_tests {
    struct config *config; /* NULL when no test needs one */
    struct rule_test *v;
    size_t n;
    struct relabel_rules *rules; /* of tests that have none and name no job */
    char *config_file;
};

/* False after appending "FILE:LINE:COL: message" lines to errors; nothing needs freeing then. */
bool rule_tests_load(const char *path, struct rule_tests *out, struct buf *errors) MUSTCHECK;
void rule_tests_free(struct rule_tests *t);

#endif
