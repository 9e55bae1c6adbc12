/* SPDX-License-Identifier: Apache-2.0 */
/* page: the frame of all pages, their stylesheet, and how values are written on them. */
#include "page.h"

#include "base/units.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* One column of text and tables; on narrow screens a table row becomes a card whose cells name themselves
   (data-l). Colours come as variables so that dark mode is one block. */
static const char STYLE[] =
    ":root{color-scheme:light dark;--bg:#f6f7f6;--card:#fff;--fg:#1b2420;--dim:#64706a;--line:#dfe4e1;"
    "--acc:#1f6f5c;--good:#1b7f4d;--goodb:#e1f4e9;--bad:#b3261e;--badb:#fce8e6;--warn:#8a5a00;"
    "--warnb:#fdf0d5;--chip:#eef1ef}"
    "@media(prefers-color-scheme:dark){:root{--bg:#121715;--card:#1a211e;--fg:#e3e9e6;--dim:#93a09a;"
    "--line:#2c3632;--acc:#6cc5ad;--good:#62cf95;--goodb:#163526;--bad:#ff8f85;--badb:#45201d;--warn:#f0bd62;"
    "--warnb:#3b2d10;--chip:#26302b}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--bg);color:var(--fg);"
    "font:15px/1.5 system-ui,-apple-system,'Segoe UI',sans-serif}"
    "header{background:var(--card);border-bottom:1px solid var(--line)}"
    "header div,main,footer{max-width:76rem;margin:0 auto;padding:.7rem 1rem}"
    "header div{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;align-items:baseline}"
    "header b{font-size:1.1rem;letter-spacing:-.01em;margin-right:.6rem}"
    "a{color:var(--acc);text-decoration:none}a:hover,a.dim{text-decoration:underline}"
    "nav{display:contents}nav a{color:var(--dim)}nav a[aria-current]{color:var(--fg);font-weight:600}"
    "h1{font-size:1.35rem;margin:.9rem 0 .7rem}h2{font-size:1.05rem;margin:1.6rem 0 .5rem}"
    "h2 small,.dim{color:var(--dim);font-weight:400}"
    ".tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(10.5rem,1fr));gap:.7rem}"
    ".tile{background:var(--card);border:1px solid var(--line);border-radius:.6rem;padding:.6rem .8rem}"
    ".tile span{display:block;color:var(--dim);font-size:.82rem}"
    ".tile b{font-size:1.25rem;overflow-wrap:anywhere;font-weight:600;font-variant-numeric:tabular-nums}"
    ".tile.bad b{color:var(--bad)}.tile.warn b{color:var(--warn)}"
    "table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);"
    "border-radius:.6rem;overflow:hidden;font-size:.9rem}"
    "th{color:var(--dim);font-weight:500;text-align:left;font-size:.8rem}"
    "th,td{padding:.45rem .7rem;border-bottom:1px solid var(--line);vertical-align:top;"
    "overflow-wrap:anywhere}"
    "tr:last-child td{border-bottom:0}"
    ".rows th:first-child{width:5.5rem}.rows .num{width:6.5rem}"
    ".ends th:first-child{width:32%}.found th:first-child{width:56%}"
    ".num{text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums}"
    ".err{color:var(--bad);overflow-wrap:anywhere}"
    ".badge{display:inline-block;border-radius:1rem;padding:0 .6rem;font-size:.8rem;font-weight:600;"
    "background:var(--chip);color:var(--dim);white-space:nowrap}"
    ".good{background:var(--goodb);color:var(--good)}.bad.badge{background:var(--badb);color:var(--bad)}"
    ".warn.badge{background:var(--warnb);color:var(--warn)}"
    ".chip{display:inline-block;background:var(--chip);border-radius:.3rem;padding:0 .4rem;"
    "margin:0 .25rem .2rem 0;font:.78rem/1.6 ui-monospace,Menlo,Consolas,monospace;overflow-wrap:anywhere}"
    ".chip i{font-style:normal;color:var(--dim)}"
    "form{display:flex;flex-wrap:wrap;gap:.5rem;margin:.6rem 0 1rem}"
    "input,select,button{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);"
    "border-radius:.45rem;padding:.3rem .6rem;max-width:100%}input{flex:1 1 12rem}"
    "button{background:var(--acc);border-color:var(--acc);color:var(--bg);font-weight:600;cursor:pointer}"
    ".note{background:var(--warnb);color:var(--warn);border-radius:.5rem;padding:.5rem .8rem;margin:.6rem 0}"
    "footer{color:var(--dim);font-size:.82rem;padding-bottom:2rem}"
    "@media(max-width:46rem){thead{display:none}table,tbody,tr,td{display:block}"
    "tr{border-bottom:1px solid var(--line);padding:.4rem 0}tr:last-child{border-bottom:0}"
    "td{border:0;padding:.15rem .7rem}td:empty{display:none}.num{text-align:left;white-space:normal}"
    "td[data-l]::before{content:attr(data-l) ' ';color:var(--dim);font-size:.8rem;display:inline-block;"
    "min-width:6.5rem}}";

static const struct {
    const char *path;
    const char *name;
} NAV[] = {
    {"/", "Overview"},    {"/targets", "Targets"},  {"/service-discovery", "Discovery"}, {"/queue", "Buffer"},
    {"/rejects", "Rejects"}, {"/config", "Configuration"}, {"/metrics", "Metrics"},
};

void page_begin(struct buf *out, const char *title, const char *here)
{
    buf_addf(out,
             "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>%s · obsagent</title>"
             "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
             "<link rel=\"icon\" href=\"data:,\"><style>",
             title);
    buf_add_c(out, STYLE);
    buf_add_c(out, "</style></head>\n<body><header><div><b>obsagent</b><nav>");
    for (size_t i = 0; i < sizeof NAV / sizeof NAV[0]; i++)
        buf_addf(out, "<a href=\"%s\"%s>%s</a>", NAV[i].path,
                 strcmp(NAV[i].path, here) == 0 ? " aria-current=\"page\"" : "", NAV[i].name);
    buf_addf(out, "</nav></div></header>\n<main><h1>%s</h1>\n", title);
}

void page_end(struct buf *out, const struct web_view *view)
{
    buf_add_c(out, "</main><footer>obsagent ");
    page_text(out, view->version);
    buf_add_c(out, "</footer></body></html>\n");
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
