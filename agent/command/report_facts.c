/* SPDX-License-Identifier: Apache-2.0 */
/* report_facts: what follows from what a scrape has shown. */
#include "report.h"

#include "../../scrape/negotiate.h"

#include <inttypes.h>
#include <string.h>

/* ---- limits ---- */

static void add(struct report_limit *out, size_t *n, const char *name, enum report_unit unit, double used,
                double limit)
{
    bool exceeded = limit > 0 && used > limit;
    out[(*n)++] =
        (struct report_limit){.name = name, .unit = unit, .used = used, .limit = limit, .exceeded = exceeded};
}

size_t report_limits(const struct report *r, struct report_limit out[REPORT_LIMITS_MAX])
{
    const struct config_job *job = r->subject->job;
    const struct target_settings *s = &r->subject->target->settings;
    const struct rehearsal_result *h = r->rehearsal;
    size_t n = 0;
    if (r->probe->http) {
        add(out, &n, "scrape_timeout", REPORT_SECONDS, r->probe->seconds, (double)r->timeout_ms / 1000);
        out[0].exceeded = r->probe->timeout;
    }
    add(out, &n, "body_size_limit", REPORT_BYTES, (double)r->probe->raw_bytes, (double)s->body_size_limit);
    out[n - 1].exceeded = s->body_size_limit && r->probe->raw_bytes >= s->body_size_limit;
    add(out, &n, "sample_limit", REPORT_COUNT, (double)h->post_relabel, (double)s->sample_limit);
    add(out, &n, "label_limit", REPORT_COUNT, (double)h->most_labels, (double)s->label_limit);
    add(out, &n, "label_name_length_limit", REPORT_COUNT, (double)h->longest_name,
        (double)job->label_name_length_limit);
    add(out, &n, "label_value_length_limit", REPORT_COUNT, (double)h->longest_value,
        (double)job->label_value_length_limit);
    add(out, &n, "series_limit", REPORT_COUNT, (double)h->series, (double)s->series_limit);
    out[n - 1].soft = true;
    return n;
}

/* ---- the verdict ---- */

static bool limit_failure(const struct report *r, struct err *why)
{
    struct report_limit limits[REPORT_LIMITS_MAX];
    size_t n = report_limits(r, limits);
    for (size_t i = 0; i < n; i++) {
        const struct report_limit *l = &limits[i];
        if (l->exceeded && !l->soft) {
            err_set(why, "%s of %.15g exceeded: %.15g", l->name, l->limit, l->used);
            return true;
        }
    }
    return false;
}

bool report_failure(const struct report *r, struct err *why)
{
    const struct survey_counts *c = r->counts;
    *why = r->probe->error;
    if (err_is(why))
        return true;
    if (r->rehearsal->up)
        return limit_failure(r, why);
    const char *first = err_is(&r->rehearsal->why) ? r->rehearsal->why.msg : "the exposition is wrong";
    if (c->errors > 1)
        err_set(why, "%s, and %" PRIu64 " more", first, c->errors - 1);
    else
        err_set(why, "%s", first);
    return true;
}

enum scrape_exit report_exit(const struct report *r, size_t lint_findings)
{
    struct err why;
    size_t findings = lint_findings + r->counts->errors;
    bool failed = report_failure(r, &why) || (r->load && r->load->failed);
    for (size_t i = 0; i < r->analyses->n; i++) {
        const struct analysis *a = &r->analyses->v[i];
        findings += a->findings ? a->findings(a->watcher.ctx) : 0;
        failed = failed || (a->failed && a->failed(a->watcher.ctx));
    }
    return failed ? SCRAPE_FAILED : findings ? SCRAPE_FINDINGS : SCRAPE_GOOD;
}

/* ---- the protocol ---- */

const char *report_protocol(const struct report *r)
{
    const char *type = r->probe->content_type;
    bool one = strstr(type, "version=1.0.0") != NULL;
    if (r->probe->type == PROBE_TYPE_FALLBACK)
        return negotiate_name(r->subject->job->fallback_protocol);
    if (r->probe->type != PROBE_TYPE_GOOD)
        one = r->probe->format == EXPOSITION_OPENMETRICS;
    switch (r->probe->format) {
    case EXPOSITION_OPENMETRICS:
        return negotiate_name(one ? CONFIG_OPENMETRICS_1_0_0 : CONFIG_OPENMETRICS_0_0_1);
    case EXPOSITION_PROTOBUF:
        return negotiate_name(CONFIG_PROTO);
    case EXPOSITION_TEXT:
        break;
    }
    return negotiate_name(one ? CONFIG_TEXT_1_0_0 : CONFIG_TEXT_0_0_4);
}

const char *report_fallback(const struct report *r)
{
    const struct probe_result *p = r->probe;
    return p->type == PROBE_TYPE_REFUSED && !p->looks_like_html && p->raw_bytes ? negotiate_name(p->looks_like) : NULL;
}

const char *report_type_verdict(const struct report *r)
{
    static const char *const NAMES[] = {NULL, "good", "fallback", "refused"};
    return NAMES[r->probe->type];
}

uint64_t report_families(const struct survey_counts *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->families_n; i++)
        n += c->families[i].samples > 0;
    return n;
}
