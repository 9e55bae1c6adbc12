/* SPDX-License-Identifier: Apache-2.0 */
/* openmetrics: the streaming parser of OpenMetrics text. */
#include <stdlib.h>

#include "base/alloc.h"
#include "private.h"

struct openmetrics_parser {
    struct exposition_handler handler;
};

struct openmetrics_parser *openmetrics_new(size_t max)
{
    (void)max;
    return xcalloc(1, sizeof(struct openmetrics_parser));
}

void openmetrics_free(struct openmetrics_parser *p)
{
    free(p);
}

void openmetrics_begin(struct openmetrics_parser *p, const struct exposition_handler *handler)
{
    p->handler = *handler;
}

bool openmetrics_feed(struct openmetrics_parser *p, const void *bytes, size_t n, struct err *err)
{
    (void)p;
    (void)bytes;
    (void)n;
    return err_set(err, "this format is not read yet");
}

bool openmetrics_finish(struct openmetrics_parser *p, struct err *err)
{
    (void)p;
    (void)err;
    return true;
}

void openmetrics_set_lenient(struct openmetrics_parser *p, exposition_error_fn *on_error)
{
    (void)p;
    (void)on_error;
}
