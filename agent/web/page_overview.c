/* SPDX-License-Identifier: Apache-2.0 */
/* page_overview: is everything well, and if not, where to look. */
#include "page.h"

#include <stdio.h>
#include <stdlib.h>

/* A day or less of room is worth a word. */
#define ROOM_SHORT_S 86400

/* ---- what is not well ---- */

struct verdict {
    struct buf *out;
    size_t n; /* sentences */
};

static void say(struct verdict *d, const char *colour, const char *word)
{
    if (d->n++ == 0)
        buf_add_c(d->out, "<ul class=\"verdict\" id=\"verdict\" data-live>");
    buf_addf(d->out, "<li class=\"%s\"><b>%s</b> ", colour, word);
}

static void said(struct verdict *d)
{
    buf_add_c(d->out, "</li>\n");
}

static void say_text(struct verdict *d, const char *colour, const char *word, const char *text)
{
    say(d, colour, word);
    page_text(d->out, text);
    said(d);
}

static void judge_endpoint(struct verdict *d, const struct remote_status *r)
{
    if (r->state == REMOTE_IDLE || r->state == REMOTE_OK)
        return;
    say(d, r->state == REMOTE_RETRYING ? "warn" : "bad", "Endpoint");
    page_text(d->out, r->name);
    buf_addf(d->out, ": %s", page_endpoint_word(r->state));
    if (r->last_error[0]) {
        buf_add_c(d->out, ", ");
        page_text(d->out, r->last_error);
    }
    said(d);
}

static void judge_targets(struct verdict *d, const struct web_view *v)
{
    uint64_t down = v->totals.targets_down, limited = 0;
    for (size_t i = 0; i < v->jobs_n; i++)
        limited += v->jobs[i].limited;
    if (down) {
        say(d, "bad", "Targets");
        buf_addf(d->out, "<a href=\"/targets?health=down\">%llu %s down</a>", (unsigned long long)down,
                 down == 1 ? "target is" : "targets are");
        said(d);
    }
    if (limited) {
        say(d, "warn", "Limits");
        page_count(d->out, limited);
        buf_add_c(d->out, " series are kept out by a series limit; <a href=\"/targets?sort=-series\">targets</a> "
                          "say which label grew");
        said(d);
    }
}

static void judge_buffer(struct verdict *d, const struct web_view *v)
{
    uint64_t lost = view_sum(v, "lost", NULL);
    double growth = history_growth(v->history, v->history_n);
    const struct queue_stats *q = &v->queue;
    if (q->disk_error[0]) {
        say(d, "bad", "Disk");
        buf_add_c(d->out, "The buffer's disk fails, samples stay in memory: ");
        page_text(d->out, q->disk_error);
        said(d);
    }
    if (growth > 0 && q->disk_bytes && q->disk_bytes_max > q->disk_bytes &&
        (double)(q->disk_bytes_max - q->disk_bytes) / growth < ROOM_SHORT_S) {
        say(d, "warn", "Buffer");
        page_room(d->out, v);
        said(d);
    }
    if (lost) {
        say(d, "warn", "Loss");
        page_count(d->out, lost);
        buf_add_c(d->out, " samples were lost since the start; the <a href=\"/queue\">buffer's page</a> says why");
        said(d);
    }
}

static void judge(struct buf *out, const struct web_view *v)
{
    struct verdict d = {.out = out};
    if (!v->ready)
        say_text(&d, "warn", "Not ready:", v->not_ready.msg);
    if (v->loaded_ms && !v->reload_ok)
        say_text(&d, "warn", "Configuration", "The last reload failed; the one before it is in use");
    if (v->remotes_n == 0)
        say_text(&d, "warn", "Endpoints", "No remote_write endpoint is configured: samples go nowhere.");
    for (size_t i = 0; i < v->remotes_n; i++)
        judge_endpoint(&d, &v->remotes[i]);
    judge_targets(&d, v);
    judge_buffer(&d, v);
    if (d.n == 0)
        say_text(&d, "good", "All is well:", "targets answer, samples arrive, nothing was lost.");
    buf_add_c(out, "</ul>\n");
}

/* ---- numbers ---- */

