/* SPDX-License-Identifier: Apache-2.0 */
/* source: what the kinds of discovery share with the manager. Everything here runs in the thread of one loop. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_SOURCE_H
#define OBSAGENT_SCRAPE_DISCOVERY_SOURCE_H

#include "base/loop.h"
#include "config.h"
#include "label_set.h"

/* ---- lists of label sets ---- */

/* A list of references. */
struct discovery_sets {
    struct label_names *names; /* where new sets keep their names; NULL = in themselves */
    struct label_set **v;
    size_t n, cap;
};

void discovery_sets_init(struct discovery_sets *sets, struct label_names *names);
/* Gives up the references and the list. */
void discovery_sets_free(struct discovery_sets *sets);
/* Packs a new set. */
void discovery_sets_add(struct discovery_sets *sets, const struct labels *labels);
/* Adds a set; the reference goes over. */
void discovery_sets_take(struct discovery_sets *sets, struct label_set *s);
/* Adds references to all of `from`. */
void discovery_sets_add_all(struct discovery_sets *sets, const struct discovery_sets *from);
/* For sets that come in a random order. */
void discovery_sets_sort(struct discovery_sets *sets);
/* Of equal ones keeps one; in no order. */
void discovery_sets_unique(struct discovery_sets *sets);
/* Moves `news` into `sets`; a set that `sets` had before stays the same object. `news` is freed. True when it is
   another list than before. */
bool discovery_sets_replace(struct discovery_sets *sets, struct discovery_sets *news);

/* Adds a set for each target of the groups: the target as __address__, then the group's labels where absent, and
   `file` as __meta_filepath unless it is NULL. */
void discovery_static_add(struct discovery_sets *sets, const struct config_group *groups, size_t n, const char *file);

/* ---- file_sd_configs: looked at by the manager ---- */

/* One entry of file_sd_configs with what its files last said. */
struct file_source;

struct file_source *file_source_new(const struct config_file_sd *config, struct label_names *names);
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

/* ---- sources that ask over the network ---- */

struct source;

/* What sources use together; one per discovery, outlives them. */
struct source_host {
    struct loop *loop;
    const char *user_agent;
    struct label_names *names;
    struct http_client *http; /* source_client() */
    struct config *config;    /* the present generation; who keeps what it points at takes a reference */
    struct kube_hub *kube;    /* watches that Kubernetes sources share; NULL until one needs it */
    void (*changed)(void *ctx, struct source *s);
    void *ctx;
};

/* The kind of an entry: a table in its own file, listed in source.c. */
struct source_kind {
    const char *name; /* as in the configuration: "http_sd_configs" */
    /* Begins to look; never blocks, calls nothing back before it returned. The result's first member is a
       struct source, filled by source_init. */
    struct source *(*open)(const struct config_sd *config, struct source_host *host);
    /* Adds what is known: the same objects as in the call before for what did not change. */
    void (*add)(const struct source *s, struct discovery_sets *sets);
    /* Where it looks, for people, without secrets. */
    void (*describe)(const struct source *s, struct buf *out);
    /* Stops and frees; nothing calls back afterwards. */
    void (*close)(struct source *s);
};

/* By enum config_sd_kind. */
extern const struct source_kind *const source_kinds[CONFIG_SD_KINDS];
extern const struct source_kind source_kubernetes, source_kubelet, source_http, source_dns, source_consul,
    source_docker;

/* Shared by all jobs that have the same entry; freed by the kind. */
struct source {
    const struct source_kind *kind;
    const struct config_sd *config; /* stays as long as the source */
    struct source_host *host;
    bool looked;         /* the first look is over, well or not */
    bool known;          /* a look was good: what it adds counts */
    char error[300];     /* why the last look failed; "" when it was good */
    uint64_t failures;
    int64_t changed_ms;  /* wall clock of the last news */
    struct config *owner; /* keeps `config`; given up by the manager */
    uint64_t epoch;       /* the manager's: the last generation that wanted it */
};

void source_init(struct source *s, const struct source_kind *kind, const struct config_sd *config,
                 struct source_host *host);
/* A look was good. `changed`: what it adds is different now; the manager asks for it soon. */
void source_good(struct source *s, bool changed);
/* What it adds is different, though a part of what it looks at fails. */
void source_changed(struct source *s);
/* A look failed; what was known stays. Logged when it is news. */
void source_failed(struct source *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Frees what sources made together; they are all closed. */
void source_host_close(struct source_host *host);
/* The host's client, made when it is first needed. */
struct http_client *source_client(struct source_host *host);

#endif
