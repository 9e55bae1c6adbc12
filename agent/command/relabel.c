/* SPDX-License-Identifier: Apache-2.0 */
/* relabel: tries relabel rules on series given as arguments or on stdin, and explains each step on request. */
#include "command.h"

#include "base/arena.h"
#include "base/buf.h"
#include "config.h"
#include "flags.h"
#include "relabel.h"
#include "steps.h"

#include <stdio.h>
#include <stdlib.h>

#define ERRORS_MAX (256 * 1024)
#define TEXT_MAX (16 * 1024 * 1024)

struct relabel_command {
    const char *job;
    bool target;
    bool explain;
    struct relabel_rules *rules;
    struct arena arena; /* of the present series */
    bool failed;
};

static void print(struct buf *out)
{
    fwrite(out->p, 1, out->n, stdout);
    buf_free(out);
}

static void run_one(struct relabel_command *c, struct str text)
{
    struct err err = {0};
    struct labels l;
    bool kept;
    arena_reset(&c->arena);
    labels_init(&l, &c->arena);
    if (!labels_parse(&l, text, &err)) {
        fflush(stdout);
        fprintf(stderr, "%.*s: %s\n", STR_ARG(text), err.msg);
        c->failed = true;
        labels_free(&l);
        return;
    }
    struct buf out;
    buf_init(&out, TEXT_MAX);
    labels_drop_empty(&l);
    if (c->explain) {
        struct steps steps = {.out = &out, .indent = "  "};
        steps_labels(&out, &l);
        buf_add_char(&out, '\n');
        kept = relabel_apply_traced(c->rules, &l, steps_rule, &steps);
        buf_add_c(&out, "  = ");
    } else {
        kept = relabel_apply(c->rules, &l);
    }
    if (kept && l.n)
        steps_labels(&out, &l);
    buf_add_c(&out, kept && l.n ? "\n" : "(dropped)\n");
    print(&out);
    labels_free(&l);
}

static void run_stdin(struct relabel_command *c)
{
    char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) >= 0;) {
        struct str text = str_trim(str_make(line, (size_t)n));
        if (text.n)
            run_one(c, text);
    }
    free(line);
}

static bool load_rules(struct relabel_command *c, const char *path)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    c->rules = config_relabel_rules_from_file(path, c->job, c->target, &errors);
    fputs(buf_c(&errors), stderr);
    buf_free(&errors);
    return c->rules != NULL;
}

int command_relabel(int argc, char **argv)
{
    struct relabel_command c = {0};
    const struct flag flags[] = {
        {"job", FLAG_STRING, &c.job, "NAME", "take the rules of this job of a configuration"},
        {"target", FLAG_BOOL, &c.target, NULL, "relabel_configs, also where there are metric_relabel_configs"},
        {"explain", FLAG_BOOL, &c.explain, NULL, "print each rule, its line and what it did"},
    };
    const struct flag_command command = {
        .synopsis = "obsagent relabel RULES.yml [SERIES...] [flags]",
        .text = "Applies relabel rules to each SERIES, written as name{a=\"b\"}, or to each line of\n"
                "stdin, and prints the result with its labels sorted, or (dropped). No labels are added.\n"
                "RULES.yml is a list of rules, or a document with metric_relabel_configs, or with\n"
                "--target relabel_configs, or a whole configuration of which --job names the job.\n"
                "Exit code 1 when the rules or a series are bad; the other series are still done.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
    if (outcome == FLAGS_HELP)
        return 0;
    if (outcome == FLAGS_USAGE || positional < 1) {
        if (outcome == FLAGS_OK)
            fprintf(stderr, "relabel needs a file of rules (obsagent relabel --help)\n");
        return 2;
    }
    if (!load_rules(&c, argv[1]))
        return 1;
    arena_init(&c.arena);
    for (int i = 2; i <= positional; i++)
        run_one(&c, str_of(argv[i]));
    if (positional == 1)
        run_stdin(&c);
    arena_free(&c.arena);
    relabel_free(c.rules);
    return c.failed ? 1 : 0;
}
