/* SPDX-License-Identifier: Apache-2.0 */
/* test_flags: command lines: the reader of flags, and what `run` makes of vmagent's. */
#include "unit.h"

#include "agent/command/run_flags.h"
#include "base/log.h"
#include "config.h"

#include <fcntl.h>
#include <unistd.h>

#define WORDS_MAX 16
#define GROUP "  group: remoteWrite.url\n"

struct values {
    bool yes, no;
    const char *text, *maybe;
    struct flag_list list, csv;
    uint64_t number, bytes;
    int64_t duration;
};

static struct values v;
static const struct flag table[] = {
    {"yes", FLAG_BOOL, &v.yes, NULL, "a switch"},
    {"no.way", FLAG_BOOL, &v.no, NULL, "another"},
    {"text", FLAG_STRING, &v.text, "TEXT", "the last one wins"},
    {"maybe", FLAG_OPTIONAL, &v.maybe, "TEXT", "with a value or without"},
    {"list", FLAG_LIST, &v.list, "ITEM", "repeatable"},
    {"csv", FLAG_CSV, &v.csv, "ITEM,...", "repeatable"},
    {"number", FLAG_U64, &v.number, "N", "a number"},
    {"storage.max-bytes", FLAG_SIZE, &v.bytes, "SIZE", "a size"},
    {"a.name.that-is-longer-than-the-column", FLAG_DURATION, &v.duration, "DURATION", "a duration"},
};
static const struct flag_command command = {"test [flags]", "Tries flags.", table, ROWS(table)};

static int saved_fd = -1, said_fd = -1;

/* What goes to fd (stdout or stderr) between the two is returned. */
static void listen_to(int fd)
{
    fflush(NULL);
    saved_fd = dup(fd);
    char name[] = "/tmp/obsagent-flags-XXXXXX";
    said_fd = mkstemp(name);
    unlink(name);
    dup2(said_fd, fd);
}

static const char *heard_on(int fd)
{
    static char text[16384];
    fflush(NULL);
    dup2(saved_fd, fd);
    close(saved_fd);
    ssize_t n = pread(said_fd, text, sizeof text - 1, 0);
    text[n < 0 ? 0 : n] = '\0';
    close(said_fd);
    return text;
}

/* Splits at spaces; words live in `copy`. */
static int split(const char *line, char *copy, char **argv)
{
    int argc = 0;
    memcpy(copy, line, strlen(line) + 1);
    argv[argc++] = copy;
    for (char *p = copy; *p; p++) {
        if (*p == ' ') {
            *p = '\0';
            argv[argc++] = p + 1;
        }
    }
    argv[argc] = NULL;
    return argc;
}

/* Everything that was set, one item after the other. */
static const char *shown(int positional, char **argv)
{
    static struct buf b;
    static bool ready;
    if (!ready)
        buf_init(&b, 4096);
    ready = true;
    buf_clear(&b);
    if (v.yes)
        buf_add_c(&b, "yes ");
    if (v.no)
        buf_add_c(&b, "no ");
    if (v.text)
        buf_addf(&b, "text=%s ", v.text);
    if (v.maybe)
        buf_addf(&b, "maybe=%s ", v.maybe);
    for (size_t i = 0; i < v.list.n; i++)
        buf_addf(&b, "list=%s ", v.list.v[i]);
    for (size_t i = 0; i < v.csv.n; i++)
        buf_addf(&b, "csv=%s ", v.csv.v[i]);
    if (v.number)
        buf_addf(&b, "number=%llu ", (unsigned long long)v.number);
    if (v.bytes)
        buf_addf(&b, "bytes=%llu ", (unsigned long long)v.bytes);
    if (v.duration)
        buf_addf(&b, "duration=%lld ", (long long)v.duration);
    for (int i = 1; i <= positional; i++)
        buf_addf(&b, "<%s> ", argv[i]);
    return buf_c(&b);
}

