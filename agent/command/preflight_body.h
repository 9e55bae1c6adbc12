/* SPDX-License-Identifier: Apache-2.0 */
/* preflight_body: what a preflight sends: messages with nothing in them, one with a sample, and large ones with
   nothing in them, by the agent's own encoders. */
#ifndef OBSAGENT_COMMAND_PREFLIGHT_BODY_H
#define OBSAGENT_COMMAND_PREFLIGHT_BODY_H

#include "../remote/protocol.h"
#include "base/buf.h"
#include "config.h"

/* A message without series. */
void preflight_body_empty(enum protocol p, struct buf *out);
/* The same with `padding` bytes that cannot be compressed, in a field that nobody knows: a reader steps over it. */
void preflight_body_padded(enum protocol p, size_t padding, struct buf *out);
/* One sample of obsagent_preflight with external labels, by the rules of the endpoint. False with err when it cannot
   be made; out is empty when the rules drop it. `series` gets its labels as sent, in exposition notation. */
bool preflight_body_sample(enum protocol p, const struct config *config, const struct config_remote *remote,
                           struct buf *series, struct buf *out, struct err *err) MUSTCHECK;

#endif
