/* SPDX-License-Identifier: Apache-2.0 */
/* survey: reads one exposition and remembers what a person wants to know of it: every error with its place,
   series that stand twice, families, and what lint needs. Memory: some 40 bytes a series, of
   half a million series at most: of more only a part is remembered.

   What else wants to look at the samples does not read the body again: it hangs on as a survey_watcher. */
#ifndef OBSAGENT_COMMAND_SURVEY_H
#define OBSAGENT_COMMAND_SURVEY_H

#include "exposition.h"
#include "labels.h"
#include "lint.h"

/* `line` and `column` are from 1; of protobuf they are the number of the metric family and the offset of its first
   byte in the body, from 0. */
struct survey_error {
    uint64_t line, column;
    char *why;
    char *text;   /* the line, or what of a long one is near the place */
    size_t caret; /* where in text, in columns from 1; 0 = nowhere */
};

struct survey_duplicate {
    uint64_t line, first_line;
    char *series; /* cut */
};

struct survey_family {
    struct lint_family lint;
    uint64_t samples;
    uint64_t line; /* where it was first mentioned */
};

/* Read-only for others. */
struct survey_counts {
    enum exposition_format format;
    /* 0: all series were told apart. Else one in 2^level, by hash: duplicates are those among them, and series is
       an estimate. */
    unsigned level;
    uint64_t samples, series, duplicates, errors, with_timestamp, histograms, exemplars;
    uint64_t most_labels, longest_name, longest_value; /* of a sample, __name__ not counted; bytes */
    const struct survey_error *first_errors; /* at most `keep` of each */
    size_t first_errors_n;
    const struct survey_duplicate *first_duplicates;
    size_t first_duplicates_n;
    const struct survey_family *families; /* in order of appearance; those without samples too */
    size_t families_n;
};

/* A sample whose series could be read. Everything is valid during the call only. */
struct survey_sample {
    const struct exposition_sample *raw; /* text of the series, value, time, histogram, exemplars, line, column */
    const struct labels *labels;         /* as exposed and in that order, __name__ among them; none of the target's */
    struct str name;                     /* the value of __name__ */
    const struct survey_family *family;  /* by its name and the TYPE lines that came before */
    size_t family_index;                 /* of it in survey_counts.families, for good */
    uint64_t hash;                       /* labels_hash: of the series, in whatever order its labels stand */
    uint64_t first_line;                 /* a duplicate: where the same series stands first; else 0 */
};

/* A HELP, TYPE or UNIT line, or what stands for it in protobuf. */
struct survey_meta {
    enum survey_meta_kind { SURVEY_HELP, SURVEY_TYPE, SURVEY_UNIT } kind;
    struct str name;             /* as it stands there */
    struct str text;             /* of HELP and UNIT */
    enum block_metric_type type; /* of TYPE */
    size_t family_index;
    uint64_t line;
};

/* Callbacks may be NULL. Called in the order of the body: begin, any number of the others, end. A watcher may see
   several bodies one after another (--twice, or many targets when its owner wants that). */
struct survey_watcher {
    void (*begin)(void *ctx, enum exposition_format format);
    void (*sample)(void *ctx, const struct survey_sample *sample);
    void (*meta)(void *ctx, const struct survey_meta *meta);
    void (*end)(void *ctx, const struct survey_counts *counts);
    void *ctx;
};

struct survey;

/* Keeps the first `keep` errors and duplicates. */
struct survey *survey_new(size_t keep);
void survey_free(struct survey *s);
/* Names that are no UTF-8, or a name that is empty, are errors as well: they are in the agent, unless its rules put
   them right. Before the first byte; off at first. */
void survey_check_names(struct survey *s, bool check);
/* Copied; before the first byte. */
void survey_watch(struct survey *s, const struct survey_watcher *watcher);
/* Reads histograms as a target with these settings; without, all that there are, native ones and their classic buckets.
   Before survey_begin. */
struct target_settings;
void survey_histograms(struct survey *s, const struct target_settings *settings);
/* The format of what follows; before the first byte, text when it is never called. */
void survey_begin(struct survey *s, enum exposition_format format);
/* The next piece of the body; never fails: errors are what it is looking for. */
void survey_feed(struct survey *s, const void *bytes, size_t n);
void survey_finish(struct survey *s);
/* The name of a family as the text format has it: there counters of OpenMetrics are called after their samples, with
   _total, and so is info. The caller frees. */
char *survey_plain_name(const struct survey_family *family, enum exposition_format format);
/* Views valid until survey_free. */
void survey_counts(const struct survey *s, struct survey_counts *out);

#endif
