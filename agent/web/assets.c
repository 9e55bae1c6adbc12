/* SPDX-License-Identifier: Apache-2.0 */
/* assets: files of agent/web/assets, made into strings by the Makefile. */
#include "assets.h"

#include "base/hash.h"

#include <inttypes.h>

static const char STYLE[] =
#include "style.css.inc"
    ;
static const char SCRIPT[] =
#include "live.js.inc"
    ;

static const struct {
    const char *path, *content_type;
    struct str text;
} TABLE[ASSETS] = {
    [ASSET_STYLE] = {"/style.css", "text/css; charset=utf-8", {STYLE, sizeof STYLE - 1}},
    [ASSET_SCRIPT] = {"/live.js", "text/javascript; charset=utf-8", {SCRIPT, sizeof SCRIPT - 1}},
};

const char *asset_content_type(enum asset a)
{
    return TABLE[a].content_type;
}

struct str asset_text(enum asset a)
{
    return TABLE[a].text;
}

void asset_link(struct buf *out, enum asset a)
{
    buf_addf(out, "%s?v=%016" PRIx64, TABLE[a].path, hash_bytes(TABLE[a].text.p, TABLE[a].text.n));
}
