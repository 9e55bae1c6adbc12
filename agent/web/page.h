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

/* What the form of /targets asks for; empty strings for anything. */
struct page_filter {
    const char *job;
    const char *health; /* "up", "down", "unknown" */
    const char *text;   /* in the URL, a label or the error; case does not matter */
};

/* Needs VIEW_JOBS, VIEW_REMOTES, VIEW_BOOKS, VIEW_PROCESS. */
void page_overview(struct buf *out, const struct web_view *view);
/* Needs VIEW_TARGETS. */
void page_targets(struct buf *out, const struct web_view *view, const struct page_filter *filter);
/* Needs VIEW_TARGETS. */
void page_discovery(struct buf *out, const struct web_view *view);
/* Needs VIEW_REMOTES and VIEW_BOOKS. */
void page_queue(struct buf *out, const struct web_view *view);
/* Needs VIEW_REJECTS. */
void page_rejects(struct buf *out, const struct web_view *view);

#endif
