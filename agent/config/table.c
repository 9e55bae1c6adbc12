/* SPDX-License-Identifier: Apache-2.0 */
/* table: reads mappings by their field tables. */
#include "table.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "base/units.h"
#include "load.h"

static const char *kind_name(const struct node *node)
{
    return node->kind == NODE_SCALAR ? "a single value" : node->kind == NODE_LIST ? "a list" : "a mapping";
}

/* Replaces a heap string; NULL for an empty text. */
static void text_set(char **to, struct str value)
{
    free(*to);
    *to = value.n > 0 ? str_dup(value) : NULL;
}

bool field_given(const struct node *map, const char *key)
{
    return !node_is_empty(node_get(map, key));
}

struct place field_place(const struct node *map, const char *key)
{
    const struct node *value = node_get(map, key);
    return value ? value->at : map->at;
}

bool node_text(struct load *l, const struct node *node, const char *what, struct str *text)
{
    if (node->kind != NODE_SCALAR) {
        problem_add(&l->problems, node->at, "%s: expected a single value, found %s", what, kind_name(node));
        return false;
    }
    *text = node_is_null(node) ? STR("") : node->text;
    return true;
}

bool node_is_list(struct load *l, const struct node *node, const char *what)
{
    if (node->kind == NODE_LIST)
        return true;
    if (!node_is_null(node))
        problem_add(&l->problems, node->at, "%s: expected a list, found %s", what, kind_name(node));
    return false;
}

bool node_is_map(struct load *l, const struct node *node, const char *what)
{
    if (node->kind == NODE_MAP)
        return true;
    if (!node_is_null(node))
        problem_add(&l->problems, node->at, "%s: expected a mapping, found %s", what, kind_name(node));
    return false;
}

const struct node *node_map_at(struct load *l, const struct node *list, size_t i, const char *what, const char *empty)
{
    const struct node *item = list->items[i];
    if (node_is_null(item)) {
        problem_add(&l->problems, item->at, "%s", empty);
        return NULL;
    }
    return node_is_map(l, item, what) ? item : NULL;
}

int words_index(const char *words, struct str text)
{
    struct str rest = str_of(words);
    for (int i = 0; ; i++) {
        size_t end = str_find_char(rest, '|');
        if (str_eq(str_make(rest.p, end), text))
            return i;
        if (end == rest.n)
            return -1;
        rest = str_skip(rest, end + 1);
    }
}

static bool bytes_parse(struct str text, uint64_t *bytes, struct err *err)
{
    return units_parse_u64(text, bytes) || units_parse_size(text, bytes, err);
}

/* One value on its way from text to its place. */
struct target {
    struct load *l;
    const struct field *f;
    struct place at;
    struct str text;
    const struct yaml_file *file;
};

static bool parse_number(const struct target *t, uint64_t *v)
{
    struct err err = {0};
    int64_t ms = 0;
    bool good;
    switch (t->f->type) {
    case FIELD_COUNT:
        good = units_parse_u64(t->text, v) ||
               err_set(&err, "\"%.*s\" is not a whole number of at least 0", STR_ARG(t->text));
        break;
    case FIELD_SIZE:
        good = units_parse_size(t->text, v, &err);
        break;
    case FIELD_BYTES:
        good = bytes_parse(t->text, v, &err);
        break;
    case FIELD_BYTES_VM:
        good = units_parse_size_vm(t->text, v) || err_set(&err, "\"%.*s\" is not a size", STR_ARG(t->text));
        break;
    default:
        good = units_parse_duration_vm(t->text, &ms, &err) &&
               (ms >= 0 || err_set(&err, "not a valid duration string: \"%.*s\"", STR_ARG(t->text)));
        *v = (uint64_t)ms;
    }
    if (good && *v < t->f->min) {
        const char *unit = t->f->type == FIELD_DURATION ? "ms" : "";
        good = err_set(&err, "\"%.*s\" is less than %llu%s", STR_ARG(t->text), (unsigned long long)t->f->min,
                       unit);
    }
    if (!good)
        problem_add(&t->l->problems, t->at, "%s: %s", t->f->name, err.msg);
    return good;
}

static bool parse_double(const struct target *t, double *v)
{
    char *end = NULL;
    char *text = str_dup(t->text);
    *v = strtod(text, &end);
    bool good = t->text.n > 0 && *end == '\0' && isfinite(*v) && *v >= 0;
    free(text);
    if (!good)
        problem_add(&t->l->problems, t->at, "%s: \"%.*s\" is not a number of at least 0", t->f->name,
                    STR_ARG(t->text));
    return good;
}

