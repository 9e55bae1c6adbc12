/* SPDX-License-Identifier: Apache-2.0 */
/* test_queue_damage: what a crash, a bad disk or a strange hand leaves in the directory costs what it hit, no
   more, and is in the books. */
#include "queue_bed.h"

#include "agent/queue/bytes.h"
#include "agent/queue/cursor.h"
#include "agent/queue/segment.h"
#include "base/hash.h"
#include "base/log.h"

/* Where record i begins. */
static uint64_t record_offset(const char *path, uint32_t i)
{
    int fd = open(path, O_RDONLY);
    uint64_t offset = SEGMENT_HEADER_BYTES;
    struct record r = {.offset = offset};
    for (uint32_t k = 0; k <= i; k++)
        assert_int_equal(segment_next(fd, &offset, &r), STEP_RECORD);
    close(fd);
    return r.offset;
}

/* ---- the table ----

   Twelve blocks of ten samples in three files of four; the first two are delivered. Something happens to the directory,
   the agent starts, and delivers what there is. What it cost is what the row says:

     booked     samples lost, and in the books as lost
     unknown    samples lost that nobody can know of: the log is all that tells, or nothing
     twice      samples delivered a second time */

#define BLOCKS 12
#define DELIVERED 2
#define IN_FILE 4
#define EACH 10 /* samples */

struct damage {
    const char *name;
    void (*harm)(const char *dir, uint64_t at);
    uint64_t at;
    uint64_t booked, unknown, twice;
    const char *log; /* what it says; NULL = nothing above info */
};

static char *file_number(const char *dir, unsigned i)
{
    char name[64];
    snprintf(name, sizeof name, "seg-%016x.log", 1 + i * IN_FILE);
    return file_join(dir, name);
}

static void write_at(const char *path, uint64_t at, const void *p, size_t n)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    assert_int_equal(pwrite(fd, p, n, (off_t)at), n);
    close(fd);
}

/* Of the middle file. */
static void flip_file_header(const char *dir, uint64_t at)
{
    char *path = file_number(dir, 1);
    flip(path, at);
    free(path);
}

/* Of the second record in the middle file. */
static void flip_record(const char *dir, uint64_t at)
{
    char *path = file_number(dir, 1);
    flip(path, record_offset(path, 1) + at);
    free(path);
}

static void flip_payload(const char *dir, uint64_t at)
{
    char *path = file_number(dir, 1);
    flip(path, record_offset(path, 2) - at);
    free(path);
}

/* So many headers of the middle file, from the second on. */
static void destroy_headers(const char *dir, uint64_t n)
{
    char *path = file_number(dir, 1);
    uint64_t at[IN_FILE];
    for (uint32_t i = 0; i < n; i++)
        at[i] = record_offset(path, 1 + i);
    for (uint32_t i = 0; i < n; i++)
        write_at(path, at[i] + 8, "garbage", 7);
    free(path);
}

/* Of the last record in the middle file. */
static void cut_tail(const char *dir, uint64_t bytes)
{
    struct stat st;
    char *path = file_number(dir, 1);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, st.st_size - (off_t)bytes), 0);
    free(path);
}

/* Leaves so many bytes of the last record. */
static void cut_record(const char *dir, uint64_t left)
{
    char *path = file_number(dir, 1);
    assert_int_equal(truncate(path, (off_t)(record_offset(path, IN_FILE - 1) + left)), 0);
    free(path);
}

static void remove_file(const char *dir, uint64_t i)
{
    char *path = file_number(dir, (unsigned)i);
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void empty_file(const char *dir, uint64_t left)
{
    char *path = file_number(dir, 1);
    assert_int_equal(truncate(path, (off_t)left), 0);
    free(path);
}

static void zero_file(const char *dir, uint64_t at)
{
    struct stat st;
    char *path = file_number(dir, 1);
    (void)at;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, st.st_size), 0);
    free(path);
}

/* The middle file in another version of the format. */
static void set_version(const char *dir, uint64_t version)
{
    uint8_t h[SEGMENT_HEADER_BYTES];
    char *path = file_number(dir, 1);
    int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, h, sizeof h, 0), sizeof h);
    close(fd);
    bytes_put32(h + 8, (uint32_t)version);
    bytes_put32(h + 12, hash_crc32c(hash_crc32c(0, h, 12), h + 16, sizeof h - 16));
    write_at(path, 0, h, sizeof h);
    free(path);
}

