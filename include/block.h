/* SPDX-License-Identifier: Apache-2.0 */
/* block: a sealed batch of samples, the one internal format. Its bytes are a remote-write 2.0 Request:
   symbols = 4 (symbols[0] is ""), then timeseries = 5 {labels_refs = 1, samples = 2 or histograms = 3,
   exemplars = 4, metadata = 5}. A native histogram counts as one sample everywhere.
   Scraping makes blocks, the queue keeps them, endpoints read them; nobody changes one. */
#ifndef OBSAGENT_BLOCK_H
#define OBSAGENT_BLOCK_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* The value that says "this series ended": bit-exact on its whole way. */
#define BLOCK_STALE_BITS 0x7ff0000000000002ull
/* The one NaN a scraped NaN becomes. */
#define BLOCK_NAN_BITS 0x7ff8000000000001ull

/* Lanes are numbered from 0; a queue's cursor has room for so many. */
#define BLOCK_LANES_MAX 128

/* How many samples of which job are inside, so that a loss can be booked without decoding. The table is in
   the order of the series and counts them off; a job stands in it as often as its series begin anew. */
struct block_job {
    struct str name;
    uint32_t samples;
};

/* Immutable after sealing; reference-counted across threads (block_ref / block_unref). The struct, `jobs` and
   `data` are one malloc each; the bytes of the job names lie in the jobs allocation, behind the array. */
struct block {
    int refs;
    uint64_t seq;  /* given by the queue on push, rising */
    uint32_t lane; /* blocks of a lane are delivered in order of seq */
    uint32_t series;
    uint32_t samples;
    int64_t min_ts_ms, max_ts_ms;
    int64_t sealed_wall_ms;
    struct block_job *jobs;
    size_t jobs_n;
    uint8_t *data; /* the RW2 Request */
    size_t size;
    size_t raw_size; /* 0; inside the queue also: data is compressed, and so long when it is not */
    uint32_t holds;  /* BLOCK_HOLDS_ bits; nothing is known without BLOCK_HOLDS_KNOWN */
};

#define BLOCK_HOLDS_KNOWN 1u
#define BLOCK_HOLDS_HISTOGRAMS 2u
#define BLOCK_HOLDS_EXEMPLARS 4u

struct block *block_ref(struct block *b);
void block_unref(struct block *b);

/* ---- writing ---- */

enum block_metric_type { /* numbers of remote-write 2.0 */
    BLOCK_UNSPECIFIED, BLOCK_COUNTER, BLOCK_GAUGE, BLOCK_HISTOGRAM, BLOCK_GAUGEHISTOGRAM,
    BLOCK_SUMMARY, BLOCK_INFO, BLOCK_STATESET
};

struct block_meta {
    enum block_metric_type type;
    uint32_t help_ref, unit_ref; /* symbols of the present block, 0 = none */
};

struct block_builder;

/* max_bytes bounds data, max_samples the samples of a block. Not thread-safe: one per lane. */
struct block_builder *block_builder_new(uint32_t lane, size_t max_bytes, uint32_t max_samples);
void block_builder_free(struct block_builder *b);
/* Rises by one with each new block: a symbol reference kept by the caller is valid while this is
   unchanged. */
uint32_t block_builder_generation(const struct block_builder *b);
/* The reference of s in the present block; adds it when new. The caller caches by generation, this only
   appends: asking twice for the same string within a generation makes two symbols (legal, but wasteful). */
uint32_t block_builder_symbol(struct block_builder *b, struct str s);
/* The same, but never twice: a text that came through here before in this block has its reference back. */
uint32_t block_builder_intern(struct block_builder *b, struct str s);
/* One series with one sample; refs are name,value pairs sorted by name. meta may be NULL. */
void block_builder_sample(struct block_builder *b, const uint32_t *refs, size_t refs_n, double value,
                          int64_t ts_ms, const struct block_meta *meta);
/* The same for a caller that keeps its references as varints: room for max bytes of them, then the sample
   whose references were written from there up to refs_end. Nothing else may be called on b in between, except
   block_builder_symbol. */
