/* SPDX-License-Identifier: Apache-2.0 */
/* page_queue: what waits, what was lost and why, and what receivers refused. */
#include "page.h"

#include <inttypes.h>

static void add_storage(struct buf *out, const struct web_view *v)
{
    const struct queue_stats *q = &v->queue;
    buf_add_c(out, "<div id=\"storage\" data-live>");
    if (q->disk_error[0]) {
        buf_add_c(out, "<p class=\"note\">The disk fails, blocks stay in memory: ");
        page_text(out, q->disk_error);
        buf_add_c(out, "</p>");
    }
    page_tiles_begin(out);
    page_tile_begin(out, "on disk", "");
    page_size(out, q->disk_bytes);
    buf_add_c(out, " of ");
    page_size(out, q->disk_bytes_max);
    buf_add_c(out, "<small>");
    page_room(out, v);
    buf_add_c(out, "</small>");
    page_tile_end(out);
    page_tile_size(out, "in memory", q->ram_bytes);
    page_tile_count(out, "blocks in memory", q->ram_blocks, "");
    page_tile_count(out, "segments on disk", q->segments, "");
    page_tile_size(out, "written since start", q->disk_written_bytes_total);
    page_tile_size(out, "read since start", q->disk_read_bytes_total);
    page_tile_count(out, "damaged records", q->corrupt_records_total, "bad");
    page_tiles_end(out);
    buf_add_c(out, "</div>\n");
}

/* The protocol that is spoken, and the message of it where one is chosen. */
static void add_protocol(struct buf *out, const struct remote_status *r)
{
    buf_add_c(out, "<td data-l=\"Protocol\">");
    page_text(out, r->protocol);
    if (r->learned_max_samples) {
        buf_add_c(out, "<div class=\"dim\">at most ");
        page_count(out, r->learned_max_samples);
        buf_add_c(out, " samples a request</div>");
    }
    buf_add_c(out, "</td>");
}

static void add_reader(struct buf *out, const struct web_view *v, const struct remote_status *r)
{
    const struct queue_reader_stats *q = &r->queue;
    buf_add_c(out, "<tr><td data-l=\"Endpoint\"><b>");
    page_text(out, r->name);
    buf_add_c(out, "</b></td><td data-l=\"State\">");
    page_endpoint_state(out, v, r);
    buf_add_c(out, "</td>");
    add_protocol(out, r);
    buf_addf(out, "<td data-l=\"Reads from\">%s</td>", q->behind ? "disk" : "memory");
    page_cell_count(out, "Blocks", q->buffered_blocks);
    page_cell_count(out, "Samples", q->buffered_samples);
    buf_add_c(out, "<td class=\"num\" data-l=\"Bytes\">");
    page_size(out, q->buffered_bytes);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Oldest\">");
    if (q->oldest_wall_ms)
        page_ago(out, v->now_ms, q->oldest_wall_ms);
    buf_add_c(out, "</td></tr>\n");
}

static void add_losses(struct buf *out, const struct web_view *v)
{
    bool any = false;
    buf_add_c(out, "<h2>Lost samples</h2>\n<table id=\"lost\" data-live><thead><tr><th scope=\"col\">Endpoint</th>"
                   "<th scope=\"col\">Job</th><th scope=\"col\">Reason</th>"
                   "<th scope=\"col\" class=\"num\">Samples</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < v->books_n; i++) {
        const struct view_book *b = &v->books[i];
        if (strcmp(b->kind, "lost") != 0 || b->samples == 0)
            continue;
        any = true;
        buf_add_c(out, "<tr><td data-l=\"Endpoint\">");
        page_text(out, b->endpoint);
        buf_add_c(out, "</td><td data-l=\"Job\">");
        page_text(out, b->job);
        buf_add_c(out, "</td><td data-l=\"Reason\">");
        page_badge(out, "bad", b->reason);
        buf_add_c(out, "</td><td class=\"num\" data-l=\"Samples\">");
        page_count(out, b->samples);
        buf_add_c(out, "</td></tr>\n");
    }
    if (!any)
        buf_add_c(out, "<tr><td class=\"dim\" colspan=\"4\">Nothing was lost.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
}

void page_queue(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Buffer", "/queue");
    page_live_bar(out, NULL);
    add_storage(out, view);
    buf_add_c(out, "<h2>Not delivered yet</h2>\n<table id=\"waiting\" data-live><thead><tr>"
                   "<th scope=\"col\">Endpoint</th><th scope=\"col\">State</th><th scope=\"col\">Protocol</th>"
                   "<th scope=\"col\">Reads from</th><th scope=\"col\" class=\"num\">Blocks</th>"
                   "<th scope=\"col\" class=\"num\">Samples</th><th scope=\"col\" class=\"num\">Bytes</th>"
                   "<th scope=\"col\" class=\"num\">Oldest</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < view->remotes_n; i++)
        add_reader(out, view, &view->remotes[i]);
    if (view->remotes_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\" colspan=\"8\">No endpoint is configured.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
    add_losses(out, view);
    page_end(out, view);
}

static void add_reject(struct buf *out, const struct web_view *v, const struct remote_reject *r)
{
    buf_add_c(out, "<tr><td data-l=\"When\">");
    page_ago(out, v->now_ms, r->wall_ms);
    buf_add_c(out, "</td><td data-l=\"Endpoint\">");
    page_text(out, r->endpoint);
    buf_addf(out, "</td><td data-l=\"Answer\">%ld</td><td data-l=\"Series\"><span class=\"chip\">",
             r->status);
    page_text(out, r->series);
    buf_add_c(out, "</span><div class=\"err\">");
    page_text(out, r->message);
    buf_addf(out, "</div></td><td class=\"num\" data-l=\"Samples\">%" PRIu64 "</td></tr>\n", r->samples);
}

void page_rejects(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Rejected series", "/rejects");
    buf_add_c(out, "<p class=\"dim\">Series that a receiver refused, newest first, with its words. Their "
                   "neighbours in the same request were delivered.</p>\n<table id=\"rejects\"><thead><tr>"
                   "<th scope=\"col\">When</th><th scope=\"col\">Endpoint</th><th scope=\"col\">Answer</th>"
                   "<th scope=\"col\">Series</th><th scope=\"col\" class=\"num\">Samples</th></tr>"
                   "</thead><tbody>\n");
    for (size_t i = 0; i < view->rejects_n; i++)
        add_reject(out, view, &view->rejects[i]);
    if (view->rejects_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\" colspan=\"5\">Nothing was rejected.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
    page_end(out, view);
}