/* As the first releases wrote records: none says how much is before it. */
static void forget_counts(const char *dir, uint64_t at)
{
    uint8_t h[RECORD_HEADER_BYTES];
    (void)at;
    for (unsigned i = 0; i < BLOCKS / IN_FILE; i++) {
        char *path = file_number(dir, i);
        for (uint32_t k = 0; k < IN_FILE; k++) {
            uint64_t offset = record_offset(path, k);
            int fd = open(path, O_RDONLY);
            assert_int_equal(pread(fd, h, sizeof h, (off_t)offset), sizeof h);
            close(fd);
            bytes_put32(h + 24, bytes_get32(h + 24) & 1);
            bytes_put32(h + 4, hash_crc32c(0, h + 8, sizeof h - 8));
            write_at(path, offset, h, sizeof h);
        }
        free(path);
    }
}

static void forget_counts_and_destroy(const char *dir, uint64_t n)
{
    forget_counts(dir, 0);
    destroy_headers(dir, n);
}

/* ---- of cursors ---- */

static void cut_cursor(const char *dir, uint64_t left)
{
    char *path = cursor_path(dir, "a");
    assert_int_equal(truncate(path, (off_t)left), 0);
    free(path);
}

static void remove_cursor(const char *dir, uint64_t at)
{
    char *path = cursor_path(dir, "a");
    (void)at;
    assert_int_equal(unlink(path), 0);
    free(path);
}

static void garbage_cursor(const char *dir, uint64_t bytes)
{
    char *path = cursor_path(dir, "a");
    uint8_t *noise = xmalloc(bytes);
    for (uint64_t i = 0; i < bytes; i++)
        noise[i] = (uint8_t)(i * 131 + 7);
    write_at(path, 0, noise, bytes);
    free(noise);
    free(path);
}

/* The newer slot. */
static void flip_cursor(const char *dir, uint64_t at)
{
    struct cursor c;
    char *path = cursor_path(dir, "a");
    assert_true(cursor_read(path, &c));
    flip(path, c.turn % 2 * CURSOR_SLOT_BYTES + at);
    free(path);
}

static void set_cursor(const char *dir, uint64_t low)
{
    struct cursor c;
    bool created;
    struct err err = {0};
    char *path = cursor_path(dir, "a");
    assert_true(cursor_read(path, &c));
    c.low = c.windows[0].acked[0] = low;
    int fd = cursor_open(path, &created, &err);
    assert_true(cursor_write(fd, &c));
    close(fd);
    free(path);
}

/* The first version of the format, as its releases wrote it. */
static void old_cursor(const char *dir, uint64_t low)
{
    uint8_t slot[2048] = {0};
    char *path = cursor_path(dir, "a");
    memcpy(slot, "OBSC", 4);
    bytes_put64(slot + 8, 6);
    bytes_put64(slot + 16, low);
    bytes_put32(slot + 24, 1);
    bytes_put32(slot + 28, 1);
    slot[40] = 'a';
    bytes_put64(slot + 168, low);
    bytes_put32(slot + 4, hash_crc32c(0, slot + 8, sizeof slot - 8));
    assert_int_equal(truncate(path, 0), 0);
    write_at(path, 0, slot, sizeof slot);
    free(path);
}

/* A later version: a header of the same form. */
static void new_cursor(const char *dir, uint64_t version)
{
    uint8_t slot[CURSOR_SLOT_BYTES];
    char *path = cursor_path(dir, "a");
    int fd = open(path, O_RDWR);
    for (int i = 0; i < 2; i++) {
        ssize_t n = pread(fd, slot, sizeof slot, i * CURSOR_SLOT_BYTES);
        assert_true(n > 16);
        bytes_put32(slot + 12, (uint32_t)version);
        bytes_put32(slot + 4, hash_crc32c(0, slot + 8, bytes_get32(slot + 8)));
        assert_int_equal(pwrite(fd, slot, (size_t)n, i * CURSOR_SLOT_BYTES), n);
    }
    close(fd);
    free(path);
}