static void test_good(void **state)
{
    static const char *const rows[][2] = {
        {"x", ""},
        {"x -yes", "yes "},
        {"x --yes", "yes "},
        {"x --yes=true --no.way=yes", "yes no "},
        {"x --yes --yes=false", ""},
        {"x --yes=off", ""},
        {"x --yes true", "yes <true> "},
        {"x --text a --text=b", "text=b "},
        {"x -text=a=b", "text=a=b "},
        {"x --text=", "text= "},
        {"x --maybe a", "maybe= <a> "},
        {"x --maybe=a -maybe=b", "maybe=b "},
        {"x --text --yes", "text=--yes "},
        {"x --text -5", "text=-5 "},
        {"x --list=a --list b,c --list=", "list=a list=b,c list= "},
        {"x --csv=a,b --csv c", "csv=a csv=b csv=c "},
        {"x --csv=\"a,b\",c", "csv=a,b csv=c "},
        {"x --csv='a,b',c", "csv=a,b csv=c "},
        {"x --csv=a,,b,", "csv=a csv= csv=b csv= "},
        {"x --csv=", "csv= "},
        {"x --csv=\"\"", "csv= "},
        {"x --csv=\"q\\\"uo\\\\te,x\",y", "csv=q\"uo\\te,x csv=y "},
        {"x --csv={a=\"b\",c=\"d\"},(e,f),[g,h],i", "csv={a=\"b\",c=\"d\"} csv=(e,f) csv=[g,h] csv=i "},
        {"x --csv=http://[::1]:1/w?a=(b,http://c", "csv=http://[::1]:1/w?a=(b csv=http://c "},
        {"x --csv=a\"b,c\"d", "csv=a\"b,c\"d "},
        {"x --csv=it's,b", "csv=it's csv=b "},
        {"x --number=12 --number 13", "number=13 "},
        {"x --storage.max-bytes=100", "bytes=100 "},
        {"x --storage.max-bytes=2KiB", "bytes=2048 "},
        {"x --a.name.that-is-longer-than-the-column 15", "duration=15000 "},
        {"x --a.name.that-is-longer-than-the-column=1m30s", "duration=90000 "},
        {"x one --yes two -", "yes <one> <two> <-> "},
        {"x -5 -0.5", "<-5> <-0.5> "},
        {"x -- --yes -text", "<--yes> <-text> "},
        {"x one -- --yes -- two", "<one> <--yes> <--> <two> "},
        {"x --text -- --yes", "yes text=-- "},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char copy[256], *argv[WORDS_MAX];
        int positional = -1, argc = split(rows[i][0], copy, argv);
        v = (struct values){0};
        assert_int_equal(flags_parse(&command, argc, argv, &positional), FLAGS_OK);
        assert_string_equal(shown(positional, argv), rows[i][1]);
        flags_free(&command);
        assert_true(v.list.n == 0 && v.csv.v == NULL);
    }
}

