/* SPDX-License-Identifier: Apache-2.0 */
/* explain_rules: what each rule did, counted. */
#include "explain.h"

#include "base/alloc.h"
#include "steps.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RULE_MAX ((size_t)1 << 20)

void explain_tally_init(struct explain_tally *t, const struct relabel_rules *rules)
{
    size_t n = relabel_count(rules);
    *t = (struct explain_tally){.rules = rules};
    t->changed = xcalloc(n + 1, sizeof *t->changed);
    t->dropped = xcalloc(n + 1, sizeof *t->dropped);
}

void explain_tally_free(struct explain_tally *t)
{
    free(t->changed);
    free(t->dropped);
}

void explain_tally_clear(struct explain_tally *t)
{
    size_t n = relabel_count(t->rules);
    memset(t->changed, 0, n * sizeof *t->changed);
    memset(t->dropped, 0, n * sizeof *t->dropped);
}

void explain_tally_add(struct explain_tally *t, size_t index, bool changed, bool kept)
{
    t->changed[index] += kept && changed;
    t->dropped[index] += !kept;
}

static void add_effect(const struct explain_tally *t, size_t i, struct buf *out)
{
    if (t->dropped[i])
        buf_addf(out, "dropped %" PRIu64, t->dropped[i]);
    if (t->changed[i])
        buf_addf(out, "%schanged %" PRIu64, t->dropped[i] ? ", " : "", t->changed[i]);
    if (!t->dropped[i] && !t->changed[i])
        buf_add_c(out, "no effect");
}

void explain_tally_text(const struct explain_tally *t, const char *list, struct buf *out)
{
    struct buf rule;
    buf_init(&rule, RULE_MAX);
    for (size_t i = 0; i < relabel_count(t->rules); i++) {
        buf_clear(&rule);
        int line = relabel_describe(t->rules, i, &rule);
        buf_addf(out, "  %s ", list);
        steps_rule_name(out, i, line);
        buf_add_c(out, ": ");
        add_effect(t, i, out);
        buf_addf(out, ": %s\n", buf_c(&rule));
    }
    buf_free(&rule);
}

void explain_tally_json(const struct explain_tally *t, const char *list, const char *endpoint, struct buf *out)
{
    struct buf rule;
    buf_init(&rule, RULE_MAX);
    for (size_t i = 0; i < relabel_count(t->rules); i++) {
        buf_clear(&rule);
        int line = relabel_describe(t->rules, i, &rule);
        buf_addf(out, "{\"list\":\"%s\",", list);
        if (endpoint) {
            buf_add_c(out, "\"endpoint\":");
            buf_add_json(out, str_of(endpoint));
            buf_add_char(out, ',');
        }
        buf_addf(out, "\"rule\":%zu,\"line\":%d,\"text\":", i + 1, line);
        buf_add_json(out, buf_str(&rule));
        buf_addf(out, ",\"changed\":%" PRIu64 ",\"dropped\":%" PRIu64 "},", t->changed[i], t->dropped[i]);
    }
    buf_free(&rule);
}
