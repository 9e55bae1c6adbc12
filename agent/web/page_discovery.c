/* SPDX-License-Identifier: Apache-2.0 */
/* page_discovery: what discovery found for each job, and what became of it: the labels that a target has in the end, or
   the rule that dropped it, or the agent that has it instead. */
#include "page.h"

#include "base/alloc.h"
#include "shard.h"

#include <stdlib.h>

#define OWNERS_SHOWN 8
#define META_SHOWN 8

/* ---- the choice ---- */

static bool found_holds(const struct target *t, struct str needle)
{
    struct labels l;
    labels_init(&l, NULL);
    target_discovered(t, &l);
    bool holds = page_labels_hold(l.v, l.n, needle);
    labels_free(&l);
    return holds;
}

/* The labels whose names begin with __meta_, or the others. */
static size_t pick_meta(const struct labels *all, bool meta, struct labels *some)
{
    labels_clear(some);
    for (size_t i = 0; i < all->n; i++) {
        if (str_starts(all->v[i].name, STR("__meta_")) == meta)
            labels_push(some, all->v[i].name, all->v[i].value);
    }
    return some->n;
}

/* A pod has some forty labels that say where it was found: unless they are few or looked for, they are folded away. */
static void add_found(struct buf *out, const struct target *t, bool open)
{
    struct labels l, some;
    labels_init(&l, NULL);
    labels_init(&some, NULL);
    target_discovered(t, &l);
    pick_meta(&l, false, &some);
    page_labels(out, some.v, some.n, NULL);
    page_relabel_link(out, t, &l);
    size_t n = pick_meta(&l, true, &some);
    if (n > META_SHOWN)
        buf_addf(out, "<details%s><summary>%zu labels of where it was found</summary>", open ? " open" : "", n);
    page_labels(out, some.v, some.n, NULL);
    if (n > META_SHOWN)
        buf_add_c(out, "</details>");
    labels_free(&some);
    labels_free(&l);
}

static bool matches(const struct target *t, const struct page_filter *f)
{
    struct str needle = str_of(f->text);
    return (!f->job[0] || str_eq_c(t->job, f->job)) &&
           (!f->state[0] || strcmp(f->state, t->dropped ? "dropped" : "active") == 0) &&
           (page_holds(str_of(target_shown_url(t)), needle) || found_holds(t, needle) ||
            page_labels_hold(t->labels, t->labels_n, needle));
}

static int by_job(const void *a, const void *b)
{
    const struct scrape_status *x = *(const struct scrape_status *const *)a;
    const struct scrape_status *y = *(const struct scrape_status *const *)b;
    int r = str_cmp(x->target->job, y->target->job);
    return r ? r : (x > y) - (x < y); /* the view's own order within a job */
}

/* Those that match, by job. The caller frees. */
static const struct scrape_status **choose(const struct web_view *v, const struct page_filter *f, size_t *n)
{
    const struct scrape_status **rows = xcalloc(v->targets_n + 1, sizeof *rows);
    *n = 0;
    for (size_t i = 0; i < v->targets_n; i++) {
        if (matches(v->targets[i].target, f))
            rows[(*n)++] = &v->targets[i];
    }
    qsort(rows, *n, sizeof *rows, by_job);
    return rows;
}

static void add_form(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    page_form_begin(out, "/service-discovery");
    page_select_job(out, v, f->job);
    page_select(out, "state", "State");
    page_option(out, "", "active and dropped", f->state);
    page_option(out, "active", "active", f->state);
    page_option(out, "dropped", "dropped", f->state);
    page_select_end(out);
    page_form_end(out, f->text, "URL or label");
}

/* ---- the table of jobs ---- */

