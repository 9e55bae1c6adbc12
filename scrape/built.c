/* SPDX-License-Identifier: Apache-2.0 */
/* built: what discovery found for one job, as targets. */
#include "built.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/log.h"
#include "shard.h"

/* ---- the cache ---- */

static size_t find_slot(struct target *const *slots, size_t slots_n, const struct label_set *found)
{
    size_t i = hash_bytes(&found, sizeof found) & (slots_n - 1);
    while (slots[i] && slots[i]->found != found)
        i = (i + 1) & (slots_n - 1);
    return i;
}

void built_cache_clear(struct built_cache *cache)
{
    for (size_t i = 0; i < cache->slots_n; i++)
        target_unref(cache->slots[i]);
    free(cache->slots);
    label_set_unref(cache->defaults);
    *cache = (struct built_cache){0};
}

/* For n sets; nothing remembered yet. */
static void cache_open(struct built_cache *cache, const struct config_job *job, struct label_set *defaults, size_t n)
{
    *cache = (struct built_cache){.job_hash = job->hash, .defaults = defaults, .slots_n = 16};
    while (cache->slots_n < n * 2)
        cache->slots_n *= 2;
    cache->slots = xcalloc(cache->slots_n, sizeof(struct target *));
}

/* A set that comes twice makes one target. */
static void cache_put(struct built_cache *cache, struct target *t)
{
    size_t i = find_slot(cache->slots, cache->slots_n, t->found);
    if (!cache->slots[i])
        cache->slots[i] = target_ref(t);
}

/* ---- one target ---- */

/* Which agent scrapes a target does not depend on the shard label, so that comes after the choice. */
static struct target *take_share(struct target *t, const struct scrape_sharding *s, const char *shard_label)
{
    if (!shard_has(t->phase, s->shard, s->shards, s->replication)) {
        t->dropped = true;
        t->drop = TARGET_BY_SHARD;
        return t;
    }
    if (!shard_label)
        return t;
    char number[16];
    snprintf(number, sizeof number, "%u", s->shard);
    struct target *labeled = target_with_label(t, str_of(shard_label), str_of(number));
    target_unref(t);
    return labeled;
}

static struct target *build(const struct config_job *job, struct label_set *set, struct label_set *defaults,
                            const struct scrape_sharding *sharding, const char *shard_label)
{
    struct err err = {0};
    struct target *t = target_build_shared(job, set, defaults, &err);
    if (!t)
        log_throttled(hash_bytes(err.msg, strlen(err.msg)), LOG_WARN, "scrape",
                      "job %s: a target cannot be scraped: %s", job->job_name, err.msg);
    else if (!t->dropped && (sharding->shards > 1 || shard_label))
        t = take_share(t, sharding, shard_label);
    return t;
}

/* ---- all of a job ---- */

static int by_key(const void *a, const void *b)
{
    uint64_t x = (*(struct target *const *)a)->key, y = (*(struct target *const *)b)->key;
    return (x > y) - (x < y);
}

/* Sorts by key; of equal ones the first is kept, as Prometheus scrapes them once. */
static size_t sort_unique(struct target **v, size_t n)
{
    size_t kept = 0;
    qsort(v, n, sizeof(struct target *), by_key);
    for (size_t i = 0; i < n; i++) {
        if (kept > 0 && v[kept - 1]->key == v[i]->key)
            target_unref(v[i]);
        else
            v[kept++] = v[i];
    }
    return kept;
}

static void sort_out(struct built *b, struct target **all, size_t n)
{
    struct target **others = xcalloc(n + 1, sizeof(struct target *));
    for (size_t i = 0; i < n; i++) {
        struct target *t = all[i];
        if (!t->dropped)
            b->active[b->active_n++] = t;
        else if (t->drop == TARGET_BY_SHARD)
            others[b->other_shard++] = t;
        else
            b->dropped[b->dropped_n++] = t;
    }
    b->active_n = sort_unique(b->active, b->active_n);
    b->other_shard = sort_unique(others, b->other_shard);
    b->of_job = b->active_n + b->other_shard;
    for (size_t i = 0; i < b->other_shard; i++)
        b->dropped[b->dropped_n++] = others[i];
    free(others);
}

void built_make(struct built *b, struct built_cache *cache, const struct config_job *job,
                struct label_set *const *sets, size_t n, const struct scrape_sharding *sharding,
                const char *shard_label)
{
    struct built_cache fresh;
    bool same_rules = cache->defaults && cache->job_hash == job->hash;
    struct target **all = xcalloc(n + 1, sizeof(struct target *));
    size_t all_n = 0;
    cache_open(&fresh, job, same_rules ? label_set_ref(cache->defaults) : target_defaults(job), n);
    for (size_t i = 0; i < n; i++) {
        struct target *t = same_rules ? cache->slots[find_slot(cache->slots, cache->slots_n, sets[i])] : NULL;
        t = t ? target_ref(t) : build(job, sets[i], fresh.defaults, sharding, shard_label);
        if (!t)
            continue;
        cache_put(&fresh, t);
        all[all_n++] = t;
    }
    *b = (struct built){.active = xcalloc(n + 1, sizeof(struct target *)),
                        .dropped = xcalloc(n + 1, sizeof(struct target *))};
    sort_out(b, all, all_n);
    free(all);
    built_cache_clear(cache);
    *cache = fresh;
}
