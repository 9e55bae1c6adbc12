/* SPDX-License-Identifier: Apache-2.0 */
/* schema: a table of fields as a JSON Schema. */
#include "schema.h"

#include <string.h>

struct table {
    const struct schema_field *v;
    size_t n;
};

static size_t add_object(const struct table *t, size_t at, unsigned level, struct buf *out);

static void add_type(const struct schema_field *f, struct buf *out)
{
    buf_addf(out, f->or_null ? "\"type\":[\"%s\",\"null\"]" : "\"type\":\"%s\"", f->type);
    buf_add_c(out, ",\"description\":");
    buf_add_json(out, str_of(f->help));
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* The field at `at`; returns the first behind it and what is its own. */
static size_t add_field(const struct table *t, size_t at, struct buf *out)
{
    const struct schema_field *f = &t->v[at];
    bool deeper = at + 1 < t->n && t->v[at + 1].level > f->level;
    buf_add_char(out, '{');
    add_type(f, out);
    at++;
    if (is(f->type, "array"))
        buf_add_c(out, deeper ? ",\"items\":{\"type\":\"object\"" : ",\"items\":{\"type\":\"string\"");
    if (deeper && is(t->v[at].name, "*")) {
        buf_add_c(out, ",\"additionalProperties\":");
        at = add_field(t, at, out);
    } else if (deeper) {
        at = add_object(t, at, f->level + 1, out);
    }
    buf_add_c(out, is(f->type, "array") ? "}}" : "}");
    return at;
}

/* What is required and the properties, from `at` on as long as they are of this level. */
static size_t add_object(const struct table *t, size_t at, unsigned level, struct buf *out)
{
    const char *separator = "";
    buf_add_c(out, ",\"required\":[");
    for (size_t i = at; i < t->n && t->v[i].level >= level; i++) {
        if (t->v[i].level != level || t->v[i].optional)
            continue;
        buf_addf(out, "%s\"%s\"", separator, t->v[i].name);
        separator = ",";
    }
    buf_add_c(out, "],\"properties\":{");
    for (separator = ""; at < t->n && t->v[at].level == level; separator = ",") {
        buf_addf(out, "%s\n\"%s\":", separator, t->v[at].name);
        at = add_field(t, at, out);
    }
    buf_add_char(out, '}');
    return at;
}

void schema_write(const char *title, const struct schema_field *fields, size_t n, struct buf *out)
{
    const struct table t = {fields, n};
    buf_add_c(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n\"title\":");
    buf_add_json(out, str_of(title));
    buf_add_c(out, ",\"type\":\"object\"");
    add_object(&t, 0, 0, out);
    buf_add_c(out, "}\n");
}
