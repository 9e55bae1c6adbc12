/* SPDX-License-Identifier: Apache-2.0 */
/* test_relabel: every action, expansion, check and message of relabeling, as tables of facts. */
#include "unit.h"

#include "base/clock.h"
#include "relabel.h"
#include "relabel/fastmatch.h"
#include "relabel/regex.h"
#include "relabel/selector.h"

/* A rule spelled as "field=value" pairs, separated by two blanks: enough for tables. Lists are comma-separated. */
struct spelled {
    struct relabel_source src;
    struct str sources[8];
    struct str ifs[8];
    struct label labels[8];
};

static size_t split(struct str s, char at, struct str *out, size_t max)
{
    size_t n = 0;
    while (n < max) {
        size_t end = str_find_char(s, at);
        out[n++] = str_make(s.p, end);
        if (end == s.n)
            break;
        s = str_skip(s, end + 1);
    }
    return n;
}

static void spell_field(struct spelled *r, struct str name, struct str value)
{
    struct relabel_source *src = &r->src;
    struct str pairs[8];
    if (str_eq_c(name, "action")) {
        src->action = value, src->given |= RELABEL_ACTION;
    } else if (str_eq_c(name, "source")) {
        src->source_labels_n = split(value, ',', r->sources, 8);
        src->source_labels = r->sources, src->given |= RELABEL_SOURCE_LABELS;
    } else if (str_eq_c(name, "separator")) {
        src->separator = value, src->given |= RELABEL_SEPARATOR;
    } else if (str_eq_c(name, "target")) {
        src->target_label = value, src->given |= RELABEL_TARGET_LABEL;
    } else if (str_eq_c(name, "regex")) {
        src->regex = value, src->given |= RELABEL_REGEX;
    } else if (str_eq_c(name, "modulus")) {
        src->modulus = strtoull(value.p, NULL, 10), src->given |= RELABEL_MODULUS;
    } else if (str_eq_c(name, "replacement")) {
        src->replacement = value, src->given |= RELABEL_REPLACEMENT;
    } else if (str_eq_c(name, "if")) {
        src->ifs_n = split(value, '|', r->ifs, 8);
        src->ifs = r->ifs, src->given |= RELABEL_IF;
    } else if (str_eq_c(name, "match")) {
        src->match = value, src->given |= RELABEL_MATCH;
    } else if (str_eq_c(name, "labels")) {
        src->labels_n = split(value, ',', pairs, 8);
        for (size_t i = 0; i < src->labels_n; i++) {
            size_t colon = str_find_char(pairs[i], ':');
            r->labels[i] = (struct label){str_make(pairs[i].p, colon), str_skip(pairs[i], colon + 1)};
        }
        src->labels = r->labels, src->given |= RELABEL_LABELS;
    } else {
        fail_msg("unknown field in a test: %.*s", STR_ARG(name));
    }
}

static void spell(struct spelled *r, const char *text)
{
    struct str rest = str_of(text);
    *r = (struct spelled){0};
    while (rest.n) {
        size_t end = str_find(rest, STR("  "));
        struct str field = str_make(rest.p, end);
        size_t eq = str_find_char(field, '=');
        spell_field(r, str_make(field.p, eq), str_skip(field, eq + 1));
        rest = str_skip(rest, end + 2);
    }
}

static struct relabel_rules *compile(const char *text, struct err *err)
{
    size_t bad_rule;
    enum relabel_field field;
    struct spelled r;
    spell(&r, text);
    return relabel_compile(&r.src, 1, err, &bad_rule, &field);
}

static void check(const char *rule, const char *in, const char *want)
{
    struct err err = {0};
    struct arena arena;
    struct labels l;
    struct buf out;
    arena_init(&arena);
    labels_init(&l, &arena);
    buf_init(&out, 1 << 20);
    struct relabel_rules *rules = compile(rule, &err);
    if (!rules)
        fail_msg("%s: %s", rule, err.msg);
    if (!labels_parse(&l, str_of(in), &err))
        fail_msg("%s: %s", in, err.msg);
    if (relabel_apply(rules, &l)) {
        labels_sort(&l);
        labels_format(&l, &out);
    } else {
        buf_add_c(&out, "(dropped)");
    }
    if (strcmp(buf_c(&out), want) != 0)
        fail_msg("%s\n  on   %s\n  want %s\n  got  %s", rule, in, want, buf_c(&out));
    relabel_free(rules);
    buf_free(&out);
    labels_free(&l);
    arena_free(&arena);
}

