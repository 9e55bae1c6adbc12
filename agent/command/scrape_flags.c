/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_flags: the command line of `obsagent scrape`, its help, and what does not go together. */
#include "scrape_flags.h"

#include "../../scrape/negotiate.h"

#include "explain.h"
#include "finding.h"
#include "lint.h"

#include <stdio.h>
#include <string.h>

#define FLAGS_MAX 64
#define TOP_MAX 1000
#define REPEAT_MAX 10000000
#define CONCURRENCY_MAX 1000

static const char SYNOPSIS[] =
    "obsagent scrape URL|FILE|-... [flags]\n"
    "obsagent scrape --config.file=FILE --job=NAME [--target=T] [SAVED] [flags]\n"
    "obsagent scrape --unix=SOCKET [URL] [flags]";

static const char TEXT[] =
    "Scrapes as the agent does and reports status, protocol, times, sizes, samples, series, limits, every error with\n"
    "its place, what is wrong all the same, and what it takes to send and to buffer it. Nothing is forwarded.\n"
    "With --config.file the targets, settings and limits are those of a job; SAVED is read in place of its target.\n"
    "Problems that are found make the exit code 3, hints do not: --lint=list lists the rules, --ignore leaves some\n"
    "out.\n"
    "Exit codes: 0 good, 1 the agent would take nothing (with --wait: not within that time; with --repeat: or a\n"
    "request failed), 2 wrong usage, 3 findings; of several targets 1 if there is one with it, else 3 if there is one.";

/* The flags, with their values in *f. */
static size_t table(struct scrape_flags *f, struct flag out[FLAGS_MAX])
{
    const struct flag flags[] = {
        {"config.file", FLAG_STRING, &f->config_file, "FILE", "take targets and settings from this configuration"},
        {"job", FLAG_STRING, &f->job, "NAME", "the job of --config.file whose targets to scrape"},
        {"target", FLAG_STRING, &f->target, "T", "only the target of the job with this address, instance or URL"},
        {"unix", FLAG_STRING, &f->unix_socket, "SOCKET",
         "connect through it, to http://localhost/metrics unless another URL is given"},
        {"unix-socket", FLAG_STRING, &f->unix_socket, "SOCKET", "the same"},
        {"timeout", FLAG_DURATION, &f->timeout_ms, "DURATION", "for the whole scrape (10s, or the job's)"},
        {"bearer-token-file", FLAG_STRING, &f->bearer_token_file, "FILE", "send the token in it"},
        {"header", FLAG_LIST, &f->headers, "\"NAME: VALUE\"", "a further request header, repeatable"},
        {"insecure", FLAG_BOOL, &f->insecure, NULL, "do not verify the certificate"},
        {"protocol", FLAG_STRING, &f->protocol, "NAME,...",
         "ask for these formats, as in scrape_protocols; of a file: it is the first one"},
        {"interval", FLAG_DURATION, &f->interval_ms, "DURATION",
         "scrape_interval of the estimates (1m, or the target's)"},
        {"wait", FLAG_DURATION, &f->wait_ms, "DURATION",
         "try again for so long until the target answers as the agent wants it, then report"},
        {"repeat", FLAG_U64, &f->repeat, "N", "after the report ask N times and tell how long it took"},
        {"concurrency", FLAG_U64, &f->concurrency, "C", "so many of --repeat at once (1)"},
        {"twice", FLAG_DURATION, &f->twice_ms, "DURATION",
         "scrape again after so long; the report is on the second one"},
        {"max-errors", FLAG_U64, &f->max_errors, "N", "show the first N errors and duplicates (20)"},
        {"lint", FLAG_STRING, &f->lint, "all|none|list|RULE,...",
         "print what promtool would find, exit 3 when there is anything; the report goes to stderr; list: the rules"},
        {"ignore", FLAG_STRING, &f->ignore, "RULE,...",
         "findings that are neither told nor counted: names of --lint=list, or all"},
        {"expect", FLAG_STRING, &f->expect, "FILE",
         "exit 3 unless families, their types and names of labels are as in FILE, of --save or a saved body"},
        {"save", FLAG_STRING, &f->save, "FILE", "write families, their types and names of labels, for --expect"},
        {"cardinality", FLAG_BOOL, &f->cardinality, NULL,
         "which metrics and labels the series come from, what is left without a label, bytes of a sample"},
        {"top", FLAG_U64, &f->top, "N", "so many metrics and labels of --cardinality (10)"},
        {"explain", FLAG_OPTIONAL, &f->explain, "SERIES",
         "what each rule did to the target, to each series or those that fit, as up{job=\"a\"}, and what is sent"},
        {"json", FLAG_BOOL, &f->json, NULL,
         "one JSON object a target and line; obsagent help scrape-json prints its schema"},
        {"quiet", FLAG_BOOL, &f->quiet, NULL, "no report of a target that is good"},
        {"junit", FLAG_BOOL, &f->junit, NULL, "test results in JUnit's XML, for CI"},
    };
    size_t n = sizeof flags / sizeof flags[0];
    _Static_assert(sizeof flags / sizeof flags[0] <= FLAGS_MAX, "room for all");
    memcpy(out, flags, sizeof flags);
    return n;
}