/* ---- of others ---- */

static const char *const STRANGERS[] = {"notes.txt", "seg-zz", "cursor-%zz~", "seg-0000000000000000.log"};

static void put_stranger(const char *dir, uint64_t i)
{
    struct err err = {0};
    char *path = file_join(dir, STRANGERS[i]);
    assert_true(file_write_atomic(path, STR("junk that is longer than any header of a file is"), &err));
    free(path);
}

static void put_directory(const char *dir, uint64_t i)
{
    char *path = file_number(dir, (unsigned)i);
    assert_int_equal(mkdir(path, 0755), 0);
    free(path);
}

static const struct damage DAMAGES[] = {
    {"nothing", NULL, 0, 0, 0, 0, NULL},
    /* A wrong bit in the header of a file: it is ours all the same. */
    {"file: magic", flip_file_header, 2, 0, 0, 0, "header is damaged, 4 records found behind it"},
    {"file: version", flip_file_header, 8, 0, 0, 0, "header is damaged, 4 records found behind it"},
    {"file: crc", flip_file_header, 12, 0, 0, 0, "header is damaged, 4 records found behind it"},
    {"file: first seq", flip_file_header, 16, 0, 0, 0, "header is damaged, 4 records found behind it"},
    {"file: created", flip_file_header, 24, 0, 0, 0, "header is damaged, 4 records found behind it"},
    /* In the header of a record: mended. */
    {"record: magic", flip_record, 1, 0, 0, 0, "had a wrong bit: mended"},
    {"record: crc", flip_record, 4, 0, 0, 0, "had a wrong bit: mended"},
    {"record: seq", flip_record, 8, 0, 0, 0, "had a wrong bit: mended"},
    {"record: lane", flip_record, 16, 0, 0, 0, "had a wrong bit: mended"},
    {"record: run", flip_record, 20, 0, 0, 0, "had a wrong bit: mended"},
    {"record: flags", flip_record, 24, 0, 0, 0, "had a wrong bit: mended"},
    {"record: series", flip_record, 28, 0, 0, 0, "had a wrong bit: mended"},
    {"record: samples", flip_record, 32, 0, 0, 0, "had a wrong bit: mended"},
    {"record: jobs bytes", flip_record, 36, 0, 0, 0, "had a wrong bit: mended"},
    {"record: stored bytes", flip_record, 40, 0, 0, 0, "had a wrong bit: mended"},
    {"record: raw bytes", flip_record, 44, 0, 0, 0, "had a wrong bit: mended"},
    {"record: payload crc", flip_record, 48, 0, 0, 0, "had a wrong bit: mended"},
    {"record: jobs crc", flip_record, 52, 0, 0, 0, "had a wrong bit: mended"},
    {"record: min ts", flip_record, 56, 0, 0, 0, "had a wrong bit: mended"},
    {"record: max ts", flip_record, 64, 0, 0, 0, "had a wrong bit: mended"},
    {"record: sealed", flip_record, 72, 0, 0, 0, "had a wrong bit: mended"},
    /* Behind it. */
    {"job table", flip_record, RECORD_HEADER_BYTES + 1, 0, 0, 0, NULL}, /* costs the job's name */
    {"payload", flip_payload, 20, 10, 0, 0, "is lost: "},
    {"one header destroyed", destroy_headers, 1, 10, 0, 0, "damaged from byte"},
    {"two headers destroyed", destroy_headers, 2, 20, 0, 0, "damaged from byte"},
    {"three, to the end of the file", destroy_headers, 3, 0, 30, 0, "damaged from byte"},
    /* Tails. */
    {"tail cut by a byte", cut_tail, 1, 10, 0, 0, "damaged from byte"},
    {"tail cut to its header", cut_record, RECORD_HEADER_BYTES, 10, 0, 0, "damaged from byte"},
    {"tail cut in its header", cut_record, RECORD_HEADER_BYTES - 1, 0, 10, 0, "damaged from byte"},
    {"tail cut between records", cut_record, 0, 0, 10, 0, NULL},
    /* Whole files. */
    {"first file missing", remove_file, 0, 0, 20, 0, NULL},
    {"middle file missing", remove_file, 1, 0, 40, 0, NULL},
    {"last file missing", remove_file, 2, 0, 40, 0, NULL},
    {"empty file", empty_file, 0, 0, 40, 0, "holds nothing: removed"},
    {"file cut in its header", empty_file, 20, 0, 40, 0, "holds nothing: removed"},
    {"file of zeros", zero_file, 0, 0, 40, 0, "0 records found behind it: left alone"},
    {"older format", set_version, 0, 0, 0, 0, NULL},
    {"newer format", set_version, 7, 0, 40, 0, "is of a newer format: left alone"},
    {"records of the first releases", forget_counts, 0, 0, 0, 0, NULL},
    {"of them, a header destroyed", forget_counts_and_destroy, 1, 0, 10, 0, "damaged from byte"},
    /* The cursor. */
    {"cursor: newer slot, crc", flip_cursor, 4, 0, 0, 0, NULL},
    {"cursor: newer slot, turn", flip_cursor, 16, 0, 0, 0, NULL},
    {"cursor: newer slot, low", flip_cursor, 24, 0, 0, 0, NULL},
    {"cursor: newer slot, name", flip_cursor, 48, 0, 0, 0, NULL},
    {"cursor: empty", cut_cursor, 0, 0, 0, 20, "will be sent to a again"},
    {"cursor: cut short", cut_cursor, 100, 0, 0, 20, "will be sent to a again"},
    {"cursor: garbage", garbage_cursor, 2 * CURSOR_SLOT_BYTES, 0, 0, 20, "will be sent to a again"},
    {"cursor: missing", remove_cursor, 0, 0, 0, 20, NULL}, /* all there is belongs to the first reader */
    {"cursor: ahead of the data", set_cursor, 1000, 0, 100, 0, NULL}, /* it says that all is delivered */
    {"cursor: behind", set_cursor, 1, 0, 0, 10, NULL},
    {"cursor: first version", old_cursor, 2, 0, 0, 0, NULL},
    {"cursor: later version", new_cursor, 3, 0, 0, 20, "will be sent to a again"},
    /* Strangers. */
    {"a foreign file", put_stranger, 0, 0, 0, 0, NULL},
    {"a name that is nearly one", put_stranger, 1, 0, 0, 0, NULL},
    {"a name that is nearly a cursor's", put_stranger, 2, 0, 0, 0, NULL},
    {"a foreign file of our name", put_stranger, 3, 0, 0, 0, "0 records found behind it: left alone"},
    {"a directory of our name", put_directory, 5, 0, 0, 0, "its data waits for the next start"},
};

