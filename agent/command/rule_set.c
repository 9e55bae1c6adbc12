/* SPDX-License-Identifier: Apache-2.0 */
/* rule_set: rules chosen by their names. */
#include "rule_set.h"

static bool add_named(struct str wanted, const char *(*name)(size_t i), size_t n, rule_set *out)
{
    for (size_t i = 0; i < n; i++) {
        if (str_eq_c(wanted, name(i))) {
            *out |= (rule_set)1 << i;
            return true;
        }
    }
    return false;
}

bool rule_set_parse(struct str text, const char *(*name)(size_t i), size_t n, rule_set *out, struct err *err)
{
    bool all = str_eq_c(text, "all");
    *out = all ? RULE_SET_ALL : 0;
    if (all || str_eq_c(text, "none"))
        return true;
    for (;;) {
        struct str one = str_make(text.p, str_find_char(text, ','));
        if (!add_named(one, name, n, out))
            return err_set(err, "there is no rule \"%.*s\"", STR_ARG(one));
        if (one.n == text.n)
            return true;
        text = str_skip(text, one.n + 1);
    }
}
