/* SPDX-License-Identifier: Apache-2.0 */
/* scrape: the scrape tester. Fetches as the agent does, reads on after errors, and says what it saw; nothing
   is forwarded. */
#include "command.h"

#include "base/alloc.h"
#include "base/units.h"
#include "config.h"
#include "discovery.h"
#include "flags.h"
#include "lint.h"
#include "probe.h"
#include "report.h"
#include "survey.h"
#include "target.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define RAW_MAX ((uint64_t)1 << 30)
#define ERRORS_MAX ((size_t)1 << 20)

struct scrape_flags {
    const char *config_file, *job, *bearer_token_file, *unix_socket, *lint;
    struct flag_list headers;
    int64_t timeout_ms; /* 0 = not given */
    uint64_t max_errors;
    bool insecure, json, help;
};

enum { EXIT_GOOD, EXIT_FAILED, EXIT_USAGE, EXIT_LINT };

/* ---- one target ---- */

static void feed(void *ctx, const void *bytes, size_t n)
{
    survey_feed(ctx, bytes, n);
}

/* With --lint standard output is for the findings alone, so that they can be compared and counted. */
static int tell(const struct scrape_flags *f, const char *name, const struct probe_result *probe,
                const struct survey *survey)
{
    struct survey_counts counts;
    struct buf text;
    struct report report = {.name = name, .probe = probe, .counts = &counts};
    survey_counts(survey, &counts);
    buf_init(&text, (size_t)64 << 20);
    bool lint = f->lint != NULL;
    if (f->json)
        report_json(&report, &text);
    else
        report_text(&report, &text);
    FILE *out = lint && !f->json ? stderr : stdout;
    fwrite(text.p, 1, text.n, out);
    buf_clear(&text);
    size_t findings = lint ? report_lint(&report, &text) : 0;
    if (!f->json)
        fwrite(text.p, 1, text.n, stdout);
    buf_free(&text);
    if (err_is(&probe->error) || counts.errors)
        return EXIT_FAILED;
    return findings ? EXIT_LINT : EXIT_GOOD;
}

