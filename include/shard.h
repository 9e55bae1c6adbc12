/* SPDX-License-Identifier: Apache-2.0 */
/* shard: which of several agents scrape a target. Rendezvous hashing: each shard has a score for each target, and the
   `replication` highest are chosen, so that one shard more takes over its own share and moves nothing else. Agents
   agree without talking as long as they see the same targets; the scores must never change between versions. */
#ifndef OBSAGENT_SHARD_H
#define OBSAGENT_SHARD_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

#define SHARDS_MAX 10000

/* True when `shard` of `shards` is among the `replication` ones that scrape the target with this identity (its
   `phase`: URL and final labels). */
bool shard_has(uint64_t target, unsigned shard, unsigned shards, unsigned replication);

/* Those that scrape it, the one with the highest score first: writes at most `max` of them and returns how many. */
size_t shard_owners(uint64_t target, unsigned shards, unsigned replication, unsigned *owners, size_t max);

/* A shard's number as the command line has it: a number, or text that ends in -N as a StatefulSet's pod names do.
   Checks it and the rest: false with err. */
bool shard_parse(struct str text, uint64_t shards, uint64_t replication, unsigned *shard, struct err *err) MUSTCHECK;

#endif
