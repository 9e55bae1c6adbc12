/* SPDX-License-Identifier: Apache-2.0 */
/* test_web: pages and JSON from made-up state, and the real server from a client's side. */
#include "unit.h"

#include "web.h"

#include "agent/web/api.h"
#include "agent/web/auth.h"
#include "agent/web/listen.h"
#include "agent/web/page.h"
#include "agent/web/route.h"

#include "base/alloc.h"
#include "base/file.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <unistd.h>

#define EVIL "<script>alert('1')</script>&\""

/* ---- made-up state ---- */

static struct label discovered[] = {
    {{"__address__", 11}, {"127.0.0.1:9100", 14}},
    {{"__meta_x", 8}, {EVIL, sizeof EVIL - 1}},
};
static struct label labels[] = {
    {{"instance", 8}, {"127.0.0.1:9100", 14}},
    {{"job", 3}, {"node", 4}},
    {{"zone", 4}, {EVIL, sizeof EVIL - 1}},
};
static struct target active = {.refs = 1,
                               .job = {"node", 4},
                               .labels = labels,
                               .labels_n = 3,
                               .url = (char[]){"http://127.0.0.1:9100/metrics"},
                               .interval_ms = 15000,
                               .timeout_ms = 10000};
static struct target evil = {.refs = 1,
                             .job = {"we b", 4},
                             .labels = labels,
                             .labels_n = 1,
                             .url = (char[]){"javascript:alert(1)//" EVIL},
                             .interval_ms = 90000,
                             .timeout_ms = 500};
static struct target dropped = {.refs = 1, .job = {"node", 4},
                                .dropped = true, .drop = TARGET_BY_RULE, .dropped_by = 2};
static struct target of_others = {.refs = 1, .job = {"node", 4},
                                  .labels = labels, .labels_n = 3, .url = (char[]){"http://other:9100/metrics"},
                                  .phase = 0x123456789abcdef, .dropped = true, .drop = TARGET_BY_SHARD};

static struct scrape_status statuses[] = {
    {.target = &active, .health = SCRAPE_UP, .last_scrape_wall_ms = 1767323045678, .last_duration_s = 0.0123,
     .last_samples = 1234, .last_post_relabel = 1200, .series = 1198, .last_body_bytes = 65536,
     .next_scrape_in_ms = 2500, .series_limited = 3456, .limited_label = EVIL},
    {.target = &evil, .health = SCRAPE_DOWN, .last_error = EVIL},
    {.target = &dropped},
    {.target = &of_others},
};
static struct view_job jobs[] = {{.job = "node", .up = 1, .dropped = 1, .other_shard = 7}, {.job = "we b", .down = 1}};
static struct remote_status remotes[] = {
    {.name = "vm",
     .url = "http://vm:8428/api/v1/write",
     .state = REMOTE_HELD_AUTH,
     .last_error = EVIL,
     .last_status = 401,
     .queue = {.buffered_samples = 1234567, .oldest_wall_ms = 1767323040000, .behind = true}},
};
static struct remote_reject rejects[] = {
    {.wall_ms = 1767323040000, .endpoint = "vm", .status = 400, .series = "x{y=\"" EVIL "\"}", .samples = 1,
     .message = EVIL},
};
static struct view_book books[] = {
    {"scraped", "", "node", "", 5000},
    {"delivered", "vm", "node", "", 3000},
    {"lost", "vm", "node", "rejected", 42},
};
static struct config config = {.refs = 1, .yaml = (char[]){"global: {}\nsecret: <secret>\n"}};

static const struct web_view view = {
    .version = "1.2.3",
    .now_ms = 1767323050000,
    .ready = true,
    .reload_ok = true,
    .loaded_ms = 1767323045678,
    .config = &config,
    .totals = {.targets_up = 1, .targets_down = 1, .targets_dropped = 1, .series = 1200},
    .sharding = {4, 0, 2},
    .targets = statuses,
    .targets_n = 4,
    .jobs = jobs,
    .jobs_n = 2,
    .remotes = remotes,
    .remotes_n = 1,
    .rejects = rejects,
    .rejects_n = 1,
    .books = books,
    .books_n = 3,
    .process = {.rss_bytes = 12 * 1048576.0,
                .anon_bytes = 3 * 1048576.0,
                .cpu_seconds = 5,
                .start_seconds = 1767320000},
};

static struct buf text;

static void clear(void)
{
    buf_free(&text);
    buf_init(&text, 1 << 24);
}

static void has(const char *needle)
{
    if (!strstr(buf_c(&text), needle))
        print_error("missing \"%s\" in:\n%s\n", needle, buf_c(&text));
    assert_non_null(strstr(buf_c(&text), needle));
}

static void lacks(const char *needle)
{
    if (strstr(buf_c(&text), needle))
        print_error("unexpected \"%s\" in:\n%s\n", needle, buf_c(&text));
    assert_null(strstr(buf_c(&text), needle));
}

static int teardown(void **state)
{
    (void)state;
    buf_free(&text);
    return 0;
}

/* ---- pages ---- */

static void is_safe_page(void)
{
    has("<!doctype html>");
    has("<link rel=\"stylesheet\" href=\"/style.css?v=");
    has("name=\"viewport\"");
    has("</html>");
    lacks("<script>");
    lacks("alert('1')");
}

static void test_overview(void **state)
{
    (void)state;
    clear();
    page_overview(&text, &view);
    is_safe_page();
    has("refused: authorization");
    has("HTTP 401");
    has("&lt;script&gt;");
    has("1,234,567");
    has("oldest 10.0 s ago");
    has("3,000");
    has("12.0 MiB");
    has("/targets?job=we%20b");
    has("1 of 1 up");
    has("<dt>shard</dt><dd>0 of 4");
    has("data-l=\"Of other shards\">7<");
}

static void targets(const char *job, const char *health, const char *needle)
{
    struct page_filter f = {.job = job, .health = health, .state = "", .sort = "", .text = needle};
    clear();
    page_targets(&text, &view, &f);
    is_safe_page();
}

static void test_targets(void **state)
{
    (void)state;
    targets("", "", "");
    has("<a href=\"http://127.0.0.1:9100/metrics\"");
    has("javascript:alert(1)");
    lacks("href=\"javascript");
    has("4.3 s ago");
    has("12.3 ms");
    has("1,200");
    has("of 1,234");
    has("<i>zone=</i>&lt;script&gt;");
    has("never");
    has("next in 2.5 s");
    has("data-l=\"Series\">1,198<");
    has("data-l=\"Size\">64.0 KiB<");
    has("A series limit keeps out 3,456 series; the label with most values among them is &lt;script&gt;");
    has("<a class=\"dim\" href=\"/service-discovery?job=node&amp;text=http%3A%2F%2F127.0.0.1%3A9100%2Fmetrics\">");
    lacks("other:9100");
    lacks("Rows ");
    targets("node", "", "");
    lacks("javascript:");
    targets("", "down", "");
    lacks("9100/metrics");
    has("javascript:");
    has("<option value=\"down\" selected>");
    targets("", "", "9100/METRICS");
    has("9100/metrics\"");
    lacks("javascript:");
    targets("", "", EVIL EVIL);
    has("No target matches");
    has("value=\"&lt;script");
}

