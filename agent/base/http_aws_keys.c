/* SPDX-License-Identifier: Apache-2.0 */
/* http_aws_keys: where AWS keys come from, in the order of AWS's own tools: the configuration, the environment, the
   shared file of credentials. A file is read again when it changed, like every other secret. */
#include <stdlib.h>
#include <strings.h>

#include "base/alloc.h"
#include "http_private.h"

void http_aws_keys_free(struct http_aws_keys *keys)
{
    http_secret_free(keys->id);
    http_secret_free(keys->secret);
    http_secret_free(keys->session);
    *keys = (struct http_aws_keys){0};
}

static bool from_environment(struct http_aws_keys *keys)
{
    const char *id = getenv("AWS_ACCESS_KEY_ID"), *secret = getenv("AWS_SECRET_ACCESS_KEY");
    const char *session = getenv("AWS_SESSION_TOKEN");
    if (!id || !*id || !secret || !*secret)
        return false;
    keys->id = xstrdup(id);
    keys->secret = xstrdup(secret);
    keys->session = session && *session ? xstrdup(session) : NULL;
    return true;
}

static void take(char **to, struct str value)
{
    http_secret_free(*to);
    *to = value.n > 0 ? str_dup(value) : NULL;
}

static void take_line(struct http_aws_keys *keys, struct str line)
{
    size_t equals = str_find_char(line, '=');
    struct str name = str_trim(str_make(line.p, equals)), value = str_trim(str_skip(line, equals + 1));
    if (str_eq(name, STR("aws_access_key_id")))
        take(&keys->id, value);
    else if (str_eq(name, STR("aws_secret_access_key")))
        take(&keys->secret, value);
    else if (str_eq(name, STR("aws_session_token")))
        take(&keys->session, value);
}

/* Takes the keys of one profile; what is not there stays. */
static void parse(struct str text, const char *profile, struct http_aws_keys *keys)
{
    bool mine = false;
    while (text.n > 0) {
        size_t end = str_find_char(text, '\n');
        struct str line = str_trim(str_make(text.p, end));
        text = str_skip(text, end + 1);
        if (line.n > 1 && line.p[0] == '[' && line.p[line.n - 1] == ']')
            mine = str_eq(str_trim(str_make(line.p + 1, line.n - 2)), str_of(profile));
        else if (mine && line.n > 0 && line.p[0] != '#' && line.p[0] != ';')
            take_line(keys, line);
    }
}

char *http_aws_file(void)
{
    const char *path = getenv("AWS_SHARED_CREDENTIALS_FILE"), *home = getenv("HOME");
    if (path && *path)
        return xstrdup(path);
    return home && *home ? xasprintf("%s/.aws/credentials", home) : NULL;
}

static bool from_file(const struct http_sigv4 *a, struct http_aws_keys *keys, struct err *err)
{
    const char *profile = a->profile ? a->profile : getenv("AWS_PROFILE");
    if (!profile || !*profile)
        profile = "default";
    char *text;
    if (!a->shared_file)
        return err_set(err, "no keys: neither access_key and secret_key nor AWS_ACCESS_KEY_ID and "
                            "AWS_SECRET_ACCESS_KEY are given, and there is no home directory with .aws/credentials");
    if (!http_secret_read(&(struct http_secret){.file = a->shared_file}, &text, err))
        return err_prefix(err, "no keys in the configuration or the environment, and those of roles of pods and "
                               "machines are not asked for");
    parse(str_of(text), profile, keys);
    http_secret_free(text);
    return (keys->id && keys->secret) || err_set(err, "%s has no keys of profile %s", a->shared_file, profile);
}

bool http_aws_keys_find(const struct http_sigv4 *a, struct http_aws_keys *keys, struct err *err)
{
    if (a->access_key) {
        keys->id = xstrdup(a->access_key);
        keys->secret = xstrdup(a->secret_key ? a->secret_key : "");
        return true;
    }
    return (!a->profile && from_environment(keys)) || from_file(a, keys, err);
}
