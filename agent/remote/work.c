/* SPDX-License-Identifier: Apache-2.0 */
/* work: a stack of series ranges over one block. Ranges only ever get smaller, leave when they are settled,
   and stay in order: so nothing is sent twice and no refused request is repeated. */
#include "work.h"

#include <stdlib.h>

#include "base/alloc.h"

/* The first `from` samples, of whichever jobs they are, are in the ledger already. */
static void skip_booked(struct work *w)
{
    uint64_t left = w->from;
    for (size_t i = 0; i < w->block->jobs_n && left; i++) {
        uint64_t samples = w->block->jobs[i].samples;
        w->booked[i] = left < samples ? left : samples;
        left -= w->booked[i];
    }
}

void work_start(struct work *w, struct block *block, uint32_t from, bool suspect)
{
    *w = (struct work){.block = block, .from = from, .jobs_n = block->jobs_n ? block->jobs_n : 1};
    w->shares = xcalloc(w->jobs_n, sizeof *w->shares);
    w->books = xcalloc(w->jobs_n, sizeof *w->books);
    w->booked = xcalloc(w->jobs_n, sizeof *w->booked);
    skip_booked(w);
    w->stack = xgrow(NULL, &w->stack_cap, 1, sizeof *w->stack);
    if (from < block->series)
        w->stack[w->stack_n++] = (struct work_range){.from = from, .to = block->series, .suspect = suspect};
}

void work_free(struct work *w)
{
    free(w->stack);
    free(w->shares);
    free(w->books);
    free(w->booked);
    *w = (struct work){0};
}

static size_t current_index(const struct work *w)
{
    return w->stack_n - (w->ahead ? 2 : 1);
}

struct work_range *work_current(const struct work *w)
{
    return w->stack_n ? &w->stack[current_index(w)] : NULL;
}

void work_cut(struct work *w, uint32_t at, bool suspect)
{
    w->stack = xgrow(w->stack, &w->stack_cap, w->stack_n + 1, sizeof *w->stack);
    size_t i = current_index(w);
    memmove(&w->stack[i + 1], &w->stack[i], (w->stack_n - i) * sizeof *w->stack);
    w->stack_n++;
    struct work_range whole = w->stack[i];
    w->stack[i] = (struct work_range){.from = at, .to = whole.to, .suspect = suspect};
    w->stack[i + 1] = (struct work_range){.from = whole.from, .to = at, .suspect = suspect};
}

void work_look_ahead(struct work *w)
{
    w->ahead = true;
    struct work_range *next = work_current(w);
    if (next->to - next->from > 1)
        work_cut(w, next->from + 1, next->suspect);
}

void work_look_back(struct work *w)
{
    w->ahead = false;
}

void work_resolve(struct work *w, enum work_outcome outcome, enum ledger_reason reason)
{
    uint64_t sent = 0;
    for (size_t i = 0; i < w->jobs_n; i++) {
        struct work_book *book = &w->books[i];
        sent += w->shares[i].samples;
        w->unbooked += w->shares[i].samples + w->shares[i].filtered + w->shares[i].routed + w->shares[i].unsent;
        book->filtered += w->shares[i].filtered;
        book->routed += w->shares[i].routed;
        book->lost[LEDGER_NOT_SENT] += w->shares[i].unsent;
        *(outcome == WORK_DELIVERED ? &book->delivered : &book->lost[reason]) += w->shares[i].samples;
    }
    if (outcome == WORK_DELIVERED && w->had_5xx && sent)
        w->passed = true;
    size_t i = current_index(w);
    memmove(&w->stack[i], &w->stack[i + 1], (w->stack_n - i - 1) * sizeof *w->stack);
    w->stack_n--;
    w->ahead = false;
}

void work_abandon(struct work *w)
{
    w->stack_n = 0;
    w->ahead = false;
}

static uint64_t book_sum(const struct work_book *book)
{
    uint64_t sum = book->delivered + book->filtered + book->routed;
    for (int reason = 0; reason < LEDGER_REASONS; reason++)
        sum += book->lost[reason];
    return sum;
}

static void write_book(struct work *w, size_t i, struct ledger *ledger, struct str endpoint)
{
    struct work_book *book = &w->books[i];
    struct str job = w->block->jobs_n ? w->block->jobs[i].name : STR_NULL;
    w->booked[i] += book_sum(book);
    w->settled += book_sum(book);
    if (book->delivered)
        ledger_delivered(ledger, endpoint, job, book->delivered);
    if (book->filtered)
        ledger_filtered(ledger, endpoint, job, book->filtered);
    if (book->routed)
        ledger_routed(ledger, endpoint, job, book->routed);
    for (int reason = 0; reason < LEDGER_REASONS; reason++) {
        if (book->lost[reason])
            ledger_lost(ledger, endpoint, job, (enum ledger_reason)reason, book->lost[reason]);
    }
    *book = (struct work_book){0};
}

bool work_settle(struct work *w, struct ledger *ledger, struct str endpoint, uint32_t *done)
{
    *done = w->stack_n ? w->stack[w->stack_n - 1].from : w->block->series;
    if (w->unbooked == 0 || w->from + w->settled + w->unbooked != *done)
        return false; /* something behind is through as well: with what comes before it */
    for (size_t i = 0; i < w->jobs_n; i++)
        write_book(w, i, ledger, endpoint);
    w->unbooked = 0;
    return true;
}

void work_book(struct work *w, struct ledger *ledger, struct str endpoint)
{
    for (size_t i = 0; i < w->jobs_n; i++) {
        uint64_t all = w->block->jobs_n ? w->block->jobs[i].samples : w->block->samples;
        uint64_t sum = w->booked[i] + book_sum(&w->books[i]);
        if (sum < all)
            w->books[i].lost[LEDGER_CORRUPT] += all - sum;
        write_book(w, i, ledger, endpoint);
    }
    w->unbooked = 0;
}
