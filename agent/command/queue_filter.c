/* SPDX-License-Identifier: Apache-2.0 */
/* queue_filter: which samples of a buffer are asked for. */
#include "queue_filter.h"

#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/units.h"
#include "relabel.h"

static bool parse_rfc3339(const char *text, int64_t *ms)
{
    struct tm tm = {0};
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    if (!end)
        return false;
    int64_t fraction = 0;
    if (*end == '.') {
        int64_t unit = 100;
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10)
            fraction += (*end - '0') * unit;
    }
    if (strcmp(end, "Z") != 0)
        return false;
    *ms = (int64_t)timegm(&tm) * 1000 + fraction;
    return true;
}

static bool parse_time(const char *flag, const char *text, int64_t *ms, struct err *err)
{
    struct err ignored = {0};
    int64_t number;
    if (text[0] == '-' && units_parse_duration(str_of(text + 1), &number, &ignored))
        *ms = clock_wall_ms() - number;
    else if (units_parse_i64(str_of(text), &number))
        *ms = number * 1000;
    else if (!parse_rfc3339(text, ms))
        return err_set(err, "--%s: \"%s\" is not a time: 2026-01-31T12:00:00Z, 1769860800 or -90m", flag, text);
    return true;
}

static bool compile(struct queue_filter *f, struct err *err)
{
    struct str *ifs = xcalloc(f->match.n, sizeof *ifs);
    for (size_t i = 0; i < f->match.n; i++)
        ifs[i] = str_of(f->match.v[i]);
    const struct relabel_source keep = {.given = RELABEL_ACTION | RELABEL_IF, .action = STR("keep"),
                                        .separator = STR(";"), .regex = STR("(.*)"), .replacement = STR("$1"),
                                        .ifs = ifs, .ifs_n = f->match.n};
    struct err why = {0};
    size_t bad;
    enum relabel_field field;
    f->rules = relabel_compile(&keep, 1, &why, &bad, &field);
    free(ifs);
    return f->rules != NULL || err_set(err, "--match: %s", why.msg);
}

bool queue_filter_prepare(struct queue_filter *f, struct err *err)
{
    f->from_ms = INT64_MIN;
    f->to_ms = INT64_MAX;
    return (!f->from || parse_time("from", f->from, &f->from_ms, err)) &&
           (!f->to || parse_time("to", f->to, &f->to_ms, err)) && (f->match.n == 0 || compile(f, err));
}

void queue_filter_free(struct queue_filter *f)
{
    relabel_free(f->rules);
    f->rules = NULL;
}

bool queue_filter_is_open(const struct queue_filter *f)
{
    return !f->rules && !f->from && !f->to;
}

bool queue_filter_skips(const struct queue_filter *f, const struct block *b)
{
    return b->max_ts_ms < f->from_ms || b->min_ts_ms > f->to_ms;
}

bool queue_filter_passes(const struct queue_filter *f, struct labels *l, int64_t ts_ms)
{
    if (ts_ms < f->from_ms || ts_ms > f->to_ms)
        return false;
    return !f->rules || relabel_apply(f->rules, l);
}
