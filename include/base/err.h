/* SPDX-License-Identifier: Apache-2.0 */
/* err: the first error of an operation, as text for a human. */
#ifndef OBSAGENT_BASE_ERR_H
#define OBSAGENT_BASE_ERR_H

#include <stdbool.h>

#define MUSTCHECK __attribute__((warn_unused_result))

/* `{0}` is "no error". The first err_set wins; later ones are ignored until err_clear. */
struct err {
    char msg[512];
};

/* Records the message when none is there yet. Always returns false, so `return err_set(...)` reads well.
   err may be NULL (the message is dropped). Cut at the size of the buffer. */
bool err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Puts "prefix: " before a recorded message. Returns false. */
bool err_prefix(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void err_clear(struct err *err);
static inline bool err_is(const struct err *err)
{
    return err->msg[0] != '\0';
}

#endif
