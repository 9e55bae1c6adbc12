/* SPDX-License-Identifier: Apache-2.0 */
/* hide: keeps secrets out of what is shown: by the names they go by, and where others say them back to us. */
#ifndef OBSAGENT_BASE_HIDE_H
#define OBSAGENT_BASE_HIDE_H

#include "base/buf.h"
#include "base/str.h"

/* Whether a header, a parameter or a field of this name holds what nobody needs to read: token, api_key ... */
bool hide_sounds_secret(struct str name);
/* Whether a label of this name does: __param_token, which becomes ?token=. */
bool hide_label(struct str name);
/* Appends the URL (or whatever it is), "xxxxx" in place of its password and of parameters whose names sound secret; a
   user without a password is one. */
void hide_url(struct str url, struct buf *out);

/* How long a JSON parser's message is without what it quotes: a server that says a secret back gets a part of one into
   "invalid token near 'xyz'". */
int hide_quoted(const char *message);

/* Secrets that are known, looked for in texts from outside. */
struct hide {
    struct str *v; /* own copies, the longest first */
    size_t n, cap;
};

#define HIDE_LEAST 4 /* bytes: what is shorter stands everywhere */

void hide_init(struct hide *h);
void hide_free(struct hide *h);
/* Also as it stands in a URL. What is shorter than HIDE_LEAST is ignored. */
void hide_add(struct hide *h, struct str secret);
/* What hide_url would hide. */
void hide_add_url(struct hide *h, struct str url);
/* Puts <secret> in the place of each of them. */
void hide_text(const struct hide *h, struct buf *text);

#endif