static void add_process(struct buf *out, const struct web_view *v)
{
    const struct process_stats *p = &v->process;
    double age_s = (double)v->now_ms / 1000 - p->start_seconds;
    if (p->rss_bytes > 0) {
        page_tile_begin(out, "memory", "");
        page_size(out, (uint64_t)p->rss_bytes);
        if (p->anon_bytes > 0) {
            buf_add_c(out, "<small>anonymous ");
            page_size(out, (uint64_t)p->anon_bytes);
            buf_add_c(out, "</small>");
        }
        page_tile_end(out);
    }
    if (p->start_seconds > 0 && age_s > 0) {
        page_tile_begin(out, "CPU, average", "");
        buf_addf(out, "%.2f %%<small>running for ", 100 * p->cpu_seconds / age_s);
        page_seconds(out, age_s);
        buf_add_c(out, "</small>");
        page_tile_end(out);
    }
}

static void add_targets_tile(struct buf *out, const struct web_view *v)
{
    const struct scrape_totals *t = &v->totals;
    uint64_t all = t->targets_up + t->targets_down + t->targets_unknown;
    page_tile_begin(out, "targets up", t->targets_down ? "bad" : "");
    page_count(out, t->targets_up);
    buf_add_c(out, " of ");
    page_count(out, all);
    if (t->targets_unknown)
        buf_addf(out, "<small>%llu not scraped yet</small>", (unsigned long long)t->targets_unknown);
    page_tile_end(out);
}

static void add_waiting_tile(struct buf *out, const struct web_view *v)
{
    uint64_t samples = 0;
    for (size_t i = 0; i < v->remotes_n; i++)
        samples += v->remotes[i].queue.buffered_samples;
    page_tile_begin(out, "samples waiting", "");
    page_count(out, samples);
    buf_add_c(out, "<small>");
    page_room(out, v);
    buf_add_c(out, "</small>");
    page_tile_end(out);
}

static void add_scraped_tile(struct buf *out, const struct web_view *v)
{
    double rate = history_scraped(v->history, v->history_n);
    page_tile_begin(out, "samples scraped", "");
    page_count(out, view_sum(v, "scraped", NULL));
    if (rate > 0)
        buf_addf(out, "<small>%.*f a second</small>", rate < 100 ? 1 : 0, rate);
    page_tile_end(out);
}

static void add_tiles(struct buf *out, const struct web_view *v)
{
    buf_add_c(out, "<div id=\"numbers\" data-live>");
    page_tiles_begin(out);
    add_targets_tile(out, v);
    if (v->sharding.shards > 1) {
        page_tile_begin(out, "shard", "");
        buf_addf(out, "%u of %u", v->sharding.shard, v->sharding.shards);
        page_tile_end(out);
    }
    page_tile_count(out, "live series", v->totals.series, "");
    add_scraped_tile(out, v);
    page_tile_count(out, "samples delivered", view_sum(v, "delivered", NULL), "");
    add_waiting_tile(out, v);
    page_tile_count(out, "samples lost", view_sum(v, "lost", NULL), "bad");
    add_process(out, v);
    page_tiles_end(out);
    buf_add_c(out, "</div>\n");
}

/* ---- jobs ---- */

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
    page_cell_count(out, "Down", j->down);
    page_cell_count(out, "Unknown", j->unknown);
    page_cell_count(out, "Dropped", j->dropped);
    if (v->sharding.shards > 1)
        page_cell_count(out, "Of other shards", j->other_shard);
    buf_add_c(out, "</tr>\n");
}

static void add_jobs(struct buf *out, const struct web_view *v)
{
    buf_addf(out,
             "<h2>Jobs</h2>\n<table id=\"jobs\" data-live><thead><tr><th scope=\"col\">Job</th>"
             "<th scope=\"col\">State</th><th scope=\"col\" class=\"num\">Down</th>"
             "<th scope=\"col\" class=\"num\">Not scraped yet</th>"
             "<th scope=\"col\" class=\"num\">Dropped by rules</th>%s</tr></thead><tbody>\n",
             v->sharding.shards > 1 ? "<th scope=\"col\" class=\"num\">Of other shards</th>" : "");
    for (size_t i = 0; i < v->jobs_n; i++)
        add_job(out, v, &v->jobs[i]);
    if (v->jobs_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\">No jobs are configured.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
}

void page_overview(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Overview", "/");
    judge(out, view);
    add_tiles(out, view);
    page_plots(out);
    page_endpoints(out, view);
    add_jobs(out, view);
    page_end(out, view);
}
