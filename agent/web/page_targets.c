/* SPDX-License-Identifier: Apache-2.0 */
/* page_targets: every target with its last scrape, filtered by a plain form; and what discovery found but
   rules dropped. */
#include "page.h"

#include <stdlib.h>
#include <strings.h>

/* More rows than a browser shows well; the form narrows. */
#define ROWS_MAX 2000
#define DROPPED_MAX 1000

/* ---- the filter ---- */

static bool holds(struct str s, struct str needle)
{
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        if (strncasecmp(s.p + i, needle.p, needle.n) == 0)
            return true;
    }
    return false;
}

static bool text_matches(const struct scrape_status *s, struct str needle)
{
    if (needle.n == 0 || holds(str_of(s->target->url), needle) || holds(str_of(s->last_error), needle))
        return true;
    for (size_t i = 0; i < s->target->labels_n; i++) {
        if (holds(s->target->labels[i].name, needle) || holds(s->target->labels[i].value, needle))
            return true;
    }
    return false;
}

static bool matches(const struct scrape_status *s, const struct page_filter *f)
{
    return !s->target->dropped && (!f->job[0] || str_eq_c(s->target->job, f->job)) &&
           (!f->health[0] || strcmp(view_health(s->health), f->health) == 0) &&
           text_matches(s, str_of(f->text));
}

static void add_option(struct buf *out, const char *value, const char *text, const char *chosen)
{
    buf_add_c(out, "<option value=\"");
    page_text(out, value);
    buf_add_c(out, strcmp(value, chosen) == 0 ? "\" selected>" : "\">");
    page_text(out, text);
    buf_add_c(out, "</option>");
}

static void add_form(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    buf_add_c(out, "<form method=\"get\" action=\"/targets\"><select name=\"job\" aria-label=\"Job\">");
    add_option(out, "", "all jobs", f->job);
    for (size_t i = 0; i < v->jobs_n; i++)
        add_option(out, v->jobs[i].job, v->jobs[i].job, f->job);
    buf_add_c(out, "</select><select name=\"health\" aria-label=\"Health\">");
    add_option(out, "", "any health", f->health);
    add_option(out, "up", "up", f->health);
    add_option(out, "down", "down", f->health);
    add_option(out, "unknown", "not scraped yet", f->health);
    buf_add_c(out, "</select><input type=\"search\" name=\"text\" aria-label=\"Text\" "
                   "placeholder=\"URL, label or error\""
                   " value=\"");
    page_text(out, f->text);
    buf_add_c(out, "\"><button>Show</button></form>\n");
}

/* ---- rows ---- */

/* A link only for what is a web address; the scheme of a URL could come from a label. */
static void add_url(struct buf *out, const char *url)
{
    struct str s = str_of(url ? url : "");
    bool link = str_starts(s, STR("http://")) || str_starts(s, STR("https://"));
    if (link) {
        buf_add_c(out, "<a href=\"");
        buf_add_html(out, s);
        buf_add_c(out, "\" rel=\"noreferrer\">");
    }
    buf_add_html(out, s);
    if (link)
        buf_add_c(out, "</a>");
}

static void add_last_scrape(struct buf *out, const struct web_view *v, const struct scrape_status *s)
{
    buf_add_c(out, "<td class=\"num\" data-l=\"Last scrape\">");
    page_ago(out, v->now_ms, s->last_scrape_wall_ms);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Duration\">");
    if (s->last_scrape_wall_ms)
        page_seconds(out, s->last_duration_s);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Samples\">");
    if (s->last_scrape_wall_ms) {
        page_count(out, s->last_post_relabel);
        if (s->last_samples != s->last_post_relabel) {
            buf_add_c(out, "<div class=\"dim\">of ");
            page_count(out, s->last_samples);
            buf_add_c(out, "</div>");
        }
    }
    buf_add_c(out, "</td>");
}

