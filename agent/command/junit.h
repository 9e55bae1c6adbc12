/* SPDX-License-Identifier: Apache-2.0 */
/* junit: test results as every CI knows how to show them. */
#ifndef OBSAGENT_COMMAND_JUNIT_H
#define OBSAGENT_COMMAND_JUNIT_H

#include "base/buf.h"

struct junit {
    struct buf cases;
    uint64_t tests, failures;
    const char *name;
};

void junit_begin(struct junit *s, const char *name);
/* `to` is the struct junit; failure NULL when it passed. */
void junit_case(void *to, const char *name, const char *failure);
/* Appends the <testsuite>, which goes into a <testsuites>, and frees. */
void junit_end(struct junit *s, double seconds, struct buf *out);

#endif
