/* SPDX-License-Identifier: Apache-2.0 */
/* page_overview: is everything well, and if not, where to look. */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>

static void tile_begin(struct buf *out, const char *name, const char *class)
{
    buf_addf(out, "<div class=\"tile%s%s\"><span>%s</span><b>", *class ? " " : "", class, name);
}

static void tile_end(struct buf *out)
{
    buf_add_c(out, "</b></div>");
}

static void tile_count(struct buf *out, const char *name, uint64_t n, const char *class)
{
    tile_begin(out, name, n ? class : "");
    page_count(out, n);
    tile_end(out);
}

static void tile_size(struct buf *out, const char *name, double bytes)
{
    if (bytes <= 0)
        return;
    tile_begin(out, name, "");
    page_size(out, (uint64_t)bytes);
    tile_end(out);
}

static void add_process(struct buf *out, const struct web_view *v)
{
    const struct process_stats *p = &v->process;
    double age_s = (double)v->now_ms / 1000 - p->start_seconds;
    tile_size(out, "memory (resident)", p->rss_bytes);
    tile_size(out, "memory (anonymous)", p->anon_bytes);
    if (p->start_seconds > 0 && age_s > 0) {
        tile_begin(out, "CPU, average", "");
        buf_addf(out, "%.2f %%", 100 * p->cpu_seconds / age_s);
        tile_end(out);
        tile_begin(out, "running for", "");
        page_seconds(out, age_s);
        tile_end(out);
    }
}

static uint64_t sum_buffered(const struct web_view *v)
{
    uint64_t n = 0;
    for (size_t i = 0; i < v->remotes_n; i++)
        n += v->remotes[i].queue.buffered_samples;
    return n;
}

static void add_tiles(struct buf *out, const struct web_view *v)
{
    const struct scrape_totals *t = &v->totals;
    buf_add_c(out, "<div class=\"tiles\">");
    tile_count(out, "targets up", t->targets_up, "");
    tile_count(out, "targets down", t->targets_down, "bad");
    if (t->targets_unknown)
        tile_count(out, "not scraped yet", t->targets_unknown, "");
    if (v->sharding.shards > 1) {
        tile_begin(out, "shard", "");
        buf_addf(out, "%u of %u", v->sharding.shard, v->sharding.shards);
        tile_end(out);
    }
    tile_count(out, "live series", t->series, "");
    tile_count(out, "samples scraped", view_sum(v, "scraped", NULL), "");
    tile_count(out, "samples delivered", view_sum(v, "delivered", NULL), "");
    tile_count(out, "samples buffered", sum_buffered(v), "");
    tile_count(out, "samples lost", view_sum(v, "lost", NULL), "bad");
    add_process(out, v);
    buf_add_c(out, "</div>\n");
}

static void add_notes(struct buf *out, const struct web_view *v)
{
    if (!v->ready) {
        buf_add_c(out, "<p class=\"note\">Not ready: ");
        page_text(out, v->not_ready.msg);
        buf_add_c(out, "</p>");
    }
    if (v->queue.disk_error[0]) {
        buf_add_c(out, "<p class=\"note\">The buffer's disk fails, samples stay in memory: ");
        page_text(out, v->queue.disk_error);
        buf_add_c(out, "</p>");
    }
}

static void state_badge(struct buf *out, enum remote_state state)
{
    const char *colour = state == REMOTE_OK ? "good" : state == REMOTE_IDLE ? "dim" :
                         state == REMOTE_RETRYING ? "warn" : "bad";
    page_badge(out, colour, view_remote_state(state));
}

static void cell_count(struct buf *out, const char *name, uint64_t n)
{
    buf_addf(out, "<td class=\"num\" data-l=\"%s\">", name);
    page_count(out, n);
    buf_add_c(out, "</td>");
}

