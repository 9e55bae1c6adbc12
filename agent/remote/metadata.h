/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: what an endpoint has been told about metric families, and what it is to be told next. RW1 sends
   types and help texts in requests of their own; losing one costs nothing but a description, so nothing ever
   waits for them. */
#ifndef OBSAGENT_REMOTE_METADATA_H
#define OBSAGENT_REMOTE_METADATA_H

#include "transcode.h"

struct metadata;

struct metadata *metadata_new(void);
void metadata_free(struct metadata *m);
/* Adds what has not been sent within interval_ms, by family and content, to the next request. */
void metadata_note(struct metadata *m, const struct transcode_meta *metas, size_t n, int64_t now_ms,
                   int64_t interval_ms);
/* The WriteRequest so far; empty when there is nothing to say. Valid until the next note or clear. */
struct str metadata_pending(const struct metadata *m);
void metadata_clear(struct metadata *m);

#endif
