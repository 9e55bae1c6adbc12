/* SPDX-License-Identifier: Apache-2.0 */
/* test_inflate: gzip in pieces of every size, several members, and what is not gzip. */
#include "unit.h"

#include <zlib.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "scrape/inflate.h"

#define TEXT_BYTES 200000

static char text[TEXT_BYTES];

/* Appends a gzip member of text[from..to). */
static void add_member(struct buf *out, size_t from, size_t to, int level)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, Z_DEFAULT_STRATEGY), Z_OK);
    char *room = buf_reserve(out, to - from + 1000);
    z.next_in = (Bytef *)(text + from);
    z.avail_in = (uInt)(to - from);
    z.next_out = (Bytef *)room;
    z.avail_out = (uInt)(to - from + 1000);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    out->n += to - from + 1000 - z.avail_out;
    deflateEnd(&z);
}

static bool collect(void *ctx, const void *p, size_t n)
{
    return buf_add(ctx, p, n);
}

/* Feeds in pieces through an output of `room` bytes. */
static bool inflate_all(struct inflater *z, struct str in, size_t piece, size_t room, struct buf *out,
                        struct err *err)
{
    char *space = xmalloc(room);
    bool ok = true;
    while (ok && in.n > 0) {
        size_t n = piece < in.n ? piece : in.n;
        ok = inflater_feed(z, in.p, n, space, room, collect, out, err);
        in = str_skip(in, n);
    }
    free(space);
    return ok;
}

static void pieces_of_every_size_give_the_same(void **state)
{
    (void)state;
    static const size_t pieces[] = {1, 2, 3, 7, 100, 4096, TEXT_BYTES * 2};
    static const size_t rooms[] = {1000, 1024, 32768, TEXT_BYTES};
    struct inflater *z = inflater_new();
    struct buf in, out;
    buf_init(&in, 4 * TEXT_BYTES);
    buf_init(&out, 4 * TEXT_BYTES);
    for (int level = 0; level <= 9; level += 3) {
        buf_clear(&in);
        add_member(&in, 0, 50000, level);
        add_member(&in, 50000, 50000, level); /* empty */
        add_member(&in, 50000, TEXT_BYTES, level);
        for (size_t i = 0; i < ROWS(pieces) * ROWS(rooms); i++) {
            struct err err = {0};
            buf_clear(&out);
            inflater_reset(z);
            assert_false(inflater_finished(z));
            if (!inflate_all(z, buf_str(&in), pieces[i % ROWS(pieces)], rooms[i / ROWS(pieces)], &out, &err))
                fail_msg("level %d, case %zu: %s", level, i, err.msg);
            assert_int_equal(out.n, TEXT_BYTES);
            assert_memory_equal(out.p, text, TEXT_BYTES);
            assert_true(inflater_finished(z));
        }
    }
    buf_free(&in);
    buf_free(&out);
    inflater_free(z);
}

static void cut_input_is_not_finished(void **state)
{
    (void)state;
    struct inflater *z = inflater_new();
    struct err err = {0};
    struct buf in, out;
    buf_init(&in, 4 * TEXT_BYTES);
    buf_init(&out, 4 * TEXT_BYTES);
    add_member(&in, 0, TEXT_BYTES, 6);
    for (size_t cut = 1; cut < 30; cut++) {
        buf_clear(&out);
        inflater_reset(z);
        assert_true(inflate_all(z, str_make(in.p, in.n - cut), 1000, 32768, &out, &err));
        assert_false(inflater_finished(z));
    }
    buf_free(&in);
    buf_free(&out);
    inflater_free(z);
}

static void damage_is_found(void **state)
{
    (void)state;
    struct inflater *z = inflater_new();
    struct buf in, out;
    buf_init(&in, 4 * TEXT_BYTES);
    buf_init(&out, 1 << 24);
    struct err err = {0};
    assert_false(inflate_all(z, STR("# HELP not gzip at all"), 5, 1024, &out, &err));
    assert_string_equal(err.msg, "the body is not valid gzip");
    add_member(&in, 0, 30000, 6);
    for (size_t i = 0; i < in.n; i += 37) {
        inflater_reset(z);
        buf_clear(&out);
        in.p[i] ^= 0x10;
        struct err why = {0};
        bool ok = inflate_all(z, buf_str(&in), 1000, 1024, &out, &why) && inflater_finished(z);
        /* Parts of the header (time, system) may be anything; the rest is under a checksum. */
        if (ok)
            assert_true(i < 10);
        in.p[i] ^= 0x10;
    }
    buf_free(&in);
    buf_free(&out);
    inflater_free(z);
}

static bool refuse(void *ctx, const void *p, size_t n)
{
    (void)p;
    *(size_t *)ctx += n;
    return false;
}

static void sink_may_stop(void **state)
{
    (void)state;
    struct inflater *z = inflater_new();
    struct err err = {0};
    struct buf in;
    char space[1024];
    size_t seen = 0;
    buf_init(&in, 4 * TEXT_BYTES);
    add_member(&in, 0, TEXT_BYTES, 6);
    assert_false(inflater_feed(z, in.p, in.n, space, sizeof space, refuse, &seen, &err));
    assert_string_equal(err.msg, "");
    assert_true(seen > 0 && seen <= sizeof space);
    buf_free(&in);
    inflater_free(z);
}

static int setup(void **state)
{
    (void)state;
    unsigned seed = 1;
    for (size_t i = 0; i < TEXT_BYTES; i++)
        text[i] = (char)("abcdefgh_0123456789\n"[rand_r(&seed) % 20]);
    memset(text + 20000, 'x', 10000);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces_of_every_size_give_the_same),
        cmocka_unit_test(cut_input_is_not_finished),
        cmocka_unit_test(damage_is_found),
        cmocka_unit_test(sink_may_stop),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
