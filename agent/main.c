/* SPDX-License-Identifier: Apache-2.0 */
/* main: picks the subcommand. Without one, `run`. */
#include "command/command.h"
#include "command/flags.h"

#include "base/alloc.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define MEMORY_RESERVE ((size_t)1 << 20)

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

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COMMANDS_N; i++) {
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    }
    return NULL;
}

static void report_unknown(const char *word)
{
    const char *best = NULL;
    size_t best_likeness = strlen(word) / 2;
    for (size_t i = 0; i < COMMANDS_N; i++) {
        size_t likeness = flags_likeness(str_of(word), str_of(COMMANDS[i].name));
        if (likeness > best_likeness) {
            best_likeness = likeness;
            best = COMMANDS[i].name;
        }
    }
    fprintf(stderr, "unknown command \"%s\"", word);
    if (best)
        fprintf(stderr, ", did you mean %s?", best);
    fprintf(stderr, "\n\n");
}

static void print_usage(FILE *out)
{
    fprintf(out, "obsagent %s: scrapes Prometheus targets, buffers, forwards by remote write\n\n"
                 "Usage: obsagent COMMAND [flags]\n\n", OBSAGENT_VERSION);
    for (size_t i = 0; i < COMMANDS_N; i++)
        fprintf(out, "  %-10s%s\n", COMMANDS[i].name, COMMANDS[i].help);
    fprintf(out, "\nobsagent COMMAND --help lists its flags; obsagent help config explains the configuration.\n");
}

/* Few arenas and no lazily kept big buffers: an agent beside an application is judged by its resident memory. */
static void tune_malloc(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
    mallopt(M_TRIM_THRESHOLD, 512 * 1024);
    alloc_reserve(MEMORY_RESERVE);
}

int main(int argc, char **argv)
{
    tune_malloc();
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "--version") == 0 || strcmp(word, "-version") == 0) {
        printf("obsagent %s\n", OBSAGENT_VERSION);
        return 0;
    }
    if (argc < 2 || strcmp(word, "--help") == 0 || strcmp(word, "-help") == 0 || strcmp(word, "-h") == 0) {
        print_usage(argc < 2 ? stderr : stdout);
        return argc < 2 ? 2 : 0;
    }
    if (word[0] == '-')
        return command_run(argc, argv);
    const struct command *command = find_command(word);
    if (!command) {
        report_unknown(word);
        print_usage(stderr);
        return 2;
    }
    return command->fn(argc - 1, argv + 1);
}
