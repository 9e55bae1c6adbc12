/* SPDX-License-Identifier: Apache-2.0 */
/* push_json: the report of obsagent push as JSON. */
#include <jansson.h>
#include <stdlib.h>

#include "push_private.h"

#define TEXT_MAX 8192

/* A string, or null when it is empty; what is not UTF-8 has been made so. */
static json_t *text(struct buf *b)
{
    return b->n ? json_string(buf_c(b)) : json_null();
}

/* Bytes of a certificate may be anything. */
static json_t *foreign(const char *s)
{
    struct buf b;
    buf_init(&b, TEXT_MAX);
    ask_line(str_of(s), TEXT_MAX / 2, &b);
    json_t *out = json_string(buf_c(&b));
    buf_free(&b);
    return out;
}

static json_t *status(long s)
{
    return s ? json_integer(s) : json_null();
}

static json_t *certificate(const struct http_peer *p)
{
    if (!p->has_certificate)
        return json_null();
    return json_pack("{s:o,s:o,s:o,s:I,s:I}", "subject", foreign(p->subject), "issuer", foreign(p->issuer), "names",
                     foreign(p->names), "valid_from", (json_int_t)p->valid_from_s, "valid_until",
                     (json_int_t)p->valid_until_s);
}

static json_t *timing(const struct ask_answer *a)
{
    return json_pack("{s:f,s:f,s:f,s:f,s:f}", "dns", a->seconds_dns, "connect", a->seconds_connect, "tls",
                     a->seconds_tls, "first_byte", a->seconds_first_byte, "total", a->seconds);
}

static json_t *schemes(const struct preflight_facts *f)
{
    json_t *out = json_object();
    for (unsigned i = 0; i < PREFLIGHT_SCHEMES; i++) {
        if (f->schemes[i].asked)
            json_object_set_new(out, preflight_scheme_name((enum preflight_scheme)i), status(f->schemes[i].status));
    }
    return out;
}

static json_t *paths(const struct preflight_facts *f)
{
    json_t *out = json_object();
    for (size_t i = 0; i < PREFLIGHT_PATHS; i++) {
        if (f->paths[i].asked)
            json_object_set_new(out, preflight_paths[i], status(f->paths[i].status));
    }
    return out;
}

static json_t *protocols(const struct preflight_facts *f)
{
    json_t *out = json_object();
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        enum protocol p = (enum protocol)i;
        if (!f->empties[p].asked)
            continue;
        json_t *one = json_pack("{s:b,s:o}", "understood", preflight_understands(f, p), "status",
                                status(f->empties[p].status));
        json_object_set_new(out, protocol_name(p), one);
    }
    return out;
}

static json_t *sample(struct push_result *r)
{
    const struct preflight_answer *a = &r->facts.batch[r->batch_protocol];
    if (!a->asked)
        return json_null();
    return json_pack("{s:s,s:o,s:o}", "protocol", protocol_name(r->batch_protocol), "series", text(&r->series),
                     "status", status(a->status));
}

static json_t *body(const struct preflight_facts *f)
{
    if (!f->body_taken)
        return json_null();
    if (!f->body_refused)
        return json_pack("{s:I,s:n,s:n}", "taken_bytes", (json_int_t)f->body_taken, "refused_bytes", "status");
    return json_pack("{s:I,s:I,s:o}", "taken_bytes", (json_int_t)f->body_taken, "refused_bytes",
                     (json_int_t)f->body_refused, "status", status(f->body_status));
}

static json_t *notes(const struct push_result *r)
{
    json_t *out = json_array();
    struct buf b;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; push_note(r, i, &b); i++) {
        json_array_append_new(out, json_string(buf_c(&b)));
        buf_clear(&b);
    }
    buf_free(&b);
    return out;
}

static void add_verdict(const struct push_result *r, json_t *out)
{
    const struct preflight_verdict *v = &r->verdict;
    struct buf what, todo;
    buf_init(&what, TEXT_MAX);
    buf_init(&todo, TEXT_MAX);
    push_advice(r, &what, &todo);
    json_object_set_new(out, "verdict", json_string(preflight_kind_name(v->kind)));
    json_object_set_new(out, "message", text(&what));
    json_object_set_new(out, "todo", text(&todo));
    json_object_set_new(out, "right_scheme",
                        v->scheme == PREFLIGHT_NONE ? json_null() : json_string(preflight_scheme_name(v->scheme)));
    json_object_set_new(out, "right_path", v->path < 0 ? json_null() : json_string(preflight_paths[v->path]));
    json_object_set_new(out, "protocol", json_string(protocol_name(v->protocol)));
    buf_free(&what);
    buf_free(&todo);
}

json_t *push_report_json(struct push_result *r)
{
    const struct preflight_facts *f = &r->facts;
    json_t *out = json_object();
    json_object_set_new(out, "url", foreign(r->url));
    add_verdict(r, out);
    json_object_set_new(out, "status", status(f->first.status));
    json_object_set_new(out, "address", r->peer.address[0] ? json_string(r->peer.address) : json_null());
    json_object_set_new(out, "seconds", timing(&r->first));
    json_object_set_new(out, "certificate", certificate(&r->peer));
    json_object_set_new(out, "clock_skew_seconds", r->has_skew ? json_real((double)r->skew_ms / 1e3) : json_null());
    json_object_set_new(out, "scheme", json_string(preflight_scheme_name(f->given)));
    json_object_set_new(out, "asks_for", text(&r->authenticate));
    json_object_set_new(out, "schemes", schemes(f));
    json_object_set_new(out, "location", text(&r->location));
    json_object_set_new(out, "paths", paths(f));
    json_object_set_new(out, "protocols", protocols(f));
    json_object_set_new(out, "sample", sample(r));
    json_object_set_new(out, "body", body(f));
    json_object_set_new(out, "words", text(&r->words));
    json_object_set_new(out, "error", text(&r->error_text));
    json_object_set_new(out, "notes", notes(r));
    return out;
}

json_t *push_profile_json(const struct profile_result *p)
{
    json_t *findings = json_array();
    for (size_t i = 0; i < p->findings_n; i++) {
        const struct profile_finding *f = &p->findings[i];
        json_array_append_new(
            findings, json_pack("{s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:o}", "effect", profile_effect_name(f->rule->effect),
                                "what", f->rule->what, "setting", f->rule->setting, "limit",
                                (json_int_t)f->rule->limit, "worst", (json_int_t)f->worst, "count",
                                (json_int_t)f->count, "line", (json_int_t)f->line, "example", foreign(f->example)));
    }
    return json_pack("{s:s,s:o,s:I,s:I,s:o,s:o}", "name", p->profile->name, "source", foreign(p->source), "series",
                     (json_int_t)p->series, "labels_added", (json_int_t)p->added_labels, "error",
                     err_is(&p->error) ? foreign(p->error.msg) : json_null(), "findings", findings);
}
