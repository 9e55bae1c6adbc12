/* SPDX-License-Identifier: Apache-2.0 */
/* web_config: TLS and users of the agent's own HTTP. A word that is not understood is an error: a security
   setting must not be ignored. */
#include "web_config.h"

#include "../config/yaml.h"

#include "base/alloc.h"
#include "base/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define PEM_MAX ((size_t)1 << 20)
#define BCRYPT_LENGTH 60

/* What a load carries about. */
struct loading {
    struct web_config *config;
    struct problems problems;
    const char *dir;
    int min_version, max_version; /* of TLS: 10 to 13 */
    const struct node *cert, *key;
};

typedef void field_fn(struct loading *l, const struct node *value);

struct field {
    const char *name;
    field_fn *fn; /* NULL: known to Prometheus, not supported */
};

static void read_fields(struct loading *l, const struct node *map, const struct field *fields, size_t n)
{
    if (node_is_null(map))
        return;
    if (map->kind != NODE_MAP) {
        problem_add(&l->problems, map->at, "expected a mapping");
        return;
    }
    for (size_t i = 0; i < map->n; i++) {
        const struct pair *pair = &map->pairs[i];
        const struct field *f = fields;
        while (f < fields + n && !str_eq_c(pair->key, f->name))
            f++;
        if (f == fields + n)
            problem_add(&l->problems, pair->at, "unknown field \"%.*s\"", STR_ARG(pair->key));
        else if (f->fn)
            f->fn(l, pair->value);
        else if (!node_is_empty(pair->value))
            problem_add(&l->problems, pair->at, "%s is not supported", f->name);
    }
}
#define READ_FIELDS(l, map, fields) read_fields(l, map, fields, sizeof(fields) / sizeof(fields)[0])

static bool is_text(struct loading *l, const struct node *value)
{
    if (value->kind == NODE_SCALAR && !node_is_empty(value))
        return true;
    problem_add(&l->problems, value->at, "expected a text");
    return false;
}

/* ---- tls_server_config ---- */

static void read_pem(struct loading *l, const struct node *value, char **out)
{
    struct buf b;
    struct err err = {0};
    if (!is_text(l, value))
        return;
    char *path = file_join(l->dir, value->text.p);
    buf_init(&b, PEM_MAX);
    if (file_read(path, PEM_MAX, &b, &err)) {
        free(*out);
        (void)buf_c(&b);
        *out = buf_take(&b);
    } else {
        problem_add(&l->problems, value->at, "%s", err.msg);
    }
    buf_free(&b);
    free(path);
}

static void read_cert(struct loading *l, const struct node *value)
{
    l->cert = value;
    read_pem(l, value, &l->config->cert_pem);
}

static void read_key(struct loading *l, const struct node *value)
{
    l->key = value;
    read_pem(l, value, &l->config->key_pem);
}

static int read_version(struct loading *l, const struct node *value)
{
    static const char *const NAMES[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
    if (!is_text(l, value))
        return 12;
    for (int i = 0; i < 4; i++) {
        if (str_eq_c(value->text, NAMES[i]))
            return 10 + i;
    }
    problem_add(&l->problems, value->at, "unknown TLS version: %.*s", STR_ARG(value->text));
    return 12;
}

static void read_min_version(struct loading *l, const struct node *value)
{
    l->min_version = read_version(l, value);
}

static void read_max_version(struct loading *l, const struct node *value)
{
    l->max_version = read_version(l, value);
}

static void read_client_auth(struct loading *l, const struct node *value)
{
    if (is_text(l, value) && !str_eq_c(value->text, "NoClientCert"))
        problem_add(&l->problems, value->at, "client_auth_type %.*s is not supported", STR_ARG(value->text));
}

static void ignore(struct loading *l, const struct node *value)
{
    (void)l;
    (void)value;
}

static void read_tls(struct loading *l, const struct node *value)
{
    static const struct field FIELDS[] = {
        {"cert_file", read_cert},           {"key_file", read_key},
        {"client_auth_type", read_client_auth},
        {"client_ca_file", NULL},           {"client_ca", NULL},
        {"client_allowed_sans", NULL},      {"cert", NULL},
        {"key", NULL},                      {"min_version", read_min_version},
        {"max_version", read_max_version},  {"cipher_suites", NULL},
        {"curve_preferences", NULL},        {"prefer_server_cipher_suites", ignore},
    };
    size_t before = l->problems.n;
    READ_FIELDS(l, value, FIELDS);
    if (!node_is_null(value) && l->problems.n == before && (!l->cert || !l->key))
        problem_add(&l->problems, value->at, "tls_server_config needs cert_file and key_file");
}

static const char *priorities(int min, int max)
{
    static const struct {
        int min, max;
        const char *text;
    } ROWS[] = {
        {12, 13, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {13, 13, "NORMAL:-VERS-ALL:+VERS-TLS1.3"},
        {12, 12, "NORMAL:-VERS-ALL:+VERS-TLS1.2"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof ROWS[0]; i++) {
        if (ROWS[i].min == min && ROWS[i].max == max)
            return ROWS[i].text;
    }
    return NULL;
}

/* ---- http_server_config ---- */

/* Header lines must stay lines. */
static bool is_header_text(struct str s, bool name)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c < 32 || c == 127 || (name && !isalnum(c) && c != '-'))
            return false;
    }
    return s.n > 0;
}

