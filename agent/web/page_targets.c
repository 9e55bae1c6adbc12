/* SPDX-License-Identifier: Apache-2.0 */
/* page_targets: every target with its last scrape, chosen by a plain form. */
#include "page.h"

#include <stdlib.h>

#include "base/alloc.h"

static bool text_matches(const struct scrape_status *s, struct str needle)
{
    const struct target *t = s->target;
    return page_holds(str_of(target_shown_url(t)), needle) || page_holds(str_of(s->last_error), needle) ||
           page_labels_hold(t->labels, t->labels_n, needle);
}

static bool matches(const struct scrape_status *s, const struct page_filter *f)
{
    return !s->target->dropped && (!f->job[0] || str_eq_c(s->target->job, f->job)) &&
           (!f->health[0] || strcmp(view_health(s->health), f->health) == 0) &&
           text_matches(s, str_of(f->text));
}

/* One for each state, with how many there are among what else is chosen. */
static void add_tabs(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    static const struct {
        const char *health, *name;
    } tabs[] = {{"", "all"}, {"up", "up"}, {"down", "down"}, {"unknown", "not scraped yet"}};
    buf_add_c(out, "<ul class=\"tabs\" aria-label=\"State\">");
    for (size_t i = 0; i < sizeof tabs / sizeof tabs[0]; i++) {
        struct page_filter there = *f;
        size_t n = 0;
        there.health = tabs[i].health;
        there.from = 0;
        for (size_t k = 0; k < v->targets_n; k++)
            n += matches(&v->targets[k], &there);
        buf_addf(out, "<li><a%s%s ", i == 2 && n > 0 ? " class=\"bad\"" : "",
                 strcmp(tabs[i].health, f->health) == 0 ? " aria-current=\"true\"" : "");
        page_href(out, "/targets", &there);
        buf_addf(out, ">%s ", tabs[i].name);
        page_count(out, n);
        buf_add_c(out, "</a></li>");
    }
    buf_add_c(out, "</ul>\n");
}

static void add_form(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    page_form_begin(out, "/targets");
    page_select_job(out, v, f->job);
    page_select(out, "health", "State");
    page_option(out, "", "any", f->health);
    page_option(out, "up", "up", f->health);
    page_option(out, "down", "down", f->health);
    page_option(out, "unknown", "not scraped yet", f->health);
    page_select_end(out);
    if (f->sort[0]) {
        buf_add_c(out, "<input type=\"hidden\" name=\"sort\" value=\"");
        page_text(out, f->sort);
        buf_add_c(out, "\">");
    }
    page_form_end(out, f->text, "URL, label or error");
}

/* ---- order ---- */

static double value_of(const struct scrape_status *s, const char *key)
{
    double value = 0;
    if (strcmp(key, "state") == 0)
        value = s->health == SCRAPE_DOWN ? 0 : s->health == SCRAPE_UP ? 1 : 2;
    else if (strcmp(key, "last") == 0)
        value = (double)s->last_scrape_wall_ms;
    else if (strcmp(key, "duration") == 0)
        value = s->last_duration_s;
    else if (strcmp(key, "samples") == 0)
        value = (double)s->last_post_relabel;
    else if (strcmp(key, "series") == 0)
        value = (double)s->series;
    else if (strcmp(key, "size") == 0)
        value = (double)s->last_body_bytes;
    return value;
}

static int by_key(const void *a, const void *b, void *sort)
{
    const struct scrape_status *x = *(const struct scrape_status *const *)a;
    const struct scrape_status *y = *(const struct scrape_status *const *)b;
    const char *key = sort;
    bool down = key[0] == '-';
    double p = value_of(x, key + down), q = value_of(y, key + down);
    int order = (p > q) - (p < q);
    if (order == 0)
        order = strcmp(target_shown_url(x->target), target_shown_url(y->target));
    if (order == 0)
        order = (x > y) - (x < y);
    return down ? -order : order;
}

/* Those that match, in the order asked for. The caller frees. */
static const struct scrape_status **choose(const struct web_view *v, const struct page_filter *f, size_t *n)
{
    const struct scrape_status **rows = xcalloc(v->targets_n + 1, sizeof *rows);
    *n = 0;
    for (size_t i = 0; i < v->targets_n; i++) {
        if (matches(&v->targets[i], f))
            rows[(*n)++] = &v->targets[i];
    }
    if (f->sort[0])
        qsort_r(rows, *n, sizeof *rows, by_key, (char *)(uintptr_t)f->sort);
    return rows;
}

/* ---- rows ---- */

static void add_limited(struct buf *out, const struct scrape_status *s)
{
    if (s->series_limited == 0)
        return;
    buf_add_c(out, "<div class=\"err\">A series limit keeps out ");
    page_count(out, s->series_limited);
    buf_add_c(out, " series");
    if (s->limited_label[0]) {
        buf_add_c(out, "; the label with most values among them is ");
        page_text(out, s->limited_label);
    }
    buf_add_c(out, ".</div>");
}

