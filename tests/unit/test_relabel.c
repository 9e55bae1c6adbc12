/* SPDX-License-Identifier: Apache-2.0 */
/* test_relabel: every action, expansion, check and message of relabeling, as tables of facts. */
#include "unit.h"

#include "base/clock.h"
#include "relabel.h"

/* A rule spelled as "field=value" pairs, separated by two blanks: enough for tables. Lists are
   comma-separated. */
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
        {"source=a,b  separator=;  regex=(b).*b(.*)ba(.*)  target=a  replacement=$1$2$2$3",
         "{a=\"boo\",b=\"baaar\"}",
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
        {"source=a  regex=(?P<n>p)|(?P<n>q)  target=d  replacement=$n", "{a=\"q\"}", "{a=\"q\",d=\"q\"}"},
        {"source=a  regex=(.)(.)  target=d  replacement=$1x${9}${01}", "{a=\"pq\"}", "{a=\"pq\"}"},
        {"source=a,b  separator=  target=d", "{a=\"1\",b=\"2\"}", "{a=\"1\",b=\"2\",d=\"12\"}"},
        {"source=a  regex=x.y  target=d  replacement=dot", "{a=\"x\\ny\"}", "{a=\"x\\ny\",d=\"dot\"}"},
        {"source=a  regex=x  target=d  replacement=anchored", "{a=\"xx\"}", "{a=\"xx\"}"},
        {"source=__name__  regex=(.*)_sum  target=__name__  replacement=${1}_total", "r_sum{a=\"1\"}",
         "r_total{a=\"1\"}"},
        {"source=a  regex=(.)x  target=d  replacement=$\xc3\xa9${\xc3\xa9}$1-${}-${1-$\xe2\x82\xac",
         "{a=\"yx\"}",
         "{a=\"yx\",d=\"y-${}-${1-$\xe2\x82\xac\"}"},
        {"source=a  regex=(.+)  target=$1  replacement=v", "{a=\"\xff\"}", "{a=\"\xff\"}"},
        {"source=a  regex=  target=d  replacement=none", "{b=\"\"}", "{d=\"none\"}"},
        {"source=a  regex=^metrics$  target=d  replacement=yes", "{a=\"metrics\"}",
         "{a=\"metrics\",d=\"yes\"}"},
        {"source=tags  regex=(?:.+,|^)job:([^,]+).*  target=job",
         "{tags=\"path:/x,job:some-job,label:foo=bar\"}",
         "{job=\"some-job\",tags=\"path:/x,job:some-job,label:foo=bar\"}"},
        {"source=__address__  regex=([^:]+)(?::\\d+)?  target=__address__  replacement=${1}:9100",
         "{__address__=\"10.0.0.1:80\"}", "{__address__=\"10.0.0.1:9100\"}"},
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
        {"action=hashmod  source=a  target=d  modulus=1000", "{a=\"foo\\nbar\"}",
         "{a=\"foo\\nbar\",d=\"734\"}"},
        /* labelmap, labeldrop, labelkeep */
        {"action=labelmap  regex=(b.*)  replacement=bar_${1}", "{a=\"foo\",b1=\"1\",b2=\"2\"}",
         "{a=\"foo\",b1=\"1\",b2=\"2\",bar_b1=\"1\",bar_b2=\"2\"}"},
        /* what one label makes is nothing to the next, and of two the one later in the alphabet stays */
        {"action=labelmap  regex=(a+)  replacement=a$1", "{a=\"1\",aa=\"2\"}",
         "{a=\"1\",aa=\"1\",aaa=\"2\"}"},
        {"action=labelmap  regex=x_.  replacement=x", "{x_b=\"1\",x_a=\"2\"}",
         "{x=\"1\",x_a=\"2\",x_b=\"1\"}"},
        {"action=labelmap  regex=.*  replacement=$1", "{a=\"1\"}", "{a=\"1\"}"},
        {"action=labeldrop  regex=a  separator=;  replacement=$1", "m{a=\"1\"}", "m"},
        {"action=lowercase  source=a  target=a  replacement=$1", "{a=\"Q\"}", "{a=\"q\"}"},
        {"action=keepequal  source=a  target=b  separator=;  replacement=$1", "{a=\"1\",b=\"1\"}",
         "{a=\"1\",b=\"1\"}"},
        {"action=labelmap  regex=meta_(ws_)?(.*)  replacement=$2", "{meta_ws_x=\"1\",y=\"2\"}",
         "{meta_ws_x=\"1\",x=\"1\",y=\"2\"}"},
        {"action=labeldrop  regex=(b.*)", "m{a=\"foo\",b1=\"1\",b2=\"2\"}", "m{a=\"foo\"}"},
        {"action=labelkeep  regex=(b.*)", "m{a=\"foo\",b1=\"1\"}", "{b1=\"1\"}"},
        /* lowercase, uppercase */
        {"action=lowercase  source=a  target=b", "{a=\"BaR-\xc3\x89\"}",
         "{a=\"BaR-\xc3\x89\",b=\"bar-\xc3\xa9\"}"},
        {"action=uppercase  source=a  target=a", "{a=\"bar\xc3\xa9\"}", "{a=\"BAR\xc3\x89\"}"},
        {"action=uppercase  source=a  target=a", "{a=\"\xff\xc3\x9f\"}", "{a=\"\xef\xbf\xbd\xc3\x9f\"}"},
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
        {"action=replace_all  source=a  regex=x*  target=d  replacement=-", "{a=\"axb\"}",
         "{a=\"axb\",d=\"-a-b-\"}"},
        {"action=labelmap_all  regex=-  replacement=_", "{\"a-b-c\"=\"1\",d=\"2\"}", "{a_b_c=\"1\",d=\"2\"}"},
        {"action=labelmap_all  regex=_  replacement=", "{a_b=\"1\",ab=\"2\"}", "{ab=\"2\"}"},
        {"action=REPLACE_ALL  source=a  regex=(a)(.)  target=a  replacement=$2$1$0", "{a=\"abxac\"}",
         "{a=\"baabxcaac\"}"},
        {"action=keep_metrics  regex=foo|bar", "foo{a=\"1\"}", "foo{a=\"1\"}"},
        {"action=keep_metrics  regex=foo|bar", "baz{a=\"1\"}", "(dropped)"},
        {"action=drop_metrics  regex=foo.*", "food{a=\"1\"}", "(dropped)"},
        {"action=drop_metrics  regex=foo.*", "goo", "goo"},
        {"action=keep_if_equal  source=a,b", "{a=\"1\",b=\"1\"}", "{a=\"1\",b=\"1\"}"},
        {"action=keep_if_equal  source=a,b", "{a=\"1\",b=\"2\"}", "(dropped)"},
        {"action=drop_if_equal  source=a,b,c", "{a=\"1\",b=\"1\",c=\"1\"}", "(dropped)"},
        {"action=drop_if_equal  source=a,b,c", "{a=\"1\",b=\"1\",c=\"2\"}", "{a=\"1\",b=\"1\",c=\"2\"}"},
        {"action=keep_if_contains  target=t  source=a,b", "{t=\"x1y2\",a=\"1\",b=\"2\"}",
         "{a=\"1\",b=\"2\",t=\"x1y2\"}"},
        {"action=keep_if_contains  target=t  source=a,b", "{t=\"x1y\",a=\"1\",b=\"2\"}", "(dropped)"},
        {"action=drop_if_contains  target=t  source=a", "{t=\"x1y\",a=\"1\"}", "(dropped)"},
        {"action=drop_if_contains  target=t  source=none", "{t=\"x1y\"}", "(dropped)"},
        {"action=graphite  match=foo.*.bar.*  labels=job:$1,__name__:x_$2,all:$0",
         "{__name__=\"foo.web.bar.cpu\"}",
         "x_cpu{all=\"foo.web.bar.cpu\",job=\"web\"}"},
        {"action=graphite  match=foo.*  labels=job:$1", "{__name__=\"foo.a.b\"}", "{\"foo.a.b\"}"},
        {"source=a  target=d  replacement={{b}}-$1-{{none}}-{{", "{a=\"1\",b=\"$1\"}",
         "{a=\"1\",b=\"$1\",d=\"$1-1--{{\"}"},
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
        {"action=hashmod  source=a  modulus=8",
         "relabel configuration for hashmod action requires 'target_label' value"},
        {"action=lowercase  source=a",
         "relabel configuration for lowercase action requires 'target_label' value"},
        {"action=lowercase  source=a  target=b  replacement=c",
         "'replacement' can not be set for lowercase action"},
        {"action=keepequal  source=a  target=b  replacement=c",
         "'replacement' can not be set for keepequal action"},
        {"action=keepequal  source=a  target=b  regex=(.*)",
         "keepequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {"action=dropequal  source=a  target=b  separator=c",
         "dropequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {"action=dropequal  source=a  target=b  modulus=2",
         "dropequal action requires only 'source_labels' and `target_label`, and no other fields"},
        {"action=keepequal  source=a",
         "relabel configuration for keepequal action requires 'target_label' value"},
        {"action=dropequal  source=a",
         "relabel configuration for dropequal action requires 'target_label' value"},
        {"action=uppercase  source=a",
         "relabel configuration for uppercase action requires 'target_label' value"},
        {"action=uppercase  source=a  target=b  replacement=",
         "'replacement' can not be set for uppercase action"},
        {"action=dropequal  source=a  target=b  replacement=c",
         "'replacement' can not be set for dropequal action"},
        {"target=a\xff\"", "\"a\\xff\\\"\" is invalid 'target_label' for replace action"},
        {"action=hashmod  modulus=1  target=\xff", "\"\\xff\" is invalid 'target_label' for hashmod action"},
        {"action=labelmap  replacement=$1\xff", "\"$1\\xff\" is invalid 'replacement' for labelmap action"},
        {"action=labelmap  replacement=", "\"\" is invalid 'replacement' for labelmap action"},
        {"action=labeldrop  source=a  regex=b",
         "labeldrop action requires only 'regex', and no other fields"},
        {"action=labeldrop  separator=,  regex=b",
         "labeldrop action requires only 'regex', and no other fields"},
        {"action=labeldrop  modulus=1  regex=b",
         "labeldrop action requires only 'regex', and no other fields"},
        {"action=labelkeep  target=a  regex=b",
         "labelkeep action requires only 'regex', and no other fields"},
        {"action=labelkeep  replacement=a  regex=b",
         "labelkeep action requires only 'regex', and no other fields"},
        {"target=b  regex=(a", "error parsing regexp: missing closing ): `(a`"},
        {"target=b  regex=a**",
         "error parsing regexp: invalid nested repetition operator: `**` at character 2"},
        {"target=b  regex=x(?=y)",
         "error parsing regexp: invalid or unsupported Perl syntax: `(?=` at character 2"},
        {"target=b  regex=[b-a]x",
         "error parsing regexp: invalid character class range: `b-a` at character 2"},
        {"action=replace_all  target=b", "missing `source_labels` for `action=replace_all`"},
        {"action=replace_all  source=b", "missing `target_label` for `action=replace_all`"},
        {"action=keep_metrics  source=a,b  regex=b",
         "`source_labels` must be empty for `action=keep_metrics`; got [\"a\" \"b\"]"},
        {"action=keep_metrics", "`regex` must be non-empty for `action=keep_metrics`"},
        {"action=drop_metrics  regex=", "`regex` must be non-empty for `action=drop_metrics`"},
        {"action=keep_if_equal  source=a",
         "`source_labels` must contain at least two entries for `action=keep_if_equal`; got [\"a\"]"},
        {"action=drop_if_equal  source=a,b  target=c",
         "`target_label` cannot be used for `action=drop_if_equal`"},
        {"action=drop_if_equal  source=a,b  regex=c", "`regex` cannot be used for `action=drop_if_equal`"},
        {"action=drop_if_contains  source=a", "`target_label` must be set for `action=drop_if_contains`"},
        {"action=keep_if_contains  target=a",
         "`source_labels` must contain at least a single entry for `action=keep_if_contains`"},
        {"action=keep_if_contains  target=a  source=b  regex=c",
         "`regex` cannot be used for `action=keep_if_contains`"},
        {"action=graphite  labels=a:b", "missing `match` for `action=graphite`"},
        {"action=graphite  match=a", "missing `labels` for `action=graphite`"},
        {"action=graphite  match=a  labels=a:b  source=c",
         "`source_labels` cannot be used with `action=graphite`"},
        {"action=graphite  match=a  labels=a:b  target=c",
         "`target_label` cannot be used with `action=graphite`"},
        {"action=graphite  match=a  labels=a:b  replacement=c",
         "`replacement` cannot be used with `action=graphite`"},
        {"action=graphite  match=a  labels=a:b  regex=c", "`regex` cannot be used for `action=graphite`"},
        {"action=graphite  labels=a:b  match=*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*."
         "*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*.*",
         "`match` has too many stars"},
        {"action=drop  source=a  match=b",
         "`match` config cannot be applied to `action=drop`; it is applied only to `action=graphite`"},
        {"source=a  target=b  labels=b:c",
         "`labels` config cannot be applied to `action=replace`; it is applied only to `action=graphite`"},
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

/* A value that a backtracking engine would chew on for ever. */
static void test_a_hostile_value_is_linear(void **state)
{
    static const char *const RULES[] = {"source=a  regex=(a+)+b  target=d",
                                        "source=a  regex=(a|aa)+$  target=d  replacement=$1",
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

static void test_concat_shares_rules(void **state)
{
    struct err err = {0};
    struct relabel_rules *a = compile("target=a  replacement=1", &err);
    struct relabel_rules *b = compile("target=b  replacement=2", &err);
    struct relabel_rules *both = relabel_concat(a, b), *none = relabel_concat(NULL, NULL);
    struct labels l = {0};
    (void)state;
    relabel_free(a);
    relabel_free(b);
    assert_int_equal(relabel_count(both), 2);
    assert_int_equal(relabel_count(none), 0);
    assert_true(relabel_apply(none, &l));
    relabel_free(both);
    relabel_free(none);
}

/* "" for a rule that passes. */
static void check_legacy(const char *rule, const char *want, enum relabel_field want_field)
{
    struct err err = {0};
    enum relabel_field field = 0;
    struct relabel_rules *rules = compile(rule, &err);
    if (!rules)
        fail_msg("%s: %s", rule, err.msg);
    bool good = relabel_check_legacy(rules, 0, &field, &err);
    if (good != (*want == '\0') || (!good && (strcmp(err.msg, want) != 0 || field != want_field)))
        fail_msg("%s: %s (%d)", rule, good ? "passes" : err.msg, (int)field);
    relabel_free(rules);
}

static void test_legacy_names(void **state)
{
    /* Prometheus's TestTargetLabelLegacyValidity, and more */
    static const struct {
        const char *target;
        bool good;
    } TARGETS[] = {
        {"-label", false}, {"label", true}, {"label${1}", true}, {"${1}label", true}, {"${1}", true},
        {"${", false}, {"$", false}, {"${}", false}, {"foo${", false}, {"$1", true}, {"asd$2asd", true},
        {"-foo${1}bar-", false}, {"bar.foo${1}bar", false}, {"_${1}_", true}, {"foo${bar}foo", true},
        {"9a", false}, {"a9", true}, {"${1}9", true}, {"a$", false}, {"${a.b}", false}, {"a:b", false},
        {"gr\xc3\xb6\xc3\x9f" "e", false}, {"a${1", false}, {"$1$2", true}, {"__name__", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof TARGETS / sizeof *TARGETS; i++) {
        char rule[128], want[128] = "";
        snprintf(rule, sizeof rule, "source=a  target=%s", TARGETS[i].target);
        if (!TARGETS[i].good)
            snprintf(want, sizeof want, "\"%s\" is invalid 'target_label' for replace action", TARGETS[i].target);
        check_legacy(rule, want, RELABEL_TARGET_LABEL);
        snprintf(rule, sizeof rule, "action=labelmap  regex=(.*)  replacement=%s", TARGETS[i].target);
        if (!TARGETS[i].good)
            snprintf(want, sizeof want, "\"%s\" is invalid 'replacement' for labelmap action", TARGETS[i].target);
        check_legacy(rule, want, RELABEL_REPLACEMENT);
    }
    static const char *const PLAIN[] = {"lowercase", "uppercase", "keepequal", "dropequal"};
    for (size_t i = 0; i < sizeof PLAIN / sizeof *PLAIN; i++) {
        char rule[128], want[128];
        snprintf(rule, sizeof rule, "action=%s  source=a  target=b", PLAIN[i]);
        check_legacy(rule, "", 0);
        snprintf(rule, sizeof rule, "action=%s  source=a  target=b$1", PLAIN[i]);
        snprintf(want, sizeof want, "\"b$1\" is invalid 'target_label' for %s action", PLAIN[i]);
        check_legacy(rule, want, RELABEL_TARGET_LABEL);
    }
    check_legacy("action=hashmod  source=a  target=a.b  modulus=2",
                 "\"a.b\" is invalid 'target_label' for hashmod action", RELABEL_TARGET_LABEL);
    check_legacy("action=drop  source=a.b  regex=c", "", 0);
    check_legacy("action=labeldrop  regex=a.b", "", 0);
    check_legacy("action=replace_all  source=a  target=a.b  regex=c", "", 0);
}

/* The same rule in a list that keeps to names from before UTF-8, and in one that does not. */
static void test_legacy_list_leaves_other_names_alone(void **state)
{
    struct err err = {0};
    struct arena arena;
    struct relabel_rules *any = compile("source=a  target=$1  replacement=x", &err);
    struct relabel_rules *legacy = relabel_concat(any, NULL), *lists[] = {any, legacy};
    static const struct fact FACTS[] = {
        {"a.b", "{a=\"a.b\",\"a.b\"=\"x\"}", "{a=\"a.b\"}"},
        {"9", "{\"9\"=\"x\",a=\"9\"}", "{a=\"9\"}"},
        {"c9", "{a=\"c9\",c9=\"x\"}", "{a=\"c9\",c9=\"x\"}"},
    };
    (void)state;
    assert_non_null(any);
    relabel_set_legacy(legacy);
    arena_init(&arena);
    for (size_t i = 0; i < 2 * sizeof FACTS / sizeof *FACTS; i++) {
        const struct fact *fact = &FACTS[i / 2];
        struct labels l;
        struct buf out;
        labels_init(&l, &arena);
        buf_init(&out, 4096);
        labels_push(&l, STR("a"), str_of(fact->rule));
        assert_true(relabel_apply(lists[i % 2], &l));
        labels_sort(&l);
        labels_format(&l, &out);
        assert_string_equal(buf_c(&out), i % 2 ? fact->want : fact->in);
        buf_free(&out);
        labels_free(&l);
    }
    relabel_free(any);
    relabel_free(legacy);
    arena_free(&arena);
}

static void test_dump_is_yaml(void **state)
{
    struct err err = {0};
    struct buf out;
    struct relabel_rules *a = compile("target=a  replacement=1", &err);
    struct relabel_rules *b = compile("action=DROP  source=b,c  separator=\"  regex=x\\.y\n  if=m|{a='1'}",
                                      &err);
    struct relabel_rules *both = relabel_concat(a, b);
    struct relabel_rules *graphite = compile("action=graphite  match=a.*  labels=b:$1,c:d", &err);
    (void)state;
    buf_init(&out, 4096);
    relabel_dump(both, 2, &out);
    relabel_dump(graphite, 0, &out);
    assert_string_equal(buf_c(&out), "  - action: replace\n    target_label: \"a\"\n    replacement: \"1\"\n"
                                     "  - action: drop\n    if: [\"m\", \"{a='1'}\"]\n"
                                     "    source_labels: [\"b\", \"c\"]\n"
                                     "    separator: \"\\\"\"\n    regex: \"x\\\\.y\\n\"\n"
                                     "- action: graphite\n  match: \"a.*\"\n"
                                     "  labels: {\"b\": \"$1\", \"c\": \"d\"}\n");
    buf_free(&out);
    relabel_free(a);
    relabel_free(b);
    relabel_free(both);
    relabel_free(graphite);
}

static void note_step(void *ctx, size_t index, int line, struct str text, const struct labels *after,
                      bool changed, bool kept)
{
    buf_addf(ctx, "%zu %d %.*s n=%zu%s%s\n", index, line, STR_ARG(text), after->n, changed ? " changed" : "",
             kept ? "" : " dropped");
}

static void test_trace_tells_each_step(void **state)
{
    struct err err = {0};
    struct spelled spelled[4];
    struct relabel_source rules[4];
    static const char *const TEXTS[] = {"target=a  replacement=1", "target=a  replacement=1",
                                        "action=drop  source=a  regex=1", "target=b  replacement=1"};
    size_t bad_rule;
    enum relabel_field field;
    struct arena arena;
    struct labels l;
    struct buf out;
    (void)state;
    for (size_t i = 0; i < ROWS(TEXTS); i++) {
        spell(&spelled[i], TEXTS[i]);
        rules[i] = spelled[i].src;
        rules[i].line = (int)(10 + i);
    }
    struct relabel_rules *compiled = relabel_compile(rules, ROWS(rules), &err, &bad_rule, &field);
    assert_non_null(compiled);
    arena_init(&arena);
    labels_init(&l, &arena);
    buf_init(&out, 4096);
    assert_false(relabel_apply_traced(compiled, &l, note_step, &out));
    assert_string_equal(buf_c(&out), "0 10 action=replace target_label=\"a\" replacement=\"1\" n=1 changed\n"
                                     "1 11 action=replace target_label=\"a\" replacement=\"1\" n=1\n"
                                     "2 12 action=drop source_labels=[\"a\"] regex=\"1\" n=1 dropped\n");
    buf_free(&out);
    labels_free(&l);
    arena_free(&arena);
    relabel_free(compiled);
}

static void test_bad_rule_and_field_are_told(void **state)
{
    struct err err = {0};
    struct spelled good, bad;
    size_t bad_rule = 9;
    enum relabel_field field = 0;
    (void)state;
    spell(&good, "target=a");
    spell(&bad, "target=a  regex=(");
    struct relabel_source rules[] = {good.src, bad.src};
    assert_null(relabel_compile(rules, 2, &err, &bad_rule, &field));
    assert_int_equal(bad_rule, 1);
    assert_int_equal(field, RELABEL_REGEX);
    err_clear(&err);
    spell(&bad, "action=labeldrop  regex=a  separator=,");
    rules[0] = bad.src;
    assert_null(relabel_compile(rules, 2, &err, &bad_rule, &field));
    assert_int_equal(bad_rule, 0);
    assert_int_equal(field, RELABEL_SEPARATOR);
}

/* Labels may live on when a reload has freed the rules that made them. */
static void test_labels_outlive_their_rules(void **state)
{
    static const char *const RULES[] = {"target=made  replacement=text",
                                        "action=hashmod  target=made  modulus=1",
                                        "action=labelmap  regex=a  replacement=made", "source=a  target=made",
                                        "action=uppercase  source=a  target=made",
                                        "action=replace_all  source=a  regex=.  target=made  replacement=x",
                                        "action=graphite  match=n  labels=made:text",
                                        "source=a  target=ma${0}de  regex=v  replacement=x"};
    (void)state;
    for (size_t i = 0; i < ROWS(RULES); i++) {
        struct err err = {0};
        struct arena arena;
        struct labels l;
        arena_init(&arena);
        labels_init(&l, &arena);
        assert_true(labels_parse(&l, STR("n{a=\"v\"}"), &err));
        struct relabel_rules *rules = compile(RULES[i], &err);
        assert_true(relabel_apply(rules, &l));
        relabel_free(rules);
        assert_int_equal(l.n, 3);
        assert_int_not_equal(labels_hash(&l), 0); /* reads every byte, under ASan */
        labels_free(&l);
        arena_free(&arena);
    }
}

/* A target with tens of thousands of labels must cost a multiple of one with a thousand, not a square. */
static void test_many_labels_are_not_a_square(void **state)
{
    static const char *const RULES[] = {"action=labelmap  regex=l(.*)  replacement=m$1",
                                        "action=labelmap_all  regex=l  replacement=m",
                                        "action=labelmap  regex=l(.).*  replacement=m$1"};
    static const size_t WANT[] = {80000, 40000, 40010};
    (void)state;
    for (size_t i = 0; i < ROWS(RULES); i++) {
        struct err err = {0};
        struct arena arena;
        struct labels l;
        arena_init(&arena);
        labels_init(&l, &arena);
        for (int k = 0; k < 40000; k++)
            labels_push(&l, str_of(arena_printf(&arena, "l%d", k)), STR("v"));
        struct relabel_rules *rules = compile(RULES[i], &err);
        int64_t before = clock_cpu_ns();
        assert_true(relabel_apply(rules, &l));
        double ms = (double)(clock_cpu_ns() - before) / 1e6;
        print_message("%s: %.1f ms\n", RULES[i], ms);
        assert_int_equal(l.n, WANT[i]);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
        assert_true(ms < 300);
#endif
        relabel_free(rules);
        labels_free(&l);
        arena_free(&arena);
    }
}

/* Text is bounded however often rules double it. */
static void test_text_is_bounded(void **state)
{
    struct err err = {0};
    struct arena arena;
    struct labels l;
    (void)state;
    arena_init(&arena);
    labels_init(&l, &arena);
    labels_set(&l, STR("a"), STR("x"));
    struct relabel_rules *rules = compile("source=a  target=a  replacement=$1$1", &err);
    for (int i = 0; i < 40; i++)
        assert_true(relabel_apply(rules, &l));
    assert_int_equal(labels_get(&l, STR("a")).n, 16 << 20);
    relabel_free(rules);
    labels_free(&l);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prometheus_actions),
        cmocka_unit_test(test_vmagent_actions),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_a_hostile_value_is_linear),
        cmocka_unit_test(test_concat_shares_rules),
        cmocka_unit_test(test_legacy_names),
        cmocka_unit_test(test_legacy_list_leaves_other_names_alone),
        cmocka_unit_test(test_dump_is_yaml),
        cmocka_unit_test(test_trace_tells_each_step),
        cmocka_unit_test(test_bad_rule_and_field_are_told),
        cmocka_unit_test(test_labels_outlive_their_rules),
        cmocka_unit_test(test_many_labels_are_not_a_square),
        cmocka_unit_test(test_text_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
