/* SPDX-License-Identifier: Apache-2.0 */
/* remote: the endpoints. Each has its own thread, cursor, credentials, backoff and learned limits, reads blocks from
   the queue, transcodes and posts them, and acts on what the receiver answers (the status policy). */
#ifndef OBSAGENT_REMOTE_H
#define OBSAGENT_REMOTE_H

#include "config.h"
#include "queue.h"

struct remote;

struct remote_options {
    struct queue *queue;
    struct ledger *ledger;
    const char *user_agent;
    const char *dead_dir; /* where set-aside blocks go */
    const char *state_dir; /* where endpoints remember what they have found out, and rejects; NULL = nowhere */
    const char *only;      /* start no endpoint but the one of this name; NULL = all */
};

struct remote *remote_new(const struct remote_options *options);
/* Takes a generation (keeps a reference): endpoints are matched by name; unchanged ones go on untouched, edited ones go
   on from their cursor with the new settings, new ones start, removed ones stop. Never waits for the network; from one
   thread. */
void remote_apply(struct remote *r, struct config *config);
/* Tries to send what is there until deadline_ms (monotonic), then stops; the rest stays in the queue. A second call
   from another thread, or remote_abort, ends the wait at once. */
void remote_stop(struct remote *r, int64_t deadline_ms);
void remote_abort(struct remote *r);
void remote_free(struct remote *r);

enum remote_state { REMOTE_IDLE, REMOTE_OK, REMOTE_RETRYING, REMOTE_HELD_AUTH, REMOTE_HELD_URL };

/* What a receiver's Date headers say: its clock less ours. */
struct remote_skew {
    int64_t ms;
    int64_t mono_ms;   /* when, 0 = never */
    unsigned agreeing; /* answers in a row that said about the same */
};

struct remote_status {
    char name[128];
    char url[512]; /* without userinfo and query */
    enum remote_state state;
    char last_error[512]; /* the receiver's words or the network's, bounded; "" = fine */
    long last_status;
    int64_t last_success_wall_ms;
    int64_t next_try_in_ms; /* 0 = not waiting */
    uint64_t requests, retries, request_bytes, wire_bytes; /* bytes before and after compression */
    uint64_t responses_2xx, responses_3xx, responses_4xx, responses_5xx, network_errors;
    uint64_t bisections, splits_413;
    char protocol[8];    /* as in the configuration, the one in use */
    uint64_t unwritten;  /* samples of accepted requests that the receiver says it has not written */
    uint64_t exemplars_dropped; /* not sent: not wanted, or their histogram was not sent either */
    uint64_t learned_max_samples; /* from 413s; 0 = none */
    uint64_t in_flight;
    int64_t highest_ts_ms; /* newest delivered timestamp */
    double send_seconds_total;
    struct remote_skew skew;
    struct queue_reader_stats queue;
};
void remote_each(const struct remote *r, void (*fn)(void *ctx, const struct remote_status *status), void *ctx);

/* True when all receivers that answered in the last five minutes agree, twice in a row, that our clock is off by
   more than 10 minutes, and by how much (their clock less ours). Then what they said is forgotten: it is to
   be acted on. */
bool remote_take_skew(struct remote *r, int64_t *ms);
/* Has every endpoint that hears nothing else ask its receiver for the time, at most every 10 s. */
void remote_ask_dates(struct remote *r);

/* The last rejected series, newest first (a ring of 100). */
struct remote_reject {
    int64_t wall_ms;
    char endpoint[128];
    long status;
    char series[512];  /* in exposition notation, cut */
    uint64_t samples;
    char message[512]; /* the receiver's words, cut */
};
void remote_rejects(const struct remote *r, void (*fn)(void *ctx, const struct remote_reject *reject), void *ctx);
/* Brings new ones to disk. From one thread, now and then: it may wait for the disk. */
void remote_store_rejects(struct remote *r);
/* Those that an agent left in its storage directory, oldest first. False with err when they cannot be read. */
bool remote_rejects_read(const char *dir, void (*fn)(void *ctx, const struct remote_reject *reject), void *ctx,
                         struct err *err) MUSTCHECK;
/* One as a line of JSON: {"time_ms":..,"status":..,"samples":..,"endpoint":..,"series":..,"message":..}. */
void remote_reject_json(const struct remote_reject *r, struct buf *out);

#endif