/* ---- lists of many ---- */

#define MANY 5000
static struct scrape_status many[MANY];
static struct target many_targets[MANY];
static char many_urls[MANY][32];

static struct web_view many_view(void)
{
    struct web_view v = view;
    for (size_t i = 0; i < MANY; i++) {
        snprintf(many_urls[i], sizeof many_urls[i], "http://h%zu/x", i);
        many_targets[i] = active;
        many_targets[i].url = many_urls[i];
        many_targets[i].dropped = i >= MANY - 100;
        many[i] = (struct scrape_status){.target = &many_targets[i], .health = SCRAPE_UP};
    }
    v.targets = many;
    v.targets_n = MANY;
    return v;
}

static size_t count(const char *needle)
{
    size_t n = 0;
    for (const char *at = buf_c(&text); (at = strstr(at, needle)); at += strlen(needle))
        n++;
    return n;
}

typedef void list_fn(struct buf *out, const struct web_view *v, const struct page_filter *f);

static void test_pages_of_rows(void **state)
{
    static const struct {
        const char *path;
        list_fn *fn;
        size_t from;
        const char *job, *text;
        size_t rows;
        const char *line; /* what is said of the rows; "" = nothing */
        const char *previous, *next; /* links, "" = none */
    } FACTS[] = {
        {"/targets", page_targets, 0, "", "", 500, "Rows 1 to 500 of 4,900", "", "from=500"},
        {"/targets", page_targets, 500, "", "", 500, "Rows 501 to 1,000 of 4,900", ">previous<", "from=1000"},
        {"/targets", page_targets, 4800, "", "", 100, "Rows 4,801 to 4,900 of 4,900", "from=4300", ""},
        {"/targets", page_targets, 100000, "", "", 0, "of 4,900", "from=99500", ""},
        {"/targets", page_targets, SIZE_MAX, "", "", 0, "of 4,900", "previous", ""},
        {"/targets", page_targets, 0, "node", "/H49", 11, "", "", ""}, /* 49 and 490 to 499 */
        {"/targets", page_targets, 0, "we b", "", 0, "", "", ""},
        {"/service-discovery", page_discovery, 0, "", "", 500, "Rows 1 to 500 of 5,000", "", "from=500"},
        {"/service-discovery", page_discovery, 4700, "", "", 300, "Rows 4,701 to 5,000 of 5,000", "from=4200", ""},
        {"/service-discovery", page_discovery, SIZE_MAX, "", "", 0, "of 5,000", "previous", ""},
    };
    (void)state;
    struct web_view v = many_view();
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct page_filter f = {
            .job = FACTS[i].job, .health = "", .state = "", .sort = "", .text = FACTS[i].text, .from = FACTS[i].from};
        clear();
        FACTS[i].fn(&text, &v, &f);
        is_safe_page();
        if (count("data-l=\"Target\"") + count("data-l=\"Found\"><span") != FACTS[i].rows)
            fail_msg("fact %zu: %zu rows", i, count("data-l=\"Target\"") + count("data-l=\"Found\"><span"));
        has(FACTS[i].line);
        has(FACTS[i].previous);
        has(FACTS[i].next);
        if (!FACTS[i].line[0])
            lacks("Rows ");
        if (!FACTS[i].previous[0])
            lacks(">previous<");
        if (!FACTS[i].next[0])
            lacks(">next<");
    }
    struct page_filter f = {.job = "node", .health = "up", .state = "", .sort = "", .text = "<h&"};
    clear();
    page_targets(&text, &v, &f);
    lacks("from="); /* nothing found */
    f.text = "zone";
    clear();
    page_targets(&text, &v, &f);
    has("<a href=\"/targets?job=node&amp;health=up&amp;text=zone&amp;from=500\">next</a>");
    f.sort = "-duration";
    clear();
    page_targets(&text, &v, &f);
    has("aria-sort=\"descending\"><a href=\"/targets?job=node&amp;health=up&amp;text=zone&amp;sort=duration\">");
    has("<a href=\"/targets?job=node&amp;health=down&amp;text=zone&amp;sort=-duration\">down 0</a>");
    has("<input type=\"hidden\" name=\"sort\" value=\"-duration\">");
}

static void test_other_pages(void **state)
{
    (void)state;
    clear();
    page_queue(&text, &view);
    is_safe_page();
    has("disk");
    has("rejected");
    has("42");
    clear();
    page_rejects(&text, &view);
    is_safe_page();
    has(">400<");
    has("x{y=");
}

static void discovery(struct web_view *v, const char *job, const char *wanted, const char *needle)
{
    struct page_filter f = {.job = job, .health = "", .state = wanted, .sort = "", .text = needle};
    clear();
    page_discovery(&text, v, &f);
    is_safe_page();
}

static const char RULES[] =
    "scrape_configs:\n"
    "- job_name: node\n"
    "  relabel_configs:\n"
    "  - {action: labelmap, regex: a}\n"
    "  - {action: labelmap, regex: b}\n"
    "  - {source_labels: [__meta_x], regex: '<b>.*', action: drop}\n";

static void relabel(const struct web_view *v, const char *job, const char *kind, const char *pasted)
{
    struct page_relabel given = {.job = job, .kind = kind, .labels = pasted};
    clear();
    page_relabel(&text, v, &given);
    is_safe_page();
}

static const char STEPS[] =
    "scrape_configs:\n"
    "- job_name: node\n"
    "  relabel_configs:\n"
    "  - {target_label: zone, replacement: '<b>'}\n"
    "  - {action: labeldrop, regex: gone}\n"
    "  - {source_labels: [zone], regex: nowhere, target_label: zone}\n"
    "  - {source_labels: [host], regex: bad, action: drop}\n"
    "  - {target_label: after, replacement: x}\n";

static void test_relabel_page(void **state)
{
    struct web_view v = view;
    struct buf errors;
    (void)state;
    buf_init(&errors, 4096);
    v.config = config_load_text("steps.yml", str_of(STEPS), NULL, false, &errors);
    assert_non_null(v.config);
    relabel(&v, "", "", "");
    lacks("Rule by rule");
    relabel(&v, "node", "target", "{host=\"a\", gone=\"x\"}");
    has("<b>1</b> <span class=\"warn badge\">changes</span> <span class=\"dim\">line 4</span>");
    has("<span class=\"chip add\"><i>zone=</i>&lt;b&gt;</span>");
    has("<span class=\"chip del\"><i>gone=</i>x</span>");
    has("<b>3</b> <span class=\"dim badge\">no effect</span>");
    has("<p id=\"result\"><span class=\"chip\"><i>after=</i>x</span><span class=\"chip\"><i>host=</i>a</span>"
        "<span class=\"chip\"><i>zone=</i>&lt;b&gt;</span></p>");
    has("<option value=\"node\" selected>");
    relabel(&v, "node", "target", "{\"host\": \"bad\"}");
    has("<b>4</b> <span class=\"bad badge\">drops it</span>");
    lacks("<b>5</b>");
    has("It is dropped.");
    relabel(&v, "node", "metric", "up{a=\"b\"}");
    has("This job has no such rules.");
    has("<i>__name__=</i>up");
    relabel(&v, "node", "target", "{host=" EVIL);
    has("role=\"alert\">column ");
    has("&lt;script&gt;"); /* what was pasted is still in the form */
    relabel(&v, "node", "target", "{\"host\": 1}");
    has("role=\"alert\">");
    relabel(&v, "other", "target", "{a=\"b\"}");
    has("there is no such job");
    relabel(&v, "", "target", "{a=\"b\"}");
    has("choose a job");
    config_unref(v.config);
    buf_free(&errors);
}

