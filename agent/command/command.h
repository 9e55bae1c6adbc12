/* SPDX-License-Identifier: Apache-2.0 */
/* command: the subcommands. Each takes argv with its own name at argv[0] and returns the exit code: 0 good, 1 failed,
   2 wrong usage, 3 lint findings. One file per command, flags read through flags.h. */
#ifndef OBSAGENT_COMMAND_H
#define OBSAGENT_COMMAND_H

#define OBSAGENT_VERSION "0.1.0"
#define OBSAGENT_USER_AGENT "obsagent/" OBSAGENT_VERSION

int command_run(int argc, char **argv);
int command_check(int argc, char **argv);
int command_scrape(int argc, char **argv);
int command_relabel(int argc, char **argv);
int command_queue(int argc, char **argv);
int command_sink(int argc, char **argv);
int command_help(int argc, char **argv);
int command_demo(int argc, char **argv);

#endif
