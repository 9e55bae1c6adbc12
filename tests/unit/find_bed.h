/* SPDX-License-Identifier: Apache-2.0 */
/* find_bed: bodies in, findings out, one a line: "RULE LINE[/OTHER] SUBJECT: WHY", in order of the rules. */
#ifndef OBSAGENT_TESTS_FIND_BED_H
#define OBSAGENT_TESTS_FIND_BED_H

#include "unit.h"

#include "agent/command/find.h"

#include <jansson.h>

struct find_bed {
    struct scrape_flags flags;
    struct scrape_subject subject;
    struct config_job job;
    struct analysis find;
    unsigned round;
};

static void bed_open(struct find_bed *b, uint64_t ignored)
{
    *b = (struct find_bed){.flags = {.max_errors = 3, .ignored = ignored, .twice_ms = 1}};
    b->job.honor_timestamps = true;
    b->subject = (struct scrape_subject){.name = "test", .job = &b->job};
    assert_true(find_make(&b->flags, &b->subject, &b->find));
}

/* One scrape of the next round. */
static void bed_scrape(struct find_bed *b, enum exposition_format format, const void *body, size_t n,
                       struct scrape_done done)
{
    struct survey *s = survey_new(20);
    struct survey_counts counts;
    struct probe_result none = {0};
    survey_watch(s, &b->find.watcher);
    survey_begin(s, format);
    survey_feed(s, body, n);
    survey_finish(s);
    survey_counts(s, &counts);
    done.counts = &counts;
    done.subject = &b->subject;
    done.round = b->round++;
    done.probe = done.probe ? done.probe : &none;
    b->find.done(b->find.watcher.ctx, &done);
    survey_free(s);
}

static void bed_line(const char *rule, json_t *finding, struct buf *out)
{
    long long line = json_integer_value(json_object_get(finding, "line"));
    long long other = json_integer_value(json_object_get(finding, "other_line"));
    buf_addf(out, other ? "%s %lld/%lld" : "%s %lld", rule, line, other);
    buf_addf(out, " %s: %s\n", json_string_value(json_object_get(finding, "subject")),
             json_string_value(json_object_get(finding, "why")));
}

/* What its JSON says, as lines; the caller frees. */
static char *bed_findings(struct find_bed *b)
{
    struct buf json, out;
    size_t i, k;
    json_t *rule, *finding;
    buf_init(&json, 1 << 20);
    buf_init(&out, 1 << 20);
    buf_add_c(&json, "{");
    b->find.json(b->find.watcher.ctx, &json);
    buf_add_c(&json, "\"end\":0}");
    json_t *all = json_loads(buf_c(&json), 0, NULL);
    assert_non_null(all);
    json_t *findings = json_object_get(all, "findings");
    json_array_foreach(json_object_get(findings, "rules"), i, rule) {
        const char *name = json_string_value(json_object_get(rule, "rule"));
        size_t shown = json_array_size(json_object_get(rule, "first"));
        size_t count = (size_t)json_integer_value(json_object_get(rule, "count"));
        json_array_foreach(json_object_get(rule, "first"), k, finding)
            bed_line(name, finding, &out);
        if (count > shown)
            buf_addf(&out, "%s and %zu more\n", name, count - shown);
    }
    json_array_foreach(json_object_get(findings, "not_looked_at"), i, rule)
        buf_addf(&out, "not looked at: %s\n", json_string_value(rule));
    buf_add_c(&out, "");
    json_decref(all);
    buf_free(&json);
    char *text = strdup(buf_c(&out));
    buf_free(&out);
    return text;
}

static void bed_close(struct find_bed *b)
{
    b->find.free(b->find.watcher.ctx);
}

#endif
