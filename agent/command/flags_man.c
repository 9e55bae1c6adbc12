/* SPDX-License-Identifier: Apache-2.0 */
/* flags_man: a command's table of flags as a part of the manual page, in roff with the man macros. */
#include "flags_help.h"

#include <stdint.h>

/* The code point of a well-formed sequence of n bytes. */
static uint32_t code_point(const char *p, size_t n)
{
    static const unsigned char first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = (unsigned char)p[0] & first_bits[n];
    for (size_t i = 1; i < n; i++)
        code = code << 6 | ((unsigned char)p[i] & 0x3f);
    return code;
}

/* The characters that roff would set as something else, or read as a request at the start of a line. */
static const char *escaped(char c)
{
    switch (c) {
    case '\\':
        return "\\e";
    case '-':
        return "\\-";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '"':
        return "\\(dq";
    default:
        return NULL;
    }
}

void flags_man_text(struct buf *out, struct str text)
{
    for (bool first = true; text.n; first = false) {
        size_t n = str_utf8_step(text);
        const char *instead = escaped(text.p[0]);
        if (n == 0)
            n = 1;
        if ((first || out->p[out->n - 1] == '\n') && text.p[0] == '.')
            buf_add_c(out, "\\&");
        if (n > 1)
            buf_addf(out, "\\[u%04X]", (unsigned)code_point(text.p, n));
        else if (instead)
            buf_add_c(out, instead);
        else
            buf_add_char(out, text.p[0]);
        text = str_skip(text, n);
    }
}

static void synopsis(struct str lines, struct buf *out)
{
    for (bool first = true; lines.n; first = false) {
        struct str line = str_make(lines.p, str_find_char(lines, '\n'));
        lines = str_skip(lines, line.n + 1);
        buf_add_c(out, first ? ".B " : ".br\n.B ");
        flags_man_text(out, line);
        buf_add_char(out, '\n');
    }
}

/* Lines are filled; an empty one starts a paragraph, and those that begin with a blank stay as they are. */
static void paragraphs(struct str lines, struct buf *out)
{
    bool as_is = false;
    buf_add_c(out, ".PP\n");
    while (lines.n) {
        struct str line = str_make(lines.p, str_find_char(lines, '\n'));
        lines = str_skip(lines, line.n + 1);
        bool indented = line.n && line.p[0] == ' ', was_as_is = as_is;
        if (indented != as_is)
            buf_add_c(out, indented ? ".PP\n.EX\n" : ".EE\n.PP\n");
        as_is = indented;
        if (line.n == 0) {
            buf_add_c(out, lines.n && lines.p[0] != ' ' && !was_as_is ? ".PP\n" : "");
        } else {
            flags_man_text(out, line);
            buf_add_char(out, '\n');
        }
    }
    if (as_is)
        buf_add_c(out, ".EE\n");
}

void flags_help_man(const struct flag_command *command, struct buf *out)
{
    buf_add_c(out, ".SS ");
    flags_man_text(out, flags_command_name(command));
    buf_add_char(out, '\n');
    synopsis(str_of(command->synopsis), out);
    paragraphs(str_of(command->text), out);
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        buf_add_c(out, ".TP\n\\fB\\-\\-");
        flags_man_text(out, str_of(f->name));
        buf_add_c(out, "\\fR");
        if (f->arg) {
            buf_add_c(out, f->kind == FLAG_OPTIONAL ? "[=\\fI" : "=\\fI");
            flags_man_text(out, str_of(f->arg));
            buf_add_c(out, f->kind == FLAG_OPTIONAL ? "\\fR]" : "\\fR");
        }
        buf_add_char(out, '\n');
        flags_man_text(out, str_of(f->help));
        buf_add_char(out, '\n');
    }
}