static void add_target(struct buf *out, const struct scrape_status *s, bool with_job)
{
    const struct target *t = s->target;
    buf_add_c(out, "<td data-l=\"Target\">");
    page_web_address(out, target_shown_url(t));
    if (t->unix_socket) {
        buf_add_c(out, " <span class=\"dim\">through ");
        page_text(out, t->unix_socket);
        buf_add_c(out, "</span>");
    }
    page_target_link(out, "/service-discovery", t, "found as");
    buf_add_c(out, "<div>");
    page_labels(out, t->labels, t->labels_n, with_job ? NULL : "job");
    buf_add_c(out, "</div>");
    if (s->last_error[0]) {
        buf_add_c(out, "<div class=\"err\">");
        page_text(out, s->last_error);
        buf_add_c(out, "</div>");
    }
    add_limited(out, s);
    buf_add_c(out, "</td>");
}

static void add_when(struct buf *out, const struct web_view *v, const struct scrape_status *s)
{
    buf_add_c(out, "<td class=\"num\" data-l=\"Last scrape\">");
    page_ago(out, v->now_ms, s->last_scrape_wall_ms);
    buf_add_c(out, "<div class=\"dim\">next in ");
    page_seconds(out, (double)s->next_scrape_in_ms / 1000);
    buf_add_c(out, "</div></td>");
}

/* What the last scrape brought; empty before the first. */
static void add_last_scrape(struct buf *out, const struct scrape_status *s)
{
    bool scraped = s->last_scrape_wall_ms != 0;
    buf_add_c(out, "<td class=\"num\" data-l=\"Duration\">");
    if (scraped)
        page_seconds(out, s->last_duration_s);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Samples\">");
    if (scraped)
        page_count(out, s->last_post_relabel);
    if (scraped && s->last_samples != s->last_post_relabel) {
        buf_add_c(out, "<div class=\"dim\">of ");
        page_count(out, s->last_samples);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Series\">");
    if (scraped)
        page_count(out, s->series);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Size\">");
    if (scraped)
        page_size(out, s->last_body_bytes);
    buf_add_c(out, "</td>");
}

static void add_row(struct buf *out, const struct web_view *v, const struct scrape_status *s, bool with_job)
{
    const char *colour = s->health == SCRAPE_UP ? "good" : s->health == SCRAPE_DOWN ? "bad" : "dim";
    buf_add_c(out, "<tr><td data-l=\"State\">");
    page_badge(out, colour, view_health(s->health));
    buf_add_c(out, "</td>");
    add_target(out, s, with_job);
    add_when(out, v, s);
    add_last_scrape(out, s);
    buf_add_c(out, "</tr>\n");
}

static void add_job_name(struct buf *out, const struct web_view *v, struct str job)
{
    buf_add_c(out, "<h2>");
    buf_add_html(out, job);
    for (size_t i = 0; i < v->jobs_n; i++) {
        const struct view_job *j = &v->jobs[i];
        if (str_eq_c(job, j->job))
            buf_addf(out, " <small>%llu of %llu up</small>", (unsigned long long)j->up,
                     (unsigned long long)(j->up + j->down + j->unknown));
    }
    buf_add_c(out, "</h2>\n");
}

static void begin_table(struct buf *out, const struct page_filter *f)
{
    static const struct {
        const char *key, *name;
        bool number;
    } columns[] = {{"state", "State", false},      {"url", "Target", false},    {"last", "Last scrape", true},
                   {"duration", "Duration", true}, {"samples", "Samples", true}, {"series", "Series", true},
                   {"size", "Size", true}};
    buf_add_c(out, "<table class=\"rows\"><thead><tr>");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++)
        page_sort_head(out, "/targets", f, columns[i].key, columns[i].name, columns[i].number);
    buf_add_c(out, "</tr></thead><tbody>\n");
}

/* A table for each job, unless another order is wanted. */
static void add_rows(struct buf *out, const struct web_view *v, const struct page_filter *f,
                     const struct scrape_status *const *rows, size_t n)
{
    bool sorted = f->sort[0] != '\0';
    for (size_t i = 0; i < n; i++) {
        struct str job = rows[i]->target->job;
        bool first = i == 0 || (!sorted && !str_eq(job, rows[i - 1]->target->job));
        if (first && i > 0)
            buf_add_c(out, "</tbody></table>\n");
        if (first && !sorted)
            add_job_name(out, v, job);
        if (first)
            begin_table(out, f);
        add_row(out, v, rows[i], sorted);
    }
    if (n > 0)
        buf_add_c(out, "</tbody></table>\n");
}

void page_targets(struct buf *out, const struct web_view *view, const struct page_filter *filter)
{
    size_t n;
    page_begin(out, "Targets", "/targets");
    add_form(out, view, filter);
    add_tabs(out, view, filter);
    const struct scrape_status **rows = choose(view, filter, &n);
    size_t from = filter->from < n ? filter->from : n;
    add_rows(out, view, filter, rows + from, n - from < PAGE_ROWS ? n - from : PAGE_ROWS);
    free(rows);
    if (n == 0)
        buf_add_c(out, "<p class=\"dim\">No target matches.</p>");
    page_pages(out, "/targets", filter, n);
    page_end(out, view);
}