static void test_config_page(void **state)
{
    (void)state;
    clear();
    page_config(&text, &view);
    is_safe_page();
    has("secret: &lt;secret&gt;");
}

static void test_discovery(void **state)
{
    struct web_view v = view;
    struct buf errors;
    (void)state;
    buf_init(&errors, 4096);
    struct config *c = config_load_text("rules.yml", str_of(RULES), NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    discovery(&v, "", "", "");
    has("relabel_configs, rule number 3<"); /* the configuration does not know the job: no text */
    v.config = c;
    discovery(&v, "", "", "");
    has("relabel_configs, rule number 3, line 6<");
    has("action=drop source_labels=[&quot;__meta_x&quot;] regex=&quot;&lt;b&gt;.*&quot;");
    has("<i>__address__=</i>");
    has("belongs to shards 3 and 1<");
    has("http://other:9100/metrics");
    has("<a class=\"dim\" href=\"/targets?job=node&amp;text=http%3A%2F%2F127.0.0.1%3A9100%2Fmetrics\">");
    has("Of 8 dropped targets 2 are remembered");
    lacks("href=\"javascript");
    discovery(&v, "node", "active", "");
    lacks("belongs to");
    lacks("rule number");
    lacks("javascript:");
    has("<option value=\"active\" selected>");
    discovery(&v, "", "dropped", "other:");
    has("belongs to");
    lacks("rule number");
    discovery(&v, "", "dropped", "nowhere");
    has("Nothing matches");
    v.sharding = (struct scrape_sharding){4, 0, 1};
    discovery(&v, "", "", "");
    has("belongs to shard 3<");
    v.sharding = (struct scrape_sharding){40, 0, 10};
    discovery(&v, "", "", "");
    has(" and more<");
    config_unref(c);
    buf_free(&errors);
}

static void seconds_are(double seconds, const char *want)
{
    clear();
    page_seconds(&text, seconds);
    assert_string_equal(buf_c(&text), want);
}

static void ago_is(int64_t age_ms, const char *want)
{
    clear();
    page_ago(&text, 1700000000000, 1700000000000 - age_ms);
    assert_string_equal(buf_c(&text), want);
}

static void test_human_numbers(void **state)
{
    (void)state;
    seconds_are(0, "0.0 ms");
    seconds_are(-5, "0.0 ms");
    seconds_are(0.0123, "12.3 ms");
    seconds_are(1.25, "1.2 s");
    seconds_are(61, "1m1s");
    seconds_are(3600 * 5 + 60 * 7, "5h7m");
    seconds_are(86400 * 3 + 3600 * 4, "3d4h");
    ago_is(400, "0.4 s ago");
    ago_is(-5000, "0.0 s ago");
    ago_is(65000, "1m5s ago");
    clear();
    page_ago(&text, 1700000000000, 0);
    page_count(&text, 0);
    page_count(&text, 999);
    page_count(&text, 1000);
    page_count(&text, UINT64_MAX);
    assert_string_equal(buf_c(&text), "never09991,00018,446,744,073,709,551,615");
}

/* ---- the API ---- */

static json_t *data(void)
{
    json_error_t error;
    json_t *root = json_loads(buf_c(&text), 0, &error);
    if (!root)
        print_error("%s in %s\n", error.text, buf_c(&text));
    assert_non_null(root);
    assert_string_equal(json_string_value(json_object_get(root, "status")), "success");
    json_t *d = json_incref(json_object_get(root, "data"));
    json_decref(root);
    return d;
}

static void is_string(json_t *object, const char *key, const char *want)
{
    assert_string_equal(json_string_value(json_object_get(object, key)), want);
}

static void test_api_targets(void **state)
{
    (void)state;
    clear();
    api_targets(&text, &view, "", "");
    json_t *d = data();
    assert_int_equal(json_array_size(json_object_get(d, "activeTargets")), 2);
    assert_int_equal(json_array_size(json_object_get(d, "droppedTargets")), 2);
    json_t *counts = json_object_get(d, "droppedTargetCounts");
    assert_int_equal(json_integer_value(json_object_get(counts, "node")), 8);
    assert_int_equal(json_integer_value(json_object_get(counts, "we b")), 0);
    json_t *t = json_array_get(json_object_get(d, "activeTargets"), 0);
    is_string(t, "scrapePool", "node");
    is_string(t, "scrapeUrl", "http://127.0.0.1:9100/metrics");
    is_string(t, "lastError", "");
    is_string(t, "lastScrape", "2026-01-02T03:04:05.678Z");
    is_string(t, "health", "up");
    is_string(t, "scrapeInterval", "15s");
    is_string(t, "scrapeTimeout", "10s");
    assert_true(json_real_value(json_object_get(t, "lastScrapeDuration")) == 0.0123);
    is_string(json_object_get(t, "labels"), "zone", EVIL);
    is_string(json_object_get(t, "discoveredLabels"), "__address__", "127.0.0.1:9100");
    char host[256] = "", url[320];
    assert_int_equal(gethostname(host, sizeof host - 1), 0);
    snprintf(url, sizeof url, "http://%s:9100/metrics", host);
    is_string(t, "globalUrl", url);
    t = json_array_get(json_object_get(d, "activeTargets"), 1);
    is_string(t, "health", "down");
    is_string(t, "lastScrape", "0001-01-01T00:00:00Z");
    is_string(t, "scrapeInterval", "1m30s");
    t = json_array_get(json_object_get(d, "droppedTargets"), 0);
    is_string(t, "scrapePool", "node");
    assert_null(json_object_get(t, "labels"));
    json_decref(d);
}

static void api_sizes(const char *state, const char *pool, size_t active_n, size_t dropped_n, bool counts)
{
    clear();
    api_targets(&text, &view, state, pool);
    json_t *d = data();
    assert_int_equal(json_array_size(json_object_get(d, "activeTargets")), active_n);
    assert_true(json_is_array(json_object_get(d, "activeTargets")));
    assert_int_equal(json_array_size(json_object_get(d, "droppedTargets")), dropped_n);
    assert_true(json_is_array(json_object_get(d, "droppedTargets")));
    assert_int_equal(json_is_object(json_object_get(d, "droppedTargetCounts")), counts);
    json_decref(d);
}

static void test_api_filters(void **state)
{
    (void)state;
    api_sizes("any", "", 2, 2, true);
    api_sizes("active", "", 2, 0, false);
    api_sizes("ACTIVE", "node", 1, 0, false);
    api_sizes("dropped", "", 0, 2, true);
    api_sizes("dropped", "we b", 0, 0, true);
    api_sizes("nonsense", "", 0, 0, false);
}

static void test_api_others(void **state)
{
    (void)state;
    clear();
    api_config(&text, &view);
    json_t *d = data();
    is_string(d, "yaml", "global: {}\nsecret: <secret>\n");
    json_decref(d);
    clear();
    api_buildinfo(&text, &view);
    d = data();
    is_string(d, "version", "1.2.3");
    json_decref(d);
    clear();
    api_scrape_pools(&text, &view);
    d = data();
    assert_int_equal(json_array_size(json_object_get(d, "scrapePools")), 2);
    json_decref(d);
    clear();
    api_runtimeinfo(&text, &view);
    d = data();
    is_string(d, "serverTime", "2026-01-02T03:04:10.000Z");
    is_string(d, "lastConfigTime", "2026-01-02T03:04:05.678Z");
    assert_true(json_is_true(json_object_get(d, "reloadConfigSuccess")));
    json_decref(d);
    clear();
    api_error(&text, "execution", "no \"way\"");
    has("{\"status\":\"error\",\"errorType\":\"execution\",\"error\":\"no \\\"way\\\"\"}");
}

/* ---- metadata ---- */

static struct target second = {.refs = 1, .labels = labels, .labels_n = 2, .url = (char[]){"http://b/"}};
static const struct scrape_metadata metas[] = {
    {&active, {"up_total", 8}, {"About \"it\"", 10}, {"", 0}, BLOCK_COUNTER},
    {&active, {"m", 1}, {EVIL, sizeof EVIL - 1}, {"bytes", 5}, BLOCK_GAUGE},
    {&second, {"up_total", 8}, {"About \"it\"", 10}, {"", 0}, BLOCK_COUNTER},
    {&second, {"m", 1}, {"other", 5}, {"", 0}, BLOCK_UNSPECIFIED},
    {&second, {"n", 1}, {"", 0}, {"", 0}, BLOCK_HISTOGRAM},
};
#define ACTIVE "{\"target\":{\"instance\":\"127.0.0.1:9100\",\"job\":\"node\",\"zone\":" EVIL_JSON "},"
#define SECOND "{\"target\":{\"instance\":\"127.0.0.1:9100\",\"job\":\"node\"},"
#define EVIL_JSON "\"<script>alert('1')</script>&\\\"\""
#define UP "\"type\":\"counter\",\"help\":\"About \\\"it\\\"\",\"unit\":\"\"}"
#define M1 "\"type\":\"gauge\",\"help\":" EVIL_JSON ",\"unit\":\"bytes\"}"
#define M2 "\"type\":\"unknown\",\"help\":\"other\",\"unit\":\"\"}"
#define N "\"type\":\"histogram\",\"help\":\"\",\"unit\":\"\"}"

static void metadata_is(bool by_metric, const char *match, const char *metric, const char *limit, const char *each,
                        const char *want)
{
    struct api_metadata_query q = {.match_target = match, .metric = metric};
    struct err err = {0};
    clear();
    struct api_metadata *m =
        api_metadata_limits(&q, limit, each, &err) ? api_metadata_new(&q, &text, &err) : NULL;
    if (!m) {
        assert_string_equal(err.msg, want);
        return;
    }
    api_metadata_begin(m, by_metric);
    for (size_t i = 0; i < ROWS(metas); i++)
        (by_metric ? api_metadata_by_metric : api_metadata_by_target)(m, &metas[i]);
    api_metadata_end(m, by_metric, true);
    api_metadata_free(m);
    struct buf whole;
    buf_init(&whole, 1 << 16);
    buf_addf(&whole, "{\"status\":\"success\",\"data\":%s}\n", want);
    assert_string_equal(buf_c(&text), buf_c(&whole));
    buf_free(&whole);
    json_decref(data());
}

static void test_api_targets_metadata(void **state)
{
    static const struct {
        const char *match, *metric, *limit, *want;
    } FACTS[] = {
        {"", "", "", "[" ACTIVE "\"metric\":\"up_total\"," UP "," ACTIVE "\"metric\":\"m\"," M1 "," SECOND
                     "\"metric\":\"up_total\"," UP "," SECOND "\"metric\":\"m\"," M2 "," SECOND
                     "\"metric\":\"n\"," N "]"},
        {"", "m", "", "[" ACTIVE M1 "," SECOND M2 "]"},
        {"", "m", "1", "[" ACTIVE M1 "]"},
        {"", "", "1", "[" ACTIVE "\"metric\":\"up_total\"," UP "," ACTIVE "\"metric\":\"m\"," M1 "]"},
        {"", "m", "0", "[]"},
        {"", "m", "-1", "[" ACTIVE M1 "," SECOND M2 "]"},
        {"", "nothing", "", "[]"},
        {"{zone=\"\"}", "m", "", "[" SECOND M2 "]"},
        {"{zone=~\".+\",job=\"node\"}", "m", "", "[" ACTIVE M1 "]"},
        {"{job=\"other\"}", "", "", "[]"},
        {"", "", "many", "limit must be a number"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++)
        metadata_is(false, FACTS[i].match, FACTS[i].metric, FACTS[i].limit, "", FACTS[i].want);
    struct api_metadata_query q = {.match_target = "{job=", .metric = ""};
    struct err err = {0};
    assert_null(api_metadata_new(&q, &text, &err));
    assert_non_null(strstr(err.msg, "invalid parameter \"match_target\": "));
    assert_non_null(strstr(err.msg, "column"));
}

static void test_api_metadata(void **state)
{
    static const struct {
        const char *metric, *limit, *each, *want;
    } FACTS[] = {
        {"", "", "", "{\"m\":[{" M2 ",{" M1 "],\"n\":[{" N "],\"up_total\":[{" UP "]}"},
        {"up_total", "", "", "{\"up_total\":[{" UP "]}"},
        {"nothing", "", "", "{}"},
        {"", "0", "", "{}"},
        {"", "1", "", "{\"m\":[{" M2 ",{" M1 "]}"},
        {"", "1", "1", "{\"m\":[{" M2 "]}"},
        {"", "2", "0", "{\"m\":[{" M2 ",{" M1 "],\"n\":[{" N "]}"},
        {"", "-5", "1", "{\"m\":[{" M2 "],\"n\":[{" N "],\"up_total\":[{" UP "]}"},
        {"", "1.5", "", "limit must be a number"},
        {"", "", "x", "limit_per_metric must be a number"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(FACTS); i++)
        metadata_is(true, "", FACTS[i].metric, FACTS[i].limit, FACTS[i].each, FACTS[i].want);
}

static void test_api_metadata_incomplete(void **state)
{
    (void)state;
    struct api_metadata_query q = {.match_target = "", .metric = "", .limit = -1};
    struct err err = {0};
    clear();
    struct api_metadata *m = api_metadata_new(&q, &text, &err);
    assert_non_null(m);
    api_metadata_begin(m, true);
    for (int i = 0; i < 1000; i++) { /* more than the first table holds, each twice */
        char name[16];
        int n = snprintf(name, sizeof name, "m%d", i / 2);
        api_metadata_by_metric(m, &(struct scrape_metadata){.target = &active, .metric = str_make(name, (size_t)n)});
    }
    api_metadata_end(m, true, false);
    api_metadata_free(m);
    has("\"warnings\":[\"not all scrape workers answered in time");
    assert_int_equal(count("\"type\""), 500);
    json_t *d = data();
    assert_int_equal(json_object_size(d), 500);
    json_decref(d);
}

/* ---- relabel steps ---- */

static const char STEPS_YAML[] =
    "scrape_configs:\n"
    "- job_name: 'we b'\n"
    "  relabel_configs:\n"
    "  - {source_labels: [a, b], separator: ';', target_label: c, replacement: 'x$1'}\n"
    "  - {source_labels: [a], target_label: m, modulus: 4, action: hashmod}\n"
    "  - {if: '{b=\"gone\"}', action: drop}\n"
    "  - {regex: 'a|b', action: labeldrop}\n"
    "- job_name: none\n";
#define RULE1 \
    "{\"rule\":{\"action\":\"replace\",\"sourceLabels\":[\"a\",\"b\"],\"separator\":\";\",\"regex\":\"(.*)\"," \
    "\"targetLabel\":\"c\",\"replacement\":\"x$1\"},\"output\":"
#define RULE2 \
    "{\"rule\":{\"action\":\"hashmod\",\"sourceLabels\":[\"a\"],\"separator\":\";\",\"regex\":\"(.*)\",\"modulus\":4," \
    "\"targetLabel\":\"m\",\"replacement\":\"$1\"},\"output\":"
#define RULE3 \
    "{\"rule\":{\"action\":\"drop\",\"if\":[\"{b=\\\"gone\\\"}\"],\"separator\":\";\",\"regex\":\"(.*)\"," \
    "\"replacement\":\"$1\"},\"output\":"
#define RULE4 \
    "{\"rule\":{\"action\":\"labeldrop\",\"separator\":\";\",\"regex\":\"a|b\",\"replacement\":\"$1\"},\"output\":"
#define KEEP ",\"keep\":true}"
#define DROP ",\"keep\":false}"

static void test_api_relabel_steps(void **state)
{
    static const struct {
        const char *pool, *labels, *steps, *error; /* what the reason begins with */
    } FACTS[] = {
        {"we b", "{\"b\":\"2\",\"a\":\"1\",\"e\":\"\"}",
         RULE1 "{\"a\":\"1\",\"b\":\"2\",\"c\":\"x1;2\"}" KEEP "," RULE2
               "{\"a\":\"1\",\"b\":\"2\",\"c\":\"x1;2\",\"m\":\"3\"}" KEEP "," RULE3
               "{\"a\":\"1\",\"b\":\"2\",\"c\":\"x1;2\",\"m\":\"3\"}" KEEP "," RULE4
               "{\"c\":\"x1;2\",\"m\":\"3\"}" KEEP, ""},
        {"we b", "{\"a\":\"1\",\"b\":\"gone\"}",
         RULE1 "{\"a\":\"1\",\"b\":\"gone\",\"c\":\"x1;gone\"}" KEEP "," RULE2
               "{\"a\":\"1\",\"b\":\"gone\",\"c\":\"x1;gone\",\"m\":\"3\"}" KEEP "," RULE3 "{}" DROP
               "," RULE4 "{}" DROP,
         ""},
        {"none", "{}", "", ""},
        {"", "{}", NULL, "no scrapePool parameter provided"},
        {"none", "", NULL, "no labels parameter provided"},
        {"web", "{}", NULL, "scrape pool \"web\" not found"},
        {"none", "{", NULL, "error parsing labels: "},
        {"none", "[]", NULL, "error parsing labels: an object of names and values is needed"},
        {"none", "{\"a\":1}", NULL, "error parsing labels: the value of \"a\" is not a string"},
        {"none", "{\"a\":\"1\",\"a\":\"1\"}", NULL, "error parsing labels: duplicate object key"},
    };
    struct buf errors;
    (void)state;
    buf_init(&errors, 4096);
    struct web_view v = view;
    struct config *c = config_load_text("steps.yml", str_of(STEPS_YAML), NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    v.config = c;
    for (size_t i = 0; i < ROWS(FACTS); i++) {
        struct err err = {0};
        clear();
        bool good = api_relabel_steps(&text, &v, FACTS[i].pool, FACTS[i].labels, &err);
        if (good != (FACTS[i].steps != NULL) || good == err_is(&err) || !strstr(err.msg, FACTS[i].error))
            fail_msg("fact %zu: %s", i, err.msg);
        if (!good) {
            assert_int_equal(text.n, 0);
            continue;
        }
        buf_clear(&errors);
        buf_addf(&errors, "{\"status\":\"success\",\"data\":{\"steps\":[%s]}}\n", FACTS[i].steps);
        assert_string_equal(buf_c(&text), buf_c(&errors));
    }
    config_unref(c);
    buf_free(&errors);
}

/* ---- addresses and the web configuration ---- */

static void test_listen(void **state)
{
    (void)state;
    static const char *const good[] = {":0", "127.0.0.1:0", "localhost:0", "0.0.0.0:0"};
    static const char *const bad[] = {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", ":x", "::1:80",
                                      "no.such.host.invalid:0", "192.0.2.1:0"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct listen_socket s;
        struct err err = {0};
        if (!listen_open(good[i], &s, &err))
            fail_msg("%s: %s", good[i], err.msg);
        assert_true(s.port > 0);
        close(s.fd);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct listen_socket s;
        struct err err = {0};
        assert_false(listen_open(bad[i], &s, &err));
        assert_true(err_is(&err));
    }
}

/* hunter2 */
#define HASH "$2y$04$WUHhXETkX0fnYkrqZU3ta./GQOcdKSUIZHIJmPd3.NhbCPNuEerhe"

static char dir[] = "/tmp/test_web_XXXXXX";

static char *write_file(const char *name, const char *content)
{
    char *path = file_join(dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(content, f);
    fclose(f);
    return path;
}

static void bad_web_config(const char *content, const char *why)
{
    struct err err = {0};
    char *path = write_file("bad.yml", content);
    struct web_config *c = web_config_load(path, &err);
    assert_null(c);
    if (!strstr(err.msg, why))
        print_error("\"%s\" is not in \"%s\"\n", why, err.msg);
    assert_non_null(strstr(err.msg, why));
    assert_non_null(strstr(err.msg, "bad.yml:"));
    free(path);
}

static void test_web_config(void **state)
{
    (void)state;
    bad_web_config("basic_auth_user: {}\n", ":1:1: unknown field \"basic_auth_user\"");
    bad_web_config("basic_auth_users:\n  bob: plain\n",
                   ":2:3: the password of user \"bob\" is not a bcrypt hash");
    bad_web_config("tls_server_config:\n  cert_file: nowhere.pem\n  key_file: bad.yml\n", "nowhere.pem");
    bad_web_config("tls_server_config:\n  cert_file: bad.yml\n", "needs cert_file and key_file");
    bad_web_config("tls_server_config:\n  client_ca_file: x\n", "client_ca_file is not supported");
    bad_web_config("tls_server_config:\n  min_version: TLS99\n", "unknown TLS version: TLS99");
    bad_web_config("http_server_config:\n  headers:\n    X-A: \"b\\nc\"\n", "can not be configured");
    bad_web_config("bearer_token_file: /nonexistent/token\n", "/nonexistent/token");
    bad_web_config("a: [\n", "");
    struct err err = {0};
    char *path = write_file("empty.yml", "");
    struct auth *a = auth_new(path, &err);
    assert_non_null(a);
    assert_int_equal(auth_check(a, NULL), AUTH_OK);
    auth_free(a);
    free(path);
}

static char *basic(const char *pair)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t n = strlen(pair), k = 0;
    char *out = xcalloc(1, n * 2 + 16);
    k = (size_t)snprintf(out, 8, "Basic ");
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)(unsigned char)pair[i] << 16;
        v |= i + 1 < n ? (unsigned)(unsigned char)pair[i + 1] << 8 : 0;
        v |= i + 2 < n ? (unsigned)(unsigned char)pair[i + 2] : 0;
        out[k++] = digits[v >> 18];
        out[k++] = digits[v >> 12 & 63];
        out[k++] = i + 1 < n ? digits[v >> 6 & 63] : '=';
        out[k++] = i + 2 < n ? digits[v & 63] : '=';
    }
    return out;
}

static void auth_is(struct auth *a, const char *pair, enum auth_result want)
{
    char *header = basic(pair);
    assert_int_equal(auth_check(a, header), want);
    free(header);
}

static void test_auth(void **state)
{
    (void)state;
    struct err err = {0};
    char *token = write_file("token", "s3cret\n");
    char *path = write_file("web.yml", "basic_auth_users:\n  bob: " HASH "\nbearer_token_file: token\n");
    struct auth *a = auth_new(path, &err);
    if (!a)
        fail_msg("%s", err.msg);
    auth_is(a, "bob:hunter2", AUTH_OK);
    for (int i = 0; i < 50; i++)
        auth_is(a, "bob:hunter2", AUTH_OK); /* remembered: not limited */
    assert_int_equal(auth_check(a, NULL), AUTH_NEEDED);
    assert_int_equal(auth_check(a, "Bearer s3cret"), AUTH_OK);
    assert_int_equal(auth_check(a, "bearer s3cret"), AUTH_OK);
    assert_int_equal(auth_check(a, "Bearer s3cre"), AUTH_NEEDED);
    assert_int_equal(auth_check(a, "Bearer "), AUTH_NEEDED);
    assert_int_equal(auth_check(a, "Basic !!!!"), AUTH_NEEDED);
    assert_int_equal(auth_check(a, "Basic"), AUTH_NEEDED);
    assert_int_equal(auth_check(a, ""), AUTH_NEEDED);
    free(write_file("token", "other\n\n"));
    assert_int_equal(auth_check(a, "Bearer other"), AUTH_OK);
    auth_free(a);
    a = auth_new(path, &err);
    assert_non_null(a);
    auth_is(a, "bob:wrong", AUTH_NEEDED);
    auth_is(a, "bob", AUTH_NEEDED);
    auth_is(a, "bob:", AUTH_NEEDED);
    auth_is(a, "eve:hunter2", AUTH_NEEDED);
    bool limited = false;
    for (int i = 0; i < 20 && !limited; i++) {
        char *header = basic("bob:guess");
        limited = auth_check(a, header) == AUTH_BUSY;
        free(header);
    }
    assert_true(limited);
    auth_free(a);
    free(path);
    free(token);
}

/* ---- views ---- */

static void test_view_counts_jobs(void **state)
{
    (void)state;
    struct web_view v = {0};
    struct scrape_status unknown = {.target = &evil};
    view_add_target(&v, &statuses[0], true);
    view_add_target(&v, &statuses[1], false);
    view_add_target(&v, &unknown, false);
    view_add_target(&v, &statuses[2], true);
    view_add_dropped(&v, &(struct scrape_dropped){STR("node"), 2000, 30});
    assert_int_equal(v.targets_n, 2);
    assert_int_equal(v.jobs_n, 2);
    assert_string_equal(v.jobs[0].job, "node");
    assert_int_equal(v.jobs[0].up, 1);
    assert_int_equal(v.jobs[0].dropped, 2000);
    assert_int_equal(v.jobs[0].other_shard, 30);
    assert_string_equal(v.jobs[1].job, "we b");
    assert_int_equal(v.jobs[1].down, 1);
    assert_int_equal(v.jobs[1].unknown, 1);
    assert_int_equal(active.refs, 2);
    view_free(&v);
    assert_int_equal(active.refs, 1);
}

/* ---- the server ---- */

struct answer {
    long status;
    struct buf body, headers;
};

static size_t take(char *p, size_t size, size_t n, void *ctx)
{
    buf_add(ctx, p, size * n);
    return size * n;
}

static const char *scheme = "http";

static struct answer ask(struct web *w, const char *method, const char *path, const char *userpwd)
{
    struct answer a = {0};
    char url[256];
    CURL *curl = curl_easy_init();
    buf_init(&a.body, 1 << 24);
    buf_init(&a.headers, 1 << 16);
    snprintf(url, sizeof url, "%s://127.0.0.1:%u%s", scheme, web_port(w), path);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 20L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a.body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &a.headers);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else if (strcmp(method, "POST") == 0)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "x=y");
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    if (userpwd)
        curl_easy_setopt(curl, CURLOPT_USERPWD, userpwd);
    assert_int_equal(curl_easy_perform(curl), CURLE_OK);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
    curl_easy_cleanup(curl);
    return a;
}

