/* SPDX-License-Identifier: Apache-2.0 */
/* ledger: the books of the agent, in samples. For every endpoint and at every moment
       restored + scraped = delivered + filtered + routed + buffered + lost + absent
   where `filtered` is what write_relabel_configs dropped by the operator's will, `routed` what another endpoint of the
   group gets (0 without routing: shard), and `absent` what was scraped while the endpoint was not configured (0 unless
   a reload added it). */
#ifndef OBSAGENT_LEDGER_H
#define OBSAGENT_LEDGER_H

#include "base/str.h"
#include "block.h"

#include <stdint.h>

enum ledger_reason { /* why samples were lost, with the names in the `reason` label */
    LEDGER_OVERFLOW,     /* overflow: the buffer passed its byte cap */
    LEDGER_TOO_OLD,      /* too_old: passed max_age */
    LEDGER_REJECTED,     /* rejected: the receiver refused this series (400, 409, 422) */
    LEDGER_TOO_LARGE,    /* too_large: one series alone is over the receiver's limit (413) */
    LEDGER_CORRUPT,      /* corrupt: unreadable on disk */
    LEDGER_DEAD,         /* dead: set aside because it kept failing with 5xx while others passed */
    LEDGER_DISK,         /* disk: the disk failed and the RAM cap was reached */
    LEDGER_NOT_SENT,     /* not_sent: the endpoint's settings or protocol have no place for it (native histograms) */
    LEDGER_REASONS
};

struct ledger;

struct ledger *ledger_new(void);
void ledger_free(struct ledger *l);
/* All thread-safe. `endpoint` is its name. Blocks are booked job by job through their job table. */
void ledger_scraped(struct ledger *l, const struct block *b);
void ledger_restored(struct ledger *l, struct str endpoint, uint64_t samples);
void ledger_absent(struct ledger *l, struct str endpoint, uint64_t samples);
void ledger_delivered(struct ledger *l, struct str endpoint, struct str job, uint64_t samples);
void ledger_filtered(struct ledger *l, struct str endpoint, struct str job, uint64_t samples);
void ledger_routed(struct ledger *l, struct str endpoint, struct str job, uint64_t samples);
void ledger_lost(struct ledger *l, struct str endpoint, struct str job, enum ledger_reason reason, uint64_t samples);
/* The whole block, by its job table. */
void ledger_lost_block(struct ledger *l, struct str endpoint, const struct block *b, enum ledger_reason reason);

/* Calls fn for each book: kind is "scraped", "restored", "absent", "delivered", "filtered", "routed" or "lost";
   endpoint is empty for scraped, job for restored, reason for all but lost. */
typedef void ledger_each_fn(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                            uint64_t samples);
void ledger_each(struct ledger *l, ledger_each_fn *fn, void *ctx);
/* Sums over jobs for one endpoint (or all scraped ones). */
struct ledger_totals {
    uint64_t scraped, restored, absent, delivered, filtered, routed, lost;
};
void ledger_sum(struct ledger *l, struct str endpoint, struct ledger_totals *out);

#endif
