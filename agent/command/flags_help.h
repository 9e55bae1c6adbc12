/* SPDX-License-Identifier: Apache-2.0 */
/* flags_help: a command's table of flags in words: --help, the manual, and what shells complete. */
#ifndef OBSAGENT_COMMAND_FLAGS_HELP_H
#define OBSAGENT_COMMAND_FLAGS_HELP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "flags.h"

#include <stdbool.h>

/* Prints the command to stdout: as text for NULL and "text", as its part of the manual for "man", of the completion for
   "bash" and "zsh". Every command can so be asked through its own --help=FORMAT, and needs no other place to describe
   itself. False: unknown format. */
bool flags_help(const struct flag_command *command, const char *format) MUSTCHECK;

/* The second word of the synopsis, "sink" of "obsagent sink [flags]". */
struct str flags_command_name(const struct flag_command *command);
/* What may stand after --flag=, and at each place for an argument. */
enum flag_value { FLAG_VALUE_ANY, FLAG_VALUE_WORDS, FLAG_VALUE_FILE, FLAG_VALUE_DIR };
/* Reads that from how the value is called: FILE, PATH and RULES.yml are files, DIR is a directory, "all|none" are words
   to be typed as they stand. Those are appended to `words` (NULL: not wanted), also where a file is possible
   ("none|FILE"); what is in capitals stands for something else. */
enum flag_value flags_value(struct str arg, struct buf *words);
/* The n-th argument (from 0) of the synopsis, brackets and dots removed. One with dots repeats: it is also every
   further one. Empty: no such argument. */
struct str flags_argument(const struct flag_command *command, size_t n, bool *repeats);

/* Text for a line of roff: nothing in it is read as a request or an escape. */
void flags_man_text(struct buf *out, struct str text);

void flags_help_man(const struct flag_command *command, struct buf *out);
void flags_help_bash(const struct flag_command *command, struct buf *out);
void flags_help_zsh(const struct flag_command *command, struct buf *out);

#endif
