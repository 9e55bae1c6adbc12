/* SPDX-License-Identifier: Apache-2.0 */
/* push_advice: a verdict in words. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/units.h"
#include "push_private.h"

#define SKEW_NOTE_MS 10000
#define EXPIRY_NOTE_S (14 * 86400)

static const char *fault_text(enum http_fault fault)
{
    static const char *const TEXTS[] = {
        [HTTP_FAULT_NONE] = "is not trusted",
        [HTTP_FAULT_AUTHORITY] = "is signed by an authority that is not trusted here",
        [HTTP_FAULT_EXPIRED] = "has expired",
        [HTTP_FAULT_NOT_YET_VALID] = "is not valid yet",
        [HTTP_FAULT_HOST] = "is for another name",
        [HTTP_FAULT_OTHER] = "is not trusted",
    };
    return TEXTS[fault];
}

static const char *fault_todo(enum http_fault fault)
{
    switch (fault) {
    case HTTP_FAULT_EXPIRED:
        return "the receiver needs a new certificate; if the date looks right, check this machine's clock";
    case HTTP_FAULT_NOT_YET_VALID:
        return "check this machine's clock and the certificate's dates";
    case HTTP_FAULT_HOST:
        return "use a name of the certificate in the URL, or set tls_config: {server_name: ...}";
    default:
        return "set tls_config: {ca_file: ...} to the authority's certificate (--ca-file)";
    }
}

/* Who shows none where one is wanted is hung up on, or told 400. */
static void add_certificate_todo(const struct push_result *r, struct buf *todo)
{
    if (r->facts.tls && !r->facts.timeout && !r->shows_certificate)
        buf_add_c(todo, "; if it wants a client certificate, set tls_config: {cert_file: ..., key_file: ...} "
                        "(--cert-file, --key-file)");
}

static void advise_way(const struct push_result *r, struct buf *what, struct buf *todo)
{
    switch (r->verdict.kind) {
    case PREFLIGHT_UNKNOWN_NAME:
        buf_add_c(what, "the host's name has no address");
        buf_add_c(todo, "check the URL's host and this machine's DNS");
        break;
    case PREFLIGHT_UNREACHABLE:
        buf_addf(what, "no connection to the receiver%s", r->facts.timeout ? " within the time" : "");
        buf_add_c(todo, "check host and port, that the receiver runs, and what lies between");
        break;
    case PREFLIGHT_CERTIFICATE:
        buf_addf(what, "the receiver's certificate %s", fault_text(r->facts.fault));
        buf_add_c(todo, fault_todo(r->facts.fault));
        break;
    case PREFLIGHT_TLS:
        buf_addf(what, "no TLS handshake with the receiver%s", r->facts.timeout ? " within the time" : "");
        buf_add_c(todo, "check TLS versions");
        add_certificate_todo(r, todo);
        break;
    case PREFLIGHT_NOT_TLS:
        buf_add_c(what, "the URL is https://, and the port speaks plain HTTP");
        buf_add_c(todo, "use http://, or the port for TLS");
        break;
    case PREFLIGHT_NEEDS_TLS:
        buf_add_c(what, "the URL is http://, and the port speaks TLS");
        buf_add_c(todo, "use https://");
        break;
    case PREFLIGHT_PROXY:
        buf_add_c(what, "the proxy wants credentials (407)");
        buf_add_c(todo, "set them in proxy_url or the proxy's fields");
        break;
    default:
        buf_addf(what, "connected, but no answer%s", r->facts.timeout ? " within the time" : "");
        buf_add_c(todo, "look at the receiver, and at proxies and balancers before it");
        add_certificate_todo(r, todo);
        break;
    }
}

static void add_scheme_todo(enum preflight_scheme scheme, struct buf *todo)
{
    const char *word = preflight_scheme_word(scheme);
    if (scheme == PREFLIGHT_BASIC)
        buf_add_c(todo, "basic_auth: {username: ..., password_file: ...} (--username, --password-file)");
    else if (word)
        buf_addf(todo, "authorization: {type: \"%s\", credentials_file: ...} (--authorization-type=%s)", word,
                 word[0] ? word : "\"\"");
    else
        buf_add_c(todo, "authorization or basic_auth, or, for some, a tenant's header such as X-Scope-OrgID");
}