static void add_jobs(struct buf *out, const struct web_view *v)
{
    bool shared = v->sharding.shards > 1;
    buf_addf(out,
             "<table><thead><tr><th scope=\"col\">Job</th><th scope=\"col\" class=\"num\">Found</th>"
             "<th scope=\"col\" class=\"num\">Active</th>"
             "<th scope=\"col\" class=\"num\">Dropped by rules</th>%s</tr></thead><tbody>\n",
             shared ? "<th scope=\"col\" class=\"num\">Of other shards</th>" : "");
    for (size_t i = 0; i < v->jobs_n; i++) {
        const struct view_job *j = &v->jobs[i];
        uint64_t active = j->up + j->down + j->unknown;
        buf_add_c(out, "<tr><td data-l=\"Job\"><a href=\"/service-discovery?job=");
        page_url_escaped(out, str_of(j->job));
        buf_add_c(out, "\">");
        page_text(out, j->job);
        buf_add_c(out, "</a></td>");
        page_cell_count(out, "Found", active + j->dropped + j->other_shard);
        page_cell_count(out, "Active", active);
        page_cell_count(out, "Dropped", j->dropped);
        if (shared)
            page_cell_count(out, "Of other shards", j->other_shard);
        buf_add_c(out, "</tr>\n");
    }
    buf_add_c(out, "</tbody></table>\n");
}

/* ---- the table of sources ---- */

