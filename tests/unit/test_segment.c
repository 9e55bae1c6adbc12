/* SPDX-License-Identifier: Apache-2.0 */
/* test_segment: the bytes of segments and cursors: what is written is read, and damage costs what it hits. */
#include "queue_bed.h"

#include "agent/queue/bytes.h"
#include "agent/queue/cursor.h"
#include "agent/queue/segment.h"
#include "base/hash.h"

#include <errno.h>

struct file {
    char path[64];
    int fd;
    uint64_t at[8]; /* where the records begin; the last is the end */
};

/* A segment of n blocks with numbers 0, 1, ...; the first is zeros, so that it is stored compressed. */
static void file_new(struct file *f, unsigned n)
{
    struct buf out, scratch;
    buf_init(&out, 1 << 20);
    buf_init(&scratch, 1 << 20);
    segment_header(1, &out);
    for (unsigned i = 0; i < n; i++) {
        struct block *b = make_block(i % 4, i, 10 + i, 500);
        b->seq = i + 1;
        if (i == 0)
            memset(b->data, 0, b->size);
        f->at[i] = out.n;
        segment_encode(b, 7, i * 10ull, &scratch, &out);
        block_unref(b);
    }
    f->at[n] = out.n;
    snprintf(f->path, sizeof f->path, "/tmp/obsagent-segment-XXXXXX");
    f->fd = mkstemp(f->path);
    assert_true(f->fd >= 0);
    assert_int_equal(write(f->fd, out.p, out.n), out.n);
    buf_free(&out);
    buf_free(&scratch);
}

static void file_free(struct file *f)
{
    close(f->fd);
    unlink(f->path);
}

/* The steps over the file as a word: r record, t torn, c corrupt. */
static void assert_steps(const struct file *f, const char *want)
{
    char got[32] = "";
    size_t n = 0;
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r;
    for (enum segment_step step; (step = segment_next(f->fd, &offset, &r)) != STEP_END;)
        got[n++] = step == STEP_RECORD ? 'r' : step == STEP_TORN ? 't' : 'c';
    assert_string_equal(got, want);
}

static void test_what_is_written_is_read(void **state)
{
    struct file f;
    struct record r;
    struct err err = {0};
    (void)state;
    file_new(&f, 3);
    assert_int_equal(segment_check(f.fd), SEGMENT_GOOD);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(segment_next(f.fd, &offset, &r), STEP_RECORD);
        assert_int_equal(r.offset, f.at[i]);
        assert_int_equal(offset, f.at[i + 1]);
        assert_int_equal(r.seq, i + 1);
        assert_int_equal(r.run, 7);
        assert_int_equal(r.compressed, i == 0);
        struct block *b = segment_read(f.fd, r.offset, &err), *want = make_block(i % 4, i, 10 + i, 500);
        assert_non_null(b);
        assert_int_equal(b->seq, i + 1);
        assert_int_equal(b->lane, want->lane);
        assert_int_equal(b->samples, want->samples);
        assert_int_equal(b->min_ts_ms, want->min_ts_ms);
        assert_int_equal(b->size, want->size);
        if (i > 0)
            assert_memory_equal(b->data, want->data, want->size);
        assert_int_equal(b->jobs_n, 1);
        assert_true(str_eq_c(b->jobs[0].name, "app"));
        assert_int_equal(b->jobs[0].samples, 10 + i);
        block_unref(b);
        block_unref(want);
    }
    assert_int_equal(segment_next(f.fd, &offset, &r), STEP_END);
    file_free(&f);
}

/* A bit that flips in any byte costs at most the record it is in. */
static void test_a_flip_in_any_byte_costs_one_record_at_most(void **state)
{
    struct file f;
    (void)state;
    file_new(&f, 3);
    for (uint64_t at = SEGMENT_HEADER_BYTES; at < f.at[3]; at++) {
        unsigned hit = at < f.at[1] ? 0 : at < f.at[2] ? 1 : 2, readable = 0;
        uint64_t offset = SEGMENT_HEADER_BYTES;
        struct record r;
        flip(f.path, at);
        for (enum segment_step step; (step = segment_next(f.fd, &offset, &r)) != STEP_END;) {
            struct err err = {0};
            struct block *b = step == STEP_RECORD ? segment_read(f.fd, r.offset, &err) : NULL;
            if (b && b->seq != hit + 1)
                readable++;
            block_unref(b);
        }
        if (readable != 2)
            fail_msg("byte %llu costs a record beside its own", (unsigned long long)at);
        flip(f.path, at);
    }
    file_free(&f);
}

