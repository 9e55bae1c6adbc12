/* SPDX-License-Identifier: Apache-2.0 */
/* page_targets: every target with its last scrape, chosen by a plain form. */
#include "page.h"

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

static void add_form(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    page_form_begin(out, "/targets");
    page_select_job(out, v, f->job);
    page_select(out, "health", "Health");
    page_option(out, "", "any health", f->health);
    page_option(out, "up", "up", f->health);
    page_option(out, "down", "down", f->health);
    page_option(out, "unknown", "not scraped yet", f->health);
    buf_add_c(out, "</select>");
    page_form_end(out, f->text, "URL, label or error");
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

static void add_target(struct buf *out, const struct scrape_status *s)
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
    page_labels(out, t->labels, t->labels_n, "job");
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

static void add_row(struct buf *out, const struct web_view *v, const struct scrape_status *s)
{
    const char *colour = s->health == SCRAPE_UP ? "good" : s->health == SCRAPE_DOWN ? "bad" : "dim";
    buf_add_c(out, "<tr><td data-l=\"State\">");
    page_badge(out, colour, view_health(s->health));
    buf_add_c(out, "</td>");
    add_target(out, s);
    add_when(out, v, s);
    add_last_scrape(out, s);
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
                   "<th class=\"num\">Last scrape</th><th class=\"num\">Duration</th><th class=\"num\">Samples</th>"
                   "<th class=\"num\">Series</th><th class=\"num\">Size</th></tr></thead><tbody>\n");
}

static size_t add_rows(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    size_t shown = 0, found = 0;
    struct str job = STR_NULL;
    for (size_t i = 0; i < v->targets_n; i++) {
        const struct scrape_status *s = &v->targets[i];
        if (!matches(s, f) || found++ < f->from || shown >= PAGE_ROWS)
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
    page_pages(out, "/targets", filter, found);
    page_end(out, view);
}
