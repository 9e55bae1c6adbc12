/* SPDX-License-Identifier: Apache-2.0 */
/* metadata: questions to workers about the metadata of their targets, and the answers. A worker's answer must not keep
   it from scraping for long: thousands of targets say the same, so texts are copied once and records hold numbers. */
#include "metadata.h"

#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/arena.h"
#include "base/hash.h"

struct record {
    uint32_t name, help, unit; /* of part->texts */
    enum block_metric_type type;
};

struct group {
    struct target *target; /* referenced */
    size_t end;            /* of its records */
};

struct metadata_part {
    struct metadata_part *next; /* in a box, or among the answers */
    struct metadata_question *question;
    struct arena arena;
    struct str *texts;
    const char **from; /* where a text lies in the worker: equal place, same text */
    size_t texts_n, texts_cap, from_cap;
    uint32_t *table; /* numbers of texts + 1, by place */
    size_t table_cap;
    struct record *records;
    size_t records_n, records_cap;
    struct group *groups;
    size_t groups_n, groups_cap;
};

struct metadata_question {
    pthread_mutex_t lock;
    pthread_cond_t answered;
    size_t open;     /* parts not yet answered */
    bool missing;    /* a part came back without an answer */
    bool given_up;   /* nobody waits any more */
    struct metadata_part *answers;
};

/* ---- parts ---- */

static void part_free(struct metadata_part *p)
{
    for (size_t i = 0; i < p->groups_n; i++)
        target_unref(p->groups[i].target);
    arena_free(&p->arena);
    free(p->texts);
    free(p->from);
    free(p->table);
    free(p->records);
    free(p->groups);
    free(p);
}

static void table_put(struct metadata_part *p, uint32_t number)
{
    const char *place = p->from[number];
    size_t i = (size_t)hash_bytes(&place, sizeof place) & (p->table_cap - 1);
    while (p->table[i])
        i = (i + 1) & (p->table_cap - 1);
    p->table[i] = number + 1;
}

static void table_grow(struct metadata_part *p)
{
    if (p->texts_n * 2 < p->table_cap)
        return;
    free(p->table);
    p->table_cap = p->table_cap ? p->table_cap * 2 : 256;
    p->table = xcalloc(p->table_cap, sizeof *p->table);
    for (size_t i = 0; i < p->texts_n; i++)
        table_put(p, (uint32_t)i);
}

/* The number of a text of the worker's symbols, which stay where they are while the answer is made. */
static uint32_t text_number(struct metadata_part *p, struct str s)
{
    if (p->table_cap) {
        size_t i = (size_t)hash_bytes(&s.p, sizeof s.p) & (p->table_cap - 1);
        for (; p->table[i]; i = (i + 1) & (p->table_cap - 1)) {
            uint32_t number = p->table[i] - 1;
            if (p->from[number] == s.p && p->texts[number].n == s.n)
                return number;
        }
    }
    table_grow(p);
    p->texts = xgrow(p->texts, &p->texts_cap, p->texts_n + 1, sizeof *p->texts);
    p->from = xgrow(p->from, &p->from_cap, p->texts_n + 1, sizeof *p->from);
    p->texts[p->texts_n] = arena_str(&p->arena, s);
    p->from[p->texts_n] = s.p;
    table_put(p, (uint32_t)p->texts_n);
    return (uint32_t)p->texts_n++;
}

static void add_record(void *ctx, const struct append_metadata *meta)
{
    struct metadata_part *p = ctx;
    struct record r = {text_number(p, meta->name), text_number(p, meta->help), text_number(p, meta->unit), meta->type};
    p->records = xgrow(p->records, &p->records_cap, p->records_n + 1, sizeof *p->records);
    p->records[p->records_n++] = r;
}

void metadata_add_target(struct metadata_part *part, struct target *target, const struct append_target *append)
{
    append_target_metadata(append, add_record, part);
    part->groups = xgrow(part->groups, &part->groups_cap, part->groups_n + 1, sizeof *part->groups);
    part->groups[part->groups_n++] = (struct group){target_ref(target), part->records_n};
}

