/* SPDX-License-Identifier: Apache-2.0 */
/* test_unzstd: zstd bodies in pieces of any size. */
#include "unit.h"

#include <zstd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "scrape/unzstd.h"

#define SIZE 300000

static struct buf got;

static bool take(void *ctx, const void *p, size_t n)
{
    size_t *limit = ctx;
    buf_add(&got, p, n);
    return !limit || got.n <= *limit;
}

static char *pack(const char *text, size_t n, size_t *packed_n)
{
    ZSTD_CCtx *c = ZSTD_createCCtx();
    size_t bound = ZSTD_compressBound(n);
    char *out = xmalloc(bound);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    *packed_n = ZSTD_compress2(c, out, bound, text, n);
    assert_false(ZSTD_isError(*packed_n));
    ZSTD_freeCCtx(c);
    return out;
}

static char *make_text(void)
{
    char *text = xmalloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = (char)('a' + (i * i / 7) % 26);
    return text;
}

static bool feed(struct unzstd *z, const char *p, size_t n, size_t piece, size_t *limit, struct err *err)
{
    char out[512];
    for (size_t at = 0; at < n; at += piece)
        if (!unzstd_feed(z, p + at, n - at < piece ? n - at : piece, out, sizeof out, take, limit, err))
            return false;
    return true;
}

static void whole_and_in_pieces(void **state)
{
    static const size_t PIECES[] = {SIZE, 4096, 7, 1};
    char *text = make_text();
    size_t n;
    char *packed = pack(text, SIZE, &n);
    (void)state;
    for (size_t i = 0; i < sizeof PIECES / sizeof *PIECES; i++) {
        struct unzstd *z = unzstd_new();
        struct err err = {0};
        buf_init(&got, SIZE * 2);
        assert_false(unzstd_finished(z));
        assert_true(feed(z, packed, n - 1, PIECES[i], NULL, &err));
        assert_false(unzstd_finished(z));
        assert_true(feed(z, packed + n - 1, 1, 1, NULL, &err));
        assert_true(unzstd_finished(z));
        assert_true(feed(z, packed, n, PIECES[i], NULL, &err)); /* a second frame goes on where the first ended */
        assert_true(unzstd_finished(z));
        assert_int_equal(got.n, 2 * SIZE);
        assert_memory_equal(got.p, text, SIZE);
        assert_memory_equal(got.p + SIZE, text, SIZE);
        buf_free(&got);
        unzstd_free(z);
    }
    free(packed);
    free(text);
}

static void the_sink_may_stop_it(void **state)
{
    char *text = make_text();
    size_t n, limit = 1000;
    char *packed = pack(text, SIZE, &n);
    struct unzstd *z = unzstd_new();
    struct err err = {0};
    (void)state;
    buf_init(&got, SIZE);
    assert_false(feed(z, packed, n, n, &limit, &err));
    assert_false(err_is(&err));
    assert_in_range(got.n, limit, limit + 512);
    buf_free(&got);
    unzstd_free(z);
    free(packed);
    free(text);
}

static void what_is_refused(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        const char *error;
    } ROWS[] = {
        /* an empty frame that asks for a window of 128 MiB */
        {"\x28\xb5\x2f\xfd\x00\x88\x01\x00\x00", 9,
         "the body is not valid zstd: Frame requires too much memory for decoding"},
        {"# TYPE a gauge\n", 15, "the body is not valid zstd: Unknown frame descriptor"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct unzstd *z = unzstd_new();
        struct err err = {0};
        buf_init(&got, SIZE);
        assert_false(feed(z, ROWS[i].bytes, ROWS[i].n, ROWS[i].n, NULL, &err));
        assert_string_equal(err.msg, ROWS[i].error);
        buf_free(&got);
        unzstd_free(z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_and_in_pieces),
        cmocka_unit_test(the_sink_may_stop_it),
        cmocka_unit_test(what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