static bool parse_bool(const struct target *t, bool plain, bool *v)
{
    if (plain && units_parse_bool(t->text, v))
        return true;
    problem_add(&t->l->problems, t->at, "%s: \"%.*s\" is not a boolean: write true or false%s", t->f->name,
                STR_ARG(t->text), plain ? "" : " without quotes");
    return false;
}

static bool parse_word(const struct target *t, unsigned *index)
{
    int found = words_index(t->f->words, t->text);
    if (found < 0)
        problem_add(&t->l->problems, t->at, "%s: unknown value \"%.*s\", expected one of %s", t->f->name,
                    STR_ARG(t->text), t->f->words);
    *index = (unsigned)found;
    return found >= 0;
}

static void store_file(const struct target *t, char **to)
{
    text_set(to, t->text);
    if (!*to)
        return;
    char *name = *to;
    *to = file_join(t->file->dir, name);
    free(name);
    if (t->f->type == FIELD_FILE && t->l->check_files && access(*to, R_OK) != 0)
        problem_add(&t->l->problems, t->at, "%s \"%s\": %s", t->f->name, *to, strerror(errno));
}

/* The length of "scheme://" when the field takes that scheme. */
static size_t scheme_length(const struct field *f, struct str text)
{
    size_t n = str_find(text, STR("://"));
    return words_index(f->words ? f->words : "http|https", str_make(text.p, n)) < 0 ? 0 : n + 3;
}

static void store_url(const struct target *t, char **to)
{
    size_t scheme = scheme_length(t->f, t->text);
    struct str rest = scheme > 0 ? str_skip(t->text, scheme) : STR_NULL;
    bool good = rest.n > 0 && rest.p[0] != '/' && rest.p[0] != '?' && rest.p[0] != '#';
    for (size_t i = 0; i < t->text.n; i++)
        good = good && (unsigned char)t->text.p[i] > ' ' && t->text.p[i] != 0x7f;
    if (good)
        text_set(to, t->text);
    else if (t->text.n > 0 && t->f->words)
        problem_add(&t->l->problems, t->at, "%s: not a URL with a host and one of the schemes %s", t->f->name,
                    t->f->words);
    else if (t->text.n > 0)
        problem_add(&t->l->problems, t->at, "%s: not a URL with http:// or https:// and a host", t->f->name);
}

/* One of the field's words: as text, number or truth. */
static void store_word(const struct target *t, char *to)
{
    unsigned index = 0;
    bool nothing = t->text.n == 0 && !t->f->standard;
    if (nothing || !parse_word(t, &index) || !to)
        return;
    if (t->f->type == FIELD_WORD)
        text_set((char **)(void *)to, t->text);
    else if (t->f->type == FIELD_ENUM)
        *(unsigned *)(void *)to = index;
    else
        *(bool *)(void *)to = index == 1;
}

/* An empty text is a value where there is a default to replace. */
static void store_text(const struct target *t, char **to)
{
    text_set(to, t->text);
    if (t->text.n == 0 && t->f->standard)
        *to = xstrdup("");
}

/* Numbers and booleans are parsed even when they are kept nowhere, so that nonsense is never accepted. */
static void store(const struct target *t, bool plain, void *base)
{
    char *to = base ? (char *)base + t->f->at : NULL;
    uint64_t number = 0;
    double real = 0;
    bool flag = false;
    switch (t->f->type) {
    case FIELD_BOOL:
        if (parse_bool(t, plain, &flag) && to)
            *(bool *)(void *)to = flag;
        break;
    case FIELD_COUNT:
    case FIELD_SIZE:
    case FIELD_BYTES:
    case FIELD_BYTES_VM:
    case FIELD_DURATION: /* int64_t and uint64_t may alias */
        if (parse_number(t, &number) && to)
            *(uint64_t *)(void *)to = number;
        break;
    case FIELD_NUMBER:
        if (parse_double(t, &real) && to)
            *(double *)(void *)to = real;
        break;
    case FIELD_WORD:
    case FIELD_ENUM:
    case FIELD_FLAG:
        store_word(t, to);
        break;
    case FIELD_FILE:
    case FIELD_PATH:
        if (to)
            store_file(t, (char **)(void *)to);
        break;
    case FIELD_URL:
        if (to)
            store_url(t, (char **)(void *)to);
        break;
    case FIELD_TEXT:
    case FIELD_SECRET:
        if (to)
            store_text(t, (char **)(void *)to);
        break;
    case FIELD_SECTION:
    case FIELD_OWN:
        break;
    }
}

