/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_sink: any bytes as the body of a remote-write request, as `obsagent sink` reads them.

   Input: a letter that chooses, then the body. 1, 2: a message of that version, not compressed; s, S: snappy with a
   message of version 1, 2; z, Z: zstd likewise. What is counted must be what is written. */
#include "agent/command/sink_decode.h"

#include <stdlib.h>
#include <string.h>

#define BODY_MAX (1 << 20)

static void must(bool held)
{
    if (!held)
        abort();
}

static void decode(enum sink_message message, struct str raw)
{
    struct sink_counts counts, silent;
    struct err err = {0}, why = {0};
    struct buf json;
    buf_init(&json, BODY_MAX);
    bool good = sink_decode(message, raw, &json, true, &counts, &err);
    must(good == !err_is(&err));
    bool same = sink_decode(message, raw, NULL, true, &silent, &why);
    must(same == good || json.overflow);
    if (good) {
        uint64_t lines = 0;
        for (size_t i = 0; i < json.n; i++)
            lines += json.p[i] == '\n';
        must(lines == counts.lines && lines >= counts.samples + counts.histograms + counts.metadata);
        counts.lines = 0;
        must(memcmp(&counts, &silent, sizeof counts) == 0);
        must(str_is_utf8(buf_str(&json)));
    }
    buf_free(&json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct err err = {0};
    struct buf raw;
    if (n < 1)
        return 0;
    struct str body = str_make((const char *)data + 1, n - 1);
    enum sink_message message = strchr("2SZ", (char)data[0]) ? SINK_RW2 : SINK_RW1;
    if (data[0] == '1' || data[0] == '2') {
        decode(message, body);
        return 0;
    }
    buf_init(&raw, BODY_MAX);
    if (sink_decompress(data[0] == 'z' || data[0] == 'Z' ? SINK_ZSTD : SINK_SNAPPY, body, &raw, &err))
        decode(message, buf_str(&raw));
    else
        must(err_is(&err));
    buf_free(&raw);
    return 0;
}
