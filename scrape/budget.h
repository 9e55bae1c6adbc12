/* SPDX-License-Identifier: Apache-2.0 */
/* budget: how many series the agent and each of its jobs have, over all workers, and whether one more is allowed.
   Thread-safe; counting costs an atomic addition for each scrape that changed something. */
#ifndef OBSAGENT_SCRAPE_BUDGET_H
#define OBSAGENT_SCRAPE_BUDGET_H

#include <stdbool.h>
#include <stdint.h>

struct budget;
struct budget_job;

struct budget *budget_new(void);
/* Nobody may use a job of it any more. */
void budget_free(struct budget *b);
/* At most so many series in all; 0 = no limit. Those that are there stay. */
void budget_set_total(struct budget *b, uint64_t limit);
/* The account of a job, made when it is first asked for and kept as long as the budget. */
struct budget_job *budget_job(struct budget *b, const char *name);

/* True when one more series of the job would keep within its limit (0 = none) and the total. */
bool budget_room(const struct budget_job *j, uint64_t limit);
/* Takes one; false, with nothing taken, when there is no room. */
bool budget_take(struct budget_job *j, uint64_t limit);
/* Adds or gives back without asking. */
void budget_add(struct budget_job *j, int64_t n);

#endif
