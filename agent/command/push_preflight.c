/* SPDX-License-Identifier: Apache-2.0 */
/* push_preflight: asks the receiver: first as configured, with nothing in the message; then whatever the answer leaves
   open. Credentials go to no host but the configured one, and never to one whose certificate was not good. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "preflight_body.h"
#include "push_private.h"

#define WORDS_SHOWN 600
#define BODY_STEPS 16
#define BODY_SMALL 256
#define BODY_ROOM ((size_t)600 << 20)

struct preflight {
    const struct push_flags *f;
    const struct config *config;
    const struct config_remote *remote;
    struct push_result *r;
    struct buf body;
};

/* ---- asking ---- */

static void ask_with(struct preflight *p, const char *url, const struct http_options *options, enum protocol protocol,
                     struct ask_answer *answer)
{
    const struct ask question = {.url = url, .options = options, .protocol = protocol, .body = buf_str(&p->body),
                                 .timeout_ms = p->f->timeout_ms ? p->f->timeout_ms : p->remote->remote_timeout_ms};
    ask(&question, answer);
}

static struct preflight_answer brief(const struct ask_answer *a)
{
    return (struct preflight_answer){.asked = true, .status = a->status, .written = a->written};
}

/* The words that are shown are those of the answer that decided. */
static void keep_words(struct preflight *p, const struct ask_answer *a)
{
    buf_clear(&p->r->words);
    ask_line(buf_str(&a->words), WORDS_SHOWN, &p->r->words);
}

/* An empty message elsewhere or otherwise. */
static struct preflight_answer ask_empty(struct preflight *p, const char *url, const struct http_options *options,
                                         enum protocol protocol)
{
    struct ask_answer a = {0};
    preflight_body_empty(protocol, &p->body);
    ask_with(p, url, options, protocol, &a);
    struct preflight_answer out = brief(&a);
    ask_free(&a);
    return out;
}

/* ---- the way there ---- */

/* The same address with the other scheme in front; NULL when it has none. Caller frees. */
static char *other_scheme(const char *url)
{
    if (strncasecmp(url, "https://", 8) == 0)
        return xasprintf("http://%s", url + 8);
    return strncasecmp(url, "http://", 7) == 0 ? xasprintf("https://%s", url + 7) : NULL;
}

/* A URL without userinfo and query: to be shown, and to be asked of somebody who has not shown who he is. */
static char *bare(const char *url)
{
    const char *scheme = strstr(url, "://");
    const char *host = scheme ? scheme + 3 : url;
    const char *at = memrchr(host, '@', strcspn(host, "/?#"));
    const char *rest = at ? at + 1 : host;
    return xasprintf("%.*s%.*s", (int)(host - url), url, (int)strcspn(rest, "?#"), rest);
}

/* A HEAD that tells nothing: no credentials, and no look at the certificate, which is only to be shown. */
static void knock(const struct preflight *p, const char *url, struct ask_answer *out)
{
    const struct http_options *o = &p->remote->http;
    struct http_options options = {
        .tls_insecure_skip_verify = true,
        .tls_server_name = o->tls_server_name,
        .proxy_url = o->proxy_url,
        .no_proxy = o->no_proxy,
        .proxy_from_environment = o->proxy_from_environment,
        .proxy_peer = o->proxy_peer,
        .unix_socket = o->unix_socket,
    };
    char *plain = bare(url);
    const struct ask question = {.url = plain, .method = "HEAD", .options = &options, .timeout_ms = 5000};
    ask(&question, out);
    free(plain);
}

static bool is_https(const char *url)
{
    return strncasecmp(url, "https://", 8) == 0;
}

/* Shows the certificate that was not liked. */
static void look_at_certificate(struct preflight *p)
{
    struct ask_answer a = {0};
    knock(p, p->remote->url, &a);
    if (a.peer.has_certificate) {
        enum http_failure failure = p->r->peer.failure;
        enum http_fault fault = p->r->peer.fault;
        p->r->peer = a.peer;
        p->r->peer.failure = failure;
        p->r->peer.fault = fault;
    }
    ask_free(&a);
}

