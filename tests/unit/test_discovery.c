/* SPDX-License-Identifier: Apache-2.0 */
/* test_discovery: label sets from configuration and files, and what changes of files do. */
#include "unit.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "discovery.h"
#include "scrape/discovery/source.h"

static char dir[] = "/tmp/obsagent-discovery-XXXXXX";
static struct loop *loop;
static struct discovery *discovery;
static struct buf trace; /* "job: {labels} {labels}\n" for each update */
static int updates, updates_wanted;

static void print_set(const struct labels *l, struct buf *out)
{
    struct arena arena;
    struct labels sorted;
    arena_init(&arena);
    labels_init(&sorted, &arena);
    labels_copy(&sorted, l);
    labels_sort(&sorted);
    buf_add_c(out, " {");
    for (size_t i = 0; i < sorted.n; i++) {
        struct str value = sorted.v[i].value;
        if (str_starts(value, str_of(dir)))
            value = str_skip(value, strlen(dir) + 1);
        buf_addf(out, "%s%.*s=%.*s", i ? "," : "", STR_ARG(sorted.v[i].name), STR_ARG(value));
    }
    buf_add_char(out, '}');
    labels_free(&sorted);
    arena_free(&arena);
}

static void note_update(void *ctx, const struct config_job *job, struct label_set *const *sets, size_t n)
{
    (void)ctx;
    buf_addf(&trace, "%s:", job->job_name);
    for (size_t i = 0; i < n; i++) {
        struct labels l;
        labels_init(&l, NULL);
        label_set_add(sets[i], &l);
        print_set(&l, &trace);
        labels_free(&l);
    }
    buf_add_char(&trace, '\n');
    if (++updates == updates_wanted)
        loop_stop(loop);
}

static void give_up(void *ctx)
{
    loop_stop(ctx);
}

