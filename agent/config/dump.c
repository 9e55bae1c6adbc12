/* SPDX-License-Identifier: Apache-2.0 */
/* dump: writes sections back as YAML by their field tables: for /config with secrets hidden, for the hashes
   with secrets in. */
#include <string.h>
#include <strings.h>

#include "base/units.h"
#include "http_fields.h"

static void line_start(struct dump *d)
{
    for (int i = 0; i < d->indent - (d->dash ? 2 : 0); i++)
        buf_add_char(d->out, ' ');
    if (d->dash)
        buf_add_c(d->out, "- ");
    d->dash = false;
}

/* Whether s reads as the same text without quotes: a name, a path or an address, no number or boolean. */
static bool is_bare(struct str s)
{
    static const char odd[] = "_./-:";
    bool digits_only = true;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && !(c >= '0' && c <= '9') && (c == '\0' || !strchr(odd, c)))
            return false;
        digits_only = digits_only && !letter;
    }
    bool ignored;
    bool is_null = s.n == 4 && strncasecmp(s.p, "null", 4) == 0;
    return s.n > 1 && !digits_only && !is_null && !strchr("-:.0123456789", s.p[0]) && s.p[s.n - 1] != ':' &&
           !units_parse_bool(s, &ignored);
}

static void add_value(struct dump *d, struct str s)
{
    if (is_bare(s))
        buf_add_str(d->out, s);
    else
        buf_add_json(d->out, s);
}

void dump_name(struct dump *d, const char *name)
{
    line_start(d);
    add_value(d, str_of(name));
    buf_add_c(d->out, ":\n");
}

static void dump_pair(struct dump *d, struct str key, struct str value)
{
    line_start(d);
    add_value(d, key);
    buf_add_c(d->out, ": ");
    add_value(d, value);
    buf_add_char(d->out, '\n');
}

void dump_text(struct dump *d, const char *name, const char *value)
{
    dump_pair(d, str_of(name), str_of(value));
}

void dump_item(struct dump *d, struct str value)
{
    line_start(d);
    buf_add_c(d->out, "- ");
    add_value(d, value);
    buf_add_char(d->out, '\n');
}

void config_show_url(struct buf *out, const char *url)
{
    hide_url(str_of(url), out);
}

static void dump_url(struct dump *d, const char *name, const char *url)
{
    struct buf shown;
    buf_init(&shown, (size_t)1 << 20);
    config_show_url(&shown, url);
    dump_text(d, name, d->secrets ? url : buf_c(&shown));
    buf_free(&shown);
}

static void dump_number(struct dump *d, const struct field *f, const void *from)
{
    uint64_t v = *(const uint64_t *)from;
    if (v == 0 && f->type != FIELD_DURATION)
        return;
    line_start(d);
    if (f->type == FIELD_DURATION) {
        char text[48];
        units_format_duration((int64_t)v, text);
        buf_addf(d->out, "%s: %s\n", f->name, text);
        return;
    }
    const char *unit = f->type == FIELD_COUNT ? "" : "B";
    static const char *const units[] = {"KB", "MB", "GB", "TB"};
    for (size_t i = 0; *unit && i < sizeof units / sizeof *units && v % 1024 == 0; i++) {
        v /= 1024;
        unit = units[i];
    }
    buf_addf(d->out, "%s: %llu%s\n", f->name, (unsigned long long)v, unit);
}

/* "name:" and the fields below it, or nothing when there are none. */
static void dump_nested(struct dump *d, const struct field *f, const char *from)
{
    size_t before = d->out->n;
    bool dash = d->dash;
    dump_name(d, f->name);
    size_t empty = d->out->n;
    d->indent += 2;
    section_dump(d, f->section, from);
    d->indent -= 2;
    if (d->out->n == empty) {
        d->out->n = before;
        d->dash = dash;
    }
}

static void dump_word(struct dump *d, const struct field *f, size_t index)
{
    struct str rest = str_of(f->words);
    for (size_t i = 0; i < index; i++)
        rest = str_skip(rest, str_find_char(rest, '|') + 1);
    struct str word = str_make(rest.p, str_find_char(rest, '|'));
    if (word.n > 0)
        dump_pair(d, str_of(f->name), word);
}

