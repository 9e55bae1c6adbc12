/* SPDX-License-Identifier: Apache-2.0 */
/* test_units: durations and sizes as Prometheus and vmagent write them, numbers, booleans, and points in time. */
#include "unit.h"

#include "base/clock.h"
#include "base/units.h"

#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define BAD (-1)

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        int64_t ms, ms_vm;
    } rows[] = {
        {"0", 0, 0},
        {"0s", 0, 0},
        {"1ms", 1, 1},
        {"15s", 15 * SECOND, 15 * SECOND},
        {"1m", MINUTE, MINUTE},
        {"1h30m", 90 * MINUTE, 90 * MINUTE},
        {"1d", DAY, DAY},
        {"2w", 14 * DAY, 14 * DAY},
        {"1y", 365 * DAY, 365 * DAY},
        {"1y2w3d4h5m6s7ms", 382 * DAY + 4 * HOUR + 5 * MINUTE + 6 * SECOND + 7,
         382 * DAY + 4 * HOUR + 5 * MINUTE + 6 * SECOND + 7},
        {"1m500ms", MINUTE + 500, MINUTE + 500},
        {"90m", 90 * MINUTE, 90 * MINUTE},
        {"007s", 7 * SECOND, 7 * SECOND},
        {"292y", 292 * 365 * DAY, 292 * 365 * DAY},
        /* Only vmagent takes these. */
        {"15", BAD, 15 * SECOND},
        {"1.5s", BAD, 1500},
        {"1.5", BAD, 1500},
        {".5m", BAD, 30 * SECOND},
        {"1.h", BAD, HOUR},
        {"1.5h1.5m", BAD, 91 * MINUTE + 30 * SECOND},
        {"30m1h", BAD, 90 * MINUTE},
        {"1m1m", BAD, 2 * MINUTE},
        {"0.4ms", BAD, 0},
        /* Nobody does. */
        {"", BAD, BAD},
        {"s", BAD, BAD},
        {"1h 30m", BAD, BAD},
        {" 1h", BAD, BAD},
        {"1h ", BAD, BAD},
        {"-1h", BAD, BAD},
        {"+1h", BAD, BAD},
        {"1H", BAD, BAD},
        {"1mo", BAD, BAD},
        {"1us", BAD, BAD},
        {"1..5s", BAD, BAD},
        {".", BAD, BAD},
        {".s", BAD, BAD},
        {"0x10s", BAD, BAD},
        {"1e3s", BAD, BAD},
        {"inf", BAD, BAD},
        {"nan", BAD, BAD},
        {"1s\n", BAD, BAD},
        {"293y", BAD, BAD},
        {"106751991168d", BAD, BAD},
        {"9223372036854775808ms", BAD, BAD},
        {"99999999999999999999999s", BAD, BAD},
        {"99999999999999999999999999999999999999999999999999999999999s", BAD, BAD},
        {"292y9999999999s", BAD, BAD},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct err err = {0};
        int64_t ms = BAD, ms_vm = BAD;
        bool ok = units_parse_duration(str_of(rows[i].text), &ms, &err);
        if (ok != (rows[i].ms != BAD) || ms != rows[i].ms || err_is(&err) == ok)
            fail_msg("\"%s\" is %lld (%s)", rows[i].text, (long long)ms, err.msg);
        err_clear(&err);
        ok = units_parse_duration_vm(str_of(rows[i].text), &ms_vm, &err);
        if (ok != (rows[i].ms_vm != BAD) || ms_vm != rows[i].ms_vm || err_is(&err) == ok)
            fail_msg("vm: \"%s\" is %lld (%s)", rows[i].text, (long long)ms_vm, err.msg);
    }
    int64_t ms;
    assert_false(units_parse_duration_vm(STR("15\0"), &ms, NULL));
    assert_false(units_parse_duration(STR("15s\0"), &ms, NULL));
}

