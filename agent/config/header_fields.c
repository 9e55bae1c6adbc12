/* SPDX-License-Identifier: Apache-2.0 */
/* header_fields: headers that the user wants sent, to servers and to proxies. Rules and messages:
   prometheus/common config/headers.go. */
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/file.h"
#include "http_fields.h"

bool name_is(struct str name, const char *lower)
{
    return name.n == strlen(lower) && strncasecmp(name.p, lower, name.n) == 0;
}

/* Headers. Two notations for `headers`: a mapping (Prometheus's remote_write) and a list of "Name: value"
   (vmagent), and http_headers (Prometheus), where one may have several values. */

#define RESERVED \
    "content-encoding|content-length|content-type|user-agent|connection|keep-alive|proxy-authenticate|" \
    "proxy-authorization|www-authenticate|accept-encoding|x-prometheus-remote-write-version|" \
    "x-prometheus-remote-read-version|x-prometheus-scrape-timeout-seconds|transfer-encoding|x-amz-date|" \
    "x-amz-security-token|x-amz-content-sha256"

static bool is_header_name(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!isalnum((unsigned char)s.p[i]) && !strchr("!#$%&'*+-.^_`|~", s.p[i]))
            return false;
    return s.n > 0;
}

static bool is_header_value(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (((unsigned char)s.p[i] < ' ' && s.p[i] != '\t') || s.p[i] == 0x7f)
            return false;
    return true;
}

static bool is_reserved(struct str name)
{
    char lower[64];
    if (name.n >= sizeof lower)
        return false;
    for (size_t i = 0; i < name.n; i++)
        lower[i] = (char)tolower((unsigned char)name.p[i]);
    return words_index(RESERVED, str_make(lower, name.n)) >= 0;
}

/* One of the lists in the options. */
struct header_list {
    struct http_header **v;
    size_t *n;
};

static struct header_list list_of(struct http_options *o)
{
    return (struct header_list){&o->headers, &o->headers_n};
}

/* NULL after a problem. Valid until the next one is added. */
static struct http_header *add_header(struct load *l, struct header_list to, struct place at, struct str name,
                                      struct str value)
{
    if (!is_header_name(name) || !is_header_value(value)) {
        problem_add(&l->problems, at, "\"%.*s\" is not a valid header", STR_ARG(name));
        return NULL;
    }
    *to.v = xrealloc(*to.v, (*to.n + 1) * sizeof **to.v);
    struct http_header *h = &(*to.v)[(*to.n)++];
    *h = (struct http_header){str_dup(name), str_dup(value), hide_sounds_secret(name), NULL};
    return h;
}

char *load_file_name(struct load *l, const struct node *value, const char *what)
{
    struct str name;
    if (!node_text(l, value, what, &name) || name.n == 0)
        return NULL;
    char *path = file_join(value->at.file->dir, name.p);
    if (!l->check_files || access(path, R_OK) == 0)
        return path;
    problem_add(&l->problems, value->at, "%s \"%s\": %s", what, path, strerror(errno));
    free(path);
    return NULL;
}

/* ---- headers: a mapping (Prometheus's remote_write) or a list of "Name: value" (vmagent) ---- */

static void load_header_lines(struct load *l, const struct node *list, struct http_options *o)
{
    for (size_t i = 0; i < list->n; i++) {
        struct str line;
        if (!node_text(l, list->items[i], "headers", &line))
            continue;
        struct place at = list->items[i]->at;
        size_t colon = str_find_char(line, ':');
        struct str name = str_trim(str_make(line.p, colon));
        if (colon == line.n)
            problem_add(&l->problems, at,
                        "missing ':' in header \"%.*s\": write \"Name: value\"", STR_ARG(line));
        else if (is_reserved(name))
            problem_add(&l->problems, at, "%.*s is a reserved header. It must not be changed", STR_ARG(name));
        else
            add_header(l, list_of(o), at, name, str_trim(str_skip(line, colon + 1)));
    }
}

