/* SPDX-License-Identifier: Apache-2.0 */
/* page: HTML for people. Works without JavaScript, in dark and light, on a phone; every value from outside is
   escaped. */
#ifndef OBSAGENT_WEB_PAGE_H
#define OBSAGENT_WEB_PAGE_H

#include "view.h"

/* The frame: everything up to and including <main> and a heading, and what closes it. `title` is ours, not
   escaped. `here` is the path of the page, to mark it in the navigation. */
void page_begin(struct buf *out, const char *title, const char *here);
void page_end(struct buf *out, const struct web_view *view);

/* Where live.js puts its button and says that the agent does not answer; with a heading of second rank, or NULL.
   What has an id and data-live is then kept fresh: the page is asked for again every few seconds. */
void page_live_bar(struct buf *out, const char *heading);

/* Numbers with their names. `colour`: "", "bad" or "warn". Names are ours, not escaped. */
void page_tiles_begin(struct buf *out);
void page_tiles_end(struct buf *out);
void page_tile_begin(struct buf *out, const char *name, const char *colour);
void page_tile_end(struct buf *out);
/* 0 has no colour. */
void page_tile_count(struct buf *out, const char *name, uint64_t n, const char *colour);
void page_tile_size(struct buf *out, const char *name, uint64_t bytes);
/* A table's cell with a number; the name is shown on narrow screens. */
void page_cell_count(struct buf *out, const char *name, uint64_t n);

/* Pieces. `text` is escaped. */
void page_text(struct buf *out, const char *text);
/* A coloured word: good, bad, warn or dim. */
void page_badge(struct buf *out, const char *colour, const char *text);
/* Label pairs as small boxes; `skip` names one to leave out, or NULL. */
void page_labels(struct buf *out, const struct label *v, size_t n, const char *skip);
/* "12.3 s ago", "never" for 0. */
void page_ago(struct buf *out, int64_t now_ms, int64_t then_ms);
/* 1234567 as "1,234,567". */
void page_count(struct buf *out, uint64_t n);
void page_size(struct buf *out, uint64_t bytes);
/* "3.4 ms", "1.2 s", "2h5m", "3d4h". */
void page_seconds(struct buf *out, double seconds);

/* What the form of a list asks for; empty strings for anything. */
struct page_filter {
    const char *job;
    const char *health; /* of /targets: "up", "down", "unknown" */
    const char *state;  /* of /service-discovery: "active", "dropped" */
    const char *text;   /* in the URL, a label or the error; case does not matter */
    const char *sort;   /* of /targets: a column's key, '-' before it for falling; "" by job and URL */
    size_t from;        /* rows that come before those to show */
};
#define PAGE_ROWS 500 /* more than that a browser shows slowly: the rest is on further pages */

/* Forms: begin, selects with their options, end with the field for text. Names and labels are ours, values are
   escaped. */
void page_form_begin(struct buf *out, const char *action);
void page_select(struct buf *out, const char *name, const char *label);
void page_select_end(struct buf *out);
void page_option(struct buf *out, const char *value, const char *text, const char *chosen);
/* A whole select. */
void page_select_job(struct buf *out, const struct web_view *v, const char *chosen);
void page_form_end(struct buf *out, const char *text, const char *placeholder);
/* True when s holds the needle, in upper or lower case; an empty one always. */
bool page_holds(struct str s, struct str needle);
/* The same of any name or value. */
bool page_labels_hold(const struct label *v, size_t n, struct str needle);
/* href="PATH?..." with the whole choice. */
void page_href(struct buf *out, const char *path, const struct page_filter *f);
/* The head of a column that rows can be sorted by: a link that turns the order round when it is in force. */
void page_sort_head(struct buf *out, const char *path, const struct page_filter *f, const char *key, const char *name,
                    bool number);
/* Which of the rows found are shown, with links to the pages before and after; nothing when these are all. */
void page_pages(struct buf *out, const char *path, const struct page_filter *f, size_t found);
/* A URL; as a link only if it is a web address, for its scheme could come from a label. */
void page_web_address(struct buf *out, const char *url);
/* The value of a query parameter: job names may hold anything. */
void page_url_escaped(struct buf *out, struct str s);
/* A link to this target's row on another list. */
void page_target_link(struct buf *out, const char *path, const struct target *t, const char *text);

/* "delivering", "retrying" ... */
const char *page_endpoint_word(enum remote_state state);
/* How an endpoint is doing, with the receiver's words. */
void page_endpoint_state(struct buf *out, const struct web_view *v, const struct remote_status *r);
/* The overview's table of endpoints. Needs VIEW_REMOTES and VIEW_BOOKS. */
void page_endpoints(struct buf *out, const struct web_view *v);
/* The frames that live.js draws the history in. */
void page_plots(struct buf *out);
/* "room for 3h5m at the present rate": how long the disk lasts; nothing when it has no cap. Needs VIEW_HISTORY,
   VIEW_REMOTES and VIEW_BOOKS. */
void page_room(struct buf *out, const struct web_view *v);

/* Needs VIEW_JOBS, VIEW_REMOTES, VIEW_BOOKS, VIEW_PROCESS, VIEW_HISTORY. */
void page_overview(struct buf *out, const struct web_view *view);
/* Needs VIEW_TARGETS. */
void page_targets(struct buf *out, const struct web_view *view, const struct page_filter *filter);
/* Needs VIEW_TARGETS and VIEW_SOURCES. */
void page_discovery(struct buf *out, const struct web_view *view, const struct page_filter *filter);
/* What the form of /relabel holds; empty strings for what is not given. */
struct page_relabel {
    const char *job;
    const char *kind;   /* "metric": metric_relabel_configs; else relabel_configs */
    const char *labels; /* as {name="value"} or JSON */
};
/* Needs VIEW_JOBS. */
void page_relabel(struct buf *out, const struct web_view *view, const struct page_relabel *given);
/* A link that fills the form with what was found of a target. */
void page_relabel_link(struct buf *out, const struct target *t, const struct labels *found);
void page_config(struct buf *out, const struct web_view *view);
/* Needs VIEW_REMOTES, VIEW_BOOKS and VIEW_HISTORY. */
void page_queue(struct buf *out, const struct web_view *view);
/* Needs VIEW_REJECTS. */
void page_rejects(struct buf *out, const struct web_view *view);

#endif
