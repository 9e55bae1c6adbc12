/* SPDX-License-Identifier: Apache-2.0 */
/* membership: who shared the series with whom, and when. A block is routed by the groups that were in force when it was
   pushed, however late it is sent: else a reload with a backlog would lose samples. When C joins A and B and takes over
   a series of B's, A and C may have passed a block as "not mine" long ago, by the old groups, and B would now pass it
   by the new ones. So each change of groups begins at a number in the log (a period), which is chosen in the same step
   in which the queue begins to owe blocks to the new members and ends to owe them to those that leave (queue_switch):
   then for each block the members of its period are exactly those to whom it is owed, and each of its series is sent by
   exactly `replicas` of them, whenever each of them gets to it, also when it was removed and comes back days later.

   Periods live as long as a block of theirs is owed to somebody, and are kept in routing.json of the storage directory.
   That file is written before a change (then with the word that from this number on nothing is sure) and after it. What
   is not known, because the file is lost, or because the power went in between, is sent by everybody who has it: a
   sample too much, never one too few. The same goes for endpoints that were in no group.

   A member that takes over the place of another one under a new name (queue_reader_rename) takes its part in former
   periods as well, and scores there under the old name. */
#ifndef OBSAGENT_REMOTE_MEMBERSHIP_H
#define OBSAGENT_REMOTE_MEMBERSHIP_H

#include "config.h"
#include "queue.h"
#include "routing.h"

struct membership;

/* Thread-safe, all of it. Reads what an earlier run has left in dir; NULL: nothing is kept. */
struct membership *membership_new(const char *dir);
void membership_free(struct membership *m);

/* The endpoints of config are those that are owed blocks from now on, in its groups; the queue is told. Those whose
   readers are to go on under another name have been renamed before. To be followed by membership_keep, when the readers
   are open and have their places on disk. */
void membership_switch(struct membership *m, struct queue *q, const struct config *config);
void membership_keep(struct membership *m);
/* Comes before queue_reader_rename. */
void membership_rename(struct membership *m, const char *from, const char *to);

/* What of the block with this number the endpoint sends. Returns what keeps the route alive, for
   membership_release; NULL when nothing needs to. The same holds for all blocks before *until. */
struct period;
struct period *membership_route(struct membership *m, const char *endpoint, uint64_t seq, struct route *route,
                                uint64_t *until);
void membership_release(struct period *p);

#endif