/* Does somebody answer there in the other way, plain or TLS? */
static bool speaks_otherwise(struct preflight *p)
{
    char *url = other_scheme(p->remote->url);
    struct ask_answer a = {0};
    if (!url)
        return false;
    knock(p, url, &a);
    bool yes = is_https(url) ? a.peer.has_certificate : a.status != 0;
    ask_free(&a);
    free(url);
    return yes;
}

static void ask_about_way(struct preflight *p)
{
    struct preflight_facts *f = &p->r->facts;
    long status = f->first.status;
    if (f->failure == HTTP_FAILURE_CERTIFICATE)
        look_at_certificate(p);
    else if (f->failure == HTTP_FAILURE_TLS ||
             (!f->tls && !f->timeout && (status == 400 || (status == 0 && f->failure == HTTP_FAILURE_OTHER))))
        f->other_transport = speaks_otherwise(p);
}

/* ---- the door ---- */

static enum preflight_scheme scheme_of(const struct http_options *o, const char *url)
{
    const char *host = strstr(url, "://");
    bool userinfo = host && memchr(host + 3, '@', strcspn(host + 3, "/?#"));
    if (o->has_basic_auth || (userinfo && !o->has_authorization && !o->oauth2 && !o->sigv4))
        return PREFLIGHT_BASIC;
    if (o->has_authorization) {
        const char *type = o->authorization_type ? o->authorization_type : "Bearer";
        for (unsigned i = 0; i < PREFLIGHT_OTHER; i++) {
            const char *word = preflight_scheme_word((enum preflight_scheme)i);
            if (word && strcasecmp(word, type) == 0)
                return (enum preflight_scheme)i;
        }
        return PREFLIGHT_OTHER;
    }
    if (o->oauth2 || o->sigv4)
        return PREFLIGHT_OTHER;
    for (size_t i = 0; i < o->headers_n; i++) {
        if (strcasecmp(o->headers[i].name, "authorization") == 0 || o->headers[i].secret)
            return PREFLIGHT_OTHER;
    }
    return o->tls_cert.value || o->tls_cert.file ? PREFLIGHT_OTHER : PREFLIGHT_NONE;
}

/* "user:password", which a Basic header needs; both are to be freed by http_secret's rules. */
static bool split_secret(const struct http_options *o, char **user, char **password)
{
    struct err err = {0};
    char *text = NULL;
    if (!http_secret_read(o->has_basic_auth ? &o->password : &o->credentials, &text, &err) || !text)
        return false;
    char *colon = strchr(text, ':');
    bool ok = colon && colon > text && colon[1];
    if (ok) {
        *user = str_dup(str_make(text, (size_t)(colon - text)));
        *password = xstrdup(colon + 1);
    }
    explicit_bzero(text, strlen(text));
    free(text);
    return ok;
}

/* The same secret under another scheme. */
static bool try_scheme(struct preflight *p, enum preflight_scheme scheme, struct preflight_answer *out)
{
    const struct http_options *o = &p->remote->http;
    struct http_options options = *o;
    char *user = NULL, *password = NULL;
    options.has_basic_auth = options.has_authorization = false;
    if (scheme == PREFLIGHT_BASIC) {
        if (!split_secret(o, &user, &password))
            return false;
        options.has_basic_auth = true;
        options.username = (struct http_secret){.value = user};
        options.password = (struct http_secret){.value = password};
    } else if (scheme != PREFLIGHT_NONE) {
        options.has_authorization = true;
        options.authorization_type = (char *)(uintptr_t)preflight_scheme_word(scheme);
        options.credentials = o->has_basic_auth ? o->password : o->credentials;
    }
    *out = ask_empty(p, p->remote->url, &options, PROTOCOL_RW1);
    if (password)
        explicit_bzero(password, strlen(password));
    free(user);
    free(password);
    return true;
}

static void ask_about_door(struct preflight *p)
{
    struct preflight_facts *f = &p->r->facts;
    bool ours = p->remote->http.has_authorization || p->remote->http.has_basic_auth;
    if (p->f->no_guessing || !ours || f->first.status == 407)
        return;
    for (unsigned i = 0; i < PREFLIGHT_SCHEMES; i++) {
        if (i == f->given || i == PREFLIGHT_OTHER)
            continue;
        if (!try_scheme(p, (enum preflight_scheme)i, &f->schemes[i]))
            f->schemes[i].asked = false;
    }
}

