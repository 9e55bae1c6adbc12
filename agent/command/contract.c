/* SPDX-License-Identifier: Apache-2.0 */
/* contract: what changed against a saved scrape, and between two. */
#include "contract.h"

#include "base/alloc.h"
#include "base/file.h"
#include "contract_set.h"

#include <inttypes.h>
#include <stdlib.h>

#define SAVE_MAX ((size_t)256 << 20)

/* Changes against something, in words and as JSON, made while both sets are there. */
struct changes {
    uint64_t n;
    struct buf text, json;
};

struct contract {
    const char *expect, *save;
    size_t keep;
    bool twice;
    struct survey_watcher now_watcher;
    struct contract_set expected, before, now;
    struct changes against, between;
    struct err failure;
};

static const char *const KINDS[] = {
    [CONTRACT_FAMILY_GONE] = "family_gone", [CONTRACT_FAMILY_NEW] = "family_new",
    [CONTRACT_TYPE_CHANGED] = "type_changed", [CONTRACT_LABEL_GONE] = "label_gone",
    [CONTRACT_LABEL_NEW] = "label_new",
};

/* ---- changes ---- */

struct telling {
    struct changes *to;
    size_t keep;
};

static void text_change(const struct contract_change *c, struct buf *out)
{
    bool label = c->kind == CONTRACT_LABEL_GONE || c->kind == CONTRACT_LABEL_NEW;
    bool gone = c->kind == CONTRACT_FAMILY_GONE || c->kind == CONTRACT_LABEL_GONE;
    buf_add_c(out, "  ");
    paint_plain(out, str_of(c->family));
    if (label) {
        buf_add_c(out, ": label ");
        paint_plain(out, str_of(c->label));
    }
    if (c->kind == CONTRACT_TYPE_CHANGED)
        buf_addf(out, ": type %s, was %s\n", contract_type_name(c->now), contract_type_name(c->was));
    else if (label)
        buf_addf(out, " is %s\n", gone ? "gone" : "new");
    else
        buf_addf(out, " (%s) is %s\n", contract_type_name(gone ? c->was : c->now), gone ? "gone" : "new");
}

static void json_type(struct buf *out, const char *key, bool known, enum block_metric_type type)
{
    buf_addf(out, known ? ",\"%s\":\"%s\"" : ",\"%s\":null", key, contract_type_name(type));
}

static void json_change(const struct contract_change *c, struct buf *out)
{
    buf_addf(out, "%s{\"kind\":\"%s\",\"family\":", out->n ? "," : "", KINDS[c->kind]);
    buf_add_json(out, str_of(c->family));
    buf_add_c(out, ",\"label\":");
    if (c->label)
        buf_add_json(out, str_of(c->label));
    else
        buf_add_c(out, "null");
    json_type(out, "was", c->kind != CONTRACT_FAMILY_NEW, c->was);
    json_type(out, "now", c->kind != CONTRACT_FAMILY_GONE, c->now);
    buf_add_char(out, '}');
}

static void tell(void *ctx, const struct contract_change *change)
{
    struct telling *t = ctx;
    if (t->to->n++ >= t->keep)
        return;
    text_change(change, &t->to->text);
    json_change(change, &t->to->json);
}

static void compare(const struct contract *c, const struct contract_set *was, struct changes *to)
{
    struct telling t = {to, c->keep};
    to->n = 0;
    buf_clear(&to->text);
    buf_clear(&to->json);
    contract_set_compare(was, &c->now, tell, &t);
    if (to->n > c->keep)
        buf_addf(&to->text, "  and %" PRIu64 " more\n", to->n - c->keep);
}

/* ---- a scrape ---- */

static void on_begin(void *ctx, enum exposition_format format)
{
    struct contract *c = ctx;
    if (c->twice) { /* the last one becomes the one before */
        contract_set_free(&c->before);
        c->before = c->now;
        c->now = (struct contract_set){0};
    }
    c->now_watcher.begin(&c->now, format);
}

static void on_sample(void *ctx, const struct survey_sample *sample)
{
    struct contract *c = ctx;
    c->now_watcher.sample(&c->now, sample);
}

static void on_end(void *ctx, const struct survey_counts *counts)
{
    struct contract *c = ctx;
    c->now_watcher.end(&c->now, counts);
}

static void save(struct contract *c)
{
    struct buf text;
    buf_init(&text, SAVE_MAX);
    contract_set_write(&c->now, &text);
    if (text.overflow)
        err_set(&c->failure, "%s: there is too much to save", c->save);
    else if (!file_write_atomic(c->save, buf_str(&text), &c->failure))
        err_prefix(&c->failure, "not saved");
    buf_free(&text);
}

