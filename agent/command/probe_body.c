/* SPDX-License-Identifier: Apache-2.0 */
/* probe_body: unpacks a body and finds out which format it is in. */
#include "probe_private.h"

#include "../../scrape/negotiate.h"

#include "base/alloc.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CHUNK ((size_t)64 << 10)

/* ---- what it looks like ---- */

/* Delimited messages: a length, then field 1 (the name) of a length that has room in it. */
static bool is_protobuf(struct str s)
{
    uint64_t length = 0;
    size_t i = 0;
    for (unsigned shift = 0; i < s.n && shift < 35; shift += 7) {
        unsigned char c = (unsigned char)s.p[i++];
        length |= (uint64_t)(c & 0x7f) << shift;
        if (c < 0x80)
            break;
    }
    return i + 1 < s.n && s.p[i] == 0x0a && (unsigned char)s.p[i + 1] + 2u <= length;
}

static bool has(struct str s, const char *text)
{
    return s.n && memmem(s.p, s.n, text, strlen(text));
}

static bool is_openmetrics(struct str s)
{
    return str_ends(s, STR("# EOF\n")) || str_ends(s, STR("# EOF")) || has(s, "\n# UNIT ") || has(s, " # {");
}

enum config_scrape_protocol probe_sniff(struct str start, bool *html)
{
    *html = false;
    if (is_protobuf(start) && !str_starts(start, STR("\n")))
        return CONFIG_PROTO;
    struct str text = str_trim(start);
    *html = str_starts(text, STR("<"));
    return is_openmetrics(start) ? CONFIG_OPENMETRICS_1_0_0 : CONFIG_TEXT_0_0_4;
}

/* ---- unpacking ---- */

static bool pass_on(void *ctx, const void *bytes, size_t n)
{
    struct probe *p = ctx;
    if (n && !p->decided) {
        probe_judge_type(p, str_make(bytes, n));
        if (p->request->begin)
            p->request->begin(p->request->ctx, p->out->format);
    }
    p->out->raw_bytes += n;
    if (p->out->raw_bytes > p->request->max_raw) {
        err_clear(&p->out->error); /* more serious than the type */
        return err_set(&p->out->error, "the body is larger than %" PRIu64 " bytes", p->request->max_raw);
    }
    if (p->request->sink)
        p->request->sink(p->request->ctx, bytes, n);
    return true;
}

void probe_unpack(struct probe *p, enum probe_packing packing)
{
    if (packing == PROBE_GZIP)
        p->inflater = inflater_new();
    else if (packing == PROBE_ZSTD)
        p->unzstd = unzstd_new();
    if (packing != PROBE_PLAIN)
        p->chunk = xmalloc(CHUNK);
}

/* An error of packing matters more than that of the type, which is the body's before. */
static bool unpack(struct probe *p, const void *bytes, size_t n)
{
    struct err why = {0};
    bool ok = p->inflater ? inflater_feed(p->inflater, bytes, n, p->chunk, CHUNK, pass_on, p, &why)
                          : unzstd_feed(p->unzstd, bytes, n, p->chunk, CHUNK, pass_on, p, &why);
    if (err_is(&why))
        p->out->error = why;
    return ok;
}

bool probe_take(struct probe *p, const void *bytes, size_t n)
{
    p->out->wire_bytes += n;
    if (!p->inflater && !p->unzstd)
        return pass_on(p, bytes, n);
    return unpack(p, bytes, n);
}

void probe_end(struct probe *p)
{
    struct probe_result *out = p->out;
    if (p->inflater && !err_is(&out->error) && !inflater_finished(p->inflater))
        err_set(&out->error, "the gzip body ends too early");
    if (p->unzstd && !err_is(&out->error) && !unzstd_finished(p->unzstd))
        err_set(&out->error, "the zstd body ends too early");
    if (p->inflater)
        inflater_free(p->inflater);
    unzstd_free(p->unzstd);
    free(p->chunk);
}
