/* SPDX-License-Identifier: Apache-2.0 */
/* yaml: builds the node tree from libyaml's events, bounded in size, depth and alias expansion. */
#include "yaml.h"

#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "base/alloc.h"
#include "env.h"

struct anchor {
    const char *name;
    const struct node *node;
};

struct reader {
    struct arena *arena;
    struct problems *problems;
    const struct yaml_file *file;
    struct env_text env;
    yaml_parser_t parser;
    struct anchor *anchors;
    size_t anchors_n, anchors_cap;
    size_t weight; /* of everything so far */
    bool too_large;
};

static const struct node *read_node(struct reader *r, const yaml_event_t *event, int depth);

static struct place place_of(const struct reader *r, const yaml_mark_t *mark)
{
    struct place at = {r->file, (int)mark->line + 1, (int)mark->column + 1};
    if (r->env.cuts_n > 0)
        env_place(&r->env, mark->index, &at.line, &at.col);
    return at;
}

/* libyaml tells reader errors (encoding) by byte offset only. */
static struct place place_of_offset(const struct reader *r, size_t offset)
{
    struct place at = {r->file, 1, 1};
    struct str text = r->env.text;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        bool next = text.p[i] == '\n';
        at.line += next;
        at.col = next ? 1 : at.col + 1;
    }
    return at;
}

/* The next event, or false after reporting a syntax error. */
static bool next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    const yaml_parser_t *p = &r->parser;
    struct place at = p->error == YAML_READER_ERROR ? place_of_offset(r, p->problem_offset)
                                                    : place_of(r, &p->problem_mark);
    problem_add(r->problems, at, "yaml: %s%s%s%s", p->problem ? p->problem : "out of memory",
                p->context ? " (" : "", p->context ? p->context : "", p->context ? ")" : "");
    return false;
}

/* Accounts for a node; false once the document is too large. */
static bool weigh(struct reader *r, struct place at, size_t weight)
{
    if (weight <= YAML_MAX_NODES - r->weight && r->arena->used < YAML_MAX_MEMORY) {
        r->weight += weight;
        return true;
    }
    if (!r->too_large)
        problem_add(r->problems, at, "the document is too large (more than %d nodes, aliases counted)",
                    YAML_MAX_NODES);
    r->too_large = true;
    return false;
}

static void remember(struct reader *r, const yaml_char_t *anchor, const struct node *node)
{
    if (!anchor || !node)
        return;
    if (r->anchors_n == YAML_MAX_ANCHORS) {
        problem_add(r->problems, node->at, "more than %d anchors", YAML_MAX_ANCHORS);
        return;
    }
    r->anchors = xgrow(r->anchors, &r->anchors_cap, r->anchors_n + 1, sizeof *r->anchors);
    r->anchors[r->anchors_n++] = (struct anchor){arena_strdup(r->arena, (const char *)anchor), node};
}

static const struct node *read_alias(struct reader *r, const yaml_event_t *event)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct place at = place_of(r, &event->start_mark);
    for (size_t i = r->anchors_n; i-- > 0;)
        if (strcmp(r->anchors[i].name, name) == 0)
            return weigh(r, at, r->anchors[i].node->weight) ? r->anchors[i].node : NULL;
    problem_add(r->problems, at, "unknown anchor \"%s\"", name);
    return NULL;
}

static struct node *new_node(struct reader *r, enum node_kind kind, const yaml_event_t *event)
{
    struct place at = place_of(r, &event->start_mark);
    if (!weigh(r, at, 1))
        return NULL;
    struct node *node = arena_alloc(r->arena, sizeof *node);
    node->kind = kind;
    node->at = at;
    node->weight = 1;
    return node;
}

static const struct node *read_scalar(struct reader *r, const yaml_event_t *event)
{
    struct node *node = new_node(r, NODE_SCALAR, event);
    if (!node)
        return NULL;
    struct str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    if (str_find_char(text, '\0') < text.n) {
        problem_add(r->problems, node->at, "a NUL character is not allowed");
        return NULL;
    }
    if (!weigh(r, node->at, text.n / 32))
        return NULL;
    node->weight += text.n / 32;
    node->text = arena_str(r->arena, text);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.plain_implicit;
    remember(r, event->data.scalar.anchor, node);
    return node;
}