static void answers(struct web *w, const char *method, const char *path, long status, const char *needle)
{
    struct answer a = ask(w, method, path, NULL);
    if (a.status != status || !strstr(buf_c(&a.body), needle))
        print_error("%s %s: %ld %s\n", method, path, a.status, buf_c(&a.body));
    assert_int_equal(a.status, status);
    assert_non_null(strstr(buf_c(&a.body), needle));
    buf_free(&a.body);
    buf_free(&a.headers);
}

static bool reload_good;

static bool fake_reload(void *ctx, struct err *err)
{
    (void)ctx;
    return reload_good || err_set(err, "f.yml:1:1: bad");
}

static struct web *start(bool lifecycle, const char *web_config)
{
    struct err err = {0};
    struct web_options options = {
        .listen_address = "127.0.0.1:0",
        .web_config_file = web_config,
        .enable_lifecycle = lifecycle,
        .sources = {.version = "1.2.3", .reload = fake_reload},
    };
    struct web *w = web_start(&options, &err);
    if (!w)
        fail_msg("%s", err.msg);
    return w;
}

static void test_routes(void **state)
{
    (void)state;
    struct web *w = start(true, NULL);
    answers(w, "GET", "/", 200, "<h1>Overview</h1>");
    answers(w, "GET", "/targets?job=a%26b&health=up", 200, "<h1>Targets</h1>");
    answers(w, "GET", "/service-discovery", 200, "<h1>Service discovery</h1>");
    answers(w, "GET", "/queue", 200, "<h1>Buffer</h1>");
    answers(w, "GET", "/rejects", 200, "Nothing was rejected.");
    answers(w, "GET", "/config", 200, "");
    answers(w, "GET", "/-/healthy", 200, "obsagent is healthy.\n");
    answers(w, "GET", "/-/ready", 200, "obsagent is ready.\n");
    answers(w, "GET", "/api/v1/targets", 200, "{\"status\":\"success\",\"data\":{\"activeTargets\":[],");
    answers(w, "GET", "/api/v1/status/config", 200, "\"yaml\"");
    answers(w, "GET", "/api/v1/status/buildinfo", 200, "\"version\":\"1.2.3\"");
    answers(w, "GET", "/api/v1/status/runtimeinfo", 200, "startTime");
    answers(w, "GET", "/api/v1/scrape_pools", 200, "{\"scrapePools\":[]}");
    answers(w, "GET", "/api/v1/status/flags", 200, "{\"status\":\"success\",\"data\":{}}");
    answers(w, "GET", "/api/v1/metadata", 200, "{\"status\":\"success\",\"data\":{}}");
    answers(w, "GET", "/api/v1/targets/metadata", 200, "{\"status\":\"success\",\"data\":[]}");
    answers(w, "GET", "/api/v1/metadata?limit=x", 400, "\"bad_data\",\"error\":\"limit must be a number\"}");
    answers(w, "GET", "/api/v1/targets/metadata?match_target=%7B", 400, "\"errorType\":\"bad_data\",");
    answers(w, "GET", "/api/v1/targets/relabel_steps", 400, "no scrapePool parameter provided");
    answers(w, "GET", "/api/v1/targets/relabel_steps?scrapePool=a&labels=%7B%7D", 400,
            "scrape pool \\\"a\\\" not found");
    answers(w, "POST", "/api/v1/metadata", 405, "");
    answers(w, "GET", "/api/v1/query?query=up", 422,
            "\"errorType\":\"execution\",\"error\":\"unavailable with an agent\"");
    answers(w, "POST", "/api/v1/query", 422, "unavailable with an agent");
    answers(w, "GET", "/api/v1/label/job/values", 422, "unavailable");
    answers(w, "GET", "/api/v1/nonsense", 404, "not_found");
    answers(w, "GET", "/nonsense", 404, "404 page not found");
    answers(w, "GET", "/targets/", 404, "");
    answers(w, "POST", "/targets", 405, "");
    answers(w, "DELETE", "/metrics", 405, "");
    answers(w, "GET", "/-/reload", 405, "Only POST or PUT requests allowed\n");
    reload_good = true;
    answers(w, "POST", "/-/reload", 200, "");
    answers(w, "PUT", "/-/reload", 200, "");
    reload_good = false;
    answers(w, "POST", "/-/reload", 500, "failed to reload config: f.yml:1:1: bad\n");
    answers(w, "GET", "/metrics", 200, "obsagent_http_requests_total{path=\"/-/reload\",status=\"500\"} 1\n");
    answers(w, "GET", "/metrics", 200, "obsagent_http_requests_total{path=\"other\",status=\"404\"} 3\n");
    answers(w, "GET", "/metrics", 200, "obsagent_http_requests_total{path=\"/api/v1/metadata\",status=\"400\"} 1\n");
    answers(w, "GET", "/metrics", 200, "process_resident_memory_bytes ");
    web_stop(w);
}

