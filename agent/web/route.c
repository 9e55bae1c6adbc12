/* SPDX-License-Identifier: Apache-2.0 */
/* route: which path gives which answer. */
#include "route.h"

#include "api.h"
#include "assets.h"
#include "base/log.h"
#include "base/units.h"
#include "metrics.h"
#include "page.h"

#define HTML "text/html; charset=utf-8"
#define TEXT "text/plain; charset=utf-8"
#define JSON "application/json"

struct answer {
    const struct web_options *options;
    const struct route_request *request;
    struct route_reply *reply;
};

static const char *arg(const struct answer *a, const char *name)
{
    const char *v = a->request->arg ? a->request->arg(a->request->ctx, name) : NULL;
    return v ? v : "";
}

static void text(struct answer *a, unsigned status, const char *line)
{
    a->reply->status = status;
    a->reply->content_type = TEXT;
    buf_addf(&a->reply->body, "%s\n", line);
}

/* ---- pages ---- */

typedef void page_fn(struct buf *out, const struct web_view *view);

static void answer_view(struct answer *a, const char *content_type, unsigned parts, page_fn *fn)
{
    struct web_view view;
    view_take(&view, &a->options->sources, parts);
    a->reply->content_type = content_type;
    fn(&a->reply->body, &view);
    view_free(&view);
}

static void get_overview(struct answer *a)
{
    answer_view(a, HTML, VIEW_JOBS | VIEW_REMOTES | VIEW_BOOKS | VIEW_PROCESS | VIEW_HISTORY, page_overview);
}

typedef void list_fn(struct buf *out, const struct web_view *view, const struct page_filter *filter);

static void answer_list(struct answer *a, list_fn *fn)
{
    struct page_filter filter = {
        .job = arg(a, "job"), .health = arg(a, "health"), .state = arg(a, "state"), .text = arg(a, "text"),
        .sort = arg(a, "sort")};
    struct web_view view;
    uint64_t from;
    if (units_parse_u64(str_of(arg(a, "from")), &from))
        filter.from = from;
    view_take(&view, &a->options->sources, VIEW_TARGETS | VIEW_SOURCES);
    a->reply->content_type = HTML;
    fn(&a->reply->body, &view, &filter);
    view_free(&view);
}

static void get_targets(struct answer *a)
{
    answer_list(a, page_targets);
}

static void get_discovery(struct answer *a)
{
    answer_list(a, page_discovery);
}

static void get_queue(struct answer *a)
{
    answer_view(a, HTML, VIEW_REMOTES | VIEW_BOOKS | VIEW_HISTORY, page_queue);
}

static void get_rejects(struct answer *a)
{
    answer_view(a, HTML, VIEW_REJECTS, page_rejects);
}

static void add_yaml(struct buf *out, const struct web_view *view)
{
    buf_add_c(out, view->config && view->config->yaml ? view->config->yaml : "");
}

static void get_config(struct answer *a)
{
    answer_view(a, a->request->html ? HTML : TEXT, 0, a->request->html ? page_config : add_yaml);
}

static void get_relabel(struct answer *a)
{
    struct page_relabel given = {.job = arg(a, "job"), .kind = arg(a, "kind"), .labels = arg(a, "labels")};
    struct web_view view;
    view_take(&view, &a->options->sources, VIEW_JOBS);
    a->reply->content_type = HTML;
    page_relabel(&a->reply->body, &view, &given);
    view_free(&view);
}

static void give_asset(struct answer *a, enum asset asset)
{
    a->reply->content_type = asset_content_type(asset);
    a->reply->keeps = true;
    buf_add_str(&a->reply->body, asset_text(asset));
}

static void get_style(struct answer *a)
{
    give_asset(a, ASSET_STYLE);
}

static void get_script(struct answer *a)
{
    give_asset(a, ASSET_SCRIPT);
}

static void get_metrics(struct answer *a)
{
    a->reply->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(&a->reply->body);
}

/* ---- health and life ---- */

/* A receiver's words, kept on one line. */
static void add_line(struct buf *out, const char *s)
{
    for (; *s; s++)
        buf_add_char(out, (unsigned char)*s < ' ' ? ' ' : *s);
    buf_add_char(out, '\n');
}

static void get_healthy(struct answer *a)
{
    text(a, 200, "obsagent is healthy.");
}

/* Ready means that scraping goes on; an endpoint that fails is said here and is no reason to take the pod
   away, for the buffer is there to bridge it. */
