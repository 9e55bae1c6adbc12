/* SPDX-License-Identifier: Apache-2.0 */
/* lines: cuts a stream of pieces into lines, for the parsers of text. */
#ifndef OBSAGENT_SCRAPE_PARSE_LINES_H
#define OBSAGENT_SCRAPE_PARSE_LINES_H

#include "private.h"

/* What became of a line: taken; the handler said stop; wrong (the flaw says why). */
enum verdict { TAKEN, STOPPED, WRONG };

static inline enum verdict give(bool go_on)
{
    return go_on ? TAKEN : STOPPED;
}

/* Reads a line without its newline; a newline stands behind it in any case, and `ended` says whether it came from the
   body. */
typedef enum verdict line_fn(void *parser, struct str line, bool ended, struct flaw *flaw);

struct lines {
    line_fn *read;
    void *parser;
    size_t max_line;
    bool joins; /* a quoted string that is open at the end of a line goes on in the next one */

    exposition_error_fn *on_error; /* lenient: told of wrong lines, with this ctx */
    void *error_ctx;

    uint64_t line; /* of the line at hand, from 1 */
    char *carry;   /* the beginning of a line whose end has not come yet */
    size_t carry_n, carry_cap;
    bool joined;            /* carry begins with whole lines that end inside a quoted string */
    bool in_quote, escaped; /* when joined: the state behind the last byte of carry */
    bool skipping;          /* lenient: throws away the rest of a line that was too long */
    bool failed;
};

/* max_line 0 = 1 MiB; a longer line is an error. */
void lines_init(struct lines *l, size_t max_line, bool joins, line_fn *read, void *parser);
void lines_free(struct lines *l);
/* A new body. */
void lines_begin(struct lines *l);
/* The piece's line at `at` in any other than the usual case: behind a carried one, too long, without its end. Returns
   where the next one begins, or NULL when the parse is over. */
const char *lines_odd(struct lines *l, const char *at, const char *end, struct err *err);
/* The line was not taken; true when the parse goes on all the same. */
bool lines_refused(struct lines *l, enum verdict verdict, struct str line, bool may_join, const struct flaw *flaw,
                   struct err *err) MUSTCHECK;

/* As exposition_feed. Here, so that the parser's own `read` is called directly. */
static inline bool lines_feed(struct lines *l, line_fn *read, const void *bytes, size_t n, struct err *err)
{
    const char *at = bytes, *end = at + n;
    struct flaw flaw;
    if (l->failed)
        return false;
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        struct str line = {at, newline ? (size_t)(newline - at) : SIZE_MAX};
        if (__builtin_expect(line.n > l->max_line || l->carry_n || l->skipping, 0)) {
            if (!(at = lines_odd(l, at, end, err)))
                return false;
            continue;
        }
        flaw.open_quote = false;
        enum verdict verdict = read(l->parser, line, true, &flaw);
        if (__builtin_expect(verdict != TAKEN, 0) && !lines_refused(l, verdict, line, true, &flaw, err))
            return false;
        l->line += l->carry_n == 0;
        at = newline + 1;
    }
    return true;
}

/* As exposition_finish. */
bool lines_finish(struct lines *l, struct err *err) MUSTCHECK;
/* Reports that the line at hand is wrong; true when the parse goes on all the same. */
bool lines_wrong(struct lines *l, struct str line, const struct flaw *flaw, struct err *err) MUSTCHECK;

#endif
