/* SPDX-License-Identifier: Apache-2.0 */
/* membership: the list of periods, changed by reloads and asked by every endpoint for each batch. */
#include "membership.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"
#include "period.h"

#define FILE_MAX ((size_t)16 << 20)

struct membership {
    char *path; /* NULL = nothing is kept */
    bool unwritten;
    pthread_mutex_t lock;
    /* Under the lock. Changed by the thread that applies configurations alone, which reads it without. */
    struct periods periods;
};

/* ---- the file ---- */

static void load(struct membership *m)
{
    struct buf text;
    struct err err = {0};
    if (access(m->path, F_OK) != 0)
        return;
    buf_init(&text, FILE_MAX);
    if (!file_read(m->path, FILE_MAX, &text, &err) || !periods_from_json(buf_str(&text), &m->periods, &err))
        log_error("remote", "%s: which endpoint of a group gets what waits is not known any more, all of it goes to "
                  "all that have it: %s", m->path, err.msg);
    buf_free(&text);
}

static void save(struct membership *m)
{
    struct buf text;
    struct err err = {0};
    if (!m->path)
        return;
    buf_init(&text, FILE_MAX);
    bool nothing = m->periods.n == 0 && m->periods.unsure_from == PERIOD_SURE;
    m->unwritten = !(nothing && access(m->path, F_OK) != 0) &&
                   (!periods_to_json(&m->periods, &text, &err) || !file_write_atomic(m->path, buf_str(&text), &err));
    if (m->unwritten)
        log_error("remote", "a change of groups of endpoints cannot be kept, a restart before it can may lose samples: "
                  "%s", err.msg);
    buf_free(&text);
}

struct membership *membership_new(const char *dir)
{
    struct membership *m = xcalloc(1, sizeof *m);
    pthread_mutex_init(&m->lock, NULL);
    m->periods.unsure_from = PERIOD_SURE;
    m->path = dir ? file_join(dir, "routing.json") : NULL;
    if (m->path)
        load(m);
    return m;
}

void membership_free(struct membership *m)
{
    if (!m)
        return;
    membership_keep(m);
    for (size_t i = 0; i < m->periods.n; i++)
        period_unref(m->periods.v[i]);
    pthread_mutex_destroy(&m->lock);
    free(m->path);
    free(m);
}

/* ---- the list; under the lock ---- */

static void remove_at(struct periods *list, size_t i)
{
    period_unref(list->v[i]);
    list->n--;
    memmove(&list->v[i], &list->v[i + 1], (list->n - i) * sizeof list->v[0]);
}

/* Numbers from `next` on are given anew: those of an earlier run never got to the disk. */
static void cut(struct periods *list, uint64_t next)
{
    while (list->n && list->v[list->n - 1]->begin >= next)
        remove_at(list, list->n - 1);
}

/* Nothing that anybody is owed is before `oldest`. */
static bool forget(struct periods *list, uint64_t oldest)
{
    size_t before = list->n;
    while (list->n > 1 && list->v[1]->begin <= oldest)
        remove_at(list, 0);
    if (list->n == 1 && list->v[0]->groups_n == 0)
        remove_at(list, 0);
    return list->n != before;
}

static void append(struct periods *list, struct period *p)
{
    if (list->n == PERIODS_MAX)
        remove_at(list, 0); /* whoever still has blocks of it sends all of them */
    list->v[list->n++] = p;
}

/* What an earlier run was about to do from this number on is not known: then there are no groups. */
static bool settle_unsure(struct periods *list)
{
    const struct config none = {0};
    uint64_t from = list->unsure_from;
    if (from == PERIOD_SURE)
        return false;
    cut(list, from);
    append(list, period_of_config(&none, NULL, from));
    list->unsure_from = PERIOD_SURE;
    return true;
}

static bool is_present(const struct periods *list, const struct period *p)
{
    return list->n ? period_equal(list->v[list->n - 1], p) : p->groups_n == 0;
}

static bool config_is_present(const struct periods *list, const struct config *config)
{
    struct period *p = period_of_config(config, NULL, 0);
    bool present = is_present(list, p);
    period_unref(p);
    return present;
}

/* ---- a change ---- */

