/* SPDX-License-Identifier: Apache-2.0 */
/* sink_decompress: bodies in snappy's block format or as zstd frames, to a bound. */
#include "sink_decode.h"

#include <snappy-c.h>
#include <zstd.h>

static bool decompress_snappy(struct str body, struct buf *out, struct err *err)
{
    size_t n;
    if (snappy_uncompressed_length(body.p, body.n, &n) != SNAPPY_OK)
        return err_set(err, "not in snappy's block format");
    char *p = buf_reserve(out, n);
    if (!p)
        return err_set(err, "decompresses to %zu bytes, more than the limit", n);
    if (snappy_uncompress(body.p, body.n, p, &n) != SNAPPY_OK)
        return err_set(err, "not in snappy's block format");
    out->n = n;
    return true;
}

static bool decompress_zstd(struct str body, struct buf *out, struct err *err)
{
    ZSTD_DStream *stream = ZSTD_createDStream();
    ZSTD_inBuffer in = {body.p, body.n, 0};
    size_t step = ZSTD_DStreamOutSize(), left = 1;
    bool ok = stream != NULL;
    while (ok && in.pos < in.size) {
        char *p = buf_reserve(out, step);
        if (!p) {
            ok = err_set(err, "decompresses to more than the limit");
            break;
        }
        ZSTD_outBuffer to = {p, step, 0};
        left = ZSTD_decompressStream(stream, &to, &in);
        if (ZSTD_isError(left))
            ok = err_set(err, "zstd: %s", ZSTD_getErrorName(left));
        out->n += to.pos;
    }
    ZSTD_freeDStream(stream);
    return ok && (left == 0 || err_set(err, "zstd: the frame is cut off"));
}

bool sink_decompress(enum sink_encoding encoding, struct str body, struct buf *out, struct err *err)
{
    buf_clear(out);
    return encoding == SINK_ZSTD ? decompress_zstd(body, out, err) : decompress_snappy(body, out, err);
}
