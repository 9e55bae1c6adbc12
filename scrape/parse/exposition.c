/* SPDX-License-Identifier: Apache-2.0 */
/* exposition: picks the parser of a format; each is made when a body first needs it. */
#include "exposition.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "private.h"

struct exposition_parser {
    size_t max_line;
    struct exposition_options options;
    struct text_parser *text;
    struct openmetrics_parser *openmetrics;
    struct protobuf_parser *protobuf;
    struct nhcb *nhcb;
    bool converting; /* through nhcb */
    exposition_error_fn *on_error;
};

struct exposition_parser *exposition_new(size_t max_line)
{
    struct exposition_parser *p = xcalloc(1, sizeof *p);
    p->max_line = max_line;
    return p;
}

void exposition_free(struct exposition_parser *p)
{
    if (!p)
        return;
    text_free(p->text);
    openmetrics_free(p->openmetrics);
    protobuf_free(p->protobuf);
    nhcb_free(p->nhcb);
    free(p);
}

static void begin_format(struct exposition_parser *p, const struct exposition_handler *handler)
{
    switch (p->options.format) {
    case EXPOSITION_OPENMETRICS:
        if (!p->openmetrics)
            p->openmetrics = openmetrics_new(p->max_line);
        openmetrics_set_lenient(p->openmetrics, p->on_error);
        openmetrics_begin(p->openmetrics, handler);
        break;
    case EXPOSITION_PROTOBUF:
        if (!p->protobuf)
            p->protobuf = protobuf_new(p->max_line);
        protobuf_set_lenient(p->protobuf, p->on_error);
        protobuf_begin(p->protobuf, &p->options, handler);
        break;
    case EXPOSITION_TEXT:
    default:
        if (!p->text)
            p->text = text_new(p->max_line);
        text_set_lenient(p->text, p->on_error);
        text_begin(p->text, handler);
        break;
    }
}

void exposition_begin(struct exposition_parser *p, const struct exposition_options *options,
                      const struct exposition_handler *handler)
{
    struct exposition_handler through;
    p->options = options ? *options : (struct exposition_options){0};
    p->converting = p->options.nhcb && p->options.format != EXPOSITION_PROTOBUF; /* which does it itself */
    if (p->converting) {
        if (!p->nhcb)
            p->nhcb = nhcb_new();
        nhcb_begin(p->nhcb, &p->options, handler, &through);
        handler = &through;
    }
    begin_format(p, handler);
}

static bool feed_format(struct exposition_parser *p, const void *bytes, size_t n, struct err *err)
{
    switch (p->options.format) {
    case EXPOSITION_OPENMETRICS:
        return openmetrics_feed(p->openmetrics, bytes, n, err);
    case EXPOSITION_PROTOBUF:
        return protobuf_feed(p->protobuf, bytes, n, err);
    case EXPOSITION_TEXT:
    default:
        return text_feed(p->text, bytes, n, err);
    }
}

/* Names the error when it is the conversion that wanted no more. */
static bool heard(struct exposition_parser *p, bool ok, struct err *err)
{
    if (!ok && p->converting)
        (void)nhcb_failed(p->nhcb, err);
    return ok;
}

bool exposition_feed(struct exposition_parser *p, const void *bytes, size_t n, struct err *err)
{
    return heard(p, feed_format(p, bytes, n, err), err);
}

static bool finish_format(struct exposition_parser *p, struct err *err)
{
    switch (p->options.format) {
    case EXPOSITION_OPENMETRICS:
        return openmetrics_finish(p->openmetrics, err);
    case EXPOSITION_PROTOBUF:
        return protobuf_finish(p->protobuf, err);
    case EXPOSITION_TEXT:
    default:
        return text_finish(p->text, err);
    }
}

bool exposition_finish(struct exposition_parser *p, struct err *err)
{
    return heard(p, finish_format(p, err), err) && (!p->converting || nhcb_finish(p->nhcb, err));
}

uint64_t exposition_line(const struct exposition_parser *p)
{
    switch (p->options.format) {
    case EXPOSITION_OPENMETRICS:
        return p->openmetrics ? openmetrics_line(p->openmetrics) : 0;
    case EXPOSITION_PROTOBUF:
        return p->protobuf ? protobuf_line(p->protobuf) : 0;
    case EXPOSITION_TEXT:
    default:
        return p->text ? text_line(p->text) : 0;
    }
}

void exposition_set_lenient(struct exposition_parser *p, exposition_error_fn *on_error)
{
    p->on_error = on_error;
    if (p->text)
        text_set_lenient(p->text, on_error);
    if (p->openmetrics)
        openmetrics_set_lenient(p->openmetrics, on_error);
    if (p->protobuf)
        protobuf_set_lenient(p->protobuf, on_error);
}
