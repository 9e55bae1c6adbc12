/* SPDX-License-Identifier: Apache-2.0 */
/* table: declarative field tables, one per section of the configuration. The same rows drive the defaults,
   the loader, the messages, the dump at /config, the hashes and `obsagent help config`, so they cannot
   disagree. */
#ifndef OBSAGENT_CONFIG_TABLE_H
#define OBSAGENT_CONFIG_TABLE_H

#include "yaml.h"

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct load;
struct dump;
struct section;

/* In brackets: what stands at the field's offset. */
enum field_type {
    FIELD_BOOL,     /* bool */
    FIELD_COUNT,    /* uint64_t */
    FIELD_SIZE,     /* uint64_t bytes; a unit is needed, as in Prometheus */
    FIELD_BYTES,    /* uint64_t bytes; a bare number is fine too */
    FIELD_BYTES_VM, /* uint64_t bytes as vmagent takes them: KB is 1000 */
    FIELD_DURATION, /* int64_t milliseconds */
    FIELD_NUMBER,   /* double, not negative */
    FIELD_TEXT,     /* char * */
    FIELD_SECRET,   /* char *, shown as <secret> */
    FIELD_FILE,     /* char *, joined to the directory of the file it stands in */
    FIELD_PATH,     /* the same, of a file that need not exist */
    FIELD_URL,      /* char *, http or https or one of `words`; a password in it is not shown */
    FIELD_WORD,     /* char *, one of `words` */
    FIELD_ENUM,     /* unsigned enum, the index in `words` */
    FIELD_FLAG,     /* bool, the index in `words` (two of them) */
    FIELD_SECTION,  /* a mapping read by `section`, whose struct starts at the offset */
    FIELD_OWN,      /* read by `load`, shown by `show` */
};

enum field_status {
    FIELD_WORKS,
    FIELD_ALIAS,     /* works, and is shown under another name */
    FIELD_NO_EFFECT, /* checked, not kept: what it asks for is so anyway, or has no meaning here */
    FIELD_LATER,     /* refused as not supported yet, unless one of `words`, which says what we do anyway; `load`, when
                        there is one, says it better */
    FIELD_NEVER,     /* refused; `help` says why */
};

struct field {
    const char *name;
    enum field_type type;
    enum field_status status;
    size_t at;
    size_t has;           /* offset + 1 of the bool that says it was given; 0 = none */
    const char *standard; /* the default, written as a user would; NULL = empty, 0, false or none */
    const char *words;    /* "a|b|c" */
    uint64_t min;         /* of counts, bytes and milliseconds */
    bool discovery;       /* finds targets, but does not change how one is scraped: not part of the hash */
    const char *help;
    const struct section *section; /* of a FIELD_SECTION, or (for help) of the items of a FIELD_OWN list */
    void (*load)(struct load *l, const struct node *value, void *to);
    void (*show)(struct dump *d, const struct field *f, const void *from);
};

struct section {
    const char *name;
    const char *help;
    const struct field *fields;
    size_t fields_n;
    const struct section *more; /* further fields of the same mapping, whose struct starts at more_at */
    size_t more_at;
    /* What one field alone cannot tell, after all were loaded. */
    void (*check)(struct load *l, const struct node *node, void *to);
};

#define FIELDS(v) .fields = (v), .fields_n = sizeof(v) / sizeof((v)[0])
#define FIELD_HAS(type, member) (offsetof(type, member) + 1)

/* Fills the defaults of a zeroed struct, nested sections included. */
void section_defaults(struct load *l, const struct section *s, void *to);
/* Reads a mapping (null is an empty one) over the defaults; problems go to the load. */
void section_load(struct load *l, const struct section *s, const struct node *node, void *to);
/* True when the mapping has the key with something in it. */
bool field_given(const struct node *map, const char *key);
/* The place of a key's value in map, or of map when it has no such key. */
struct place field_place(const struct node *map, const char *key);
/* The text of a scalar; reports anything else as `what` and returns false. Null is an empty text. */
bool node_text(struct load *l, const struct node *node, const char *what, struct str *text);
/* True for a list; null is one without items. Reports anything else as `what`. */
bool node_is_list(struct load *l, const struct node *node, const char *what);
/* True for a mapping; null is one without keys. */
bool node_is_map(struct load *l, const struct node *node, const char *what);
/* The i-th item of a list of mappings; NULL after saying what else it is, `empty` of a null. */
const struct node *node_map_at(struct load *l, const struct node *list, size_t i, const char *what, const char *empty);
/* How many words "a|b|c" has before `text`; -1 when it is not one of them. */
int words_index(const char *words, struct str text);

/* Where and how a dump is written. */
struct dump {
    struct buf *out;
    int indent;
    bool dash;    /* the next line starts a list item */
    bool secrets; /* for hashing: show secrets, leave discovery out */
};

/* All supported fields that are not empty; nothing to show is nothing printed. */
void section_dump(struct dump *d, const struct section *s, const void *from);
/* "name:" alone, for something nested. */
void dump_name(struct dump *d, const char *name);
/* "name: value". */
void dump_text(struct dump *d, const char *name, const char *value);
/* "- value", one item of a list of texts. */
void dump_item(struct dump *d, struct str value);

#endif
