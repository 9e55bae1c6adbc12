/* SPDX-License-Identifier: Apache-2.0 */
/* preflight_body: makes the messages of a preflight. */
#include "preflight_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../remote/transcode.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/wire.h"
#include "block.h"

#define NAME "obsagent_preflight"
#define HELP "A sample that obsagent push has sent to see whether the receiver takes it."
#define UNKNOWN_FIELD 1000
#define BODY_MAX ((size_t)512 << 20)

static bool compress(struct transcoder *t, enum protocol p, struct str raw, struct buf *out)
{
    return p == PROTOCOL_VM ? transcode_zstd(t, raw, out) : transcode_snappy(raw, out);
}

/* A 2.0 message has at least its first symbol, which is empty. */
static void add_empty(enum protocol p, struct buf *raw)
{
    static const uint8_t SYMBOL[] = {WIRE_TAG(4, WIRE_BYTES), 0};
    if (p == PROTOCOL_RW2)
        buf_add(raw, SYMBOL, sizeof SYMBOL);
}

static void add_padding(size_t n, struct buf *raw)
{
    uint8_t head[2 * WIRE_VARINT_MAX];
    uint8_t *end = wire_put_varint(wire_put_varint(head, WIRE_TAG(UNKNOWN_FIELD, WIRE_BYTES)), n);
    buf_add(raw, head, (size_t)(end - head));
    for (uint64_t i = 0; n > 0; i++) {
        uint64_t noise = hash_bytes(&i, sizeof i);
        size_t part = n < sizeof noise ? n : sizeof noise;
        buf_add(raw, &noise, part);
        n -= part;
    }
}

static void make(enum protocol p, size_t padding, struct buf *out)
{
    struct transcoder *t = transcoder_new();
    struct buf raw;
    buf_init(&raw, BODY_MAX);
    add_empty(p, &raw);
    if (padding)
        add_padding(padding, &raw);
    buf_clear(out);
    if (!compress(t, p, buf_str(&raw), out))
        abort(); /* the limits are far above what is asked for */
    buf_free(&raw);
    transcoder_free(t);
}

void preflight_body_empty(enum protocol p, struct buf *out)
{
    make(p, 0, out);
}

void preflight_body_padded(enum protocol p, size_t padding, struct buf *out)
{
    make(p, padding, out);
}

static struct block *make_block(void)
{
    char host[256] = "";
    struct block_builder *b = block_builder_new(0, SIZE_MAX, UINT32_MAX);
    uint32_t refs[6];
    if (gethostname(host, sizeof host - 1) != 0 || !host[0])
        snprintf(host, sizeof host, "unknown");
    const struct str labels[] = {STR("__name__"), STR(NAME), STR("instance"), str_of(host), STR("job"),
                                 STR("obsagent")}; /* sorted by name */
    for (size_t i = 0; i < 6; i++)
        refs[i] = block_builder_intern(b, labels[i]);
    struct block_meta meta = {.type = BLOCK_GAUGE, .help_ref = block_builder_intern(b, STR(HELP))};
    block_builder_sample(b, refs, 6, 1, clock_wall_ms(), &meta);
    block_builder_job(b, STR("obsagent"));
    struct block *block = block_builder_seal(b);
    block_builder_free(b);
    return block;
}

bool preflight_body_sample(enum protocol p, const struct config *config, const struct config_remote *remote,
                           struct buf *series, struct buf *out, struct err *err)
{
    struct block *block = make_block();
    struct transcoder *t = transcoder_new();
    struct transcode_share shares[1];
    struct transcode_result result;
    struct buf raw;
    buf_init(&raw, BODY_MAX);
    buf_clear(series);
    buf_clear(out);
    transcoder_configure(t, config->external_labels, config->external_labels_n, remote->write_relabel);
    transcoder_message(t, p == PROTOCOL_RW2 ? TRANSCODE_RW2 : TRANSCODE_RW1);
    struct transcode_range range = {0, block->series, 0, 0};
    bool ok = transcoder_open(t, block, err) && transcoder_encode(t, &range, &raw, shares, &result, err);
    if (ok && result.series)
        ok = (transcoder_describe(t, 0, block->series, series) && compress(t, p, buf_str(&raw), out)) ||
             err_set(err, "the sample cannot be packed");
    transcoder_free(t);
    block_unref(block);
    buf_free(&raw);
    return ok;
}
