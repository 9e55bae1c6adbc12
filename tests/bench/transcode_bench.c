/* SPDX-License-Identifier: Apache-2.0 */
/* transcode_bench: what a sample costs on its way from a block to a compressed RW1 request. */
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/remote/transcode.h"
#include "base/alloc.h"
#include "base/clock.h"

#define TARGETS 10u
#define SERIES 1000u
#define ROUNDS 60

static uint32_t intern(struct block_builder *b, const char *before, unsigned n, const char *after)
{
    char *text = xasprintf("%s%u%s", before, n, after);
    uint32_t ref = block_builder_symbol(b, str_of(text));
    free(text);
    return ref;
}

/* One target's scrape: metrics of 20 series each that differ in one label, as those of histograms do. */
static void add_target(struct block_builder *b, const uint32_t *names, const uint32_t *metrics,
                       const uint32_t *ids, unsigned target)
{
    uint32_t instance = intern(b, "10.0.7.", target, ":9100"), job = intern(b, "node-", target / 5, "");
    uint32_t namespace = intern(b, "production-", target % 3, "");
    for (unsigned i = 0; i < SERIES; i++) {
        uint32_t refs[] = {names[0], metrics[i / 20], names[1], metrics[0], names[2], instance, names[3], job,
                           names[4], ids[i % 20], names[5], metrics[1], names[6], namespace};
        block_builder_sample(b, refs, sizeof refs / sizeof refs[0], i * 1.25, 1700000000000 + target, NULL);
    }
    block_builder_job(b, STR("node"));
}

static struct block *make_block(void)
{
    static const char *const NAMES[] = {"__name__", "cluster", "instance", "job",
                                        "le",       "method",  "namespace"};
    struct block_builder *b = block_builder_new(0, 64 << 20, 10000000);
    uint32_t names[7], metrics[SERIES / 20], ids[20];
    for (size_t i = 0; i < 7; i++)
        names[i] = block_builder_symbol(b, str_of(NAMES[i]));
    for (unsigned i = 0; i < SERIES / 20; i++)
        metrics[i] = intern(b, "application_http_request_duration_", i, "_seconds_bucket");
    for (unsigned i = 0; i < 20; i++)
        ids[i] = intern(b, "", i, ".5");
    for (unsigned i = 0; i < TARGETS; i++)
        add_target(b, names, metrics, ids, i);
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

struct cost {
    double encode_ns, snappy_ns, raw, wire;
};

static struct cost measure(const struct block *b, const struct label *external, size_t external_n,
                           const struct relabel_rules *rules, const struct route *route)
{
    struct transcoder *t = transcoder_new();
    transcoder_route(t, *route);
    transcoder_configure(t, external, external_n, rules);
    struct buf raw, body;
    buf_init(&raw, 64 << 20);
    buf_init(&body, 64 << 20);
    struct transcode_share shares[16];
    struct transcode_result result;
    struct transcode_range range = {.to = b->series};
    struct err err = {0};
    int64_t encode = INT64_MAX, compress = INT64_MAX;
    for (int round = 0; round < ROUNDS; round++) {
        transcoder_close(t);
        int64_t start = clock_mono_ns();
        if (!transcoder_open(t, b, &err) || !transcoder_encode(t, &range, &raw, shares, &result, &err))
            abort();
        int64_t encoded = clock_mono_ns();
        if (!transcode_snappy(buf_str(&raw), &body))
            abort();
        int64_t done = clock_mono_ns();
        encode = encoded - start < encode ? encoded - start : encode;
        compress = done - encoded < compress ? done - encoded : compress;
    }
    double n = b->samples;
    struct cost cost = {(double)encode / n, (double)compress / n, (double)raw.n / n, (double)body.n / n};
    buf_free(&raw);
    buf_free(&body);
    transcoder_free(t);
    return cost;
}

static void print(const char *what, struct cost c)
{
    printf("transcode %-22s %6.1f ns/sample, snappy %6.1f ns/sample, %6.1f B raw, %5.1f B on the wire\n",
           what, c.encode_ns, c.snappy_ns, c.raw, c.wire);
}

int main(void)
{
    static const struct label EXTERNAL[] = {{{"datacenter", 10}, {"eu-west-1", 9}},
                                            {{"replica", 7}, {"a", 1}}};
    static const struct str JOB[] = {{"job", 3}};
    const struct relabel_source rule = {.given = RELABEL_ACTION | RELABEL_SOURCE_LABELS | RELABEL_REGEX,
                                        .action = STR("drop"),
                                        .source_labels = JOB,
                                        .source_labels_n = 1,
                                        .separator = STR(";"),
                                        .regex = STR("other.*"),
                                        .replacement = STR("$1")};
    struct err err = {0};
    size_t bad;
    enum relabel_field field;
    struct relabel_rules *rules = relabel_compile(&rule, 1, &err, &bad, &field);
    const uint64_t members[] = {routing_name(STR("a")), routing_name(STR("b")), routing_name(STR("c"))};
    const struct routing_group group = {.replicas = 1, .members = members, .members_n = 3};
    const struct routing_group nobody = {.replicas = 0, .members = members, .members_n = 3};
    const struct route everything = {0}, third = {&group, members[0]}, nothing = {&nobody, members[0]};
    struct block *b = make_block();
    printf("block: %u samples, %.1f B/sample\n", b->samples, (double)b->size / b->samples);
    print("plain", measure(b, NULL, 0, NULL, &everything));
    print("2 external labels", measure(b, EXTERNAL, 2, NULL, &everything));
    print("1 drop rule", measure(b, NULL, 0, rules, &everything));
    print("a third of a group", measure(b, NULL, 0, NULL, &third));
    print("none of it", measure(b, NULL, 0, NULL, &nothing));
    block_unref(b);
    relabel_free(rules);
    return 0;
}
