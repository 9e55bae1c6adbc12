/* SPDX-License-Identifier: Apache-2.0 */
/* survey: reads one exposition and remembers what a person wants to know of it: every error with its place,
   series that stand twice, families, and what lint needs. Memory: 16 bytes a series. */
#ifndef OBSAGENT_COMMAND_SURVEY_H
#define OBSAGENT_COMMAND_SURVEY_H

#include "lint.h"

struct survey_error {
    uint64_t line, column;
    char *why;
    char *text; /* the line, cut */
};

struct survey_duplicate {
    uint64_t line, first_line;
    char *series; /* cut */
};

struct survey_family {
    struct lint_family lint;
    uint64_t samples;
};

/* Read-only for others. */
struct survey_counts {
    uint64_t samples, series, duplicates, errors, with_timestamp;
    const struct survey_error *first_errors; /* at most `keep` of each */
    size_t first_errors_n;
    const struct survey_duplicate *first_duplicates;
    size_t first_duplicates_n;
    const struct survey_family *families; /* in order of appearance; those without samples too */
    size_t families_n;
};

struct survey;

/* Keeps the first `keep` errors and duplicates. */
struct survey *survey_new(size_t keep);
void survey_free(struct survey *s);
/* The next piece of the text; never fails: errors are what it is looking for. */
void survey_feed(struct survey *s, const void *bytes, size_t n);
void survey_finish(struct survey *s);
/* Views valid until survey_free. */
void survey_counts(const struct survey *s, struct survey_counts *out);

#endif