struct fact {
    const char *rule, *in, *want;
};

static void check_all(const struct fact *facts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        check(facts[i].rule, facts[i].in, facts[i].want);
}

static void test_prometheus_actions(void **state)
{
    static const struct fact FACTS[] = {
        /* replace */
        {"source=a  regex=f(.*)  target=d  replacement=ch${1}-ch${1}", "{a=\"foo\",b=\"bar\"}",
         "{a=\"foo\",b=\"bar\",d=\"choo-choo\"}"},
        {"source=a,b  separator=;  regex=(b).*b(.*)ba(.*)  target=a  replacement=$1$2$2$3", "{a=\"boo\",b=\"baaar\"}",
         "{a=\"boo\",b=\"baaar\"}"},
        {"source=a,b  regex=f(.*);(.*)r  target=a  replacement=b${1}${2}m", "{a=\"foo\",b=\"bar\",c=\"baz\"}",
         "{a=\"boobam\",b=\"bar\",c=\"baz\"}"},
        {"source=a  regex=.*(b).*  target=d  replacement=$1", "{a=\"foo\"}", "{a=\"foo\"}"},
        {"source=a  target=d", "{a=\"x\"}", "{a=\"x\",d=\"x\"}"},
        {"target=d  replacement=const", "m{a=\"x\"}", "m{a=\"x\",d=\"const\"}"},
        {"target=a  replacement=", "m{a=\"x\"}", "m"},
        {"source=none  target=a", "m{a=\"x\"}", "m"},
        {"source=a  regex=f|.*  target=d  replacement=foo${1}foo", "{a=\"foo\"}", "{a=\"foo\",d=\"foofoo\"}"},
        {"source=a  regex=some-([^-]+)-([^,]+)  target=${1}  replacement=${2}", "{a=\"some-name-value\"}",
         "{a=\"some-name-value\",name=\"value\"}"},
        {"source=a  regex=some-([^-]*)-([^,]+)  target=${1}  replacement=${2}", "{a=\"some--value\"}",
         "{a=\"some--value\"}"},
        {"source=a  regex=(?P<x>.)(.)  target=d  replacement=$x-${x}-$2-$2x-$$-$", "{a=\"pq\"}",
         "{a=\"pq\",d=\"p-p-q--$-$\"}"},
        {"source=a  regex=(.)(.)  target=d  replacement=$1x${9}${01}", "{a=\"pq\"}", "{a=\"pq\"}"},
        {"source=a,b  separator=  target=d", "{a=\"1\",b=\"2\"}", "{a=\"1\",b=\"2\",d=\"12\"}"},
        {"source=a  regex=x.y  target=d  replacement=dot", "{a=\"x\\ny\"}", "{a=\"x\\ny\",d=\"dot\"}"},
        {"source=a  regex=x  target=d  replacement=anchored", "{a=\"xx\"}", "{a=\"xx\"}"},
        {"source=__name__  regex=(.*)_sum  target=__name__  replacement=${1}_total", "r_sum{a=\"1\"}", "r_total{a=\"1\"}"},
        {"source=a  target=\xc3\xa9t\xc3\xa9", "{a=\"x\"}", "{a=\"x\",\"\xc3\xa9t\xc3\xa9\"=\"x\"}"},
        /* keep, drop */
        {"action=keep  source=a  regex=foo|bar", "{a=\"foo\"}", "{a=\"foo\"}"},
        {"action=keep  source=a  regex=foo|bar", "{a=\"foobar\"}", "(dropped)"},
        {"action=keep  source=none  regex=foo", "{a=\"foo\"}", "(dropped)"},
        {"action=drop  source=a  regex=.*o.*", "{a=\"foo\"}", "(dropped)"},
        {"action=drop  source=a  regex=f", "{a=\"foo\"}", "{a=\"foo\"}"},
        {"action=drop  source=a", "{a=\"foo\"}", "(dropped)"},
        {"action=KEEP  source=a  regex=foo", "{a=\"foo\"}", "{a=\"foo\"}"},
        /* keepequal, dropequal */
        {"action=keepequal  source=a  target=b", "{a=\"1\",b=\"1\"}", "{a=\"1\",b=\"1\"}"},
        {"action=keepequal  source=a  target=b", "{a=\"1\",b=\"2\"}", "(dropped)"},
        {"action=keepequal  source=none  target=nothing", "{a=\"1\"}", "{a=\"1\"}"},
        {"action=dropequal  source=a  target=b", "{a=\"1\",b=\"1\"}", "(dropped)"},
        {"action=dropequal  source=a  target=b", "{a=\"1\",b=\"2\"}", "{a=\"1\",b=\"2\"}"},
        /* hashmod: MD5, last 8 bytes, big endian */
        {"action=hashmod  source=c  target=d  modulus=1000", "{c=\"baz\"}", "{c=\"baz\",d=\"976\"}"},
        {"action=hashmod  source=a  target=d  modulus=1000", "{a=\"foo\\nbar\"}", "{a=\"foo\\nbar\",d=\"734\"}"},
        /* labelmap, labeldrop, labelkeep */
        {"action=labelmap  regex=(b.*)  replacement=bar_${1}", "{a=\"foo\",b1=\"1\",b2=\"2\"}",
         "{a=\"foo\",b1=\"1\",b2=\"2\",bar_b1=\"1\",bar_b2=\"2\"}"},
        {"action=labelmap  regex=meta_(ws_)?(.*)  replacement=$2", "{meta_ws_x=\"1\",y=\"2\"}",
         "{meta_ws_x=\"1\",x=\"1\",y=\"2\"}"},
        {"action=labeldrop  regex=(b.*)", "m{a=\"foo\",b1=\"1\",b2=\"2\"}", "m{a=\"foo\"}"},
        {"action=labelkeep  regex=(b.*)", "m{a=\"foo\",b1=\"1\"}", "{b1=\"1\"}"},
        /* lowercase, uppercase */
        {"action=lowercase  source=a  target=b", "{a=\"BaR-\xc3\x89\"}", "{a=\"BaR-\xc3\x89\",b=\"bar-\xc3\xa9\"}"},
        {"action=uppercase  source=a  target=a", "{a=\"bar\xc3\xa9\"}", "{a=\"BAR\xc3\x89\"}"},
        {"action=uppercase  source=none  target=a", "m{a=\"bar\"}", "m"},
    };
    (void)state;
    check_all(FACTS, ROWS(FACTS));
}

