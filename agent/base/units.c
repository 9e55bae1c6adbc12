/* SPDX-License-Identifier: Apache-2.0 */
/* units: durations and sizes as configuration writes them. */
#include "base/units.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct duration_unit {
    const char *name;
    int64_t ms;
};

/* In falling order, which is the order a duration must have. */
static const struct duration_unit DURATIONS[] = {
    {"y", 365LL * 24 * 3600 * 1000}, {"w", 7LL * 24 * 3600 * 1000}, {"d", 24LL * 3600 * 1000},
    {"h", 3600LL * 1000},            {"m", 60LL * 1000},            {"s", 1000},
    {"ms", 1},
};
#define DURATIONS_N (sizeof DURATIONS / sizeof DURATIONS[0])
#define SECONDS 5 /* the place of "s" */
/* Prometheus counts in nanoseconds, so about 292 years are the most; here it keeps sums with a clock in range. */
#define DURATION_MAX_MS (INT64_MAX / 1000000)

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static size_t digits(struct str s)
{
    size_t n = 0;
    while (n < s.n && is_digit(s.p[n]))
        n++;
    return n;
}

/* The unit name at the start of s: letters up to the next digit or the end. */
static size_t letters(struct str s)
{
    size_t n = 0;
    while (n < s.n && s.p[n] >= 'a' && s.p[n] <= 'z')
        n++;
    return n;
}

