/* SPDX-License-Identifier: Apache-2.0 */
/* test_hash: checksums against their published vectors. The file under test is included, so that the table path of
   CRC-32C is reached on machines that have the instruction. */
#include "unit.h"

#include "agent/base/hash.c"

/* RFC 3720, B.4, and the check value of the catalogue of CRCs. */
static void test_crc32c(void **state)
{
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    (void)state;
    memset(ones, 0xff, sizeof ones);
    for (unsigned i = 0; i < 32; i++) {
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    const struct {
        const void *p;
        size_t n;
        uint32_t want;
    } rows[] = {
        {"", 0, 0},           {"123456789", 9, 0xe3069283}, {zeros, 32, 0x8a9136aa},
        {ones, 32, 0x62a8ab43}, {up, 32, 0x46dd794e},         {down, 32, 0x113fdb5c},
    };
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(hash_crc32c(0, rows[i].p, rows[i].n), rows[i].want);
        assert_int_equal(~crc_soft(~0u, rows[i].p, rows[i].n), rows[i].want);
    }
}

static void test_crc32c_continues(void **state)
{
    uint8_t data[257];
    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 31 + 7);
    for (size_t n = 0; n <= sizeof data; n++) {
        uint32_t whole = hash_crc32c(0, data, n);
        assert_int_equal(~crc_soft(~0u, data, n), whole);
        for (size_t cut = 0; cut <= n; cut += 13)
            assert_int_equal(hash_crc32c(hash_crc32c(0, data, cut), data + cut, n - cut), whole);
    }
    for (size_t shift = 0; shift < 8; shift++)
        assert_int_equal(hash_crc32c(0, data + shift, 100), ~crc_soft(~0u, data + shift, 100));
}

/* RFC 1321, A.5; then one letter repeated around the borders of the padding, as md5sum computes. */
static void test_md5(void **state)
{
    static const struct {
        const char *text;
        size_t times;
        const char *want;
    } rows[] = {
        {"", 1, "d41d8cd98f00b204e9800998ecf8427e"},
        {"a", 1, "0cc175b9c0f1b6a831c399e269772661"},
        {"abc", 1, "900150983cd24fb0d6963f7d28e17f72"},
        {"message digest", 1, "f96b697d7cb7938d525a2f31aaf161d0"},
        {"abcdefghijklmnopqrstuvwxyz", 1, "c3fcd3d76192e4007dfb496cca67e13b"},
        {"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", 1, "d174ab98d277d9f5a5611c2c9f419d9f"},
        {"1234567890", 8, "57edf4a22be3c955ac49da2e2107b67a"},
        {"x", 54, "61ea0974c662328da964d977a8253873"},
        {"x", 55, "04364420e25c512fd958a70738aa8f72"},
        {"x", 56, "668a72d5ba17f08e62dabcafad6db14b"},
        {"x", 57, "693037871c4a9d3d8685018905cb530a"},
        {"x", 63, "7dc2ca208106a2f703567bdff99d8981"},
        {"x", 64, "c1bb4f81d892b2d57947682aeb252456"},
        {"x", 65, "1bc932052302d074bdec39795fe00cf6"},
        {"x", 119, "ab347a5f68c8a443cfcddc633f12c24f"},
        {"x", 120, "fb98667f98096de92620b64f46e1c5b5"},
        {"x", 121, "e8bb0ccd83750100b37f4831cd5d7ee2"},
        {"x", 127, "a0b28c1da68705c2ff883fe279b72753"},
        {"x", 128, "d69cb61a6ee87200676eb0d4b90edbcb"},
        {"x", 129, "3926841d393c00c3f36260e5ace10dc1"},
        {"x", 1000, "398533d48111e9f664b1f64cb10c4b63"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char text[2048], hex[33];
        uint8_t sum[16];
        size_t n = strlen(rows[i].text);
        for (size_t k = 0; k < rows[i].times; k++)
            memcpy(text + k * n, rows[i].text, n);
        hash_md5(text, n * rows[i].times, sum);
        for (size_t k = 0; k < 16; k++)
            snprintf(hex + 2 * k, 3, "%02x", sum[k]);
        assert_string_equal(hex, rows[i].want);
    }
}

static void test_xxh3(void **state)
{
    (void)state;
    /* Shards and phases depend on these: they must never change. */
    assert_true(hash_bytes("", 0) == 0x2d06800538d394c2u);
    assert_true(hash_bytes(NULL, 0) == hash_bytes("", 0));
    assert_true(hash_bytes("a", 1) == 0xe6c632b61e964e1fu);
    assert_true(hash_bytes("abc", 3) == 0x78af5f94892f3950u);
}

static uint64_t of_two(const char *a, const char *b)
{
    return hash_more(hash_more(0, str_of(a)), str_of(b));
}

static void test_more(void **state)
{
    (void)state;
    assert_true(of_two("a", "bc") != of_two("ab", "c"));
    assert_true(of_two("", "abc") != of_two("abc", ""));
    assert_true(of_two("a", "b") != of_two("b", "a"));
    assert_true(of_two("a", "") != hash_more(0, STR("a")));
    assert_true(of_two("a", "b") == of_two("a", "b"));
    assert_true(hash_more(1, STR("a")) != hash_more(2, STR("a")));
    assert_true(hash_more(7, STR_NULL) == hash_more(7, STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c), cmocka_unit_test(test_crc32c_continues), cmocka_unit_test(test_md5),
        cmocka_unit_test(test_xxh3),   cmocka_unit_test(test_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
