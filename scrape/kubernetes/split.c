/* SPDX-License-Identifier: Apache-2.0 */
/* split: follows brackets, strings and keys, nothing else of JSON; who gets a piece parses it. */
#include "split.h"

#include <string.h>

/* Objects and lists of these names are left out wherever they stand. Labels and annotations are strings and stay,
   whatever they are called. */
static const char *const unneeded[] = {
    "affinity", "args", "command", "dnsConfig", "env", "envFrom", "images", "lifecycle",
    "livenessProbe", "managedFields", "nodeInfo", "readinessProbe", "resources", "securityContext", "startupProbe",
    "tolerations", "topologySpreadConstraints", "volumeMounts", "volumes", "volumesAttached", "volumesInUse",
};

void split_init(struct split *s, enum split_mode mode, split_fn *fn, void *ctx)
{
    *s = (struct split){.fn = fn, .ctx = ctx, .mode = mode};
    buf_init(&s->out, SPLIT_OBJECT_MAX);
}

void split_free(struct split *s)
{
    buf_free(&s->out);
}

bool split_is_whole(const struct split *s)
{
    return s->depth == 0 && !s->in_string;
}

static bool key_is(const struct split *s, const char *name)
{
    return str_eq_c(str_make(s->key, s->key_n), name);
}

static bool is_unneeded(const struct split *s)
{
    size_t low = 0, high = sizeof unneeded / sizeof unneeded[0];
    struct str key = str_make(s->key, s->key_n);
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_cmp(key, str_of(unneeded[middle]));
        if (order == 0)
            return true;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return false;
}

static bool in_list(const struct split *s)
{
    return s->depth > 0 && s->lists >> (s->depth - 1) & 1;
}

/* An object begins here that is a piece. */
static bool begins_piece(const struct split *s, char bracket, bool is_value, bool *item)
{
    if (s->taking || bracket != '{')
        return false;
    *item = s->mode == SPLIT_WATCH ? s->depth == 0 : s->in_items && s->depth == 2;
    return *item || (s->mode == SPLIT_LIST && s->depth == 1 && is_value && key_is(s, "metadata"));
}

/* A bracket opens; `add` tells whether it goes into the piece. */
static bool open_bracket(struct split *s, char bracket, struct err *err)
{
    bool is_value = s->colon, item = false;
    s->colon = false;
    if (s->depth == SPLIT_DEPTH_MAX)
        return err_set(err, "byte %llu: more than %d levels", (unsigned long long)s->bytes, SPLIT_DEPTH_MAX);
    if (s->mode == SPLIT_LIST && s->depth == 0 && bracket == '[')
        return err_set(err, "byte %llu: a list where an object is expected", (unsigned long long)s->bytes);
    if (begins_piece(s, bracket, is_value, &item)) {
        s->taking = true;
        s->item = item;
        s->taken_depth = s->depth;
        buf_clear(&s->out);
    } else if (s->mode == SPLIT_LIST && s->depth == 1 && is_value && bracket == '[' && key_is(s, "items")) {
        s->in_items = true;
    } else if (s->taking && s->skip_depth == 0 && is_value && is_unneeded(s)) {
        buf_add(&s->out, "null", 4);
        s->skip_depth = s->depth + 1;
    }
    uint64_t bit = (uint64_t)1 << s->depth;
    s->lists = bracket == '[' ? s->lists | bit : s->lists & ~bit;
    s->depth++;
    if (s->taking && s->skip_depth == 0)
        buf_add_char(&s->out, bracket);
    return true;
}

static bool give(struct split *s, struct err *err)
{
    s->taking = false;
    if (s->out.overflow)
        return err_set(err, "byte %llu: an object of more than %zu MiB", (unsigned long long)s->bytes,
                       SPLIT_OBJECT_MAX >> 20);
    return s->fn(s->ctx, s->item, buf_str(&s->out), err);
}

static bool close_bracket(struct split *s, char bracket, struct err *err)
{
    if (s->depth == 0 || in_list(s) != (bracket == ']'))
        return err_set(err, "byte %llu: '%c' closes nothing", (unsigned long long)s->bytes, bracket);
    s->depth--;
    s->colon = false;
    if (s->taking && s->skip_depth == 0)
        buf_add_char(&s->out, bracket);
    if (s->skip_depth == s->depth + 1)
        s->skip_depth = 0;
    if (s->in_items && s->depth == 1)
        s->in_items = false;
    return !s->taking || s->depth != s->taken_depth || give(s, err);
}

/* A run of a string's bytes; ends behind its closing quote. */
static size_t take_string(struct split *s, struct str bytes)
{
    size_t i = 0;
    while (i < bytes.n && s->in_string) {
        char c = bytes.p[i++];
        if (!s->escaped && c == '"') {
            s->in_string = false;
            break;
        }
        s->escaped = !s->escaped && c == '\\';
        if (s->key_n < sizeof s->key)
            s->key[s->key_n] = c;
        s->key_n++;
    }
    if (s->key_n > sizeof s->key)
        s->key_n = sizeof s->key; /* no name is that long */
    if (s->taking && s->skip_depth == 0)
        buf_add(&s->out, bytes.p, i);
    return i;
}

static bool take_char(struct split *s, char c, struct err *err)
{
    if (c == '{' || c == '[')
        return open_bracket(s, c, err);
    if (c == '}' || c == ']')
        return close_bracket(s, c, err);
    if (c == ' ' || c == '\n' || c == '\t' || c == '\r')
        return true;
    if (s->depth == 0)
        return err_set(err, "byte %llu: '%c' where an object is expected", (unsigned long long)s->bytes,
                       c >= ' ' && c < 127 ? c : '?');
    if (c == '"') {
        s->in_string = true;
        s->escaped = false;
        s->key_n = 0;
    }
    s->colon = c == ':' || (s->colon && c != ',' && c != '"');
    if (s->taking && s->skip_depth == 0)
        buf_add_char(&s->out, c);
    return true;
}

bool split_feed(struct split *s, struct str bytes, struct err *err)
{
    bool ok = true;
    while (ok && bytes.n > 0) {
        size_t n = 1;
        if (s->in_string)
            n = take_string(s, bytes);
        else
            ok = take_char(s, bytes.p[0], err);
        s->bytes += n;
        bytes = str_skip(bytes, n);
    }
    return ok;
}
