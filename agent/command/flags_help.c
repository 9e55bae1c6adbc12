/* SPDX-License-Identifier: Apache-2.0 */
/* flags_help: a command's table of flags as text, and what its synopsis says about arguments. */
#include "flags_help.h"

#include <ctype.h>
#include <stdio.h>

#define HELP_COLUMN 34
#define HELP_MAX ((size_t)4 << 20)

static void help_text(const struct flag_command *command, struct buf *out)
{
    buf_addf(out, "%s\n\n%s\n", command->synopsis, command->text);
    if (command->flags_n)
        buf_add_c(out, "\nFlags:\n");
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        size_t start = out->n;
        bool optional = f->kind == FLAG_OPTIONAL;
        buf_addf(out, "  --%s%s%s%s", f->name, optional ? "[=" : f->arg ? "=" : "", f->arg ? f->arg : "",
                 optional ? "]" : "");
        size_t width = out->n - start;
        if (width > HELP_COLUMN - 2) {
            buf_add_char(out, '\n');
            width = 0;
        }
        buf_addf(out, "%*s%s\n", (int)(HELP_COLUMN - width), "", f->help);
    }
}

bool flags_help(const struct flag_command *command, const char *format)
{
    static const struct {
        const char *name;
        void (*print)(const struct flag_command *command, struct buf *out);
    } formats[] = {
        {"text", help_text}, {"man", flags_help_man}, {"bash", flags_help_bash}, {"zsh", flags_help_zsh},
    };
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (strcmp(format ? format : "text", formats[i].name) != 0)
            continue;
        struct buf out;
        buf_init(&out, HELP_MAX);
        formats[i].print(command, &out);
        fwrite(out.p, 1, out.n, stdout);
        buf_free(&out);
        return true;
    }
    return false;
}

/* The next word of a line, which is moved behind it. */
static struct str next_word(struct str *line)
{
    while (line->n && line->p[0] == ' ')
        *line = str_skip(*line, 1);
    struct str word = str_make(line->p, str_find_char(*line, ' '));
    *line = str_skip(*line, word.n);
    return word;
}

static struct str first_line(const struct flag_command *command)
{
    struct str synopsis = str_of(command->synopsis);
    return str_make(synopsis.p, str_find_char(synopsis, '\n'));
}

struct str flags_command_name(const struct flag_command *command)
{
    struct str line = first_line(command);
    (void)next_word(&line);
    return next_word(&line);
}

/* Without the brackets of what is optional. */
static struct str bare(struct str word)
{
    while (word.n && word.p[0] == '[')
        word = str_skip(word, 1);
    while (word.n && word.p[word.n - 1] == ']')
        word.n--;
    return word;
}

struct str flags_argument(const struct flag_command *command, size_t n, bool *repeats)
{
    struct str line = first_line(command), dots = STR("...");
    (void)next_word(&line);
    (void)next_word(&line);
    *repeats = false;
    while (line.n) {
        struct str word = bare(next_word(&line));
        if (word.n == 0 || word.p[0] == '-' || str_eq_c(word, "flags"))
            continue;
        *repeats = word.n > dots.n && str_ends(word, dots);
        if (*repeats)
            word.n -= dots.n;
        if (*repeats || n == 0)
            return word;
        n--;
    }
    return STR_NULL;
}

static bool is_word(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!islower((unsigned char)s.p[i]) && !isdigit((unsigned char)s.p[i]) && !strchr("-_.", s.p[i]))
            return false;
    }
    return s.n && s.p[0] != '-';
}

static enum flag_value value_of_word(struct str s)
{
    if (str_eq_c(s, "FILE") || str_eq_c(s, "PATH") || str_ends(s, STR(".yml")))
        return FLAG_VALUE_FILE;
    return str_eq_c(s, "DIR") ? FLAG_VALUE_DIR : FLAG_VALUE_ANY;
}

enum flag_value flags_value(struct str arg, struct buf *words)
{
    enum flag_value value = FLAG_VALUE_ANY;
    size_t words_n = 0;
    while (arg.n) {
        struct str one = str_make(arg.p, str_find_char(arg, '|'));
        arg = str_skip(arg, one.n + 1);
        if (value == FLAG_VALUE_ANY)
            value = value_of_word(one);
        if (!is_word(one))
            continue;
        if (words)
            buf_addf(words, "%s%.*s", words_n ? " " : "", STR_ARG(one));
        words_n++;
    }
    return value == FLAG_VALUE_ANY && words_n ? FLAG_VALUE_WORDS : value;
}
