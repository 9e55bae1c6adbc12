/* SPDX-License-Identifier: Apache-2.0 */
/* append_private: what the files of append share. The way of one scrape:

     append.c         begin, feed, end; the steady path: line i is the i-th known series, only its value is
                      kept
     append_diff.c    the first line that is not the expected one switches to "diff": old entries are found
                      by hash, a new list of entries is drafted
     append_labels.c  a series nobody knows: target labels, honor_labels, rules, limits
     append_extra.c   what comes with a sample besides its value: histogram, exemplars, start
     append_write.c   a scrape that ended well goes to the block
     append_meta.c    what is known of the families, for who asks
     stale.c, report.c  what the agent itself adds */
#ifndef OBSAGENT_SCRAPE_APPEND_PRIVATE_H
#define OBSAGENT_SCRAPE_APPEND_PRIVATE_H

#include "base/buf.h"
#include "exposition.h"
#include "series_labels.h"

#include "append.h"
#include "series.h"
#include "sketch.h"
#include "symbols.h"

#define APPEND_REPORTS 11
#define APPEND_REPORTS_USUAL 5 /* then those of extra_scrape_metrics ... */
#define APPEND_REPORTS_EXTRA 8 /* ... then those of series_limit */

struct append_worker {
    struct append_worker_options o;
    struct block_builder *builder;
    uint32_t generation, stamp; /* of its present block: as block_builder_generation and symbols_stamp said */
    struct symbols *symbols;
    struct append_target *targets;              /* all of them, for the collection of symbols */
    struct append_scrape *running, *idle;       /* scrapes in progress; spare ones with their buffers */
    size_t idle_n;
    int64_t pending_since;
    struct buf ids; /* scratch: encoded ids of the series at hand */
    struct budget *own_budget; /* when none was given */
    uint64_t series, series_bytes, duplicate_samples, out_of_bounds_samples;
    uint64_t limited_samples, exemplars, histograms;
};

struct append_target {
    struct append_worker *worker;
    struct append_target *prev, *next;
    const struct config_job *job;
    struct target_settings settings;
    bool own_settings; /* else those of the job */
    struct label *labels; /* own copy, strings in the same allocation */
    size_t labels_n;
    struct series series;
    uint8_t *reports;     /* APPEND_REPORTS entries, encoded as those of a series list */
    size_t bytes;         /* what this target adds to worker->series_bytes */
    size_t fixed_bytes;   /* of them: everything but `series` */
    uint64_t counted;     /* what it adds to worker->series */
    size_t wire_bytes;    /* what its last scrape took in a block */
    uint64_t meta_print;  /* hash of the metadata last written */
    int64_t meta_ts_ms;   /* scrape time of that, INT64_MIN = never */
    struct budget_job *budget;
    struct sketch *sketch; /* of the labels of series that a limit kept out; NULL = there were none */
    bool all_stale;       /* the last scrape failed: markers are written, entries are kept */
    bool reported;        /* report series exist */
};

/* The latest HELP, TYPE and UNIT lines. */
struct append_header {
    struct buf name, help, unit;
    uint64_t name_hash, help_hash, unit_hash;
    uint32_t print;
    uint8_t type;
    bool has_help;
    bool fresh; /* no sample came after it yet */
};

struct append_stamp {
    uint32_t entry;
    int64_t ts_ms;
};

/* What came with the sample of an entry besides value and timestamp; its bytes lie in append_extras.bytes. */
struct append_extra {
    uint32_t entry;
    bool is_histogram;
    uint32_t message_n;   /* bytes of the histogram, at `at` */
    uint32_t exemplars_n; /* behind it */
    size_t at;
};

/* The entries [from, to) count since ts_ms. */
struct append_start {
    uint32_t from, to;
    int64_t ts_ms;
};

struct append_extras {
    struct append_extra *v; /* by rising entry */
    size_t n, cap;
    struct append_start *starts; /* rising, apart */
    size_t starts_n, starts_cap;
    struct buf bytes;
    struct block_exemplar *exemplars; /* scratch for writing */
    uint32_t *refs;
    size_t exemplars_cap, refs_cap;
};

/* An open-addressing table of numbers + 1. */
struct append_table {
    uint32_t *v;
    size_t cap, n, room; /* cap is a power of two within room */
};

struct append_scrape {
    struct append_target *t;
    struct append_scrape *prev, *next;
    struct exposition_parser *parser;
    enum exposition_format format;
    int64_t ts_ms, max_ts_ms;
    uint64_t fed;       /* body bytes */
    uint64_t scraped;   /* samples taken in diff mode or refused; in steady mode `n` counts */
    uint64_t post_relabel, added, appended; /* maintained in diff mode */
    double *values;     /* by entry */
    size_t values_cap;
    uint32_t n;         /* entries so far */
    uint32_t boundary;  /* steady: the entry before which something about families is expected or has come */
    uint32_t family;    /* steady: next one expected */
    struct append_stamp *stamps; /* own timestamps, by rising entry */
    size_t stamps_n, stamps_cap;
    struct append_extras extras;
    uint32_t taken; /* series new to the target that the limits let in */
    struct append_header header;
    bool diff, member;
    bool failed, over_limit;
    struct err err;

