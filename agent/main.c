/* SPDX-License-Identifier: Apache-2.0 */
/* main: picks the subcommand. Without one, `run`. */
#include "command/command.h"
#include "command/flags.h"

#include "base/alloc.h"

#include <malloc.h>
#include <stdio.h>
#include <string.h>

#define MEMORY_RESERVE ((size_t)1 << 20)

static const struct command *find_command(const char *name)
{
    size_t n;
    const struct command *commands = command_list(&n), *found = NULL;
    for (size_t i = 0; i < n && !found; i++)
        found = strcmp(commands[i].name, name) == 0 ? &commands[i] : NULL;
    return found;
}

static void report_unknown(const char *word)
{
    const char *best = NULL;
    size_t n, best_likeness = strlen(word) / 2;
    const struct command *commands = command_list(&n);
    for (size_t i = 0; i < n; i++) {
        size_t likeness = flags_likeness(str_of(word), str_of(commands[i].name));
        if (likeness > best_likeness) {
            best_likeness = likeness;
            best = commands[i].name;
        }
    }
    fprintf(stderr, "unknown command \"%s\"", word);
    if (best)
        fprintf(stderr, ", did you mean %s?", best);
    fprintf(stderr, "\n\n");
}

static void print_usage(FILE *out)
{
    size_t n;
    const struct command *commands = command_list(&n);
    fprintf(out, "obsagent %s: scrapes Prometheus targets, buffers, forwards by remote write\n\n"
                 "Usage: obsagent COMMAND [flags]\n\n", OBSAGENT_VERSION);
    for (size_t i = 0; i < n; i++)
        fprintf(out, "  %-10s%s\n", commands[i].name, commands[i].help);
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