static const struct node *read_list(struct reader *r, const yaml_event_t *start, int depth)
{
    struct node *node = new_node(r, NODE_LIST, start);
    const struct node **items = NULL;
    size_t cap = 0, n = 0;
    bool good = node != NULL;
    while (good) {
        yaml_event_t event;
        if (!next_event(r, &event)) {
            good = false;
            break;
        }
        bool end = event.type == YAML_SEQUENCE_END_EVENT;
        const struct node *item = end ? NULL : read_node(r, &event, depth);
        yaml_event_delete(&event);
        if (end)
            break;
        good = item != NULL;
        if (good) {
            items = xgrow(items, &cap, n + 1, sizeof *items);
            items[n++] = item;
            node->weight += item->weight;
        }
    }
    if (good && n > 0) {
        node->items = arena_alloc(r->arena, n * sizeof *items);
        memcpy(node->items, items, n * sizeof *items);
        node->n = n;
    }
    free(items);
    if (!good)
        return NULL;
    remember(r, start->data.sequence_start.anchor, node);
    return node;
}

/* The pairs of a mapping while it is read. */
struct pairs {
    struct pair *v;
    size_t n, cap;
    const struct node *merges[16]; /* values of "<<" */
    size_t merges_n;
};

static bool has_key(const struct pairs *p, struct str key)
{
    for (size_t i = 0; i < p->n; i++)
        if (str_eq(p->v[i].key, key))
            return true;
    return false;
}

static bool add_pair(struct reader *r, struct pairs *p, struct pair pair)
{
    if (p->n == YAML_MAX_KEYS) {
        problem_add(r->problems, pair.at, "more than %d keys in one mapping", YAML_MAX_KEYS);
        return false;
    }
    p->v = xgrow(p->v, &p->cap, p->n + 1, sizeof *p->v);
    p->v[p->n++] = pair;
    return true;
}

/* Adds what the maps behind "<<" have and the mapping itself has not. */
static bool merge(struct reader *r, struct pairs *p, const struct node *from)
{
    if (from->kind == NODE_LIST) {
        for (size_t i = 0; i < from->n; i++)
            if (from->items[i]->kind != NODE_MAP || !merge(r, p, from->items[i])) {
                problem_add(r->problems, from->at, "a list behind << must hold mappings only");
                return false;
            }
        return true;
    }
    if (from->kind != NODE_MAP) {
        problem_add(r->problems, from->at, "<< needs a mapping or a list of mappings");
        return false;
    }
    for (size_t i = 0; i < from->n; i++)
        if (!has_key(p, from->pairs[i].key) && !add_pair(r, p, from->pairs[i]))
            return false;
    return true;
}

/* One "key: value" whose key event has been read. */
static bool read_pair(struct reader *r, struct pairs *p, const yaml_event_t *key_event, int depth)
{
    const struct node *key = read_node(r, key_event, depth);
    yaml_event_t event;
    if (!key || !next_event(r, &event))
        return false;
    const struct node *value = read_node(r, &event, depth);
    yaml_event_delete(&event);
    if (!value)
        return false;
    struct place at = place_of(r, &key_event->start_mark);
    if (key->kind != NODE_SCALAR) {
        problem_add(r->problems, at,
                    "a key must be text, not a %s", key->kind == NODE_LIST ? "list" : "mapping");
        return false;
    }
    if (key->plain && str_eq_c(key->text, "<<")) {
        if (p->merges_n == sizeof p->merges / sizeof p->merges[0]) {
            problem_add(r->problems, at, "too many << in one mapping");
            return false;
        }
        p->merges[p->merges_n++] = value;
        return true;
    }
    if (has_key(p, key->text)) { /* said, and then read on: there may be more to say */
        problem_add(r->problems, at, "field %.*s already set", STR_ARG(key->text));
        return true;
    }
    return add_pair(r, p, (struct pair){key->text, at, value});
}

static bool read_pairs(struct reader *r, struct pairs *p, int depth)
{
    for (;;) {
        yaml_event_t event;
        if (!next_event(r, &event))
            return false;
        bool end = event.type == YAML_MAPPING_END_EVENT;
        bool good = end || read_pair(r, p, &event, depth);
        yaml_event_delete(&event);
        if (!good)
            return false;
        if (end)
            break;
    }
    for (size_t i = 0; i < p->merges_n; i++)
        if (!merge(r, p, p->merges[i]))
            return false;
    return true;
}