static void advise_door(const struct push_result *r, struct buf *what, struct buf *todo)
{
    const struct preflight_verdict *v = &r->verdict;
    switch (v->kind) {
    case PREFLIGHT_MISSING_CREDENTIALS:
        buf_addf(what, "the receiver wants credentials (%ld), and none are configured", v->status);
        add_scheme_todo(v->scheme, todo);
        break;
    case PREFLIGHT_WRONG_SCHEME:
        buf_addf(what, "the credentials are right, the scheme is not: not %s, but %s",
                 preflight_scheme_name(r->facts.given), preflight_scheme_name(v->scheme));
        add_scheme_todo(v->scheme, todo);
        break;
    case PREFLIGHT_NEEDLESS_CREDENTIALS:
        buf_addf(what, "the receiver refuses these credentials (%ld), and takes requests without any", v->status);
        buf_add_c(todo, "remove them, or ask whether this is the right receiver");
        break;
    case PREFLIGHT_FORBIDDEN:
        buf_add_c(what, "the receiver knows the credentials or the path, and forbids writing (403)");
        buf_add_c(todo, "give the token the right to write metrics, or use one that has it");
        break;
    default:
        buf_addf(what, "the receiver refuses the credentials (%ld)%s", v->status,
                 r->facts.schemes[PREFLIGHT_NONE].asked ? " in every scheme that was tried" : "");
        buf_add_c(todo, "check the token: another one, expired, or for another receiver");
        break;
    }
}

static void advise_place(const struct push_result *r, struct buf *what, struct buf *todo)
{
    const struct preflight_verdict *v = &r->verdict;
    if (v->kind == PREFLIGHT_REDIRECTED && r->location.n)
        buf_addf(what, "the receiver sends us elsewhere (%ld): %.*s", v->status, STR_ARG(buf_str(&r->location)));
    else if (v->kind == PREFLIGHT_REDIRECTED)
        buf_addf(what, "the receiver sends us elsewhere (%ld) and does not say where", v->status);
    else
        buf_addf(what, "nobody takes remote write at this path (%ld)", v->status);
    if (v->path >= 0)
        buf_addf(todo, "use the path %s: somebody answers to remote write there (%ld)", preflight_paths[v->path],
                 r->facts.paths[v->path].status);
    else if (v->kind == PREFLIGHT_REDIRECTED)
        buf_add_c(todo, "use that URL, if it is one that you trust");
    else
        buf_addf(todo, "check the path%s", r->facts.paths[0].asked || r->facts.paths[1].asked
                                               ? "; none of the usual ones answers either"
                                               : "");
}

static void advise_message(const struct push_result *r, struct buf *what, struct buf *todo)
{
    const struct preflight_verdict *v = &r->verdict;
    switch (v->kind) {
    case PREFLIGHT_FINE:
        buf_add_c(what, r->facts.batch[v->protocol].asked ? "fine: a sample was taken"
                                                          : "fine: an empty message was taken");
        break;
    case PREFLIGHT_OTHER_PROTOCOL:
        buf_addf(what, "the receiver understands %s and not what the settings allow", protocol_name(v->protocol));
        buf_addf(todo, "protocol: %s", protocol_name(v->protocol));
        break;
    case PREFLIGHT_NO_PROTOCOL:
        buf_addf(what, "the receiver understands none of rw1, rw2 and VictoriaMetrics's zstd (%ld)", v->status);
        buf_add_c(todo, r->dry_run ? "it may only refuse empty messages: try without --dry-run"
                                   : "is this a receiver of remote write?");
        if (v->status == 400)
            add_certificate_todo(r, todo);
        break;
    case PREFLIGHT_TOO_LARGE:
        buf_addf(what, "the receiver finds even a small request too large (%ld)", v->status);
        buf_add_c(todo, "raise its limit, or that of the proxy before it (nginx: client_max_body_size)");
        break;
    case PREFLIGHT_REFUSED:
        buf_addf(what, "the receiver takes empty messages and refuses the sample (%ld)", v->status);
        buf_add_c(todo, "see what it says: clock, labels, limits; the agent would drop such series and count them");
        break;
    case PREFLIGHT_BUSY:
        buf_add_c(what, "the receiver takes no more at the moment (429)");
        buf_add_c(todo, "the agent would wait and try again; a limit of the tenant may be reached");
        break;
    default:
        buf_addf(what, "the receiver fails (%ld)", v->status);
        buf_add_c(todo, "the agent would wait and try again; look at the receiver");
        break;
    }
}