/* What the log says from here on goes to a file. */
static int log_to(const char *path)
{
    int old = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    fflush(stderr);
    dup2(fd, STDERR_FILENO);
    close(fd);
    return old;
}

static void log_back(int old, const char *path, struct buf *out)
{
    struct err err = {0};
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    assert_true(file_read(path, 1 << 20, out, &err));
    unlink(path);
}

static void make_files(struct bed *t)
{
    bed_new(t);
    t->options.segment_bytes = 1100; /* four records have more */
    bed_open(t);
    struct queue_reader *r = open_reader(t, "a");
    queue_reader_failing(r, true);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        push(t, 0, i);
        if (i % IN_FILE == IN_FILE - 1)
            wait_until(nothing_in_ram, t);
    }
    for (uint32_t i = 0; i < DELIVERED; i++)
        deliver(t, r, "a", i);
    queue_reader_close(r);
    bed_close(t);
    ledger_free(t->ledger);
    t->ledger = ledger_new();
}

/* All that comes; the numbers of samples come again, and missing. One more block is pushed, and has to come last. */
static void deliver_rest(struct bed *t, uint64_t *twice, uint64_t *missing)
{
    bool seen[BLOCKS + 1] = {false};
    struct queue_reader *r = open_reader(t, "a");
    *twice = *missing = 0;
    push(t, 0, BLOCKS);
    for (struct block *b; (b = queue_take(r));) {
        uint32_t n = number_of(b);
        assert_true(n <= BLOCKS && !seen[n] && !seen[BLOCKS]);
        seen[n] = true;
        ledger_delivered(t->ledger, STR("a"), STR("app"), b->samples);
        queue_ack(r, b);
    }
    assert_balance(t, r, "a");
    queue_reader_close(r);
    for (uint32_t i = 0; i < BLOCKS; i++) {
        *twice += i < DELIVERED && seen[i] ? EACH : 0;
        *missing += i >= DELIVERED && !seen[i] ? EACH : 0;
    }
    assert_true(seen[BLOCKS]);
}

