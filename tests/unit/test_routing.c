/* SPDX-License-Identifier: Apache-2.0 */
/* test_routing: who of a group gets a series: as many as there should be, evenly, whatever the order in the file, and
   nothing moves that need not; the same over a block's symbols as over its labels, and the same for ever. */
#include "unit.h"

#include "agent/remote/transcode.h"
#include "base/alloc.h"

#define SERIES 10000u

static const char *const NAMES[] = {"eu-1", "eu-2", "us-1", "us-2", "backup", "remote-1f3c9a00", "g", "h"};

struct group {
    struct routing_group g;
    uint64_t members[ROWS(NAMES)], labels[4];
};

static struct group *make_group(size_t members, unsigned replicas)
{
    struct group *group = xcalloc(1, sizeof *group);
    for (size_t i = 0; i < members; i++)
        group->members[i] = routing_name(str_of(NAMES[i]));
    group->g = (struct routing_group){
        .replicas = replicas, .members = group->members, .members_n = members, .labels = group->labels};
    return group;
}

/* Bit i: the member of NAMES[i] has it. */
static unsigned owners(const struct routing_group *g, uint64_t series)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < ROWS(NAMES); i++) {
        uint64_t name = routing_name(str_of(NAMES[i]));
        bool is_member = false;
        for (size_t k = 0; k < g->members_n; k++)
            is_member = is_member || g->members[k] == name;
        if (is_member && routing_has(g, name, series))
            mask |= 1u << i;
    }
    return mask;
}

/* Like series of exporters: many labels the same, numbers in one or two. */
static uint64_t series_hash(const struct routing_group *g, unsigned i)
{
    char instance[32], cpu[16], mode[16];
    snprintf(instance, sizeof instance, "10.0.%u.7:9100", i / 40);
    snprintf(cpu, sizeof cpu, "%u", i % 40 / 8);
    snprintf(mode, sizeof mode, "m%u", i % 8);
    const struct label labels[] = {{STR("__name__"), STR("node_cpu_seconds_total")},
                                   {STR("cpu"), str_of(cpu)},
                                   {STR("instance"), str_of(instance)},
                                   {STR("job"), STR("node")},
                                   {STR("mode"), str_of(mode)}};
    return routing_hash(g, labels, ROWS(labels));
}

static unsigned count_bits(unsigned mask)
{
    unsigned n = 0;
    for (; mask; mask &= mask - 1)
        n++;
    return n;
}

static void test_each_series_has_its_replicas_and_members_have_equal_shares(void **state)
{
    (void)state;
    for (size_t members = 3; members <= ROWS(NAMES); members++) {
        for (unsigned replicas = 1; replicas <= 3; replicas++) {
            unsigned shares[ROWS(NAMES)] = {0};
            struct group *group = make_group(members, replicas);
            for (unsigned i = 0; i < SERIES; i++) {
                unsigned mask = owners(&group->g, series_hash(&group->g, i));
                assert_int_equal(count_bits(mask), replicas);
                for (size_t k = 0; k < members; k++)
                    shares[k] += mask >> k & 1;
            }
            double even = (double)SERIES * replicas / (double)members;
            for (size_t k = 0; k < members; k++)
                assert_true(shares[k] > 0.9 * even && shares[k] < 1.1 * even);
            free(group);
        }
    }
}

static void test_more_replicas_than_members_is_everybody(void **state)
{
    (void)state;
    for (size_t members = 1; members <= 3; members++) {
        struct group *group = make_group(members, 3);
        for (unsigned i = 0; i < 100; i++)
            assert_int_equal(owners(&group->g, series_hash(&group->g, i)), (1u << members) - 1);
        free(group);
    }
}

static void test_a_member_that_comes_or_goes_moves_only_its_own(void **state)
{
    (void)state;
    for (size_t members = 2; members < ROWS(NAMES); members++) {
        for (unsigned replicas = 1; replicas <= 2; replicas++) {
            struct group *fewer = make_group(members, replicas), *more = make_group(members + 1, replicas);
            unsigned moved = 0, newest = 1u << members;
            for (unsigned i = 0; i < SERIES; i++) {
                unsigned before = owners(&fewer->g, series_hash(&fewer->g, i));
                unsigned after = owners(&more->g, series_hash(&more->g, i));
                bool has = (after & newest) != 0;
                moved += has;
                /* Whoever has it afterwards had it before, or is the new one, for which one makes room. Read from the
                   right to the left this is what happens when the newest leaves. */
                assert_int_equal(after & ~before, has ? newest : 0);
                assert_int_equal(count_bits(before & ~after), has);
            }
            double part = (double)SERIES * replicas / (double)(members + 1);
            assert_true(moved > 0.9 * part && moved < 1.1 * part);
            free(fewer);
            free(more);
        }
    }
}

static void test_the_order_of_members_means_nothing(void **state)
{
    struct group *one = make_group(5, 2), *other = make_group(5, 2);
    (void)state;
    for (size_t i = 0; i < 5; i++)
        other->members[i] = one->members[(i * 2 + 3) % 5];
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(owners(&one->g, series_hash(&one->g, i)), owners(&other->g, series_hash(&other->g, i)));
    free(one);
    free(other);
}

