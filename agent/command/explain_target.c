/* SPDX-License-Identifier: Apache-2.0 */
/* explain_target: relabel_configs on one target. */
#include "explain.h"

#include "steps.h"

static void target_final(const struct target *t, struct labels *out)
{
    for (size_t i = 0; i < t->labels_n; i++)
        labels_push(out, t->labels[i].name, t->labels[i].value);
}

/* Both sets of labels, `before` as discovery has it and the job adds to it; the steps are told on the way. */
static void walk(const struct config_job *job, const struct target *t, struct arena *arena, struct steps *steps,
                 struct labels *before, struct labels *final)
{
    struct labels work;
    arena_init(arena);
    labels_init(before, arena);
    labels_init(final, arena);
    labels_init(&work, arena);
    target_discovered(t, before);
    labels_copy(&work, before);
    bool kept = relabel_apply_traced(job->relabel, &work, steps_rule, steps);
    if (kept)
        target_final(t, final);
    labels_free(&work);
}

static void end(struct arena *arena, struct labels *before, struct labels *final)
{
    labels_free(before);
    labels_free(final);
    arena_free(arena);
}

void explain_target_text(const struct config_job *job, const struct target *t, struct buf *out)
{
    struct arena arena;
    struct labels before, final;
    struct buf told;
    buf_init(&told, out->max);
    struct steps steps = {.out = &told, .indent = "  "};
    walk(job, t, &arena, &steps, &before, &final);
    buf_add_c(out, "relabel_configs on the target:\n  ");
    steps_labels(out, &before);
    buf_add_char(out, '\n');
    buf_add_str(out, buf_str(&told));
    buf_add_c(out, "  = ");
    if (steps.dropped) {
        buf_add_c(out, "dropped by ");
        steps_rule_name(out, steps.dropped_by, steps.dropped_line);
    } else {
        steps_labels(out, &final);
    }
    buf_add_char(out, '\n');
    buf_free(&told);
    end(&arena, &before, &final);
}

void explain_target_json(const struct config_job *job, const struct target *t, struct buf *out)
{
    struct arena arena;
    struct labels before, final;
    struct buf told;
    buf_init(&told, out->max);
    struct steps steps = {.out = &told, .json = true};
    walk(job, t, &arena, &steps, &before, &final);
    buf_add_c(out, "{\"discovered\":");
    steps_labels_json(out, &before);
    buf_add_c(out, ",\"steps\":[");
    buf_add(out, told.p, told.n ? told.n - 1 : 0);
    buf_addf(out, "],\"kept\":%s,\"labels\":", steps.dropped ? "false" : "true");
    steps_labels_json(out, &final);
    buf_add_char(out, '}');
    buf_free(&told);
    end(&arena, &before, &final);
}
