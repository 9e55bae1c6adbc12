/* SPDX-License-Identifier: Apache-2.0 */
/* find_order: metadata that comes late or twice, and families that are taken up again after another one. */
#include "find.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "map.h"

#include <stdlib.h>

/* Of a family; its lines, 0 = none yet. */
struct place {
    uint64_t group; /* families of one group may stand among each other */
    uint64_t help, type, first, last;
    bool split; /* told */
};

struct order {
    struct findings *to;
    struct place *places; /* by family_index */
    size_t n, cap;
    struct map untyped;   /* hash of a name without type -> the line of its first sample */
    uint64_t group;       /* where we are; 0 before the first sample */
    uint64_t group_line;
};

static const struct str PARTS[] = {{"_bucket", 7}, {"_count", 6}, {"_sum", 4}, {"_total", 6}, {"_created", 8},
                                   {"_info", 5}};

static struct place *place_at(struct order *o, size_t index)
{
    if (index >= o->n) {
        o->places = xgrow(o->places, &o->cap, index + 1, sizeof *o->places);
        memset(o->places + o->n, 0, (index + 1 - o->n) * sizeof *o->places);
        o->n = index + 1;
    }
    return &o->places[index];
}

/* Without TYPE lines the parts of a histogram are families each: they are not taken apart. */
static uint64_t group_of(const struct survey_family *family)
{
    struct str name = str_of(family->lint.name);
    for (size_t i = 0; family->lint.type == BLOCK_UNSPECIFIED && i < sizeof PARTS / sizeof *PARTS; i++) {
        if (name.n > PARTS[i].n && str_ends(name, PARTS[i])) {
            name.n -= PARTS[i].n;
            break;
        }
    }
    return hash_bytes(name.p, name.n) | 1;
}

static void first_sample(struct order *o, struct place *p, const struct survey_sample *s)
{
    struct str name = str_of(s->family->lint.name);
    p->group = group_of(s->family);
    p->first = s->raw->line;
    if (s->family->lint.type == BLOCK_UNSPECIFIED)
        *map_at(&o->untyped, hash_bytes(name.p, name.n)) = s->raw->line;
}

static void on_sample(void *ctx, const struct survey_sample *s)
{
    struct order *o = ctx;
    struct place *p = place_at(o, s->family_index);
    if (!p->first) {
        first_sample(o, p, s);
    } else if (p->group != o->group && !p->split) {
        struct finding_at at = {s->raw->line, p->last, str_of(s->family->lint.name)};
        p->split = true;
        findings_add(o->to, FINDING_SPLIT_FAMILY, &at, "goes on after samples of others");
    }
    if (p->group != o->group) {
        o->group = p->group;
        o->group_line = s->raw->line;
    }
    p->last = s->raw->line;
}

/* The first line of samples that a TYPE line should have stood before; 0 = there are none. */
static uint64_t samples_before(const struct order *o, const struct survey_meta *m)
{
    bool whole = m->type == BLOCK_HISTOGRAM || m->type == BLOCK_SUMMARY;
    for (size_t i = 0; whole && i < 3; i++) {
        char *name = xasprintf("%.*s%s", STR_ARG(m->name), PARTS[i].p);
        uint64_t key = hash_bytes(name, strlen(name));
        free(name);
        const uint64_t *line = map_find(&o->untyped, key);
        if (line)
            return *line;
    }
    return 0;
}

static void on_meta(void *ctx, const struct survey_meta *m)
{
    struct order *o = ctx;
    struct place *p = place_at(o, m->family_index);
    struct finding_at at = {.line = m->line, .subject = m->name};
    if (m->kind == SURVEY_UNIT)
        return;
    const char *what = m->kind == SURVEY_TYPE ? "TYPE" : "HELP";
    uint64_t *seen = m->kind == SURVEY_TYPE ? &p->type : &p->help;
    if (*seen) {
        at.other_line = *seen;
        findings_add(o->to, FINDING_METADATA_TWICE, &at, "a second %s", what);
        return;
    }
    *seen = m->line;
    at.other_line = p->first ? p->first : samples_before(o, m);
    if (at.other_line && m->kind == SURVEY_TYPE)
        findings_add(o->to, FINDING_METADATA_AFTER_SAMPLES, &at, "TYPE after its samples");
}

static void on_begin(void *ctx, enum exposition_format format)
{
    struct order *o = ctx;
    (void)format;
    o->n = 0;
    o->group = 0;
    map_free(&o->untyped);
}

static void free_order(void *ctx)
{
    struct order *o = ctx;
    free(o->places);
    map_free(&o->untyped);
    free(o);
}

struct find_check find_order(const struct find_for *to)
{
    struct order *o = xcalloc(1, sizeof *o);
    o->to = to->findings;
    return (struct find_check){.watcher = {on_begin, on_sample, on_meta, NULL, o}, .free = free_order};
}