/* ---- which labels count ---- */

static void test_labels_that_count(void **state)
{
    static const struct {
        const char *what;
        enum routing_labels use;
        const char *labels[2];
        const char *a[3], *b[3]; /* values of x, y, le; NULL = not there */
        bool same;
    } TABLE[] = {
        {"all labels", ROUTING_ALL, {0}, {"1", "2", "3"}, {"1", "2", "3"}, true},
        {"a value", ROUTING_ALL, {0}, {"1", "2", "3"}, {"1", "2", "4"}, false},
        {"values changed places", ROUTING_ALL, {0}, {"1", "2", "3"}, {"2", "1", "3"}, false},
        {"a label more", ROUTING_ALL, {0}, {"1", "2", NULL}, {"1", "2", "3"}, false},
        {"an empty label is none", ROUTING_ALL, {0}, {"1", "2", ""}, {"1", "2", NULL}, true},
        {"buckets of a histogram stay together", ROUTING_WITHOUT, {"le"}, {"1", "2", "3"}, {"1", "2", "+Inf"}, true},
        {"and its sum with them", ROUTING_WITHOUT, {"le"}, {"1", "2", "3"}, {"1", "2", NULL}, true},
        {"the rest counts", ROUTING_WITHOUT, {"le"}, {"1", "2", "3"}, {"1", "3", "3"}, false},
        {"two are left out", ROUTING_WITHOUT, {"le", "y"}, {"1", "2", "3"}, {"1", "3", "4"}, true},
        {"one is listed", ROUTING_ONLY, {"x"}, {"1", "2", "3"}, {"1", "3", "4"}, true},
        {"and counts", ROUTING_ONLY, {"x"}, {"1", "2", "3"}, {"2", "2", "3"}, false},
        {"one that is not there", ROUTING_ONLY, {"z"}, {"1", "2", "3"}, {"4", "5", "6"}, true},
    };
    static const char *const LABELS[] = {"x", "y", "le"};
    (void)state;
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct group *group = make_group(3, 1);
        uint64_t hashes[2];
        group->g.use = TABLE[i].use;
        for (size_t k = 0; k < 2 && TABLE[i].labels[k]; k++)
            group->labels[group->g.labels_n++] = routing_name(str_of(TABLE[i].labels[k]));
        for (int side = 0; side < 2; side++) {
            struct label labels[3];
            size_t n = 0;
            for (size_t k = 0; k < 3; k++) {
                const char *value = side ? TABLE[i].b[k] : TABLE[i].a[k];
                if (value)
                    labels[n++] = (struct label){str_of(LABELS[k]), str_of(value)};
            }
            hashes[side] = routing_hash(&group->g, labels, n);
        }
        if ((hashes[0] == hashes[1]) != TABLE[i].same)
            print_error("%s\n", TABLE[i].what);
        assert_true((hashes[0] == hashes[1]) == TABLE[i].same);
        free(group);
    }
}

/* ---- over a block ---- */

#define BLOCK_SERIES 500u

static uint32_t symbol(struct block_builder *b, struct str s)
{
    return block_builder_intern(b, s);
}

static struct block *make_block(void)
{
    struct block_builder *b = block_builder_new(0, 1 << 20, 100000);
    for (unsigned i = 0; i < BLOCK_SERIES; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i / 3);
        uint32_t refs[] = {symbol(b, STR("__name__")), symbol(b, i % 3 ? STR("b") : STR("__name__")),
                           symbol(b, STR("le")),       symbol(b, i % 3 == 1 ? STR("1") : STR("")),
                           symbol(b, STR("x")),        symbol(b, str_of(value))};
        block_builder_sample(b, refs, ROWS(refs), i, 1000, NULL);
    }
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

static uint64_t plain_hash(const struct routing_group *g, const struct block_reader *r, const struct block_series *s)
{
    struct label labels[3];
    assert_int_equal(s->refs_n, 6);
    for (size_t i = 0; i < 3; i++)
        labels[i] = (struct label){block_reader_symbol(r, s->refs[2 * i]), block_reader_symbol(r, s->refs[2 * i + 1])};
    return routing_hash(g, labels, 3);
}