void section_defaults(struct load *l, const struct section *s, void *to)
{
    for (size_t i = 0; i < s->fields_n; i++) {
        const struct field *f = &s->fields[i];
        if (f->status != FIELD_WORKS)
            continue;
        if (f->type == FIELD_SECTION)
            section_defaults(l, f->section, (char *)to + f->at);
        else if (f->standard)
            store(&(struct target){.l = l, .f = f, .text = str_of(f->standard)}, true, to);
    }
    if (s->more)
        section_defaults(l, s->more, (char *)to + s->more_at);
}

static void refuse(struct load *l, const struct field *f, const struct pair *pair)
{
    const struct node *v = pair->value;
    if (f->status == FIELD_NEVER) {
        problem_add(&l->problems, pair->at, "field %s is not allowed in agent mode: %s", f->name, f->help);
        return;
    }
    if (node_is_null(v) || (v->kind != NODE_SCALAR && v->n == 0))
        return; /* asks for nothing */
    if (f->words && v->kind == NODE_SCALAR && words_index(f->words, v->text) >= 0)
        return;
    if (f->load)
        f->load(l, v, NULL);
    else if (f->words && *f->words)
        problem_add(&l->problems, pair->at, "field %s is not supported yet (only %s)", f->name, f->words);
    else if (f->discovery)
        problem_add(&l->problems, pair->at,
                    "field %s is not supported: have a service list these targets as JSON for http_sd_configs, or a "
                    "script write them to a file for file_sd_configs", f->name);
    else
        problem_add(&l->problems, pair->at, "field %s is not supported yet", f->name);
}

static void load_field(struct load *l, const struct field *f, const struct pair *pair, void *to)
{
    const struct node *v = pair->value;
    if (f->status == FIELD_LATER || f->status == FIELD_NEVER) {
        refuse(l, f, pair);
        return;
    }
    /* An empty section asks for its defaults, an empty text for nothing. */
    if (f->has && !(f->type == FIELD_SECTION ? node_is_null(v) : node_is_empty(v)))
        *(bool *)(void *)((char *)to + f->has - 1) = true;
    if (f->type == FIELD_OWN) {
        if (f->load)
            f->load(l, v, (char *)to + f->at);
    } else if (f->type == FIELD_SECTION) {
        section_load(l, f->section, v, (char *)to + f->at);
    } else if (!node_is_null(v)) {
        struct target t = {.l = l, .f = f, .at = v->at, .file = v->at.file};
        if (node_text(l, v, f->name, &t.text))
            store(&t, v->plain, f->status == FIELD_NO_EFFECT ? NULL : to);
    }
}

static const struct field *find_field(const struct section *s, struct str name)
{
    for (size_t i = 0; i < s->fields_n; i++)
        if (str_eq_c(name, s->fields[i].name))
            return &s->fields[i];
    return NULL;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Levenshtein's distance; b is one of our own names. */
static size_t distance(struct str a, struct str b)
{
    size_t row[64];
    if (a.n >= 64 || b.n >= 64)
        return 64;
    for (size_t j = 0; j <= b.n; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t change = diagonal + (a.p[i - 1] != b.p[j - 1]);
            diagonal = row[j];
            row[j] = smaller(change, 1 + smaller(row[j], row[j - 1]));
        }
    }
    return row[b.n];
}

static void unknown_field(struct load *l, const struct section *s, const struct pair *pair)
{
    const char *best = NULL;
    size_t best_distance = pair->key.n / 3 + 2;
    for (const struct section *in = s; in; in = in->more)
        for (size_t i = 0; i < in->fields_n; i++) {
            size_t d = distance(pair->key, str_of(in->fields[i].name));
            if (in->fields[i].status != FIELD_NEVER && d < best_distance) {
                best_distance = d;
                best = in->fields[i].name;
            }
        }
    problem_add(&l->problems, pair->at, best ? "field %.*s not found in %s, did you mean \"%s\"?"
                                             : "field %.*s not found in %s",
                STR_ARG(pair->key), s->name, best);
}

void section_load(struct load *l, const struct section *s, const struct node *node, void *to)
{
    if (!node_is_map(l, node, s->name))
        return;
    for (size_t i = 0; i < node->n; i++) {
        const struct pair *pair = &node->pairs[i];
        char *base = to;
        const struct section *in = s;
        const struct field *f = find_field(in, pair->key);
        while (!f && in->more) {
            base += in->more_at;
            in = in->more;
            f = find_field(in, pair->key);
        }
        if (f)
            load_field(l, f, pair, base);
        else
            unknown_field(l, s, pair);
    }
    char *base = to;
    for (const struct section *in = s; in; base += in->more_at, in = in->more)
        if (in->check)
            in->check(l, node, base);
}
