/* SPDX-License-Identifier: Apache-2.0 */
/* test_file: whole small files: limits, atomic writes, directories, paths. */
#include "unit.h"

#include "base/alloc.h"
#include "base/file.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    snprintf(dir, sizeof dir, "/tmp/obsagent-file-XXXXXX");
    return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", dir);
    return system(command);
}

static char *in_dir(const char *name)
{
    return file_join(dir, name);
}

static void test_read_limits(void **state)
{
    char *path = in_dir("sized");
    char data[100000];
    struct buf out;
    (void)state;
    memset(data, 'x', sizeof data);
    buf_init(&out, 1 << 20);
    const size_t sizes[] = {0, 1, 65535, 65536, 65537, sizeof data};
    for (size_t i = 0; i < ROWS(sizes); i++) {
        struct err err = {0};
        assert_true(file_write_atomic(path, str_make(data, sizes[i]), &err));
        buf_clear(&out);
        buf_add_c(&out, "before:");
        assert_true(file_read(path, sizes[i], &out, &err));
        assert_int_equal(out.n, 7 + sizes[i]);
        if (sizes[i] == 0)
            continue;
        assert_false(file_read(path, sizes[i] - 1, &out, &err));
        assert_non_null(strstr(err.msg, path));
        assert_non_null(strstr(err.msg, " is larger than "));
    }
    buf_free(&out);
    buf_init(&out, 10);
    assert_false(file_read(path, sizeof data, &out, NULL));
    buf_free(&out);
    free(path);
}

static void test_read_errors(void **state)
{
    const char *const names[] = {"absent", ".", "sized/below"};
    struct buf out;
    (void)state;
    buf_init(&out, 100);
    for (size_t i = 0; i < ROWS(names); i++) {
        struct err err = {0};
        char *path = in_dir(names[i]);
        assert_false(file_read(path, 100, &out, &err));
        assert_non_null(strstr(err.msg, path));
        free(path);
    }
    buf_free(&out);
}

static size_t entries(void)
{
    size_t n = 0;
    DIR *d = opendir(dir);
    while (readdir(d))
        n++;
    closedir(d);
    return n;
}

static void test_write_atomic(void **state)
{
    char *path = in_dir("atomic");
    struct err err = {0};
    struct buf out;
    struct stat st;
    (void)state;
    buf_init(&out, 100);
    assert_true(file_write_atomic(path, STR("old"), &err));
    size_t before = entries();
    assert_true(file_write_atomic(path, STR("new and longer"), &err));
    assert_true(file_read(path, 100, &out, &err));
    assert_string_equal(buf_c(&out), "new and longer");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777 & ~0644u, 0);
    assert_int_equal(entries(), before);

    /* What cannot be replaced leaves nothing behind. */
    char *occupied = in_dir("occupied/inside");
    assert_true(file_make_dirs(occupied, &err));
    *strrchr(occupied, '/') = '\0';
    before = entries();
    assert_false(file_write_atomic(occupied, STR("x"), &err));
    assert_non_null(strstr(err.msg, "cannot rename "));
    assert_int_equal(entries(), before);
    err_clear(&err);
    assert_false(file_write_atomic("/nonexistent-dir/file", STR("x"), &err));
    assert_string_equal(err.msg, "cannot create /nonexistent-dir/file.tmp: No such file or directory");
    buf_free(&out);
    free(occupied);
    free(path);
}

static void test_make_dirs(void **state)
{
    static const struct {
        const char *path;
        bool ok;
    } rows[] = {
        {"a", true}, {"a", true}, {"b/c/d", true}, {"b/c/d/", true}, {"b//e", true}, {"./f/../g", true},
        {"plain", false}, {"plain/below", false},
    };
    struct err err = {0};
    (void)state;
    char *plain = in_dir("plain");
    assert_true(file_write_atomic(plain, STR("x"), &err));
    free(plain);
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct stat st;
        char *path = in_dir(rows[i].path);
        err_clear(&err);
        assert_int_equal(file_make_dirs(path, &err), rows[i].ok);
        assert_int_equal(err_is(&err), !rows[i].ok);
        if (rows[i].ok)
            assert_true(stat(path, &st) == 0 && S_ISDIR(st.st_mode));
        free(path);
    }
    assert_false(file_make_dirs("", &err));
    assert_true(file_make_dirs("/", &err));
    assert_true(file_make_dirs(".", &err));
}

static bool is_log(const char *name)
{
    return str_ends(str_of(name), STR(".log"));
}

static void test_list(void **state)
{
    static const char *const names[] = {"b.log", "a.log", "c.txt", "10.log"};
    struct file_list list;
    struct err err = {0};
    (void)state;
    char *sub = in_dir("listed");
    assert_true(file_make_dirs(sub, &err));
    for (size_t i = 0; i < ROWS(names); i++) {
        char *path = file_join(sub, names[i]);
        assert_true(file_write_atomic(path, STR(""), &err));
        free(path);
    }
    assert_true(file_list(sub, is_log, &list, &err));
    assert_int_equal(list.n, 3);
    assert_string_equal(strrchr(list.v[0], '/'), "/10.log");
    assert_string_equal(strrchr(list.v[2], '/'), "/b.log");
    assert_memory_equal(list.v[1], sub, strlen(sub));
    file_list_free(&list);
    assert_false(file_list("/nonexistent-dir", is_log, &list, &err));
    assert_string_equal(err.msg, "cannot open /nonexistent-dir: No such file or directory");
    file_list_free(&list);
    free(sub);
}

static void test_paths(void **state)
{
    static const char *const joins[][3] = {
        {"/a", "b", "/a/b"}, {"/a/", "b", "/a/b"}, {"/a", "/b", "/b"}, {".", "b/c", "./b/c"}, {"/", "b", "/b"},
    };
    static const char *const dirs[][2] = {
        {"/a/b", "/a"}, {"/a", "/"}, {"a", "."}, {"a/b/", "a/b"}, {"", "."}, {"/", "/"}, {"./a", "."},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(joins); i++) {
        char *joined = file_join(joins[i][0], joins[i][1]);
        assert_string_equal(joined, joins[i][2]);
        free(joined);
    }
    for (size_t i = 0; i < ROWS(dirs); i++) {
        char *part = file_dir(dirs[i][0]);
        assert_string_equal(part, dirs[i][1]);
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_limits), cmocka_unit_test(test_read_errors), cmocka_unit_test(test_write_atomic),
        cmocka_unit_test(test_make_dirs),   cmocka_unit_test(test_list),        cmocka_unit_test(test_paths),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
