/* SPDX-License-Identifier: Apache-2.0 */
/* page_queue: what waits, what was lost and why, and what receivers refused. */
#include "page.h"

#include <inttypes.h>

static void tile(struct buf *out, const char *name, const char *value)
{
    buf_addf(out, "<div class=\"tile\"><span>%s</span><b>", name);
    page_text(out, value);
    buf_add_c(out, "</b></div>");
}

static void tile_size(struct buf *out, const char *name, uint64_t bytes)
{
    struct buf text;
    buf_init(&text, 64);
    page_size(&text, bytes);
    tile(out, name, buf_c(&text));
    buf_free(&text);
}

static void tile_count(struct buf *out, const char *name, uint64_t n)
{
    struct buf text;
    buf_init(&text, 64);
    page_count(&text, n);
    tile(out, name, buf_c(&text));
    buf_free(&text);
}

static void add_storage(struct buf *out, const struct queue_stats *q)
{
    if (q->disk_error[0]) {
        buf_add_c(out, "<p class=\"note\">The disk fails, blocks stay in memory: ");
        page_text(out, q->disk_error);
        buf_add_c(out, "</p>");
    }
    buf_add_c(out, "<div class=\"tiles\">");
    tile_size(out, "in memory", q->ram_bytes);
    tile_count(out, "blocks in memory", q->ram_blocks);
    tile_size(out, "on disk", q->disk_bytes);
    tile_size(out, "cap on disk", q->disk_bytes_max);
    tile_count(out, "segments", q->segments);
    tile_size(out, "written since start", q->disk_written_bytes_total);
    tile_size(out, "read since start", q->disk_read_bytes_total);
    tile_count(out, "corrupt records", q->corrupt_records_total);
    buf_add_c(out, "</div>\n");
}

static void add_reader(struct buf *out, const struct web_view *v, const struct remote_status *r)
{
    const struct queue_reader_stats *q = &r->queue;
    buf_add_c(out, "<tr><td data-l=\"Endpoint\">");
    page_text(out, r->name);
    buf_addf(out, "</td><td data-l=\"Reads from\">%s</td><td class=\"num\" data-l=\"Blocks\">",
             q->behind ? "disk" : "memory");
    page_count(out, q->buffered_blocks);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Samples\">");
    page_count(out, q->buffered_samples);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Bytes\">");
    page_size(out, q->buffered_bytes);
    buf_add_c(out, "</td><td class=\"num\" data-l=\"Oldest\">");
    if (q->oldest_wall_ms)
        page_ago(out, v->now_ms, q->oldest_wall_ms);
    buf_add_c(out, "</td></tr>\n");
}

static void add_losses(struct buf *out, const struct web_view *v)
{
    bool any = false;
    buf_add_c(out, "<h2>Lost samples</h2>\n<table><thead><tr><th>Endpoint</th><th>Job</th><th>Reason</th>"
                   "<th class=\"num\">Samples</th></tr></thead><tbody>\n");
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
        buf_add_c(out, "<tr><td class=\"dim\">Nothing was lost.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
}

void page_queue(struct buf *out, const struct web_view *view)
{
    page_begin(out, "Buffer", "/queue");
    add_storage(out, &view->queue);
    buf_add_c(out, "<h2>Not delivered yet</h2>\n<table><thead><tr><th>Endpoint</th><th>Reads from</th>"
                   "<th class=\"num\">Blocks</th><th class=\"num\">Samples</th><th class=\"num\">Bytes</th>"
                   "<th class=\"num\">Oldest</th></tr></thead><tbody>\n");
    for (size_t i = 0; i < view->remotes_n; i++)
        add_reader(out, view, &view->remotes[i]);
    if (view->remotes_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\">No endpoint is configured.</td></tr>");
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
                   "neighbours in the same request were delivered.</p>\n<table><thead><tr><th>When</th>"
                   "<th>Endpoint</th><th>Answer</th><th>Series</th><th class=\"num\">Samples</th></tr>"
                   "</thead><tbody>\n");
    for (size_t i = 0; i < view->rejects_n; i++)
        add_reject(out, view, &view->rejects[i]);
    if (view->rejects_n == 0)
        buf_add_c(out, "<tr><td class=\"dim\">Nothing was rejected.</td></tr>");
    buf_add_c(out, "</tbody></table>\n");
    page_end(out, view);
}
