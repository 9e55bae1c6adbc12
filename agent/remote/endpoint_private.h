/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint_private: what the files of an endpoint share. The life of a lane:

       free ──► READY ──► SENDING ──► (policy) ──► READY ... ──► free, the block acknowledged
                  ▲                       │
                  │                       ├──► WAITING (for its timer)
                  ├───────────────────────┼──► PARKED (for another lane's try to succeed)
                  └───────────────────────┴──► DOUBTED (for what an empty request is answered, doubt.c)

   While the endpoint holds (wrong credentials, wrong URL) only one lane tries; the others are parked. */
#ifndef OBSAGENT_REMOTE_ENDPOINT_PRIVATE_H
#define OBSAGENT_REMOTE_ENDPOINT_PRIVATE_H

#include "endpoint.h"

#include <pthread.h>
#include <stdatomic.h>

#include "batch.h"
#include "http.h"
#include "metadata.h"
#include "protocol.h"
#include "pace.h"
#include "policy.h"
#include "work.h"

#define ENDPOINT_WORDS_MAX 1024             /* of a response body, for the log */
#define ENDPOINT_BYTES_MAX (16u << 20)      /* of one request before compression, whatever is configured */
#define ENDPOINT_LANES_MAX 72u              /* strands out at the same time */
#define ENDPOINT_SAMPLES_DEFAULT 10000u     /* of a full request when nothing else limits it */
#define ENDPOINT_SLOW_MS 1000               /* a request that takes longer counts as failing for the queue */
#define ENDPOINT_POISON_MS (60 * 60 * 1000) /* blocks are suspected so long after a series was set aside */

enum lane_state { LANE_FREE, LANE_READY, LANE_SENDING, LANE_WAITING, LANE_PARKED, LANE_DOUBTED };

/* One strand of a batch on its way. */
struct lane {
    struct endpoint *endpoint;
    enum lane_state state;
    struct batch *batch;
    unsigned strand;
    struct work work;
    struct http_call *call;
    struct config *config; /* of the call */
    struct loop_timer timer, slow;
    bool encoded;          /* body is the present request, under the present settings */
    enum protocol protocol; /* of body */
    bool written;          /* the response had a Written header */
    uint64_t written_n;    /* samples and histograms in them */
    struct buf body;       /* compressed */
    uint64_t raw_bytes;    /* of body before compression */
    struct transcode_result present;
    unsigned attempt;      /* of the present request, from 0 */
    unsigned failures;     /* in a row */
    bool failing;          /* as told to the queue */
    bool after_network;    /* waits because of the network, not of an answer */
    bool retried_dead;
    bool fresh;            /* the next request needs a new connection */
    bool beside;           /* the present request began after others had passed since it last got a 5xx */
    int64_t wake_ms;       /* of WAITING */
    int64_t started_ms;
    uint64_t stamp;        /* of the credentials that the present request was made with */
    int64_t retry_after_ms;
    int64_t date_s;        /* of the response; -1 = none */
    struct buf words;      /* of the response */
};

enum endpoint_hold { HOLD_NONE, HOLD_AUTH, HOLD_URL };

struct endpoint {
    struct endpoint_options options;
    char *name;
    pthread_t thread;
    struct loop *loop;
    atomic_bool notified; /* a take is already posted */

    /* Of the endpoint's thread. */
    struct http_client *http;
    struct config *config;
    const struct config_remote *settings;
    struct policy_settings policy;
    struct transcoder *transcoder;
    struct block_copier *copier;
    struct pace pace;
    int64_t failing_ms;      /* since when it fails, 0 = it does not */
    struct buf raw; /* the request before compression */
    struct lane **lanes;
    size_t lanes_n, lanes_cap;
    enum endpoint_hold hold;
    struct lane *prober;     /* the lane that tries while holding */
    struct loop_timer watch; /* of the files of refused credentials */
    uint64_t refused_stamp;  /* theirs */
    int64_t not_before_ms;   /* the receiver asked all to wait */
    int64_t last_success_ms; /* monotonic */
    int64_t poison_ms;       /* when a series was last set aside, 0 = never */
    size_t learned_bytes;    /* of a request before compression, from 413s; 0 = none */
    int64_t learned_ms;      /* when, wall clock */
    struct negotiation negotiation;
    double part;             /* of the series is its own, by the route of the last batch; 0 = not known yet */
    bool failing;            /* as told to the queue */
    bool told_unwanted, told_custom; /* the log has said which histograms are lost under these settings */
    uint64_t random;
    bool stopping;           /* nothing new is started */
    bool draining;
    int64_t deadline_ms;     /* of draining */
    struct loop_timer deadline;

    struct metadata *metadata;
    struct buf metadata_body;
    struct http_call *metadata_call;
    struct config *metadata_config;
    unsigned metadata_attempt;
    int64_t metadata_next_ms;

    struct http_call *doubt_call; /* of an empty request */
    struct config *doubt_config;
    enum { EMPTY_UNKNOWN, EMPTY_ASKED, EMPTY_TAKEN, EMPTY_REFUSED } empty; /* what the receiver says to those */
    int64_t sure_ms; /* when a new connection was last let in, 0 = never */
    uint64_t sure_stamp, asked_stamp; /* of our files, then and when it was asked */

    struct http_call *ask_call; /* for a date */
    struct config *ask_config;
    int64_t ask_next_ms, ask_date_s;

    /* Of the thread that owns the endpoint. */
    uint64_t hash;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock. */
    struct queue_reader *reader; /* changed by the endpoint's thread alone, which reads it without */
    struct remote_status status;
    int64_t next_try_ms; /* monotonic, 0 = not waiting */
    struct config *pending_config; /* asked for by endpoint_apply, not in force yet */
    const struct config_remote *pending_settings;
    int64_t asked_deadline_ms;
    bool closed;
};

/* ---- skew.c ---- */

/* A response with this Date (seconds, -1 = none) came, took_ms after its request. */
void endpoint_note_date(struct endpoint *e, int64_t date_s, int64_t took_ms);
void endpoint_ask_cancel(struct endpoint *e);

/* ---- endpoint.c ---- */

/* Takes new blocks and lets every lane that can go, go; ends the thread when a drain is over. */
void endpoint_pump(struct endpoint *e);
/* Works out what the queue and the status are told. */
void endpoint_update(struct endpoint *e);
uint64_t endpoint_random(struct endpoint *e);
/* Writes down what has been found out about the receiver. */
void endpoint_remember(struct endpoint *e);

/* ---- intake.c ---- */

/* Takes a batch from the queue and gives its strands to free lanes; false when there is none or no room. */
bool endpoint_take(struct endpoint *e);
/* All of the batch is through: its blocks leave the queue. */
void endpoint_batch_done(struct endpoint *e, struct batch *b);

/* ---- lane.c ---- */

struct lane *lane_new(struct endpoint *e);
void lane_free(struct lane *lane);
/* Gives the lane a strand of the batch. */
void lane_take(struct lane *lane, struct batch *batch, unsigned strand);
/* Lets go of the strand, unfinished; what was sent of it since the last word to the queue is sent again. */
void lane_drop(struct lane *lane);
/* Makes its strand the block that the transcoder reads, of which this endpoint's part is sent. */
bool lane_open(struct lane *lane, struct err *err) MUSTCHECK;
/* Sends the next request of its block, if it may now; ends the block when nothing is left. */
void lane_go(struct lane *lane);
/* Stops a call without waiting; the lane is READY then. */
void lane_cancel(struct lane *lane);
/* The present range is through, sent or with nothing in it to be sent: its shares go to the books (work_resolve). */
void lane_resolve(struct lane *lane, enum work_outcome outcome, enum ledger_reason reason);
/* Waits delay_ms before the next lane_go. */
void lane_wait(struct lane *lane, int64_t delay_ms);

/* ---- doubt.c ---- */

/* A 400 may be about our certificate. */
bool endpoint_doubts(const struct endpoint *e);
/* Finds out; the lane waits for it. */
void endpoint_doubt(struct endpoint *e, struct lane *lane);
/* A request was accepted: a good time to see what the receiver says to empty ones. */
void endpoint_learn_empty(struct endpoint *e);
void endpoint_doubt_cancel(struct endpoint *e);

/* ---- verdict.c ---- */

/* Acts on a status whose words are in lane->words. */
void lane_judge(struct lane *lane, long status);
/* The same, but it is our credentials that were refused. */
void lane_refused_entry(struct lane *lane, long status);

/* Acts on what came back. */
void lane_answered(struct lane *lane, const struct http_result *result);
/* The request could not even be started. */
void lane_not_started(struct lane *lane, const char *why);

/* ---- vigil.c ---- */

/* The credentials of this stamp did not do: as soon as their files differ, everybody tries again. */
void endpoint_watch(struct endpoint *e, uint64_t stamp);
void endpoint_watch_end(struct endpoint *e);

/* ---- announce.c ---- */

/* Sends pending metadata when there is some and none is on its way. */
void endpoint_announce(struct endpoint *e);
void endpoint_announce_cancel(struct endpoint *e);

/* ---- both kinds of requests ---- */

/* The header lines of a request: at most this many, and a NULL. */
#define ENDPOINT_HEADERS 6

struct endpoint_headers {
    const char *v[ENDPOINT_HEADERS];
    char user_agent[160];
    char attempt[48];
};
/* attempt 0 is the first. */
void endpoint_headers_fill(const struct endpoint *e, struct endpoint_headers *h, enum protocol protocol,
                           unsigned attempt);

#endif
