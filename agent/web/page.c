/* SPDX-License-Identifier: Apache-2.0 */
/* page: the frame of all pages, and how values are written on them. */
#include "page.h"

#include "assets.h"

#include "base/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static const struct {
    const char *path;
    const char *name;
} NAV[] = {
    {"/", "Overview"},       {"/targets", "Targets"}, {"/service-discovery", "Discovery"},
    {"/relabel", "Relabel"}, {"/queue", "Buffer"},    {"/rejects", "Rejects"},
    {"/config", "Configuration"},
};

void page_begin(struct buf *out, const char *title, const char *here)
{
    buf_addf(out,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s · obsagent</title>"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
             "<meta name=\"color-scheme\" content=\"light dark\">"
             "<link rel=\"icon\" href=\"data:,\"><link rel=\"stylesheet\" href=\"",
             title);
    asset_link(out, ASSET_STYLE);
    buf_add_c(out, "\"><script src=\"");
    asset_link(out, ASSET_SCRIPT);
    buf_add_c(out, "\" defer></script></head>\n<body><a class=\"skip\" href=\"#main\">Skip to the content</a>"
                   "<header><div><b>obsagent</b><nav aria-label=\"Pages\"><ul>");
    for (size_t i = 0; i < sizeof NAV / sizeof NAV[0]; i++)
        buf_addf(out, "<li><a href=\"%s\"%s>%s</a></li>", NAV[i].path,
                 strcmp(NAV[i].path, here) == 0 ? " aria-current=\"page\"" : "", NAV[i].name);
    buf_addf(out, "</ul></nav></div></header>\n<main id=\"main\"><h1>%s</h1>\n", title);
}

void page_live_bar(struct buf *out, const char *heading)
{
    buf_add_c(out, "<div id=\"live-bar\" class=\"bar\">");
    if (heading)
        buf_addf(out, "<h2>%s</h2>", heading);
    buf_add_c(out, "</div><p id=\"live-state\" class=\"note\" role=\"status\" hidden></p>\n");
}

void page_end(struct buf *out, const struct web_view *view)
{
    buf_add_c(out, "</main><footer>obsagent ");
    page_text(out, view->version);
    buf_add_c(out, " · <a href=\"/metrics\">metrics</a></footer></body></html>\n");
}

void page_text(struct buf *out, const char *text)
{
    buf_add_html(out, str_of(text));
}

void page_badge(struct buf *out, const char *colour, const char *text)
{
    buf_addf(out, "<span class=\"%s badge\">", colour);
    page_text(out, text);
    buf_add_c(out, "</span>");
}

void page_labels(struct buf *out, const struct label *v, size_t n, const char *skip)
{
    for (size_t i = 0; i < n; i++) {
        if (skip && str_eq_c(v[i].name, skip))
            continue;
        buf_add_c(out, "<span class=\"chip\"><i>");
        buf_add_html(out, v[i].name);
        buf_add_c(out, "=</i>");
        buf_add_html(out, v[i].value);
        buf_add_c(out, "</span>");
    }
}

void page_seconds(struct buf *out, double seconds)
{
    int64_t s = (int64_t)fmin(fmax(seconds, 0), 1e12);
    /* Two units are enough: seconds mean nothing beside hours. */
    if (seconds < 1)
        buf_addf(out, "%.1f ms", fmax(seconds, 0) * 1000);
    else if (s < 60)
        buf_addf(out, "%.1f s", seconds);
    else if (s < 3600)
        buf_addf(out, "%" PRId64 "m%" PRId64 "s", s / 60, s % 60);
    else if (s < 86400)
        buf_addf(out, "%" PRId64 "h%" PRId64 "m", s / 3600, s / 60 % 60);
    else
        buf_addf(out, "%" PRId64 "d%" PRId64 "h", s / 86400, s / 3600 % 24);
}

void page_ago(struct buf *out, int64_t now_ms, int64_t then_ms)
{
    if (then_ms == 0) {
        buf_add_c(out, "never");
        return;
    }
    int64_t age_ms = now_ms > then_ms ? now_ms - then_ms : 0;
    if (age_ms < 1000)
        buf_addf(out, "0.%" PRId64 " s", age_ms / 100);
    else
        page_seconds(out, (double)age_ms / 1000);
    buf_add_c(out, " ago");
}

void page_count(struct buf *out, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
    for (int i = 0; i < len; i++) {
        if (i && (len - i) % 3 == 0)
            buf_add_char(out, ',');
        buf_add_char(out, digits[i]);
    }
}

void page_size(struct buf *out, uint64_t bytes)
{
    char text[32];
    units_format_size(bytes, text);
    buf_add_c(out, text);
}

void page_cell_count(struct buf *out, const char *name, uint64_t n)
{
    buf_addf(out, "<td class=\"num\" data-l=\"%s\">", name);
    page_count(out, n);
    buf_add_c(out, "</td>");
}

/* ---- tiles ---- */

void page_tiles_begin(struct buf *out)
{
    buf_add_c(out, "<dl class=\"tiles\">");
}

void page_tiles_end(struct buf *out)
{
    buf_add_c(out, "</dl>\n");
}

void page_tile_begin(struct buf *out, const char *name, const char *colour)
{
    buf_addf(out, "<div class=\"tile%s%s\"><dt>%s</dt><dd>", *colour ? " " : "", colour, name);
}

void page_tile_end(struct buf *out)
{
    buf_add_c(out, "</dd></div>");
}

void page_tile_count(struct buf *out, const char *name, uint64_t n, const char *colour)
{
    page_tile_begin(out, name, n ? colour : "");
    page_count(out, n);
    page_tile_end(out);
}

void page_tile_size(struct buf *out, const char *name, uint64_t bytes)
{
    page_tile_begin(out, name, "");
    page_size(out, bytes);
    page_tile_end(out);
}
