/* SPDX-License-Identifier: Apache-2.0 */
/* auth: who may ask. A bcrypt comparison is made to be slow, and the server has one thread: headers that were
   good are remembered by their SHA-256, and others are tried only so often a second. */
#include "auth.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define REMEMBERED 16
#define TRIES_PER_SECOND 8
#define HEADER_MAX 4096
/* Compared against when there is no such user, so that time does not tell. */
#define NOBODY "$2y$10$QOauhQNbBCuQDKes6eFzPeMqBSjb7Mr5DUmpZ/VcEd00UAV/LDeSi"

struct file_mark {
    struct timespec mtime;
    off_t size;
    ino_t inode;
};

struct auth {
    char *path;
    struct web_config *config;
    struct file_mark mark;
    unsigned char good[REMEMBERED][SHA256_DIGEST_LENGTH]; /* a ring */
    size_t good_n, good_next;
    int64_t second; /* monotonic */
    unsigned tries; /* in it */
};

static bool mark_file(const char *path, struct file_mark *out)
{
    struct stat st;
    memset(out, 0, sizeof *out);
    if (stat(path, &st) != 0)
        return false;
    out->mtime = st.st_mtim;
    out->size = st.st_size;
    out->inode = st.st_ino;
    return true;
}

struct auth *auth_new(const char *path, struct err *err)
{
    struct auth *a = xcalloc(1, sizeof *a);
    if (!path || !path[0])
        return a;
    (void)mark_file(path, &a->mark);
    a->config = web_config_load(path, err);
    if (!a->config) {
        free(a);
        return NULL;
    }
    a->path = xstrdup(path);
    return a;
}

void auth_free(struct auth *a)
{
    if (!a)
        return;
    web_config_free(a->config);
    free(a->path);
    free(a);
}

const struct web_config *auth_config(const struct auth *a)
{
    return a->config;
}

const char *auth_challenge(const struct auth *a)
{
    return a->config && a->config->users_n ? "Basic realm=\"obsagent\", charset=\"UTF-8\""
                                           : "Bearer realm=\"obsagent\"";
}

/* A bad new file leaves the old one in force: locking everybody out, or nobody, would both be worse. */
static void reread(struct auth *a)
{
    struct file_mark now;
    struct err err = {0};
    if (!mark_file(a->path, &now) || memcmp(&now, &a->mark, sizeof now) == 0)
        return;
    a->mark = now;
    struct web_config *fresh = web_config_load(a->path, &err);
    if (!fresh) {
        log_error("web", "the web configuration stays as it was: %s", err.msg);
        return;
    }
    web_config_free(a->config);
    a->config = fresh;
    a->good_n = 0;
    log_info("web", "%s was read again", a->path);
}

/* ---- bearer ---- */

static bool bearer_fits(const struct web_config *c, const char *token)
{
    char *own = NULL;
    struct err err = {0};
    if (!c->bearer.file)
        return false;
    if (!http_secret_read(&c->bearer, &own, &err)) {
        log_throttled(1, LOG_ERROR, "web", "%s", err.msg);
        return false;
    }
    size_t n = strlen(own);
    bool same = n && n == strlen(token) && CRYPTO_memcmp(own, token, n) == 0;
    free(own);
    return same;
}

/* ---- basic ---- */

/* Decodes into out (room for the length of `text`); false when it is not base64. */
static bool decode(const char *text, unsigned char *out, size_t *n)
{
    size_t len = strlen(text);
    size_t padding = len && text[len - 1] == '=' ? (len > 1 && text[len - 2] == '=' ? 2 : 1) : 0;
    if (len == 0 || len % 4 || len > HEADER_MAX ||
        EVP_DecodeBlock(out, (const unsigned char *)text, (int)len) < 0)
        return false;
    *n = len / 4 * 3 - padding;
    return memchr(out, '\0', *n) == NULL;
}

static bool password_fits(const char *password, const char *hash)
{
    struct crypt_data *data = xcalloc(1, sizeof *data); /* 32 KiB: too much for a small stack */
    const char *made = crypt_r(password, hash, data);
    size_t n = strlen(hash);
    bool same = made && strlen(made) == n && CRYPTO_memcmp(made, hash, n) == 0;
    explicit_bzero(data, sizeof *data);
    free(data);
    return same;
}

static bool basic_fits(const struct web_config *c, const char *encoded)
{
    unsigned char text[HEADER_MAX + 1];
    size_t n;
    if (!decode(encoded, text, &n))
        return false;
    text[n] = '\0';
    char *password = strchr((char *)text, ':');
    if (!password)
        return false;
    *password++ = '\0';
    const char *hash = NULL;
    for (size_t i = 0; i < c->users_n; i++) {
        if (strcmp(c->users[i].name, (char *)text) == 0)
            hash = c->users[i].hash;
    }
    bool fits = password_fits(password, hash ? hash : NOBODY) && hash;
    explicit_bzero(text, sizeof text);
    return fits;
}

/* ---- both ---- */

static bool is_remembered(const struct auth *a, const unsigned char *digest)
{
    bool found = false;
    for (size_t i = 0; i < a->good_n; i++)
        found |= CRYPTO_memcmp(a->good[i], digest, SHA256_DIGEST_LENGTH) == 0;
    return found;
}

static void remember(struct auth *a, const unsigned char *digest)
{
    if (a->good_n < REMEMBERED)
        a->good_next = a->good_n++;
    memcpy(a->good[a->good_next], digest, SHA256_DIGEST_LENGTH);
    a->good_next = (a->good_next + 1) % REMEMBERED;
}

static bool may_try(struct auth *a)
{
    int64_t second = clock_mono_ms() / 1000;
    if (second != a->second) {
        a->second = second;
        a->tries = 0;
    }
    return a->tries++ < TRIES_PER_SECOND;
}

static enum auth_result check_basic(struct auth *a, const char *header, const char *encoded)
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    SHA256((const unsigned char *)header, strlen(header), digest);
    if (is_remembered(a, digest))
        return AUTH_OK;
    if (!may_try(a))
        return AUTH_BUSY;
    if (!basic_fits(a->config, encoded))
        return AUTH_NEEDED;
    remember(a, digest);
    return AUTH_OK;
}

enum auth_result auth_check(struct auth *a, const char *authorization)
{
    if (!a->config)
        return AUTH_OK;
    reread(a);
    if (a->config->users_n == 0 && !a->config->bearer.file)
        return AUTH_OK;
    if (!authorization || strlen(authorization) > HEADER_MAX)
        return AUTH_NEEDED;
    if (strncasecmp(authorization, "Bearer ", 7) == 0)
        return bearer_fits(a->config, authorization + 7) ? AUTH_OK : AUTH_NEEDED;
    if (strncasecmp(authorization, "Basic ", 6) == 0 && a->config->users_n)
        return check_basic(a, authorization, authorization + 6);
    return AUTH_NEEDED;
}
