/* SPDX-License-Identifier: Apache-2.0 */
/* err: the first error of an operation, as text for a human. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool err_set(struct err *err, const char *fmt, ...)
{
    va_list ap;
    if (!err || err_is(err))
        return false;
    va_start(ap, fmt);
    vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    return false;
}

bool err_prefix(struct err *err, const char *fmt, ...)
{
    va_list ap;
    char old[sizeof err->msg];
    if (!err || !err_is(err))
        return false;
    memcpy(old, err->msg, sizeof old);
    va_start(ap, fmt);
    int n = vsnprintf(err->msg, sizeof err->msg, fmt, ap);
    va_end(ap);
    if (n >= 0 && (size_t)n + 3 < sizeof err->msg)
        snprintf(err->msg + n, sizeof err->msg - (size_t)n, ": %s", old);
    return false;
}

void err_clear(struct err *err)
{
    if (err)
        err->msg[0] = '\0';
}
