/* SPDX-License-Identifier: Apache-2.0 */
/* buf: a growable byte buffer that knows its maximum. */
#ifndef OBSAGENT_BASE_BUF_H
#define OBSAGENT_BASE_BUF_H

#include "base/str.h"

#include <stdint.h>

/* Bytes are p[0..n). `max` bounds what the outside can make it grow to; an append that would pass it
   changes nothing, sets `overflow` (which stays set until buf_clear) and returns false. So a writer may
   append many times and look at `overflow` once. Zero-initialise through buf_init. */
struct buf {
    char *p;
    size_t n;
    size_t cap;
    size_t max;
    bool overflow;
};

void buf_init(struct buf *b, size_t max);
void buf_free(struct buf *b);
/* Empties it, keeps the memory, clears `overflow`. */
void buf_clear(struct buf *b);
/* Gives memory back to the system when more than `keep` bytes are allocated. Contents are lost. */
void buf_trim(struct buf *b, size_t keep);
/* Makes room for `extra` more bytes and returns the place to write them (then add to n), or NULL past max.
   Aborts when memory is out. */
char *buf_reserve(struct buf *b, size_t extra);
bool buf_add(struct buf *b, const void *p, size_t n);
bool buf_add_str(struct buf *b, struct str s);
bool buf_add_c(struct buf *b, const char *cstr);
bool buf_add_char(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Appends s as a JSON string with quotes; bytes that are not UTF-8 become U+FFFD. */
bool buf_add_json(struct buf *b, struct str s);
/* Appends s with & < > " ' escaped for HTML text and attributes. */
bool buf_add_html(struct buf *b, struct str s);
/* Appends a double as Prometheus text does: shortest form that round-trips, NaN, +Inf, -Inf. */
bool buf_add_double(struct buf *b, double v);
/* The contents as a view, valid until the next append. */
static inline struct str buf_str(const struct buf *b)
{
    return (struct str){b->p, b->n};
}
/* The contents as a C string (a NUL is kept behind them), valid until the next append; "" when empty. */
const char *buf_c(struct buf *b);
/* Hands the bytes to the caller (who frees them, NUL-terminated) and empties the buffer. */
char *buf_take(struct buf *b);

#endif
