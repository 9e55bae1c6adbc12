/* SPDX-License-Identifier: Apache-2.0 */
/* unzstd: zstd bodies in pieces. */
#include "unzstd.h"

#include <stdlib.h>
#include <zstd.h>

#include "base/alloc.h"

struct unzstd {
    ZSTD_DStream *stream;
    bool in_frame, any_frame;
};

struct unzstd *unzstd_new(void)
{
    struct unzstd *z = xcalloc(1, sizeof *z);
    z->stream = ZSTD_createDStream();
    if (!z->stream)
        abort();
    (void)ZSTD_DCtx_setParameter(z->stream, ZSTD_d_windowLogMax, UNZSTD_WINDOW_LOG_MAX);
    return z;
}

void unzstd_free(struct unzstd *z)
{
    if (!z)
        return;
    ZSTD_freeDStream(z->stream);
    free(z);
}

bool unzstd_finished(const struct unzstd *z)
{
    return z->any_frame && !z->in_frame;
}

bool unzstd_feed(struct unzstd *z, const void *p, size_t n, char *out, size_t size, inflater_sink *sink,
                 void *ctx, struct err *err)
{
    ZSTD_inBuffer in = {p, n, 0};
    size_t made = 0;
    /* Once more after a full output, even without input: the decoder may hold back bytes. */
    while (in.pos < in.size || made == size) {
        ZSTD_outBuffer to = {out, size, 0};
        size_t left = ZSTD_decompressStream(z->stream, &to, &in);
        if (ZSTD_isError(left))
            return err_set(err, "the body is not valid zstd: %s", ZSTD_getErrorName(left));
        made = to.pos;
        z->in_frame = left != 0;
        z->any_frame = true;
        if (made > 0 && !sink(ctx, out, made))
            return false;
    }
    return true;
}
