/* SPDX-License-Identifier: Apache-2.0 */
/* split: cuts what a Kubernetes API server streams into single objects, so that memory is bound by one of them. */
#ifndef OBSAGENT_SCRAPE_KUBERNETES_SPLIT_H
#define OBSAGENT_SCRAPE_KUBERNETES_SPLIT_H

#include "base/buf.h"
#include "base/err.h"

#define SPLIT_OBJECT_MAX ((size_t)8 << 20) /* etcd's own limit is 1.5 MB */
#define SPLIT_DEPTH_MAX 64

enum split_mode {
    SPLIT_LIST,  /* one object: its `metadata`, and each element of its `items` */
    SPLIT_WATCH, /* objects one after the other, each whole */
};

/* Called for each piece: `json` is one JSON object, without white space between tokens and without the objects and
   lists that labels never need (managedFields, volumes, probes, ...: null instead), valid during the call. `item` is
   false for a list's metadata. False stops; it has set err. */
typedef bool split_fn(void *ctx, bool item, struct str json, struct err *err);

/* Contents are split.c's, except for `bytes`. */
struct split {
    split_fn *fn;
    void *ctx;
    enum split_mode mode;
    struct buf out;       /* the piece that has begun */
    bool taking, item;    /* a piece has begun; it is one of the items */
    unsigned taken_depth; /* where it began */
    unsigned skip_depth;  /* where what is left out began; 0 = nothing */
    bool in_items, in_string, escaped, colon;
    unsigned depth;
    uint64_t lists; /* by depth: a list, not an object */
    char key[32];   /* the last string, if it fits */
    size_t key_n;
    uint64_t bytes; /* fed so far */
};

void split_init(struct split *s, enum split_mode mode, split_fn *fn, void *ctx);
void split_free(struct split *s);
/* The next bytes, cut anywhere. False with err when they cannot be JSON, are nested deeper than SPLIT_DEPTH_MAX, an
   object is larger than SPLIT_OBJECT_MAX, or fn stopped; the splitter is of no use then. That a piece is right inside
   is for fn to see. */
bool split_feed(struct split *s, struct str bytes, struct err *err) MUSTCHECK;
/* Nothing has begun that did not end. */
bool split_is_whole(const struct split *s);

#endif
