/* SPDX-License-Identifier: Apache-2.0 */
/* help: commands and the fields of the configuration, as text, as the manual page and for shells: all from the tables
   that read them. */
#include "command.h"

#include "base/buf.h"
#include "config.h"
#include "flags.h"
#include "manual.h"
#include "push_private.h"
#include "report.h"

#include <stdio.h>
#include <string.h>

static int help_config(const char *section)
{
    struct buf text;
    buf_init(&text, (size_t)4 << 20);
    bool found = config_help(section, &text);
    if (found)
        fputs(buf_c(&text), stdout);
    else
        fprintf(stderr, "obsagent help: no section \"%s\" (see obsagent help config)\n", section);
    buf_free(&text);
    return found ? 0 : 2;
}

static int help_json(void (*schema)(struct buf *out))
{
    struct buf text;
    buf_init(&text, (size_t)1 << 20);
    schema(&text);
    fputs(buf_c(&text), stdout);
    buf_free(&text);
    return 0;
}

/* The help of a command: it prints its own. */
static int help_command(const char *word)
{
    size_t n;
    const struct command *commands = command_list(&n);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(commands[i].name, word) != 0)
            continue;
        char name[] = "help", flag[] = "--help";
        char *argv[] = {name, flag, NULL};
        return commands[i].fn(2, argv);
    }
    fprintf(stderr, "obsagent help: \"%s\" is no command (obsagent --help lists them), nor config, man,\n"
                    "completion, scrape-json or push-json\n",
            word);
    return 2;
}

static int help_completion(const char *shell)
{
    if (shell && completion_print(shell))
        return 0;
    fprintf(stderr, "obsagent help: completion is for bash or zsh\n");
    return 2;
}

int command_help(int argc, char **argv)
{
    static const struct flag_command command = {
        .synopsis = "obsagent help config|man|completion|scrape-json|push-json|COMMAND [SECTION|bash|zsh]",
        .text = "config lists the fields of the configuration, of all sections or of one; man prints the manual page\n"
                "(obsagent help man | man -l -), completion a script for bash or zsh; scrape-json the JSON Schema\n"
                "of the reports of obsagent scrape --json, push-json of those of push; a command's name, its flags.",
    };
    int words = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &words);
    if (outcome != FLAGS_OK)
        return outcome == FLAGS_HELP ? 0 : 2;
    if (words == 0) {
        puts("obsagent --help lists the commands, obsagent COMMAND --help the flags of one,\n"
             "obsagent help config [SECTION] the fields of the configuration.");
        return 0;
    }
    const char *word = argv[1], *more = words == 2 ? argv[2] : NULL;
    if (strcmp(word, "config") == 0 && words <= 2)
        return help_config(more);
    if (strcmp(word, "completion") == 0 && words <= 2)
        return help_completion(more);
    if (words > 1) {
        fprintf(stderr, "obsagent help: too many words (obsagent help --help)\n");
        return 2;
    }
    if (strcmp(word, "scrape-json") == 0)
        return help_json(report_schema);
    if (strcmp(word, "push-json") == 0)
        return help_json(push_schema);
    if (strcmp(word, "man") != 0)
        return help_command(word);
    manual_print();
    return 0;
}