static void test_a_file_cut_anywhere_keeps_what_is_whole(void **state)
{
    struct file f;
    (void)state;
    file_new(&f, 3);
    for (uint64_t end = f.at[3] - 1; end > f.at[1]; end--) {
        assert_int_equal(ftruncate(f.fd, (off_t)end), 0);
        bool two = end >= f.at[2];
        uint64_t left = end - f.at[two ? 2 : 1];
        const char *tail = left == 0 ? "" : left < RECORD_HEADER_BYTES ? "c" : "t";
        char want[8];
        snprintf(want, sizeof want, "%s%s", two ? "rr" : "r", tail);
        assert_steps(&f, want);
    }
    file_free(&f);
}

static void test_a_damaged_job_table_costs_the_names_alone(void **state)
{
    struct file f;
    struct err err = {0};
    (void)state;
    file_new(&f, 2);
    flip(f.path, f.at[1] + RECORD_HEADER_BYTES + 6);
    struct block *b = segment_read(f.fd, f.at[1], &err), *jobs = segment_read_jobs(f.fd, f.at[1]);
    assert_non_null(b);
    assert_int_equal(b->jobs_n, 1);
    assert_int_equal(b->jobs[0].name.n, 0);
    assert_int_equal(b->jobs[0].samples, 11);
    assert_int_equal(jobs->jobs[0].samples, 11);
    block_unref(b);
    block_unref(jobs);
    file_free(&f);
}

static void test_damage_is_told_from_a_failing_disk(void **state)
{
    struct file f;
    struct err err = {0};
    (void)state;
    file_new(&f, 1);
    flip(f.path, f.at[1] - 1);
    assert_null(segment_read(f.fd, f.at[0], &err));
    assert_int_equal(errno, EBADMSG);
    int wrong = open(f.path, O_WRONLY);
    assert_null(segment_read(wrong, f.at[0], &err));
    assert_int_equal(errno, EBADF);
    close(wrong);
    file_free(&f);
}

static void test_a_raw_payload_that_looks_like_records_is_none(void **state)
{
    struct buf out, scratch, inner;
    struct file f;
    (void)state;
    buf_init(&out, 1 << 20);
    buf_init(&scratch, 1 << 20);
    buf_init(&inner, 1 << 20);
    struct block *b = make_block(0, 5, 10, 300);
    b->seq = 1;
    segment_encode(b, 7, 0, &scratch, &inner); /* a whole record, stored raw inside another */
    struct block *outer = make_block(0, 6, 10, inner.n);
    outer->seq = 2;
    memcpy(outer->data, inner.p, inner.n);
    segment_header(1, &out);
    segment_encode(outer, 7, 0, &scratch, &out);
    snprintf(f.path, sizeof f.path, "/tmp/obsagent-segment-XXXXXX");
    f.fd = mkstemp(f.path);
    assert_int_equal(write(f.fd, out.p, out.n), out.n);
    assert_steps(&f, "r");
    block_unref(b);
    block_unref(outer);
    buf_free(&out);
    buf_free(&scratch);
    buf_free(&inner);
    file_free(&f);
}

/* A megabyte of beginnings is gone through in one pass. */
static void test_a_file_of_magics_takes_no_time(void **state)
{
    struct file f;
    (void)state;
    file_new(&f, 1);
    for (unsigned i = 0; i < 16; i++) {
        char chunk[65536];
        for (size_t k = 0; k < sizeof chunk; k += 4)
            memcpy(chunk + k, "OBSR", 4);
        off_t to = (off_t)(f.at[1] + i * sizeof chunk);
        assert_int_equal(pwrite(f.fd, chunk, sizeof chunk, to), sizeof chunk);
    }
    int64_t before = clock_mono_ms();
    assert_steps(&f, "rc");
    assert_true(clock_mono_ms() - before < 20000); /* also under a sanitizer */
    file_free(&f);
}

static void test_damage_across_a_chunk_of_the_search_hides_nothing(void **state)
{
    (void)state;
    /* The next header begins at, before and behind the place where the search reads on. */
    for (int shift = -90; shift <= 90; shift++) {
        struct file f;
        uint8_t record[2048];
        file_new(&f, 2);
        size_t n = (size_t)(f.at[2] - f.at[1]);
        assert_int_equal(pread(f.fd, record, n, (off_t)f.at[1]), n);
        off_t to = (off_t)(SEGMENT_HEADER_BYTES + 1 + 65536 + shift);
        assert_int_equal(ftruncate(f.fd, SEGMENT_HEADER_BYTES), 0);
        assert_int_equal(pwrite(f.fd, record, n, to), n);
        assert_steps(&f, "cr");
        file_free(&f);
    }
}