static void get_ready(struct answer *a)
{
    struct web_view view;
    view_take(&view, &a->options->sources, VIEW_REMOTES);
    if (view.ready)
        text(a, 200, "obsagent is ready.");
    else
        text(a, 503, view.not_ready.msg[0] ? view.not_ready.msg : "not ready");
    for (size_t i = 0; i < view.remotes_n; i++) {
        const struct remote_status *r = &view.remotes[i];
        if (r->state == REMOTE_IDLE || r->state == REMOTE_OK)
            continue;
        buf_addf(&a->reply->body, "endpoint %s: %s%s", r->name, view_remote_state(r->state),
                 r->last_error[0] ? ": " : "");
        add_line(&a->reply->body, r->last_error);
    }
    view_free(&view);
}

static void post_reload(struct answer *a)
{
    struct err err = {0};
    struct buf message;
    if (!a->options->enable_lifecycle || !a->options->sources.reload) {
        text(a, 403, "Lifecycle API is not enabled.");
        return;
    }
    if (a->options->sources.reload(a->options->sources.ctx, &err)) {
        a->reply->content_type = TEXT;
        return;
    }
    buf_init(&message, sizeof err.msg + 64);
    buf_addf(&message, "failed to reload config: %s", err.msg);
    text(a, 500, buf_c(&message));
    buf_free(&message);
}

/* ---- the API ---- */

static void get_api_targets(struct answer *a)
{
    struct web_view view;
    view_take(&view, &a->options->sources, VIEW_TARGETS);
    a->reply->content_type = JSON;
    api_targets(&a->reply->body, &view, arg(a, "state"), arg(a, "scrapePool"));
    view_free(&view);
}

static void bad_data(struct answer *a, const struct err *err)
{
    a->reply->status = 400;
    api_error(&a->reply->body, "bad_data", err->msg);
}

static void answer_metadata(struct answer *a, bool by_metric)
{
    struct api_metadata_query query = {.match_target = by_metric ? "" : arg(a, "match_target"),
                                       .metric = arg(a, "metric")};
    struct err err = {0};
    struct api_metadata *m = NULL;
    const struct scrape_engine *scrape = a->options->sources.scrape;
    a->reply->content_type = JSON;
    if (api_metadata_limits(&query, arg(a, "limit"), by_metric ? arg(a, "limit_per_metric") : "", &err))
        m = api_metadata_new(&query, &a->reply->body, &err);
    if (!m) {
        bad_data(a, &err);
        return;
    }
    api_metadata_begin(m, by_metric);
    bool complete =
        !scrape || scrape_engine_metadata(scrape, by_metric ? api_metadata_by_metric : api_metadata_by_target, m);
    api_metadata_end(m, by_metric, complete);
    api_metadata_free(m);
}

static void get_api_targets_metadata(struct answer *a)
{
    answer_metadata(a, false);
}

static void get_api_metadata(struct answer *a)
{
    answer_metadata(a, true);
}

static void get_api_relabel_steps(struct answer *a)
{
    struct web_view view;
    struct err err = {0};
    view_take(&view, &a->options->sources, 0);
    a->reply->content_type = JSON;
    if (!api_relabel_steps(&a->reply->body, &view, arg(a, "scrapePool"), arg(a, "labels"), &err))
        bad_data(a, &err);
    view_free(&view);
}

static void get_api_flags(struct answer *a)
{
    a->reply->content_type = JSON;
    api_flags(&a->reply->body, a->options->sources.flags_json);
}

static void get_api_pools(struct answer *a)
{
    answer_view(a, JSON, VIEW_JOBS, api_scrape_pools);
}

static void get_api_config(struct answer *a)
{
    answer_view(a, JSON, 0, api_config);
}

static void get_api_buildinfo(struct answer *a)
{
    answer_view(a, JSON, 0, api_buildinfo);
}

static void get_api_runtimeinfo(struct answer *a)
{
    answer_view(a, JSON, VIEW_PROCESS, api_runtimeinfo);
}

/* from=N: what is new since an answer whose "next" was N. */
static void get_api_discovery(struct answer *a)
{
    answer_view(a, JSON, VIEW_SOURCES, api_discovery);
}

static void get_api_history(struct answer *a)
{
    struct web_view view;
    uint64_t from = 0;
    const char *wanted = arg(a, "from");
    a->reply->content_type = JSON;
    if (wanted[0] && !units_parse_u64(str_of(wanted), &from)) {
        struct err err = {0};
        (void)err_set(&err, "from must be a number");
        bad_data(a, &err);
        return;
    }
    view_take(&view, &a->options->sources, VIEW_HISTORY);
    api_begin(&a->reply->body);
    history_json(view.history, view.history_n, from, &a->reply->body);
    api_end(&a->reply->body);
    view_free(&view);
}

static void api_unavailable(struct answer *a)
{
    a->reply->status = 422;
    a->reply->content_type = JSON;
    api_error(&a->reply->body, "execution", "unavailable with an agent");
}

/* ---- the table ---- */

