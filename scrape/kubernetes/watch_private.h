/* SPDX-License-Identifier: Apache-2.0 */
/* watch_private: what the files watch*.c share. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_WATCH_PRIVATE_H
#define OBSAGENT_SCRAPE_KUBERNETES_WATCH_PRIVATE_H

#include "access.h"
#include "split.h"
#include "watch.h"

#include "http.h"

/* One reader for all: everything runs in one thread. */
struct kube_hub {
    struct source_host *host;
    struct kube_reader reader;
    struct kube_watch **watches;
    size_t n, cap;
};

enum kube_phase { KUBE_LISTING, KUBE_WATCHING };

struct kube_watch {
    struct kube_hub *hub;
    uint64_t hash;
    struct config *owner; /* keeps sd */
    const struct config_sd *sd;
    enum kube_kind kind;
    char *namespace, *label, *field;
    struct kube_listener *listeners;
    size_t listeners_n, listeners_cap;

    struct kube_map objects;
    struct kube_map seen; /* by the list that is under way */
    bool listed;
    char *version;        /* of what we have; NULL = unknown */
    char *next;           /* the continue token of the list's next page; NULL = the first */
    char *page_version, *page_next; /* what the page that is being read says; counts when the whole page came */
    bool fresh;           /* the page has an object that the pages before did not have */
    bool anew;            /* the next list must not come from a cache: what we knew is too old */
    bool older_api;       /* the server knows the v1beta1 of this kind only */

    enum kube_phase phase;
    struct kube_access access;
    char *url;            /* of the request under way */
    struct http_call *call;
    struct split split;
    struct buf words;     /* the body of an answer that is none */
    struct err err;       /* why we stopped reading */
    bool expired;         /* an event said that our version is too old */
    bool versioned;       /* the list, or page of it, is one: it said which version it has */
    bool events;          /* the watch has brought something */
    int64_t begun_ms, retry_after_ms;
    struct loop_timer timer;
    unsigned tries;       /* in a row without a watch that was of use */
    bool watch_failed;    /* what `error` tells of */
    bool denied;          /* so does this: the server does not let us, or has no such thing */
    char error[300];
};

/* ---- watch_url.c ---- */

/* The request for the present phase: heap. */
char *kube_request_url(const struct kube_watch *w);
/* The same without the parameters that differ each time, for people. */
void kube_request_text(const struct kube_watch *w, struct buf *out);
/* The kind has an older API version, too. */
bool kube_has_older_api(enum kube_kind kind);
/* Only the metadata of the kind are asked for. */
bool kube_wants_metadata(enum kube_kind kind);

/* ---- watch_objects.c ---- */

/* Takes a piece of an answer; a split_fn, ctx is the watch. */
bool kube_take_piece(void *ctx, bool item, struct str json, struct err *err);
/* The list is complete: objects it did not have are gone. */
void kube_list_complete(struct kube_watch *w);
void kube_forget_objects(struct kube_watch *w);
void kube_tell(struct kube_watch *w, enum kube_news news, uint64_t key);

#endif
