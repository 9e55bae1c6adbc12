/* SPDX-License-Identifier: Apache-2.0 */
/* command: the subcommands. Each takes argv with its own name at argv[0] and returns the exit code: 0 good, 1 failed,
   2 wrong usage, 3 lint findings. One file per command, flags read through flags.h. */
#ifndef OBSAGENT_COMMAND_H
#define OBSAGENT_COMMAND_H

#include <stddef.h>

#define OBSAGENT_VERSION "0.1.0"
#define OBSAGENT_RELEASED "2026-11-21" /* the date of the manual */
#define OBSAGENT_USER_AGENT "obsagent/" OBSAGENT_VERSION

struct command {
    const char *name;
    int (*fn)(int argc, char **argv);
    const char *help; /* a line */
};

/* All of them, as main knows them: the manual and completion ask each for its --help=FORMAT. */
const struct command *command_list(size_t *n);

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_scrape(int argc, char **argv);
int command_relabel(int argc, char **argv);
int command_test(int argc, char **argv);
int command_queue(int argc, char **argv);
int command_sink(int argc, char **argv);
int command_push(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_help(int argc, char **argv);
int command_demo(int argc, char **argv);

#endif
