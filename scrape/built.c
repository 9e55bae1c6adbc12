/* SPDX-License-Identifier: Apache-2.0 */
/* built: what discovery found for one job, as targets. */
#include "built.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "shard.h"

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(struct target *const *)a)->key, y = (*(struct target *const *)b)->key;
    return (x > y) - (x < y);
}

/* Sorts by key; of equal ones the first is kept, as Prometheus scrapes them once. */
static void sort_unique(struct built *b)
{
    size_t n = 0;
    qsort(b->active, b->active_n, sizeof(struct target *), by_key);
    for (size_t i = 0; i < b->active_n; i++) {
        if (n > 0 && b->active[n - 1]->key == b->active[i]->key)
            target_unref(b->active[i]);
        else
            b->active[n++] = b->active[i];
    }
    b->active_n = n;
}

/* The label comes after the choice, so that who scrapes a target does not depend on it. */
static struct target *with_shard_label(struct target *t, unsigned shard, const char *name)
{
    char number[16];
    snprintf(number, sizeof number, "%u", shard);
    struct target *labeled = target_with_label(t, str_of(name), str_of(number));
    target_unref(t);
    return labeled;
}

/* Leaves to the other agents what is theirs. */
static void take_share(struct built *b, const struct scrape_sharding *s, const char *shard_label)
{
    size_t n = 0;
    for (size_t i = 0; i < b->active_n; i++) {
        struct target *t = b->active[i];
        if (shard_has(t->phase, s->shard, s->shards, s->replication)) {
            b->active[n++] = shard_label ? with_shard_label(t, s->shard, shard_label) : t;
            continue;
        }
        t->dropped = true;
        t->drop = TARGET_BY_SHARD;
        b->dropped[b->dropped_n++] = t;
        b->other_shard++;
    }
    b->active_n = n;
    qsort(b->active, n, sizeof(struct target *), by_key); /* the label has changed the keys */
}

void built_make(struct built *b, const struct config_job *job, const struct labels *sets, size_t n,
                const struct scrape_sharding *sharding, const char *shard_label)
{
    *b = (struct built){.active = xcalloc(n + 1, sizeof(struct target *)),
                        .dropped = xcalloc(n + 1, sizeof(struct target *))};
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};
        struct target *t = target_build(job, &sets[i], &err);
        if (!t)
            log_throttled(hash_bytes(err.msg, strlen(err.msg)), LOG_WARN, "scrape",
                          "job %s: a target cannot be scraped: %s", job->job_name, err.msg);
        else if (t->dropped)
            b->dropped[b->dropped_n++] = t;
        else
            b->active[b->active_n++] = t;
    }
    sort_unique(b);
    b->of_job = b->active_n;
    if (sharding->shards > 1 || shard_label)
        take_share(b, sharding, shard_label);
}
