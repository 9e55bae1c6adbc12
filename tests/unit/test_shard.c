/* SPDX-License-Identifier: Apache-2.0 */
/* test_shard: who scrapes what, and how little moves when their number changes. */
#include "unit.h"

#include "base/hash.h"
#include "shard.h"

#define TARGETS 10000

static uint64_t identity(unsigned i)
{
    char url[64];
    int n = snprintf(url, sizeof url, "http://10.0.%u.%u:9100/metrics", i / 250, i % 250);
    return hash_bytes(url, (size_t)n);
}

static unsigned owner(uint64_t target, unsigned shards)
{
    unsigned found = UINT32_MAX;
    for (unsigned s = 0; s < shards; s++) {
        if (!shard_has(target, s, shards, 1))
            continue;
        assert_int_equal(found, UINT32_MAX);
        found = s;
    }
    assert_int_not_equal(found, UINT32_MAX);
    return found;
}

static void one_shard_more_takes_its_share_and_moves_nothing_else(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards < 6; shards++) {
        unsigned moved = 0, of[8] = {0};
        for (unsigned i = 0; i < TARGETS; i++) {
            unsigned before = owner(identity(i), shards), after = owner(identity(i), shards + 1);
            of[after]++;
            if (before == after)
                continue;
            assert_int_equal(after, shards); /* to the new one alone */
            moved++;
        }
        unsigned share = TARGETS / (shards + 1);
        assert_in_range(moved, share * 9 / 10, share * 11 / 10);
        for (unsigned s = 0; s <= shards; s++)
            assert_in_range(of[s], share * 9 / 10, share * 11 / 10);
        if (shards == 3)
            assert_in_range(moved, TARGETS * 20 / 100, TARGETS * 30 / 100);
    }
}

static void each_target_has_exactly_its_replicas(void **state)
{
    (void)state;
    for (unsigned shards = 1; shards <= 7; shards++)
        for (unsigned replication = 1; replication <= shards; replication++)
            for (unsigned i = 0; i < 500; i++) {
                unsigned n = 0;
                for (unsigned s = 0; s < shards; s++)
                    n += shard_has(identity(i), s, shards, replication);
                assert_int_equal(n, replication);
            }
}

static void owners_are_those_who_scrape_it(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        unsigned owners[9], first, replication = 1 + i % 9;
        assert_int_equal(shard_owners(identity(i), 9, replication, owners, 9), replication);
        uint64_t listed = 0, has = 0;
        for (unsigned k = 0; k < replication; k++)
            listed |= 1ull << owners[k];
        for (unsigned s = 0; s < 9; s++)
            has |= (uint64_t)shard_has(identity(i), s, 9, replication) << s;
        assert_true(listed == has);
        assert_int_equal(shard_owners(identity(i), 9, replication, &first, 1), 1);
        assert_int_equal(first, owners[0]);
        assert_int_equal(first, owner(identity(i), 9));
    }
    assert_int_equal(shard_owners(1, 9, 3, NULL, 0), 0);
}

/* Agents of different versions must agree. */
static void scores_are_for_ever(void **state)
{
    static const unsigned WANT[] = {4, 4, 4, 2, 0, 0, 4, 3};
    (void)state;
    for (unsigned i = 0; i < sizeof WANT / sizeof *WANT; i++)
        assert_int_equal(owner(0x0123456789abcdefull * (i + 1), 5), WANT[i]);
}

static void numbers_and_names(void **state)
{
    static const struct {
        const char *text;
        uint64_t shards, replication;
        unsigned want;
        const char *error;
    } ROWS[] = {
        {"0", 1, 1, 0, ""},
        {"2", 3, 1, 2, ""},
        {"obsagent-2", 3, 3, 2, ""},
        {"a-b-10", 11, 1, 10, ""},
        {"3", 3, 1, 0, "--scrape.shard: 3 is not one of 3 shards, which are numbered from 0"},
        {"obsagent", 3, 1, 0, "--scrape.shard: \"obsagent\" is neither a number nor does it end in -NUMBER"},
        {"-", 3, 1, 0, "--scrape.shard: \"-\" is neither a number nor does it end in -NUMBER"},
        {"", 3, 1, 0, "--scrape.shard: \"\" is neither a number nor does it end in -NUMBER"},
        {"0", 0, 1, 0, "--scrape.shards: 0 is not between 1 and 10000"},
        {"0", 10001, 1, 0, "--scrape.shards: 10001 is not between 1 and 10000"},
        {"0", 3, 4, 0, "--scrape.replication-factor: 4 is not between 1 and the 3 shards"},
        {"0", 3, 0, 0, "--scrape.replication-factor: 0 is not between 1 and the 3 shards"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct err err = {0};
        unsigned shard = 0;
        bool good = shard_parse(str_of(ROWS[i].text), ROWS[i].shards, ROWS[i].replication, &shard, &err);
        assert_string_equal(err.msg, ROWS[i].error);
        assert_int_equal(good, ROWS[i].error[0] == '\0');
        assert_int_equal(shard, ROWS[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_shard_more_takes_its_share_and_moves_nothing_else),
        cmocka_unit_test(each_target_has_exactly_its_replicas),
        cmocka_unit_test(owners_are_those_who_scrape_it),
        cmocka_unit_test(scores_are_for_ever),
        cmocka_unit_test(numbers_and_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
