/* SPDX-License-Identifier: Apache-2.0 */
/* manual: obsagent.1. Commands describe their flags and the configuration its fields; written here is only what has
   no table. */
#include "manual.h"

#include "command.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "config_help.h"
#include "flags_help.h"

#include <stdio.h>
#include <stdlib.h>

#define PAGE_MAX ((size_t)4 << 20)

struct item {
    const char *what;
    const char *text;
};

static const char DESCRIPTION[] =
    "obsagent scrapes Prometheus targets, rewrites what it finds by relabel rules, and forwards it by remote write. "
    "While a receiver is away samples wait in RAM, then in a bounded buffer on disk, and go out in order afterwards. "
    "Configuration is Prometheus's YAML, and vmagent's flags are understood. Flags are written with one dash or two, "
    "their values behind an equals sign or as the next word.";

static const struct item FILES[] = {
    {"./obsagent-data",
     "The disk buffer, unless --storage.path says otherwise: segments of blocks that wait, what each endpoint has "
     "delivered, what receivers refused. No samples are written there while all endpoints keep up."},
    {"obsagent.yml",
     "Whatever --config.file names, and the files named in it. Paths are relative to the file they stand in. Files of "
     "credentials are read again when they change."},
};

static const struct item EXITS[] = {
    {"0", "Good."},
    {"1", "Failed: the target, the configuration, a test; the reason is on standard error or in the report."},
    {"2", "Wrong usage."},
    {"3", "obsagent scrape: there were findings."},
};

static const struct item SIGNALS[] = {
    {"SIGTERM, SIGINT", "obsagent run: scrapes no more, sends for up to --shutdown.timeout, writes the rest to disk, "
                        "ends."},
    {"SIGHUP", "obsagent run: reads the configuration again. A bad one changes nothing and is logged."},
};

static const struct item EXAMPLES[] = {
    {"Scrape and forward", "obsagent run --config.file=obsagent.yml --storage.path=/var/lib/obsagent"},
    {"Is a configuration good?", "obsagent check obsagent.yml"},
    {"What does an exporter give, and is it well-formed?", "obsagent scrape --lint=all http://localhost:9100/metrics"},
    {"What do the rules of a job do to a series?",
     "obsagent relabel obsagent.yml --job=node --explain 'up{instance=\"a:9100\"}'"},
    {"Test the rules in CI", "obsagent test --junit tests/*.yml"},
    {"What waits on disk, and for whom?", "obsagent queue ls /var/lib/obsagent"},
    {"Completion for bash", "obsagent help completion bash > /usr/share/bash-completion/completions/obsagent"},
};

void manual_commands(const char *format)
{
    size_t n;
    const struct command *commands = command_list(&n);
    for (size_t i = 0; i < n; i++) {
        char *name = xstrdup(commands[i].name), *flag = xasprintf("--help=%s", format);
        char *argv[] = {name, flag, NULL};
        (void)commands[i].fn(2, argv);
        free(name);
        free(flag);
    }
}

static void add_items(struct buf *out, const char *title, const struct item *items, size_t n)
{
    buf_addf(out, ".SH \"%s\"\n", title);
    for (size_t i = 0; i < n; i++) {
        buf_add_c(out, ".TP\n.B ");
        flags_man_text(out, str_of(items[i].what));
        buf_add_char(out, '\n');
        flags_man_text(out, str_of(items[i].text));
        buf_add_char(out, '\n');
    }
}

static void add_examples(struct buf *out)
{
    buf_add_c(out, ".SH EXAMPLES\n");
    for (size_t i = 0; i < sizeof EXAMPLES / sizeof EXAMPLES[0]; i++) {
        buf_add_c(out, i ? ".PP\n" : "");
        flags_man_text(out, str_of(EXAMPLES[i].what));
        buf_add_c(out, "\n.PP\n.EX\n");
        flags_man_text(out, str_of(EXAMPLES[i].text));
        buf_add_c(out, "\n.EE\n");
    }
}

/* A line may break behind each bar: lists are longer than a line. */
static void add_words(struct buf *out, struct str words)
{
    while (words.n) {
        struct str word = str_make(words.p, str_find_char(words, '|'));
        words = str_skip(words, word.n + 1);
        flags_man_text(out, word);
        buf_add_c(out, words.n ? "|\\:" : "");
    }
}

static void add_field(struct buf *out, const struct config_help_line *line)
{
    buf_add_c(out, ".TP\n\\fB");
    flags_man_text(out, str_of(line->name));
    buf_add_c(out, "\\fR");
    if (line->type[0])
        buf_addf(out, " \\fI%s\\fR", line->type);
    if (line->standard) {
        buf_add_c(out, " (");
        flags_man_text(out, str_of(line->standard));
        buf_add_char(out, ')');
    }
    buf_add_char(out, '\n');
    flags_man_text(out, str_of(line->help));
    if (line->words) {
        buf_add_c(out, ": ");
        add_words(out, str_of(line->words));
    }
    if (line->see)
        buf_addf(out, "; see %s", line->see);
    if (line->no_effect)
        buf_add_c(out, "; checked, without effect");
    buf_add_char(out, '\n');
}

static void add_line(void *ctx, const struct config_help_line *line)
{
    struct buf *out = ctx;
    if (!line->is_section) {
        add_field(out, line);
        return;
    }
    buf_addf(out, ".SS %s\n", line->name);
    flags_man_text(out, str_of(line->help));
    buf_add_char(out, '\n');
    if (line->see)
        buf_addf(out, ".br\nAll fields of %s are possible, too.\n", line->see);
}

static void add_head(struct buf *out)
{
    size_t n;
    const struct command *commands = command_list(&n);
    buf_addf(out, ".TH OBSAGENT 1 \"%s\" \"obsagent %s\" \"User Commands\"\n.ad l\n", OBSAGENT_RELEASED,
             OBSAGENT_VERSION);
    buf_add_c(out, ".SH NAME\nobsagent \\- scrape Prometheus targets, buffer, forward by remote write\n"
                   ".SH SYNOPSIS\n.B obsagent\n.I COMMAND\n[flags]\n.SH DESCRIPTION\n");
    flags_man_text(out, str_of(DESCRIPTION));
    buf_add_c(out, "\n.PP\nThe commands are:\n");
    for (size_t i = 0; i < n; i++) {
        buf_addf(out, ".TP\n.B %s\n", commands[i].name);
        flags_man_text(out, str_of(commands[i].help));
        buf_add_char(out, '\n');
    }
    buf_add_c(out, ".SH COMMANDS\n");
}

static void add_tail(struct buf *out)
{
    buf_add_c(out, ".SH CONFIGURATION\nYAML with Prometheus\\(aqs names. %{NAME} is replaced by the environment "
                   "variable everywhere, ${NAME} in external_labels.\n");
    config_help_each(add_line, out);
    add_items(out, "FILES", FILES, sizeof FILES / sizeof FILES[0]);
    add_items(out, "EXIT STATUS", EXITS, sizeof EXITS / sizeof EXITS[0]);
    add_items(out, "SIGNALS", SIGNALS, sizeof SIGNALS / sizeof SIGNALS[0]);
    add_examples(out);
}

static void print(struct buf *out)
{
    fwrite(out->p, 1, out->n, stdout);
    buf_clear(out);
}

void manual_print(void)
{
    struct buf out;
    buf_init(&out, PAGE_MAX);
    add_head(&out);
    print(&out);
    manual_commands("man");
    add_tail(&out);
    print(&out);
    buf_free(&out);
}
