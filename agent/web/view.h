/* SPDX-License-Identifier: Apache-2.0 */
/* view: plain copies of what the other rooms know, taken for one answer. Pages, JSON and collectors read only
   this, so that they hold nobody up and can be tested with made-up data. */
#ifndef OBSAGENT_WEB_VIEW_H
#define OBSAGENT_WEB_VIEW_H

#include "base/arena.h"
#include "discovery.h"
#include "history.h"
#include "ledger.h"
#include "process.h"
#include "web.h"

/* Which parts to take; the small ones are always there. */
enum view_part {
    VIEW_JOBS = 1 << 0,
    VIEW_TARGETS = 1 << 1, /* and VIEW_JOBS */
    VIEW_REMOTES = 1 << 2,
    VIEW_REJECTS = 1 << 3,
    VIEW_BOOKS = 1 << 4,
    VIEW_PROCESS = 1 << 5,
    VIEW_HISTORY = 1 << 6,
    VIEW_SOURCES = 1 << 7,
};

/* One line of the ledger. */
struct view_book {
    const char *kind; /* as in ledger_each */
    const char *endpoint;
    const char *job;
    const char *reason;
    uint64_t samples;
};

/* Targets counted by job. */
struct view_job {
    const char *job;
    uint64_t up, down, unknown;
    uint64_t dropped;     /* by a rule, exactly, also when fewer are listed */
    uint64_t limited;      /* series that series limits keep out */
    uint64_t most_limited; /* of one target, and its label with most values */
    char limited_label[64];
    uint64_t other_shard; /* the same of targets that another agent scrapes */
};

struct web_view {
    struct arena strings; /* of jobs and books */
    const char *version;
    int64_t now_ms; /* wall */
    bool ready;
    struct err not_ready; /* why */
    struct config *config; /* a reference, or NULL */
    bool reload_ok;        /* the last attempt */
    int64_t loaded_ms;     /* the last good one; wall, 0 = never */
    struct scrape_totals totals;
    struct scrape_sharding sharding;
    struct queue_stats queue;
    struct scrape_status *targets; /* with a reference to each target; dropped ones among them */
    size_t targets_n, targets_cap;
    struct view_job *jobs; /* those of the configuration in its order, then others that still have targets */
    size_t jobs_n, jobs_cap, last_job;
    struct remote_status *remotes;
    size_t remotes_n, remotes_cap;
    struct remote_reject *rejects; /* newest first */
    size_t rejects_n, rejects_cap;
    struct discovery_source_status *sources; /* in the order of the configuration */
    size_t sources_n, sources_cap;
    struct view_book *books;
    size_t books_n, books_cap;
    struct process_stats process;
    struct history_point *history; /* oldest first */
    size_t history_n;
};

/* Fills `out` with the parts asked for (view_part bits). Sources that are NULL give empty parts. */
void view_take(struct web_view *out, const struct web_sources *sources, unsigned parts);
void view_free(struct web_view *view);

/* The sum of books of a kind for an endpoint; NULL stands for any. */
uint64_t view_sum(const struct web_view *view, const char *kind, const char *endpoint);

/* How many sources of its kind its job has before it. */
size_t view_source_number(const struct web_view *view, size_t index);

/* What view_take does for each target: counts it by job (dropped ones are not counted here, for they may be more than
   those listed) and, with `keep`, stores it. */
void view_add_target(struct web_view *view, const struct scrape_status *status, bool keep);
/* What it does for each job's dropped targets. */
void view_add_dropped(struct web_view *view, const struct scrape_dropped *dropped);

/* "idle", "ok", "retrying", "auth_failing", "wrong_url". */
const char *view_remote_state(enum remote_state state);
/* "up", "down", "unknown". */
const char *view_health(enum scrape_health health);

#endif