static void check_kind(const char *bytes, size_t n, enum segment_kind want)
{
    char path[] = "/tmp/obsagent-segment-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(segment_check(fd), want);
    close(fd);
    unlink(path);
}

static void test_what_a_file_is(void **state)
{
    struct buf h;
    (void)state;
    buf_init(&h, 4096);
    segment_header(1, &h);
    check_kind(h.p, h.n, SEGMENT_GOOD);
    check_kind(h.p, 0, SEGMENT_EMPTY);
    check_kind(h.p, 5, SEGMENT_EMPTY);
    check_kind(h.p, 31, SEGMENT_EMPTY);
    check_kind("\0\0\0\0\0\0", 6, SEGMENT_EMPTY);
    check_kind("junk", 4, SEGMENT_FOREIGN);
    h.p[20] ^= 1;
    check_kind(h.p, h.n, SEGMENT_DAMAGED);
    h.p[20] ^= 1;
    h.p[0] ^= 1;
    check_kind(h.p, h.n, SEGMENT_FOREIGN);
    h.p[0] ^= 1;
    bytes_put32((uint8_t *)h.p + 8, SEGMENT_VERSION + 1);
    check_kind(h.p, h.n, SEGMENT_DAMAGED);
    bytes_put32((uint8_t *)h.p + 12, hash_crc32c(hash_crc32c(0, h.p, 12), h.p + 16, h.n - 16));
    check_kind(h.p, h.n, SEGMENT_NEWER);
    buf_free(&h);
}

/* ---- cursors ---- */

static void test_names_make_files_and_back(void **state)
{
    static const char *const NAMES[] = {"main", "a/b", "..", "\xc3\xa9 x", "%41", "~", "A-b_9"};
    (void)state;
    for (size_t i = 0; i < ROWS(NAMES); i++) {
        char back[CURSOR_NAME_MAX];
        char *path = cursor_path("/d", NAMES[i]);
        assert_null(strchr(path + 3, '/'));
        assert_true(cursor_name_of(path + 3, back));
        assert_string_equal(back, NAMES[i]);
        free(path);
    }
}

static void test_files_that_are_no_cursors(void **state)
{
    static const char *const FILES[] = {"cursor-",    "cursor-%zz", "cursor-%4", "cursor-%00", "cursor-a.bak",
                                        "cursor-~12", "cursor",     "lock",      "cursor-%4A"};
    (void)state;
    for (size_t i = 0; i < ROWS(FILES); i++) {
        char name[CURSOR_NAME_MAX];
        if (cursor_name_of(FILES[i], name))
            fail_msg("%s is taken for a cursor", FILES[i]);
    }
}

static void test_a_long_name_has_a_file_too(void **state)
{
    char name[CURSOR_NAME_MAX], back[CURSOR_NAME_MAX], dir[] = "/tmp/obsagent-cursor-XXXXXX";
    struct cursor c, read;
    struct err err = {0};
    bool created;
    (void)state;
    memset(name, ' ', sizeof name);
    name[sizeof name - 1] = '\0';
    cursor_init(&c, name);
    c.low = 9;
    assert_non_null(mkdtemp(dir));
    char *path = cursor_path(dir, name);
    assert_true(strlen(strrchr(path, '/')) < 255);
    assert_true(cursor_name_of(strrchr(path, '/') + 1, back));
    assert_string_equal(back, ""); /* it stands inside */
    int fd = cursor_open(path, &created, &err);
    assert_true(created);
    assert_true(cursor_write(fd, &c));
    close(fd);
    assert_true(cursor_read(path, &read));
    assert_string_equal(read.name, name);
    assert_int_equal(read.low, 9);
    fd = cursor_open(path, &created, &err);
    assert_false(created);
    close(fd);
    free(path);
    remove_tree(dir);
}

static void test_a_torn_slot_leaves_the_one_before(void **state)
{
    char path[] = "/tmp/obsagent-cursor-XXXXXX";
    int fd = mkstemp(path);
    struct cursor c, read;
    (void)state;
    cursor_init(&c, "a");
    for (uint64_t low = 1; low <= 9; low++) {
        c.low = low;
        assert_true(cursor_write(fd, &c));
        assert_true(cursor_read(path, &read));
        assert_int_equal(read.low, low);
        flip(path, c.turn % 2 * CURSOR_SLOT_BYTES + 100); /* the power went while it was written */
        bool good = cursor_read(path, &read);
        assert_true(good == (low > 1));
        assert_int_equal(read.low, low - 1);
        flip(path, c.turn % 2 * CURSOR_SLOT_BYTES + 100);
    }
    close(fd);
    unlink(path);
}

