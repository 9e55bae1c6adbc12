/* SPDX-License-Identifier: Apache-2.0 */
/* test_http_sd: what an HTTP service lists, as label sets; and lists that replace each other. */
#include "sd_sets.h"

#include "scrape/discovery/http_groups.h"
#include "scrape/discovery/sd_get.h"

#define URL "http://sd/t"
#define META "__meta_url=" URL

static bool read_groups(struct str body, struct discovery_sets *sets, struct err *err)
{
    return http_groups_read(body, URL, sets, err);
}

static const struct sd_case bodies[] = {
    {"[]", ""},
    {" null ", ""},
    {"[{}]", ""},
    {"[{\"targets\": null, \"labels\": null}]", ""},
    {"[{\"targets\": [\"a:1\", \"b:2\"], \"labels\": {\"x\": \"y\", \"empty\": \"\"}}, {\"targets\": [\"c:3\"]}]",
     "{__address__=a:1," META ",x=y}\n{__address__=b:2," META ",x=y}\n{__address__=c:3," META "}\n"},
    {"[{\"labels\": {\"__address__\": \"z\", \"__meta_url\": \"z\"}, \"targets\": [\"a:1\"]}]",
     "{__address__=a:1," META "}\n"},
    {"[{\"targets\": [\"a:1\"], \"labels\": {\"gr\xc3\xb6\xc3\x9f" "e\": \"\xc3\xbc\"}}]",
     "{__address__=a:1," META ",gr\xc3\xb6\xc3\x9f" "e=\xc3\xbc}\n"},
    {"", "!not JSON: line 1 column 0"},
    {"<html>", "!not JSON: line 1 column 1"},
    {"[{\"targets\": [\"a:1\"]}", "!not JSON"},
    {"[] []", "!not JSON"},
    {"[{\"targets\": [\"\xff\"]}]", "!not JSON"},
    {"{\"targets\": [\"a:1\"]}", "!want a list of target groups, not an object"},
    {"7", "!want a list of target groups, not a number"},
    {"[{\"targets\": [\"a:1\"]}, null]", "!group 2: nil target group item found"},
    {"[\"a:1\"]", "!group 1: want an object, not a string"},
    {"[{\"targets\": \"a:1\"}]", "!group 1: targets: want a list, not a string"},
    {"[{\"targets\": [1]}]", "!group 1: targets: want strings, not a number"},
    {"[{\"targets\": [null]}]", "!group 1: targets: want strings, not null"},
    {"[{\"labels\": [\"x\"]}]", "!group 1: labels: want an object, not a list"},
    {"[{\"labels\": {\"x\": 1}}]", "!group 1: label x: want a string, not a number"},
    {"[{\"labels\": {\"\": \"x\"}}]", "!group 1: \"\" is not a valid label name"},
    {"[{\"target\": [\"a:1\"]}]", "!group 1: unknown field \"target\""},
};

static void bodies_give_sets(void **state)
{
    (void)state;
    check_sd_cases(bodies, ROWS(bodies), read_groups);
}

/* 100 KB of labels for 8000 targets: 150 KB of body would become 800 MB. */
static void a_body_cannot_grow_without_bound(void **state)
{
    (void)state;
    struct discovery_sets sets;
    struct err err = {0};
    struct buf body;
    buf_init(&body, 1 << 24);
    buf_add_c(&body, "[{\"labels\": {\"x\": \"");
    for (int i = 0; i < 10000; i++)
        buf_add_c(&body, "0123456789");
    buf_add_c(&body, "\"}, \"targets\": [\"a:1\"");
    for (int i = 0; i < 8000; i++)
        buf_add_c(&body, ", \"a:1\"");
    buf_add_c(&body, "]}]");
    discovery_sets_init(&sets, NULL);
    assert_false(http_groups_read(buf_str(&body), URL, &sets, &err));
    assert_string_equal(err.msg, "group 1: the labels of all targets take more than 256 MiB");
    discovery_sets_free(&sets);
    buf_free(&body);
}

