/* SPDX-License-Identifier: Apache-2.0 */
/* test_kubernetes_faults: API servers and kubelets that answer badly: which targets are known then, and how often they
   are asked. Every case is a job whose api_server is a path of one scripted server, so that all wait together. */
#include "http_fixture.h"

#include "base/buf.h"
#include "base/log.h"
#include "discovery.h"

/* ---- what the server says ---- */

#define RUNS "\"spec\":{\"containers\":[{\"name\":\"c\"}]},\"status\":{\"podIP\":\"10.0.0.1\"}"
#define ITEM(name) "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\"}," RUNS "}"
#define NOTED(name, notes) \
    "{\"metadata\":{\"name\":\"" name "\",\"namespace\":\"a\",\"annotations\":" notes "}," RUNS "}"
#define META(version) "{\"metadata\":{\"resourceVersion\":\"" version "\"},\"items\":["
#define META_MORE(token) "{\"metadata\":{\"resourceVersion\":\"5\",\"continue\":\"" token "\"},\"items\":["
#define LIST_12 META("5") ITEM("p1") "," ITEM("p2") "]}"
#define EVENT(type, object) "{\"type\":\"" type "\",\"object\":" object "}\n"
#define ERROR_410 EVENT("ERROR", "{\"code\":410,\"reason\":\"Expired\",\"message\":\"too old\"}")
#define ANSWERS 6

enum way { WHOLE, CUT, OPEN }; /* the answer ends well, in the middle, or only when the client goes */

struct answer {
    int status; /* 0 = closes the connection without a word */
    const char *body;
    enum way way;
};

/* By number of the request; the last one is for all that follow. */
struct answers {
    struct answer v[ANSWERS];
};

#define FOREVER {{{200, "", OPEN}}}
#define SAME(...) {{{__VA_ARGS__}}}

/* Requests that are made in vain: none may be made without end. */
static const struct storm {
    const char *name;
    struct answers list, watch;
    const char *want;  /* names of pods */
    const char *error; /* part of what the status says; "" = nothing */
} storms[] = {
    {"list-410", SAME(410, "{}", WHOLE), FOREVER, "", "410"},
    {"list-404", SAME(404, "{}", WHOLE), FOREVER, "", "404"},
    {"list-401", SAME(401, "who are you?", WHOLE), FOREVER, "", "401 who are you?"},
    {"list-closes", SAME(0, "", WHOLE), FOREVER, "", "LIST http"},
    {"list-empty", SAME(200, "", WHOLE), FOREVER, "", "ends in the middle"},
    {"list-other", SAME(200, "{\"kind\":\"Status\"}", WHOLE), FOREVER, "", "no resourceVersion"},
    {"list-html", SAME(200, "<html>", WHOLE), FOREVER, "", "'<' where an object is expected"},
    {"page-410", {{{200, META_MORE("x") ITEM("p1") "]}", WHOLE}, {410, "{}", WHOLE}, {200, META_MORE("x") "]}", WHOLE},
                  {410, "{}", WHOLE}}}, FOREVER, "", "410"},
    {"pages-for-ever", SAME(200, META_MORE("x") ITEM("p1") "]}", WHOLE), FOREVER, "", ""},
    {"watch-400", SAME(200, LIST_12, WHOLE), SAME(400, "{}", WHOLE), "p1 p2", "WATCH http"},
    {"watch-403", SAME(200, LIST_12, WHOLE), SAME(403, "{}", WHOLE), "p1 p2", "WATCH http"},
    {"watch-410", SAME(200, LIST_12, WHOLE), SAME(410, "{}", WHOLE), "p1 p2", "WATCH http"},
    {"watch-500", SAME(200, LIST_12, WHOLE), SAME(500, "{}", WHOLE), "p1 p2", "WATCH http"},
    {"watch-closes", SAME(200, LIST_12, WHOLE), SAME(0, "", WHOLE), "p1 p2", "WATCH http"},
    {"watch-ends", SAME(200, LIST_12, WHOLE), SAME(200, "", WHOLE), "p1 p2", ""},
    {"watch-expires", SAME(200, LIST_12, WHOLE), SAME(200, ERROR_410, WHOLE), "p1 p2", ""},
    {"watch-garbage", SAME(200, LIST_12, WHOLE), SAME(200, "]", WHOLE), "p1 p2", "closes nothing"},
    {"watch-bookmark",
     SAME(200, LIST_12, WHOLE), SAME(200, EVENT("BOOKMARK", "{\"metadata\":{\"resourceVersion\":\"9\"}}"), WHOLE),
     "p1 p2", ""},
};