static bool is_url(const char *s)
{
    return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

static int scrape_one(const struct scrape_flags *f, const char *what, struct probe_request *request)
{
    struct probe_result result;
    struct survey *survey = survey_new((size_t)f->max_errors);
    request->url = what;
    request->sink = feed;
    request->ctx = survey;
    if (is_url(what))
        probe_url(request, &result);
    else
        probe_file(what, request, &result);
    survey_finish(survey);
    int code = tell(f, what, &result, survey);
    survey_free(survey);
    return code;
}

static int scrape_argument(const struct scrape_flags *f, char *what)
{
    struct http_options options = {.follow_redirects = true, .tls_insecure_skip_verify = f->insecure};
    char bearer[] = "Bearer";
    const char **headers = xcalloc(f->headers.n + 1, sizeof *headers);
    for (size_t i = 0; i < f->headers.n; i++)
        headers[i] = f->headers.v[i];
    if (f->bearer_token_file) {
        options.has_authorization = true;
        options.authorization_type = bearer;
        options.credentials.file = (char *)f->bearer_token_file;
    }
    struct probe_request request = {
        .unix_socket = f->unix_socket,
        .headers = headers,
        .options = &options,
        .timeout_ms = f->timeout_ms ? f->timeout_ms : 10000,
        .compression = true,
        .max_raw = RAW_MAX,
    };
    int code = scrape_one(f, what, &request);
    free(headers);
    return code;
}

/* ---- a job of a configuration ---- */

static int worse(int a, int b)
{
    return a == EXIT_FAILED || b == EXIT_FAILED ? EXIT_FAILED : a ? a : b;
}

static int scrape_target(const struct scrape_flags *f, const struct config_job *job, const struct target *t)
{
    struct probe_request request = {
        .unix_socket = t->unix_socket,
        .options = &job->http,
        .timeout_ms = f->timeout_ms ? f->timeout_ms : t->timeout_ms,
        .compression = job->enable_compression,
        .max_raw = job->body_size_limit ? job->body_size_limit - 1 : RAW_MAX,
    };
    return scrape_one(f, t->url, &request);
}

/* Keys of the targets scraped so far: as in the agent, what several sources name is one target. */
struct seen {
    uint64_t *keys;
    size_t n, cap;
};

static bool is_new(struct seen *seen, uint64_t key)
{
    for (size_t i = 0; i < seen->n; i++) {
        if (seen->keys[i] == key)
            return false;
    }
    seen->keys = xgrow(seen->keys, &seen->cap, seen->n + 1, sizeof *seen->keys);
    seen->keys[seen->n++] = key;
    return true;
}

static int scrape_set(const struct scrape_flags *f, const struct config_job *job, const struct labels *set,
                      struct seen *seen)
{
    struct err err = {0};
    struct buf text;
    int code = EXIT_GOOD;
    struct target *t = target_build(job, set, &err);
    buf_init(&text, (size_t)1 << 20);
    labels_format(set, &text);
    if (!t) {
        fprintf(stderr, "%s: %s\n", buf_c(&text), err.msg);
        code = EXIT_FAILED;
    } else if (t->dropped) {
        fprintf(stderr, "%s: dropped by rule %zu of relabel_configs\n", buf_c(&text), t->dropped_by + 1);
    } else if (is_new(seen, t->key)) {
        code = scrape_target(f, job, t);
    }
    if (t)
        target_unref(t);
    buf_free(&text);
    return code;
}

static const struct config_job *find_job(const struct config *c, const char *name)
{
    for (size_t i = 0; i < c->jobs_n; i++) {
        if (strcmp(c->jobs[i].job_name, name) == 0)
            return &c->jobs[i];
    }
    fprintf(stderr, "Job %s not found. Select one of:\n", name);
    for (size_t i = 0; i < c->jobs_n; i++)
        fprintf(stderr, "  %s\n", c->jobs[i].job_name);
    return NULL;
}

static int scrape_sets(const struct scrape_flags *f, const struct config_job *job)
{
    struct arena arena;
    struct labels *sets = NULL;
    struct seen seen = {0};
    struct buf errors;
    arena_init(&arena);
    buf_init(&errors, ERRORS_MAX);
    size_t n = discovery_once(job, &arena, &sets, &errors);
    int code = errors.n ? EXIT_FAILED : EXIT_GOOD;
    fputs(buf_c(&errors), stderr);
    for (size_t i = 0; i < n; i++)
        code = worse(code, scrape_set(f, job, &sets[i], &seen));
    if (n == 0) {
        fprintf(stderr, "job %s has no static or file targets\n", job->job_name);
        code = EXIT_FAILED;
    }
    free(seen.keys);
    buf_free(&errors);
    arena_free(&arena); /* the sets lie in it */
    return code;
}

static int scrape_job(const struct scrape_flags *f)
{
    struct buf errors;
    int code = EXIT_FAILED;
    buf_init(&errors, ERRORS_MAX);
    struct config *c = config_load(f->config_file, NULL, false, &errors);
    if (c) {
        const struct config_job *job = find_job(c, f->job);
        if (job)
            code = scrape_sets(f, job);
        config_unref(c);
    }
    fputs(buf_c(&errors), stderr);
    buf_free(&errors);
    return code;
}

/* ---- the command ---- */

static bool usage(const char *message)
{
    fprintf(stderr, "%s (obsagent scrape --help)\n", message);
    return false;
}

static bool check_flags(const struct scrape_flags *f, int positional)
{
    if (f->config_file && (positional || !f->job))
        return usage("--config.file goes with --job and without URL");
    if (!f->config_file && f->job)
        return usage("--job needs --config.file");
    if (!f->config_file && positional != 1)
        return usage("scrape needs one URL, FILE or -");
    if (f->lint && strcmp(f->lint, "all") != 0 && strcmp(f->lint, "none") != 0)
        return usage("--lint is all or none");
    if (f->timeout_ms < 0)
        return usage("--timeout is negative");
    for (size_t i = 0; i < f->headers.n; i++) {
        if (!strchr(f->headers.v[i], ':'))
            return usage("--header is \"Name: value\"");
    }
    return true;
}

int command_scrape(int argc, char **argv)
{
    struct scrape_flags f = {.max_errors = 20};
    const struct flag flags[] = {
        {"config.file", FLAG_STRING, &f.config_file, "FILE",
         "take targets and settings from this configuration"},
        {"job", FLAG_STRING, &f.job, "NAME",
         "the job of --config.file whose static and file targets to scrape"},
        {"timeout", FLAG_DURATION, &f.timeout_ms, "DURATION", "for the whole scrape (10s, or the job's)"},
        {"bearer-token-file", FLAG_STRING, &f.bearer_token_file, "FILE", "send the token in it"},
        {"header", FLAG_LIST, &f.headers, "\"NAME: VALUE\"", "a further request header, repeatable"},
        {"insecure", FLAG_BOOL, &f.insecure, NULL, "do not verify the certificate"},
        {"unix-socket", FLAG_STRING, &f.unix_socket, "PATH", "connect through it"},
        {"max-errors", FLAG_U64, &f.max_errors, "N", "show the first N errors and duplicates (20)"},
        {"lint", FLAG_STRING, &f.lint, "all|none",
         "print what promtool would find, exit 3 when there is anything; the report goes to stderr"},
        {"json", FLAG_BOOL, &f.json, NULL, "one JSON object a target"},
    };
    const struct flag_command command = {
        .synopsis =
            "obsagent scrape URL|FILE|- [flags]\nobsagent scrape --config.file=FILE --job=NAME [flags]",
        .text = "Scrapes once and reports status, times, sizes, samples, series, every error with line and\n"
                "column, and series that stand twice. Nothing is forwarded.\n"
                "Exit codes: 0 good, 1 failed or errors, 2 wrong usage, 3 lint findings.",
        .flags = flags,
        .flags_n = sizeof flags / sizeof flags[0],
    };
    int positional = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional);
    int code = outcome == FLAGS_HELP ? EXIT_GOOD : EXIT_USAGE;
    if (outcome == FLAGS_OK && check_flags(&f, positional)) {
        if (f.lint && strcmp(f.lint, "none") == 0)
            f.lint = NULL;
        signal(SIGPIPE, SIG_IGN);
        code = f.config_file ? scrape_job(&f) : scrape_argument(&f, argv[1]);
    }
    flags_free(&command);
    return code;
}