/* A slot of the first version, as it was written. */
static void put_first_version(int fd, uint64_t turn, uint64_t low)
{
    uint8_t slot[2048] = {0};
    memcpy(slot, "OBSC", 4);
    bytes_put64(slot + 8, turn);
    bytes_put64(slot + 16, low);
    bytes_put32(slot + 24, 3);
    bytes_put32(slot + 28, 128);
    memcpy(slot + 40, "old", 3);
    bytes_put64(slot + 168 + 8, low + 5); /* lane 1 */
    bytes_put32(slot + 4, hash_crc32c(0, slot + 8, sizeof slot - 8));
    assert_int_equal(pwrite(fd, slot, sizeof slot, (off_t)(turn % 2 * sizeof slot)), sizeof slot);
}

static void test_the_first_version_is_read_and_left_whole_by_the_first_write(void **state)
{
    struct cursor c, read;
    (void)state;
    for (uint64_t turn = 6; turn <= 7; turn++) {
        char path[] = "/tmp/obsagent-cursor-XXXXXX";
        int fd = mkstemp(path);
        put_first_version(fd, turn - 1, 20);
        put_first_version(fd, turn, 30);
        assert_true(cursor_read(path, &c));
        assert_string_equal(c.name, "old");
        assert_int_equal(c.low, 30);
        assert_true(cursor_delivered(&c, 35, 1, 3));
        assert_false(cursor_delivered(&c, 36, 1, 3));
        assert_false(cursor_delivered(&c, 35, 0, 3));
        c.low = 31;
        assert_true(cursor_write(fd, &c));
        assert_true(cursor_read(path, &read));
        assert_int_equal(read.low, 31);
        flip(path, CURSOR_SLOT_BYTES + 100);
        assert_true(cursor_read(path, &read));
        assert_int_equal(read.low, 30);
        flip(path, CURSOR_SLOT_BYTES + 100);
        assert_true(cursor_read(path, &c));
        c.low = 32; /* over the old slots */
        assert_true(cursor_write(fd, &c));
        assert_true(cursor_read(path, &read));
        assert_int_equal(read.low, 32);
        flip(path, 100);
        assert_true(cursor_read(path, &read));
        assert_int_equal(read.low, 31);
        close(fd);
        unlink(path);
    }
}

static void fill_cursor(struct cursor *c, uint32_t lanes, size_t windows, size_t batches)
{
    cursor_init(c, "full");
    c->low = 100;
    c->key = 77;
    c->closed_at = 1ull << 40;
    for (uint32_t i = 0; i < lanes; i++)
        cursor_ack(&c->windows[0], 200 + i, i, 9);
    for (size_t i = 1; i < windows; i++) {
        struct cursor_window *w = cursor_add_window(c, 1000 * i, i % 2 ? 0 : 1000 * i + 7);
        assert_non_null(w);
        cursor_ack(w, 1000 * i + 5, (uint32_t)i % lanes, 9);
    }
    for (uint32_t i = 0; i < batches; i++)
        c->batches[c->batches_n++] = (struct cursor_batch){
            .first = 300 + i, .last = 400 + i, .run = 9, .lane = i, .blocks = i + 1, .samples = 1000 + i,
            .progress = {.strands = i % (QUEUE_STRANDS_MAX + 1), .series = {i, i + 1, i + 2}}};
}

static void assert_same(const struct cursor *a, const struct cursor *b, size_t windows, size_t batches)
{
    assert_int_equal(b->low, a->low);
    assert_int_equal(b->key, a->key);
    assert_int_equal(b->closed_at, a->closed_at);
    assert_int_equal(b->windows_n, windows);
    assert_int_equal(b->batches_n, batches);
    assert_memory_equal(a->windows, b->windows, windows * sizeof a->windows[0]);
    for (size_t i = 0; i < batches; i++) {
        const struct cursor_batch *x = &a->batches[i], *y = &b->batches[i];
        assert_int_equal(x->first, y->first);
        assert_int_equal(x->last, y->last);
        assert_int_equal(x->run, y->run);
        assert_int_equal(x->lane, y->lane);
        assert_int_equal(x->blocks, y->blocks);
        assert_int_equal(x->samples, y->samples);
        assert_int_equal(x->progress.strands, y->progress.strands);
        assert_memory_equal(x->progress.series, y->progress.series, x->progress.strands * sizeof x->progress.series[0]);
    }
}