    /* diff mode */
    struct series_draft draft;
    struct append_table old, finals; /* old entries by hash of the raw text; places in the draft by final labels */
    uint32_t *old_at;                /* old entry -> place in refs; one more for the end */
    uint64_t *seen;                  /* old entries that came again */
    size_t old_at_cap, seen_cap;
    uint32_t cursor;                 /* the old entry expected next */
    struct arena arena;
    struct labels labels;
};

/* ---- append_diff.c ---- */

/* Switches a scrape to diff mode, taking over the entries it has passed. */
void append_diff_enter(struct append_scrape *s);
/* Takes one sample. False when the scrape has failed (s->err). */
bool append_diff_sample(struct append_scrape *s, const struct exposition_sample *sample, uint64_t hash);
/* True when the draft holds an entry with the labels of e, whose ids take ids_n bytes. */
bool append_diff_has(const struct append_scrape *s, const struct series_entry *e, size_t ids_n);
void append_diff_free(struct append_scrape *s);
/* Gives back buffers that only a very large target needs; the tables already before its series are stored. */
void append_diff_release_tables(struct append_scrape *s);
void append_diff_trim(struct append_scrape *s);
static inline bool append_diff_seen(const struct append_scrape *s, uint32_t entry)
{
    return s->seen[entry / 64] >> (entry % 64) & 1;
}

/* ---- append_labels.c ---- */

/* Makes the final labels of an unknown series in s->labels, sorted. SERIES_IS_WRONG sets s->err. */
enum series_made append_labels_make(struct append_scrape *s, const struct exposition_sample *sample);
/* Interns sorted labels; their encoded ids are appended to out. */
void append_labels_encode(struct append_worker *w, const struct labels *l, struct buf *out);

/* ---- append_extra.c ---- */

static inline bool append_is_plain(const struct exposition_sample *sample)
{
    return !sample->has_ts && !sample->histogram.p && !sample->exemplars_n && !sample->start_ts_ms;
}
/* Notes what came with the sample of entry s->n, before s->n rises. Of a dropped one only what it says about the
   samples before it. */
void append_extra_note(struct append_scrape *s, const struct exposition_sample *sample, bool dropped);
void append_extra_clear(struct append_extras *x);
void append_extra_free(struct append_extras *x);
/* The block's form of an entry's extras, either of which may be NULL; views live until the next call. */
struct block_extra append_extra_make(struct append_scrape *s, const struct append_extra *extra,
                                     const struct append_start *start, int64_t ts_ms);

/* ---- append_limit.c ---- */

/* True when the limits of target, job and agent leave room for one series more; nothing is taken. */
bool append_limit_room(const struct append_scrape *s);
/* Takes room for the new series in s->labels. False when there is none: its labels are noted then. */
bool append_limit_take(struct append_scrape *s);
/* Gives back what the scrape took; the target's own count is brought up to date by its recount. */
void append_limit_settle(struct append_scrape *s);

/* ---- append_write.c ---- */

/* The entries of a scrape, from the draft or from the target's memory. */
struct append_entries {
    uint8_t *refs;
    uint32_t n;
    size_t refs_n;
    const struct series_family *families;
    size_t families_n;
};

/* Writes a scrape that ended well. Updates SERIES_STAMPED in the entries. */
void append_write_scrape(struct append_scrape *s, const struct append_entries *entries);
/* Writes one sample without extras and returns the place behind the entry's ids. */
const uint8_t *append_write_entry(struct append_target *t, const struct series_entry *e, double value,
                                  int64_t ts_ms);
/* The same for one with extras. */
const uint8_t *append_write_extra(struct append_target *t, const struct series_entry *e, double value,
                                  int64_t ts_ms, const struct block_extra *extra);
/* Books what was written to the target's job. */
void append_book(struct append_target *t);

/* ---- stale.c ---- */

/* A marker for every live series of the target's memory, unless they have one already. Returns how many. */
uint64_t append_stale_all(struct append_target *t, int64_t ts_ms);
/* Markers for old entries that did not come again in a scrape in diff mode. */
uint64_t append_stale_vanished(struct append_scrape *s);
/* The value of a marker. */
double append_stale_value(void);

/* ---- report.c ---- */

/* Interns the report series of a target; returns the bytes allocated. */
size_t append_report_make(struct append_target *t);
void append_report_write(struct append_target *t, int64_t ts_ms, const double values[APPEND_REPORTS]);
/* Calls symbols_mark_pair for each pair of n encoded entries. */
void append_mark(struct symbols *sy, const uint8_t *refs, size_t n);

#endif
