/* SPDX-License-Identifier: Apache-2.0 */
/* rule: from the spelling of a rule to a compiled one, with the checks and the words of Prometheus and, for
   its own actions, vmagent's. */
#include "rule.h"

#include "base/alloc.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define DEFAULT_REGEX STR("(.*)")
#define DEFAULT_REPLACEMENT STR("$1")
#define DEFAULT_SEPARATOR STR(";")

static const char *const ACTION_NAMES[ACTIONS_N] = {
    [ACTION_REPLACE] = "replace",
    [ACTION_KEEP] = "keep",
    [ACTION_DROP] = "drop",
    [ACTION_KEEPEQUAL] = "keepequal",
    [ACTION_DROPEQUAL] = "dropequal",
    [ACTION_HASHMOD] = "hashmod",
    [ACTION_LABELMAP] = "labelmap",
    [ACTION_LABELDROP] = "labeldrop",
    [ACTION_LABELKEEP] = "labelkeep",
    [ACTION_LOWERCASE] = "lowercase",
    [ACTION_UPPERCASE] = "uppercase",
    [ACTION_REPLACE_ALL] = "replace_all",
    [ACTION_LABELMAP_ALL] = "labelmap_all",
    [ACTION_KEEP_METRICS] = "keep_metrics",
    [ACTION_DROP_METRICS] = "drop_metrics",
    [ACTION_KEEP_IF_EQUAL] = "keep_if_equal",
    [ACTION_DROP_IF_EQUAL] = "drop_if_equal",
    [ACTION_KEEP_IF_CONTAINS] = "keep_if_contains",
    [ACTION_DROP_IF_CONTAINS] = "drop_if_contains",
    [ACTION_GRAPHITE] = "graphite",
};

const char *rule_action_name(enum relabel_action action)
{
    return ACTION_NAMES[action];
}

static bool find_action(struct str name, enum relabel_action *out)
{
    for (int i = 0; i < ACTIONS_N; i++) {
        if (strlen(ACTION_NAMES[i]) == name.n && strncasecmp(ACTION_NAMES[i], name.p, name.n) == 0) {
            *out = (enum relabel_action)i;
            return true;
        }
    }
    return false;
}

#define BIT(action) (1u << (action))
static const unsigned EQUALS = BIT(ACTION_KEEPEQUAL) | BIT(ACTION_DROPEQUAL);
static const unsigned CASES = BIT(ACTION_LOWERCASE) | BIT(ACTION_UPPERCASE);
static const unsigned NEED_TARGET = BIT(ACTION_REPLACE) | BIT(ACTION_HASHMOD) | BIT(ACTION_LOWERCASE) |
                                    BIT(ACTION_UPPERCASE) | BIT(ACTION_KEEPEQUAL) | BIT(ACTION_DROPEQUAL);
static const unsigned REPLACING = BIT(ACTION_REPLACE) | BIT(ACTION_REPLACE_ALL) | BIT(ACTION_LABELMAP) |
                                  BIT(ACTION_LABELMAP_ALL);
static const unsigned UNANCHORED = BIT(ACTION_REPLACE_ALL) | BIT(ACTION_LABELMAP_ALL);

struct check {
    const struct relabel_source *src;
    struct rule *r;
    struct err *err;
    enum relabel_field *field;
};

#define REFUSE(c, f, ...) (*(c)->field = (f), err_set((c)->err, __VA_ARGS__))

static bool is_one_of(const struct rule *r, unsigned set)
{
    return (BIT(r->action) & set) != 0;
}

/* Fields that differ from their default. Prometheus refuses these, not whatever is written: `separator: ;` is
   as good as none. A regex and source_labels count when written at all, since there pointers are compared. */
static unsigned changed_fields(const struct relabel_source *src)
{
    unsigned set = src->given & (RELABEL_REGEX | RELABEL_SOURCE_LABELS);
    if ((src->given & RELABEL_SEPARATOR) && !str_eq(src->separator, DEFAULT_SEPARATOR))
        set |= RELABEL_SEPARATOR;
    if ((src->given & RELABEL_REPLACEMENT) && !str_eq(src->replacement, DEFAULT_REPLACEMENT))
        set |= RELABEL_REPLACEMENT;
    if (src->target_label.n)
        set |= RELABEL_TARGET_LABEL;
    if (src->modulus)
        set |= RELABEL_MODULUS;
    return set;
}

static enum relabel_field lowest(unsigned fields)
{
    return (enum relabel_field)(fields & (0u - fields));
}