void push_advice(const struct push_result *r, struct buf *what, struct buf *todo)
{
    enum preflight_kind k = r->verdict.kind;
    if (k >= PREFLIGHT_UNKNOWN_NAME && k <= PREFLIGHT_PROXY)
        advise_way(r, what, todo);
    else if (k >= PREFLIGHT_MISSING_CREDENTIALS && k <= PREFLIGHT_FORBIDDEN)
        advise_door(r, what, todo);
    else if (k == PREFLIGHT_REDIRECTED || k == PREFLIGHT_WRONG_PATH)
        advise_place(r, what, todo);
    else
        advise_message(r, what, todo);
}

/* ---- notes ---- */

static bool note_clock(const struct push_result *r, struct buf *out)
{
    if (!r->has_skew || llabs(r->skew_ms) < SKEW_NOTE_MS)
        return false;
    char text[48];
    units_format_duration(llabs(r->skew_ms) / 1000 * 1000, text);
    buf_addf(out, "the receiver's clock is %s %s ours%s", text, r->skew_ms > 0 ? "ahead of" : "behind",
             r->skew_ms < 0 ? ": it may refuse samples as too far in the future" : "");
    return true;
}

static bool note_expiry(const struct push_result *r, struct buf *out)
{
    int64_t left = r->peer.valid_until_s - clock_system_wall_ms() / 1000;
    if (!r->peer.has_certificate || r->verdict.kind == PREFLIGHT_CERTIFICATE || left >= EXPIRY_NOTE_S)
        return false;
    buf_addf(out, "the receiver's certificate expires in %lld days", (long long)(left / 86400));
    return true;
}

static bool note_plain(const struct push_result *r, struct buf *out)
{
    return r->plain_credentials && buf_add_c(out, "the credentials travel unencrypted: use https://");
}

static bool note_filtered(const struct push_result *r, struct buf *out)
{
    return r->filtered && buf_add_c(out, "no sample was sent: the endpoint's write_relabel_configs drop it");
}

static bool note_size(const struct push_result *r, struct buf *out)
{
    if (!r->facts.body_refused)
        return false;
    char taken[32], refused[32];
    units_format_size(r->facts.body_taken, taken);
    units_format_size(r->facts.body_refused, refused);
    buf_addf(out, "bodies of %s are taken, of %s are not (%ld); ", taken, refused, r->facts.body_status);
    if (r->facts.body_status == 413)
        return buf_add_c(out, "the agent splits what is too large");
    return buf_add_c(out, "it does not say 413, so the agent cannot know: set max_request_bytes");
}

static bool note_better(const struct push_result *r, struct buf *out)
{
    const struct preflight_facts *f = &r->facts;
    if (r->verdict.kind != PREFLIGHT_FINE || r->verdict.protocol != PROTOCOL_RW1 || f->settings != CONFIG_RW1)
        return false;
    if (preflight_understands(f, PROTOCOL_VM))
        return buf_add_c(out, "it takes zstd as well, which is half the bytes: protocol: vm");
    if (preflight_understands(f, PROTOCOL_RW2))
        return buf_add_c(out, "it understands remote write 2.0 as well, which is fewer bytes: protocol: rw2");
    return false;
}

static bool note_fallback(const struct push_result *r, struct buf *out)
{
    struct negotiation n;
    protocol_init(&n, r->facts.settings);
    if (r->verdict.kind != PREFLIGHT_FINE || r->verdict.protocol == n.order[0])
        return false;
    buf_addf(out, "it does not understand %s; the agent falls back to %s", protocol_name(n.order[0]),
             protocol_name(r->verdict.protocol));
    return true;
}

static bool note_unwritten(const struct push_result *r, struct buf *out)
{
    return r->has_batch_written && r->batch_written == 0 && r->facts.batch[r->batch_protocol].asked &&
           buf_add_c(out, "the receiver says that it has written no sample");
}

bool push_note(const struct push_result *r, size_t n, struct buf *out)
{
    static bool (*const NOTES[])(const struct push_result *, struct buf *) = {
        note_clock, note_expiry, note_plain, note_filtered, note_size, note_better, note_fallback, note_unwritten,
    };
    for (size_t i = 0; i < sizeof NOTES / sizeof NOTES[0]; i++) {
        size_t before = out->n;
        if (NOTES[i](r, out) && n-- == 0)
            return true;
        out->n = before;
    }
    return false;
}
