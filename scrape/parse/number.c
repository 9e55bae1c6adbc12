/* SPDX-License-Identifier: Apache-2.0 */
/* number: decimal text to double, correctly rounded. Three ways, by falling frequency:

     1. mantissa below 2^53 and |exponent| <= 22: both are doubles without error, so one multiplication or
        division rounds once (Clinger 1990).
     2. up to 19 digits and |exponent| <= 27: exact in 128 bits, because 10^k = 5^k * 2^k and 5^27 < 2^63.

          exponent >= 0:  m * 5^k            (128 bits)    --+-- top 64 bits + "anything below?" -- to 53
          exponent <  0:  (m << 64-ish) / 5^k + remainder  --+

     3. the rest: strtod in the C locale, behind a check of the syntax, since strtod takes forms that Go does
        not. */
#include "exposition.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "private.h"

#define DIGITS_MAX 19
#define CLINGER_MAX 22
#define FIVES_MAX 27
#define LOCAL_MAX 128

__extension__ typedef unsigned __int128 u128;

static const double TENS[CLINGER_MAX + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                             1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                             1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static const uint64_t FIVES[FIVES_MAX + 1] = {
    1u, 5u, 25u, 125u, 625u, 3125u, 15625u, 78125u, 390625u, 1953125u, 9765625u, 48828125u,
    244140625u, 1220703125u, 6103515625u, 30517578125u, 152587890625u, 762939453125u,
    3814697265625u, 19073486328125u, 95367431640625u, 476837158203125u, 2384185791015625u,
    11920928955078125u, 59604644775390625u, 298023223876953125u, 1490116119384765625u,
    7450580596923828125u,
};

/* q * 2^exp2, rounded to nearest even; `below` says that the true value is a little larger than q. Normal
   range only, which the bounds of the caller guarantee. */
static double round_bits(uint64_t q, bool below, int exp2)
{
    int shift = __builtin_clzll(q);
    q <<= shift;
    uint64_t mantissa = q >> 11, rest = q & 0x7ff, half = 0x400;
    if (rest > half || (rest == half && (below || (mantissa & 1))))
        mantissa++;
    /* A carry out of the mantissa lands in the exponent, where it belongs. */
    uint64_t biased = (uint64_t)(exp2 - shift + 11 + 52 + 1023);
    uint64_t bits = (biased << 52) + (mantissa - (1ull << 52));
    double v;
    memcpy(&v, &bits, 8);
    return v;
}

static double scale_up(uint64_t m, int k)
{
    u128 product = (u128)m * FIVES[k];
    uint64_t high = (uint64_t)(product >> 64);
    if (high == 0)
        return round_bits((uint64_t)product, false, k);
    int shift = __builtin_clzll(high);
    product <<= shift;
    return round_bits((uint64_t)(product >> 64), (uint64_t)product != 0, k + 64 - shift);
}

static double scale_down(uint64_t m, int k)
{
    int shift_m = __builtin_clzll(m), shift_d = __builtin_clzll(FIVES[k]);
    uint64_t d = FIVES[k] << shift_d;
    u128 n = (u128)(m << shift_m) << 63; /* below d * 2^64, so the quotient fits in 64 bits */
    uint64_t q = (uint64_t)(n / d);
    return round_bits(q, (u128)q * d != n, shift_d - shift_m - 63 - k);
}

/* False when the pair is outside what can be done exactly here. */
static bool combine(uint64_t m, int exp10, double *v)
{
    if (m == 0) {
        *v = 0;
    } else if (m <= 1ull << 53 && exp10 >= -CLINGER_MAX && exp10 <= CLINGER_MAX) {
        *v = exp10 < 0 ? (double)m / TENS[-exp10] : (double)m * TENS[exp10];
    } else if (exp10 >= -FIVES_MAX && exp10 <= FIVES_MAX) {
        *v = exp10 < 0 ? scale_down(m, -exp10) : scale_up(m, exp10);
    } else {
        return false;
    }
    return true;
}

static inline unsigned digit(char c)
{
    return (unsigned)(unsigned char)c - '0';
}

const char *number_fast(const char *p, double *v)
{
    uint64_t m = 0;
    int exp10 = 0;
    bool negative = *p == '-';
    p += negative || *p == '+';
    const char *first = p;
    while (*p == '0')
        p++;
    const char *start = p;
    for (; digit(*p) < 10; p++)
        m = m * 10 + digit(*p);
    long digits = p - start;
    bool any = p != first;
    if (*p == '.') {
        const char *point = ++p;
        if (digits == 0)
            while (*p == '0')
                p++;
        start = p;
        for (; digit(*p) < 10; p++)
            m = m * 10 + digit(*p);
        digits += p - start;
        any = any || p != point;
        if (p - point > 4096)
            return NULL;
        exp10 = (int)(point - p);
    }
    if (!any || digits > DIGITS_MAX)
        return NULL;
    if (*p == 'e' || *p == 'E') {
        p++;
        bool minus = *p == '-';
        p += minus || *p == '+';
        int e = 0;
        const char *e_start = p;
        for (; digit(*p) < 10 && p - e_start < 5; p++)
            e = e * 10 + (int)digit(*p);
        if (p == e_start || p - e_start == 5)
            return NULL;
        exp10 += minus ? -e : e;
    }
    if (exp10 == 0 && m <= 1ull << 53)
        *v = (double)m;
    else if (!combine(m, exp10, v))
        return NULL;
    if (negative)
        *v = -*v;
    return p;
}

/* ---- everything else ---- */

static locale_t c_locale;
static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

static bool is_word(struct str s, const char *lower)
{
    size_t n = strlen(lower);
    if (s.n != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if ((s.p[i] | 0x20) != lower[i])
            return false;
    return true;
}

/* Inf and NaN in any case; only Inf may have a sign. */
static bool parse_special(struct str s, double *v)
{
    if (is_word(s, "nan")) {
        uint64_t bits = BLOCK_NAN_BITS;
        memcpy(v, &bits, 8);
        return true;
    }
    bool negative = s.n && s.p[0] == '-';
    if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
        s = str_skip(s, 1);
    if (!is_word(s, "inf") && !is_word(s, "infinity"))
        return false;
    *v = negative ? -(double)INFINITY : (double)INFINITY;
    return true;
}

static size_t skip_digits(struct str s, size_t i)
{
    while (i < s.n && digit(s.p[i]) < 10)
        i++;
    return i;
}

/* [+-] digits [. digits] [e [+-] digits], a digit on at least one side of the point. */
static bool is_decimal(struct str s)
{
    size_t i = s.n && (s.p[0] == '-' || s.p[0] == '+'), start = i;
    i = skip_digits(s, i);
    size_t digits = i - start;
    if (i < s.n && s.p[i] == '.') {
        start = i + 1;
        i = skip_digits(s, start);
        digits += i - start;
    }
    if (digits == 0)
        return false;
    if (i < s.n && (s.p[i] == 'e' || s.p[i] == 'E')) {
        i++;
        i += i < s.n && (s.p[i] == '-' || s.p[i] == '+');
        start = i;
        i = skip_digits(s, i);
        if (i == start)
            return false;
    }
    return i == s.n;
}

bool exposition_parse_value(struct str text, double *v)
{
    char local[LOCAL_MAX], *copy = local;
    if (!is_decimal(text))
        return parse_special(text, v);
    if (text.n >= sizeof local)
        copy = xmalloc(text.n + 1);
    memcpy(copy, text.p, text.n);
    copy[text.n] = '\0';
    if (!number_fast(copy, v)) {
        pthread_once(&c_locale_once, make_c_locale);
        *v = strtod_l(copy, NULL, c_locale);
    }
    if (copy != local)
        free(copy);
    return !isinf(*v); /* Go calls this "value out of range"; too small is just 0 */
}

void number_why(struct str text, struct flaw *flaw, size_t at)
{
    int shown = text.n < 80 ? (int)text.n : 80;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == 'p' || text.p[i] == 'P' || text.p[i] == '_') {
            flaw_set(flaw, at, "unsupported character in float");
            return;
        }
    }
    flaw_set(flaw, at, "strconv.ParseFloat: parsing \"%.*s\": %s", shown, text.p,
             is_decimal(text) ? "value out of range" : "invalid syntax");
}
