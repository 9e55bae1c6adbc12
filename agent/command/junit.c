/* SPDX-License-Identifier: Apache-2.0 */
/* junit: a test suite as XML. */
#include "junit.h"

#include <inttypes.h>
#include <string.h>

/* What XML has no way to say becomes '?'. */
static void add_xml(struct buf *out, const char *text)
{
    struct buf plain;
    bool utf8 = str_is_utf8(str_of(text));
    buf_init(&plain, SIZE_MAX);
    for (const char *c = text; *c; c++) {
        unsigned char byte = (unsigned char)*c;
        bool bad = (byte < ' ' && byte != '\n') || byte == 127 || (byte > 127 && !utf8);
        buf_add_char(&plain, bad ? '?' : *c);
    }
    buf_add_html(out, buf_str(&plain));
    buf_free(&plain);
}

void junit_begin(struct junit *s, const char *name)
{
    *s = (struct junit){.name = name};
    buf_init(&s->cases, SIZE_MAX);
}

void junit_case(void *to, const char *name, const char *failure)
{
    struct junit *s = to;
    s->tests++;
    s->failures += failure != NULL;
    buf_add_c(&s->cases, "    <testcase classname=\"");
    add_xml(&s->cases, s->name);
    buf_add_c(&s->cases, "\" name=\"");
    add_xml(&s->cases, name);
    if (!failure) {
        buf_add_c(&s->cases, "\"/>\n");
        return;
    }
    buf_add_c(&s->cases, "\"><failure message=\"");
    struct buf first; /* of many lines */
    buf_init(&first, SIZE_MAX);
    buf_add(&first, failure, strcspn(failure, "\n"));
    add_xml(&s->cases, buf_c(&first));
    buf_free(&first);
    buf_add_c(&s->cases, "\">");
    add_xml(&s->cases, failure);
    buf_add_c(&s->cases, "</failure></testcase>\n");
}

void junit_end(struct junit *s, double seconds, struct buf *out)
{
    buf_add_c(out, "  <testsuite name=\"");
    add_xml(out, s->name);
    buf_addf(out, "\" tests=\"%" PRIu64 "\" failures=\"%" PRIu64 "\" time=\"%.3f\">\n", s->tests, s->failures,
             seconds);
    buf_add_str(out, buf_str(&s->cases));
    buf_add_c(out, "  </testsuite>\n");
    buf_free(&s->cases);
}