static void part_tell(const struct metadata_part *p, void (*fn)(void *ctx, const struct scrape_metadata *meta),
                      void *ctx)
{
    size_t at = 0;
    for (size_t i = 0; i < p->groups_n; i++) {
        for (; at < p->groups[i].end; at++) {
            const struct record *r = &p->records[at];
            struct scrape_metadata meta = {
                .target = p->groups[i].target,
                .metric = p->texts[r->name],
                .help = p->texts[r->help],
                .unit = p->texts[r->unit],
                .type = r->type,
            };
            fn(ctx, &meta);
        }
    }
}

/* ---- questions ---- */

struct metadata_question *metadata_ask(void)
{
    struct metadata_question *q = xcalloc(1, sizeof *q);
    pthread_condattr_t attributes;
    pthread_mutex_init(&q->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&q->answered, &attributes);
    pthread_condattr_destroy(&attributes);
    return q;
}

static void question_free(struct metadata_question *q)
{
    while (q->answers) {
        struct metadata_part *next = q->answers->next;
        part_free(q->answers);
        q->answers = next;
    }
    pthread_cond_destroy(&q->answered);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

static void give_back(struct metadata_part *part, bool complete)
{
    struct metadata_question *q = part->question;
    pthread_mutex_lock(&q->lock);
    part->next = q->answers;
    q->answers = part;
    q->missing = q->missing || !complete;
    q->open--;
    bool last = q->given_up && q->open == 0;
    pthread_cond_signal(&q->answered);
    pthread_mutex_unlock(&q->lock);
    if (last)
        question_free(q);
}

void metadata_answer(struct metadata_part *part)
{
    give_back(part, true);
}

bool metadata_put(struct metadata_question *q, struct metadata_box *box)
{
    struct metadata_part *part = xcalloc(1, sizeof *part);
    part->question = q;
    arena_init(&part->arena);
    pthread_mutex_lock(&q->lock);
    q->open++;
    pthread_mutex_unlock(&q->lock);
    pthread_mutex_lock(&box->lock);
    bool closed = box->closed;
    if (!closed) {
        part->next = box->first;
        box->first = part;
    }
    pthread_mutex_unlock(&box->lock);
    if (closed)
        give_back(part, false);
    return !closed;
}

bool metadata_wait(struct metadata_question *q, int64_t deadline_ms,
                   void (*fn)(void *ctx, const struct scrape_metadata *meta), void *ctx)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};
    pthread_mutex_lock(&q->lock);
    while (q->open > 0 && pthread_cond_timedwait(&q->answered, &q->lock, &until) == 0)
        ;
    struct metadata_part *answers = q->answers;
    q->answers = NULL;
    q->given_up = true;
    bool complete = q->open == 0 && !q->missing, last = q->open == 0;
    pthread_mutex_unlock(&q->lock);
    if (last)
        question_free(q);
    while (answers) {
        struct metadata_part *next = answers->next;
        part_tell(answers, fn, ctx);
        part_free(answers);
        answers = next;
    }
    return complete;
}

/* ---- boxes ---- */

void metadata_box_open(struct metadata_box *box)
{
    pthread_mutex_init(&box->lock, NULL);
}

struct metadata_part *metadata_take(struct metadata_box *box)
{
    pthread_mutex_lock(&box->lock);
    struct metadata_part *part = box->first;
    if (part)
        box->first = part->next;
    pthread_mutex_unlock(&box->lock);
    return part;
}

void metadata_box_close(struct metadata_box *box)
{
    pthread_mutex_lock(&box->lock);
    box->closed = true;
    pthread_mutex_unlock(&box->lock);
    for (struct metadata_part *part; (part = metadata_take(box));)
        give_back(part, false);
}

void metadata_box_free(struct metadata_box *box)
{
    pthread_mutex_destroy(&box->lock);
}