static const struct node *read_map(struct reader *r, const yaml_event_t *start, int depth)
{
    struct node *node = new_node(r, NODE_MAP, start);
    struct pairs pairs = {0};
    bool good = node && read_pairs(r, &pairs, depth);
    if (good && pairs.n > 0) {
        node->pairs = arena_alloc(r->arena, pairs.n * sizeof *pairs.v);
        memcpy(node->pairs, pairs.v, pairs.n * sizeof *pairs.v);
        node->n = pairs.n;
        for (size_t i = 0; i < pairs.n; i++)
            node->weight += pairs.v[i].value->weight;
    }
    free(pairs.v);
    if (!good)
        return NULL;
    remember(r, start->data.mapping_start.anchor, node);
    return node;
}

static const struct node *read_node(struct reader *r, const yaml_event_t *event, int depth)
{
    if (depth >= YAML_MAX_DEPTH) {
        problem_add(r->problems, place_of(r, &event->start_mark), "more than %d levels of nesting",
                    YAML_MAX_DEPTH);
        return NULL;
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return read_alias(r, event);
    case YAML_SEQUENCE_START_EVENT:
        return read_list(r, event, depth + 1);
    case YAML_MAPPING_START_EVENT:
        return read_map(r, event, depth + 1);
    default:
        return read_scalar(r, event);
    }
}

/* An event of the frame around the document; false when the parser failed or something else comes. */
static bool expect(struct reader *r, yaml_event_type_t type)
{
    yaml_event_t event;
    if (!next_event(r, &event))
        return false;
    bool good = event.type == type;
    if (!good && type == YAML_STREAM_END_EVENT)
        problem_add(r->problems, place_of(r, &event.start_mark), "a second document is not allowed");
    yaml_event_delete(&event);
    return good;
}

static const struct node *read_document(struct reader *r)
{
    static const yaml_mark_t start = {0, 0, 0};
    yaml_event_t event;
    if (!expect(r, YAML_STREAM_START_EVENT) || !next_event(r, &event))
        return NULL;
    bool empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (empty) {
        struct node *node = arena_alloc(r->arena, sizeof *node);
        *node = (struct node){.kind = NODE_SCALAR, .plain = true, .at = place_of(r, &start)};
        return node;
    }
    if (!next_event(r, &event))
        return NULL;
    const struct node *root = read_node(r, &event, 0);
    yaml_event_delete(&event);
    if (!root || !expect(r, YAML_DOCUMENT_END_EVENT) || !expect(r, YAML_STREAM_END_EVENT))
        return NULL;
    return root;
}

const struct node *yaml_parse(struct arena *arena, const struct yaml_file *file, struct str text,
                              struct problems *problems)
{
    struct reader r = {.arena = arena, .problems = problems, .file = file};
    if (text.n > YAML_MAX_BYTES || !env_expand(arena, text, YAML_MAX_BYTES, &r.env)) {
        problem_add(problems, (struct place){file, 1, 1}, "larger than %zu MiB", YAML_MAX_BYTES >> 20);
        return NULL;
    }
    if (!yaml_parser_initialize(&r.parser))
        abort();
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    static const unsigned char nothing[1];
    yaml_parser_set_input_string(&r.parser, r.env.text.n ? (const unsigned char *)r.env.text.p : nothing,
                                 r.env.text.n);
    const struct node *root = read_document(&r);
    yaml_parser_delete(&r.parser);
    free(r.anchors);
    return root;
}

const struct node *node_get(const struct node *map, const char *key)
{
    if (!map || map->kind != NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (str_eq_c(map->pairs[i].key, key))
            return map->pairs[i].value;
    return NULL;
}

bool node_is_null(const struct node *node)
{
    if (!node)
        return true;
    struct str t = node->text;
    return node->kind == NODE_SCALAR && node->plain &&
           (t.n == 0 || str_eq_c(t, "~") || str_eq_c(t, "null") || str_eq_c(t, "Null") ||
            str_eq_c(t, "NULL"));
}

bool node_is_empty(const struct node *node)
{
    return node_is_null(node) || (node->kind == NODE_SCALAR ? node->text.n == 0 : node->n == 0);
}