static void add_endpoint_state(struct buf *out, const struct web_view *v, const struct remote_status *r)
{
    buf_add_c(out, "<td data-l=\"State\">");
    state_badge(out, r->state);
    if (r->last_status)
        buf_addf(out, " <span class=\"dim\">HTTP %ld</span>", r->last_status);
    if (r->next_try_in_ms > 0) {
        buf_add_c(out, " <span class=\"dim\">next try in ");
        page_seconds(out, (double)r->next_try_in_ms / 1000);
        buf_add_c(out, "</span>");
    }
    buf_add_c(out, "<div class=\"dim\">last success ");
    page_ago(out, v->now_ms, r->last_success_wall_ms);
    buf_add_c(out, "</div>");
    if (r->last_error[0]) {
        buf_add_c(out, "<div class=\"err\">");
        page_text(out, r->last_error);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td>");
}

static void add_filtered(struct buf *out, const struct web_view *v, const char *endpoint)
{
    uint64_t routed = view_sum(v, "routed", endpoint);
    buf_add_c(out, "<td class=\"num\" data-l=\"Filtered\">");
    page_count(out, view_sum(v, "filtered", endpoint));
    if (routed) {
        buf_add_c(out, "<div class=\"dim\">elsewhere in its group ");
        page_count(out, routed);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td>");
}

static void add_endpoint(struct buf *out, const struct web_view *v, const struct remote_status *r)
{
    buf_add_c(out, "<tr><td data-l=\"Endpoint\"><b>");
    page_text(out, r->name);
    buf_add_c(out, "</b><div class=\"dim\">");
    page_text(out, r->url);
    buf_add_c(out, "</div></td>");
    add_endpoint_state(out, v, r);
    cell_count(out, "Delivered", view_sum(v, "delivered", r->name));
    add_filtered(out, v, r->name);
    buf_add_c(out, "<td class=\"num\" data-l=\"Buffered\">");
    page_count(out, r->queue.buffered_samples);
    if (r->queue.oldest_wall_ms) {
        buf_add_c(out, "<div class=\"dim\">oldest ");
        page_ago(out, v->now_ms, r->queue.oldest_wall_ms);
        buf_add_c(out, "</div>");
    }
    buf_add_c(out, "</td>");
    uint64_t lost = view_sum(v, "lost", r->name);
    buf_addf(out, "<td class=\"num%s\" data-l=\"Lost\">", lost ? " err" : "");
    page_count(out, lost);
    buf_add_c(out, "</td></tr>\n");
}

static void add_endpoints(struct buf *out, const struct web_view *v)
{
    buf_add_c(out, "<h2>Endpoints</h2>\n");
    if (v->remotes_n == 0) {
        buf_add_c(out, "<p class=\"note\">No remote_write endpoint is configured: samples go nowhere.</p>");
        return;
    }
    buf_add_c(out, "<table class=\"ends\"><thead><tr><th>Endpoint</th><th>State</th>"
                   "<th class=\"num\">Delivered</th>"
                   "<th class=\"num\">Filtered</th><th class=\"num\">Buffered</th><th class=\"num\">Lost</th>"
                   "</tr></thead><tbody>\n");
    for (size_t i = 0; i < v->remotes_n; i++)
        add_endpoint(out, v, &v->remotes[i]);
    buf_add_c(out, "</tbody></table>\n");
}

static void add_job(struct buf *out, const struct web_view *v, const struct view_job *j)
{
    uint64_t active = j->up + j->down + j->unknown;
    buf_add_c(out, "<tr><td data-l=\"Job\"><a href=\"/targets?job=");
    page_url_escaped(out, str_of(j->job));
    buf_add_c(out, "\">");
    page_text(out, j->job);
    buf_add_c(out, "</a></td><td data-l=\"State\">");
    char text[64];
    snprintf(text, sizeof text, "%llu of %llu up", (unsigned long long)j->up, (unsigned long long)active);
    page_badge(out, j->down ? "bad" : j->up ? "good" : "dim", active ? text : "no targets");
    buf_add_c(out, "</td>");
    cell_count(out, "Down", j->down);
    cell_count(out, "Unknown", j->unknown);
    cell_count(out, "Dropped", j->dropped);
    if (v->sharding.shards > 1)
        cell_count(out, "Of other shards", j->other_shard);
    buf_add_c(out, "</tr>\n");
}

static void add_jobs(struct buf *out, const struct web_view *v)
{
    buf_addf(out,
             "<h2>Jobs</h2>\n<table><thead><tr><th>Job</th><th>State</th><th class=\"num\">Down</th>"
             "<th class=\"num\">Not scraped yet</th><th class=\"num\">Dropped by rules</th>%s</tr></thead>"
             "<tbody>\n",
             v->sharding.shards > 1 ? "<th class=\"num\">Of other shards</th>" : "");
    for (size_t i = 0; i < v->jobs_n; i++)
        add_job(out, v, &v->jobs[i]);
    if (v->jobs_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\">No jobs are configured.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
}

void page_overview(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Overview", "/");
    add_notes(out, view);
    add_tiles(out, view);
    add_endpoints(out, view);
    add_jobs(out, view);
    page_end(out, view);
}