static void check_damage(const struct damage *d)
{
    struct bed t;
    uint64_t twice, missing;
    struct buf said;
    make_files(&t);
    if (d->harm)
        d->harm(t.dir, d->at);
    char *path = xasprintf("%s.stderr", t.dir);
    buf_init(&said, 1 << 20);
    int old = log_to(path);
    bed_open(&t);
    deliver_rest(&t, &twice, &missing);
    log_back(old, path, &said);
    uint64_t booked = lost_of(&t, "a");
    if (booked != d->booked || missing != d->booked + d->unknown || twice != d->twice)
        fail_msg("%s: booked %llu, missing %llu, twice %llu", d->name, (unsigned long long)booked,
                 (unsigned long long)missing, (unsigned long long)twice);
    if (d->log ? !strstr(buf_c(&said), d->log) : said.n > 0)
        fail_msg("%s: the log says: %s", d->name, buf_c(&said));
    buf_free(&said);
    free(path);
    bed_free(&t);
}

static void test_damage_costs_what_the_table_says(void **state)
{
    (void)state;
    log_set_level("warn");
    for (size_t i = 0; i < ROWS(DAMAGES); i++)
        check_damage(&DAMAGES[i]);
    log_set_level("error");
}

/* A file that cannot be read at one start is sent at the next: it, and nothing else again. Meanwhile so many of six new
   blocks are delivered. */
static void read_later(uint32_t meanwhile)
{
    struct bed t;
    make_files(&t);
    char *path = file_number(t.dir, 1), *aside = xasprintf("%s/aside", t.dir);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(mkdir(path, 0755), 0);
    bed_open(&t);
    struct queue_reader *r = open_reader(&t, "a");
    static const uint32_t AT_ONCE[] = {2, 3, 8, 9, 10, 11};
    for (size_t i = 0; i < ROWS(AT_ONCE); i++)
        deliver(&t, r, "a", AT_ONCE[i]);
    for (uint32_t i = 20; i < 26; i++)
        push(&t, 0, i);
    for (uint32_t i = 20; i < 20 + meanwhile; i++)
        deliver(&t, r, "a", i);
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(aside, path), 0);
    ledger_free(t.ledger);
    t.ledger = ledger_new();
    reopen(&t, &r);
    for (uint32_t i = 4; i < 8; i++)
        deliver(&t, r, "a", i);
    for (uint32_t i = 20 + meanwhile; i < 26; i++)
        deliver(&t, r, "a", i);
    assert_null(queue_take(r));
    assert_balance(&t, r, "a");
    free(path);
    free(aside);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_file_that_cannot_be_read_now_is_sent_later(void **state)
{
    (void)state;
    read_later(0);
    read_later(2);
    read_later(6);
}

static void test_junk_files_are_left_alone(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct err err = {0};
    static const char *const JUNK[] = {"notes.txt", "seg-zz", "cursor-%zz~", "seg-0000000000000000.log"};
    (void)state;
    fill(&t, 2);
    for (size_t i = 0; i < ROWS(JUNK); i++) {
        char *path = file_join(t.dir, JUNK[i]);
        assert_true(file_write_atomic(path, STR("junk"), &err));
        free(path);
    }
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    assert_int_equal(count_files(t.dir, "notes.txt"), 1);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_leftover_name_is_stepped_over(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct err err = {0};
    (void)state;
    bed_new(&t);
    reopen(&t, &r);
    char *path = file_join(t.dir, "seg-0000000000000001.log");
    assert_true(file_write_atomic(path, STR("another's file"), &err));
    queue_reader_failing(r, true);
    push(&t, 0, 0);
    wait_until(nothing_in_ram, &t);
    queue_reader_close(r);
    bed_restart(&t);
    r = open_reader(&t, "a");
    deliver(&t, r, "a", 0);
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    bed_free(&t);
}

/* As a write leaves it that failed half-way and was repeated in a new file. */
static void test_a_record_that_stands_twice_is_sent_once(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = first_segment(t.dir);
    char *copy = xasprintf("cp '%s' '%s/seg-0000000000000001-1.log'", path, t.dir);
    assert_int_equal(system(copy), 0);
    reopen(&t, &r);
    assert_balance(&t, r, "a");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "a", i);
    assert_null(queue_take(r));
    queue_reader_close(r);
    bed_close(&t);
    assert_int_equal(count_files(t.dir, "seg-"), 0);
    free(copy);
    free(path);
    bed_free(&t);
}

