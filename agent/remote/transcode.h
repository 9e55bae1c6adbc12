/* SPDX-License-Identifier: Apache-2.0 */
/* transcode: a block's series as a remote-write request: external labels merged in, write_relabel_configs applied.
   Start timestamps and histograms with custom buckets have no place in remote write 1.0. */
#ifndef OBSAGENT_REMOTE_TRANSCODE_H
#define OBSAGENT_REMOTE_TRANSCODE_H

#include "block.h"
#include "labels.h"
#include "routing.h"
#include "relabel.h"

/* Not thread-safe: one per endpoint. Keeps its memory from block to block. */
struct transcoder;

struct transcoder *transcoder_new(void);
void transcoder_free(struct transcoder *t);
/* What happens to every series from now on: external labels (sorted by name) are added where absent, then the
   rules run. Both must stay until the next call; rules may be NULL. Closes the open block. */
void transcoder_configure(struct transcoder *t, const struct label *external, size_t external_n,
                          const struct relabel_rules *rules);
/* The message that requests are from now on; 1.0 at first. May change from one request to the next. */
enum transcode_message { TRANSCODE_RW1, TRANSCODE_RW2 };
void transcoder_message(struct transcoder *t, enum transcode_message message);
/* What is sent beside float samples; nothing at first. Closes the open block. */
void transcoder_send(struct transcoder *t, bool histograms, bool exemplars);

/* What of the blocks opened from now on is sent at all; by value, its group must stay. Everything at first. */
void transcoder_route(struct transcoder *t, struct route route);

/* Makes b the block that is read from; it must stay until transcoder_close or another open. Free of cost when
   it is the open one already. False when its bytes are not a well-formed Request. */
bool transcoder_open(struct transcoder *t, const struct block *b, struct err *err) MUSTCHECK;
void transcoder_close(struct transcoder *t);

/* The share of one job in a request. */
struct transcode_share {
    uint64_t samples;  /* in the request */
    uint64_t filtered; /* dropped by the rules */
    uint64_t routed;   /* another endpoint of the group gets them */
    uint64_t unsent;   /* histograms that the settings or the protocol have no place for */
};

struct transcode_range {
    uint32_t from, to;    /* series [from, to) of the block */
    uint64_t max_samples; /* stop before more than this, but never before the first series; 0 = no limit */
    size_t max_bytes;     /* the same for the bytes of the message */
};

struct transcode_result {
    uint32_t to;      /* the first series that was not looked at: the range's `to`, or less at a limit */
    uint32_t series;  /* in the request */
    uint64_t samples; /* in the request */
    uint64_t filtered, routed, unsent;
    uint64_t custom;         /* of unsent: histograms are wanted, but these have custom buckets */
    uint64_t exemplars_left; /* left out, of series that were not filtered */
    int64_t max_ts_ms; /* of the samples in the request, when there are any */
};

/* Writes the range as a message into out (cleared first; empty when no series is left) and adds up the
   shares: one per job of the block, at least one, zeroed here. A block with fewer series than the range asks
   for ends it early. Labels come out sorted, without empty values; values bit by bit as they are in the
   block. False with err on malformed bytes, or when out's maximum is reached. */
bool transcoder_encode(struct transcoder *t, const struct transcode_range *range, struct buf *out,
                       struct transcode_share *shares, struct transcode_result *result,
                       struct err *err) MUSTCHECK;

/* Where to cut [from, to) so that both parts hold about as many series that are sent: a position inside, or `to` when
   at most one is. */
uint32_t transcoder_middle(struct transcoder *t, uint32_t from, uint32_t to);

/* The final labels of the first series of [from, to) that is sent, in exposition notation; false when there is none. */
bool transcoder_describe(struct transcoder *t, uint32_t from, uint32_t to, struct buf *out) MUSTCHECK;

/* What the series of the last transcoder_encode say about their metrics, each metric name once for an open
   block. */
struct transcode_meta {
    struct str metric; /* value of __name__ */
    enum block_metric_type type;
    struct str help, unit;
    bool native; /* the series is a native histogram: its metric is the family's name as it stands */
};
/* Views are valid until the block is closed or the next encode. */
const struct transcode_meta *transcoder_metas(const struct transcoder *t, size_t *n);

/* raw in snappy's block format, replacing out's contents. False when out's maximum is too small. */
bool transcode_snappy(struct str raw, struct buf *out) MUSTCHECK;
/* The same as a zstd frame. */
bool transcode_zstd(struct transcoder *t, struct str raw, struct buf *out) MUSTCHECK;

#endif
