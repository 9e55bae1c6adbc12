/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: a question that the engine puts to all its workers at once: what do your targets say of their metrics?
   Each worker answers when its loop gets to it, into a part of its own; who asked waits for all parts, but not for
   ever. Whoever of both is last frees what is left. */
#ifndef OBSAGENT_SCRAPE_METADATA_H
#define OBSAGENT_SCRAPE_METADATA_H

#include <pthread.h>

#include "append.h"
#include "scrape.h"

struct metadata_question;
struct metadata_part;

/* A worker's questions not yet answered. Zero-initialise, then metadata_box_open. */
struct metadata_box {
    pthread_mutex_t lock;
    struct metadata_part *first;
    bool closed;
};
void metadata_box_open(struct metadata_box *box);
/* No more answers: what waits is told so, and so is what comes later. */
void metadata_box_close(struct metadata_box *box);
void metadata_box_free(struct metadata_box *box);

/* ---- who asks ---- */

struct metadata_question *metadata_ask(void);
/* Puts it into one more box. False when nobody will look into it any more. */
bool metadata_put(struct metadata_question *q, struct metadata_box *box);
/* Waits until deadline_ms (monotonic) for what was put, then tells what came. False when something is missing. Frees
   the question. */
bool metadata_wait(struct metadata_question *q, int64_t deadline_ms,
                   void (*fn)(void *ctx, const struct scrape_metadata *meta), void *ctx);

/* ---- who answers ---- */

/* The next one in the box, or NULL. */
struct metadata_part *metadata_take(struct metadata_box *box);
void metadata_add_target(struct metadata_part *part, struct target *target, const struct append_target *append);
/* The part is complete; it is gone afterwards. */
void metadata_answer(struct metadata_part *part);

#endif
