/* SPDX-License-Identifier: Apache-2.0 */
/* http_headers: the request headers of one hop. Configured headers come before the caller's of the same
   name, and both before the Authorization that is made from configured credentials or the URL. After a
   redirect to another host nothing that identifies us is sent. */
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "http_private.h"

static bool is_credential(struct str name)
{
    static const char *const names[] = {"authorization", "cookie", "proxy-authorization"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (name.n == strlen(names[i]) && strncasecmp(name.p, names[i], name.n) == 0)
            return true;
    }
    return false;
}

static void append(struct curl_slist **list, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer)
        abort();
    *list = longer;
}

/* A line break in a name or value would smuggle in headers of its own. */
static bool add(struct curl_slist **list, struct str name, struct str value, struct err *err)
{
    if (name.n == 0 || memchr(name.p, ':', name.n) || strcspn(name.p, "\r\n") < name.n)
        return err_set(err, "invalid header name");
    if (value.n > 0 && (memchr(value.p, '\r', value.n) || memchr(value.p, '\n', value.n)))
        return err_set(err, "header %.*s: the value contains a line break", STR_ARG(name));
    /* libcurl wants "Name;" for an empty value, "Name:" would suppress the header. */
    char *line = value.n == 0 ? xasprintf("%.*s;", STR_ARG(name))
                              : xasprintf("%.*s: %.*s", STR_ARG(name), STR_ARG(value));
    append(list, line);
    http_secret_free(line);
    return true;
}

static bool configured(const struct http_options *o, struct str name)
{
    for (size_t i = 0; o && i < o->headers_n; i++) {
        if (strlen(o->headers[i].name) == name.n && strncasecmp(o->headers[i].name, name.p, name.n) == 0)
            return true;
    }
    return false;
}

static struct str name_of(const char *line)
{
    return str_make(line, strcspn(line, ":"));
}

static bool given(const struct http_call *call, const char *name)
{
    for (size_t i = 0; i < call->extra_headers_n; i++) {
        struct str line_name = name_of(call->extra_headers[i]);
        if (line_name.n == strlen(name) && strncasecmp(line_name.p, name, line_name.n) == 0)
            return true;
    }
    return configured(call->request.options, str_of(name));
}

/* RFC 4648, with padding. Caller frees. */
static char *base64(const char *text, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = xmalloc((n + 2) / 3 * 4 + 1);
    char *o = out;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)(uint8_t)text[i] << 16;
        v |= left > 1 ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
        v |= left > 2 ? (uint32_t)(uint8_t)text[i + 2] : 0;
        *o++ = digits[v >> 18];
        *o++ = digits[v >> 12 & 63];
        *o++ = left > 1 ? digits[v >> 6 & 63] : '=';
        *o++ = left > 2 ? digits[v & 63] : '=';
    }
    *o = '\0';
    return out;
}

char *http_basic_value(const char *user, const char *password)
{
    char *pair = xasprintf("%s:%s", user ? user : "", password ? password : "");
    char *code = base64(pair, strlen(pair));
    char *value = xasprintf("Basic %s", code);
    http_secret_free(pair);
    http_secret_free(code);
    return value;
}

static char *configured_basic(const struct http_options *o, struct err *err)
{
    char *user = NULL, *password = NULL, *value = NULL;
    if (http_secret_read(&o->username, &user, err) && http_secret_read(&o->password, &password, err))
        value = http_basic_value(user, password);
    http_secret_free(user);
    http_secret_free(password);
    return value;
}

static char *configured_authorization(const struct http_options *o, struct err *err)
{
    char *credentials;
    if (!http_secret_read(&o->credentials, &credentials, err))
        return NULL;
    const char *type = o->authorization_type ? o->authorization_type : "Bearer";
    char *value = xasprintf("%s%s%s", type, type[0] ? " " : "", credentials ? credentials : "");
    http_secret_free(credentials);
    return value;
}

/* NULL after an error. Caller frees with http_secret_free. */
static char *configured_value(const struct http_options *o, struct err *err)
{
    return o->has_authorization ? configured_authorization(o, err) : configured_basic(o, err);
}

