/* SPDX-License-Identifier: Apache-2.0 */
/* list: the subcommands in the order in which help shows them. A new one is a line here. */
#include "command.h"

static const struct command COMMANDS[] = {
    {"run", command_run, "scrape, buffer and forward (the default)"},
    {"check", command_check, "validate configuration files, every error with its place"},
    {"scrape", command_scrape, "scrape one target or file and report on it"},
    {"relabel", command_relabel, "try relabel rules on series"},
    {"test", command_test, "run tests of relabel rules"},
    {"queue", command_queue, "look into the disk buffer"},
    {"push", command_push, "see whether a receiver takes what would be sent"},
    {"sink", command_sink, "receive remote write, for trying things out"},
    {"serve", command_serve, "a made-up target, for trying things out"},
    {"demo", command_demo, "run everything against itself, with an outage, and show what happens"},
    {"help", command_help, "help on commands and on the configuration"},
};
#define COMMANDS_N (sizeof COMMANDS / sizeof COMMANDS[0])

const struct command *command_list(size_t *n)
{
    *n = COMMANDS_N;
    return COMMANDS;
}
