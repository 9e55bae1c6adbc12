/* SPDX-License-Identifier: Apache-2.0 */
/* endpoint: one receiver. Its thread takes blocks from its cursor, one per lane, and sees each through. */
#ifndef OBSAGENT_REMOTE_ENDPOINT_H
#define OBSAGENT_REMOTE_ENDPOINT_H

#include "remote.h"

struct endpoint;

struct endpoint_options {
    struct queue *queue;
    struct ledger *ledger;
    const char *user_agent;
    const char *dead_dir;
    const char *state_dir; /* NULL = nothing is remembered */
    struct membership *membership; /* NULL = there are no groups */
    /* Told of every refused request, from the endpoint's thread. */
    void (*on_reject)(void *ctx, const struct remote_reject *reject);
    void *ctx;
};

/* All from one thread except endpoint_status, which any thread may call. */

/* Opens the cursor and starts the thread. Keeps a reference to config, in which `settings` lies. NULL and err
   when the cursor or the thread cannot be had. */
struct endpoint *endpoint_start(const struct endpoint_options *options, struct config *config,
                                const struct config_remote *settings, struct err *err) MUSTCHECK;
/* New settings for what is sent from now on. A request on its way is let finish unless the endpoint is
   failing. */
void endpoint_apply(struct endpoint *e, struct config *config, const struct config_remote *settings);
const char *endpoint_name(const struct endpoint *e);
/* What its configuration amounts to: equal, nothing to apply. */
uint64_t endpoint_hash(const struct endpoint *e);
uint64_t endpoint_hash_of(const struct config *config, const struct config_remote *settings);

/* Stands for where it delivers to: an endpoint with another name and the same key is the same one, renamed. */
uint64_t endpoint_key(const struct config_remote *settings);

/* Asks it to send what can be sent until deadline_ms (monotonic) and then to stop; a deadline in the past
   stops it at once. May be called again with an earlier deadline. Returns at once. */
void endpoint_stop(struct endpoint *e, int64_t deadline_ms);
/* Waits until a stopped endpoint has given its blocks back and closed its cursor: soon after its deadline. */
void endpoint_wait(struct endpoint *e);
/* Joins the thread of a stopped endpoint and frees it. May take as long as a name look-up. */
void endpoint_free(struct endpoint *e);

/* Has it ask its receiver for the time with an empty request, at most every 10 s. Returns at once. */
void endpoint_ask(struct endpoint *e);
/* What the receiver's clock said has been acted on. From any thread. */
void endpoint_forget_skew(struct endpoint *e);
/* A copy of its state. */
void endpoint_status(struct endpoint *e, struct remote_status *out);

#endif