static void test_lifecycle_disabled(void **state)
{
    (void)state;
    struct web *w = start(false, NULL);
    answers(w, "POST", "/-/reload", 403, "Lifecycle API is not enabled.");
    answers(w, "GET", "/-/reload", 405, "Only POST or PUT requests allowed");
    web_stop(w);
}

static void header_is(const struct answer *a, const char *line)
{
    if (!strstr(a->headers.p, line))
        print_error("\"%s\" is not in\n%s\n", line, a->headers.p);
    assert_non_null(strstr(a->headers.p, line));
}

static void test_headers(void **state)
{
    (void)state;
    struct web *w = start(false, NULL);
    struct answer a = ask(w, "HEAD", "/metrics", NULL);
    (void)buf_c(&a.headers);
    assert_int_equal(a.status, 200);
    assert_int_equal(a.body.n, 0);
    header_is(&a, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n");
    header_is(&a, "Cache-Control: no-store\r\n");
    header_is(&a, "X-Content-Type-Options: nosniff\r\n");
    header_is(&a, "Content-Security-Policy: default-src 'none'");
    assert_null(strstr(a.headers.p, "Content-Length: 0\r"));
    buf_free(&a.body);
    buf_free(&a.headers);
    web_stop(w);
}

static void test_server_auth(void **state)
{
    (void)state;
    char *path = write_file("web.yml", "basic_auth_users:\n  bob: " HASH "\nhttp_server_config:\n"
                                       "  headers:\n    X-Frame-Options: SAMEORIGIN\n");
    struct web *w = start(false, path);
    struct answer a = ask(w, "GET", "/-/healthy", NULL);
    (void)buf_c(&a.headers);
    assert_int_equal(a.status, 401);
    header_is(&a, "WWW-Authenticate: Basic realm=\"obsagent\"");
    header_is(&a, "X-Frame-Options: SAMEORIGIN\r\n");
    assert_null(strstr(a.headers.p, "DENY"));
    buf_free(&a.body);
    buf_free(&a.headers);
    a = ask(w, "GET", "/-/healthy", "bob:hunter2");
    assert_int_equal(a.status, 200);
    buf_free(&a.body);
    buf_free(&a.headers);
    web_stop(w);
    free(path);
}

/* A key and a certificate for 127.0.0.1 signed by itself, as server.key and server.crt. */
static void make_certificate(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *x = X509_new();
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(x), "CN", MBSTRING_ASC, (const unsigned char *)"test",
                               -1, -1, 0);
    X509_set_issuer_name(x, X509_get_subject_name(x));
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    char *path = write_file("server.key", "");
    FILE *f = fopen(path, "w");
    assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    free(path);
    path = write_file("server.crt", "");
    f = fopen(path, "w");
    assert_int_equal(PEM_write_X509(f, x), 1);
    fclose(f);
    free(path);
    X509_free(x);
    EVP_PKEY_free(key);
}