static void add_row(struct buf *out, const struct web_view *v, const struct scrape_status *s)
{
    const struct target *t = s->target;
    buf_add_c(out, "<tr><td data-l=\"State\">");
    const char *colour = s->health == SCRAPE_UP ? "good" : s->health == SCRAPE_DOWN ? "bad" : "dim";
    page_badge(out, colour, view_health(s->health));
    buf_add_c(out, "</td><td data-l=\"Target\">");
    add_url(out, t->url);
    if (t->unix_socket) {
        buf_add_c(out, " <span class=\"dim\">through ");
        page_text(out, t->unix_socket);
        buf_add_c(out, "</span>");
    }
    buf_add_c(out, "<div>");
    page_labels(out, t->labels, t->labels_n, "job");
    buf_add_c(out, "</div>");
    if (s->last_error[0]) {
        buf_add_c(out, "<div class=\"err\">");
        page_text(out, s->last_error);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td>");
    add_last_scrape(out, v, s);
    buf_add_c(out, "</tr>\n");
}

static void begin_job(struct buf *out, const struct web_view *v, struct str job)
{
    buf_add_c(out, "<h2>");
    buf_add_html(out, job);
    for (size_t i = 0; i < v->jobs_n; i++) {
        const struct view_job *j = &v->jobs[i];
        if (str_eq_c(job, j->job))
            buf_addf(out, " <small>%llu of %llu up</small>", (unsigned long long)j->up,
                     (unsigned long long)(j->up + j->down + j->unknown));
    }
    buf_add_c(out, "</h2>\n<table class=\"rows\"><thead><tr><th>State</th><th>Target</th>"
                   "<th class=\"num\">Last scrape</th><th class=\"num\">Duration</th>"
                   "<th class=\"num\">Samples</th></tr></thead><tbody>\n");
}

static size_t add_rows(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    size_t shown = 0, found = 0;
    struct str job = STR_NULL;
    for (size_t i = 0; i < v->targets_n; i++) {
        const struct scrape_status *s = &v->targets[i];
        if (!matches(s, f) || ++found > ROWS_MAX)
            continue;
        if (shown == 0 || !str_eq(job, s->target->job)) {
            if (shown)
                buf_add_c(out, "</tbody></table>\n");
            job = s->target->job;
            begin_job(out, v, job);
        }
        add_row(out, v, s);
        shown++;
    }
    if (shown)
        buf_add_c(out, "</tbody></table>\n");
    return found;
}

void page_targets(struct buf *out, const struct web_view *view, const struct page_filter *filter)
{
    page_begin(out, "Targets", "/targets");
    add_form(out, view, filter);
    size_t found = add_rows(out, view, filter);
    if (found == 0)
        buf_add_c(out, "<p class=\"dim\">No target matches.</p>");
    if (found > ROWS_MAX)
        buf_addf(out, "<p class=\"note\">%zu of %zu targets are shown; narrow the choice above to see the "
                      "others.</p>",
                 (size_t)ROWS_MAX, found);
    page_end(out, view);
}

/* ---- discovery ---- */

static void add_discovery_jobs(struct buf *out, const struct web_view *v)
{
    buf_add_c(out, "<table><thead><tr><th>Job</th><th class=\"num\">Found</th><th class=\"num\">Kept</th>"
                   "<th class=\"num\">Dropped by rules</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < v->jobs_n; i++) {
        const struct view_job *j = &v->jobs[i];
        uint64_t kept = j->up + j->down + j->unknown;
        buf_add_c(out, "<tr><td data-l=\"Job\">");
        page_text(out, j->job);
        buf_add_c(out, "</td><td class=\"num\" data-l=\"Found\">");
        page_count(out, kept + j->dropped);
        buf_add_c(out, "</td><td class=\"num\" data-l=\"Kept\">");
        page_count(out, kept);
        buf_add_c(out, "</td><td class=\"num\" data-l=\"Dropped\">");
        page_count(out, j->dropped);
        buf_add_c(out, "</td></tr>\n");
    }
    buf_add_c(out, "</tbody></table>\n");
}

void page_discovery(struct buf *out, const struct web_view *view)
{
    size_t found = 0;
    page_begin(out, "Service discovery", "/service-discovery");
    add_discovery_jobs(out, view);
    buf_add_c(out, "<h2>Dropped by relabel_configs</h2>\n<table><thead><tr><th>Job</th><th>Rule</th>"
                   "<th>Discovered labels</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < view->targets_n; i++) {
        const struct target *t = view->targets[i].target;
        if (!t->dropped || ++found > DROPPED_MAX)
            continue;
        buf_add_c(out, "<tr><td data-l=\"Job\">");
        buf_add_html(out, t->job);
        buf_addf(out, "</td><td data-l=\"Rule\">number %zu</td><td data-l=\"Labels\">", t->dropped_by + 1);
        page_labels(out, t->discovered, t->discovered_n, NULL);
        buf_add_c(out, "</td></tr>\n");
    }
    if (found == 0)
        buf_add_c(out, "<tr><td class=\"dim\">No target is dropped.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
    if (found > DROPPED_MAX)
        buf_addf(out, "<p class=\"note\">%zu more are not shown.</p>", found - DROPPED_MAX);
    page_end(out, view);
}
