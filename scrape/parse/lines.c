/* SPDX-License-Identifier: Apache-2.0 */
/* lines: a stream of pieces cut into lines.

   Lines are read where they lie; only one that is cut by the border of a piece is put together in `carry`. So
   is a line whose quoted string goes on over a newline, where the format has that. */
#include "lines.h"

#include <stdlib.h>

#include "base/alloc.h"

#define LINE_MAX_DEFAULT ((size_t)1 << 20)
#define CARRY_KEEP ((size_t)16 << 10)

void lines_init(struct lines *l, size_t max_line, bool joins, line_fn *read, void *parser)
{
    *l = (struct lines){.read = read, .parser = parser, .joins = joins};
    l->max_line = max_line ? max_line : LINE_MAX_DEFAULT;
}

void lines_free(struct lines *l)
{
    free(l->carry);
}

void lines_begin(struct lines *l)
{
    l->carry_n = 0;
    l->joined = l->skipping = l->failed = false;
    l->line = 1;
    if (l->carry_cap > CARRY_KEEP) {
        free(l->carry);
        l->carry = NULL;
        l->carry_cap = 0;
    }
}

bool lines_wrong(struct lines *l, struct str line, const struct flaw *flaw, struct err *err)
{
    if (l->on_error) {
        l->on_error(l->error_ctx, l->line, flaw->at + 1, line, flaw->why);
        return true;
    }
    l->failed = true;
    return err_set(err, "line %llu, column %zu: %s", (unsigned long long)l->line, flaw->at + 1, flaw->why);
}

static bool too_long(struct lines *l, struct str line, struct err *err)
{
    struct flaw flaw;
    line.n = line.n < 80 ? line.n : 80;
    flaw_set(&flaw, l->max_line, "line is longer than %zu bytes", l->max_line);
    return lines_wrong(l, line, &flaw, err);
}

/* Follows quotes through bytes added to a joined line. Its state lives on, so a string over many lines costs
   its length once. */
static void follow_quotes(struct lines *l, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (l->escaped)
            l->escaped = false;
        else if (bytes[i] == '\\')
            l->escaped = l->in_quote;
        else if (bytes[i] == '"')
            l->in_quote = !l->in_quote;
    }
}

static void carry_add(struct lines *l, const char *bytes, size_t n)
{
    l->carry = xgrow(l->carry, &l->carry_cap, l->carry_n + n + 1, 1);
    if (n)
        memcpy(l->carry + l->carry_n, bytes, n);
    l->carry_n += n;
    if (l->joined)
        follow_quotes(l, bytes, n);
}

/* A line ended inside a quoted string: keeps it, newline included, and waits for more. */
static void keep_open(struct lines *l, struct str line)
{
    bool own = line.p == l->carry;
    l->joined = true;
    l->in_quote = l->escaped = false;
    l->carry_n = 0;
    if (own) {
        follow_quotes(l, line.p, line.n);
        l->carry_n = line.n;
    } else {
        carry_add(l, line.p, line.n);
    }
    carry_add(l, "\n", 1);
}

bool lines_refused(struct lines *l, enum verdict verdict, struct str line, bool may_join, const struct flaw *flaw,
                   struct err *err)
{
    if (verdict == STOPPED) {
        l->failed = true;
        return false;
    }
    if (flaw->open_quote && may_join && l->joins && !l->on_error) {
        keep_open(l, line);
        return true;
    }
    return lines_wrong(l, line, flaw, err);
}

/* The carried line is whole. */
static bool end_carried(struct lines *l, bool last, struct err *err)
{
    bool was_joined = l->joined;
    uint64_t newlines = 0;
    struct flaw flaw;
    struct str line = str_make(l->carry, l->carry_n);
    for (size_t i = 0; was_joined && i < line.n; i++)
        newlines += line.p[i] == '\n';
    l->carry[l->carry_n] = '\n';
    l->joined = false;
    flaw.open_quote = false;
    enum verdict verdict = l->read(l->parser, line, !last, &flaw);
    bool go_on = verdict == TAKEN || lines_refused(l, verdict, line, !last && !was_joined, &flaw, err);
    if (!l->joined) {
        l->carry_n = 0;
        l->line += newlines + 1;
    }
    return go_on;
}

/* The piece completes the carried line. */
static bool carried_line(struct lines *l, const char *piece, size_t n, struct err *err)
{
    if (l->skipping) {
        l->skipping = false;
        l->line++;
        return true;
    }
    if (l->carry_n + n > l->max_line) {
        bool go_on = too_long(l, str_make(l->carry, l->carry_n), err);
        l->carry_n = 0;
        l->joined = false;
        l->line++;
        return go_on;
    }
    carry_add(l, piece, n);
    if (l->joined && l->in_quote) {
        carry_add(l, "\n", 1);
        return true;
    }
    return end_carried(l, false, err);
}

/* Keeps the beginning of a line for the next piece. */
static bool carry_rest(struct lines *l, const char *bytes, size_t n, struct err *err)
{
    if (l->skipping)
        return true;
    if (l->carry_n + n > l->max_line) {
        struct str shown = l->carry_n ? str_make(l->carry, l->carry_n) : str_make(bytes, n);
        l->skipping = true;
        bool go_on = too_long(l, shown, err);
        l->carry_n = 0;
        l->joined = false;
        return go_on;
    }
    carry_add(l, bytes, n);
    return true;
}

const char *lines_odd(struct lines *l, const char *at, const char *end, struct err *err)
{
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    if (!newline)
        return carry_rest(l, at, (size_t)(end - at), err) ? end : NULL;
    size_t len = (size_t)(newline - at);
    bool ok;
    if (l->carry_n || l->skipping) {
        ok = carried_line(l, at, len, err);
    } else {
        ok = too_long(l, str_make(at, len), err);
        l->line++;
    }
    return ok ? newline + 1 : NULL;
}

bool lines_finish(struct lines *l, struct err *err)
{
    if (l->failed)
        return false;
    if (!l->carry_n || l->skipping)
        return true;
    return end_carried(l, true, err);
}
