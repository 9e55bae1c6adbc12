/* SPDX-License-Identifier: Apache-2.0 */
/* rule: from the spelling of a rule to a compiled one, with the checks and the words of Prometheus and, for its own
   actions, vmagent's. */
#include "rule.h"

#include "base/alloc.h"
#include "expand.h"

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

/* The first written field among `fields`, for the place of an error. */
static enum relabel_field written(const struct check *c, unsigned fields)
{
    unsigned hit = c->src->given & fields;
    return (enum relabel_field)(hit & (0u - hit));
}

static bool check_target(const struct check *c)
{
    const char *name = rule_action_name(c->r->action);
    struct str target = c->src->target_label;
    if (target.n == 0)
        return REFUSE(c, c->src->given & RELABEL_TARGET_LABEL ? RELABEL_TARGET_LABEL : 0,
                      "relabel configuration for %s action requires 'target_label' value", name);
    if (!str_is_utf8(target))
        return REFUSE(c, RELABEL_TARGET_LABEL, "\"%.*s\" is invalid 'target_label' for %s action", STR_ARG(target), name);
    return true;
}

/* Prometheus's Validate, in its order. */
static bool check_prometheus(const struct check *c)
{
    const struct rule *r = c->r;
    const char *name = rule_action_name(r->action);
    unsigned given = c->src->given;
    unsigned not_for_equals = RELABEL_REGEX | RELABEL_MODULUS | RELABEL_SEPARATOR;
    unsigned not_for_names = RELABEL_SOURCE_LABELS | RELABEL_TARGET_LABEL | RELABEL_MODULUS | RELABEL_SEPARATOR |
                             RELABEL_REPLACEMENT;
    if (r->action == ACTION_HASHMOD && c->src->modulus == 0)
        return REFUSE(c, given & RELABEL_MODULUS ? RELABEL_MODULUS : 0,
                      "relabel configuration for hashmod requires non-zero modulus");
    if (is_one_of(r, NEED_TARGET) && !check_target(c))
        return false;
    if (is_one_of(r, CASES | EQUALS) && (given & RELABEL_REPLACEMENT))
        return REFUSE(c, RELABEL_REPLACEMENT, "'replacement' can not be set for %s action", name);
    if (r->action == ACTION_LABELMAP && r->replacement.n == 0)
        return REFUSE(c, RELABEL_REPLACEMENT, "\"\" is invalid 'replacement' for labelmap action");
    if (is_one_of(r, EQUALS) && (given & not_for_equals))
        return REFUSE(c, written(c, not_for_equals),
                      "%s action requires only 'source_labels' and `target_label`, and no other fields", name);
    if (is_one_of(r, BIT(ACTION_LABELDROP) | BIT(ACTION_LABELKEEP)) && (given & not_for_names))
        return REFUSE(c, written(c, not_for_names), "%s action requires only 'regex', and no other fields", name);
    return true;
}

static bool require(const struct check *c, bool present, const char *field)
{
    return present || REFUSE(c, 0, "missing `%s` for `action=%s`", field, rule_action_name(c->r->action));
}

static bool forbid(const struct check *c, enum relabel_field bit, const char *field)
{
    return !(c->src->given & bit) ||
           REFUSE(c, bit, "`%s` cannot be used for `action=%s`", field, rule_action_name(c->r->action));
}

static bool check_graphite(const struct check *c)
{
    return require(c, c->src->match.n > 0, "match") && require(c, c->src->labels_n > 0, "labels") &&
           forbid(c, RELABEL_SOURCE_LABELS, "source_labels") && forbid(c, RELABEL_TARGET_LABEL, "target_label") &&
           forbid(c, RELABEL_REPLACEMENT, "replacement") && forbid(c, RELABEL_REGEX, "regex");
}

static bool check_vmagent(const struct check *c)
{
    const struct relabel_source *src = c->src;
    const char *name = rule_action_name(c->r->action);
    unsigned only_graphite = RELABEL_MATCH | RELABEL_LABELS;
    if (c->r->action != ACTION_GRAPHITE && (src->given & only_graphite))
        return REFUSE(c, written(c, only_graphite), "`%s` cannot be applied to `action=%s`, only to `action=graphite`",
                      src->given & RELABEL_MATCH ? "match" : "labels", name);
    switch (c->r->action) {
    case ACTION_REPLACE_ALL:
        return require(c, src->source_labels_n > 0, "source_labels") && require(c, src->target_label.n > 0, "target_label");
    case ACTION_KEEP_METRICS:
    case ACTION_DROP_METRICS:
        return forbid(c, RELABEL_SOURCE_LABELS, "source_labels") &&
               require(c, src->regex.n > 0 || src->ifs_n > 0, "regex");
    case ACTION_KEEP_IF_EQUAL:
    case ACTION_DROP_IF_EQUAL:
        if (src->source_labels_n < 2)
            return REFUSE(c, src->given & RELABEL_SOURCE_LABELS,
                          "`source_labels` must contain at least two entries for `action=%s`", name);
        return forbid(c, RELABEL_TARGET_LABEL, "target_label") && forbid(c, RELABEL_REGEX, "regex");
    case ACTION_KEEP_IF_CONTAINS:
    case ACTION_DROP_IF_CONTAINS:
        return require(c, src->target_label.n > 0, "target_label") &&
               require(c, src->source_labels_n > 0, "source_labels") && forbid(c, RELABEL_REGEX, "regex");
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

static bool has(struct str s, const char *needle)
{
    return str_find(s, str_of(needle)) < s.n;
}

static void learn(struct rule *r)
{
    struct str t = r->replacement;
    size_t for_target = expand_groups_needed(r->target_label, r->re);
    size_t for_replacement = expand_groups_needed(t, r->re);
    r->default_regex = str_eq(r->regex_text, DEFAULT_REGEX);
    r->target_refers = has(r->target_label, "$");
    r->replacement_refers = has(t, "$");
    r->replacement_is_whole = r->default_regex && (str_eq(t, STR("$1")) || str_eq(t, STR("${1}")));
    r->replacement_labels = has(t, "{{");
    r->groups = for_target > for_replacement ? for_target : for_replacement;
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
    if (r->action == ACTION_GRAPHITE)
        r->graphite = graphite_new(r->match);
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
    regex_free(r->re);
    graphite_free(r->graphite);
    free(r);
}
