/* SPDX-License-Identifier: Apache-2.0 */
/* flags_complete: a command's table of flags as the part of a shell's completion that is about it. completion.c has
   the frames around them. */
#include "flags_help.h"

#define ARGUMENTS_MAX 8
#define WORDS_MAX ((size_t)64 << 10)

/* Whether there must be one, as well as there may. */
static bool takes_value(const struct flag *f)
{
    return f->arg != NULL && f->kind != FLAG_OPTIONAL;
}

/* ---- bash: arms of a case over "command:flag" and "command:place" ---- */

/* What completes the value, as assignments; nothing for what only the user can know. */
static void bash_value(struct str arg, struct buf *out)
{
    struct buf words;
    buf_init(&words, WORDS_MAX);
    enum flag_value value = flags_value(arg, &words);
    if (words.n)
        buf_addf(out, " words='%s'", buf_c(&words));
    if (value == FLAG_VALUE_FILE || value == FLAG_VALUE_DIR)
        buf_addf(out, " kind=%s", value == FLAG_VALUE_FILE ? "file" : "dir");
    buf_add_c(out, " ;;\n");
    buf_free(&words);
}

void flags_help_bash(const struct flag_command *command, struct buf *out)
{
    struct str name = flags_command_name(command);
    buf_addf(out, "        %.*s:flags) flags='--help", STR_ARG(name));
    for (size_t i = 0; i < command->flags_n; i++)
        buf_addf(out, " --%s%s", command->flags[i].name, takes_value(&command->flags[i]) ? "=" : "");
    buf_add_c(out, "' ;;\n");
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        if (!takes_value(f) || flags_value(str_of(f->arg), NULL) == FLAG_VALUE_ANY)
            continue;
        buf_addf(out, "        %.*s:--%s)", STR_ARG(name), f->name);
        bash_value(str_of(f->arg), out);
    }
    bool repeats = false;
    for (size_t i = 0; i < ARGUMENTS_MAX && !repeats; i++) {
        struct str arg = flags_argument(command, i, &repeats);
        if (flags_value(arg, NULL) == FLAG_VALUE_ANY)
            continue;
        if (repeats)
            buf_addf(out, "        %.*s:[0-9]*)", STR_ARG(name));
        else
            buf_addf(out, "        %.*s:%zu)", STR_ARG(name), i);
        bash_value(arg, out);
    }
}

/* ---- zsh: specifications for _arguments ---- */

/* Text within single quotes and a specification, where colons and brackets mean something. */
static void zsh_text(struct str text, struct buf *out)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\'') {
            buf_add_c(out, "'\\''");
            continue;
        }
        if (strchr(":[]\\", text.p[i]))
            buf_add_char(out, '\\');
        buf_add_char(out, text.p[i]);
    }
}

/* ":what to call it:what completes it" */
static void zsh_value(struct str arg, struct buf *out)
{
    struct buf words;
    buf_init(&words, WORDS_MAX);
    enum flag_value value = flags_value(arg, &words);
    buf_add_char(out, ':');
    zsh_text(arg, out);
    buf_add_char(out, ':');
    if (value == FLAG_VALUE_FILE)
        buf_add_c(out, "_files");
    else if (value == FLAG_VALUE_DIR)
        buf_add_c(out, "_files -/");
    else if (words.n)
        buf_addf(out, "(%s)", buf_c(&words));
    else
        buf_add_char(out, ' ');
    buf_free(&words);
}

void flags_help_zsh(const struct flag_command *command, struct buf *out)
{
    buf_addf(out, "    %.*s)\n        _arguments '--help[explain]'", STR_ARG(flags_command_name(command)));
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        bool many = f->kind == FLAG_LIST || f->kind == FLAG_CSV;
        bool optional = f->kind == FLAG_OPTIONAL;
        buf_addf(out, " \\\n            '%s--%s%s[", many ? "*" : "", f->name, optional ? "=-" : f->arg ? "=" : "");
        zsh_text(str_of(f->help), out);
        buf_add_c(out, optional ? "]:" : "]");
        if (f->arg)
            zsh_value(str_of(f->arg), out);
        buf_add_char(out, '\'');
    }
    bool repeats = false;
    for (size_t i = 0; i < ARGUMENTS_MAX && !repeats; i++) {
        struct str arg = flags_argument(command, i, &repeats);
        if (arg.n == 0)
            break;
        if (repeats)
            buf_add_c(out, " \\\n            '*");
        else
            buf_addf(out, " \\\n            '%zu", i + 1);
        zsh_value(arg, out);
        buf_add_char(out, '\'');
    }
    buf_add_c(out, "\n        ;;\n");
}
