/* SPDX-License-Identifier: Apache-2.0 */
/* page_endpoints: what the overview says of endpoints, its plots, and how long the buffer has room. */
#include "page.h"

#include <math.h>

/* ---- states ---- */

const char *page_endpoint_word(enum remote_state state)
{
    switch (state) {
    case REMOTE_IDLE:
        return "idle";
    case REMOTE_OK:
        return "delivering";
    case REMOTE_RETRYING:
        return "retrying";
    case REMOTE_HELD_AUTH:
        return "refused: authorization";
    case REMOTE_HELD_URL:
        return "refused: wrong URL";
    }
    return "unknown";
}

static const char *endpoint_colour(enum remote_state state)
{
    return state == REMOTE_OK ? "good" : state == REMOTE_IDLE ? "dim" : state == REMOTE_RETRYING ? "warn" : "bad";
}

void page_endpoint_state(struct buf *out, const struct web_view *v, const struct remote_status *r)
{
    page_badge(out, endpoint_colour(r->state), page_endpoint_word(r->state));
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
    buf_add_c(out, "<td data-l=\"State\">");
    page_endpoint_state(out, v, r);
    buf_add_c(out, "</td>");
    page_cell_count(out, "Delivered", view_sum(v, "delivered", r->name));
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

void page_endpoints(struct buf *out, const struct web_view *v)
{
    buf_add_c(out, "<h2>Endpoints</h2>\n");
    if (v->remotes_n == 0) {
        buf_add_c(out, "<p class=\"note\">No remote_write endpoint is configured: samples go nowhere.</p>");
        return;
    }
    buf_add_c(out, "<table class=\"ends\" id=\"endpoints\" data-live><thead><tr><th scope=\"col\">Endpoint</th>"
                   "<th scope=\"col\">State</th><th scope=\"col\" class=\"num\">Delivered</th>"
                   "<th scope=\"col\" class=\"num\">Filtered</th><th scope=\"col\" class=\"num\">Waiting</th>"
                   "<th scope=\"col\" class=\"num\">Lost</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < v->remotes_n; i++)
        add_endpoint(out, v, &v->remotes[i]);
    buf_add_c(out, "</tbody></table>\n");
}

/* ---- room ---- */

/* What a sample takes in the buffer: as those that wait do, else as those that were sent did. */
static double sample_bytes(const struct web_view *v)
{
    uint64_t samples = 0, bytes = 0, sent = 0, delivered = view_sum(v, "delivered", NULL);
    for (size_t i = 0; i < v->remotes_n; i++) {
        samples += v->remotes[i].queue.buffered_samples;
        bytes += v->remotes[i].queue.buffered_bytes;
        sent += v->remotes[i].wire_bytes;
    }
    if (samples && bytes)
        return (double)bytes / (double)samples;
    return delivered ? (double)sent / (double)delivered : 0;
}

void page_room(struct buf *out, const struct web_view *v)
{
    const struct queue_stats *q = &v->queue;
    double growth = history_growth(v->history, v->history_n);
    double free_bytes = q->disk_bytes_max > q->disk_bytes ? (double)(q->disk_bytes_max - q->disk_bytes) : 0;
    double outage = history_scraped(v->history, v->history_n) * sample_bytes(v);
    if (q->disk_bytes_max == 0)
        return;
    if (growth > 0 && q->disk_bytes) {
        buf_add_c(out, "room for ");
        page_seconds(out, free_bytes / growth);
        buf_add_c(out, " at the present rate");
    } else if (outage > 0) {
        buf_add_c(out, "room for about ");
        page_seconds(out, free_bytes / outage);
        buf_add_c(out, " of an outage");
    } else {
        page_size(out, (uint64_t)free_bytes);
        buf_add_c(out, " of room");
    }
}

/* ---- plots ---- */

/* Lines are "column:name:class ..." for live.js; "_" in a name stands for a blank. */
static const struct {
    const char *title, *unit, *lines;
} PLOTS[] = {
    {"Samples a second", "count",
     "scraped_per_second:scraped:c1 delivered_per_second:delivered:c2 lost_per_second:lost:c3"},
    {"Delay", "seconds", "delay_seconds:oldest_that_waits:c1"},
    {"Buffer", "bytes", "buffer_ram_bytes:in_memory:c1 buffer_disk_bytes:on_disk:c2"},
    {"Answers a second", "count",
     "answers_2xx_per_second:2xx:c1 answers_4xx_per_second:4xx:c4 answers_5xx_per_second:5xx:c3 "
     "no_answer_per_second:none:c2"},
    {"CPU of the agent", "percent", "cpu_percent:of_one_core:c1"},
    {"Memory of the agent", "bytes", "resident_memory_bytes:resident:c1"},
};

void page_plots(struct buf *out)
{
    page_live_bar(out, "The last half hour");
    buf_add_c(out, "<noscript><p class=\"dim\">Plots are drawn by JavaScript; everything else is here without it."
                   "</p></noscript><div class=\"plots\" data-plots hidden>\n");
    for (size_t i = 0; i < sizeof PLOTS / sizeof PLOTS[0]; i++)
        buf_addf(out, "<figure data-unit=\"%s\" data-lines=\"%s\"><figcaption>%s</figcaption></figure>\n",
                 PLOTS[i].unit, PLOTS[i].lines, PLOTS[i].title);
    buf_add_c(out, "</div>\n");
}