static void read_headers(struct loading *l, const struct node *value)
{
    struct web_config *c = l->config;
    for (size_t i = 0; value->kind == NODE_MAP && i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        if (pair->value->kind != NODE_SCALAR || !is_header_text(pair->key, true) ||
            !is_header_text(pair->value->text, false)) {
            problem_add(&l->problems, pair->at, "HTTP header \"%.*s\" can not be configured",
                        STR_ARG(pair->key));
            continue;
        }
        c->headers = xgrow(c->headers, &c->headers_cap, c->headers_n + 1, sizeof *c->headers);
        c->headers[c->headers_n++] = (struct web_header){str_dup(pair->key), str_dup(pair->value->text)};
    }
    if (value->kind != NODE_MAP && !node_is_null(value))
        problem_add(&l->problems, value->at, "expected a mapping");
}

static void read_http(struct loading *l, const struct node *value)
{
    /* http2 is a permission; HTTP/1.1 is always spoken. */
    static const struct field FIELDS[] = {{"http2", ignore}, {"headers", read_headers}};
    READ_FIELDS(l, value, FIELDS);
}

/* ---- who may ---- */

static void read_users(struct loading *l, const struct node *value)
{
    struct web_config *c = l->config;
    if (value->kind != NODE_MAP) {
        if (!node_is_null(value))
            problem_add(&l->problems, value->at, "expected a mapping of user names to bcrypt hashes");
        return;
    }
    for (size_t i = 0; i < value->n; i++) {
        const struct pair *pair = &value->pairs[i];
        const struct node *hash = pair->value;
        if (hash->kind != NODE_SCALAR || hash->text.n != BCRYPT_LENGTH ||
            !str_starts(hash->text, STR("$2"))) {
            problem_add(&l->problems, pair->at, "the password of user \"%.*s\" is not a bcrypt hash",
                        STR_ARG(pair->key));
            continue;
        }
        c->users = xgrow(c->users, &c->users_cap, c->users_n + 1, sizeof *c->users);
        c->users[c->users_n++] = (struct web_user){str_dup(pair->key), str_dup(hash->text)};
    }
}

static void read_bearer(struct loading *l, const struct node *value)
{
    if (!is_text(l, value))
        return;
    char *token = NULL;
    struct err err = {0};
    free(l->config->bearer.file);
    l->config->bearer.file = file_join(l->dir, value->text.p);
    if (!http_secret_read(&l->config->bearer, &token, &err))
        problem_add(&l->problems, value->at, "%s", err.msg);
    else if (!token || !token[0])
        problem_add(&l->problems, value->at, "%s is empty", l->config->bearer.file);
    free(token);
}

/* ---- the file ---- */

static void read_root(struct loading *l, const struct node *root)
{
    static const struct field FIELDS[] = {
        {"tls_server_config", read_tls},
        {"http_server_config", read_http},
        {"basic_auth_users", read_users},
        {"bearer_token_file", read_bearer},
        {"rate_limit", NULL},
    };
    READ_FIELDS(l, root, FIELDS);
    l->config->tls_priorities = priorities(l->min_version, l->max_version);
    if (!l->config->tls_priorities)
        problem_add(&l->problems, root->at, "TLS versions below 1.2 are not supported");
}

static void first_problem(struct problems *problems, struct err *err)
{
    struct buf lines;
    buf_init(&lines, (size_t)1 << 20);
    problems_print(problems, &lines);
    struct str text = buf_str(&lines);
    err_set(err, "%.*s", (int)str_find_char(text, '\n'), text.n ? text.p : "");
    buf_free(&lines);
}

struct web_config *web_config_load(const char *path, struct err *err)
{
    struct arena arena;
    struct buf text;
    arena_init(&arena);
    buf_init(&text, YAML_MAX_BYTES);
    char *dir = file_dir(path);
    struct loading l = {.config = xcalloc(1, sizeof *l.config), .problems = {.arena = &arena}, .dir = dir,
                        .min_version = 12, .max_version = 13};
    struct yaml_file file = {.name = path, .dir = dir};
    bool good = file_read(path, YAML_MAX_BYTES, &text, err);
    if (good) {
        const struct node *root = yaml_parse(&arena, &file, buf_str(&text), &l.problems);
        if (root)
            read_root(&l, root);
        good = l.problems.n == 0;
        if (!good)
            first_problem(&l.problems, err);
    }
    if (!good) {
        web_config_free(l.config);
        l.config = NULL;
    }
    problems_free(&l.problems);
    buf_free(&text);
    arena_free(&arena);
    free(dir);
    return l.config;
}

void web_config_free(struct web_config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < c->users_n; i++) {
        free(c->users[i].name);
        free(c->users[i].hash);
    }
    for (size_t i = 0; i < c->headers_n; i++) {
        free(c->headers[i].name);
        free(c->headers[i].value);
    }
    if (c->key_pem)
        explicit_bzero(c->key_pem, strlen(c->key_pem));
    free(c->users);
    free(c->headers);
    free(c->cert_pem);
    free(c->key_pem);
    free(c->bearer.file);
    free(c);
}