uint8_t *block_builder_room(struct block_builder *b, size_t max);
void block_builder_put(struct block_builder *b, const uint8_t *refs_end, double value, int64_t ts_ms,
                       const struct block_meta *meta);
/* What may come with a sample besides its value. */
struct block_exemplar {
    const uint32_t *refs; /* name,value pairs */
    size_t refs_n;        /* even */
    double value;
    int64_t ts_ms;
};
struct block_extra {
    int64_t start_ts_ms;  /* 0 = unknown */
    struct str histogram; /* a Histogram message without timestamps; then value is not written. p NULL = a float */
    const struct block_exemplar *exemplars;
    size_t exemplars_n;
};
/* block_builder_put with extras. */
void block_builder_put_extra(struct block_builder *b, const uint8_t *refs_end, double value, int64_t ts_ms,
                             const struct block_meta *meta, const struct block_extra *extra);
/* The message of a histogram whose series ended: a sum of BLOCK_STALE_BITS and nothing else. */
extern const struct str block_stale_histogram;
/* Books the samples added since the last call to this job. Call before sealing and whenever the job
   changes. */
void block_builder_job(struct block_builder *b, struct str job);
uint32_t block_builder_samples(const struct block_builder *b);
size_t block_builder_bytes(const struct block_builder *b);
bool block_builder_full(const struct block_builder *b);
/* The finished block with one reference (CRC is made by the queue), or NULL when it holds no sample. Starts
   the next. */
struct block *block_builder_seal(struct block_builder *b);

/* ---- reading: bytes are not trusted (they may come from disk) ---- */

struct block_series {
    const uint32_t *refs; /* name,value pairs; valid until the next call */
    size_t refs_n;        /* even */
    const uint8_t *wire;  /* the encoded TimeSeries message, without tag and length */
    size_t wire_n;
    double value;         /* of the first sample; 0 of a histogram */
    int64_t ts_ms;
    int64_t start_ts_ms;  /* of the first sample; 0 = unknown */
    size_t samples;       /* how many this series holds, histograms included; all: block_series_sample,
                             block_series_histogram */
    bool is_histogram;    /* the samples are native histograms */
    size_t exemplars;     /* block_series_exemplar */
    enum block_metric_type type;
    uint32_t help_ref, unit_ref;
    bool has_meta;
};

struct block_reader;

/* Indexes the symbols; false when the bytes are not a well-formed list of fields, the first symbol is not "",
   or symbols exceed 4M. What is inside a series (references in range and in pairs, too) is checked by
   block_reader_next. The reader is reusable: open it again for the next block, its memory is kept. `data`
   must stay. */
struct block_reader *block_reader_new(void);
void block_reader_free(struct block_reader *r);
bool block_reader_open(struct block_reader *r, const uint8_t *data, size_t n, struct err *err) MUSTCHECK;
size_t block_reader_symbols(const struct block_reader *r);
struct str block_reader_symbol(const struct block_reader *r, uint32_t ref);
/* Next series in order; false at the end or on malformed bytes (then err is set). */
bool block_reader_next(struct block_reader *r, struct block_series *out, struct err *err) MUSTCHECK;
/* Back to the first series. */
void block_reader_rewind(struct block_reader *r);
/* The i-th sample of the series last returned, when it is not a histogram. */
bool block_series_sample(const struct block_series *s, size_t i, double *value, int64_t *ts_ms) MUSTCHECK;
/* The i-th histogram: its message without the timestamps, whose fields stand last in a block of ours. Bytes inside are
   well-formed fields, their meaning is not checked. */
bool block_series_histogram(const struct block_series *s, size_t i, struct str *message, int64_t *ts_ms,
                            int64_t *start_ts_ms) MUSTCHECK;
/* The i-th exemplar; out->refs goes to the reader's memory, valid until the next call. */
bool block_series_exemplar(struct block_reader *r, const struct block_series *s, size_t i,
                           struct block_exemplar *out) MUSTCHECK;

#endif
