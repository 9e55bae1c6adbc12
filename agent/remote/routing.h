/* SPDX-License-Identifier: Apache-2.0 */
/* routing: which endpoints of a group get a series. Each member's name and the series' labels give a score, and the
   members with the best `replicas` scores have the series (rendezvous hashing): the order of members in the file means
   nothing, one that is added takes its share from all the others and moves nothing else, one that is removed leaves
   only its own share to the others.

   The labels are those in the block: external labels and write_relabel_configs, which may differ from endpoint to
   endpoint, come later and do not move a series. Each member reads every block and leaves out what is not its own.
   Nothing is rerouted while a member is down: its share waits for it in the buffer, and who wants it elsewhere
   meanwhile asks for replicas.

   The functions here are pure. Which members there were when a block was scraped is kept by membership.h. */
#ifndef OBSAGENT_REMOTE_ROUTING_H
#define OBSAGENT_REMOTE_ROUTING_H

#include "block.h"
#include "labels.h"

#define ROUTING_MEMBERS_MAX 32

enum routing_labels { ROUTING_ALL, ROUTING_ONLY, ROUTING_WITHOUT }; /* of those listed */

/* The endpoints that shared the series at one time. The hashes of names decide, and are all that is needed of them. */
struct routing_group {
    unsigned replicas; /* members for each series; all of them when there are no more */
    enum routing_labels use;
    const uint64_t *labels; /* hashes of label names */
    size_t labels_n;
    const uint64_t *members;
    size_t members_n;
};

/* The same for versions and machines to come: what it says of a series must not change by an upgrade. */
uint64_t routing_name(struct str name);
uint64_t routing_hash(const struct routing_group *g, const struct label *labels, size_t n);
/* Whether a series of this hash belongs to the member of this name. */
bool routing_has(const struct routing_group *g, uint64_t member, uint64_t series);

/* ---- for the series of a block ---- */

/* What an endpoint sends of a block. */
struct route {
    const struct routing_group *group; /* NULL = everything */
    uint64_t member;
};

/* Hashes of the symbols of one block, each made when a series first needs it. Zero-initialise. */
struct routing_table {
    struct routing_symbol *v;
    size_t n, cap;
};

void routing_table_free(struct routing_table *t);
/* Another block, or another group: nothing is known of its symbols. */
void routing_table_reset(struct routing_table *t);
/* Whether others get this series of the open block, and this endpoint does not. */
bool routing_elsewhere(struct routing_table *t, const struct route *route, const struct block_reader *reader,
                       const struct block_series *series);

#endif