static void test_tls(void **state)
{
    (void)state;
    make_certificate();
    char *path = write_file("tls.yml", "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"
                                       "  min_version: TLS13\n");
    struct web *w = start(false, path);
    scheme = "https";
    answers(w, "GET", "/-/healthy", 200, "obsagent is healthy.\n");
    scheme = "http";
    web_stop(w);
    free(path);
    free(write_file("server.key", "no key"));
    path = write_file("tls.yml", "tls_server_config: {cert_file: server.crt, key_file: server.key}\n");
    struct err err = {0};
    struct web_options options = {.listen_address = "127.0.0.1:0", .web_config_file = path};
    assert_null(web_start(&options, &err));
    assert_non_null(strstr(err.msg, "cannot start the HTTP server: "));
    free(path);
}

static void test_address_taken(void **state)
{
    (void)state;
    struct web *w = start(false, NULL);
    char address[32];
    struct err err = {0};
    snprintf(address, sizeof address, "127.0.0.1:%u", web_port(w));
    struct web_options options = {.listen_address = address};
    assert_null(web_start(&options, &err));
    assert_non_null(strstr(err.msg, "Address already in use"));
    web_stop(w);
}

/* ---- the real rooms ---- */

static void drop_block(void *ctx, struct block *block)
{
    (void)ctx;
    block_unref(block);
}

