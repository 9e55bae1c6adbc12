/* SPDX-License-Identifier: Apache-2.0 */
/* test_config_broken: every file in data/config/broken says in its first lines what is wrong with it and where
   ("# want: LINE:COL: part of the message"); loading it must say exactly that, and all of it. */
#include "unit.h"

#include <glob.h>

#include "base/file.h"
#include "config.h"

#define BROKEN "tests/unit/data/config/broken/*.yml"
#define WANTS_MAX 64
#define FILES_MIN 80

struct wants {
    struct str v[WANTS_MAX];
    size_t n;
};

static struct str next_line(struct str *text)
{
    size_t n = str_find_char(*text, '\n');
    struct str line = str_make(text->p, n);
    *text = str_skip(*text, n + 1);
    return line;
}

static struct wants read_wants(struct str text)
{
    struct wants w = {0};
    while (str_starts(text, STR("# want: "))) {
        assert_true(w.n < WANTS_MAX);
        w.v[w.n++] = str_skip(next_line(&text), strlen("# want: "));
    }
    return w;
}

/* "LINE:COL: " up to and with the blank, and the rest. */
static void split_place(struct str want, struct str *place, struct str *message)
{
    size_t n = str_find(want, STR(": "));
    assert_true(n < want.n);
    *place = str_make(want.p, n + 2);
    *message = str_skip(want, n + 2);
}

static bool matches(struct str line, const char *path, struct str want)
{
    struct str place, message;
    split_place(want, &place, &message);
    struct str prefix = str_of(path);
    if (!str_starts(line, prefix))
        return false;
    line = str_skip(line, prefix.n);
    if (!str_starts(line, STR(":")) || !str_starts(str_skip(line, 1), place))
        return false;
    line = str_skip(line, 1 + place.n);
    return str_find(line, message) < line.n || message.n == 0;
}

/* Prints what differs; the number of differences. */
static int check_file(const char *path)
{
    struct buf text, errors;
    struct err err = {0};
    buf_init(&text, 1 << 20);
    buf_init(&errors, 1 << 20);
    assert_true(file_read(path, 1 << 20, &text, &err));
    struct wants wants = read_wants(buf_str(&text));
    int bad = 0;
    struct config *config = config_load(path, NULL, false, &errors);
    if (config || wants.n == 0) {
        print_error("%s: %s\n", path, config ? "loads well" : "says nothing of what it wants");
        bad++;
    }
    config_unref(config);
    struct str said = buf_str(&errors);
    size_t i = 0;
    for (; said.n > 0; i++) {
        struct str line = next_line(&said);
        if (i < wants.n && matches(line, path, wants.v[i]))
            continue;
        print_error("%.*s\n    wanted: %.*s\n", STR_ARG(line), STR_ARG(i < wants.n ? wants.v[i] : STR("nothing")));
        bad++;
    }
    for (; i < wants.n; i++, bad++)
        print_error("%s: wanted and not said: %.*s\n", path, STR_ARG(wants.v[i]));
    buf_free(&text);
    buf_free(&errors);
    return bad;
}

static void test_broken_files(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(BROKEN, 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= FILES_MIN);
    int bad = 0;
    for (size_t i = 0; i < found.gl_pathc; i++)
        bad += check_file(found.gl_pathv[i]);
    globfree(&found);
    assert_int_equal(bad, 0);
}

/* The same files cut after each byte: whatever comes, it ends well and leaks nothing. */
static void test_cut_files(void **state)
{
    (void)state;
    glob_t found;
    assert_int_equal(glob(BROKEN, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i += 4) {
        struct buf text, errors;
        struct err err = {0};
        buf_init(&text, 1 << 20);
        buf_init(&errors, 1 << 20);
        assert_true(file_read(found.gl_pathv[i], 1 << 20, &text, &err));
        for (size_t n = 0; n < text.n; n += 3) {
            buf_clear(&errors);
            struct config *c = config_load_text("cut.yml", str_make(text.p, n), NULL, false, &errors);
            assert_true((c == NULL) == (errors.n > 0));
            config_unref(c);
        }
        buf_free(&text);
        buf_free(&errors);
    }
    globfree(&found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_cut_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
