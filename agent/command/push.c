/* SPDX-License-Identifier: Apache-2.0 */
/* push: sees before the first sample is lost whether a receiver takes what the agent would send. */
#include "command.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "push_private.h"

#define REPORT_MAX ((size_t)1 << 20)

static const char SYNOPSIS[] =
    "obsagent push --url=URL [flags]\n"
    "obsagent push --config.file=FILE [--endpoint=NAME] [flags]\n"
    "obsagent push --profile=NAME SERIES [flags]";

static const char TEXT[] =
    "Asks a receiver of remote write what it takes: the way there, TLS and its certificate, credentials and their\n"
    "scheme, the path, the protocols, the size of a body, the clock; says what is wrong and what would be right. It\n"
    "sends empty messages, which store nothing, and then one sample of obsagent_preflight (not with --dry-run).\n"
    "Credentials go to no other host than the URL's; after a 401 or 403 they are tried in other schemes, after a 404\n"
    "at other usual paths.\n"
    "With --profile, SERIES (a URL to scrape, a file, or - for standard input) is held against the known limits of\n"
    "that receiver before they are lost there; with --url or --config.file both are done, and the endpoint's\n"
    "external labels count.\n"
    "Exit codes: 0 good, 1 the receiver would not take it or SERIES cannot be read, 2 wrong usage, 3 the profile\n"
    "finds series that would be lost, refused or changed.";

static enum flag_outcome usage(const char *message)
{
    fprintf(stderr, "%s (obsagent push --help)\n", message);
    return FLAGS_USAGE;
}

static enum flag_outcome check(struct push_flags *f, int positional_n, char **positional)
{
    bool endpoint = f->url || f->config_file;
    bool settings = f->bearer_token_file || f->username || f->ca_file || f->cert_file ||
                    f->insecure || f->headers.n || f->protocol;
    if (f->url && f->config_file)
        return usage("--url and --config.file do not go together");
    if (!endpoint && !f->profile)
        return usage("push needs --url, --config.file or --profile");
    if (!f->url && settings)
        return usage("credentials, headers, TLS and protocol go with --url; an endpoint of --config.file has its own");
    if (f->endpoint && !f->config_file)
        return usage("--endpoint goes with --config.file");
    if (f->bearer_token_file && f->username)
        return usage("--bearer-token-file and --username do not go together");
    if (f->authorization_type && !f->bearer_token_file)
        return usage("--authorization-type goes with --bearer-token-file");
    if (!f->username != !f->password_file)
        return usage("--username and --password-file go together");
    if (!f->cert_file != !f->key_file)
        return usage("--cert-file and --key-file go together");
    if (positional_n > 1 || (positional_n == 1) != (f->profile != NULL))
        return usage("--profile and one SERIES go together");
    if (f->profile && !profile_find(f->profile))
        return usage("no such --profile");
    if (f->timeout_ms < 0)
        return usage("--timeout is negative");
    if (f->max_body > (256u << 20))
        return usage("--max-body is 256MiB at most");
    f->series = positional_n ? positional[0] : NULL;
    return FLAGS_OK;
}

static enum flag_outcome read_flags(struct push_flags *f, int argc, char **argv)
{
    const struct flag flags[] = {
        {"url", FLAG_STRING, &f->url, "URL", "the receiver, with its path"},
        {"bearer-token-file", FLAG_STRING, &f->bearer_token_file, "FILE", "the token, or the key, in it"},
        {"authorization-type", FLAG_STRING, &f->authorization_type, "WORD",
         "the word before the token; \"\" sends it raw (Bearer)"},
        {"username", FLAG_STRING, &f->username, "NAME", "for Basic"},
        {"password-file", FLAG_STRING, &f->password_file, "FILE", "for Basic"},
        {"header", FLAG_LIST, &f->headers, "\"NAME: VALUE\"", "a further header, repeatable"},
        {"ca-file", FLAG_STRING, &f->ca_file, "FILE", "trust these authorities"},
        {"cert-file", FLAG_STRING, &f->cert_file, "FILE", "show this client certificate"},
        {"key-file", FLAG_STRING, &f->key_file, "FILE", "its key"},
        {"insecure", FLAG_BOOL, &f->insecure, NULL, "do not verify the certificate"},
        {"protocol", FLAG_STRING, &f->protocol, "rw1|rw2|vm|auto", "as in the configuration (rw1)"},
        {"config.file", FLAG_STRING, &f->config_file, "FILE", "check an endpoint of this configuration"},
        {"endpoint", FLAG_STRING, &f->endpoint, "NAME", "its name, when there are several"},
        {"timeout", FLAG_DURATION, &f->timeout_ms, "DURATION", "of one request (30s, or the endpoint's)"},
        {"dry-run", FLAG_BOOL, &f->dry_run, NULL, "send only what stores nothing"},
        {"no-guessing", FLAG_BOOL, &f->no_guessing, NULL, "try no other scheme and no other path"},
        {"max-body", FLAG_SIZE, &f->max_body, "BYTES",
         "find out whether bodies up to this size are taken, with messages that store nothing; 0 does not (1MiB)"},
        {"profile", FLAG_STRING, &f->profile, profile_names(), "the receiver whose limits SERIES is held against"},
        {"json", FLAG_BOOL, &f->json, NULL, "one JSON object; obsagent help push-json prints its schema"},
    };
    const struct flag_command command = {SYNOPSIS, TEXT, flags, sizeof flags / sizeof flags[0]};
    int positional_n = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &positional_n);
    return outcome == FLAGS_OK ? check(f, positional_n, argv + 1) : outcome;
}