/* What goes wrong once, and what is known in the end. */
static const struct mishap {
    const char *name;
    struct answers list, watch;
    const char *want;
} mishaps[] = {
    /* A page breaks behind its metadata: the rest of it is asked for again, not what comes after. */
    {"first-page-cut", {{{200, META_MORE("x") ITEM("p1") ",{\"metadata\":{\"name\":\"p", CUT},
                         {200, META_MORE("x") ITEM("p1") "," ITEM("p2") "]}", WHOLE},
                         {200, META("5") ITEM("p3") "]}", WHOLE}}}, FOREVER, "p1 p2 p3"},
    {"second-page-cut", {{{200, META_MORE("x") ITEM("p1") "]}", WHOLE},
                          {200, META_MORE("y") ITEM("p2") ",{\"metadata\":{\"name\":\"p", CUT},
                          {200, META_MORE("y") ITEM("p2") "," ITEM("p3") "]}", WHOLE},
                          {200, META("5") ITEM("p4") "]}", WHOLE}}}, FOREVER, "p1 p2 p3 p4"},
    {"token-not-understood",
     {{{200, META_MORE("x") ITEM("p1") "]}", WHOLE}, {400, "{}", WHOLE}, {200, LIST_12, WHOLE}}}, FOREVER, "p1 p2"},
    {"no-page",
     {{{200, META_MORE("x") ITEM("p1") "]}", WHOLE}, {503, "", WHOLE},
       {200, META("5") ITEM("p2") "]}", WHOLE}}}, FOREVER, "p1 p2"},
    /* A pod is all that its maker wants. */
    {"nul", SAME(200, META("5") NOTED("p1", "{\"n\":\"\\u0000\"}") "," ITEM("p2") "]}", WHOLE), FOREVER, "p1 p2"},
    {"nameless",
     {{{200, META("5") "{\"metadata\":{}},[],7,{}," ITEM("p2") "," ITEM("p2") "]}", WHOLE}}}, FOREVER, "p2"},
    /* Lists of pods that come again say the same when they are none. */
    {"relist-of-nothing",
     {{{200, LIST_12, WHOLE}, {200, "{}", WHOLE}, {200, "{\"metadata\":{},\"items\":[]}", WHOLE}, {500, "", WHOLE}}},
     {{{200, ERROR_410, WHOLE}, {200, "", OPEN}}}, "p1 p2"},
    {"relist-cut", {{{200, META("5") ITEM("p1") "]}", WHOLE}, {200, META("6") ITEM("p2") "]", CUT}, {500, "", WHOLE}}},
     {{{200, ERROR_410, WHOLE}, {200, "", OPEN}}}, "p1 p2"},
    {"only-lists", {{{200, LIST_12, WHOLE}, {200, META("6") ITEM("p2") "," ITEM("p3") "]}", WHOLE}}},
     SAME(403, "{}", WHOLE), "p2 p3"},
    {"new-token", {{{401, "", WHOLE}, {200, LIST_12, WHOLE}}}, FOREVER, "p1 p2"},
    {"gone-twice", SAME(200, LIST_12, WHOLE),
     {{{200, EVENT("DELETED", ITEM("p1")), WHOLE},
       {200, EVENT("DELETED", ITEM("p1")) EVENT("ADDED", ITEM("p3")), OPEN}}}, "p2 p3"},
};

#define STORMS ROWS(storms)
#define MISHAPS ROWS(mishaps)
#define CASES (STORMS + MISHAPS)

static atomic_int lists[CASES], watches[CASES];
static atomic_int looks; /* at /pods */

static void say(int fd, const struct answer *a)
{
    char c;
    if (a->status == 0)
        return;
    reply(fd, "HTTP/1.1 %d X\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", a->status);
    if (a->body[0])
        reply(fd, "%zx\r\n%s\r\n", strlen(a->body), a->body);
    if (a->way == WHOLE)
        reply(fd, "0\r\n\r\n");
    else if (a->way == OPEN)
        (void)!recv(fd, &c, 1, 0);
}

static void say_next(int fd, const struct answers *answers, atomic_int *asked)
{
    size_t i = (size_t)atomic_fetch_add(asked, 1), last = ANSWERS - 1;
    while (last > 0 && !answers->v[last].body)
        last--;
    say(fd, &answers->v[i < last ? i : last]);
}