struct route {
    const char *path;
    bool prefix; /* also everything below path */
    enum route_method method; /* GET routes answer nothing else, and the other way round */
    void (*fn)(struct answer *a);
};

/* The first that fits. Aliases at the end of a group are what vmagent's probes ask for. */
static const struct route ROUTES[] = {
    {"/", false, ROUTE_GET, get_overview},
    {"/targets", false, ROUTE_GET, get_targets},
    {"/service-discovery", false, ROUTE_GET, get_discovery},
    {"/relabel", false, ROUTE_GET, get_relabel},
    {"/queue", false, ROUTE_GET, get_queue},
    {"/rejects", false, ROUTE_GET, get_rejects},
    {"/config", false, ROUTE_GET, get_config},
    {"/style.css", false, ROUTE_GET, get_style},
    {"/live.js", false, ROUTE_GET, get_script},
    {"/metrics", false, ROUTE_GET, get_metrics},
    {"/-/healthy", false, ROUTE_GET, get_healthy},
    {"/health", false, ROUTE_GET, get_healthy},
    {"/-/ready", false, ROUTE_GET, get_ready},
    {"/ready", false, ROUTE_GET, get_ready},
    {"/-/reload", false, ROUTE_POST, post_reload},
    {"/api/v1/targets", false, ROUTE_GET, get_api_targets},
    {"/api/v1/targets/metadata", false, ROUTE_GET, get_api_targets_metadata},
    {"/api/v1/targets/relabel_steps", false, ROUTE_GET, get_api_relabel_steps},
    {"/api/v1/metadata", false, ROUTE_GET, get_api_metadata},
    {"/api/v1/scrape_pools", false, ROUTE_GET, get_api_pools},
    {"/api/v1/status/flags", false, ROUTE_GET, get_api_flags},
    {"/api/v1/status/config", false, ROUTE_GET, get_api_config},
    {"/api/v1/status/buildinfo", false, ROUTE_GET, get_api_buildinfo},
    {"/api/v1/status/runtimeinfo", false, ROUTE_GET, get_api_runtimeinfo},
    {"/api/v1/status/history", false, ROUTE_GET, get_api_history},
    {"/api/v1/status/discovery", false, ROUTE_GET, get_api_discovery},
    {"/api/v1/query", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/query_range", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/query_exemplars", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/format_query", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/parse_query", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/labels", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/label", true, ROUTE_OTHER, api_unavailable},
    {"/api/v1/series", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/alertmanagers", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/alerts", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/rules", false, ROUTE_OTHER, api_unavailable},
    {"/api/v1/status/tsdb", true, ROUTE_OTHER, api_unavailable},
    {"/api/v1/admin", true, ROUTE_OTHER, api_unavailable},
};
#define ROUTES_N (sizeof ROUTES / sizeof ROUTES[0])
_Static_assert(ROUTES_N < ROUTE_COUNTED_MAX, "ROUTE_COUNTED_MAX is too small");

static bool route_fits(const struct route *r, struct str path)
{
    struct str own = str_of(r->path);
    return str_eq(path, own) || (r->prefix && str_starts(path, own) && path.p[own.n] == '/');
}

size_t route_counted_index(const char *path)
{
    for (size_t i = 0; i < ROUTES_N; i++) {
        if (route_fits(&ROUTES[i], str_of(path)))
            return i;
    }
    return ROUTES_N;
}

const char *route_counted_path(size_t index)
{
    return index < ROUTES_N ? ROUTES[index].path : "other";
}

static void not_found(struct answer *a)
{
    if (!str_starts(str_of(a->request->path), STR("/api/"))) {
        text(a, 404, "404 page not found");
        return;
    }
    a->reply->status = 404;
    a->reply->content_type = JSON;
    api_error(&a->reply->body, "not_found", "path not found");
}

static void wrong_method(struct answer *a, const struct route *r)
{
    bool post = r->method == ROUTE_POST;
    a->reply->allow = post ? "POST, PUT" : "GET, HEAD";
    text(a, 405, post ? "Only POST or PUT requests allowed" : "Method Not Allowed");
}

void route_answer(const struct web_options *options, const struct route_request *request,
                  struct route_reply *reply)
{
    struct answer a = {options, request, reply};
    size_t i = route_counted_index(request->path);
    reply->status = 200;
    reply->content_type = TEXT;
    reply->allow = NULL;
    if (i == ROUTES_N)
        not_found(&a);
    else if (ROUTES[i].method == ROUTE_OTHER || ROUTES[i].method == request->method)
        ROUTES[i].fn(&a);
    else
        wrong_method(&a, &ROUTES[i]);
    if (reply->body.overflow) {
        log_warn("web", "the answer to %s is too large", request->path);
        buf_clear(&reply->body);
        text(&a, 500, "the answer is too large");
    }
}
