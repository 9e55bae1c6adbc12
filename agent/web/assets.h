/* SPDX-License-Identifier: Apache-2.0 */
/* assets: the stylesheet and the script of the pages, which are in the program. */
#ifndef OBSAGENT_WEB_ASSETS_H
#define OBSAGENT_WEB_ASSETS_H

#include "base/buf.h"

enum asset { ASSET_STYLE, ASSET_SCRIPT, ASSETS };

const char *asset_content_type(enum asset a);
struct str asset_text(enum asset a);
/* Its path with a mark of its contents, so that a browser may keep what it got for ever. */
void asset_link(struct buf *out, enum asset a);

#endif
