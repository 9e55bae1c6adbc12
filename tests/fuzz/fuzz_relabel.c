/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_relabel: patterns on values, selectors, and series in their notation. Beyond not crashing, the fast
   paths must say what the engine says, and a series must survive being written and read again.

   Input: a letter that chooses, then fields separated by NUL bytes. r pattern value: a regex; a action regex
   replacement series: a rule; s selector series; l series. */
#include "relabel.h"
#include "relabel/regex.h"
#include "selector.h"

#include <stdint.h>
#include <stdlib.h>

#define TEXT_LIMIT (1 << 20)

static struct str take_field(struct str *rest)
{
    size_t end = str_find_char(*rest, '\0');
    struct str field = str_make(rest->p, end);
    *rest = str_skip(*rest, end + 1);
    return field;
}

static void must(bool held)
{
    if (!held)
        abort();
}

static void check_groups(struct str value, const struct regex_match *m)
{
    for (size_t i = 0; i < m->n; i++) {
        const char *p = m->group[i].p;
        must(!p || m->group[i].n == 0 || (p >= value.p && p + m->group[i].n <= value.p + value.n));
    }
}

static void note_match(void *ctx, const struct regex_match *m)
{
    check_groups(*(struct str *)ctx, m);
}

static void fuzz_regex(struct str rest)
{
    struct err err = {0};
    struct str pattern = take_field(&rest);
    struct regex *re = regex_new(pattern, true, &err);
    must(re || err_is(&err));
    if (re) {
        struct regex_match fast = {.n = 0}, slow = {.n = 0};
        bool hit = regex_match_groups(re, rest, REGEX_GROUPS_MAX, &fast);
        must(hit == regex_matches(re, rest));
        must(hit == regex_match_engine(re, rest, REGEX_GROUPS_MAX, &slow));
        if (hit) {
            check_groups(rest, &fast);
            must(fast.n == slow.n);
            for (size_t i = 0; i < fast.n; i++)
                must(str_eq(fast.group[i], slow.group[i]) && !fast.group[i].p == !slow.group[i].p);
        }
        regex_free(re);
    }
    re = regex_new(pattern, false, &err);
    if (re)
        (void)!regex_each(re, rest, REGEX_GROUPS_MAX, note_match, &rest);
    regex_free(re);
}

static void fuzz_rule(struct str rest, struct labels *l)
{
    struct err err = {0};
    size_t bad_rule;
    enum relabel_field bad_field;
    struct str sources[] = {STR("a"), STR("b")};
    struct label templates[] = {{STR("g"), STR_NULL}};
    struct relabel_source src = {.given = RELABEL_ACTION, .source_labels = sources, .source_labels_n = 2};
    src.action = take_field(&rest);
    src.regex = take_field(&rest);
    src.replacement = take_field(&rest);
    src.target_label = STR("t$1");
    src.modulus = 7;
    src.given |= src.regex.n ? RELABEL_REGEX : 0;
    src.given |= src.replacement.n ? RELABEL_REPLACEMENT : 0;
    if (str_eq_c(src.action, "graphite")) {
        src.match = src.regex;
        templates[0].value = src.replacement;
        src.labels = templates;
        src.labels_n = 1;
        src.source_labels_n = 0;
        src.target_label = STR_NULL;
        src.given = RELABEL_ACTION | RELABEL_MATCH | RELABEL_LABELS;
    } else if (str_starts(src.action, STR("label"))) {
        src.source_labels_n = 0;
        src.target_label = STR_NULL;
        src.modulus = 0;
    }
    struct relabel_rules *rules = relabel_compile(&src, 1, &err, &bad_rule, &bad_field);
    must(rules || err_is(&err));
    if (rules && labels_parse(l, rest, &err)) {
        struct buf dump;
        buf_init(&dump, TEXT_LIMIT);
        relabel_dump(rules, 2, &dump);
        buf_free(&dump);
        if (relabel_apply(rules, l)) {
            for (size_t i = 0; i < l->n; i++)
                must(l->v[i].name.n && l->v[i].value.n);
        }
    }
    relabel_free(rules);
}

static void fuzz_selector(struct str rest, struct labels *l)
{
    struct err err = {0};
    struct selector *s = selector_new(take_field(&rest), &err);
    must(s || err_is(&err));
    if (s && labels_parse(l, rest, &err))
        (void)selector_matches(s, l);
    selector_free(s);
}

static void fuzz_labels(struct str rest, struct labels *l)
{
    struct err err = {0};
    struct labels again;
    struct buf out;
    if (!labels_parse(l, rest, &err)) {
        must(err_is(&err));
        return;
    }
    labels_init(&again, l->arena);
    buf_init(&out, TEXT_LIMIT);
    labels_format(l, &out);
    must(out.overflow || (labels_parse(&again, buf_str(&out), &err) &&
                          labels_hash(l) == labels_hash(&again)));
    buf_free(&out);
    labels_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    struct labels l;
    if (size == 0)
        return 0;
    struct str rest = str_make((const char *)data + 1, size - 1);
    arena_init(&arena);
    labels_init(&l, &arena);
    switch (data[0]) {
    case 'r':
        fuzz_regex(rest);
        break;
    case 'a':
        fuzz_rule(rest, &l);
        break;
    case 's':
        fuzz_selector(rest, &l);
        break;
    default:
        fuzz_labels(rest, &l);
        break;
    }
    labels_free(&l);
    arena_free(&arena);
    return 0;
}