/* Half a body is no contract: it is neither saved nor compared. */
static void on_done(void *ctx, const struct scrape_done *done)
{
    struct contract *c = ctx;
    bool whole = !err_is(&done->probe->error) && done->counts->errors == 0;
    bool last = !c->twice || done->round == 1;
    if (err_is(&c->failure) || (!last && whole))
        return;
    if (!whole) {
        err_set(&c->failure, "not %s: the scrape failed or has errors", c->save ? "saved" : "compared");
        return;
    }
    if (c->expect)
        compare(c, &c->expected, &c->against);
    if (c->twice)
        compare(c, &c->before, &c->between);
    if (c->save)
        save(c);
}

/* ---- the report ---- */

static const char *plural(uint64_t n)
{
    return n == 1 ? "" : "s";
}

static void say_text(void *ctx, const struct paint *paint, struct buf *out)
{
    const struct contract *c = ctx;
    if (err_is(&c->failure)) {
        paint_add(paint, out, PAINT_RED, "contract");
        buf_add_c(out, ": ");
        paint_plain(out, str_of(c->failure.msg));
        buf_add_char(out, '\n');
        return;
    }
    if (c->expect && c->against.n == 0)
        buf_addf(out, "contract: as in %s\n", c->expect);
    if (c->against.n) {
        paint_add(paint, out, PAINT_RED, "contract");
        buf_addf(out, ": %" PRIu64 " difference%s from %s\n", c->against.n, plural(c->against.n), c->expect);
        buf_add_str(out, buf_str(&c->against.text));
    }
    if (c->between.n) {
        buf_addf(out, "between the scrapes: %" PRIu64 " change%s\n", c->between.n, plural(c->between.n));
        buf_add_str(out, buf_str(&c->between.text));
    }
    if (c->now.cut)
        buf_add_c(out, "contract: families and labels after the first 131072, and 256 of one, are left out\n");
    if (c->save)
        buf_addf(out, "saved: %zu families in %s\n", c->now.n, c->save);
}

static void json_changes(const char *key, const struct changes *changes, struct buf *out)
{
    buf_addf(out, ",\"%s\":%" PRIu64 ",\"first_%s\":[", key, changes->n, key);
    buf_add_str(out, buf_str(&changes->json));
    buf_add_char(out, ']');
}

static void say_json(void *ctx, struct buf *out)
{
    const struct contract *c = ctx;
    buf_add_c(out, "\"contract\":{\"error\":");
    buf_add_json(out, str_of(c->failure.msg));
    buf_addf(out, ",\"complete\":%s", c->now.cut ? "false" : "true");
    json_changes("differences", &c->against, out);
    json_changes("changes", &c->between, out);
    buf_add_c(out, "},");
}

static void say_junit(void *ctx, void (*add)(void *to, const char *name, const char *failure), void *to)
{
    struct contract *c = ctx;
    if (c->expect || c->save)
        add(to, "contract", err_is(&c->failure) ? c->failure.msg : c->against.n ? buf_c(&c->against.text) : NULL);
}

static size_t count_differences(void *ctx)
{
    const struct contract *c = ctx;
    return (size_t)c->against.n;
}

static bool has_failed(void *ctx)
{
    const struct contract *c = ctx;
    return err_is(&c->failure) && (c->expect || c->save);
}

static void free_contract(void *ctx)
{
    struct contract *c = ctx;
    contract_set_free(&c->expected);
    contract_set_free(&c->before);
    contract_set_free(&c->now);
    buf_free(&c->against.text);
    buf_free(&c->against.json);
    buf_free(&c->between.text);
    buf_free(&c->between.json);
    free(c);
}

static void init_changes(struct changes *changes)
{
    buf_init(&changes->text, SAVE_MAX);
    buf_init(&changes->json, SAVE_MAX);
}

bool contract_make(const struct scrape_flags *flags, const struct scrape_subject *subject, struct analysis *out)
{
    (void)subject;
    if (!flags->expect && !flags->save && !flags->twice_ms)
        return false;
    struct contract *c = xcalloc(1, sizeof *c);
    c->expect = flags->expect;
    c->save = flags->save;
    c->keep = (size_t)flags->max_errors;
    c->twice = flags->twice_ms > 0;
    c->now_watcher = contract_set_watcher(&c->now);
    init_changes(&c->against);
    init_changes(&c->between);
    if (c->expect && !contract_set_read(c->expect, &c->expected, &c->failure))
        err_prefix(&c->failure, "--expect");
    *out = (struct analysis){
        .watcher = {on_begin, on_sample, NULL, on_end, c},
        .done = on_done,
        .text = say_text,
        .json = say_json,
        .junit = say_junit,
        .findings = count_differences,
        .failed = has_failed,
        .free = free_contract,
    };
    return true;
}