/* ---- the place ---- */

/* The URL with another path; the query goes with the old one. Caller frees. */
static char *with_path(const char *url, const char *path)
{
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    return xasprintf("%.*s%s", (int)((size_t)(host - url) + strcspn(host, "/?#")), url, path);
}

static void ask_about_place(struct preflight *p)
{
    if (p->f->no_guessing)
        return;
    for (size_t i = 0; i < PREFLIGHT_PATHS; i++) {
        char *url = with_path(p->remote->url, preflight_paths[i]);
        if (strcmp(url, p->remote->url) != 0)
            p->r->facts.paths[i] = ask_empty(p, url, &p->remote->http, PROTOCOL_RW1);
        free(url);
    }
}

/* ---- the language ---- */

static void ask_about_language(struct preflight *p)
{
    struct preflight_facts *f = &p->r->facts;
    static const enum protocol OTHERS[] = {PROTOCOL_RW2, PROTOCOL_VM};
    f->empties[PROTOCOL_RW1] = f->first;
    if (preflight_classify(f->first.status) == PREFLIGHT_LATER)
        return;
    for (size_t i = 0; i < sizeof OTHERS / sizeof OTHERS[0]; i++)
        f->empties[OTHERS[i]] = ask_empty(p, p->remote->url, &p->remote->http, OTHERS[i]);
}

static void send_sample(struct preflight *p, enum protocol protocol)
{
    struct push_result *r = p->r;
    struct ask_answer a = {0};
    struct err err = {0};
    if (!preflight_body_sample(protocol, p->config, p->remote, &r->series, &p->body, &err)) {
        r->error = err;
        return;
    }
    r->filtered = p->body.n == 0;
    if (r->filtered)
        return;
    ask_with(p, p->remote->url, &p->remote->http, protocol, &a);
    r->facts.batch[protocol] = brief(&a);
    r->batch_protocol = protocol;
    r->batch_written = a.samples_written;
    r->has_batch_written = a.written;
    keep_words(p, &a);
    ask_free(&a);
}

/* In the protocol that the agent would come to. Where empty messages are refused as bad data, which some receivers do,
   a sample says more: each protocol that is allowed is tried. */
static void send_samples(struct preflight *p)
{
    struct preflight_facts *f = &p->r->facts;
    struct negotiation n;
    protocol_init(&n, f->settings);
    for (unsigned i = 0; i < n.n; i++) {
        if (preflight_understands(f, n.order[i])) {
            send_sample(p, n.order[i]);
            return;
        }
    }
    for (unsigned i = 0; i < n.n && !p->r->filtered; i++) {
        if (preflight_classify(f->empties[n.order[i]].status) == PREFLIGHT_DATA)
            send_sample(p, n.order[i]);
        if (preflight_understands(f, n.order[i]))
            return;
    }
}

/* ---- the size ---- */

/* True when a body with so much padding is taken; *size is what went over the wire. */
static bool fits(struct preflight *p, enum protocol protocol, size_t padding, uint64_t *size, long *status)
{
    struct ask_answer a = {0};
    preflight_body_padded(protocol, padding, &p->body);
    *size = p->body.n;
    ask_with(p, p->remote->url, &p->remote->http, protocol, &a);
    *status = a.status;
    bool ok = preflight_classify(a.status) == PREFLIGHT_GOOD;
    ask_free(&a);
    return ok;
}

/* Halves the distance between a size that is taken and one that is not, until that is a sixteenth of it. Some say 413,
   some 400, some hang up; who takes a small body and not a large one has a limit. */