static void dump_field(struct dump *d, const struct field *f, const char *base)
{
    const void *from = base + f->at;
    const char *text;
    switch (f->type) {
    case FIELD_BOOL: /* false is what nobody asked for, unless there is a default */
        if (!*(const bool *)from && !f->standard)
            break;
        line_start(d);
        buf_addf(d->out, "%s: %s\n", f->name, *(const bool *)from ? "true" : "false");
        break;
    case FIELD_COUNT:
    case FIELD_SIZE:
    case FIELD_BYTES:
    case FIELD_BYTES_VM:
    case FIELD_DURATION:
        dump_number(d, f, from);
        break;
    case FIELD_NUMBER:
        if (*(const double *)from > 0) {
            line_start(d);
            buf_addf(d->out, "%s: ", f->name);
            buf_add_double(d->out, *(const double *)from);
            buf_add_char(d->out, '\n');
        }
        break;
    case FIELD_ENUM:
        if (f->has && !*(const bool *)(const void *)(base + f->has - 1))
            break;
        dump_word(d, f, *(const unsigned *)from);
        break;
    case FIELD_FLAG:
        dump_word(d, f, *(const bool *)from);
        break;
    case FIELD_SECTION:
        if (!f->has || *(const bool *)(const void *)(base + f->has - 1))
            dump_nested(d, f, from);
        break;
    case FIELD_OWN:
        if (f->show)
            f->show(d, f, from);
        break;
    default:
        text = *(char *const *)from;
        if (!text || (!*text && !f->standard))
            break;
        if (f->type == FIELD_URL)
            dump_url(d, f->name, text);
        else
            dump_text(d, f->name, f->type == FIELD_SECRET && !d->secrets ? "<secret>" : text);
    }
}

void section_dump(struct dump *d, const struct section *s, const void *from)
{
    for (size_t i = 0; i < s->fields_n; i++) {
        const struct field *f = &s->fields[i];
        if (f->status == FIELD_WORKS && !(d->secrets && f->discovery))
            dump_field(d, f, from);
    }
    if (s->more)
        section_dump(d, s->more, (const char *)from + s->more_at);
}

void dump_labels(struct dump *d, const char *name, const struct label *labels, size_t n)
{
    if (n == 0)
        return;
    dump_name(d, name);
    d->indent += 2;
    for (size_t i = 0; i < n; i++)
        dump_pair(d, labels[i].name, hide_label(labels[i].name) && !d->secrets ? STR("<secret>") : labels[i].value);
    d->indent -= 2;
}

void dump_relabel(struct dump *d, const struct field *f, const void *from)
{
    const struct relabel_rules *rules = *(struct relabel_rules *const *)from;
    if (!rules || relabel_count(rules) == 0)
        return;
    dump_name(d, f->name);
    if (d->secrets)
        relabel_dump(rules, d->indent, d->out);
    else
        relabel_dump_shown(rules, d->indent, d->out);
}

static void dump_list_start(struct dump *d, const char *name, size_t i)
{
    if (i == 0)
        buf_addf(d->out, "%s:\n", name);
    d->indent = 2;
    d->dash = true;
}

char *dump_config(const struct config *c, const struct global *g)
{
    struct buf out;
    buf_init(&out, (size_t)256 << 20);
    struct dump d = {.out = &out};
    buf_add_c(&out, "global:\n");
    d.indent = 2;
    section_dump(&d, &section_global, g);
    dump_labels(&d, "external_labels", c->external_labels, c->external_labels_n);
    for (size_t i = 0; i < c->jobs_n; i++) {
        dump_list_start(&d, "scrape_configs", i);
        section_dump(&d, &section_scrape, &c->jobs[i]);
    }
    for (size_t i = 0; i < c->remotes_n; i++) {
        dump_list_start(&d, "remote_write", i);
        section_dump(&d, &section_remote, &c->remotes[i]);
    }
    return buf_take(&out);
}
