/* SPDX-License-Identifier: Apache-2.0 */
/* test_work: what the shares of a request become in the books of its block. */
#include "unit.h"

#include "agent/remote/work.h"

/* Of one job with ten samples. */
static struct block *ten(void)
{
    struct block_builder *b = block_builder_new(0, 0, 0);
    for (int i = 0; i < 10; i++)
        block_builder_sample(b, NULL, 0, i, i, NULL);
    block_builder_job(b, STR("j"));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

static const struct {
    const char *what;
    struct transcode_share share;
    enum work_outcome outcome;
    enum ledger_reason reason;
    uint64_t delivered, filtered, unsent, rejected, corrupt; /* of ten, the rest is routed */
    bool passed; /* with a 5xx before */
} TABLE[] = {
    {"all is delivered", {.samples = 10}, WORK_DELIVERED, 0, 10, 0, 0, 0, 0, true},
    {"a part is not sent", {.samples = 6, .filtered = 1, .unsent = 3}, WORK_DELIVERED, 0, 6, 1, 3, 0, 0, true},
    {"it is not sent when the rest is refused", {.samples = 6, .filtered = 1, .unsent = 3}, WORK_LOST, LEDGER_REJECTED,
     0, 1, 3, 6, 0, false},
    {"nothing was sent: nothing has passed", {.unsent = 10}, WORK_DELIVERED, 0, 0, 0, 10, 0, 0, false},
    {"all was filtered: nothing has passed", {.filtered = 10}, WORK_DELIVERED, 0, 0, 10, 0, 0, 0, false},
    {"another endpoint gets all: nothing has passed", {.routed = 10}, WORK_DELIVERED, 0, 0, 0, 0, 0, 0, false},
    {"another one gets a part", {.samples = 2, .routed = 5, .filtered = 3}, WORK_DELIVERED, 0, 2, 3, 0, 0, 0, true},
    {"that part is not lost with the rest", {.samples = 4, .routed = 6}, WORK_LOST, LEDGER_REJECTED, 0, 0, 0, 4, 0,
     false},
    {"what nobody accounts for is corrupt", {.samples = 1, .unsent = 2}, WORK_DELIVERED, 0, 1, 0, 2, 0, 7, true},
};

struct sums {
    uint64_t delivered, filtered, unsent, rejected, corrupt, routed;
};

static void add_up(void *ctx, const char *kind, struct str endpoint, struct str job, const char *reason,
                   uint64_t samples)
{
    struct sums *s = ctx;
    assert_true(str_eq_c(endpoint, "e") && str_eq_c(job, "j"));
    if (strcmp(kind, "delivered") == 0)
        s->delivered += samples;
    else if (strcmp(kind, "filtered") == 0)
        s->filtered += samples;
    else if (strcmp(kind, "routed") == 0)
        s->routed += samples;
    else if (strcmp(reason, "not_sent") == 0)
        s->unsent += samples;
    else if (strcmp(reason, "rejected") == 0)
        s->rejected += samples;
    else if (strcmp(reason, "corrupt") == 0)
        s->corrupt += samples;
    else
        fail_msg("%s %s", kind, reason);
}

static void test_shares_become_books(void **state)
{
    (void)state;
    struct block *block = ten();
    for (size_t i = 0; i < ROWS(TABLE); i++) {
        struct ledger *ledger = ledger_new();
        struct sums got = {0};
        struct work w;
        work_start(&w, block, 0, false);
        w.had_5xx = true;
        w.shares[0] = TABLE[i].share;
        work_resolve(&w, TABLE[i].outcome, TABLE[i].reason);
        assert_null(work_current(&w));
        work_book(&w, ledger, STR("e"));
        ledger_each(ledger, add_up, &got);
        const struct sums want = {TABLE[i].delivered, TABLE[i].filtered, TABLE[i].unsent, TABLE[i].rejected,
                                  TABLE[i].corrupt, TABLE[i].share.routed};
        if (memcmp(&got, &want, sizeof got) != 0 || w.passed != TABLE[i].passed)
            fail_msg("%s", TABLE[i].what);
        work_free(&w);
        ledger_free(ledger);
    }
    block_unref(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shares_become_books),
    };
    return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
