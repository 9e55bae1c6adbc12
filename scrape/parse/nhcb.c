/* SPDX-License-Identifier: Apache-2.0 */
/* nhcb: classic histograms become native ones with custom buckets. */
#include <stdlib.h>

#include "base/alloc.h"
#include "private.h"

struct nhcb {
    struct exposition_handler handler;
};

struct nhcb *nhcb_new(void)
{
    return xcalloc(1, sizeof(struct nhcb));
}

void nhcb_free(struct nhcb *n)
{
    free(n);
}

void nhcb_begin(struct nhcb *n, const struct exposition_options *options, const struct exposition_handler *handler,
                struct exposition_handler *out)
{
    (void)options;
    n->handler = *handler;
    *out = *handler;
}

bool nhcb_finish(struct nhcb *n, struct err *err)
{
    (void)n;
    (void)err;
    return true;
}
