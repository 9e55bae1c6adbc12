/* SPDX-License-Identifier: Apache-2.0 */
/* yaml: one YAML (or JSON) document as a tree of nodes that know their line and column. */
#ifndef OBSAGENT_CONFIG_YAML_H
#define OBSAGENT_CONFIG_YAML_H

#include "problem.h"

#include "base/arena.h"
#include "base/str.h"

/* Bounds on what a file can make us hold. */
#define YAML_MAX_BYTES ((size_t)16 << 20)  /* of a file, %{ENV} expanded */
#define YAML_MAX_DEPTH 64                  /* levels of nesting */
#define YAML_MAX_KEYS 4096                 /* of one mapping */
#define YAML_MAX_ANCHORS 1000
/* Of a document, an alias counted as what it stands for, and 32 bytes of text as one more. */
#define YAML_MAX_NODES 2000000
#define YAML_MAX_MEMORY ((size_t)512 << 20) /* of all trees in one arena */

enum node_kind { NODE_SCALAR, NODE_LIST, NODE_MAP };

/* Immutable, in the arena given to yaml_parse; an aliased node has several parents. */
struct node {
    enum node_kind kind;
    bool plain;      /* a scalar that was neither quoted nor tagged: may mean a number, a boolean, null */
    struct place at;
    struct str text; /* of a scalar; NUL-terminated, holds no NUL */
    union {
        const struct node **items;
        struct pair *pairs;
    };
    size_t n;
    size_t weight; /* nodes in it, for bounding aliases */
};

struct pair {
    struct str key;
    struct place at; /* of the key */
    const struct node *value;
};

/* Reads one document. %{ENV} is expanded first; anchors, aliases and "<<" work; keys are unique. Returns NULL
   after adding a problem. An empty document is a null scalar. The tree does not refer to `text`. */
const struct node *yaml_parse(struct arena *arena, const struct yaml_file *file, struct str text,
                              struct problems *problems);
/* The value of a key, or NULL when map is NULL, no mapping, or lacks it. */
const struct node *node_get(const struct node *map, const char *key);
/* True for NULL, and for a plain empty scalar, ~ and null. */
bool node_is_null(const struct node *node);
/* The same, or an empty text or collection: nothing was asked for. */
bool node_is_empty(const struct node *node);

#endif
