/* SPDX-License-Identifier: Apache-2.0 */
/* legacy: rules under metric_name_validation_scheme: legacy, which give labels no names but those that Prometheus had
   before UTF-8. The list knows, not the rule: lists with and without it share rules. */
#include "rule.h"

#define BIT(action) (1u << (action))

static const unsigned PLAIN_TARGET = BIT(ACTION_HASHMOD) | BIT(ACTION_LOWERCASE) | BIT(ACTION_UPPERCASE) |
                                     BIT(ACTION_KEEPEQUAL) | BIT(ACTION_DROPEQUAL);

/* How many bytes of s are letters of a name. */
static size_t word_length(struct str s)
{
    size_t n = 0;
    while (n < s.n && (labels_is_legacy_name(str_make(s.p + n, 1)) || (s.p[n] >= '0' && s.p[n] <= '9')))
        n++;
    return n;
}

/* Bytes of a reference at the start of s, $1 or ${name}; 0 when there is none. */
static size_t reference_length(struct str s)
{
    if (!str_starts(s, STR("$")))
        return 0;
    bool braces = s.n > 1 && s.p[1] == '{';
    size_t from = braces ? 2 : 1, n = word_length(str_skip(s, from));
    if (n == 0 || (braces && (from + n >= s.n || s.p[from + n] != '}')))
        return 0;
    return from + n + braces;
}

/* Prometheus: ^(?:(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))+\w*)+$, a name in which references may stand. */
static bool is_template_of_name(struct str s)
{
    size_t at = 0;
    while (at < s.n) {
        struct str rest = str_skip(s, at);
        size_t step = reference_length(rest);
        if (step == 0)
            step = at > 0 ? word_length(rest) : labels_is_legacy_name(str_make(s.p, 1));
        if (step == 0)
            return false;
        at += step;
    }
    return s.n > 0;
}

bool relabel_check_legacy(const struct relabel_rules *rules, size_t index, enum relabel_field *bad_field,
                          struct err *err)
{
    const struct rule *r = rules->v[index];
    const char *name = rule_action_name(r->action);
    bool good = true;
    *bad_field = RELABEL_TARGET_LABEL;
    if (r->action == ACTION_REPLACE)
        good = is_template_of_name(r->target_label);
    else if (BIT(r->action) & PLAIN_TARGET)
        good = labels_is_legacy_name(r->target_label);
    if (!good)
        return err_set(err, "%s is invalid 'target_label' for %s action", rule_quote(r->target_label).text, name);
    *bad_field = RELABEL_REPLACEMENT;
    if (r->action == ACTION_LABELMAP && !is_template_of_name(r->replacement))
        return err_set(err, "%s is invalid 'replacement' for %s action", rule_quote(r->replacement).text, name);
    return true;
}

void relabel_set_legacy(struct relabel_rules *rules)
{
    rules->legacy = true;
}