static void test_vmagent_actions(void **state)
{
    static const struct fact FACTS[] = {
        {"action=replace_all  source=a  regex=-  target=a  replacement=_", "{a=\"x-y-z\"}", "{a=\"x_y_z\"}"},
        {"action=replace_all  source=a  regex=(\\w)b  target=d  replacement=<$1>", "{a=\"ab cb d\"}",
         "{a=\"ab cb d\",d=\"<a> <c> d\"}"},
        {"action=replace_all  source=a  regex=q  target=d  replacement=x", "{a=\"abc\"}", "{a=\"abc\"}"},
        {"action=replace_all  source=a  regex=x*  target=d  replacement=-", "{a=\"axb\"}", "{a=\"axb\",d=\"-a-b-\"}"},
        {"action=labelmap_all  regex=-  replacement=_", "{\"a-b-c\"=\"1\",d=\"2\"}", "{a_b_c=\"1\",d=\"2\"}"},
        {"action=keep_metrics  regex=foo|bar", "foo{a=\"1\"}", "foo{a=\"1\"}"},
        {"action=keep_metrics  regex=foo|bar", "baz{a=\"1\"}", "(dropped)"},
        {"action=drop_metrics  regex=foo.*", "food{a=\"1\"}", "(dropped)"},
        {"action=drop_metrics  regex=foo.*", "goo", "goo"},
        {"action=keep_if_equal  source=a,b", "{a=\"1\",b=\"1\"}", "{a=\"1\",b=\"1\"}"},
        {"action=keep_if_equal  source=a,b", "{a=\"1\",b=\"2\"}", "(dropped)"},
        {"action=drop_if_equal  source=a,b,c", "{a=\"1\",b=\"1\",c=\"1\"}", "(dropped)"},
        {"action=drop_if_equal  source=a,b,c", "{a=\"1\",b=\"1\",c=\"2\"}", "{a=\"1\",b=\"1\",c=\"2\"}"},
        {"action=keep_if_contains  target=t  source=a,b", "{t=\"x1y2\",a=\"1\",b=\"2\"}", "{a=\"1\",b=\"2\",t=\"x1y2\"}"},
        {"action=keep_if_contains  target=t  source=a,b", "{t=\"x1y\",a=\"1\",b=\"2\"}", "(dropped)"},
        {"action=drop_if_contains  target=t  source=a", "{t=\"x1y\",a=\"1\"}", "(dropped)"},
        {"action=drop_if_contains  target=t  source=none", "{t=\"x1y\"}", "(dropped)"},
        {"action=graphite  match=foo.*.bar.*  labels=job:$1,__name__:x_$2,all:$0", "{__name__=\"foo.web.bar.cpu\"}",
         "x_cpu{all=\"foo.web.bar.cpu\",job=\"web\"}"},
        {"action=graphite  match=foo.*  labels=job:$1", "{__name__=\"foo.a.b\"}", "{\"foo.a.b\"}"},
        {"source=a  target=d  replacement={{b}}-$1-{{none}}-{{", "{a=\"1\",b=\"$1\"}", "{a=\"1\",b=\"$1\",d=\"$1-1--{{\"}"},
        /* if */
        {"target=d  replacement=x  if={a=\"1\"}", "{a=\"1\"}", "{a=\"1\",d=\"x\"}"},
        {"target=d  replacement=x  if={a=\"2\"}", "{a=\"1\"}", "{a=\"1\"}"},
        {"target=d  replacement=x  if=n|m{a=~\"1.\"}", "m{a=\"12\"}", "m{a=\"12\",d=\"x\"}"},
        {"action=keep  if=m", "m{a=\"1\"}", "m{a=\"1\"}"},
        {"action=keep  if=m", "n{a=\"1\"}", "(dropped)"},
        {"action=drop  if=m{a!~\"x.*\"}", "m{a=\"1\"}", "(dropped)"},
        {"action=drop  if=m{a!~\"x.*\"}", "m{a=\"x1\"}", "m{a=\"x1\"}"},
        {"action=drop  if={a=\"1\" or b=\"2\"}", "m{b=\"2\"}", "(dropped)"},
        {"action=drop  if={a=\"1\" or b=\"2\"}", "m{b=\"3\"}", "m{b=\"3\"}"},
        {"action=drop  if={a=\"1\",b=\"2\"}", "m{b=\"2\"}", "m{b=\"2\"}"},
    };
    (void)state;
    check_all(FACTS, ROWS(FACTS));
}