static void test_duration_messages(void **state)
{
    static const char *const rows[][2] = {
        {"", "empty duration string"},
        {"1x", "not a valid duration string: \"1x\""},
        {"1s1m", "not a valid duration string: \"1s1m\""},
        {"300y", "duration out of range"},
        {"99999999999999999999y", "duration out of range"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct err err = {0};
        int64_t ms;
        assert_false(units_parse_duration(str_of(rows[i][0]), &ms, &err));
        assert_string_equal(err.msg, rows[i][1]);
    }
}

static void test_format_duration(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {0, "0s"}, {-5, "0s"}, {1, "1ms"}, {999, "999ms"}, {1000, "1s"}, {1500, "1s500ms"}, {90 * SECOND, "1m30s"},
        {90 * MINUTE, "1h30m"}, {DAY, "1d"}, {25 * HOUR, "1d1h"}, {8 * DAY, "8d"}, {7 * DAY, "1w"}, {14 * DAY, "2w"},
        {90 * DAY, "90d"}, {365 * DAY, "1y"}, {730 * DAY, "2y"}, {366 * DAY, "366d"}, {7 * DAY + 1, "7d1ms"},
        {INT64_MAX, "106751991167d7h12m55s807ms"},
    };
    char out[48];
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        units_format_duration(rows[i].ms, out);
        assert_string_equal(out, rows[i].want);
    }
    for (int64_t ms = 1; ms < 292 * 365 * DAY; ms = ms * 3 + 7) {
        int64_t back;
        units_format_duration(ms, out);
        assert_true(units_parse_duration(str_of(out), &back, NULL));
        assert_int_equal(back, ms);
    }
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        const char *error;
    } rows[] = {
        {"0", 0, NULL},
        {"0B", 0, NULL},
        {"100B", 100, NULL},
        {"512KB", 512 * 1024, NULL},
        {"1KiB", 1024, NULL},
        {"64MB", 64ull << 20, NULL},
        {"1GiB", 1ull << 30, NULL},
        {"2TB", 2ull << 40, NULL},
        {"3PiB", 3ull << 50, NULL},
        {"15EB", 15ull << 60, NULL},
        {"1.5KB", 1536, NULL},
        {"0.5MiB", 512 * 1024, NULL},
        {"18446744073709551615B", UINT64_MAX, NULL},
        {"16EB", 0, "units: 16EB is out of range"},
        {"16.5EB", 0, "units: 16.5EB is out of range"},
        {"18446744073709551616B", 0, "units: 18446744073709551616B is out of range"},
        {"100", 0, "units: unknown unit  in 100"},
        {"1XB", 0, "units: unknown unit XB in 1XB"},
        {"1kb", 0, "units: unknown unit kb in 1kb"},
        {"1 KB", 0, "units: unknown unit  KB in 1 KB"},
        {"", 0, "units: invalid "},
        {"KB", 0, "units: invalid KB"},
        {"-1KB", 0, "units: invalid -1KB"},
        {"1..5KB", 0, "units: invalid 1..5KB"},
        {"0x10KB", 0, "units: unknown unit x10KB in 0x10KB"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct err err = {0};
        uint64_t bytes = 0;
        bool ok = units_parse_size(str_of(rows[i].text), &bytes, &err);
        assert_string_equal(err.msg, rows[i].error ? rows[i].error : "");
        assert_int_equal(ok, rows[i].error == NULL);
        assert_true(bytes == rows[i].bytes);
    }
}

static void test_sizes_vm(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t bytes;
    } rows[] = {
        {"0", true, 0},         {"100", true, 100},     {"1KB", true, 1000},        {"1kib", true, 1024},
        {"1.5MB", true, 1500000}, {"2GiB", true, 2ull << 30}, {"1tb", true, 1000000000000}, {"1gIb", true, 1 << 30},
        {"", false, 0},         {"KB", false, 0},       {"1K", false, 0},           {"1KiX", false, 0},
        {"1PB", false, 0},      {"1KBB", false, 0},     {"-1", false, 0},           {"99999999999TiB", false, 0},
        {"1B", false, 0},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t bytes = 0;
        assert_int_equal(units_parse_size_vm(str_of(rows[i].text), &bytes), rows[i].ok);
        assert_true(bytes == rows[i].bytes);
    }
}

static void test_format_size(void **state)
{
    static const struct {
        uint64_t bytes;
        const char *want;
    } rows[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1.0 KiB"},
        {1536, "1.5 KiB"},
        {12897484, "12.3 MiB"},
        {1ull << 30, "1.0 GiB"},
        {UINT64_MAX, "16.0 EiB"},
    };
    char out[32];
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        units_format_size(rows[i].bytes, out);
        assert_string_equal(out, rows[i].want);
    }
}