struct quoted rule_quote(struct str s)
{
    struct quoted q = {"\""};
    size_t n = 1;
    while (s.n && n < sizeof q.text - 6) {
        size_t step = str_utf8_step(s);
        unsigned char c = (unsigned char)s.p[0];
        if (step == 0 || c < ' ' || c == 0x7f)
            n += (size_t)snprintf(q.text + n, 5, c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\x%02x", c);
        else if (c == '"' || c == '\\')
            n += (size_t)snprintf(q.text + n, 3, "\\%c", c);
        for (size_t i = 0; step && c >= ' ' && c != 0x7f && c != '"' && c != '\\' && i < step; i++)
            q.text[n++] = s.p[i];
        s = str_skip(s, step ? step : 1);
    }
    q.text[n] = '"';
    return q;
}

static bool check_target(const struct check *c)
{
    const char *name = rule_action_name(c->r->action);
    struct str target = c->src->target_label;
    if (target.n == 0)
        return REFUSE(c, c->src->given & RELABEL_TARGET_LABEL ? RELABEL_TARGET_LABEL : 0,
                      "relabel configuration for %s action requires 'target_label' value", name);
    if (!str_is_utf8(target))
        return REFUSE(c, RELABEL_TARGET_LABEL, "%s is invalid 'target_label' for %s action",
                      rule_quote(target).text, name);
    return true;
}

/* Prometheus's Validate, in its order. */
static bool check_prometheus(const struct check *c)
{
    const struct rule *r = c->r;
    const char *name = rule_action_name(r->action);
    unsigned changed = changed_fields(c->src);
    unsigned not_for_equals = changed & (RELABEL_REGEX | RELABEL_MODULUS | RELABEL_SEPARATOR);
    unsigned not_for_names = changed & (RELABEL_SOURCE_LABELS | RELABEL_TARGET_LABEL | RELABEL_MODULUS |
                                        RELABEL_SEPARATOR | RELABEL_REPLACEMENT);
    if (r->action == ACTION_HASHMOD && c->src->modulus == 0)
        return REFUSE(c, c->src->given & RELABEL_MODULUS ? RELABEL_MODULUS : 0,
                      "relabel configuration for hashmod requires non-zero modulus");
    if (is_one_of(r, NEED_TARGET) && !check_target(c))
        return false;
    if (is_one_of(r, CASES | EQUALS) && (changed & RELABEL_REPLACEMENT))
        return REFUSE(c, RELABEL_REPLACEMENT, "'replacement' can not be set for %s action", name);
    if (r->action == ACTION_LABELMAP && (r->replacement.n == 0 || !str_is_utf8(r->replacement)))
        return REFUSE(c, RELABEL_REPLACEMENT, "%s is invalid 'replacement' for labelmap action",
                      rule_quote(r->replacement).text);
    if (is_one_of(r, EQUALS) && not_for_equals)
        return REFUSE(c, lowest(not_for_equals),
                      "%s action requires only 'source_labels' and `target_label`, and no other fields",
                      name);
    if (is_one_of(r, BIT(ACTION_LABELDROP) | BIT(ACTION_LABELKEEP)) && not_for_names)
        return REFUSE(c, lowest(not_for_names), "%s action requires only 'regex', and no other fields", name);
    return true;
}

/* ---- vmagent's actions, its words without the links ---- */

static bool check_replace_all(const struct check *c)
{
    const struct relabel_source *src = c->src;
    if (src->source_labels_n == 0)
        return REFUSE(c, src->given & RELABEL_SOURCE_LABELS,
                      "missing `source_labels` for `action=replace_all`");
    if (src->target_label.n == 0)
        return REFUSE(c, src->given & RELABEL_TARGET_LABEL,
                      "missing `target_label` for `action=replace_all`");
    return true;
}

/* Go's %q of a list of strings, as far as it fits. */
static struct quoted quote_sources(const struct relabel_source *src)
{
    struct quoted q = {"["};
    size_t n = 1;
    for (size_t i = 0; i < src->source_labels_n; i++) {
        struct quoted one = rule_quote(src->source_labels[i]);
        size_t more = strlen(one.text);
        if (n + more + 3 > sizeof q.text)
            break;
        if (i)
            q.text[n++] = ' ';
        memcpy(q.text + n, one.text, more);
        n += more;
    }
    q.text[n] = ']';
    return q;
}

static bool check_metrics(const struct check *c)
{
    const struct relabel_source *src = c->src;
    const char *name = rule_action_name(c->r->action);
    if (src->regex.n == 0 && src->ifs_n == 0)
        return REFUSE(c, src->given & RELABEL_REGEX, "`regex` must be non-empty for `action=%s`", name);
    if (src->source_labels_n)
        return REFUSE(c, RELABEL_SOURCE_LABELS, "`source_labels` must be empty for `action=%s`; got %s", name,
                      quote_sources(src).text);
    return true;
}

static bool check_if_equal(const struct check *c)
{
    const struct relabel_source *src = c->src;
    const char *name = rule_action_name(c->r->action);
    if (src->source_labels_n < 2)
        return REFUSE(c, src->given & RELABEL_SOURCE_LABELS,
                      "`source_labels` must contain at least two entries for `action=%s`; got %s", name,
                      quote_sources(src).text);
    if (src->target_label.n)
        return REFUSE(c, RELABEL_TARGET_LABEL, "`target_label` cannot be used for `action=%s`", name);
    if (src->given & RELABEL_REGEX)
        return REFUSE(c, RELABEL_REGEX, "`regex` cannot be used for `action=%s`", name);
    return true;
}

static bool check_if_contains(const struct check *c)
{
    const struct relabel_source *src = c->src;
    const char *name = rule_action_name(c->r->action);
    if (src->target_label.n == 0)
        return REFUSE(c, src->given & RELABEL_TARGET_LABEL, "`target_label` must be set for `action=%s`",
                      name);
    if (src->source_labels_n == 0)
        return REFUSE(c, src->given & RELABEL_SOURCE_LABELS,
                      "`source_labels` must contain at least a single entry for `action=%s`", name);
    if (src->given & RELABEL_REGEX)
        return REFUSE(c, RELABEL_REGEX, "`regex` cannot be used for `action=%s`", name);
    return true;
}

static bool check_graphite(const struct check *c)
{
    const struct relabel_source *src = c->src;
    if (src->match.n == 0)
        return REFUSE(c, src->given & RELABEL_MATCH, "missing `match` for `action=graphite`");
    if (src->labels_n == 0)
        return REFUSE(c, src->given & RELABEL_LABELS, "missing `labels` for `action=graphite`");
    if (src->source_labels_n)
        return REFUSE(c, RELABEL_SOURCE_LABELS, "`source_labels` cannot be used with `action=graphite`");
    if (src->target_label.n)
        return REFUSE(c, RELABEL_TARGET_LABEL, "`target_label` cannot be used with `action=graphite`");
    if (src->given & RELABEL_REPLACEMENT)
        return REFUSE(c, RELABEL_REPLACEMENT, "`replacement` cannot be used with `action=graphite`");
    if (src->given & RELABEL_REGEX)
        return REFUSE(c, RELABEL_REGEX, "`regex` cannot be used for `action=graphite`");
    c->r->graphite = graphite_new(c->r->match);
    return c->r->graphite || REFUSE(c, RELABEL_MATCH, "`match` has too many stars");
}

static bool check_vmagent(const struct check *c)
{
    unsigned graphite_only = c->src->given & (RELABEL_MATCH | RELABEL_LABELS);
    if (c->r->action != ACTION_GRAPHITE && graphite_only)
        return REFUSE(c, lowest(graphite_only),
                      "`%s` config cannot be applied to `action=%s`; it is applied only to `action=graphite`",
                      graphite_only & RELABEL_MATCH ? "match" : "labels", rule_action_name(c->r->action));
    switch (c->r->action) {
    case ACTION_REPLACE_ALL:
        return check_replace_all(c);
    case ACTION_KEEP_METRICS:
    case ACTION_DROP_METRICS:
        return check_metrics(c);
    case ACTION_KEEP_IF_EQUAL:
    case ACTION_DROP_IF_EQUAL:
        return check_if_equal(c);
    case ACTION_KEEP_IF_CONTAINS:
    case ACTION_DROP_IF_CONTAINS:
        return check_if_contains(c);
    case ACTION_GRAPHITE:
        return check_graphite(c);
    default:
        return true;
    }
}

static struct str own(struct str s)
{
    return str_make(str_dup(s), s.n);
}

static void disown(struct str s)
{
    free((char *)s.p);
}

static void copy_fields(struct rule *r, const struct relabel_source *src)
{
    unsigned given = src->given;
    r->given = given;
    r->line = src->line;
    r->modulus = src->modulus;
    r->separator = own(given & RELABEL_SEPARATOR ? src->separator : DEFAULT_SEPARATOR);
    r->target_label = own(src->target_label);
    r->regex_text = own(given & RELABEL_REGEX ? src->regex : DEFAULT_REGEX);
    r->replacement = own(given & RELABEL_REPLACEMENT ? src->replacement : DEFAULT_REPLACEMENT);
    r->match = own(src->match);
    r->source_labels = xcalloc(src->source_labels_n, sizeof *r->source_labels);
    for (; r->source_labels_n < src->source_labels_n; r->source_labels_n++)
        r->source_labels[r->source_labels_n] = own(src->source_labels[r->source_labels_n]);
    r->labels = xcalloc(src->labels_n, sizeof *r->labels);
    for (; r->labels_n < src->labels_n; r->labels_n++) {
        r->labels[r->labels_n].name = own(src->labels[r->labels_n].name);
        r->labels[r->labels_n].value = own(src->labels[r->labels_n].value);
    }
}

static bool compile_ifs(const struct check *c)
{
    struct rule *r = c->r;
    r->ifs = xcalloc(c->src->ifs_n, sizeof *r->ifs);
    r->ifs_text = xcalloc(c->src->ifs_n, sizeof *r->ifs_text);
    for (size_t i = 0; i < c->src->ifs_n; i++) {
        struct selector *s = selector_new(c->src->ifs[i], c->err);
        if (!s) {
            *c->field = RELABEL_IF;
            return err_prefix(c->err, "cannot parse `if` selector");
        }
        r->ifs_text[i] = own(c->src->ifs[i]);
        r->ifs[r->ifs_n++] = s;
    }
    return true;
}

static void learn(struct rule *r)
{
    r->default_regex = str_eq(r->regex_text, DEFAULT_REGEX);
    if (is_one_of(r, REPLACING)) {
        bool label_references = r->action == ACTION_REPLACE;
        r->replaced_by = expand_new(r->replacement, r->re, regex_groups(r->re), label_references);
        r->groups = expand_groups(r->replaced_by);
    }
    if (r->action == ACTION_REPLACE && str_find_char(r->target_label, '$') < r->target_label.n) {
        r->target = expand_new(r->target_label, r->re, regex_groups(r->re), false);
        size_t groups = expand_groups(r->target);
        r->groups = groups > r->groups ? groups : r->groups;
    }
    if (r->action == ACTION_GRAPHITE) {
        r->templates = xcalloc(r->labels_n, sizeof *r->templates);
        for (size_t i = 0; i < r->labels_n; i++)
            r->templates[i] = expand_new(r->labels[i].value, NULL, graphite_stars(r->graphite), false);
    }
}

static bool compile(const struct check *c)
{
    struct rule *r = c->r;
    copy_fields(r, c->src);
    if (!check_prometheus(c) || !check_vmagent(c))
        return false;
    r->re = regex_new(r->regex_text, !is_one_of(r, UNANCHORED), c->err);
    if (!r->re) {
        *c->field = RELABEL_REGEX;
        return false;
    }
    learn(r);
    return compile_ifs(c);
}

struct rule *rule_new(const struct relabel_source *src, struct err *err, enum relabel_field *field)
{
    struct rule *r = xcalloc(1, sizeof *r);
    struct check c = {.src = src, .r = r, .err = err, .field = field};
    bool ok = true;
    r->refs = 1;
    *field = 0;
    if ((src->given & RELABEL_ACTION) && src->action.n == 0) {
        ok = REFUSE(&c, RELABEL_ACTION, "relabel action cannot be empty");
    } else if ((src->given & RELABEL_ACTION) && !find_action(src->action, &r->action)) {
        ok = REFUSE(&c, RELABEL_ACTION, "unknown relabel action \"%.*s\"", STR_ARG(src->action));
    }
    ok = ok && compile(&c);
    if (!ok) {
        rule_unref(r);
        r = NULL;
    }
    return r;
}

struct rule *rule_ref(struct rule *r)
{
    __atomic_add_fetch(&r->refs, 1, __ATOMIC_RELAXED);
    return r;
}

void rule_unref(struct rule *r)
{
    if (__atomic_sub_fetch(&r->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    for (size_t i = 0; i < r->source_labels_n; i++)
        disown(r->source_labels[i]);
    for (size_t i = 0; i < r->labels_n; i++) {
        disown(r->labels[i].name);
        disown(r->labels[i].value);
        expand_free(r->templates ? r->templates[i] : NULL);
    }
    for (size_t i = 0; i < r->ifs_n; i++) {
        selector_free(r->ifs[i]);
        disown(r->ifs_text[i]);
    }
    free(r->source_labels);
    free(r->labels);
    free(r->ifs);
    free(r->ifs_text);
    disown(r->separator);
    disown(r->target_label);
    disown(r->regex_text);
    disown(r->replacement);
    disown(r->match);
    expand_free(r->target);
    expand_free(r->replaced_by);
    free(r->templates);
    regex_free(r->re);
    graphite_free(r->graphite);
    free(r);
}