static struct config *take_config(void *ctx)
{
    return config_ref(ctx);
}

static const char ROOMS_YAML[] =
    "scrape_configs:\n"
    "- job_name: a\n"
    "  static_configs: [{targets: ['127.0.0.1:1', 'x:1']}]\n"
    "  relabel_configs: [{source_labels: [__address__], regex: 'x.*', action: drop}]\n"
    "remote_write:\n"
    "- {name: gone, url: 'http://127.0.0.1:1/', bearer_token: hidden}\n";

/* Asks until the engine has looked at its targets. */
static void answers_in_time(struct web *w, const char *path, const char *needle)
{
    bool found = false;
    for (int i = 0; i < 500 && !found; i++) {
        struct answer a = ask(w, "GET", path, NULL);
        found = a.status == 200 && strstr(buf_c(&a.body), needle);
        buf_free(&a.body);
        buf_free(&a.headers);
        if (!found)
            usleep(10000);
    }
    if (!found)
        fail_msg("%s never has \"%s\"", path, needle);
}

static void check_rooms(struct web *w)
{
    answers_in_time(w, "/-/ready", "obsagent is ready.\n");
    answers_in_time(w, "/api/v1/targets", "\"scrapeUrl\":\"http://127.0.0.1:1/metrics\"");
    answers_in_time(w, "/api/v1/targets", "\"droppedTargetCounts\":{\"a\":1}");
    answers_in_time(w, "/targets", "http://127.0.0.1:1/metrics");
    answers_in_time(w, "/service-discovery", "rule number 1, line 4<");
    answers_in_time(w, "/service-discovery?state=active", "last scrape");
    answers_in_time(w, "/targets?from=18446744073709551615", "of 1;");
    answers_in_time(w, "/targets?from=x", "127.0.0.1:1/metrics");
    answers_in_time(w, "/", ">gone<");
    answers_in_time(w, "/queue", ">gone<");
    answers_in_time(w, "/metrics", "obsagent_job_targets{job=\"a\",state=\"dropped\"} 1\n");
    answers_in_time(w, "/metrics", "obsagent_remote_state{endpoint=\"gone\",state=\"idle\"} ");
    answers_in_time(w, "/api/v1/metadata", "{\"status\":\"success\",\"data\":{}}");
    answers_in_time(w, "/api/v1/targets/relabel_steps?scrapePool=a&labels=%7B%22__address__%22%3A%22x:1%22%7D",
                    "\"output\":{},\"keep\":false}]");
    answers_in_time(w, "/config", "<secret>");
    struct answer a = ask(w, "GET", "/config", NULL);
    assert_null(strstr(buf_c(&a.body), "hidden"));
    buf_free(&a.body);
    buf_free(&a.headers);
}

