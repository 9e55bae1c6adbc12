/* SPDX-License-Identifier: Apache-2.0 */
/* steps: one line for the rule, one for what it did. */
#include "steps.h"

static void sort_copy(const struct labels *l, struct labels *sorted)
{
    labels_init(sorted, l->arena);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].value.n)
            labels_push(sorted, l->v[i].name, l->v[i].value);
    }
    labels_sort(sorted);
}

void steps_labels(struct buf *out, const struct labels *l)
{
    struct labels sorted;
    sort_copy(l, &sorted);
    labels_format(&sorted, out);
    labels_free(&sorted);
}

void steps_labels_json(struct buf *out, const struct labels *l)
{
    struct labels sorted;
    sort_copy(l, &sorted);
    buf_add_char(out, '{');
    for (size_t i = 0; i < sorted.n; i++) {
        buf_add_c(out, i ? "," : "");
        buf_add_json(out, sorted.v[i].name);
        buf_add_char(out, ':');
        buf_add_json(out, sorted.v[i].value);
    }
    buf_add_char(out, '}');
    labels_free(&sorted);
}

void steps_rule_name(struct buf *out, size_t index, int line)
{
    buf_addf(out, "rule %zu", index + 1);
    if (line > 0)
        buf_addf(out, " (line %d)", line);
}

static void tell_json(struct steps *s, size_t index, int line, struct str text, const struct labels *after,
                      bool changed, bool kept)
{
    buf_addf(s->out, "{\"rule\":%zu,\"line\":%d,\"text\":", index + 1, line);
    buf_add_json(s->out, text);
    buf_addf(s->out, ",\"changed\":%s,\"kept\":%s,\"labels\":", changed ? "true" : "false", kept ? "true" : "false");
    steps_labels_json(s->out, after);
    buf_add_c(s->out, "},");
}

void steps_rule(void *ctx, size_t index, int line, struct str text, const struct labels *after, bool changed,
                bool kept)
{
    struct steps *s = ctx;
    if (!kept) {
        s->dropped = true;
        s->dropped_by = index;
        s->dropped_line = line;
    }
    if (!s->out || (kept && !changed && s->effects_only))
        return;
    if (s->json) {
        tell_json(s, index, line, text, after, changed, kept);
        return;
    }
    buf_add_c(s->out, s->indent);
    steps_rule_name(s->out, index, line);
    buf_addf(s->out, ": %.*s\n%s  -> ", STR_ARG(text), s->indent);
    if (!kept)
        buf_add_c(s->out, "dropped here");
    else if (!changed)
        buf_add_c(s->out, "unchanged");
    else
        steps_labels(s->out, after);
    buf_add_char(s->out, '\n');
}