static void test_a_block_is_routed_by_the_labels_of_its_series(void **state)
{
    struct block *b = make_block();
    struct block_reader *reader = block_reader_new();
    struct routing_table table = {0};
    struct err err = {0};
    (void)state;
    for (unsigned use = ROUTING_ALL; use <= ROUTING_WITHOUT; use++) {
        struct group *group = make_group(4, 1);
        group->g.use = use;
        group->labels[0] = routing_name(STR("le"));
        group->labels[1] = routing_name(STR("__name__"));
        group->g.labels_n = use == ROUTING_ALL ? 0 : 2;
        for (size_t k = 0; k < 4; k++) {
            struct route route = {&group->g, group->members[k]};
            struct block_series series;
            routing_table_reset(&table);
            assert_true(block_reader_open(reader, b->data, b->size, &err));
            unsigned own = 0;
            while (block_reader_next(reader, &series, &err)) {
                bool has = routing_has(&group->g, group->members[k], plain_hash(&group->g, reader, &series));
                assert_true(routing_elsewhere(&table, &route, reader, &series) == !has);
                own += has;
            }
            if (use == ROUTING_ALL)
                assert_true(own > BLOCK_SERIES / 8 && own < BLOCK_SERIES / 2);
        }
        free(group);
    }
    const struct route everything = {0};
    struct block_series series;
    block_reader_rewind(reader);
    while (block_reader_next(reader, &series, &err))
        assert_false(routing_elsewhere(&table, &everything, reader, &series));
    routing_table_free(&table);
    block_reader_free(reader);
    block_unref(b);
}

/* What a member sends of the block, in a message of this kind. */
static struct transcode_result encode(struct transcoder *t, const struct block *b, enum transcode_message message)
{
    struct transcode_range range = {.to = b->series};
    struct transcode_share share;
    struct transcode_result result;
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1 << 24);
    transcoder_message(t, message);
    assert_true(transcoder_open(t, b, &err));
    assert_true(transcoder_encode(t, &range, &out, &share, &result, &err));
    assert_int_equal(result.samples + result.routed, b->samples);
    assert_int_equal(share.samples, result.samples);
    assert_int_equal(share.routed, result.routed);
    if (result.routed && message == TRANSCODE_RW2) /* not as it is */
        assert_true(out.n < b->size);
    buf_free(&out);
    return result;
}

static void check_cuts(struct transcoder *t, const struct block *b, uint64_t own)
{
    struct transcode_share share;
    struct transcode_result result;
    struct err err = {0};
    struct buf out;
    buf_init(&out, 1 << 24);
    struct transcode_range first = {.to = transcoder_middle(t, 0, b->series)};
    assert_true(first.to > 0 && first.to < b->series);
    assert_true(transcoder_encode(t, &first, &out, &share, &result, &err));
    assert_int_equal(result.samples, own / 2);
    buf_clear(&out);
    assert_true(transcoder_describe(t, 0, b->series, &out));
    struct transcode_range until = {.max_samples = 0, .to = 1};
    while (transcoder_encode(t, &until, &out, &share, &result, &err) && result.samples == 0)
        until.to++;
    assert_false(transcoder_describe(t, 0, until.to - 1, &out)); /* those before the first one are not named */
    buf_free(&out);
}

static void test_members_send_the_block_between_them(void **state)
{
    struct block *b = make_block();
    struct transcoder *t = transcoder_new();
    struct group *group = make_group(4, 1);
    (void)state;
    transcoder_send(t, true, true);
    for (enum transcode_message message = TRANSCODE_RW1; message <= TRANSCODE_RW2; message++) {
        for (unsigned replicas = 1; replicas <= 4; replicas++) {
            uint64_t sum = 0;
            group->g.replicas = replicas;
            for (size_t k = 0; k < 4; k++) {
                transcoder_close(t);
                transcoder_route(t, (struct route){&group->g, group->members[k]});
                struct transcode_result result = encode(t, b, message);
                sum += result.samples;
                assert_true(result.samples > b->samples * replicas / 8);
                check_cuts(t, b, result.samples);
            }
            assert_int_equal(sum, (uint64_t)b->samples * replicas);
        }
        transcoder_route(t, (struct route){0});
        assert_int_equal(encode(t, b, message).samples, b->samples);
    }
    free(group);
    transcoder_free(t);
    block_unref(b);
}

/* ---- for ever ---- */

/* Whoever changes one of these numbers sends series to other places after an upgrade. */
static void test_golden(void **state)
{
    static const unsigned OWNERS[][2] = {{0, 0x3},    {997, 0x9},  {1994, 0x12}, {2991, 0x3},
                                          {3988, 0xa}, {4985, 0x3}, {5982, 0xc},  {6979, 0x12}};
    struct group *group = make_group(5, 2);
    (void)state;
    assert_int_equal(routing_name(STR("eu-1")), 0x84cfc8d3d53ab917u);
    assert_int_equal(series_hash(&group->g, 0), 0x798f96b8e475f1e7u);
    for (size_t i = 0; i < ROWS(OWNERS); i++)
        assert_int_equal(owners(&group->g, series_hash(&group->g, OWNERS[i][0])), OWNERS[i][1]);
    free(group);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_series_has_its_replicas_and_members_have_equal_shares),
        cmocka_unit_test(test_more_replicas_than_members_is_everybody),
        cmocka_unit_test(test_a_member_that_comes_or_goes_moves_only_its_own),
        cmocka_unit_test(test_the_order_of_members_means_nothing),
        cmocka_unit_test(test_labels_that_count),
        cmocka_unit_test(test_a_block_is_routed_by_the_labels_of_its_series),
        cmocka_unit_test(test_members_send_the_block_between_them),
        cmocka_unit_test(test_golden),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