static void test_real_rooms(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf errors;
    buf_init(&errors, 1 << 16);
    struct config *c = config_load_text("test.yml", str_of(ROOMS_YAML), NULL, false, &errors);
    if (!c)
        fail_msg("%s", buf_c(&errors));
    char *path = file_join(dir, "data");
    char *dead = file_join(path, "dead");
    struct ledger *ledger = ledger_new();
    struct queue *queue = queue_open(&(struct queue_options){.dir = path, .ledger = ledger}, &err);
    assert_non_null(queue);
    struct remote *remote = remote_new(
        &(struct remote_options){.queue = queue, .ledger = ledger, .user_agent = "test", .dead_dir = dead});
    struct scrape_engine *scrape =
        scrape_engine_new(&(struct scrape_options){.workers = 1, .user_agent = "test", .emit = drop_block});
    remote_apply(remote, c);
    scrape_engine_apply(scrape, c);
    struct web_options options = {
        .listen_address = "127.0.0.1:0",
        .sources = {.scrape = scrape, .remote = remote, .queue = queue, .ledger = ledger, .config = take_config,
                    .ctx = c, .version = "1.2.3"},
    };
    struct web *w = web_start(&options, &err);
    assert_non_null(w);
    check_rooms(w);
    web_stop(w);
    scrape_engine_stop(scrape, 0);
    remote_stop(remote, 0);
    remote_free(remote);
    queue_close(queue);
    scrape_engine_free(scrape);
    ledger_free(ledger);
    config_unref(c);
    buf_free(&errors);
    char *command = xasprintf("rm -rf '%s'", path);
    assert_int_equal(system(command), 0);
    free(command);
    free(dead);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_overview, teardown),
        cmocka_unit_test_teardown(test_targets, teardown),
        cmocka_unit_test_teardown(test_pages_of_rows, teardown),
        cmocka_unit_test_teardown(test_discovery, teardown),
        cmocka_unit_test_teardown(test_relabel_page, teardown),
        cmocka_unit_test_teardown(test_config_page, teardown),
        cmocka_unit_test_teardown(test_other_pages, teardown),
        cmocka_unit_test_teardown(test_human_numbers, teardown),
        cmocka_unit_test_teardown(test_api_targets, teardown),
        cmocka_unit_test_teardown(test_api_filters, teardown),
        cmocka_unit_test_teardown(test_api_others, teardown),
        cmocka_unit_test_teardown(test_api_targets_metadata, teardown),
        cmocka_unit_test_teardown(test_api_metadata, teardown),
        cmocka_unit_test_teardown(test_api_metadata_incomplete, teardown),
        cmocka_unit_test_teardown(test_api_relabel_steps, teardown),
        cmocka_unit_test(test_listen),
        cmocka_unit_test(test_web_config),
        cmocka_unit_test(test_auth),
        cmocka_unit_test(test_routes),
        cmocka_unit_test(test_lifecycle_disabled),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_server_auth),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_address_taken),
        cmocka_unit_test(test_view_counts_jobs),
        cmocka_unit_test(test_real_rooms),
    };
    if (!mkdtemp(dir))
        return 1;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    struct label_set *found = label_set_new(NULL, &(struct labels){.v = discovered, .n = 2});
    struct label_set *nothing = label_set_new(NULL, &(struct labels){0});
    active.found = dropped.found = of_others.found = found;
    evil.found = active.defaults = evil.defaults = dropped.defaults = of_others.defaults = nothing;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    label_set_unref(found);
    label_set_unref(nothing);
    curl_global_cleanup();
    static const char *const files[] = {"bad.yml", "empty.yml", "token", "web.yml", "tls.yml", "server.key",
                                        "server.crt"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = file_join(dir, files[i]);
        unlink(path);
        free(path);
    }
    rmdir(dir);
    return failed;
}