static void the_media_type_is_json_in_utf8(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        bool fine;
    } cases[] = {
        {"application/json", true},
        {"Application/JSON", true},
        {" application/json ", true},
        {"application/json;charset=utf-8", true},
        {"application/json; charset=UTF-8", true},
        {"application/json;  charset=\"utf-8\"", true},
        {"", false},
        {"text/plain", false},
        {"application/json;", false},
        {"application/json; charset=latin1", false},
        {"application/json; charset=utf-8; x=y", false},
        {"application/json ; charset=utf-8", false},
        {"application/jsonp", false},
    };
    for (size_t i = 0; i < ROWS(cases); i++)
        if (http_groups_type(str_of(cases[i].type)) != cases[i].fine)
            fail_msg("\"%s\"", cases[i].type);
}

static void fill(struct discovery_sets *sets, const char *values)
{
    for (const char *v = values; *v; v++) {
        struct labels l;
        labels_init(&l, NULL);
        labels_set(&l, STR("x"), str_make(v, 1));
        discovery_sets_add(sets, &l);
        labels_free(&l);
    }
}

/* What stays is the same object, so that nobody builds its target anew. */
static void lists_replace_each_other(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        bool changed;
    } cases[] = {
        {"", "", false}, {"abc", "abc", false}, {"", "a", true},      {"a", "", true},
        {"abc", "cab", true}, {"abcdefg", "gxba", true}, {"aab", "ab", true}, {"ab", "aabb", true},
    };
    for (size_t i = 0; i < ROWS(cases); i++) {
        struct discovery_sets sets, before, news;
        discovery_sets_init(&sets, NULL);
        discovery_sets_init(&before, NULL);
        discovery_sets_init(&news, NULL);
        fill(&sets, cases[i].before);
        discovery_sets_add_all(&before, &sets);
        fill(&news, cases[i].after);
        assert_int_equal(discovery_sets_replace(&sets, &news), cases[i].changed);
        assert_int_equal(sets.n, strlen(cases[i].after));
        assert_int_equal(news.n, 0);
        for (size_t k = 0; k < sets.n; k++) {
            struct str value = label_set_get(sets.v[k], STR("x"));
            assert_int_equal(value.p[0], cases[i].after[k]);
            bool same = false;
            for (size_t b = 0; b < before.n; b++)
                same |= before.v[b] == sets.v[k];
            assert_int_equal(same, strchr(cases[i].before, value.p[0]) != NULL);
        }
        discovery_sets_free(&sets);
        discovery_sets_free(&before);
    }
}

static void names_and_addresses_are_written_as_prometheus_does(void **state)
{
    (void)state;
    struct arena arena;
    struct buf out;
    arena_init(&arena);
    buf_init(&out, 4096);
    assert_string_equal(sd_label_name(&arena, "__meta_", "com.docker/compose-x_1").p, "__meta_com_docker_compose_x_1");
    assert_string_equal(sd_label_name(&arena, "p.", "gr\xc3\xb6\xc3\x9f" "e\xff").p, "p.gr__e_");
    assert_string_equal(sd_label_name(&arena, "", "").p, "");
    assert_string_equal(sd_host_port(&arena, STR("10.0.0.1"), 80).p, "10.0.0.1:80");
    assert_string_equal(sd_host_port(&arena, STR("::1"), 0).p, "[::1]:0");
    assert_string_equal(sd_host_port(&arena, STR(""), 1).p, ":1");
    sd_add_escaped(&out, STR("a-Z_0.~ /?&=%\"{\xc3\xb6"));
    assert_string_equal(buf_c(&out), "a-Z_0.~%20%2F%3F%26%3D%25%22%7B%C3%B6");
    buf_free(&out);
    arena_free(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_give_sets),
        cmocka_unit_test(a_body_cannot_grow_without_bound),
        cmocka_unit_test(the_media_type_is_json_in_utf8),
        cmocka_unit_test(lists_replace_each_other),
        cmocka_unit_test(names_and_addresses_are_written_as_prometheus_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
