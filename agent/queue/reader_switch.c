/* SPDX-License-Identifier: Apache-2.0 */
/* reader_switch: a new set of readers, at one point of the log: no block in between is owed to the one set and not to
   the other. */
#include "queue_private.h"

void queue_reader_keep(struct queue *q, const char *name)
{
    pthread_mutex_lock(&q->lock);
    struct queue_reader *r = reader_find(q, name);
    if (r)
        r->kept = r->owed;
    pthread_mutex_unlock(&q->lock);
}

static bool is_among(const char *name, const char *const *names, size_t n)
{
    size_t i = 0;
    while (i < n && strcmp(names[i], name) != 0)
        i++;
    return i < n;
}

uint64_t queue_switch(struct queue *q, const char *const *names, size_t n, bool *placed)
{
    pthread_mutex_lock(&q->lock);
    for (unsigned i = 0; i < READERS_MAX; i++) {
        struct queue_reader *r = q->readers[i];
        if (r && r->owed && !is_among(r->name, names, n))
            reader_end_owing(r);
    }
    for (size_t i = 0; i < n; i++) {
        bool is_new;
        struct queue_reader *r = strlen(names[i]) < CURSOR_NAME_MAX ? reader_of(q, names[i], &is_new) : NULL;
        placed[i] = r != NULL;
        if (!r)
            continue;
        reader_expect(r, is_new);
        r->kept = false;
    }
    uint64_t next = q->next_seq;
    pthread_mutex_unlock(&q->lock);
    return next;
}

void queue_range(struct queue *q, uint64_t *oldest, uint64_t *next)
{
    pthread_mutex_lock(&q->lock);
    *oldest = *next = q->next_seq;
    if (q->n && entry_at(q, 0)->seq < *oldest)
        *oldest = entry_at(q, 0)->seq;
    for (const struct log_segment *s = q->oldest; s; s = s->next) {
        if (s->first_seq < *oldest)
            *oldest = s->first_seq;
    }
    if (q->held_seq && q->held_seq < *oldest)
        *oldest = q->held_seq;
    pthread_mutex_unlock(&q->lock);
}
