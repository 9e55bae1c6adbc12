/* SPDX-License-Identifier: Apache-2.0 */
/* page_form: what lists share: choosing rows by a plain GET form, showing them in pages, links that keep the choice. */
#include "page.h"

#include <strings.h>

void page_form_begin(struct buf *out, const char *action)
{
    buf_addf(out, "<form method=\"get\" action=\"%s\">", action);
}

void page_select(struct buf *out, const char *name, const char *label)
{
    buf_addf(out, "<label>%s <select name=\"%s\">", label, name);
}

void page_select_end(struct buf *out)
{
    buf_add_c(out, "</select></label>");
}

void page_option(struct buf *out, const char *value, const char *text, const char *chosen)
{
    buf_add_c(out, "<option value=\"");
    page_text(out, value);
    buf_add_c(out, strcmp(value, chosen) == 0 ? "\" selected>" : "\">");
    page_text(out, text);
    buf_add_c(out, "</option>");
}

void page_select_job(struct buf *out, const struct web_view *v, const char *chosen)
{
    page_select(out, "job", "Job");
    page_option(out, "", "all jobs", chosen);
    for (size_t i = 0; i < v->jobs_n; i++)
        page_option(out, v->jobs[i].job, v->jobs[i].job, chosen);
    page_select_end(out);
}

void page_form_end(struct buf *out, const char *text, const char *placeholder)
{
    buf_addf(out, "<label class=\"wide\">%s <input type=\"search\" name=\"text\" value=\"", placeholder);
    page_text(out, text);
    buf_add_c(out, "\"></label><button>Show</button></form>\n");
}

/* ---- matching ---- */

bool page_holds(struct str s, struct str needle)
{
    if (needle.n == 0)
        return true;
    for (size_t i = 0; i + needle.n <= s.n; i++) {
        if (strncasecmp(s.p + i, needle.p, needle.n) == 0)
            return true;
    }
    return false;
}

bool page_labels_hold(const struct label *v, size_t n, struct str needle)
{
    for (size_t i = 0; i < n; i++) {
        if (page_holds(v[i].name, needle) || page_holds(v[i].value, needle))
            return true;
    }
    return false;
}

/* ---- links ---- */

void page_url_escaped(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("-_.~", c)))
            buf_add_char(out, s.p[i]);
        else
            buf_addf(out, "%%%02X", c);
    }
}

static void add_parameter(struct buf *out, const char **before, const char *name, const char *value)
{
    if (!value[0])
        return;
    buf_addf(out, "%s%s=", *before, name);
    page_url_escaped(out, str_of(value));
    *before = "&amp;";
}

void page_href(struct buf *out, const char *path, const struct page_filter *f)
{
    const char *before = "?";
    buf_addf(out, "href=\"%s", path);
    add_parameter(out, &before, "job", f->job);
    add_parameter(out, &before, "health", f->health);
    add_parameter(out, &before, "state", f->state);
    add_parameter(out, &before, "text", f->text);
    add_parameter(out, &before, "sort", f->sort);
    if (f->from > 0)
        buf_addf(out, "%sfrom=%zu", before, f->from);
    buf_add_char(out, '"');
}

static void add_page_link(struct buf *out, const char *path, const struct page_filter *f, size_t from, const char *text)
{
    struct page_filter there = *f;
    there.from = from;
    buf_add_c(out, "<a ");
    page_href(out, path, &there);
    buf_addf(out, ">%s</a>", text);
}

/* ---- columns that rows can be sorted by ---- */

void page_sort_head(struct buf *out, const char *path, const struct page_filter *f, const char *key, const char *name,
                    bool number)
{
    bool down = f->sort[0] == '-';
    bool here = strcmp(f->sort + down, key) == 0;
    char next[32] = "-";
    /* Of numbers the largest are looked for first. */
    bool to_down = here ? !down : number;
    strncat(next, key, sizeof next - 2);
    struct page_filter there = *f;
    there.sort = to_down ? next : key;
    there.from = 0;
    buf_addf(out, "<th scope=\"col\"%s%s><a ", number ? " class=\"num\"" : "",
             !here ? "" : down ? " aria-sort=\"descending\"" : " aria-sort=\"ascending\"");
    page_href(out, path, &there);
    buf_addf(out, ">%s</a></th>", name);
}

void page_pages(struct buf *out, const char *path, const struct page_filter *f, size_t found)
{
    if (found <= PAGE_ROWS && f->from == 0)
        return;
    size_t end = found < f->from || found - f->from < PAGE_ROWS ? found : f->from + PAGE_ROWS;
    buf_add_c(out, "<p class=\"note\">Rows ");
    page_count(out, f->from < found ? f->from + 1 : found);
    buf_add_c(out, " to ");
    page_count(out, end);
    buf_add_c(out, " of ");
    page_count(out, found);
    buf_add_c(out, "; narrow the choice above to see fewer.");
    if (f->from > 0) {
        buf_add_char(out, ' ');
        add_page_link(out, path, f, f->from > PAGE_ROWS ? f->from - PAGE_ROWS : 0, "previous");
    }
    if (end < found) {
        buf_add_char(out, ' ');
        add_page_link(out, path, f, end, "next");
    }
    buf_add_c(out, "</p>\n");
}

void page_web_address(struct buf *out, const char *url)
{
    struct str s = str_of(url ? url : "");
    bool link = str_starts(s, STR("http://")) || str_starts(s, STR("https://"));
    if (link) {
        buf_add_c(out, "<a href=\"");
        buf_add_html(out, s);
        buf_add_c(out, "\" rel=\"noreferrer\">");
    }
    buf_add_html(out, s);
    if (link)
        buf_add_c(out, "</a>");
}

void page_target_link(struct buf *out, const char *path, const struct target *t, const char *text)
{
    buf_addf(out, " <a class=\"dim\" href=\"%s?job=", path);
    page_url_escaped(out, t->job);
    buf_add_c(out, "&amp;text=");
    page_url_escaped(out, str_of(target_shown_url(t)));
    buf_addf(out, "\">%s</a>", text);
}