static void ask_about_size(struct preflight *p, enum protocol protocol)
{
    struct preflight_facts *f = &p->r->facts;
    size_t low = BODY_SMALL, high = (size_t)p->f->max_body;
    uint64_t size;
    long status;
    if (high < low || !fits(p, protocol, low, &size, &status))
        return;
    f->body_taken = size;
    if (fits(p, protocol, high, &size, &status)) {
        f->body_taken = size;
        return;
    }
    f->body_refused = size;
    f->body_status = status;
    for (unsigned i = 0; i < BODY_STEPS && high - low > low / 16; i++) {
        size_t middle = low + (high - low) / 2;
        if (fits(p, protocol, middle, &size, &status)) {
            low = middle;
            f->body_taken = size;
        } else {
            high = middle;
            f->body_refused = size;
            f->body_status = status;
        }
    }
}

/* ---- all of it ---- */

static void ask_first(struct preflight *p)
{
    struct push_result *r = p->r;
    struct preflight_facts *f = &r->facts;
    preflight_body_empty(PROTOCOL_RW1, &p->body);
    ask_with(p, p->remote->url, &p->remote->http, PROTOCOL_RW1, &r->first);
    if (!r->first.started) {
        r->error = r->first.error;
        return;
    }
    r->peer = r->first.peer;
    r->has_skew = r->first.date_s >= 0;
    r->skew_ms = r->first.skew_ms;
    keep_words(p, &r->first);
    ask_line(str_of(r->first.error.msg), WORDS_SHOWN, &r->error_text);
    ask_line(str_of(r->first.authenticate), 200, &r->authenticate);
    ask_line(str_of(r->first.server), 100, &r->server);
    if (r->first.location[0]) {
        char *bare_location = bare(r->first.location);
        ask_line(str_of(bare_location), 400, &r->location);
        free(bare_location);
    }
    f->first = brief(&r->first);
    f->failure = r->peer.failure;
    f->fault = r->peer.fault;
    f->timeout = r->first.timeout;
    f->challenge = preflight_challenge(str_of(r->first.authenticate));
}

static void ask_more(struct preflight *p)
{
    struct preflight_facts *f = &p->r->facts;
    ask_about_way(p);
    if (f->first.status == 0 || f->other_transport)
        return;
    switch (preflight_classify(f->first.status)) {
    case PREFLIGHT_ENTRY:
        ask_about_door(p);
        return;
    case PREFLIGHT_PLACE:
        ask_about_place(p);
        return;
    default:
        break;
    }
    ask_about_language(p);
    if (!p->f->dry_run && preflight_classify(f->first.status) != PREFLIGHT_LATER)
        send_samples(p);
    if (preflight_judge(f).kind == PREFLIGHT_NO_PROTOCOL)
        ask_about_place(p);
    if (p->f->max_body && preflight_judge(f).kind == PREFLIGHT_FINE)
        ask_about_size(p, preflight_judge(f).protocol);
}

static bool is_here(const char *address)
{
    return strncmp(address, "127.", 4) == 0 || strncmp(address, "[::1]", 5) == 0 || !address[0];
}

void push_preflight(const struct push_flags *f, const struct config *config, const struct config_remote *remote,
                    struct push_result *r)
{
    struct preflight p = {.f = f, .config = config, .remote = remote, .r = r};
    struct buf *texts[] = {&r->words, &r->error_text, &r->authenticate, &r->location, &r->server, &r->series};
    memset(r, 0, sizeof *r);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        buf_init(texts[i], 64 * 1024);
    buf_init(&p.body, BODY_ROOM);
    r->url = bare(remote->url);
    r->dry_run = f->dry_run;
    r->shows_certificate = remote->http.tls_cert.value || remote->http.tls_cert.file;
    r->facts.settings = remote->protocol;
    r->facts.tls = is_https(remote->url);
    r->facts.given = scheme_of(&remote->http, remote->url);
    ask_first(&p);
    if (!err_is(&r->error))
        ask_more(&p);
    r->plain_credentials = !r->facts.tls && r->facts.given != PREFLIGHT_NONE && !is_here(r->peer.address);
    r->verdict = preflight_judge(&r->facts);
    buf_free(&p.body);
}

void push_result_free(struct push_result *r)
{
    struct buf *texts[] = {&r->words, &r->error_text, &r->authenticate, &r->location, &r->server, &r->series};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        buf_free(texts[i]);
    ask_free(&r->first);
    free(r->url);
}