static bool usage(const char *message)
{
    fprintf(stderr, "%s (obsagent scrape --help)\n", message);
    return false;
}

static bool is_url(const char *s)
{
    return strncmp(s, "http://", 7) == 0 || strncmp(s, "https://", 8) == 0;
}

static bool check_what(const struct scrape_flags *f, char **what, int n)
{
    if (!f->config_file && f->job)
        return usage("--job needs --config.file");
    if (!f->config_file && f->target)
        return usage("--target needs --config.file and --job");
    if (f->config_file && (!f->job || n > 1 || (n == 1 && is_url(what[0]))))
        return usage("--config.file goes with --job and without URL");
    if (f->unix_socket && f->config_file)
        return usage("--unix goes without --config.file");
    if (f->save && (n > 1 || (f->config_file && !f->target)))
        return usage("--save is for one target: with --job name it with --target");
    if (!f->config_file && !f->unix_socket && n == 0)
        return usage("scrape needs a URL, a FILE or -");
    return true;
}

static bool read_rules(struct scrape_flags *f)
{
    struct err err = {0};
    f->lint_rules = RULE_SET_ALL;
    if (f->ignore && !finding_rules_parse(str_of(f->ignore), &f->ignored, &err))
        err_prefix(&err, "--ignore");
    else if (f->lint && !lint_rules_parse(str_of(f->lint), &f->lint_rules, &err))
        err_prefix(&err, "--lint");
    return !err_is(&err) || usage(err.msg);
}

static void list_rules(void)
{
    struct buf out;
    buf_init(&out, (size_t)1 << 16);
    buf_add_c(&out, "promtool's rules, for --lint:\n");
    lint_list_rules(&out);
    buf_add_c(&out, "\nfindings, for --ignore:\n");
    finding_list_rules(&out);
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
}

/* "PrometheusProto,PrometheusText0.0.4" */
static bool read_protocols(struct scrape_flags *f)
{
    struct str rest = f->protocol ? str_of(f->protocol) : STR_NULL;
    while (rest.n) {
        struct str name = str_make(rest.p, str_find_char(rest, ','));
        size_t found = 0;
        while (found < CONFIG_SCRAPE_PROTOCOLS && !str_eq_c(name, negotiate_name((enum config_scrape_protocol)found)))
            found++;
        if (found == CONFIG_SCRAPE_PROTOCOLS || f->protocols.n == CONFIG_SCRAPE_PROTOCOLS)
            return usage("--protocol is a list of PrometheusProto, OpenMetricsText1.0.0, OpenMetricsText0.0.1, "
                         "PrometheusText1.0.0, PrometheusText0.0.4");
        f->protocols.v[f->protocols.n++] = (enum config_scrape_protocol)found;
        rest = str_skip(str_skip(rest, name.n), 1);
    }
    return true;
}

static bool check_load(const struct scrape_flags *f, char **what, int n)
{
    if (f->repeat > REPEAT_MAX || f->concurrency > CONCURRENCY_MAX)
        return usage("--repeat is at most 10000000, --concurrency 1000");
    if (f->concurrency && !f->repeat)
        return usage("--concurrency needs --repeat");
    for (int i = 0; i < n; i++) {
        if ((f->repeat || f->wait_ms) && !is_url(what[i]))
            return usage("--wait and --repeat need a URL");
    }
    return true;
}

static bool check_how(const struct scrape_flags *f)
{
    if (f->json && f->junit)
        return usage("--json and --junit exclude each other");
    if (f->top < 1 || f->top > TOP_MAX)
        return usage("--top is from 1 to 1000");
    if (f->interval_ms < 0 || f->wait_ms < 0)
        return usage("a duration is negative");
    if (f->explain && !explain_check(f->explain))
        return false;
    if (f->timeout_ms < 0 || f->twice_ms < 0)
        return usage("a duration is negative");
    for (size_t i = 0; i < f->headers.n; i++) {
        if (!strchr(f->headers.v[i], ':'))
            return usage("--header is \"Name: value\"");
    }
    return true;
}

enum flag_outcome scrape_flags_parse(struct scrape_flags *f, int argc, char **argv, int *positional_n)
{
    struct flag flags[FLAGS_MAX];
    *f = (struct scrape_flags){.max_errors = 20, .top = 10};
    struct flag_command command = {.synopsis = SYNOPSIS, .text = TEXT, .flags = flags};
    command.flags_n = table(f, flags);
    enum flag_outcome outcome = flags_parse(&command, argc, argv, positional_n);
    if (outcome != FLAGS_OK)
        return outcome;
    if (f->lint && strcmp(f->lint, "list") == 0) {
        list_rules();
        return FLAGS_HELP;
    }
    if (!check_what(f, argv + 1, *positional_n) || !check_load(f, argv + 1, *positional_n) ||
        !check_how(f) || !read_protocols(f) || !read_rules(f))
        return FLAGS_USAGE;
    if (f->lint && strcmp(f->lint, "none") == 0)
        f->lint = NULL;
    return FLAGS_OK;
}

void scrape_flags_free(struct scrape_flags *f)
{
    struct flag flags[FLAGS_MAX];
    struct flag_command command = {.flags = flags};
    command.flags_n = table(f, flags);
    flags_free(&command);
}
