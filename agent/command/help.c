/* SPDX-License-Identifier: Apache-2.0 */
/* help: every field of the configuration, from the tables that load it. */
#include "command.h"

#include "base/buf.h"
#include "config.h"
#include "flags.h"

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

int command_help(int argc, char **argv)
{
    static const struct flag_command command = {
        .synopsis = "obsagent help [config [SECTION]]",
        .text = "Lists the fields of the configuration, of all sections or of one.",
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
    if (strcmp(argv[1], "config") == 0 && words <= 2)
        return help_config(words == 2 ? argv[2] : NULL);
    fprintf(stderr, "obsagent help: only `help` and `help config [SECTION]` are known\n");
    return 2;
}