static void test_a_cursor_comes_back_as_it_was(void **state)
{
    static const struct {
        uint32_t lanes;
        size_t windows, batches, want_windows, want_batches;
    } T[] = {
        {1, 1, 0, 1, 0},
        {2, 3, 1, 3, 1},
        {8, CURSOR_WINDOWS_MAX, CURSOR_BATCHES_MAX, CURSOR_WINDOWS_MAX, CURSOR_BATCHES_MAX},
        {CURSOR_LANES_MAX, CURSOR_WINDOWS_MAX, 3, 15, 3}, /* not all have room */
    };
    (void)state;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        char path[] = "/tmp/obsagent-cursor-XXXXXX";
        int fd = mkstemp(path);
        struct cursor *c = xmalloc(sizeof *c), *read = xmalloc(sizeof *read);
        fill_cursor(c, T[i].lanes, T[i].windows, T[i].batches);
        assert_true(cursor_write(fd, c));
        assert_true(cursor_read(path, read));
        assert_same(c, read, T[i].want_windows, T[i].want_batches);
        close(fd);
        unlink(path);
        free(c);
        free(read);
    }
}

static void test_what_is_delivered(void **state)
{
    static const struct {
        uint64_t seq;
        uint32_t lane, run;
        bool delivered;
    } T[] = {
        {10, 0, 9, true},  {11, 0, 3, false}, {15, 1, 3, true},   {16, 1, 3, false},
        {15, 1, 2, false}, {15, CURSOR_LANES_MAX, 3, false},
        {99, 0, 3, false}, {100, 0, 3, true}, {105, 0, 3, true},  {106, 0, 3, false}, /* a fresh stream */
        {105, 1, 3, false}, {105, 0, 4, false},
        {199, 0, 3, false}, {200, 5, 8, true}, {249, 0, 3, true}, {250, 0, 3, false}, /* a closed time */
        {399, 0, 3, false}, {400, 0, 3, true}, {1ull << 50, 7, 7, true},              /* nothing is owed any more */
    };
    struct cursor c;
    (void)state;
    cursor_init(&c, "a");
    c.low = 10;
    cursor_ack(&c.windows[0], 15, 1, 3);
    cursor_ack(cursor_add_window(&c, 100, 0), 105, 0, 3);
    assert_non_null(cursor_add_window(&c, 200, 250));
    c.closed_at = 400;
    for (size_t i = 0; i < sizeof T / sizeof T[0]; i++) {
        if (cursor_delivered(&c, T[i].seq, T[i].lane, T[i].run) != T[i].delivered)
            fail_msg("row %zu: seq %llu", i, (unsigned long long)T[i].seq);
    }
    assert_int_equal(cursor_highest(&c), 399);
}

static void test_windows_that_are_passed_make_room(void **state)
{
    struct cursor c;
    (void)state;
    cursor_init(&c, "a");
    for (uint64_t i = 1; i < CURSOR_WINDOWS_MAX; i++)
        assert_non_null(cursor_add_window(&c, 10 * i, 10 * i + 5));
    assert_null(cursor_add_window(&c, 5000, 0));
    c.low = 13; /* inside the first */
    assert_null(cursor_add_window(&c, 5000, 0));
    c.low = 24;
    assert_non_null(cursor_add_window(&c, 5000, 0));
    assert_non_null(cursor_add_window(&c, 6000, 6001));
    assert_int_equal(c.windows[1].from, 30);
    assert_int_equal(c.windows[0].from, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_a_flip_in_any_byte_costs_one_record_at_most),
        cmocka_unit_test(test_a_file_cut_anywhere_keeps_what_is_whole),
        cmocka_unit_test(test_a_damaged_job_table_costs_the_names_alone),
        cmocka_unit_test(test_damage_is_told_from_a_failing_disk),
        cmocka_unit_test(test_a_raw_payload_that_looks_like_records_is_none),
        cmocka_unit_test(test_a_file_of_magics_takes_no_time),
        cmocka_unit_test(test_damage_across_a_chunk_of_the_search_hides_nothing),
        cmocka_unit_test(test_what_a_file_is),
        cmocka_unit_test(test_names_make_files_and_back),
        cmocka_unit_test(test_files_that_are_no_cursors),
        cmocka_unit_test(test_a_long_name_has_a_file_too),
        cmocka_unit_test(test_a_torn_slot_leaves_the_one_before),
        cmocka_unit_test(test_the_first_version_is_read_and_left_whole_by_the_first_write),
        cmocka_unit_test(test_a_cursor_comes_back_as_it_was),
        cmocka_unit_test(test_what_is_delivered),
        cmocka_unit_test(test_windows_that_are_passed_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
