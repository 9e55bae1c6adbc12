/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_hide: a secret, a URL and words of somebody, parted by NUL bytes: what is hidden once stays as it is, and a
   secret that was looked for is not in the words any more. */
#include "base/hide.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LIMIT ((size_t)1 << 20)

static void must(bool held)
{
    if (!held)
        abort();
}

static struct str take_field(struct str *rest)
{
    size_t end = str_find_char(*rest, '\0');
    struct str field = str_make(rest->p, end);
    *rest = str_skip(*rest, end + 1);
    return field;
}

static void try_url(struct str url)
{
    struct buf once, twice;
    buf_init(&once, TEXT_LIMIT);
    buf_init(&twice, TEXT_LIMIT);
    hide_url(url, &once);
    hide_url(buf_str(&once), &twice);
    must(once.n == twice.n && (once.n == 0 || memcmp(once.p, twice.p, once.n) == 0));
    buf_free(&once);
    buf_free(&twice);
}

/* Whether "<secret>" and what stands beside it could look like one. */
static bool is_like_the_mark(struct str secret)
{
    for (size_t i = 0; i < secret.n; i++) {
        if (strchr("<secrt>", secret.p[i]))
            return true;
    }
    return false;
}

static void try_text(struct str secret, struct str url, struct str words)
{
    struct hide h;
    struct buf text;
    hide_init(&h);
    hide_add(&h, secret);
    hide_add_url(&h, url);
    buf_init(&text, TEXT_LIMIT);
    buf_add_str(&text, words);
    hide_text(&h, &text);
    for (size_t i = 0; i < h.n; i++)
        must(is_like_the_mark(h.v[i]) || str_find(buf_str(&text), h.v[i]) == text.n);
    must(text.n == 0 || hide_quoted(buf_c(&text)) >= 0);
    buf_free(&text);
    hide_free(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make((const char *)data, size);
    if (size > TEXT_LIMIT / 32)
        return 0;
    struct str secret = take_field(&rest), url = take_field(&rest);
    try_url(url);
    try_text(secret, url, rest);
    return 0;
}