static bool find_duration_unit(struct str name, size_t *index)
{
    for (size_t i = 0; i < DURATIONS_N; i++) {
        if (str_eq_c(name, DURATIONS[i].name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

static bool bad_duration(struct str s, struct err *err)
{
    return err_set(err, "not a valid duration string: \"%.*s\"", STR_ARG(s));
}

bool units_parse_duration(struct str s, int64_t *ms, struct err *err)
{
    int64_t total = 0;
    size_t next = 0;
    struct str rest = s;
    if (s.n == 0)
        return err_set(err, "empty duration string");
    if (str_eq_c(s, "0")) {
        *ms = 0;
        return true;
    }
    while (rest.n) {
        uint64_t count;
        size_t unit, n = digits(rest);
        if (n == 0)
            return bad_duration(s, err);
        if (!units_parse_u64(str_make(rest.p, n), &count))
            count = UINT64_MAX;
        rest = str_skip(rest, n);
        size_t m = letters(rest);
        if (!find_duration_unit(str_make(rest.p, m), &unit) || unit < next)
            return bad_duration(s, err);
        if (count > (uint64_t)((DURATION_MAX_MS - total) / DURATIONS[unit].ms))
            return err_set(err, "duration out of range");
        total += (int64_t)count * DURATIONS[unit].ms;
        next = unit + 1;
        rest = str_skip(rest, m);
    }
    *ms = total;
    return true;
}

/* The number of digits and dots at the start of s; returns how many bytes it has, 0 when it is none. */
static size_t take_decimal(struct str s, double *v)
{
    char text[48], *end;
    size_t n = 0;
    while (n < s.n && (is_digit(s.p[n]) || s.p[n] == '.'))
        n++;
    if (n == 0 || n >= sizeof text)
        return 0;
    memcpy(text, s.p, n);
    text[n] = '\0';
    *v = strtod(text, &end);
    return end == text + n ? n : 0;
}

bool units_parse_duration_vm(struct str s, int64_t *ms, struct err *err)
{
    double total = 0;
    struct str rest = s;
    if (units_parse_duration(s, ms, NULL))
        return true;
    if (s.n == 0)
        return bad_duration(s, err);
    while (rest.n) {
        double v;
        size_t unit = SECONDS;
        size_t n = take_decimal(rest, &v);
        rest = str_skip(rest, n);
        size_t m = letters(rest);
        if (n == 0 || (m ? !find_duration_unit(str_make(rest.p, m), &unit) : rest.n != 0))
            return bad_duration(s, err);
        total += v * (double)DURATIONS[unit].ms;
        rest = str_skip(rest, m);
    }
    if (!(total < (double)DURATION_MAX_MS))
        return err_set(err, "duration out of range");
    *ms = (int64_t)(total + 0.5);
    return true;
}

struct size_unit {
    const char *name;
    unsigned shift;
};

static const struct size_unit SIZES[] = {
    {"B", 0},   {"KB", 10},  {"KiB", 10}, {"K", 10}, {"MB", 20},  {"MiB", 20}, {"M", 20},
    {"GB", 30}, {"GiB", 30}, {"G", 30},   {"TB", 40}, {"TiB", 40}, {"T", 40},   {"PB", 50},
    {"PiB", 50}, {"P", 50},  {"EB", 60},  {"EiB", 60},
};
#define BYTES_LIMIT 18446744073709551616.0 /* 2^64 */
#define SIZES_N (sizeof SIZES / sizeof SIZES[0])

static bool find_size_unit(struct str name, unsigned *shift)
{
    for (size_t i = 0; i < SIZES_N; i++) {
        if (str_eq_c(name, SIZES[i].name)) {
            *shift = SIZES[i].shift;
            return true;
        }
    }
    return false;
}

bool units_parse_size(struct str s, uint64_t *bytes, struct err *err)
{
    unsigned shift;
    double v;
    if (str_eq_c(s, "0")) {
        *bytes = 0;
        return true;
    }
    size_t n = take_decimal(s, &v);
    if (n == 0)
        return err_set(err, "units: invalid %.*s", STR_ARG(s));
    struct str unit = str_skip(s, n);
    if (!find_size_unit(unit, &shift))
        return err_set(err, "units: unknown unit %.*s in %.*s", STR_ARG(unit), STR_ARG(s));
    uint64_t whole;
    if (units_parse_u64(str_make(s.p, n), &whole)) {
        if (shift && whole > UINT64_MAX >> shift)
            return err_set(err, "units: %.*s is out of range", STR_ARG(s));
        *bytes = whole << shift;
        return true;
    }
    v *= (double)(1ull << shift);
    if (!(v < BYTES_LIMIT))
        return err_set(err, "units: %.*s is out of range", STR_ARG(s));
    *bytes = (uint64_t)v;
    return true;
}

bool units_parse_size_vm(struct str s, uint64_t *bytes)
{
    static const char prefixes[] = "kmgt";
    double v;
    size_t n = take_decimal(s, &v);
    struct str unit = str_skip(s, n);
    if (n == 0)
        return false;
    if (unit.n) {
        const char *prefix = strchr(prefixes, unit.p[0] | 0x20);
        bool binary = unit.n == 3 && (unit.p[1] | 0x20) == 'i';
        if (!prefix || (unit.n != 2 && !binary) || (unit.p[unit.n - 1] | 0x20) != 'b')
            return false;
        for (const char *p = prefixes; p <= prefix; p++)
            v *= binary ? 1024 : 1000;
    }
    if (!(v < BYTES_LIMIT))
        return false;
    *bytes = (uint64_t)v;
    return true;
}

/* Like Prometheus: years and weeks only when they divide the whole, so 8d stays 8d, and 25h is 1d1h. */
void units_format_duration(int64_t ms, char out[48])
{
    size_t n = 0;
    if (ms <= 0) {
        snprintf(out, 48, "0s");
        return;
    }
    for (size_t i = 0; i < DURATIONS_N && ms > 0; i++) {
        bool exact_only = i < 2;
        int64_t count = ms / DURATIONS[i].ms;
        if (count == 0 || (exact_only && ms % DURATIONS[i].ms != 0))
            continue;
        n += (size_t)snprintf(out + n, 48 - n, "%lld%s", (long long)count, DURATIONS[i].name);
        ms -= count * DURATIONS[i].ms;
    }
}

void units_format_size(uint64_t bytes, char out[32])
{
    static const char *const NAMES[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double v = (double)bytes;
    size_t i = 0;
    while (v >= 1024 && i + 1 < sizeof NAMES / sizeof NAMES[0]) {
        v /= 1024;
        i++;
    }
    snprintf(out, 32, i ? "%.1f %s" : "%.0f %s", v, NAMES[i]);
}

bool units_parse_u64(struct str s, uint64_t *v)
{
    uint64_t total = 0;
    if (s.n == 0 || digits(s) != s.n)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (__builtin_mul_overflow(total, 10u, &total) ||
            __builtin_add_overflow(total, (uint64_t)(s.p[i] - '0'), &total))
            return false;
    }
    *v = total;
    return true;
}

bool units_parse_i64(struct str s, int64_t *v)
{
    uint64_t magnitude;
    bool negative = s.n && s.p[0] == '-';
    struct str number = str_skip(s, negative || (s.n && s.p[0] == '+') ? 1 : 0);
    if (!units_parse_u64(number, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *v = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool units_parse_bool(struct str s, bool *v)
{
    static const char *const YES[] = {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"};
    static const char *const NO[] = {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"};
    for (size_t i = 0; i < sizeof YES / sizeof YES[0]; i++) {
        if (str_eq_c(s, YES[i]) || str_eq_c(s, NO[i])) {
            *v = str_eq_c(s, YES[i]);
            return true;
        }
    }
    return false;
}
