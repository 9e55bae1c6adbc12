/* SPDX-License-Identifier: Apache-2.0 */
/* test_number: the number parser takes what Go takes and gives what strtod gives, bit for bit. */
#include "unit.h"

#include <inttypes.h>
#include <math.h>
#include <regex.h>

#include "exposition.h"

#define ROUNDS 3000000
#define GARBAGE_ROUNDS 200000

static uint64_t seed = 88172645463325252ull;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    return bits;
}

static void same_as_strtod(const char *text)
{
    double got = 0, want = strtod(text, NULL);
    bool ok = exposition_parse_value(str_of(text), &got);
    if (ok != !isinf(want) || (ok && bits_of(got) != bits_of(want)))
        fail_msg("%s: got %d %a, strtod %a", text, ok, got, want);
}

/* Digits with a point somewhere and an exponent, of every length that matters. */
static void random_digits(char *out, size_t size)
{
    size_t n = 0, digits = 1 + next_random() % 24, point = next_random() % 30;
    if (next_random() % 4 == 0)
        out[n++] = next_random() % 2 ? '-' : '+';
    for (size_t i = 0; i < digits; i++) {
        if (i == point)
            out[n++] = '.';
        out[n++] = (char)('0' + (next_random() % 5 ? next_random() % 10 : 0));
    }
    out[n] = '\0';
    if (next_random() % 3 == 0)
        snprintf(out + n, size - n, "e%d", (int)(next_random() % 70) - 35);
    else if (next_random() % 20 == 0)
        snprintf(out + n, size - n, "E%+d", (int)(next_random() % 700) - 350);
}

static void random_double(char *out, size_t size)
{
    static const char *const FORMS[] = {"%.17g", "%.16g", "%.15g", "%.6f", "%.3e", "%.18e"};
    uint64_t bits = next_random();
    double v;
    memcpy(&v, &bits, 8);
    if (next_random() % 2)
        v = (double)(int64_t)(next_random() >> (next_random() % 60)) / 1000.0;
    if (!isfinite(v) || fabs(v) > 1e60)
        v = 1.5;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(out, size, FORMS[next_random() % (sizeof FORMS / sizeof *FORMS)], v);
#pragma GCC diagnostic pop
}

/* A point halfway between two doubles, and its neighbours: the hard case of rounding. */
static void random_halfway(char *out, size_t size)
{
    uint64_t m = (1ull << 53 | next_random() >> 11) * 2 + 1;
    int shift = (int)(next_random() % 9);
    m = (m << shift) + next_random() % 3 - 1;
    snprintf(out, size, "%" PRIu64 "%s", m, next_random() % 2 ? "" : "e0");
}

static void differential(void **state)
{
    char text[128];
    (void)state;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 3 == 0)
            random_digits(text, sizeof text);
        else if (i % 3 == 1)
            random_double(text, sizeof text);
        else
            random_halfway(text, sizeof text);
        same_as_strtod(text);
    }
}

static void chosen(void **state)
{
    static const char *const TEXTS[] = {
        "0", "-0", "+0", "0.0", "00012", "1", "9007199254740993", "9007199254740992",
        "18446744073709551615", "9999999999999999999", "10000000000000000000", "1e22", "1e23", "123e-27",
        "1e27", "1e28", "1e-27", "1e-28", "1.7976931348623157e308", "1.7976931348623159e308", "1e309",
        "5e-324", "2.4e-324", "2.2250738585072011e-308",
        "0.00000000000000000000000000000000000000000000000000001", ".5", "5.", "+.5e1", "0e99999",
        "0e-99999", "1e99999", "1e-99999", "1e00000000000001", "0.1", "0.30000000000000004",
        "8.41600000000001e-05", "123456789012345678901234567890",
        "1000000000000000000000000000000000000000000000000",
    };
    (void)state;
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++)
        same_as_strtod(TEXTS[i]);
    char *zeros = malloc(5001);
    memset(zeros, '0', 5000);
    zeros[0] = '1';
    zeros[5000] = '\0';
    same_as_strtod(zeros);
    zeros[1] = '.';
    zeros[4999] = '7';
    same_as_strtod(zeros);
    free(zeros);
}

/* Random words over the alphabet of numbers: accepted if and only if the grammar says so. */
static void grammar(void **state)
{
    static const char ALPHABET[] = "0123456789..++--eEiInNfFaAtTyY_xXpP ";
    regex_t decimal, special;
    (void)state;
    assert_int_equal(regcomp(&decimal, "^[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?$", REG_EXTENDED),
                     0);
    assert_int_equal(regcomp(&special, "^(nan|[+-]?(inf|infinity))$", REG_EXTENDED | REG_ICASE), 0);
    for (int i = 0; i < GARBAGE_ROUNDS; i++) {
        static const char *const WORDS[] = {"inf",  "Infinity", "NaN",   "-Inf", "+iNF",
                                            "+nan", "infin",    "0x1p3", "1_0"};
        char text[32];
        size_t n = next_random() % 9;
        for (size_t k = 0; k < n; k++)
            text[k] = ALPHABET[next_random() % (sizeof ALPHABET - 1)];
        text[n] = '\0';
        if (i % 50 == 0)
            snprintf(text, sizeof text, "%s", WORDS[next_random() % (sizeof WORDS / sizeof *WORDS)]);
        double v = 0;
        bool got = exposition_parse_value(str_of(text), &v);
        bool want = regexec(&special, text, 0, NULL, 0) == 0;
        if (regexec(&decimal, text, 0, NULL, 0) == 0)
            want = !isinf(strtod(text, NULL));
        if (got != want)
            fail_msg("\"%s\": got %d, want %d", text, got, want);
    }
    regfree(&decimal);
    regfree(&special);
}

static void nan_is_one(void **state)
{
    double v;
    (void)state;
    assert_true(exposition_parse_value(STR("nAn"), &v));
    assert_true(bits_of(v) == BLOCK_NAN_BITS);
    assert_true(exposition_parse_value(STR("-INF"), &v));
    assert_true(isinf(v) && v < 0);
    assert_false(exposition_parse_value(STR(""), &v));
    assert_false(exposition_parse_value(STR("1\0"), &v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(differential),
        cmocka_unit_test(chosen),
        cmocka_unit_test(grammar),
        cmocka_unit_test(nan_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
