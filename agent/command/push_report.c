/* SPDX-License-Identifier: Apache-2.0 */
/* push_report: what obsagent push says, to people and to programs. */
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "push_private.h"

#define TEXT_MAX 8192

static void line(struct buf *out, const char *key)
{
    buf_addf(out, "%-10s", key);
}

/* Certificates come from outside, too. */
static void add_plain(struct buf *out, const char *text)
{
    paint_plain(out, str_of(text));
}

static void add_date(struct buf *out, int64_t s)
{
    char text[32];
    clock_format_rfc3339(s * 1000, text);
    buf_addf(out, "%.10s", text);
}

/* ---- text ---- */

static void text_way(const struct push_result *r, struct buf *out)
{
    const struct ask_answer *a = &r->first;
    line(out, "way:");
    if (r->peer.address[0])
        buf_addf(out, "%s, dns %.1f ms, connect %.1f ms", r->peer.address, a->seconds_dns * 1e3,
                 a->seconds_connect * 1e3);
    else
        buf_add_c(out, "no connection");
    if (r->facts.tls && a->seconds_tls > 0)
        buf_addf(out, ", tls %.1f ms", a->seconds_tls * 1e3);
    if (a->status)
        buf_addf(out, ", first byte %.1f ms", a->seconds_first_byte * 1e3);
    if (r->server.n)
        buf_addf(out, ", server %.*s", STR_ARG(buf_str(&r->server)));
    buf_add_char(out, '\n');
    if (r->error_text.n && !a->status) {
        line(out, "error:");
        buf_addf(out, "%.*s\n", STR_ARG(buf_str(&r->error_text)));
    }
}

static void text_certificate(const struct push_result *r, struct buf *out)
{
    const struct http_peer *p = &r->peer;
    if (!p->has_certificate)
        return;
    line(out, "tls:");
    add_plain(out, p->subject);
    if (p->names[0]) {
        buf_add_c(out, " (");
        add_plain(out, p->names);
        buf_add_c(out, ")");
    }
    buf_add_c(out, ", signed by ");
    add_plain(out, p->issuer);
    buf_add_c(out, ", valid ");
    add_date(out, p->valid_from_s);
    buf_add_c(out, " to ");
    add_date(out, p->valid_until_s);
    buf_add_char(out, '\n');
}

static void text_clock(const struct push_result *r, struct buf *out)
{
    if (!r->has_skew)
        return;
    line(out, "clock:");
    int64_t ms = r->skew_ms < 0 ? -r->skew_ms : r->skew_ms;
    if (ms < 1500) /* a Date has no fraction */
        buf_add_c(out, "agrees with ours\n");
    else
        buf_addf(out, "%.1f s %s ours\n", (double)ms / 1e3, r->skew_ms > 0 ? "ahead of" : "behind");
}

static void add_status(struct buf *out, long status)
{
    if (status)
        buf_addf(out, "%ld", status);
    else
        buf_add_c(out, "no answer");
}

static void text_door(const struct push_result *r, struct buf *out)
{
    const struct preflight_facts *f = &r->facts;
    enum preflight_class c = preflight_classify(f->first.status);
    if (!f->first.status)
        return;
    line(out, "auth:");
    buf_addf(out, "%s: %s", preflight_scheme_name(f->given),
             c == PREFLIGHT_ENTRY ? "refused" : c == PREFLIGHT_LATER || c == PREFLIGHT_PLACE ? "not judged" : "passes");
    for (unsigned i = 0; i < PREFLIGHT_SCHEMES; i++) {
        if (!f->schemes[i].asked)
            continue;
        buf_addf(out, "; %s: ", preflight_scheme_name((enum preflight_scheme)i));
        add_status(out, f->schemes[i].status);
    }
    if (r->authenticate.n)
        buf_addf(out, "; it asks for: %.*s", STR_ARG(buf_str(&r->authenticate)));
    buf_add_char(out, '\n');
}

static void text_place(const struct push_result *r, struct buf *out)
{
    bool asked = false;
    for (size_t i = 0; i < PREFLIGHT_PATHS; i++)
        asked |= r->facts.paths[i].asked;
    if (!asked)
        return;
    line(out, "paths:");
    const char *separator = "";
    for (size_t i = 0; i < PREFLIGHT_PATHS; i++) {
        if (!r->facts.paths[i].asked)
            continue;
        buf_addf(out, "%s%s ", separator, preflight_paths[i]);
        add_status(out, r->facts.paths[i].status);
        separator = ", ";
    }
    buf_add_char(out, '\n');
}