/* Runs until n more updates came or the time is over; what they said. */
static const char *updates_in(int n, int64_t ms)
{
    struct loop_timer end = {0};
    buf_clear(&trace);
    updates = 0;
    updates_wanted = n;
    loop_timer_set(loop, &end, clock_mono_ms() + ms, give_up, loop);
    loop_run(loop);
    loop_timer_clear(loop, &end);
    return buf_c(&trace);
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static struct config *config_of(const char *yaml)
{
    struct buf errors;
    char path[256];
    buf_init(&errors, 65536);
    snprintf(path, sizeof path, "%s/main.yml", dir);
    write_file("main.yml", yaml);
    struct config *c = config_load(path, NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    buf_free(&errors);
    return c;
}

static void apply(const char *yaml)
{
    struct config *c = config_of(yaml);
    discovery_apply(discovery, c);
    config_unref(c);
}

static int setup(void **state)
{
    (void)state;
    memcpy(strchr(dir, '\0') - 6, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    log_set_level("error");
    loop = loop_new();
    discovery = discovery_new(loop, "test", note_update, NULL);
    buf_init(&trace, 1 << 20);
    updates_wanted = -1;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    discovery_free(discovery);
    loop_free(loop);
    buf_free(&trace);
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s", dir);
    return system(command);
}

static void every_job_is_told_at_once(void **state)
{
    (void)state;
    apply("scrape_configs:\n"
          "- job_name: one\n"
          "  static_configs:\n"
          "  - {targets: ['a:1', 'b:2'], labels: {x: y, __address__: z}}\n"
          "  - {targets: ['c:3']}\n"
          "- job_name: none\n");
    assert_string_equal(buf_c(&trace),
                        "one: {__address__=a:1,x=y} {__address__=b:2,x=y} {__address__=c:3}\nnone:\n");
    assert_int_equal(discovery_waiting(discovery), 0);
}

#define FILES \
    "scrape_configs:\n- job_name: f\n  file_sd_configs: [{files: ['t*.json', 't.yml']}]\n" \
    "  static_configs: [{targets: ['s:1']}]\n"

static void files_are_read_when_they_change(void **state)
{
    (void)state;
    write_file("t1.json", "[{\"targets\": [\"a:1\"], \"labels\": {\"x\": \"y\"}}]");
    apply(FILES);
    assert_string_equal(buf_c(&trace), "f: {__address__=s:1} {__address__=a:1,__meta_filepath=t1.json,x=y}\n");
    write_file("t.yml", "- targets: ['b:1']\n");
    assert_string_equal(updates_in(1, 3000),
                        "f: {__address__=s:1} {__address__=a:1,__meta_filepath=t1.json,x=y} "
                        "{__address__=b:1,__meta_filepath=t.yml}\n");
    write_file("t1.json", "[]");
    assert_string_equal(updates_in(1, 3000), "f: {__address__=s:1} {__address__=b:1,__meta_filepath=t.yml}\n");
    write_file("unrelated", "x");
    assert_string_equal(updates_in(1, 400), "");
}

static void broken_file_keeps_what_it_said(void **state)
{
    (void)state;
    char path[256];
    write_file("t1.json", "[{\"targets\": [\"a:1\"]}]");
    write_file("t2.json", "[{\"targets\": [\"b:1\"]}]");
    apply(FILES);
    write_file("t1.json", "[{\"targets\": [\"a:");
    assert_string_equal(updates_in(1, 400), "");
    write_file("t2.json", "[{\"targets\": [\"c:1\"]}]");
    assert_string_equal(updates_in(1, 3000),
                        "f: {__address__=s:1} {__address__=a:1,__meta_filepath=t1.json} "
                        "{__address__=c:1,__meta_filepath=t2.json}\n");
    snprintf(path, sizeof path, "%s/t1.json", dir);
    unlink(path);
    assert_string_equal(updates_in(1, 3000), "f: {__address__=s:1} {__address__=c:1,__meta_filepath=t2.json}\n");
}

/* Only what a file says counts, and what it says as before is the same object. */
static void a_file_written_again_is_no_news(void **state)
{
    (void)state;
    write_file("t.yml", "- targets: ['a:1', 'b:1']\n");
    struct config *c = config_of(FILES);
    struct file_source *files = file_source_new(&c->jobs[0].file_sd[0], NULL);
    struct discovery_sets before, after;
    struct buf errors;
    discovery_sets_init(&before, NULL);
    discovery_sets_init(&after, NULL);
    buf_init(&errors, 65536);
    assert_true(file_source_look(files, &errors));
    file_source_add(files, &before);
    assert_false(file_source_look(files, &errors));
    write_file("t.yml", "# the same, said in another way\n[{targets: ['a:1', \"b:1\"]}]\n");
    assert_false(file_source_look(files, &errors));
    write_file("t.yml", "- targets: ['c:1', 'a:1']\n");
    assert_true(file_source_look(files, &errors));
    file_source_add(files, &after);
    assert_int_equal(before.n, 2);
    assert_int_equal(after.n, 2);
    assert_ptr_equal(after.v[1], before.v[0]);
    write_file("t.yml", "[]\n");
    assert_true(file_source_look(files, &errors));
    write_file("t.yml", "[ ]\n");
    assert_false(file_source_look(files, &errors));
    discovery_sets_free(&before);
    discovery_sets_free(&after);
    file_source_free(files);
    buf_free(&errors);
    config_unref(c);
}

/* What Kubernetes does with a mounted ConfigMap. */
static void swapped_link_is_a_change(void **state)
{
    (void)state;
    char command[512];
    snprintf(command, sizeof command,
             "cd %s && mkdir v1 v2 && echo '[{targets: [\"a:1\"]}]' > v1/t.yml && "
             "echo '[{targets: [\"b:1\"]}]' > v2/t.yml && ln -s v1 ..data && ln -s ..data/t.yml t.yml",
             dir);
    assert_int_equal(system(command), 0);
    apply(FILES);
    assert_string_equal(buf_c(&trace), "f: {__address__=s:1} {__address__=a:1,__meta_filepath=t.yml}\n");
    snprintf(command, sizeof command, "cd %s && ln -s v2 ..tmp && mv -T ..tmp ..data", dir);
    assert_int_equal(system(command), 0);
    assert_string_equal(updates_in(1, 3000), "f: {__address__=s:1} {__address__=b:1,__meta_filepath=t.yml}\n");
}

static void refresh_finds_what_inotify_does_not(void **state)
{
    (void)state;
    char command[256];
    apply("scrape_configs:\n- job_name: f\n"
          "  file_sd_configs: [{files: ['late/t.json'], refresh_interval: 1s}]\n");
    assert_string_equal(buf_c(&trace), "f:\n");
    snprintf(command, sizeof command, "mkdir %s/late", dir);
    assert_int_equal(system(command), 0);
    write_file("late/t.json", "[{\"targets\": [\"a:1\"]}]");
    assert_string_equal(updates_in(1, 3000), "f: {__address__=a:1,__meta_filepath=late/t.json}\n");
}

static void new_generation_keeps_what_is_known(void **state)
{
    (void)state;
    write_file("t1.json", "[{\"targets\": [\"a:1\"]}]");
    apply(FILES);
    write_file("t1.json", "broken");
    buf_clear(&trace);
    apply(FILES "- job_name: new\n  static_configs: [{targets: ['n:1']}]\n");
    assert_string_equal(buf_c(&trace), "f: {__address__=s:1} {__address__=a:1,__meta_filepath=t1.json}\n"
                                       "new: {__address__=n:1}\n");
    buf_clear(&trace);
    apply("scrape_configs: []\n");
    assert_string_equal(buf_c(&trace), "");
    write_file("t1.json", "[]");
    assert_string_equal(updates_in(1, 300), "");
}

static void looking_once_reports_problems(void **state)
{
    (void)state;
    struct config *c = config_of(FILES);
    write_file("t1.json", "[{\"targets\": [\"a:1\"]}]");
    write_file("t2.json", "{");
    struct arena arena;
    struct labels *sets;
    struct buf errors;
    arena_init(&arena);
    buf_init(&errors, 65536);
    assert_int_equal(discovery_once(&c->jobs[0], &arena, &sets, &errors), 2);
    print_set(&sets[0], &trace);
    print_set(&sets[1], &trace);
    assert_string_equal(buf_c(&trace), " {__address__=s:1} {__address__=a:1,__meta_filepath=t1.json}");
    assert_non_null(strstr(buf_c(&errors), "t2.json:"));
    assert_non_null(strstr(buf_c(&errors), "no file matches"));
    buf_free(&errors);
    arena_free(&arena);
    config_unref(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_job_is_told_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_read_when_they_change, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_file_keeps_what_it_said, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_written_again_is_no_news, setup, teardown),
        cmocka_unit_test_setup_teardown(swapped_link_is_a_change, setup, teardown),
        cmocka_unit_test_setup_teardown(refresh_finds_what_inotify_does_not, setup, teardown),
        cmocka_unit_test_setup_teardown(new_generation_keeps_what_is_known, setup, teardown),
        cmocka_unit_test_setup_teardown(looking_once_reports_problems, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