static void test_integers(void **state)
{
    static const struct {
        const char *text;
        bool is_u64, is_i64;
        uint64_t u;
        int64_t i;
    } rows[] = {
        {"0", true, true, 0, 0},
        {"007", true, true, 7, 7},
        {"18446744073709551615", true, false, UINT64_MAX, 0},
        {"18446744073709551616", false, false, 0, 0},
        {"99999999999999999999", false, false, 0, 0},
        {"9223372036854775807", true, true, INT64_MAX, INT64_MAX},
        {"9223372036854775808", true, false, (uint64_t)INT64_MAX + 1, 0},
        {"-9223372036854775808", false, true, 0, INT64_MIN},
        {"-9223372036854775809", false, false, 0, 0},
        {"-1", false, true, 0, -1},
        {"+1", false, true, 0, 1},
        {"-0", false, true, 0, 0},
        {"", false, false, 0, 0},
        {"-", false, false, 0, 0},
        {"+-1", false, false, 0, 0},
        {" 1", false, false, 0, 0},
        {"1 ", false, false, 0, 0},
        {"1.0", false, false, 0, 0},
        {"0x1", false, false, 0, 0},
        {"\xd9\xa1", false, false, 0, 0},
    };
    (void)state;
    for (size_t k = 0; k < ROWS(rows); k++) {
        uint64_t u = 0;
        int64_t i = 0;
        assert_int_equal(units_parse_u64(str_of(rows[k].text), &u), rows[k].is_u64);
        assert_int_equal(units_parse_i64(str_of(rows[k].text), &i), rows[k].is_i64);
        assert_true(u == rows[k].u && i == rows[k].i);
    }
}

static void test_bools(void **state)
{
    static const char *const yes[] = {"true", "True", "TRUE", "yes", "YES", "on", "On"};
    static const char *const no[] = {"false", "False", "FALSE", "no", "NO", "off", "Off"};
    static const char *const neither[] = {"", "tRue", "y", "n", "1", "0", "true ", "oN"};
    bool v;
    (void)state;
    for (size_t i = 0; i < ROWS(yes); i++)
        assert_true(units_parse_bool(str_of(yes[i]), &v) && v);
    for (size_t i = 0; i < ROWS(no); i++)
        assert_true(units_parse_bool(str_of(no[i]), &v) && !v);
    for (size_t i = 0; i < ROWS(neither); i++)
        assert_false(units_parse_bool(str_of(neither[i]), &v));
}

static void test_clock_format(void **state)
{
    static const struct {
        int64_t ms;
        const char *want;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1767323045678, "2026-01-02T03:04:05.678Z"},
        {-1, "1969-12-31T23:59:59.999Z"},
        {-1000, "1969-12-31T23:59:59.000Z"},
        {-1001, "1969-12-31T23:59:58.999Z"},
        {2147483647999, "2038-01-19T03:14:07.999Z"},
        {2147483648000, "2038-01-19T03:14:08.000Z"},
        {4294967296000, "2106-02-07T06:28:16.000Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
    };
    char out[32];
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        clock_format_rfc3339(rows[i].ms, out);
        assert_string_equal(out, rows[i].want);
    }
    clock_format_rfc3339(INT64_MAX, out);
    assert_string_equal(out, "292278994-08-17T07:12:55.807Z");
    clock_format_rfc3339(INT64_MIN, out);
    assert_string_equal(out, "-292275055-05-16T16:47:04.192Z");
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t ns = clock_mono_ns(), ms = clock_mono_ms(), cpu = clock_cpu_ns();
    assert_true(ms >= ns / 1000000 && ms - ns / 1000000 < 60000);
    assert_true(clock_wall_ms() > 1700000000000);
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_mono_ns();
        assert_true(now >= ns);
        ns = now;
    }
    assert_true(cpu > 0 && clock_cpu_ns() >= cpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_duration_messages),
        cmocka_unit_test(test_format_duration),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_sizes_vm),
        cmocka_unit_test(test_format_size),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_bools),
        cmocka_unit_test(test_clock_format),
        cmocka_unit_test(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
