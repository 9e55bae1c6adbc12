/* SPDX-License-Identifier: Apache-2.0 */
/* ledger: the books of the agent, in samples. One account for each (kind, endpoint, job, reason) that ever
   occurred, found by hash: a block may book a hundred jobs, and with many endpoints there are thousands of
   accounts. One lock, taken once a job of a block and never once a sample. */
#include "ledger.h"

#include "base/alloc.h"
#include "base/hash.h"

#include <pthread.h>
#include <stdlib.h>

enum kind { SCRAPED, RESTORED, ABSENT, DELIVERED, FILTERED, ROUTED, LOST };

#define SLOTS_MIN 64

static const char *const KIND_NAMES[] = {"scraped",  "restored", "absent", "delivered",
                                          "filtered", "routed",   "lost"};
static const char *const REASON_NAMES[LEDGER_REASONS] = {
    [LEDGER_OVERFLOW] = "overflow",   [LEDGER_TOO_OLD] = "too_old", [LEDGER_REJECTED] = "rejected",
    [LEDGER_TOO_LARGE] = "too_large", [LEDGER_CORRUPT] = "corrupt", [LEDGER_DEAD] = "dead",
    [LEDGER_DISK] = "disk",           [LEDGER_NOT_SENT] = "not_sent",
};

struct account {
    uint64_t hash;
    enum kind kind;
    enum ledger_reason reason; /* of LOST; 0 otherwise */
    char *endpoint, *job;
    uint64_t samples;
};

struct ledger {
    pthread_mutex_t lock;
    struct account *v; /* in order of their first booking */
    size_t n, cap;
    uint32_t *slots; /* index + 1 into v, 0 = free; probed linearly, at most half full */
    size_t slots_n;  /* a power of two */
};

struct ledger *ledger_new(void)
{
    struct ledger *l = xcalloc(1, sizeof *l);
    pthread_mutex_init(&l->lock, NULL);
    return l;
}

void ledger_free(struct ledger *l)
{
    for (size_t i = 0; i < l->n; i++) {
        free(l->v[i].endpoint);
        free(l->v[i].job);
    }
    free(l->v);
    free(l->slots);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static bool is_it(const struct account *a, uint64_t hash, enum kind kind, struct str endpoint, struct str job,
                  enum ledger_reason reason)
{
    return a->hash == hash && a->kind == kind && a->reason == reason && str_eq_c(endpoint, a->endpoint) &&
           str_eq_c(job, a->job);
}

/* Where the account of this hash is, or would be. */
static size_t slot_of(const struct ledger *l, uint64_t hash, enum kind kind, struct str endpoint,
                      struct str job, enum ledger_reason reason)
{
    size_t i = hash & (l->slots_n - 1);
    while (l->slots[i] && !is_it(&l->v[l->slots[i] - 1], hash, kind, endpoint, job, reason))
        i = (i + 1) & (l->slots_n - 1);
    return i;
}

static void grow(struct ledger *l)
{
    if (2 * (l->n + 1) <= l->slots_n)
        return;
    free(l->slots);
    l->slots_n = l->slots_n ? 2 * l->slots_n : SLOTS_MIN;
    l->slots = xcalloc(l->slots_n, sizeof *l->slots);
    for (size_t k = 0; k < l->n; k++) {
        size_t i = l->v[k].hash & (l->slots_n - 1);
        while (l->slots[i])
            i = (i + 1) & (l->slots_n - 1);
        l->slots[i] = (uint32_t)k + 1;
    }
}

/* The account, made when new. Under the lock. */
static struct account *find(struct ledger *l, enum kind kind, struct str endpoint, struct str job,
                            enum ledger_reason reason)
{
    uint64_t hash = hash_more(hash_more((uint64_t)kind * LEDGER_REASONS + (uint64_t)reason, endpoint), job);
    grow(l);
    size_t i = slot_of(l, hash, kind, endpoint, job, reason);
    if (l->slots[i])
        return &l->v[l->slots[i] - 1];
    l->v = xgrow(l->v, &l->cap, l->n + 1, sizeof *l->v);
    l->v[l->n] = (struct account){.hash = hash, .kind = kind, .reason = reason,
                                  .endpoint = str_dup(endpoint), .job = str_dup(job)};
    l->slots[i] = (uint32_t)++l->n;
    return &l->v[l->n - 1];
}

static void book(struct ledger *l, enum kind kind, struct str endpoint, struct str job,
                 enum ledger_reason reason, uint64_t samples)
{
    pthread_mutex_lock(&l->lock);
    find(l, kind, endpoint, job, reason)->samples += samples;
    pthread_mutex_unlock(&l->lock);
}

void ledger_scraped(struct ledger *l, const struct block *b)
{
    for (size_t i = 0; i < b->jobs_n; i++)
        book(l, SCRAPED, STR(""), b->jobs[i].name, 0, b->jobs[i].samples);
}

void ledger_restored(struct ledger *l, struct str endpoint, uint64_t samples)
{
    book(l, RESTORED, endpoint, STR(""), 0, samples);
}

void ledger_absent(struct ledger *l, struct str endpoint, uint64_t samples)
{
    book(l, ABSENT, endpoint, STR(""), 0, samples);
}

void ledger_delivered(struct ledger *l, struct str endpoint, struct str job, uint64_t samples)
{
    book(l, DELIVERED, endpoint, job, 0, samples);
}

void ledger_filtered(struct ledger *l, struct str endpoint, struct str job, uint64_t samples)
{
    book(l, FILTERED, endpoint, job, 0, samples);
}

void ledger_routed(struct ledger *l, struct str endpoint, struct str job, uint64_t samples)
{
    book(l, ROUTED, endpoint, job, 0, samples);
}

void ledger_lost(struct ledger *l, struct str endpoint, struct str job, enum ledger_reason reason,
                 uint64_t samples)
{
    book(l, LOST, endpoint, job, reason, samples);
}

void ledger_lost_block(struct ledger *l, struct str endpoint, const struct block *b,
                       enum ledger_reason reason)
{
    for (size_t i = 0; i < b->jobs_n; i++)
        ledger_lost(l, endpoint, b->jobs[i].name, reason, b->jobs[i].samples);
}

void ledger_each(struct ledger *l, ledger_each_fn *fn, void *ctx)
{
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        const struct account *a = &l->v[i];
        fn(ctx, KIND_NAMES[a->kind], str_of(a->endpoint), str_of(a->job),
           a->kind == LOST ? REASON_NAMES[a->reason] : "", a->samples);
    }
    pthread_mutex_unlock(&l->lock);
}

void ledger_sum(struct ledger *l, struct str endpoint, struct ledger_totals *out)
{
    uint64_t sums[LOST + 1] = {0};
    pthread_mutex_lock(&l->lock);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].kind == SCRAPED || str_eq_c(endpoint, l->v[i].endpoint))
            sums[l->v[i].kind] += l->v[i].samples;
    }
    pthread_mutex_unlock(&l->lock);
    *out = (struct ledger_totals){
        .scraped = sums[SCRAPED], .restored = sums[RESTORED], .absent = sums[ABSENT],
        .delivered = sums[DELIVERED], .filtered = sums[FILTERED], .routed = sums[ROUTED],
        .lost = sums[LOST],
    };
}