static void test_messages(void **state)
{
    static const struct {
        const char *rule, *want;
    } FACTS[] = {
        {"action=", "relabel action cannot be empty"},
        {"action=nope", "unknown relabel action \"nope\""},
        {"source=a", "relabel configuration for replace action requires 'target_label' value"},
        {"action=hashmod  source=a  target=b", "relabel configuration for hashmod requires non-zero modulus"},
        {"action=hashmod  source=a  modulus=8", "relabel configuration for hashmod action requires 'target_label' value"},
        {"action=lowercase  source=a", "relabel configuration for lowercase action requires 'target_label' value"},
        {"action=lowercase  source=a  target=b  replacement=c", "'replacement' can not be set for lowercase action"},
        {"action=keepequal  source=a  target=b  replacement=c", "'replacement' can not be set for keepequal action"},
        {"action=keepequal  source=a  target=b  regex=c",
         "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {"action=dropequal  source=a  target=b  separator=c",
         "dropequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {"action=labeldrop  source=a  regex=b", "labeldrop action requires only 'regex', and no other fields"},
        {"action=labelkeep  target=a  regex=b", "labelkeep action requires only 'regex', and no other fields"},
        {"action=labelmap  replacement=", "\"\" is invalid 'replacement' for labelmap action"},
        {"target=b  regex=(a", "error parsing regexp: missing closing ): `(a` at character 1"},
        {"target=b  regex=a**", "error parsing regexp: invalid nested repetition operator: `**` at character 2"},
        {"target=b  regex=x(?=y)", "error parsing regexp: invalid or unsupported Perl syntax: `(?=` at character 2"},
        {"target=b  regex=x\\C", "error parsing regexp: invalid escape sequence: `\\C` at character 2"},
        {"target=b  regex=[b-a]", "error parsing regexp: invalid character class range: `b-a` at character 2"},
        {"action=replace_all  target=b", "missing `source_labels` for `action=replace_all`"},
        {"action=keep_metrics  source=a  regex=b", "`source_labels` cannot be used for `action=keep_metrics`"},
        {"action=keep_metrics", "missing `regex` for `action=keep_metrics`"},
        {"action=keep_if_equal  source=a", "`source_labels` must contain at least two entries for `action=keep_if_equal`"},
        {"action=drop_if_contains  source=a", "missing `target_label` for `action=drop_if_contains`"},
        {"action=graphite  labels=a:b", "missing `match` for `action=graphite`"},
        {"action=drop  source=a  match=b", "`match` cannot be applied to `action=drop`, only to `action=graphite`"},
        {"action=drop  if={a=b}", "cannot parse `if` selector: column 4: a value in quotes is expected"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        struct relabel_rules *rules = compile(FACTS[i].rule, &err);
        assert_null(rules);
        if (strcmp(err.msg, FACTS[i].want) != 0)
            fail_msg("%s\n  want %s\n  got  %s", FACTS[i].rule, FACTS[i].want, err.msg);
    }
}

static void test_fast_patterns_agree_with_the_engine(void **state)
{
    static const char *const FAST[] = {"", "foo", "foo.*", "foo.+", ".*foo", ".+foo", ".*foo.*", ".+foo.+", ".+foo.*",
                                       ".*", ".+", "a|b|foo", "(foo|bar)", "(?:foo)", "(.*)", "(.+)", "a\\.b", "|a",
                                       "foo\\|bar.*", "(foo.*)", "f-o/o:1"};
    static const char *const PIECES[] = {"foo", "a", "b", "bar", "\n", "\xff", "\xc3\xa9", ".", "f", "o", "", "a.b",
                                         "foo|bar", "f-o/o:1"};
    unsigned seed = 7;
    (void)state;
    for (size_t i = 0; i < ROWS(FAST); i++) {
        struct err err = {0};
        struct regex *re = regex_new(str_of(FAST[i]), true, &err);
        assert_non_null(re);
        assert_true(regex_is_fast(re) || strchr(FAST[i], '\\') || FAST[i][0] == '\0');
        for (int round = 0; round < 500; round++) {
            char subject[64] = "";
            size_t n = 0;
            for (int k = rand_r(&seed) % 4; k >= 0; k--) {
                const char *piece = PIECES[(size_t)rand_r(&seed) % ROWS(PIECES)];
                memcpy(subject + n, piece, strlen(piece));
                n += strlen(piece);
            }
            struct str s = str_make(subject, n);
            if (regex_matches(re, s) != regex_matches_engine(re, s))
                fail_msg("%s on \"%.*s\": the fast path says %d", FAST[i], STR_ARG(s), regex_matches(re, s));
        }
        regex_free(re);
    }
}

static void test_not_fast(void **state)
{
    static const char *const SLOW[] = {"fo?o", "[a-c]", "foo$|b", "(a)(b)", ".*a.*b", "(?i)foo", "a{2}", "\\d", ".", "a.b"};
    (void)state;
    for (size_t i = 0; i < ROWS(SLOW); i++) {
        struct err err = {0};
        struct regex *re = regex_new(str_of(SLOW[i]), true, &err);
        assert_non_null(re);
        assert_false(regex_is_fast(re));
        regex_free(re);
    }
}

static void test_broken_utf8_is_seen_as_go_sees_it(void **state)
{
    struct err err = {0};
    struct regex_match m;
    struct regex *re = regex_new(STR("a(.)(..)c"), true, &err);
    (void)state;
    assert_non_null(re);
    assert_true(regex_match_groups(re, STR("a\xff\xc3\xa9\xfe" "c"), 3, &m));
    assert_true(str_eq(m.group[1], STR("\xff")));
    assert_true(str_eq(m.group[2], STR("\xc3\xa9\xfe")));
    regex_free(re);
}

/* A value that a backtracking engine would chew on for ever. */
static void test_a_hostile_value_is_linear(void **state)
{
    static const char *const RULES[] = {"source=a  regex=(a+)+b  target=d", "source=a  regex=(a|aa)+$  target=d  replacement=$1",
                                        "source=a  regex=(a*)*(a*)*(a*)*b  target=d  replacement=$3",
                                        "action=replace_all  source=a  regex=a+b|x  target=d  replacement=-",
                                        "action=drop  source=a  regex=.*.*.*.*=.*"};
    size_t n = 1 << 20;
    char *value = malloc(n);
    (void)state;
    memset(value, 'a', n);
    for (size_t i = 0; i < ROWS(RULES); i++) {
        struct err err = {0};
        struct arena arena;
        struct labels l;
        arena_init(&arena);
        labels_init(&l, &arena);
        labels_set(&l, STR("a"), str_make(value, n));
        struct relabel_rules *rules = compile(RULES[i], &err);
        assert_non_null(rules);
        int64_t before = clock_cpu_ns();
        bool kept = relabel_apply(rules, &l);
        double ms = (double)(clock_cpu_ns() - before) / 1e6;
        assert_true(kept);
        print_message("%s: %.1f ms\n", RULES[i], ms);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(ms < 100);
#endif
        relabel_free(rules);
        labels_free(&l);
        arena_free(&arena);
    }
    free(value);
}

static void test_notation(void **state)
{
    static const struct {
        const char *in, *want;
    } FACTS[] = {
        {"m", "m"},
        {"m{}", "m"},
        {"{}", "{}"},
        {" m { b = \"2\" , a=\"1\", } ", "m{b=\"2\",a=\"1\"}"},
        {"{\"m.x\",\"a b\"=\"1\"}", "{\"m.x\",\"a b\"=\"1\"}"},
        {"{a=\"q\\\"\\\\\\n\\x\"}", "{a=\"q\\\"\\\\\\n\\\\x\"}"},
        {"m{a=\"1\"", "!column 8: ',' or '}' is expected"},
        {"m{a=1}", "!column 5: a value in double quotes is expected"},
        {"m{a=\"1\",a=\"2\"}", "!column 13: label \"a\" stands twice"},
        {"m{a=\"1}", "!column 5: a quoted string does not end"},
        {"m x", "!column 3: nothing more is expected here"},
        {"", "!column 1: a series is expected"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        struct arena arena;
        struct labels l;
        struct buf out;
        arena_init(&arena);
        labels_init(&l, &arena);
        buf_init(&out, 4096);
        if (labels_parse(&l, str_of(FACTS[i].in), &err))
            labels_format(&l, &out);
        else
            buf_addf(&out, "!%s", err.msg);
        assert_string_equal(buf_c(&out), FACTS[i].want);
        buf_free(&out);
        labels_free(&l);
        arena_free(&arena);
    }
}

static void test_hash_ignores_order_and_keeps_borders(void **state)
{
    struct labels a = {0}, b = {0}, c = {0};
    (void)state;
    labels_set(&a, STR("x"), STR("1"));
    labels_set(&a, STR("y"), STR("2"));
    labels_set(&b, STR("y"), STR("2"));
    labels_set(&b, STR("x"), STR("1"));
    labels_set(&c, STR("x"), STR("1y"));
    labels_set(&c, STR(""), STR("2"));
    assert_int_equal(labels_hash(&a), labels_hash(&b));
    assert_int_not_equal(labels_hash(&a), labels_hash(&c));
    labels_free(&a);
    labels_free(&b);
    labels_free(&c);
}

static void test_concat_shares_rules(void **state)
{
    struct err err = {0};
    struct relabel_rules *a = compile("target=a  replacement=1", &err), *b = compile("target=b  replacement=2", &err);
    struct relabel_rules *both = relabel_concat(a, b), *none = relabel_concat(NULL, NULL);
    struct buf out;
    (void)state;
    relabel_free(a);
    relabel_free(b);
    assert_int_equal(relabel_count(both), 2);
    assert_int_equal(relabel_count(none), 0);
    buf_init(&out, 4096);
    relabel_dump(both, 2, &out);
    assert_string_equal(buf_c(&out), "  - action: replace\n    target_label: \"a\"\n    replacement: \"1\"\n"
                                     "  - action: replace\n    target_label: \"b\"\n    replacement: \"2\"\n");
    buf_free(&out);
    relabel_free(both);
    relabel_free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus_actions),
        cmocka_unit_test(test_vmagent_actions),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_fast_patterns_agree_with_the_engine),
        cmocka_unit_test(test_not_fast),
        cmocka_unit_test(test_broken_utf8_is_seen_as_go_sees_it),
        cmocka_unit_test(test_a_hostile_value_is_linear),
        cmocka_unit_test(test_notation),
        cmocka_unit_test(test_hash_ignores_order_and_keeps_borders),
        cmocka_unit_test(test_concat_shares_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
