/* SPDX-License-Identifier: Apache-2.0 */
/* api: answers in the shapes of Prometheus's HTTP API, so that what reads a Prometheus's targets
   reads ours. */
#include "api.h"

#include "base/clock.h"
#include "base/units.h"

#include <inttypes.h>
#include <limits.h>
#include <strings.h>
#include <unistd.h>

static void add_string(struct buf *out, const char *s)
{
    buf_add_json(out, str_of(s ? s : ""));
}

void api_begin(struct buf *out)
{
    buf_add_c(out, "{\"status\":\"success\",\"data\":");
}

void api_end(struct buf *out)
{
    buf_add_c(out, "}\n");
}

void api_error(struct buf *out, const char *type, const char *message)
{
    buf_add_c(out, "{\"status\":\"error\",\"errorType\":");
    add_string(out, type);
    buf_add_c(out, ",\"error\":");
    add_string(out, message);
    buf_add_c(out, "}\n");
}

/* ---- targets ---- */

void api_labels(struct buf *out, const struct label *v, size_t n)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_char(out, ',');
        buf_add_json(out, v[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, v[i].value);
    }
    buf_add_char(out, '}');
}

/* As Go writes its zero time when there is none. */
static void add_time(struct buf *out, int64_t wall_ms)
{
    char text[32];
    if (wall_ms == 0) {
        add_string(out, "0001-01-01T00:00:00Z");
        return;
    }
    clock_format_rfc3339(wall_ms, text);
    add_string(out, text);
}

static void add_duration(struct buf *out, int64_t ms)
{
    char text[48];
    units_format_duration(ms, text);
    add_string(out, text);
}

/* The URL as others reach it: Prometheus puts its host name where a URL says localhost. */
static void add_global_url(struct buf *out, const char *url)
{
    static const char *const LOCAL[] = {"://localhost", "://127.0.0.1", "://[::1]"};
    struct str s = str_of(url);
    char host[256] = "";
    for (size_t i = 0; i < sizeof LOCAL / sizeof LOCAL[0]; i++) {
        size_t at = str_find(s, str_of(LOCAL[i]));
        struct str rest = str_skip(s, at + strlen(LOCAL[i]));
        bool whole = rest.n == 0 || rest.p[0] == ':' || rest.p[0] == '/';
        if (at == s.n || at > strlen("https") || !whole || gethostname(host, sizeof host - 1) != 0 ||
            !host[0])
            continue;
        struct buf text;
        buf_init(&text, s.n + sizeof host + 8);
        buf_addf(&text, "%.*s://%s%.*s", (int)at, url, host, STR_ARG(rest));
        buf_add_json(out, buf_str(&text));
        buf_free(&text);
        return;
    }
    add_string(out, url);
}

static void add_discovered(struct buf *out, const struct target *t)
{
    struct labels l;
    labels_init(&l, NULL);
    target_discovered(t, &l);
    buf_add_c(out, "{\"discoveredLabels\":");
    api_labels(out, l.v, l.n);
    labels_free(&l);
}

static void add_active(struct buf *out, const struct scrape_status *s)
{
    const struct target *t = s->target;
    add_discovered(out, t);
    buf_add_c(out, ",\"labels\":");
    api_labels(out, t->labels, t->labels_n);
    buf_add_c(out, ",\"scrapePool\":");
    buf_add_json(out, t->job);
    buf_add_c(out, ",\"scrapeUrl\":");
    add_string(out, target_shown_url(t));
    buf_add_c(out, ",\"globalUrl\":");
    add_global_url(out, target_shown_url(t) ? target_shown_url(t) : "");
    buf_add_c(out, ",\"lastError\":");
    add_string(out, s->last_error);
    buf_add_c(out, ",\"lastScrape\":");
    add_time(out, s->last_scrape_wall_ms);
    buf_addf(out, ",\"lastScrapeDuration\":%.9g", s->last_duration_s >= 0 ? s->last_duration_s : 0.0);
    buf_addf(out, ",\"health\":\"%s\",\"scrapeInterval\":", view_health(s->health));
    add_duration(out, t->interval_ms);
    buf_add_c(out, ",\"scrapeTimeout\":");
    add_duration(out, t->timeout_ms);
    /* vmagent's addition: how much a target gives is asked for more often than anything. */
    buf_addf(out, ",\"lastSamplesScraped\":%" PRIu64 "}", s->last_samples);
}

static void add_dropped(struct buf *out, const struct target *t)
{
    add_discovered(out, t);
    buf_add_c(out, ",\"scrapePool\":");
    buf_add_json(out, t->job);
    buf_add_char(out, '}');
}