static bool add_authorization(struct http_call *call, struct err *err)
{
    const struct http_options *o = call->request.options;
    if (call->foreign || given(call, "Authorization") || (o && o->sigv4))
        return true;
    char *value;
    if (o && o->oauth2) {
        value = http_token_header(o->oauth2->token);
        call->needs_token = !value;
        if (!value)
            return true;
    } else if (o && (o->has_authorization || o->has_basic_auth))
        value = configured_value(o, err);
    else if (call->origin.user || call->origin.password)
        value = http_basic_value(call->origin.user, call->origin.password);
    else
        return true;
    bool ok = value && add(&call->headers, STR("Authorization"), str_of(value), err);
    http_secret_free(value);
    return ok;
}

static bool add_header(struct curl_slist **list, const struct http_header *h, struct err *err)
{
    if (!h->file)
        return add(list, str_of(h->name), str_of(h->value), err);
    char *value;
    if (!http_secret_read(&(struct http_secret){.file = h->file}, &value, err))
        return err_prefix(err, "header %s", h->name);
    bool ok = add(list, str_of(h->name), str_trim(str_of(value)), err);
    http_secret_free(value);
    return ok;
}

static bool add_configured(struct http_call *call, struct err *err)
{
    const struct http_options *o = call->request.options;
    for (size_t i = 0; o && i < o->headers_n; i++) {
        const struct http_header *h = &o->headers[i];
        if (call->foreign && (h->secret || h->file || is_credential(str_of(h->name))))
            continue;
        if (!add_header(&call->headers, h, err))
            return false;
    }
    return true;
}

static bool add_given(struct http_call *call, struct err *err)
{
    for (size_t i = 0; i < call->extra_headers_n; i++) {
        const char *line = call->extra_headers[i];
        struct str name = name_of(line);
        if (configured(call->request.options, name) || (call->foreign && is_credential(name)))
            continue;
        struct str value = str_trim(str_skip(str_of(line), name.n + 1));
        if (!add(&call->headers, name, value, err))
            return false;
    }
    return true;
}

bool http_headers_build(struct http_call *call, struct err *err)
{
    curl_slist_free_all(call->headers);
    call->headers = NULL;
    call->needs_token = false;
    if (!add_configured(call, err) || !add_given(call, err) || !add_authorization(call, err))
        return false;
    /* libcurl would wait a second for "100 Continue" before a larger body, and invent a form's content
       type. */
    append(&call->headers, "Expect:");
    if (!given(call, "Content-Type"))
        append(&call->headers, "Content-Type:");
    if (call->request.close_connection)
        http_headers_default(call, "Connection: close");
    const struct http_options *o = call->request.options;
    return !o || !o->sigv4 || call->foreign || given(call, "Authorization") || http_sigv4_sign(call, err);
}

/* With a CONNECT they go to the proxy alone, else beside the server's. A redirect leads to no other proxy, so
   they are sent whoever the server is. */
bool http_headers_build_proxy(struct http_call *call, struct err *err)
{
    curl_slist_free_all(call->proxy_headers);
    call->proxy_headers = NULL;
    const struct http_options *o = call->request.options;
    if (!call->proxied || !o)
        return true;
    for (size_t i = 0; call->url.tls && i < o->proxy_connect_headers_n; i++) {
        if (!add_header(&call->proxy_headers, &o->proxy_connect_headers[i], err))
            return false;
    }
    const struct http_options *peer = o->proxy_peer;
    for (size_t i = 0; peer && i < peer->headers_n; i++) {
        if (!add_header(&call->proxy_headers, &peer->headers[i], err))
            return false;
    }
    if (!peer || (!peer->has_authorization && !peer->has_basic_auth))
        return true;
    char *value = configured_value(peer, err);
    bool ok = value && add(&call->proxy_headers, STR("Proxy-Authorization"), str_of(value), err);
    http_secret_free(value);
    return ok;
}

void http_headers_default(struct http_call *call, const char *line)
{
    struct str name = name_of(line);
    char *text = str_dup(name);
    if (!given(call, text))
        append(&call->headers, line);
    free(text);
}
