/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_check: the commands check and help: exit codes, and what goes to which stream. */
#include "unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "agent/command/command.h"
#include "base/alloc.h"
#include "base/file.h"

static char dir[64];

static char *write_file(const char *name, const char *text)
{
    struct err err = {0};
    char *path = file_join(dir, name);
    assert_true(file_write_atomic(path, str_of(text), &err));
    return path;
}

static char *read_all(const char *name)
{
    struct err err = {0};
    struct buf text;
    char *path = file_join(dir, name);
    buf_init(&text, 1 << 20);
    assert_true(file_read(path, 1 << 20, &text, &err));
    unlink(path);
    free(path);
    return buf_take(&text);
}

struct ran {
    int code;
    char *out, *err;
};

/* Runs a command on copies of the words, with both streams caught. */
static struct ran run(int (*command)(int, char **), int argc, const char *const *words)
{
    char *copies[8] = {0}, *argv[8] = {0}; /* a command may move its arguments */
    for (int i = 0; i < argc; i++)
        copies[i] = argv[i] = xstrdup(words[i]);
    fflush(stdout);
    fflush(stderr);
    int keep[2] = {dup(1), dup(2)};
    const char *const names[2] = {"out", "err"};
    for (int i = 0; i < 2; i++) {
        char *path = file_join(dir, names[i]);
        int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
        assert_true(fd >= 0);
        dup2(fd, i + 1);
        close(fd);
        free(path);
    }
    struct ran r = {.code = command(argc, argv)};
    fflush(stdout);
    fflush(stderr);
    for (int i = 0; i < 2; i++) {
        dup2(keep[i], i + 1);
        close(keep[i]);
    }
    r.out = read_all("out");
    r.err = read_all("err");
    for (int i = 0; i < argc; i++)
        free(copies[i]);
    return r;
}

static void ran_free(struct ran *r)
{
    free(r->out);
    free(r->err);
}

#define RUN(command, ...) \
    run(command, (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *)), (const char *[]){__VA_ARGS__})

static int setup(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/test_config_check_XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    char *command = xasprintf("rm -r '%s'", dir);
    int r = system(command);
    free(command);
    return r;
}

static void test_good(void **state)
{
    (void)state;
    char *one = write_file("one.yml", "scrape_configs: [{job_name: a}]\nremote_write: [{url: http://h/}]\n");
    char *two = write_file("two.yml", "scrape_configs: [{job_name: a}, {job_name: b}]\n");
    struct ran r = RUN(command_check, "check", one, two);
    char *want = xasprintf("%s: ok, 1 job, 1 remote_write endpoint\n%s: ok, 2 jobs, 0 remote_write endpoints\n",
                           one, two);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.out, want);
    assert_string_equal(r.err, "");
    ran_free(&r);
    free(want);
    free(one);
    free(two);
}

static void test_bad(void **state)
{
    (void)state;
    char *good = write_file("good.yml", "scrape_configs: [{job_name: a}]\n");
    char *bad = write_file("bad.yml", "global:\n  x: 1\nscrape_configs: [{job_name: a, y: 1}]\n");
    struct ran r = RUN(command_check, "check", bad, good);
    char *errors = xasprintf("%s:2:3: field x not found in global\n%s:3:32: field y not found in scrape_config\n",
                             bad, bad);
    char *out = xasprintf("%s: ok, 1 job, 0 remote_write endpoints\n", good);
    assert_int_equal(r.code, 1);
    assert_string_equal(r.err, errors);
    assert_string_equal(r.out, out);
    ran_free(&r);
    free(out);
    free(errors);
    r = RUN(command_check, "check", "/nonexistent/x.yml");
    assert_int_equal(r.code, 1);
    assert_memory_equal(r.err, "/nonexistent/x.yml:1:1: ", 24);
    ran_free(&r);
    free(good);
    free(bad);
}

static void test_file_sd(void **state)
{
    (void)state;
    char *main = write_file("sd.yml", "scrape_configs:\n"
                                      "- job_name: a\n"
                                      "  file_sd_configs:\n"
                                      "  - files: [t-*.json, missing.yml]\n");
    char *good = write_file("t-1.json", "[{\"targets\": [\"a:1\"]}]");
    struct ran r = RUN(command_check, "check", main);
    char *warning = xasprintf("%s: warning: file_sd file %s/missing.yml does not exist\n", main, dir);
    assert_int_equal(r.code, 0);
    assert_string_equal(r.err, warning);
    ran_free(&r);
    free(warning);
    char *bad = write_file("t-2.json", "[{\"target\": [\"a:1\"]}]");
    r = RUN(command_check, "check", main);
    char *error = xasprintf("%s:1:3: field target not found in static_config, did you mean \"targets\"?\n", bad);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, error));
    assert_string_equal(r.out, "");
    ran_free(&r);
    free(error);
    free(bad);
    free(good);
    free(main);
}

static void test_credentials(void **state)
{
    (void)state;
    char *main = write_file("cred.yml", "remote_write:\n"
                                        "- url: http://h/\n"
                                        "  authorization: {credentials_file: token}\n");
    struct ran r = RUN(command_check, "check", main);
    assert_int_equal(r.code, 1);
    assert_non_null(strstr(r.err, ":3:37: credentials_file \""));
    assert_non_null(strstr(r.err, "/token\": No such file or directory\n"));
    ran_free(&r);
    char *token = write_file("token", "secret\n");
    r = RUN(command_check, "check", main);
    assert_int_equal(r.code, 0);
    ran_free(&r);
    free(token);
    free(main);
}

static void test_usage(void **state)
{
    (void)state;
    struct ran r = RUN(command_check, "check");
    assert_int_equal(r.code, 2);
    assert_string_equal(r.out, "");
    assert_true(strlen(r.err) > 0);
    ran_free(&r);
    r = RUN(command_check, "check", "--no-such-flag", "x.yml");
    assert_int_equal(r.code, 2);
    ran_free(&r);
    r = RUN(command_check, "check", "--help");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "obsagent check FILE..."));
    ran_free(&r);
}

static void test_help_command(void **state)
{
    (void)state;
    struct ran r = RUN(command_help, "help", "config", "remote_write");
    assert_int_equal(r.code, 0);
    assert_memory_equal(r.out, "remote_write: ", 14);
    assert_non_null(strstr(r.out, "  max_bytes "));
    ran_free(&r);
    r = RUN(command_help, "help", "config");
    assert_int_equal(r.code, 0);
    assert_non_null(strstr(r.out, "\nglobal: "));
    ran_free(&r);
    r = RUN(command_help, "help", "config", "nonsense");
    assert_int_equal(r.code, 2);
    assert_string_equal(r.err, "obsagent help: no section \"nonsense\" (see obsagent help config)\n");
    ran_free(&r);
    r = RUN(command_help, "help");
    assert_int_equal(r.code, 0);
    ran_free(&r);
    r = RUN(command_help, "help", "me");
    assert_int_equal(r.code, 2);
    ran_free(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),  cmocka_unit_test(test_bad),   cmocka_unit_test(test_file_sd),
        cmocka_unit_test(test_credentials), cmocka_unit_test(test_usage), cmocka_unit_test(test_help_command),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
