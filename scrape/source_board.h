/* SPDX-License-Identifier: Apache-2.0 */
/* source_board: how the sources of discovery are doing, copied by the thread they live in, read by any. */
#ifndef OBSAGENT_SCRAPE_SOURCE_BOARD_H
#define OBSAGENT_SCRAPE_SOURCE_BOARD_H

#include "discovery.h"

struct source_board;

struct source_board *source_board_new(void);
void source_board_free(struct source_board *b);
/* Copies the present states; in the thread of the discovery's loop. */
void source_board_update(struct source_board *b, const struct discovery *d);
/* fn for each, under the board's lock. From any thread. */
void source_board_each(struct source_board *b, void (*fn)(void *ctx, const struct discovery_source_status *status),
                       void *ctx);

#endif