static void text_language(const struct push_result *r, struct buf *out)
{
    static const char *const NAMES[PROTOCOLS] = {
        [PROTOCOL_RW1] = "rw1:", [PROTOCOL_RW2] = "rw2:", [PROTOCOL_VM] = "zstd:"};
    static const char *const WHAT[PROTOCOLS] = {[PROTOCOL_RW1] = "remote write 1.0 in snappy",
                                                [PROTOCOL_RW2] = "remote write 2.0 in snappy",
                                                [PROTOCOL_VM] = "VictoriaMetrics's 1.0 in zstd (protocol: vm)"};
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        enum protocol p = (enum protocol)i;
        const struct preflight_answer *a = &r->facts.empties[p];
        if (!a->asked)
            continue;
        bool yes = preflight_understands(&r->facts, p);
        line(out, NAMES[p]);
        buf_addf(out, "%s: %s (", WHAT[p], yes ? "understood" : "not understood");
        add_status(out, a->status);
        if (preflight_classify(a->status) == PREFLIGHT_GOOD && !yes)
            buf_add_c(out, ", but nothing said of what was written");
        buf_add_c(out, ")\n");
    }
}

static void text_sample(const struct push_result *r, struct buf *out)
{
    const struct preflight_answer *a = &r->facts.batch[r->batch_protocol];
    if (!a->asked)
        return;
    line(out, "sample:");
    buf_addf(out, "%.*s as %s: ", STR_ARG(buf_str(&r->series)), protocol_name(r->batch_protocol));
    add_status(out, a->status);
    buf_add_char(out, '\n');
}

static void text_size(const struct push_result *r, struct buf *out)
{
    if (!r->facts.body_taken)
        return;
    char size[32];
    line(out, "body:");
    units_format_size(r->facts.body_taken, size);
    buf_addf(out, "%s taken", size);
    if (r->facts.body_refused) {
        units_format_size(r->facts.body_refused, size);
        buf_addf(out, ", %s refused (", size);
        add_status(out, r->facts.body_status);
        buf_add_c(out, ")");
    }
    buf_add_char(out, '\n');
}

void push_report_text(const struct push_result *r, const struct paint *paint, struct buf *out)
{
    struct buf what, todo;
    buf_init(&what, TEXT_MAX);
    buf_init(&todo, TEXT_MAX);
    line(out, "receiver:");
    paint_plain(out, str_of(r->url));
    buf_add_char(out, '\n');
    text_way(r, out);
    text_certificate(r, out);
    text_clock(r, out);
    text_door(r, out);
    text_place(r, out);
    text_language(r, out);
    text_sample(r, out);
    text_size(r, out);
    if (r->words.n) {
        line(out, "it says:");
        buf_addf(out, "%.*s\n", STR_ARG(buf_str(&r->words)));
    }
    push_advice(r, &what, &todo);
    line(out, "verdict:");
    paint_add(paint, out, r->verdict.kind == PREFLIGHT_FINE ? PAINT_GREEN : PAINT_RED, "%s", buf_c(&what));
    buf_add_char(out, '\n');
    if (todo.n)
        buf_addf(out, "%-10s%s\n", "do:", buf_c(&todo));
    for (size_t i = 0;; i++) {
        buf_clear(&what);
        if (!push_note(r, i, &what))
            break;
        line(out, "note:");
        paint_add(paint, out, PAINT_YELLOW, "%s", buf_c(&what));
        buf_add_char(out, '\n');
    }
    buf_free(&what);
    buf_free(&todo);
}

/* ---- a profile ---- */

static bool has_limit(const struct profile_finding *f)
{
    return f->rule->limit > 0;
}

static void add_size(struct buf *out, const struct profile_rule *r, int64_t n)
{
    char text[48];
    if (r->check == PROFILE_OLD || r->check == PROFILE_FUTURE) {
        units_format_duration(n / 1000 * 1000, text);
        buf_add_c(out, text);
    } else {
        buf_addf(out, "%lld", (long long)n);
    }
}

void push_profile_text(const struct profile_result *p, const struct paint *paint, struct buf *out)
{
    line(out, "profile:");
    buf_addf(out, "%s, %llu series of ", p->profile->title, (unsigned long long)p->series);
    add_plain(out, p->source);
    buf_addf(out, ", %zu labels added to each\n", p->added_labels);
    for (size_t i = 0; i < p->findings_n; i++) {
        const struct profile_finding *f = &p->findings[i];
        bool harm = f->rule->effect != PROFILE_LEFT_OUT;
        paint_add(paint, out, harm ? PAINT_RED : PAINT_YELLOW, "%-10s", profile_effect_name(f->rule->effect));
        buf_addf(out, "%llu: %s", (unsigned long long)f->count, f->rule->what);
        if (has_limit(f)) {
            buf_add_c(out, ", limit ");
            add_size(out, f->rule, f->rule->limit);
            buf_add_c(out, ", here up to ");
            add_size(out, f->rule, f->worst);
        }
        buf_addf(out, "\n          %s %llu: ", p->format == EXPOSITION_PROTOBUF ? "family" : "line",
                 (unsigned long long)f->line);
        add_plain(out, f->example);
        if (f->rule->setting[0])
            buf_addf(out, "\n          set by %s", f->rule->setting);
        buf_add_char(out, '\n');
    }
    if (err_is(&p->error)) {
        line(out, "error:");
        add_plain(out, p->error.msg);
        buf_add_char(out, '\n');
    } else if (p->findings_n == 0) {
        line(out, "findings:");
        paint_add(paint, out, PAINT_GREEN, "none");
        buf_add_char(out, '\n');
    }
}