static void test_newer_format_is_refused_without_wiping(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 2);
    char *path = first_segment(t.dir);
    uint8_t h[SEGMENT_HEADER_BYTES];
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, h, sizeof h, 0), sizeof h);
    h[8] = 7;
    uint32_t crc = hash_crc32c(hash_crc32c(0, h, 12), h + 16, sizeof h - 16);
    for (size_t i = 0; i < 4; i++)
        h[12 + i] = (uint8_t)(crc >> (8 * i));
    assert_int_equal(pwrite(fd, h, sizeof h, 0), sizeof h);
    close(fd);
    reopen(&t, &r);
    assert_null(queue_take(r));
    push(&t, 0, 5);
    deliver(&t, r, "a", 5);
    queue_reader_close(r);
    queue_close(t.q);
    t.q = NULL;
    assert_int_equal(access(path, F_OK), 0);
    free(path);
    bed_free(&t);
}

static void test_one_bad_cursor_slot_falls_back_to_the_other(void **state)
{
    struct bed t;
    struct queue_reader *r;
    struct cursor c;
    (void)state;
    fill(&t, 4);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 1);
    queue_reader_close(r);
    queue_close(t.q);
    char *path = cursor_path(t.dir, "a");
    assert_true(cursor_read(path, &c));
    assert_int_equal(c.low, 2);
    flip(path, c.turn % 2 * CURSOR_SLOT_BYTES + 20);
    assert_true(cursor_read(path, &c));
    assert_true(c.low <= 2);
    reopen(&t, &r);
    struct block *b = queue_take(r);
    assert_true(number_of(b) <= 2); /* once too often is better than once too few */
    queue_ack(r, b);
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_missing_cursor_gives_everything_to_the_first_reader(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    fill(&t, 3);
    char *path = cursor_path(t.dir, "a");
    unlink(path);
    bed_open(&t);
    r = open_reader(&t, "renamed");
    for (uint32_t i = 0; i < 3; i++)
        deliver(&t, r, "renamed", i);
    assert_balance(&t, r, "renamed");
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

static void test_a_missing_segment_in_the_middle_costs_only_itself(void **state)
{
    struct bed t;
    struct queue_reader *r;
    (void)state;
    bed_new(&t);
    t.options.always = true;
    t.options.segment_bytes = 1;
    bed_open(&t);
    r = open_reader(&t, "a");
    for (uint32_t i = 0; i < 3; i++) {
        push(&t, 0, i);
        wait_until(nothing_in_ram, &t);
    }
    queue_reader_close(r);
    queue_close(t.q);
    char *path = file_join(t.dir, "seg-0000000000000002.log");
    assert_int_equal(unlink(path), 0);
    reopen(&t, &r);
    deliver(&t, r, "a", 0);
    deliver(&t, r, "a", 2);
    assert_null(queue_take(r));
    free(path);
    queue_reader_close(r);
    bed_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage_costs_what_the_table_says),
        cmocka_unit_test(test_a_file_that_cannot_be_read_now_is_sent_later),
        cmocka_unit_test(test_junk_files_are_left_alone),
        cmocka_unit_test(test_a_leftover_name_is_stepped_over),
        cmocka_unit_test(test_a_record_that_stands_twice_is_sent_once),
        cmocka_unit_test(test_newer_format_is_refused_without_wiping),
        cmocka_unit_test(test_one_bad_cursor_slot_falls_back_to_the_other),
        cmocka_unit_test(test_missing_cursor_gives_everything_to_the_first_reader),
        cmocka_unit_test(test_a_missing_segment_in_the_middle_costs_only_itself),
    };
    log_set_level("error");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
