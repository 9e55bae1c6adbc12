/* SPDX-License-Identifier: Apache-2.0 */
/* test_log: the lines on stderr, read back through a pipe. The file under test is included, so that its clock can be
   set forward. */
#include "unit.h"

#include "base/clock.h"

static int64_t fake_ms = 1000;

static int64_t fake_mono_ms(void)
{
    return fake_ms;
}

#define clock_mono_ms fake_mono_ms
#include "agent/base/log.c"
#undef clock_mono_ms

#include <fcntl.h>
#include <jansson.h>

static int pipe_ends[2], real_stderr;
static char heard[65536];

static void listen_in(void)
{
    fflush(stderr);
    assert_int_equal(pipe2(pipe_ends, O_NONBLOCK | O_CLOEXEC), 0);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(pipe_ends[1], STDERR_FILENO) >= 0);
}

/* What was written since listen_in, without the time of a line in logfmt. */
static const char *hear(void)
{
    ssize_t n = read(pipe_ends[0], heard, sizeof heard - 1);
    heard[n < 0 ? 0 : n] = '\0';
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    const char *level = strstr(heard, " level=");
    return level ? level + 1 : heard;
}

static void test_logfmt(void **state)
{
    static const char *const rows[][2] = {
        {"plain words", "level=warn component=part msg=\"plain words\"\n"},
        {"a \"quote\" \\ and\nline\ttab", "level=warn component=part msg=\"a \\\"quote\\\" \\\\ and\\nline\\ttab\"\n"},
        {"bell\a escape\x1b[31m", "level=warn component=part msg=\"bell\\u0007 escape\\u001b[31m\"\n"},
        {"caf\xc3\xa9 \xff", "level=warn component=part msg=\"caf\xc3\xa9 \xef\xbf\xbd\"\n"},
        {"", "level=warn component=part msg=\"\"\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        listen_in();
        log_at(LOG_WARN, "part", "%s", rows[i][0]);
        assert_string_equal(hear(), rows[i][1]);
        assert_memory_equal(heard, "ts=2", 4);
        assert_true(heard[27] == ' ' && heard[26] == 'Z');
    }
}

static void test_json(void **state)
{
    static const char *const rows[] = {"plain", "a \"quote\" \\ \n\t\x01", "caf\xc3\xa9", "{}[],:"};
    (void)state;
    assert_true(log_set_format("json"));
    for (size_t i = 0; i < ROWS(rows); i++) {
        json_error_t why;
        listen_in();
        log_error("part", "%s", rows[i]);
        hear();
        json_t *line = json_loads(heard, 0, &why);
        assert_non_null(line);
        assert_string_equal(json_string_value(json_object_get(line, "msg")), rows[i]);
        assert_string_equal(json_string_value(json_object_get(line, "level")), "error");
        assert_string_equal(json_string_value(json_object_get(line, "component")), "part");
        assert_int_equal(strlen(json_string_value(json_object_get(line, "ts"))), 24);
        assert_int_equal(heard[strlen(heard) - 1], '\n');
        json_decref(line);
    }
    assert_true(log_set_format("logfmt"));
}

/* However long the message and whatever the escapes, a line is at most 4 KiB, whole, and UTF-8. */
static void test_cut(void **state)
{
    static const char *const units[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x90\x9d", "\x01",
                                        "\"", "\xff", "a\n"};
    static char message[20000];
    (void)state;
    for (size_t i = 0; i < 2 * ROWS(units) * 4; i++) {
        const char *unit = units[i / 4 % ROWS(units)];
        size_t n = i % 4, step = strlen(unit);
        bool json = i >= ROWS(units) * 4;
        memset(message, 'a', n); /* shifts where the cut falls */
        for (; n + step < sizeof message; n += step)
            memcpy(message + n, unit, step);
        message[n] = '\0';
        assert_true(log_set_format(json ? "json" : "logfmt"));
        listen_in();
        log_error("part", "%s", message);
        hear();
        n = strlen(heard);
        assert_true(n <= 4096 && n > 4080);
        assert_true(str_is_utf8(str_make(heard, n)));
        assert_true(str_ends(str_make(heard, n), json ? STR("\"}\n") : STR("\"\n")));
        if (json) {
            json_error_t why;
            json_t *line = json_loads(heard, 0, &why);
            assert_non_null(line);
            json_decref(line);
        }
        if (unit[0] != '\xff') /* nothing was added that was not there */
            assert_null(strstr(heard, "\xef\xbf\xbd"));
    }
    assert_true(log_set_format("logfmt"));
}

static void test_levels(void **state)
{
    static const char *const names[] = {"debug", "info", "warn", "error"};
    (void)state;
    for (int least = LOG_DEBUG; least <= LOG_ERROR; least++) {
        assert_true(log_set_level(names[least]));
        for (int level = LOG_DEBUG; level <= LOG_ERROR; level++) {
            uint64_t before = log_count((enum log_level)level);
            assert_int_equal(log_enabled((enum log_level)level), level >= least);
            listen_in();
            log_at((enum log_level)level, "part", "m");
            assert_int_equal(hear()[0] != '\0', level >= least);
            assert_int_equal(log_count((enum log_level)level), before + 1);
        }
    }
    assert_false(log_set_level("loud") || log_set_level("") || log_set_format("xml"));
    assert_true(log_set_level("INFO"));
    listen_in();
    log_debug("part", "m");
    assert_string_equal(hear(), "");
}

static void throttled(uint64_t key)
{
    log_throttled(key, LOG_WARN, "part", "again");
}

static void test_throttle(void **state)
{
    (void)state;
    uint64_t before = log_count(LOG_WARN);
    listen_in();
    throttled(1);
    assert_string_equal(hear(), "level=warn component=part msg=\"again\"\n");
    listen_in();
    for (int i = 0; i < 41; i++)
        throttled(1);
    assert_string_equal(hear(), "");
    listen_in();
    throttled(2);
    assert_string_equal(hear(), "level=warn component=part msg=\"again\"\n");

    fake_ms += 59999;
    listen_in();
    throttled(1);
    assert_string_equal(hear(), "");
    fake_ms += 1;
    listen_in();
    throttled(1);
    assert_string_equal(hear(), "level=warn component=part msg=\"again (42 more like it held back)\"\n");
    fake_ms += 60000;
    listen_in();
    throttled(1);
    assert_string_equal(hear(), "level=warn component=part msg=\"again\"\n");
    assert_int_equal(log_count(LOG_WARN), before + 46);

    /* Another key in the same slot takes it over; key 0 is one like others. */
    listen_in();
    throttled(1 + THROTTLE_SLOTS);
    throttled(0);
    assert_non_null(strstr(hear(), "again\"\n"));
    listen_in();
    throttled(0);
    assert_string_equal(hear(), "");
}

/* The note stands at the end of a line that is cut, too. */
static void test_throttle_long(void **state)
{
    static char message[10000];
    (void)state;
    memset(message, 'x', sizeof message - 1);
    listen_in();
    log_throttled(77, LOG_WARN, "part", "%s", message);
    log_throttled(77, LOG_WARN, "part", "%s", message);
    hear();
    fake_ms += 60000;
    listen_in();
    log_throttled(77, LOG_WARN, "part", "%s", message);
    hear();
    assert_int_equal(strlen(heard), 4096);
    assert_non_null(strstr(heard, "xxx (1 more like it held back)\"\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logfmt), cmocka_unit_test(test_json),     cmocka_unit_test(test_cut),
        cmocka_unit_test(test_levels), cmocka_unit_test(test_throttle), cmocka_unit_test(test_throttle_long),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
