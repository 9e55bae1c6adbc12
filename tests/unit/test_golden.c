/* SPDX-License-Identifier: Apache-2.0 */
/* test_golden: bodies as client libraries and the OpenMetrics specification write them, and odd ones, each beside what
   must be heard of it: data/FORMAT/NAME.txt and NAME.want, in the notation of exposition_ear.h. */
#include <glob.h>

#include "exposition_ear.h"

#define DATA "tests/unit/data/"

static void load(const char *path, struct buf *out)
{
    char chunk[4096];
    FILE *f = fopen(path, "rb");
    if (!f)
        fail_msg("%s is missing", path);
    buf_init(out, 1 << 20);
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
        buf_add(out, chunk, n);
    fclose(f);
}

static void check_body(const char *path, enum exposition_format format)
{
    const struct exposition_options options = {.format = format};
    struct buf body, want;
    char want_path[256];
    load(path, &body);
    snprintf(want_path, sizeof want_path, "%.*s.want", (int)(strlen(path) - 4), path);
    load(want_path, &want);
    ear_check(path, &options, 0, buf_str(&body), buf_c(&want));
    buf_free(&body);
    buf_free(&want);
}

static void check_all(const char *pattern, enum exposition_format format, size_t expected)
{
    glob_t found;
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    assert_int_equal(found.gl_pathc, expected);
    for (size_t i = 0; i < found.gl_pathc; i++)
        check_body(found.gl_pathv[i], format);
    globfree(&found);
}

static void openmetrics(void **state)
{
    (void)state;
    check_all(DATA "openmetrics/*.txt", EXPOSITION_OPENMETRICS, 6);
}

static void text(void **state)
{
    (void)state;
    check_all(DATA "text/*.txt", EXPOSITION_TEXT, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(openmetrics),
        cmocka_unit_test(text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
