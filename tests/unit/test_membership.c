/* SPDX-License-Identifier: Apache-2.0 */
/* test_membership: which groups are in force for which block: over changes, renamings and restarts, and when the file
   is not what it was. */
#include "queue_bed.h"

#include "agent/remote/membership.h"
#include "agent/remote/period.h"
#include "base/buf.h"
#include "config.h"

static struct bed bed;

static struct queue *begin(void)
{
    bed_new(&bed);
    bed_open(&bed);
    return bed.q;
}

/* Names of the members of one group, and of endpoints in none: "a b | x". */
static struct config *make_config(const char *names)
{
    struct buf yaml, errors;
    buf_init(&yaml, 1 << 16);
    buf_init(&errors, 1 << 16);
    buf_add_c(&yaml, "remote_write:\n");
    bool shard = true;
    for (struct str rest = str_of(names); rest.n;) {
        size_t end = str_find_char(rest, ' ');
        struct str name = str_make(rest.p, end);
        rest = str_skip(rest, end + (end < rest.n));
        shard = shard && !str_eq(name, STR("|"));
        if (!str_eq(name, STR("|")))
            buf_addf(&yaml, "- {url: 'http://h/', name: %.*s%s}\n", STR_ARG(name),
                     shard ? ", routing: shard, group: g" : "");
    }
    struct config *c = config_load_text("t", buf_str(&yaml), NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    buf_free(&yaml);
    buf_free(&errors);
    return c;
}

static void change(struct membership *m, struct queue *q, const char *names)
{
    struct config *c = make_config(names);
    membership_switch(m, q, c);
    membership_keep(m);
    config_unref(c);
}

/* "a b", sorted: the members that the endpoint shares this block with, by the names they score with; "" = everything is
   sent. */
static void check_route(struct membership *m, const char *endpoint, uint64_t seq, const char *as, const char *members)
{
    struct route route;
    uint64_t until;
    struct period *p = membership_route(m, endpoint, seq, &route, &until);
    size_t n = 0;
    assert_true(until > seq);
    assert_true((p != NULL) == (route.group != NULL));
    assert_true((route.group != NULL) == (*members != '\0'));
    for (struct str rest = str_of(members); rest.n; n++) {
        size_t end = str_find_char(rest, ' '), k = 0;
        uint64_t hash = routing_name(str_make(rest.p, end));
        while (k < route.group->members_n && route.group->members[k] != hash)
            k++;
        if (k == route.group->members_n)
            fail_msg("%s at %llu: not with %.*s", endpoint, (unsigned long long)seq, (int)end, rest.p);
        rest = str_skip(rest, end + (end < rest.n));
    }
    if (route.group) {
        assert_int_equal(route.group->members_n, n);
        assert_true(route.member == routing_name(str_of(as)));
    }
    membership_release(p);
}

static void push_some(struct queue *q, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        queue_push(q, make_block(0, i, 1, 8));
}

static uint64_t next_seq(struct queue *q)
{
    uint64_t oldest, next;
    queue_range(q, &oldest, &next);
    return next;
}

static void test_a_block_keeps_the_groups_of_when_it_was_pushed(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    uint64_t at[6];
    static const char *const CHANGES[] = {"x", "a b | x", "b c a | x", "c a b | x", "c", "| a b"};
    for (size_t i = 0; i < ROWS(CHANGES); i++) {
        change(m, q, CHANGES[i]);
        at[i] = next_seq(q);
        push_some(q, 3);
    }
    check_route(m, "a", at[1] - 1, "a", "");
    for (int restart = 0; restart < 2; restart++) {
        check_route(m, "a", at[1], "a", "a b");
        check_route(m, "x", at[1], "x", "");
        check_route(m, "a", at[2] - 1, "a", "a b");
        check_route(m, "a", at[2], "a", "a b c");
        check_route(m, "c", at[3] + 1, "c", "a b c"); /* another order is no change */
        check_route(m, "c", at[4], "c", "c");
        check_route(m, "a", at[4], "a", "");
        check_route(m, "c", at[5], "c", "");
        membership_free(m);
        m = membership_new(bed.dir);
    }
    membership_free(m);
    bed_free(&bed);
}

static void test_a_batch_ends_where_a_period_ends(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(NULL);
    struct route route;
    uint64_t until;
    change(m, q, "a b");
    uint64_t first = next_seq(q);
    push_some(q, 5);
    membership_release(membership_route(m, "a", first, &route, &until));
    assert_true(until == UINT64_MAX);
    change(m, q, "a b c");
    struct period *p = membership_route(m, "a", first, &route, &until);
    assert_true(until == first + 5);
    membership_free(m);
    assert_int_equal(route.group->members_n, 2); /* as long as it is held */
    membership_release(p);
    bed_free(&bed);
}

static void test_a_new_name_has_the_part_of_the_old_one(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    change(m, q, "a b c");
    uint64_t first = next_seq(q);
    push_some(q, 3);
    membership_rename(m, "a", "z");
    membership_rename(m, "b", "c"); /* the c of before had nothing more to send */
    change(m, q, "c z");
    uint64_t second = next_seq(q);
    for (int restart = 0; restart < 2; restart++) {
        check_route(m, "z", first, "a", "a b c");
        check_route(m, "a", first, "a", "");
        check_route(m, "c", first, "b", "a b c");
        check_route(m, "z", second, "z", "c z");
        membership_free(m);
        m = membership_new(bed.dir);
    }
    membership_free(m);
    bed_free(&bed);
}

static size_t periods_on_disk(bool *unsure)
{
    struct buf text;
    struct err err = {0};
    struct periods list;
    char *path = file_join(bed.dir, "routing.json");
    buf_init(&text, 1 << 20);
    assert_true(file_read(path, 1 << 20, &text, &err));
    assert_true(periods_from_json(buf_str(&text), &list, &err));
    *unsure = list.unsure_from != PERIOD_SURE;
    for (size_t i = 0; i < list.n; i++)
        period_unref(list.v[i]);
    buf_free(&text);
    free(path);
    return list.n;
}

static void test_the_file_says_first_that_something_changes(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    bool unsure;
    change(m, q, "a b");
    uint64_t first = next_seq(q);
    push_some(q, 2);
    struct config *c = make_config("a b c");
    membership_switch(m, q, c); /* and the power goes */
    uint64_t second = next_seq(q);
    push_some(q, 2);
    assert_int_equal(periods_on_disk(&unsure), 1);
    assert_true(unsure);
    check_route(m, "a", second, "a", "a b c");
    struct membership *later = membership_new(bed.dir);
    membership_switch(later, q, c);
    membership_keep(later);
    check_route(later, "a", first, "a", "a b");
    check_route(later, "a", second, "a", "");
    check_route(later, "a", next_seq(q), "a", "a b c");
    assert_int_equal(periods_on_disk(&unsure), 3);
    assert_false(unsure);
    membership_free(later);
    config_unref(c);
    membership_free(m);
    bed_free(&bed);
}

static void test_a_period_is_forgotten_when_nothing_of_it_waits(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    struct err err = {0};
    bool unsure;
    change(m, q, "a b");
    struct queue_reader *a = queue_reader_open(q, "a", ignore, NULL, &err);
    struct queue_reader *b = queue_reader_open(q, "b", ignore, NULL, &err);
    uint64_t first = next_seq(q);
    push_some(q, 2);
    change(m, q, "a");
    push_some(q, 1);
    for (struct block *block; (block = queue_take(a));)
        queue_ack(a, block);
    change(m, q, "b a");
    assert_int_equal(periods_on_disk(&unsure), 3);
    check_route(m, "b", first, "b", "a b");
    for (struct block *block; (block = queue_take(b));)
        queue_ack(b, block);
    change(m, q, "a b");
    assert_int_equal(periods_on_disk(&unsure), 1);
    check_route(m, "b", first, "b", "");
    check_route(m, "b", next_seq(q), "b", "a b");
    change(m, q, "| a b");
    assert_int_equal(periods_on_disk(&unsure), 0);
    queue_reader_close(a);
    queue_reader_close(b);
    membership_free(m);
    bed_free(&bed);
}

static void test_numbers_that_are_given_again_have_no_old_groups(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    change(m, q, "a b");
    uint64_t first = next_seq(q);
    push_some(q, 10);
    change(m, q, "a b c");
    membership_free(m);
    m = membership_new(bed.dir);
    struct bed other; /* its queue never heard of the ten */
    bed_new(&other);
    bed_open(&other);
    push_some(other.q, 3);
    assert_true(next_seq(other.q) < first + 10);
    change(m, other.q, "a b d");
    check_route(m, "a", first, "a", ""); /* nothing of that time waits */
    check_route(m, "a", next_seq(other.q), "a", "a b d");
    check_route(m, "a", first + 20, "a", "a b d");
    membership_free(m);
    bed_free(&other);
    bed_free(&bed);
}

static void test_many_changes_are_bounded(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(NULL);
    change(m, q, "a b");
    uint64_t first = next_seq(q);
    for (unsigned i = 0; i < 2 * PERIODS_MAX; i++) {
        change(m, q, i % 2 ? "a b" : "a b c");
        push_some(q, 1);
    }
    check_route(m, "a", first, "a", "");
    check_route(m, "a", next_seq(q) - PERIODS_MAX, "a", "a b c");
    check_route(m, "a", next_seq(q) - 1, "a", "a b");
    membership_free(m);
    bed_free(&bed);
}

/* ---- the file ---- */

#define GROUP(text) "{\"version\":1,\"periods\":[{\"begin\":7,\"groups\":[" text "]}]}"
#define ALL "{\"replicas\":1,\"labels\":\"all\",\"names\":[],"
#define MEMBER "{\"name\":\"00000000000000aa\",\"endpoint\":\"a\"}"

static void test_files_that_are_none(void **state)
{
    static const struct {
        const char *text;
        bool good;
    } TABLE[] = {
        {"{\"version\":1,\"periods\":[]}", true},
        {"{\"version\":1,\"periods\":[],\"unsure_from\":3}", true},
        {GROUP("{\"replicas\":1,\"labels\":\"all\",\"names\":[],\"members\":[" MEMBER "]}"), true},
        {GROUP("{\"replicas\":1,\"labels\":\"only\",\"names\":[\"00000000000000ab\"],\"members\":[" MEMBER "]}"), true},
        {GROUP(""), true},
        {"", false},
        {"[]", false},
        {"{\"version\":2,\"periods\":[]}", false},
        {"{\"version\":1}", false},
        {"{\"version\":1,\"periods\":[],\"unsure_from\":-1}", false},
        {"{\"version\":1,\"periods\":[7]}", false},
        {"{\"version\":1,\"periods\":[{\"begin\":7,\"groups\":[]},{\"begin\":7,\"groups\":[]}]}", false},
        {GROUP("7"), false},
        {GROUP("{\"replicas\":0,\"labels\":\"all\",\"names\":[],\"members\":[" MEMBER "]}"), false},
        {GROUP("{\"replicas\":1,\"labels\":\"some\",\"names\":[],\"members\":[" MEMBER "]}"), false},
        {GROUP("{\"replicas\":1,\"labels\":\"all\",\"names\":[],\"members\":[]}"), false},
        {GROUP("{\"replicas\":1,\"labels\":\"all\",\"names\":[1],\"members\":[" MEMBER "]}"), false},
        {GROUP("{\"replicas\":1,\"labels\":\"all\",\"names\":[],\"members\":[" MEMBER "," MEMBER "]}"), false},
        {GROUP(ALL "\"members\":[{\"name\":\"aa\",\"endpoint\":\"a\"}]}"), false},
        {GROUP(ALL "\"members\":[{\"name\":\"00000000000000aa\"}]}"), false},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct periods list;
        struct err err = {0};
        bool good = periods_from_json(str_of(TABLE[i].text), &list, &err);
        if (good != TABLE[i].good)
            fail_msg("%s", TABLE[i].text);
        assert_true(good || (list.n == 0 && err_is(&err)));
        struct buf again;
        buf_init(&again, 1 << 16);
        if (good) {
            assert_true(periods_to_json(&list, &again, &err));
            assert_string_equal(buf_c(&again), TABLE[i].text);
        }
        buf_free(&again);
        while (list.n)
            period_unref(list.v[--list.n]);
    }
}

static void test_a_broken_file_means_that_all_is_sent(void **state)
{
    (void)state;
    struct queue *q = begin();
    struct membership *m = membership_new(bed.dir);
    struct err err = {0};
    change(m, q, "a b");
    uint64_t first = next_seq(q);
    push_some(q, 2);
    membership_free(m);
    char *path = file_join(bed.dir, "routing.json");
    assert_true(file_write_atomic(path, STR("{\"version\":1,\"per"), &err));
    m = membership_new(bed.dir);
    change(m, q, "a b");
    check_route(m, "a", first, "a", "");
    check_route(m, "a", next_seq(q), "a", "a b");
    membership_free(m);
    bed_free(&bed);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_block_keeps_the_groups_of_when_it_was_pushed),
        cmocka_unit_test(test_a_batch_ends_where_a_period_ends),
        cmocka_unit_test(test_a_new_name_has_the_part_of_the_old_one),
        cmocka_unit_test(test_the_file_says_first_that_something_changes),
        cmocka_unit_test(test_a_period_is_forgotten_when_nothing_of_it_waits),
        cmocka_unit_test(test_numbers_that_are_given_again_have_no_old_groups),
        cmocka_unit_test(test_many_changes_are_bounded),
        cmocka_unit_test(test_files_that_are_none),
        cmocka_unit_test(test_a_broken_file_means_that_all_is_sent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