void load_headers(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    if (value->kind == NODE_LIST) {
        load_header_lines(l, value, o);
        return;
    }
    if (!node_is_map(l, value, "headers"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        struct str text;
        if (name_is(pair->key, "authorization"))
            problem_add(&l->problems, pair->at,
                        "authorization header must be changed via the basic_auth, authorization, oauth2, "
                        "sigv4, azuread or google_iam parameter");
        else if (name_is(pair->key, "host") || is_reserved(pair->key))
            problem_add(&l->problems, pair->at, "%.*s is a reserved header. It must not be changed",
                        STR_ARG(pair->key));
        else if (node_text(l, pair->value, "headers", &text))
            add_header(l, list_of(o), pair->at, pair->key, text);
    }
}

void show_headers(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    struct buf line;
    buf_init(&line, (size_t)1 << 20);
    bool named = false;
    for (size_t i = 0; i < o->headers_n; i++) {
        const struct http_header *h = &o->headers[i];
        if (h->file)
            continue;
        if (!named)
            dump_name(d, f->name);
        named = true;
        buf_clear(&line);
        buf_addf(&line, "%s: %s", h->name, h->secret && !d->secrets ? "<secret>" : h->value);
        dump_item(d, buf_str(&line));
    }
    buf_free(&line);
}

/* ---- http_headers (Prometheus): values, secrets and files of each name ---- */

static const struct field http_headers_fields[] = {
    {"values", FIELD_OWN, .help = "values to send, each in a header of its own"},
    {"secrets", FIELD_OWN, .help = "values to send and never to show"},
    {"files", FIELD_OWN, .help = "files with values to send; read again when they change"},
};

const struct section section_headers = {
    .name = "http_headers",
    .help = "for each header's name, what to send",
    FIELDS(http_headers_fields),
};

static void load_header_value(struct load *l, const struct pair *header, const struct node *value,
                              const char *kind, struct http_options *o)
{
    struct str text;
    struct http_header *h;
    char *path = NULL;
    if (strcmp(kind, "files") == 0) {
        path = load_file_name(l, value, kind);
        h = path ? add_header(l, list_of(o), value->at, header->key, STR("")) : NULL;
    } else {
        h = node_text(l, value, kind, &text) ? add_header(l, list_of(o), value->at, header->key, text) : NULL;
    }
    if (!h) {
        free(path);
        return;
    }
    h->file = path;
    h->secret = h->secret || path || strcmp(kind, "secrets") == 0;
}

static void load_header_values(struct load *l, const struct pair *header, const struct pair *field,
                               struct http_options *o)
{
    const char *kind = field->key.p;
    if (words_index("values|secrets|files", field->key) < 0)
        problem_add(&l->problems, field->at, "field %s not found in http_headers", kind);
    else if (node_is_list(l, field->value, kind))
        for (size_t i = 0; i < field->value->n; i++)
            load_header_value(l, header, field->value->items[i], kind, o);
}

void load_http_headers(struct load *l, const struct node *value, void *to)
{
    if (!node_is_map(l, value, "http_headers"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *header = &value->pairs[i];
        if (name_is(header->key, "authorization") || name_is(header->key, "host") ||
            is_reserved(header->key)) {
            problem_add(&l->problems, header->at,
                        "setting header \"%.*s\" is not allowed", STR_ARG(header->key));
            continue;
        }
        if (!node_is_map(l, header->value, "http_headers"))
            continue;
        for (size_t k = 0; k < header->value->n; k++)
            load_header_values(l, header, &header->value->pairs[k], to);
    }
}

void show_header_files(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    const char *name = NULL;
    for (size_t i = 0; i < o->headers_n; i++) {
        const struct http_header *h = &o->headers[i];
        if (!h->file)
            continue;
        if (!name)
            dump_name(d, f->name);
        d->indent += 2;
        if (!name || strcmp(name, h->name) != 0)
            dump_name(d, h->name);
        d->indent += 2;
        if (!name || strcmp(name, h->name) != 0)
            dump_name(d, "files");
        dump_item(d, str_of(h->file));
        d->indent -= 4;
        name = h->name;
    }
}

/* ---- proxy_connect_header: a list of secrets for each name ---- */

void load_connect_headers(struct load *l, const struct node *value, void *to)
{
    struct http_options *o = to;
    struct header_list list = {&o->proxy_connect_headers, &o->proxy_connect_headers_n};
    if (!node_is_map(l, value, "proxy_connect_header"))
        return;
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *header = &value->pairs[i];
        if (!node_is_list(l, header->value, "proxy_connect_header"))
            continue;
        for (size_t k = 0; k < header->value->n; k++) {
            const struct node *item = header->value->items[k];
            struct str text;
            struct http_header *h = NULL;
            if (node_text(l, item, "proxy_connect_header", &text))
                h = add_header(l, list, item->at, header->key, text);
            if (h)
                h->secret = true;
        }
    }
}

void show_connect_headers(struct dump *d, const struct field *f, const void *from)
{
    const struct http_options *o = from;
    if (o->proxy_connect_headers_n == 0)
        return;
    dump_name(d, f->name);
    d->indent += 2;
    for (size_t i = 0; i < o->proxy_connect_headers_n; i++) {
        const struct http_header *h = &o->proxy_connect_headers[i];
        if (i == 0 || strcmp(h[-1].name, h->name) != 0)
            dump_name(d, h->name);
        dump_item(d, str_of(d->secrets ? h->value : "<secret>"));
    }
    d->indent -= 2;
}
