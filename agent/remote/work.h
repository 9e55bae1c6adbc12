/* SPDX-License-Identifier: Apache-2.0 */
/* work: one block on its way to one endpoint: which series are still to be sent, in order, and what became of
   the others. Books are kept until everything before the first series to be sent is through: then they go to the ledger
   together with the word that so much of the block is buffered no longer. */
#ifndef OBSAGENT_REMOTE_WORK_H
#define OBSAGENT_REMOTE_WORK_H

#include "ledger.h"
#include "transcode.h"

/* Series [from, to), not yet sent or refused as a part of something larger. */
struct work_range {
    uint32_t from, to;
    unsigned refused_5xx; /* in a row */
    unsigned beside;      /* so often although somebody else had passed since the time before */
    int64_t first_5xx_ms, last_5xx_ms; /* monotonic, of that row */
    bool suspect;         /* cut out of a range that kept failing with 5xx */
};

struct work_book { /* what is not sent is lost for LEDGER_NOT_SENT */
    uint64_t delivered, filtered, routed;
    uint64_t lost[LEDGER_REASONS];
};

struct work {
    struct block *block;
    uint32_t from;      /* what is before was through when the work began */
    uint64_t unbooked;  /* samples in the books that are not in the ledger yet */
    uint64_t settled;   /* samples in the ledger */
    uint64_t *booked;   /* by job: in the ledger, or through before */
    struct work_range *stack; /* disjoint, descending: the last one is next */
    size_t stack_n, stack_cap;
    bool ahead;  /* the present request is of the range behind the next one */
    bool had_5xx;
    bool passed; /* some of it was sent and accepted after had_5xx */
    struct transcode_share *shares; /* of the present request, by job */
    struct work_book *books;        /* by job */
    size_t jobs_n;                  /* at least 1 */
};

enum work_outcome { WORK_DELIVERED, WORK_LOST };

/* Series before `from` are through already. The block must stay. */
void work_start(struct work *w, struct block *block, uint32_t from, bool suspect);
void work_free(struct work *w);
/* The range whose turn it is; NULL when all are through. Valid until the next change. */
struct work_range *work_current(const struct work *w);
/* Cuts the present range: [from, at) stays present, [at, to) comes after it. Both are new requests. */
void work_cut(struct work *w, uint32_t at, bool suspect);
/* Makes the first series behind the present range the present request; the range itself keeps its place in
   front. Needs something behind it. */
void work_look_ahead(struct work *w);
/* Back to the range that waits in front. */
void work_look_back(struct work *w);
/* The present range is through: its shares go to the books. `reason` counts for WORK_LOST. */
void work_resolve(struct work *w, enum work_outcome outcome, enum ledger_reason reason);
/* Nothing more will be sent of it; what is not in the books becomes corrupt by work_book. */
void work_abandon(struct work *w);
/* Writes the books to the ledger when all of [0, *done) is in them and nothing behind it: returns true then. Only for
   blocks in which each series is one sample. */
bool work_settle(struct work *w, struct ledger *ledger, struct str endpoint, uint32_t *done);
/* Writes the books of a block that is through. What its job table has and no range accounted for is lost as
   corrupt. */
void work_book(struct work *w, struct ledger *ledger, struct str endpoint);

#endif
