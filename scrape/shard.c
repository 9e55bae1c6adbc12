/* SPDX-License-Identifier: Apache-2.0 */
/* shard: rendezvous hashing of targets over agents. */
#include "shard.h"

#include <endian.h>

#include "base/hash.h"
#include "base/units.h"

static uint64_t score(uint64_t target, unsigned shard)
{
    uint64_t both[2] = {htole64(target), htole64(shard)};
    return hash_bytes(both, sizeof both);
}

bool shard_has(uint64_t target, unsigned shard, unsigned shards, unsigned replication)
{
    uint64_t own = score(target, shard);
    unsigned better = 0;
    if (shards <= replication)
        return true;
    for (unsigned i = 0; i < shards && better < replication; i++) {
        uint64_t other = i == shard ? 0 : score(target, i);
        better += i != shard && (other > own || (other == own && i < shard));
    }
    return better < replication;
}

static bool before(uint64_t target, unsigned a, unsigned b)
{
    uint64_t x = score(target, a), y = score(target, b);
    return x > y || (x == y && a < b);
}

size_t shard_owners(uint64_t target, unsigned shards, unsigned replication, unsigned *owners, size_t max)
{
    size_t n = 0, want = replication < max ? replication : max;
    for (unsigned i = 0; i < shards; i++) {
        size_t at = n;
        while (at > 0 && before(target, i, owners[at - 1]))
            at--;
        if (at >= want)
            continue;
        n += n < want;
        memmove(owners + at + 1, owners + at, (n - 1 - at) * sizeof *owners);
        owners[at] = i;
    }
    return n;
}

bool shard_parse(struct str text, uint64_t shards, uint64_t replication, unsigned *shard, struct err *err)
{
    uint64_t v;
    size_t dash = text.n;
    while (dash > 0 && text.p[dash - 1] != '-')
        dash--;
    if (shards < 1 || shards > SHARDS_MAX)
        return err_set(err, "--scrape.shards: %llu is not between 1 and %d", (unsigned long long)shards,
                       SHARDS_MAX);
    if (replication < 1 || replication > shards)
        return err_set(err, "--scrape.replication-factor: %llu is not between 1 and the %llu shards",
                       (unsigned long long)replication, (unsigned long long)shards);
    if (!units_parse_u64(str_skip(text, dash), &v))
        return err_set(err, "--scrape.shard: \"%.*s\" is neither a number nor does it end in -NUMBER",
                       STR_ARG(text));
    if (v >= shards)
        return err_set(err, "--scrape.shard: %llu is not one of %llu shards, which are numbered from 0",
                       (unsigned long long)v, (unsigned long long)shards);
    *shard = (unsigned)v;
    return true;
}