static uint64_t switch_queue(struct queue *q, const struct config *config, bool *placed)
{
    const char **names = xcalloc(config->remotes_n + 1, sizeof *names);
    for (size_t i = 0; i < config->remotes_n; i++)
        names[i] = config->remotes[i].name;
    uint64_t next = queue_switch(q, names, config->remotes_n, placed);
    free(names);
    return next;
}

/* An endpoint that asks for a block after this finds its period; one that has asked before has a block of before. */
static bool change(struct membership *m, struct queue *q, const struct config *config)
{
    uint64_t oldest, next;
    bool *placed = xcalloc(config->remotes_n + 1, sizeof *placed);
    pthread_mutex_lock(&m->lock);
    uint64_t begin = switch_queue(q, config, placed);
    struct period *p = period_of_config(config, placed, begin);
    queue_range(q, &oldest, &next);
    cut(&m->periods, begin);
    bool changed = !is_present(&m->periods, p);
    if (changed)
        append(&m->periods, p);
    else
        period_unref(p);
    changed = forget(&m->periods, oldest) || changed;
    pthread_mutex_unlock(&m->lock);
    free(placed);
    return changed;
}

/* The file says first that something is about to change. */
static bool announce(struct membership *m, struct queue *q, const struct config *config)
{
    uint64_t oldest, next;
    queue_range(q, &oldest, &next);
    pthread_mutex_lock(&m->lock);
    bool news = settle_unsure(&m->periods);
    bool changes = !config_is_present(&m->periods, config);
    m->periods.unsure_from = changes ? next : PERIOD_SURE;
    pthread_mutex_unlock(&m->lock);
    if (changes)
        save(m);
    pthread_mutex_lock(&m->lock);
    m->periods.unsure_from = PERIOD_SURE;
    pthread_mutex_unlock(&m->lock);
    return news || changes;
}

void membership_switch(struct membership *m, struct queue *q, const struct config *config)
{
    bool announced = announce(m, q, config);
    m->unwritten = change(m, q, config) || announced || m->unwritten;
}

void membership_keep(struct membership *m)
{
    if (m->unwritten)
        save(m);
}

static bool rename_in(struct period_group *group, const char *from, const char *to)
{
    bool any = false;
    for (size_t i = 0; i < group->g.members_n; i++) {
        char **endpoint = &group->endpoints[i];
        bool old = strcmp(*endpoint, from) == 0, taken = strcmp(*endpoint, to) == 0;
        if (!old && !taken)
            continue;
        free(*endpoint);
        *endpoint = xstrdup(old ? to : ""); /* an endpoint of that name that was there once had nothing left to send */
        any = true;
    }
    return any;
}

void membership_rename(struct membership *m, const char *from, const char *to)
{
    bool any = false;
    pthread_mutex_lock(&m->lock);
    for (size_t i = 0; i < m->periods.n; i++) {
        for (size_t k = 0; k < m->periods.v[i]->groups_n; k++)
            any = rename_in(&m->periods.v[i]->groups[k], from, to) || any;
    }
    pthread_mutex_unlock(&m->lock);
    if (any)
        save(m);
}

/* ---- questions ---- */

/* The endpoint's part in the period; everything when it has none. */
static struct route route_in(const struct period *p, const char *endpoint)
{
    for (size_t i = 0; i < p->groups_n; i++) {
        const struct period_group *group = &p->groups[i];
        for (size_t k = 0; k < group->g.members_n; k++) {
            if (strcmp(group->endpoints[k], endpoint) == 0)
                return (struct route){&group->g, group->members[k]};
        }
    }
    return (struct route){0};
}

struct period *membership_route(struct membership *m, const char *endpoint, uint64_t seq, struct route *route,
                                uint64_t *until)
{
    struct period *found = NULL;
    *route = (struct route){0};
    *until = UINT64_MAX;
    pthread_mutex_lock(&m->lock);
    size_t i = m->periods.n;
    while (i > 0 && m->periods.v[i - 1]->begin > seq)
        *until = m->periods.v[--i]->begin;
    if (i > 0) {
        struct period *p = m->periods.v[i - 1];
        *route = route_in(p, endpoint);
        if (route->group) {
            __atomic_add_fetch(&p->refs, 1, __ATOMIC_RELAXED);
            found = p;
        }
    }
    pthread_mutex_unlock(&m->lock);
    return found;
}

void membership_release(struct period *p)
{
    period_unref(p);
}
