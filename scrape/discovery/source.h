/* SPDX-License-Identifier: Apache-2.0 */
/* source: what the kinds of discovery share with the manager: a list of label sets, and the file kind. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_SOURCE_H
#define OBSAGENT_SCRAPE_DISCOVERY_SOURCE_H

#include "config.h"

/* Label sets under construction; sets, arrays and new strings lie in the arena, other strings with their
   source. */
struct discovery_sets {
    struct arena *arena;
    struct labels *v;
    size_t n, cap;
};

void discovery_sets_init(struct discovery_sets *sets, struct arena *arena);
/* Frees the list and the arrays of its sets. */
void discovery_sets_free(struct discovery_sets *sets);

/* Adds a set for each target of the groups: the target as __address__, then the group's labels where
   absent, and `file` as __meta_filepath unless it is NULL. The groups must outlive the sets. */
void discovery_static_add(struct discovery_sets *sets, const struct config_group *groups, size_t n,
                          const char *file);

/* One entry of file_sd_configs with what its files last said. */
struct file_source;

struct file_source *file_source_new(const struct config_file_sd *config);
void file_source_free(struct file_source *s);
bool file_source_is(const struct file_source *s, const struct config_file_sd *config);
int64_t file_source_refresh_ms(const struct file_source *s);
/* Finds and reads what is new. A file that cannot be read or parsed keeps what it said before and gives
   lines in `errors`, once per change; so does a pattern that matches nothing. True when the groups
   changed. */
bool file_source_look(struct file_source *s, struct buf *errors);
void file_source_add(const struct file_source *s, struct discovery_sets *sets);
/* Calls fn for the directory of each pattern, to watch it. */
void file_source_dirs(const struct file_source *s, void (*fn)(void *ctx, const char *dir), void *ctx);

#endif
