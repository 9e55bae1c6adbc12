/* SPDX-License-Identifier: Apache-2.0 */
/* budget: series counted by job and in all. */
#include "budget.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct budget_job {
    struct budget *budget;
    struct budget_job *next;
    char *name;
    atomic_llong n;
};

struct budget {
    atomic_llong n, limit;
    pthread_mutex_t lock; /* guards the list */
    struct budget_job *jobs;
};

struct budget *budget_new(void)
{
    struct budget *b = xcalloc(1, sizeof *b);
    atomic_init(&b->n, 0);
    atomic_init(&b->limit, 0);
    pthread_mutex_init(&b->lock, NULL);
    return b;
}

void budget_free(struct budget *b)
{
    if (!b)
        return;
    while (b->jobs) {
        struct budget_job *next = b->jobs->next;
        free(b->jobs->name);
        free(b->jobs);
        b->jobs = next;
    }
    pthread_mutex_destroy(&b->lock);
    free(b);
}

void budget_set_total(struct budget *b, uint64_t limit)
{
    atomic_store(&b->limit, limit < INT64_MAX ? (long long)limit : 0);
}

static struct budget_job *job_new(struct budget *b, const char *name)
{
    struct budget_job *j = xcalloc(1, sizeof *j);
    j->budget = b;
    j->name = xstrdup(name);
    atomic_init(&j->n, 0);
    j->next = b->jobs;
    b->jobs = j;
    return j;
}

struct budget_job *budget_job(struct budget *b, const char *name)
{
    pthread_mutex_lock(&b->lock);
    struct budget_job *j = b->jobs;
    while (j && strcmp(j->name, name) != 0)
        j = j->next;
    if (!j)
        j = job_new(b, name);
    pthread_mutex_unlock(&b->lock);
    return j;
}

/* `n` is the count with the one in question. */
static bool within(long long n, uint64_t limit)
{
    return limit == 0 || n <= 0 || (uint64_t)n <= limit;
}

bool budget_room(const struct budget_job *j, uint64_t limit)
{
    return within(atomic_load(&j->n) + 1, limit) &&
           within(atomic_load(&j->budget->n) + 1, (uint64_t)atomic_load(&j->budget->limit));
}

bool budget_take(struct budget_job *j, uint64_t limit)
{
    struct budget *b = j->budget;
    bool job_good = within(atomic_fetch_add(&j->n, 1) + 1, limit);
    bool all_good = within(atomic_fetch_add(&b->n, 1) + 1, (uint64_t)atomic_load(&b->limit));
    if (job_good && all_good)
        return true;
    budget_add(j, -1);
    return false;
}

void budget_add(struct budget_job *j, int64_t n)
{
    atomic_fetch_add(&j->n, n);
    atomic_fetch_add(&j->budget->n, n);
}
