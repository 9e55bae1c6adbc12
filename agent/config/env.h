/* SPDX-License-Identifier: Apache-2.0 */
/* env: environment variables in configuration: %{NAME} anywhere, as vmagent; $NAME in external labels, as
   Prometheus. */
#ifndef OBSAGENT_CONFIG_ENV_H
#define OBSAGENT_CONFIG_ENV_H

#include "base/arena.h"
#include "base/str.h"

/* One replaced %{NAME}, in characters, so that places can be told in terms of the file as written. */
struct env_cut {
    size_t out_at, out_n;
    size_t in_at, in_n;
};

/* A text after %{NAME} was replaced. Everything lives in the arena it was made in. */
struct env_text {
    struct str text;
    const struct env_cut *cuts;
    size_t cuts_n;
    const size_t *lines; /* where each line of the source starts, in characters; only when cuts_n > 0 */
    size_t lines_n;
};

/* Replaces each %{NAME} whose variable exists; others stay as they are. The replacement is textual and comes
   before YAML is read, so a variable may hold a number, a list or a whole section. False when the result
   would be longer than max bytes. */
bool env_expand(struct arena *arena, struct str source, size_t max, struct env_text *out);
/* The line and column (from 1) in the source of the character `index` of the text. cuts_n must not be 0. */
void env_place(const struct env_text *t, size_t index, int *line, int *col);
/* $NAME, ${NAME} and $$, with Go's os.Expand reading of them; an undefined variable is empty, with a warning
   in the log that names the label. */
struct str env_expand_dollar(struct arena *arena, struct str value, struct str label);

#endif
