/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_survey: any bytes as a body for the scrape tester, which reads on behind errors. The first byte chooses the
   format, the second the size of the pieces. One piece or many must give the same report, and there are errors in it
   just when the agent's own scrape of the body fails; but for quoted strings that go on in the next line, which the
   agent follows. */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/command/survey.h"
#include "base/buf.h"
#include "scrape/append.h"

#define REQUIRE(c) ((c) ? (void)0 : abort())

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void tell(const struct survey_counts *c, struct buf *out)
{
    buf_addf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", c->samples, c->series, c->errors, c->duplicates);
    for (size_t i = 0; i < c->first_errors_n; i++) {
        const struct survey_error *e = &c->first_errors[i];
        REQUIRE(e->caret <= strlen(e->text) + 1);
        buf_addf(out, "%" PRIu64 ":%" PRIu64 " %s %s %zu\n", e->line, e->column, e->why, e->text, e->caret);
    }
}

static uint64_t survey(enum exposition_format format, const uint8_t *data, size_t n, size_t piece, struct buf *out)
{
    struct survey *s = survey_new(50);
    struct survey_counts c;
    buf_init(out, 1 << 20);
    survey_check_names(s, true);
    survey_begin(s, format);
    for (size_t at = 0; at < n; at += piece)
        survey_feed(s, data + at, n - at < piece ? n - at : piece);
    survey_finish(s);
    survey_counts(s, &c);
    REQUIRE(c.series + c.duplicates == c.samples);
    tell(&c, out);
    survey_free(s);
    return c.errors;
}

static void drop(void *ctx, struct block *b)
{
    (void)ctx;
    block_unref(b);
}

/* Whether the agent takes the body, and why not. */
static bool scrape(enum exposition_format format, const uint8_t *data, size_t n, struct err *why)
{
    static struct relabel_rules *none;
    char job_name[] = "fuzz";
    size_t bad;
    enum relabel_field field;
    if (!none)
        none = relabel_compile(NULL, 0, why, &bad, &field);
    struct config_job job = {.job_name = job_name, .honor_timestamps = true, .metric_relabel = none};
    struct target_settings settings = {.native_histograms = true, .classic_histograms_too = true};
    struct append_worker *w = append_worker_new(&(struct append_worker_options){.emit = drop});
    struct labels l;
    labels_init(&l, NULL);
    struct append_target *t = append_target_new(w, &job, &l, &settings);
    struct append_scrape *s = append_begin(t, 1, format);
    struct append_result result;
    bool ok = append_feed(s, data, n, why);
    append_end(s, &(struct append_outcome){.ok = ok}, &result, why);
    append_target_free(t);
    append_worker_free(w);
    labels_free(&l);
    return result.up;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct buf whole, parts;
    struct err why = {0};
    if (n < 2)
        return 0;
    enum exposition_format format = (enum exposition_format)(data[0] % 3);
    size_t piece = data[1] % 64 + 1u;
    data += 2;
    n -= 2;
    uint64_t errors = survey(format, data, n, n + 1, &whole);
    survey(format, data, n, piece, &parts);
    bool same = str_eq(buf_str(&whole), buf_str(&parts));
    if (!same)
        fprintf(stderr, "whole: %s\nparts: %s\n", buf_c(&whole), buf_c(&parts));
    REQUIRE(same);
    bool up = scrape(format, data, n, &why);
    bool quotes = errors && strstr(buf_c(&whole), "quoted string without end");
    if (up == (errors > 0) && !quotes)
        fprintf(stderr, "%" PRIu64 " errors, but the scrape: %s\n%s", errors, up ? "good" : why.msg, buf_c(&whole));
    REQUIRE(up == (errors == 0) || (up && quotes));
    buf_free(&whole);
    buf_free(&parts);
    return 0;
}