/* ---- both halves ---- */

struct outcome {
    struct push_result receiver;
    struct profile_result profile;
    bool asked, read;
};

static int exit_code(const struct outcome *o)
{
    if ((o->asked && o->receiver.verdict.kind != PREFLIGHT_FINE) || (o->read && err_is(&o->profile.error)))
        return 1;
    return o->read && profile_harm(&o->profile) ? 3 : 0;
}

static void print_json(struct outcome *o)
{
    json_t *out = json_object();
    json_object_set_new(out, "schema_version", json_integer(1));
    json_object_set_new(out, "exit_code", json_integer(exit_code(o)));
    json_object_set_new(out, "receiver", o->asked ? push_report_json(&o->receiver) : json_null());
    json_object_set_new(out, "profile", o->read ? push_profile_json(&o->profile) : json_null());
    char *text = json_dumps(out, JSON_COMPACT | JSON_REAL_PRECISION(6));
    if (text)
        puts(text);
    free(text);
    json_decref(out);
}

static void print_text(struct outcome *o)
{
    struct paint paint = paint_for(stdout);
    struct buf out;
    buf_init(&out, REPORT_MAX);
    if (o->asked)
        push_report_text(&o->receiver, &paint, &out);
    if (o->read)
        push_profile_text(&o->profile, &paint, &out);
    fwrite(out.p, 1, out.n, stdout);
    buf_free(&out);
}

/* False when it has been said what is wrong. */
static bool ask_receiver(const struct push_flags *f, const struct config *config, const struct config_remote *remote,
                         struct outcome *o)
{
    push_preflight(f, config, remote, &o->receiver);
    o->asked = true;
    if (err_is(&o->receiver.error))
        fprintf(stderr, "push: %s\n", o->receiver.error.msg);
    return !err_is(&o->receiver.error);
}

static int work(const struct push_flags *f)
{
    const struct config_remote *remote = NULL;
    bool endpoint = f->url || f->config_file;
    struct config *config = endpoint ? push_settings(f, &remote) : NULL;
    if (endpoint && !config)
        return f->url ? 2 : 1;
    struct outcome *o = xcalloc(1, sizeof *o);
    int code = 1;
    if (!endpoint || ask_receiver(f, config, remote, o)) {
        if (f->profile) {
            profile_read(profile_find(f->profile), f->series, config ? config->external_labels : NULL,
                         config ? config->external_labels_n : 0, f->timeout_ms, &o->profile);
            o->read = true;
        }
        if (f->json)
            print_json(o);
        else
            print_text(o);
        code = exit_code(o);
    }
    if (o->asked)
        push_result_free(&o->receiver);
    free(o);
    config_unref(config);
    return code;
}

int command_push(int argc, char **argv)
{
    struct push_flags f = {.max_body = 1 << 20};
    enum flag_outcome outcome = read_flags(&f, argc, argv);
    signal(SIGPIPE, SIG_IGN);
    int code = outcome == FLAGS_OK ? work(&f) : outcome == FLAGS_HELP ? 0 : 2;
    for (size_t i = 0; i < f.headers.n; i++)
        free(f.headers.v[i]);
    free(f.headers.v);
    return code;
}