static void add_list(struct buf *out, const struct web_view *view, bool dropped, const char *pool)
{
    const char *separator = "";
    for (size_t i = 0; i < view->targets_n; i++) {
        const struct scrape_status *s = &view->targets[i];
        if (s->target->dropped != dropped || (pool[0] && !str_eq_c(s->target->job, pool)))
            continue;
        buf_add_c(out, separator);
        separator = ",";
        if (dropped)
            add_dropped(out, s->target);
        else
            add_active(out, s);
    }
}

static void add_dropped_counts(struct buf *out, const struct web_view *view)
{
    buf_add_char(out, '{');
    for (size_t i = 0; i < view->jobs_n; i++) {
        if (i)
            buf_add_char(out, ',');
        add_string(out, view->jobs[i].job);
        buf_addf(out, ":%" PRIu64, view->jobs[i].dropped + view->jobs[i].other_shard);
    }
    buf_add_char(out, '}');
}

void api_targets(struct buf *out, const struct web_view *view, const char *state, const char *pool)
{
    bool any = state[0] == '\0' || strcasecmp(state, "any") == 0;
    bool dropped = any || strcasecmp(state, "dropped") == 0;
    api_begin(out);
    buf_add_c(out, "{\"activeTargets\":[");
    if (any || strcasecmp(state, "active") == 0)
        add_list(out, view, false, pool);
    buf_add_c(out, "],\"droppedTargets\":[");
    if (dropped)
        add_list(out, view, true, pool);
    buf_add_c(out, "],\"droppedTargetCounts\":");
    if (dropped)
        add_dropped_counts(out, view);
    else
        buf_add_c(out, "null");
    buf_add_char(out, '}');
    api_end(out);
}

void api_scrape_pools(struct buf *out, const struct web_view *view)
{
    api_begin(out);
    buf_add_c(out, "{\"scrapePools\":[");
    for (size_t i = 0; i < view->jobs_n; i++) {
        if (i)
            buf_add_char(out, ',');
        add_string(out, view->jobs[i].job);
    }
    buf_add_c(out, "]}");
    api_end(out);
}

/* ---- status ---- */

void api_discovery(struct buf *out, const struct web_view *view)
{
    api_begin(out);
    buf_add_c(out, "{\"sources\":[");
    for (size_t i = 0; i < view->sources_n; i++) {
        const struct discovery_source_status *s = &view->sources[i];
        buf_add_c(out, i > 0 ? ",{\"job\":" : "{\"job\":");
        add_string(out, s->job);
        buf_add_c(out, ",\"kind\":");
        add_string(out, s->kind);
        buf_addf(out, ",\"number\":%zu,\"where\":", view_source_number(view, i));
        add_string(out, s->detail);
        buf_addf(out, ",\"looked\":%s,\"error\":", s->looked ? "true" : "false");
        add_string(out, s->error);
        buf_addf(out, ",\"failures\":%" PRIu64 ",\"targets\":%zu,\"lastChange\":", s->failures, s->sets);
        add_time(out, s->changed_ms);
        buf_add_char(out, '}');
    }
    buf_add_c(out, "]}");
    api_end(out);
}

void api_config(struct buf *out, const struct web_view *view)
{
    api_begin(out);
    buf_add_c(out, "{\"yaml\":");
    add_string(out, view->config ? view->config->yaml : "");
    buf_add_char(out, '}');
    api_end(out);
}

void api_flags(struct buf *out, const char *flags_json)
{
    api_begin(out);
    buf_add_c(out, flags_json ? flags_json : "{}");
    api_end(out);
}

void api_buildinfo(struct buf *out, const struct web_view *view)
{
    api_begin(out);
    buf_add_c(out, "{\"version\":");
    add_string(out, view->version);
    buf_add_c(out,
              ",\"revision\":\"\",\"branch\":\"\",\"buildUser\":\"\",\"buildDate\":\"\",\"goVersion\":\"\"}");
    api_end(out);
}

/* What of Prometheus's has no meaning here (the knobs of its runtime) is left out. */
void api_runtimeinfo(struct buf *out, const struct web_view *view)
{
    char host[256] = "", cwd[PATH_MAX] = "";
    (void)gethostname(host, sizeof host - 1);
    if (!getcwd(cwd, sizeof cwd))
        cwd[0] = '\0';
    api_begin(out);
    buf_add_c(out, "{\"startTime\":");
    add_time(out, (int64_t)(view->process.start_seconds * 1000));
    buf_add_c(out, ",\"CWD\":");
    add_string(out, cwd);
    buf_addf(out, ",\"reloadConfigSuccess\":%s,\"lastConfigTime\":", view->reload_ok ? "true" : "false");
    add_time(out, view->loaded_ms);
    buf_add_c(out, ",\"serverTime\":");
    add_time(out, view->now_ms);
    buf_add_c(out, ",\"hostname\":");
    add_string(out, host);
    buf_addf(out, ",\"corruptionCount\":%" PRIu64 ",\"threadCount\":%.0f}", view->queue.corrupt_records_total,
             view->process.threads);
    api_end(out);
}