/* A kubelet that starts anew, in the middle of which it knows its own pods only. */
static void say_pods(int fd)
{
    static const char *const bodies[] = {
        META("") ITEM("p1") "," ITEM("p2") "," ITEM("static") "]}",
        "{\"kind\":\"PodList\",\"metadata\":{},\"items\":null}",
        "{\"items\":[" NOTED("static", "{\"kubernetes.io/config.source\":\"file\"}") "]}",
        "{\"items\":[{\"metadata\":{}}," ITEM("p1") "," ITEM("static") "]}",
    };
    size_t i = (size_t)atomic_fetch_add(&looks, 1), n = ROWS(bodies);
    say(fd, &(struct answer){200, bodies[i < n ? i : n - 1], WHOLE});
}

static void serve_one(int fd)
{
    char text[4096], name[64];
    if (read_request(fd, text, sizeof text) == 0)
        return;
    if (strncmp(text, "GET /pods ", 10) == 0)
        say_pods(fd);
    if (sscanf(text, "GET /%63[^/]/api/v1/", name) != 1)
        return;
    bool watch = strstr(text, "?watch=1") != NULL;
    for (size_t i = 0; i < STORMS; i++) {
        if (strcmp(name, storms[i].name) == 0)
            say_next(fd, watch ? &storms[i].watch : &storms[i].list, watch ? &watches[i] : &lists[i]);
    }
    for (size_t i = 0, k = STORMS; i < MISHAPS; i++, k++) {
        if (strcmp(name, mishaps[i].name) == 0)
            say_next(fd, watch ? &mishaps[i].watch : &mishaps[i].list, watch ? &watches[k] : &lists[k]);
    }
    if (strcmp(name, "namespaces") == 0 && strstr(text, "/namespaces/good/"))
        say(fd, &(struct answer){200, watch ? "" : LIST_12, watch ? OPEN : WHOLE});
    if (strcmp(name, "namespaces") == 0 && strstr(text, "/namespaces/old/"))
        say(fd, &(struct answer){200, watch ? "" : META("5") ITEM("old") "]}", watch ? OPEN : WHOLE});
    if (strcmp(name, "namespaces") == 0 && strstr(text, "/namespaces/bad/"))
        say(fd, &(struct answer){403, "{}", WHOLE});
}

/* ---- what discovery makes of it ---- */

#define JOBS 64

static struct discovery *discovery;
static struct known {
    char job[64], names[256];
    char error[400];
} jobs[JOBS];

static struct known *known_of(const char *job)
{
    size_t i = 0;
    while (jobs[i].job[0] && strcmp(jobs[i].job, job) != 0)
        i++;
    assert_true(i < JOBS);
    snprintf(jobs[i].job, sizeof jobs[i].job, "%s", job);
    return &jobs[i];
}

