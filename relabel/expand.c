/* SPDX-License-Identifier: Apache-2.0 */
/* expand: templates of replacements. Source of the rules: Go's regexp.Expand (a name is the longest run of letters,
   digits and '_', so $1x is the group named "1x"). */
#include "expand.h"

#include "base/units.h"

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* Reads the reference behind a '$' at s; false when there is none. *used counts the bytes behind the '$'. */
static bool read_reference(struct str s, struct str *name, size_t *used)
{
    bool braces = s.n && s.p[0] == '{';
    size_t from = braces ? 1 : 0, at = from;
    while (at < s.n && is_word(s.p[at]))
        at++;
    if (at == from || (braces && (at >= s.n || s.p[at] != '}')))
        return false;
    *name = str_make(s.p + from, at - from);
    *used = at + (braces ? 1 : 0);
    return true;
}

/* The group a name stands for, or -1. A number is a number only when it is all digits without a leading zero. */
static int group_of(struct str name, const struct regex *re)
{
    uint64_t number;
    if (units_parse_u64(name, &number) && (name.n == 1 || name.p[0] != '0'))
        return number < REGEX_GROUPS_MAX ? (int)number : -1;
    return regex_group_named(re, name);
}

size_t expand_groups_needed(struct str text, const struct regex *re)
{
    size_t needed = 1, used;
    struct str name;
    while (text.n) {
        text = str_skip(text, str_find_char(text, '$') + 1);
        if (text.n && text.p[0] == '$') {
            text = str_skip(text, 1);
        } else if (read_reference(text, &name, &used)) {
            int group = group_of(name, re);
            if (group >= 0 && (size_t)group + 1 > needed)
                needed = (size_t)group + 1;
        }
    }
    return needed;
}

void expand_groups(struct str text, const struct regex *re, const struct regex_match *m, struct buf *out)
{
    while (text.n) {
        size_t dollar = str_find_char(text, '$'), used;
        struct str name;
        buf_add(out, text.p, dollar);
        if (dollar == text.n)
            return;
        text = str_skip(text, dollar + 1);
        if (text.n && text.p[0] == '$') {
            buf_add_char(out, '$');
            text = str_skip(text, 1);
        } else if (read_reference(text, &name, &used)) {
            int group = group_of(name, re);
            if (group >= 0 && (size_t)group < m->n)
                buf_add_str(out, m->group[group]);
            text = str_skip(text, used);
        } else {
            buf_add_char(out, '$');
        }
    }
}