static void add_source(struct buf *out, const struct web_view *v, const struct discovery_source_status *s)
{
    const char *colour = !s->looked ? "dim" : s->error[0] ? "bad" : "good";
    buf_add_c(out, "<tr><td data-l=\"Job\">");
    page_text(out, s->job);
    buf_add_c(out, "</td><td data-l=\"Source\">");
    page_text(out, s->kind);
    buf_add_c(out, "<div class=\"dim\">");
    page_text(out, s->detail);
    buf_add_c(out, "</div></td><td data-l=\"State\">");
    page_badge(out, colour, !s->looked ? "first look" : s->error[0] ? "fails" : "good");
    if (s->error[0]) {
        buf_add_c(out, "<div class=\"err\">");
        page_text(out, s->error);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td>");
    page_cell_count(out, "Targets", s->sets);
    page_cell_count(out, "Failures", s->failures);
    buf_add_c(out, "<td class=\"num\" data-l=\"Last change\">");
    page_ago(out, v->now_ms, s->changed_ms);
    buf_add_c(out, "</td></tr>\n");
}

static void add_sources(struct buf *out, const struct web_view *v, const struct page_filter *f)
{
    bool any = false;
    for (size_t i = 0; i < v->sources_n; i++) {
        if (f->job[0] && strcmp(f->job, v->sources[i].job) != 0)
            continue;
        if (!any)
            buf_add_c(out, "<h2>Sources</h2>\n<table id=\"sources\" data-live><thead><tr><th scope=\"col\">Job</th>"
                           "<th scope=\"col\">Source</th><th scope=\"col\">State</th>"
                           "<th scope=\"col\" class=\"num\">Targets</th><th scope=\"col\" class=\"num\">Failures</th>"
                           "<th scope=\"col\" class=\"num\">Last change</th></tr></thead><tbody>\n");
        any = true;
        add_source(out, v, &v->sources[i]);
    }
    if (any)
        buf_add_c(out, "</tbody></table>\n");
}

/* ---- rows ---- */

static const struct relabel_rules *rules_of(const struct web_view *v, struct str job)
{
    for (size_t i = 0; v->config && i < v->config->jobs_n; i++) {
        if (str_eq_c(job, v->config->jobs[i].job_name))
            return v->config->jobs[i].relabel;
    }
    return NULL;
}

/* The present configuration may be newer than the target: then the rule may have gone. */
static void add_rule(struct buf *out, const struct web_view *v, const struct target *t)
{
    const struct relabel_rules *rules = rules_of(v, t->job);
    struct buf text;
    buf_init(&text, 64 * 1024);
    buf_addf(out, "relabel_configs, rule number %zu", t->dropped_by + 1);
    if (rules && t->dropped_by < relabel_count(rules)) {
        int line = relabel_describe(rules, t->dropped_by, &text);
        if (line > 0)
            buf_addf(out, ", line %d", line);
        buf_add_c(out, "<div><span class=\"chip\">");
        buf_add_html(out, buf_str(&text));
        buf_add_c(out, "</span></div>");
    }
    buf_free(&text);
}

static void add_owners(struct buf *out, const struct web_view *v, const struct target *t)
{
    const struct scrape_sharding *s = &v->sharding;
    unsigned owners[OWNERS_SHOWN];
    size_t n = shard_owners(t->phase, s->shards, s->replication, owners, OWNERS_SHOWN);
    buf_addf(out, "belongs to %s", n == 0 ? "another shard" : n == 1 ? "shard" : "shards");
    for (size_t i = 0; i < n; i++)
        buf_addf(out, "%s%u", i == 0 ? " " : i + 1 == n ? " and " : ", ", owners[i]);
    if (s->replication > n && n)
        buf_add_c(out, " and more");
}

static void add_outcome(struct buf *out, const struct web_view *v, const struct target *t)
{
    page_badge(out, t->dropped ? "dim" : "good", t->dropped ? "dropped" : "active");
    buf_add_char(out, ' ');
    if (t->dropped && t->drop == TARGET_BY_RULE)
        add_rule(out, v, t);
    else if (t->dropped)
        add_owners(out, v, t);
    else
        page_target_link(out, "/targets", t, "last scrape");
    if (target_shown_url(t)) {
        buf_add_c(out, "<div>");
        page_web_address(out, target_shown_url(t));
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "<div>");
    page_labels(out, t->labels, t->labels_n, NULL);
    buf_add_c(out, "</div>");
}

static void begin_job(struct buf *out, struct str job)
{
    buf_add_c(out, "<h2>");
    buf_add_html(out, job);
    buf_add_c(out, "</h2>\n<table class=\"found\"><thead><tr><th scope=\"col\">Discovered labels</th>"
                   "<th scope=\"col\">What becomes of it</th></tr></thead><tbody>\n");
}

static void add_rows(struct buf *out, const struct web_view *v, const struct scrape_status *const *rows, size_t n,
                     bool open)
{
    for (size_t i = 0; i < n; i++) {
        const struct target *t = rows[i]->target;
        if (i == 0 || !str_eq(rows[i - 1]->target->job, t->job)) {
            if (i)
                buf_add_c(out, "</tbody></table>\n");
            begin_job(out, t->job);
        }
        buf_add_c(out, "<tr><td data-l=\"Found\">");
        add_found(out, t, open);
        buf_add_c(out, "</td><td data-l=\"Becomes\">");
        add_outcome(out, v, t);
        buf_add_c(out, "</td></tr>\n");
    }
    if (n)
        buf_add_c(out, "</tbody></table>\n");
}

/* Of many dropped targets only some are remembered; nobody shall take those for all. */
static void add_forgotten(struct buf *out, const struct web_view *v)
{
    uint64_t dropped = 0, listed = 0;
    for (size_t i = 0; i < v->jobs_n; i++)
        dropped += v->jobs[i].dropped + v->jobs[i].other_shard;
    for (size_t i = 0; i < v->targets_n; i++)
        listed += v->targets[i].target->dropped;
    if (listed >= dropped)
        return;
    buf_add_c(out, "<p class=\"note\">Of ");
    page_count(out, dropped);
    buf_add_c(out, " dropped targets ");
    page_count(out, listed);
    buf_add_c(out, " are remembered; keep_dropped_targets of a job says how many.</p>\n");
}

void page_discovery(struct buf *out, const struct web_view *view, const struct page_filter *filter)
{
    size_t n;
    page_begin(out, "Service discovery", "/service-discovery");
    add_jobs(out, view);
    add_sources(out, view, filter);
    add_form(out, view, filter);
    const struct scrape_status **rows = choose(view, filter, &n);
    size_t from = filter->from < n ? filter->from : n;
    add_rows(out, view, rows + from, n - from < PAGE_ROWS ? n - from : PAGE_ROWS, filter->text[0] != '\0');
    free(rows);
    if (n == 0)
        buf_add_c(out, "<p class=\"dim\">Nothing matches.</p>");
    page_pages(out, "/service-discovery", filter, n);
    add_forgotten(out, view);
    page_end(out, view);
}