static int by_text(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void note_update(void *ctx, const struct config_job *job, struct label_set *const *sets, size_t n)
{
    struct known *known = known_of(job->job_name);
    char names[16][64];
    (void)ctx;
    assert_true(n <= ROWS(names));
    for (size_t i = 0; i < n; i++)
        snprintf(names[i], sizeof names[i], "%.*s", STR_ARG(label_set_get(sets[i], STR("__meta_kubernetes_pod_name"))));
    qsort(names, n, sizeof names[0], by_text);
    known->names[0] = '\0';
    for (size_t i = 0, at = 0; i < n; i++)
        at += (size_t)snprintf(known->names + at, sizeof known->names - at, i ? " %s" : "%s", names[i]);
}

static void note_status(void *ctx, const struct discovery_source_status *status)
{
    (void)ctx;
    snprintf(known_of(status->job)->error, sizeof jobs[0].error, "%s", status->error);
}

static void add_job(struct buf *yaml, const char *name, const char *namespaces)
{
    buf_addf(yaml, "- job_name: %s\n  kubernetes_sd_configs:\n"
                   "  - {role: pod, api_server: 'http://127.0.0.1:%d/%s'%s}\n", name, server.port, name, namespaces);
}

/* Every `nth` of the cases. */
static void apply(size_t nth, const char *namespaces)
{
    struct buf yaml, errors;
    buf_init(&yaml, 65536);
    buf_init(&errors, 65536);
    buf_add_c(&yaml, "scrape_configs:\n");
    for (size_t i = 0; i < STORMS; i += nth)
        add_job(&yaml, storms[i].name, "");
    for (size_t i = 0; i < MISHAPS; i += nth)
        add_job(&yaml, mishaps[i].name, "");
    add_job(&yaml, "namespaces", namespaces);
    buf_addf(&yaml, "- job_name: kubelet\n  kubelet_sd_configs:\n  - {node_ip: 127.0.0.1, port: %d, scheme: http,"
             " refresh_interval: 100ms, authorization: {credentials: x}}\n", server.port);
    char path[] = "/tmp/obsagent-faults-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, yaml.p, yaml.n) == (ssize_t)yaml.n);
    close(fd);
    struct config *config = config_load(path, NULL, false, &errors);
    unlink(path);
    if (!config)
        fail_msg("%s", buf_c(&errors));
    discovery_apply(discovery, config);
    config_unref(config);
    buf_free(&yaml);
    buf_free(&errors);
}

static void stop(void *ctx)
{
    loop_stop(ctx);
}

static void run_for(int64_t ms)
{
    struct loop_timer end = {0};
    loop_timer_set(loop, &end, clock_mono_ms() + ms, stop, loop);
    loop_run(loop);
    loop_timer_clear(loop, &end);
    discovery_each_source(discovery, note_status, NULL);
}

#define SECONDS 3
#define REQUESTS 12 /* that may be made in so many seconds: a loop without a pause makes hundreds */
#define PATIENCE_S 60

static bool is_what(const char *job, const char *want)
{
    return strcmp(known_of(job)->names, want) == 0;
}

/* Names of cases that are not as they should be. */
static void find_wrong(struct buf *wrong)
{
    buf_clear(wrong);
    for (size_t i = 0; i < STORMS; i++) {
        const struct known *known = known_of(storms[i].name);
        bool error = storms[i].error[0] ? strstr(known->error, storms[i].error) != NULL : known->error[0] == '\0';
        if (!error || lists[i] + watches[i] < 2 || strcmp(storms[i].want, known->names) != 0)
            buf_addf(wrong, "%s: knows \"%s\", says \"%s\"\n", storms[i].name, known->names, known->error);
    }
    for (size_t i = 0; i < MISHAPS; i++) {
        if (!is_what(mishaps[i].name, mishaps[i].want))
            buf_addf(wrong, "%s: knows \"%s\"\n", mishaps[i].name, known_of(mishaps[i].name)->names);
    }
    if (!is_what("namespaces", "p1 p2"))
        buf_add_c(wrong, "namespaces: nothing of the good one\n");
    if (!is_what("kubelet", "p1 static"))
        buf_addf(wrong, "kubelet: knows \"%s\"\n", known_of("kubelet")->names);
}

static void bad_answers_cost_little(void **state)
{
    (void)state;
    struct buf wrong;
    buf_init(&wrong, 65536);
    int64_t begin = clock_mono_ms();
    apply(1, ", namespaces: {names: [old]}");
    for (size_t i = 0; i < 600 && !is_what("namespaces", "old"); i++)
        run_for(100);
    apply(1, ", namespaces: {names: [bad, good]}"); /* what is gone must go, though bad will never be known */
    run_for((int64_t)SECONDS * 1000);
    for (size_t i = 0; i < STORMS; i++) {
        int n = lists[i] + watches[i];
        if (n > REQUESTS * (clock_mono_ms() - begin) / (SECONDS * 1000))
            fail_msg("%s: %d lists and %d watches", storms[i].name, lists[i], watches[i]);
    }
    for (find_wrong(&wrong); wrong.n > 0 && clock_mono_ms() - begin < (int64_t)PATIENCE_S * 1000; find_wrong(&wrong))
        run_for(100);
    if (wrong.n > 0)
        fail_msg("%s", buf_c(&wrong));
    buf_free(&wrong);
}

/* Sources come and go, and stay, at every moment of a request; the end may come at any, too. */
static void reloads_cut_in_anywhere(void **state)
{
    (void)state;
    for (size_t i = 0; i < 40; i++) {
        apply(1 + i % 3, i % 2 ? "" : ", namespaces: {names: [bad, good, old]}");
        run_for((int64_t)(i * 7 % 23));
    }
    assert_int_not_equal(lists[0], 0);
}

static int begin(void **state)
{
    setup(state);
    for (size_t i = 0; i < CASES; i++)
        lists[i] = watches[i] = 0;
    looks = 0;
    log_set_level("error");
    server.raw = serve_one;
    discovery = discovery_new(loop, "test/1", note_update, NULL);
    return 0;
}

static int end(void **state)
{
    discovery_free(discovery);
    return teardown(state);
}

int main(void)
{
    server_start(&server);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bad_answers_cost_little, begin, end),
        cmocka_unit_test_setup_teardown(reloads_cut_in_anywhere, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
