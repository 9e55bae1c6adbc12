/* SPDX-License-Identifier: Apache-2.0 */
/* http_peer: who was at the other end of a call and at which step it failed, as far as libcurl knows. */
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "http_private.h"

/* Numbers of OpenSSL's X509_V_ERR_, which libcurl hands on. */
enum {
    VERIFY_UNSPECIFIED = 1,
    VERIFY_NOT_YET_VALID = 9,
    VERIFY_EXPIRED = 10,
    VERIFY_SELF_SIGNED = 18,
    VERIFY_SELF_SIGNED_IN_CHAIN = 19,
    VERIFY_NO_ISSUER_HERE = 20,
    VERIFY_NO_ISSUER = 21,
    VERIFY_NO_ISSUER_AT_ALL = 2,
    VERIFY_HOST = 62,
    VERIFY_ADDRESS = 64,
};

void http_peer_setup(struct http_call *call)
{
    if (call->request.peer && call->url.tls)
        HTTP_SET(call, CURLOPT_CERTINFO, 1L);
}

/* libcurl compares names itself, before it asks for OpenSSL's result. */
static enum http_fault fault_of(long verify)
{
    switch (verify) {
    case 0:
    case VERIFY_UNSPECIFIED:
    case VERIFY_HOST:
    case VERIFY_ADDRESS:
        return HTTP_FAULT_HOST;
    case VERIFY_EXPIRED:
        return HTTP_FAULT_EXPIRED;
    case VERIFY_NOT_YET_VALID:
        return HTTP_FAULT_NOT_YET_VALID;
    case VERIFY_SELF_SIGNED:
    case VERIFY_SELF_SIGNED_IN_CHAIN:
    case VERIFY_NO_ISSUER_HERE:
    case VERIFY_NO_ISSUER:
    case VERIFY_NO_ISSUER_AT_ALL:
        return HTTP_FAULT_AUTHORITY;
    default:
        return HTTP_FAULT_OTHER;
    }
}

static bool came_to(const struct http_call *call, CURLINFO step)
{
    curl_off_t us = 0;
    curl_easy_getinfo(call->easy, step, &us);
    return us > 0;
}

/* The first step that was not finished. */
static enum http_failure step_of(const struct http_call *call)
{
    if (call->head_done || call->unix_socket)
        return HTTP_FAILURE_OTHER;
    if (call->by_name && !came_to(call, CURLINFO_NAMELOOKUP_TIME_T))
        return HTTP_FAILURE_NAME;
    if (!came_to(call, CURLINFO_CONNECT_TIME_T))
        return HTTP_FAILURE_CONNECT;
    return call->url.tls && !came_to(call, CURLINFO_APPCONNECT_TIME_T) ? HTTP_FAILURE_TLS : HTTP_FAILURE_OTHER;
}

static enum http_failure failure_of(const struct http_call *call, CURLcode code, bool timeout)
{
    if (timeout)
        return step_of(call);
    switch (code) {
    case CURLE_OK:
        return err_is(&call->why) ? HTTP_FAILURE_OTHER : HTTP_FAILURE_NONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return HTTP_FAILURE_NAME;
    case CURLE_COULDNT_CONNECT:
        return HTTP_FAILURE_CONNECT;
    case CURLE_PEER_FAILED_VERIFICATION:
        return HTTP_FAILURE_CERTIFICATE;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
        return HTTP_FAILURE_TLS;
    default:
        return HTTP_FAILURE_OTHER;
    }
}

static void fill_address(const struct http_call *call, struct http_peer *peer)
{
    char *ip = NULL;
    long port = 0;
    curl_easy_getinfo(call->easy, CURLINFO_PRIMARY_IP, &ip);
    curl_easy_getinfo(call->easy, CURLINFO_PRIMARY_PORT, &port);
    if (ip && ip[0])
        snprintf(peer->address, sizeof peer->address, strchr(ip, ':') ? "[%s]:%ld" : "%s:%ld", ip, port);
}

/* "Nov 21 07:00:00 2026 GMT" */
static int64_t parse_time(const char *text)
{
    struct tm tm = {0};
    return strptime(text, "%b %d %H:%M:%S %Y", &tm) ? (int64_t)timegm(&tm) : 0;
}

static bool skip_name(const char *line, const char *name, const char **value)
{
    size_t n = strlen(name);
    if (strncasecmp(line, name, n) != 0 || line[n] != ':')
        return false;
    *value = line + n + 1;
    return true;
}

static void take_line(struct http_peer *peer, const char *line)
{
    const char *value;
    if (skip_name(line, "Subject", &value))
        snprintf(peer->subject, sizeof peer->subject, "%s", value);
    else if (skip_name(line, "Issuer", &value))
        snprintf(peer->issuer, sizeof peer->issuer, "%s", value);
    else if (skip_name(line, "X509v3 Subject Alternative Name", &value))
        snprintf(peer->names, sizeof peer->names, "%s", value);
    else if (skip_name(line, "Start date", &value))
        peer->valid_from_s = parse_time(value);
    else if (skip_name(line, "Expire date", &value))
        peer->valid_until_s = parse_time(value);
}

static void fill_certificate(const struct http_call *call, struct http_peer *peer)
{
    struct curl_certinfo *chain = NULL;
    curl_easy_getinfo(call->easy, CURLINFO_CERTINFO, &chain);
    if (!chain || chain->num_of_certs < 1)
        return;
    peer->has_certificate = true;
    for (const struct curl_slist *line = chain->certinfo[0]; line; line = line->next)
        take_line(peer, line->data);
}

void http_peer_fill(const struct http_call *call, CURLcode code, bool timeout)
{
    struct http_peer *peer = call->request.peer;
    if (!peer)
        return;
    *peer = (struct http_peer){.failure = failure_of(call, code, timeout)};
    fill_address(call, peer);
    if (peer->failure == HTTP_FAILURE_CERTIFICATE) {
        long verify = 0;
        curl_easy_getinfo(call->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
        peer->fault = fault_of(verify);
    }
    if (call->url.tls)
        fill_certificate(call, peer);
}