static void test_mistakes(void **state)
{
    static const char *const rows[][2] = {
        {"x --yess", "unknown flag --yess, did you mean --yes? (--help lists all)\n"},
        {"x --storage.maxbytes=1",
         "unknown flag --storage.maxbytes, did you mean --storage.max-bytes? (--help lists all)\n"},
        {"x --max-bytes", "unknown flag --max-bytes, did you mean --storage.max-bytes? (--help lists all)\n"},
        {"x --zzz", "unknown flag --zzz (--help lists all)\n"},
        {"x --=a", "unknown flag -- (--help lists all)\n"},
        {"x ---yes", "unknown flag ---yes, did you mean --yes? (--help lists all)\n"},
        {"x --text", "--text needs a value: TEXT\n"},
        {"x --yes=maybe", "--yes: \"maybe\" is not true or false\n"},
        {"x --yes=", "--yes: \"\" is not true or false\n"},
        {"x --number -1", "--number: \"-1\" is not a whole number\n"},
        {"x --number=1.5", "--number: \"1.5\" is not a whole number\n"},
        {"x --number=99999999999999999999", "--number: \"99999999999999999999\" is not a whole number\n"},
        {"x --storage.max-bytes=1XB", "--storage.max-bytes: units: unknown unit XB in 1XB\n"},
        {"x --a.name.that-is-longer-than-the-column=soon",
         "--a.name.that-is-longer-than-the-column: not a valid duration string: \"soon\"\n"},
        {"x --zzz --help", "unknown flag --zzz (--help lists all)\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char copy[256], *argv[WORDS_MAX];
        int positional, argc = split(rows[i][0], copy, argv);
        listen_to(STDERR_FILENO);
        enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
        assert_string_equal(heard_on(STDERR_FILENO), rows[i][1]);
        assert_int_equal(outcome, FLAGS_USAGE);
        flags_free(&command);
    }
}

static void test_help(void **state)
{
    static const char *const asks[] = {"x --help", "x -h", "x --yes -help --zzz"};
    (void)state;
    for (size_t i = 0; i < ROWS(asks); i++) {
        char copy[64], *argv[WORDS_MAX];
        int positional, argc = split(asks[i], copy, argv);
        listen_to(STDOUT_FILENO);
        enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
        const char *said = heard_on(STDOUT_FILENO);
        assert_int_equal(outcome, FLAGS_HELP);
        assert_non_null(strstr(said, "test [flags]\n\nTries flags.\n\nFlags:\n"));
        assert_non_null(strstr(said, "  --yes                           a switch\n"));
        assert_non_null(strstr(said, "column=DURATION\n                                  a duration\n"));
    }
}

static void test_env(void **state)
{
    char copy[64], *argv[WORDS_MAX];
    int argc = split("x --text=given -- --number=1", copy, argv);
    (void)state;
    v = (struct values){0};
    setenv("P_no_way", "true", 1);
    setenv("P_text", "ignored", 1);
    setenv("P_csv", "a,\"b,c\"", 1);
    setenv("P_number", "7", 1);
    setenv("number", "8", 1);
    assert_int_equal(flags_from_env(&command, argc, argv, "P_"), FLAGS_OK);
    assert_string_equal(shown(0, argv), "no csv=a csv=b,c number=7 ");
    flags_free(&command);
    v = (struct values){0};
    assert_int_equal(flags_from_env(&command, argc, argv, ""), FLAGS_OK);
    assert_string_equal(shown(0, argv), "number=8 ");
    setenv("P_number", "many", 1);
    listen_to(STDERR_FILENO);
    enum flag_outcome outcome = flags_from_env(&command, argc, argv, "P_");
    assert_string_equal(heard_on(STDERR_FILENO), "environment variable P_number: \"many\" is not a whole number\n");
    assert_int_equal(outcome, FLAGS_USAGE);
    flags_free(&command);
    unsetenv("number");
}

/* ---- run ---- */

static void test_run_defaults(void **state)
{
    char copy[256], *argv[WORDS_MAX];
    struct run_flags f;
    (void)state;
    int argc = split("run --config.file=a.yml", copy, argv);
    assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
    assert_string_equal(f.config_file, "a.yml");
    assert_string_equal(f.storage_path, "./obsagent-data");
    assert_string_equal(f.listen_address, "0.0.0.0:8429");
    assert_true(f.scrape_shards == 1 && f.scrape_replication_factor == 1 && f.shutdown_timeout_ms == 5000);
    assert_null(run_flags_remote_yaml(&f));
    run_flags_free(&f);

    argc = split("run -promscrape.config=b.yml -httpListenAddr=:9 -remoteWrite.tmpDataPath=/d -loggerLevel=WARN "
                 "-promscrape.cluster.membersCount=3 -promscrape.cluster.memberNum=agent-2 -dryRun",
                 copy, argv);
    assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
    assert_string_equal(f.config_file, "b.yml");
    assert_string_equal(f.listen_address, ":9");
    assert_string_equal(f.storage_path, "/d");
    assert_string_equal(f.scrape_shard, "agent-2");
    assert_true(f.scrape_shards == 3 && f.dry_run && log_set_level(f.log_level) && log_set_level("info"));
    run_flags_free(&f);
}

static void test_flags_as_json(void **state)
{
    char copy[256], *argv[WORDS_MAX];
    struct run_flags f;
    (void)state;
    int argc = split("run --config.file=a\"b.yml -remoteWrite.url=http://u:hidden@h/,http://i/ -remoteWrite.label=a=b "
                     "-remoteWrite.label=c=d -remoteWrite.bearerToken=hidden --web.enable-lifecycle "
                     "--storage.max-age=90s --storage.max-bytes=1KB",
                     copy, argv);
    assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
    char *json = run_flags_json(&f);
    static const char *const holds[] = {
        "{\"config.file\":\"a\\\"b.yml\",",
        ",\"remoteWrite.url\":\"<secret>,<secret>\",",
        ",\"remoteWrite.bearerToken\":\"<secret>\",",
        ",\"remoteWrite.bearerTokenFile\":\"\",",
        ",\"remoteWrite.label\":\"a=b,c=d\",",
        ",\"web.enable-lifecycle\":\"true\",",
        ",\"config.auto-reload\":\"false\",",
        ",\"storage.max-age\":\"1m30s\",",
        ",\"storage.max-bytes\":\"1024\",",
        ",\"web.config.file\":\"\",",
        ",\"dryRun\":\"false\"}",
    };
    for (size_t i = 0; i < ROWS(holds); i++) {
        if (!strstr(json, holds[i]))
            fail_msg("%s is not in %s", holds[i], json);
    }
    assert_null(strstr(json, "hidden"));
    free(json);
    run_flags_free(&f);
}

static void test_run_mistakes(void **state)
{
    static const char *const rows[][2] = {
        {"run stray", "run takes no arguments besides flags, got \"stray\"\n"},
        {"run -remoteWrite.label=cluster", "--remoteWrite.label: \"cluster\" is not NAME=VALUE\n"},
        {"run -remoteWrite.label==x", "--remoteWrite.label: \"=x\" is not NAME=VALUE\n"},
        {"run -config.fil=x", "unknown flag --config.fil, did you mean --config.file? (--help lists all)\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char copy[256], *argv[WORDS_MAX];
        struct run_flags f;
        int argc = split(rows[i][0], copy, argv);
        listen_to(STDERR_FILENO);
        enum flag_outcome outcome = run_flags_parse(&f, argc, argv);
        assert_string_equal(heard_on(STDERR_FILENO), rows[i][1]);
        assert_int_equal(outcome, FLAGS_USAGE);
        run_flags_free(&f);
    }
}

static void test_run_env(void **state)
{
    static const struct {
        const char *line, *want;
    } rows[] = {
        {"run", NULL},
        {"run -envflag.enable=false", NULL},
        {"run -envflag.enable", "http://env/"},
        {"run --envflag.enable=true", "http://env/"},
        {"run -envflag.enable -remoteWrite.url=http://argv/", "http://argv/"},
        {"run -envflag.enable -envflag.prefix=VM_", "http://prefixed/"},
        {"run -envflag.enable -envflag.prefix VM_", "http://prefixed/"},
    };
    (void)state;
    setenv("remoteWrite_url", "http://env/", 1);
    setenv("VM_remoteWrite_url", "http://prefixed/", 1);
    for (size_t i = 0; i < ROWS(rows); i++) {
        char copy[256], *argv[WORDS_MAX];
        struct run_flags f;
        int argc = split(rows[i].line, copy, argv);
        assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
        assert_int_equal(f.vm_url.n, rows[i].want != NULL);
        if (rows[i].want)
            assert_string_equal(f.vm_url.v[0], rows[i].want);
        run_flags_free(&f);
    }
    unsetenv("remoteWrite_url");
    unsetenv("VM_remoteWrite_url");
}

static void test_run_yaml(void **state)
{
    static const char *const rows[][2] = {
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.shardByURL",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 1\n"
         "- url: \"http://b/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 1\n"},
        {"run -remoteWrite.url=http://a/ -remoteWrite.shardByURL",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.shardByURL -remoteWrite.shardByURLReplicas=2",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n- url: \"http://b/\"\n  protocol: vm\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.shardByURLReplicas=1",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n- url: \"http://b/\"\n  protocol: vm\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.shardByURL -remoteWrite.shardByURL.ignoreLabels=le,x",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 1\n"
         "  shard_ignore:\n  - \"le\"\n  - \"x\"\n"
         "- url: \"http://b/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 1\n"
         "  shard_ignore:\n  - \"le\"\n  - \"x\"\n"},
        {"run -remoteWrite.url=http://a/ -remoteWrite.url=http://b/ -remoteWrite.url=http://c/ -remoteWrite.shardByURL "
         "-remoteWrite.shardByURLReplicas=2 -remoteWrite.shardByURL.labels=job",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 2\n"
         "  shard_by:\n  - \"job\"\n"
         "- url: \"http://b/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 2\n"
         "  shard_by:\n  - \"job\"\n"
         "- url: \"http://c/\"\n  protocol: vm\n  routing: shard\n" GROUP "  replicas: 2\n"
         "  shard_by:\n  - \"job\"\n"},
        {"run -remoteWrite.url=http://a/", "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n"},
        /* A single value is for all, more belong to their position. */
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.bearerToken=T",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  authorization:\n    credentials: \"T\"\n"
         "- url: \"http://b/\"\n  protocol: vm\n  authorization:\n    credentials: \"T\"\n"},
        {"run -remoteWrite.bearerToken=,T -remoteWrite.url=http://a/ -remoteWrite.url=http://b/ "
         "-remoteWrite.maxDiskUsagePerURL=1GB,2GiB",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  max_bytes: 1000000000B\n"
         "- url: \"http://b/\"\n  protocol: vm\n  authorization:\n    credentials: \"T\"\n  max_bytes: 2147483648B\n"},
        {"run -remoteWrite.url=http://a/,http://b/,http://c/ -remoteWrite.bearerTokenFile=/f,/g "
         "-remoteWrite.maxDiskUsagePerURL=0",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n"
         "  authorization:\n    credentials_file: \"/f\"\n  max_bytes: 0\n"
         "- url: \"http://b/\"\n  protocol: vm\n  authorization:\n    credentials_file: \"/g\"\n  max_bytes: 0\n"
         "- url: \"http://c/\"\n  protocol: vm\n  max_bytes: 0\n"},
        {"run -remoteWrite.url=http://a/ -remoteWrite.label=cluster=$x$ -remoteWrite.label=k=a=\"b\"",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  write_relabel_configs:\n"
         "  - target_label: \"cluster\"\n    replacement: \"$$x$$\"\n"
         "  - target_label: \"k\"\n    replacement: \"a=\\\"b\\\"\"\n"},
        {"run -remoteWrite.url=http://a/ -remoteWrite.maxDiskUsagePerURL=much",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  max_bytes: \"much\"\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.relabelConfig=all.yml "
         "-remoteWrite.urlRelabelConfig=,own.yml",
         "remote_write:\n- url: \"http://a/\"\n  protocol: vm\n  write_relabel_config_files:\n  - \"all.yml\"\n"
         "- url: \"http://b/\"\n  protocol: vm\n  write_relabel_config_files:\n  - \"all.yml\"\n  - \"own.yml\"\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.forcePromProto=true,false",
         "remote_write:\n- url: \"http://a/\"\n  protocol: rw1\n- url: \"http://b/\"\n  protocol: vm\n"},
        {"run -remoteWrite.forcePromProto -remoteWrite.url=http://a/",
         "remote_write:\n- url: \"http://a/\"\n  protocol: rw1\n"},
        {"run -remoteWrite.url=http://a/,http://b/ -remoteWrite.forcePromProto=true",
         "remote_write:\n- url: \"http://a/\"\n  protocol: rw1\n- url: \"http://b/\"\n  protocol: rw1\n"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        char copy[512], *argv[WORDS_MAX];
        struct run_flags f;
        int argc = split(rows[i][0], copy, argv);
        assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
        char *yaml = run_flags_remote_yaml(&f);
        assert_string_equal(yaml, rows[i][1]);
        free(yaml);
        run_flags_free(&f);
    }
}

/* The document loads, and means what the flags said. */
static void test_run_yaml_loads(void **state)
{
    char copy[512], *argv[WORDS_MAX];
    struct run_flags f;
    struct buf errors;
    struct err err = {0};
    (void)state;
    int argc = split("run -remoteWrite.url=http://a:1/w,http://b:1/w -remoteWrite.bearerToken=one,t\"wo "
                     "-remoteWrite.maxDiskUsagePerURL=64MiB,1GB -remoteWrite.label=cluster=$1\\ "
                     "-remoteWrite.label=b=:{x",
                     copy, argv);
    assert_int_equal(run_flags_parse(&f, argc, argv), FLAGS_OK);
    char *yaml = run_flags_remote_yaml(&f);
    buf_init(&errors, 1 << 16);
    struct config_extra extra = {.yaml = yaml};
    struct config *c = config_load_text("flags.yml", STR("remote_write: [{url: http://file/}]"), &extra, false,
                                        &errors);
    assert_string_equal(buf_c(&errors), "");
    assert_int_equal(c->remotes_n, 3);
    assert_string_equal(c->remotes[0].url, "http://file/");
    assert_string_equal(c->remotes[2].url, "http://b:1/w");
    assert_true(c->remotes[1].max_bytes == 64 << 20 && c->remotes[2].max_bytes == 1000000000);
    struct arena arena;
    struct labels l;
    arena_init(&arena);
    labels_init(&l, &arena);
    assert_true(labels_parse(&l, STR("m{b=\"x\"}"), &err));
    assert_true(relabel_apply(c->remotes[1].write_relabel, &l));
    assert_true(str_eq_c(labels_get(&l, STR("cluster")), "$1\\"));
    assert_true(str_eq_c(labels_get(&l, STR("b")), ":{x"));
    labels_free(&l);
    arena_free(&arena);
    config_unref(c);
    buf_free(&errors);
    free(yaml);
    run_flags_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),         cmocka_unit_test(test_mistakes), cmocka_unit_test(test_help),
        cmocka_unit_test(test_env),          cmocka_unit_test(test_run_defaults), cmocka_unit_test(test_run_mistakes),
        cmocka_unit_test(test_flags_as_json),
        cmocka_unit_test(test_run_env),      cmocka_unit_test(test_run_yaml), cmocka_unit_test(test_run_yaml_loads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
