/* SPDX-License-Identifier: Apache-2.0 */
/* flags: the command line, read through one table per command. */
#ifndef OBSAGENT_COMMAND_FLAGS_H
#define OBSAGENT_COMMAND_FLAGS_H

#include "base/buf.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind {
    FLAG_BOOL,     /* bool: --x, --x=true, --x=false */
    FLAG_STRING,   /* const char *: the last one wins */
    FLAG_OPTIONAL, /* const char *: "" for --x, which takes no further word; else as --x=value says */
    FLAG_LIST,     /* struct flag_list: repeatable */
    FLAG_CSV,      /* struct flag_list: repeatable, each split at commas outside quotes and brackets (vmagent's) */
    FLAG_U64,      /* uint64_t */
    FLAG_DURATION, /* int64_t milliseconds; bare numbers are seconds */
    FLAG_SIZE      /* uint64_t bytes; bare numbers are bytes */
};

/* Strings point into argv, the environment or an own copy; freed with flags_free. */
struct flag_list {
    char **v;
    size_t n;
    size_t cap;
};

struct flag {
    const char *name; /* without dashes */
    enum flag_kind kind;
    void *target;     /* where the value goes; the caller sets the default before */
    const char *arg;  /* what to call the value in --help, NULL for bools (and lists of them: FLAG_CSV). "a|b" are the
                         values there are, FILE and DIR are completed by shells */
    const char *help;
};

struct flag_command {
    /* "obsagent sink FILE... [flags]", one line for each way to use it. Completion reads the first line as flags_help.h
       says. */
    const char *synopsis;
    const char *text;     /* what it does, a few lines */
    const struct flag *flags;
    size_t flags_n;
};

enum flag_outcome { FLAGS_OK, FLAGS_HELP, FLAGS_USAGE };

/* Reads argv[1..argc): `-name` and `--name` are the same, `--name=value` and `--name value` too (bools take a value
   only with =), `--` ends flags. What is not a flag is moved, in order, to argv[1..*positional_n]. `--help` prints help
   to stdout (FLAGS_HELP: exit 0), --help=FORMAT the same for other readers (flags_help.h). A mistake prints one line to
   stderr, with a suggestion for an unknown name (FLAGS_USAGE: exit 2). */
enum flag_outcome flags_parse(const struct flag_command *command, int argc, char **argv, int *positional_n);
/* For -envflag.enable: fills flags whose name is not in argv from the environment, with '.' read as '_', behind the
   prefix. Call before flags_parse. FLAGS_USAGE when a value is bad. */
enum flag_outcome flags_from_env(const struct flag_command *command, int argc, char **argv, const char *prefix);
/* How many leading and trailing characters two names share: enough to guess what was meant. */
size_t flags_likeness(struct str a, struct str b);
/* All flags and their values as a JSON object of text. The values of those named in `secrets` (ended by NULL) are
   shown as <secret>. */
void flags_json(const struct flag_command *command, const char *const *secrets, struct buf *out);
void flags_free(const struct flag_command *command);

#endif
