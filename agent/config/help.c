/* SPDX-License-Identifier: Apache-2.0 */
/* help: the field tables as text for people. */
#include <string.h>

#include "config_help.h"
#include "http_fields.h"
#include "sd_fields.h"

static const struct section *const sections[] = {
    &section_document, &section_global,        &section_scrape,     &section_static,  &section_file_sd,
    &section_relabel,  &section_remote,        &section_queue,      &section_metadata, &section_http,
    &section_headers,  &section_authorization, &section_basic_auth, &section_tls,     &section_included,
    &section_proxy,    &section_oauth2,    &section_sigv4,    &section_kubernetes_sd, &section_kubelet_sd,
    &section_http_sd,  &section_dns_sd,        &section_consul_sd, &section_docker_sd,
    &section_rule_tests, &section_rule_test,
};

/* Other names that people will look for. */
static const struct {
    const char *name;
    const struct section *section;
} aliases[] = {
    {"scrape_configs", &section_scrape},        {"static_configs", &section_static},
    {"file_sd_configs", &section_file_sd},      {"relabel_configs", &section_relabel},
    {"metric_relabel_configs", &section_relabel}, {"write_relabel_configs", &section_relabel},
    {"http", &section_http},                    {"headers", &section_headers},
    {"scrape_config_files", &section_included}, {"kubernetes_sd_configs", &section_kubernetes_sd},
    {"kubelet_sd_configs", &section_kubelet_sd}, {"http_sd_configs", &section_http_sd},
    {"dns_sd_configs", &section_dns_sd},         {"consul_sd_configs", &section_consul_sd},
    {"docker_sd_configs", &section_docker_sd},
};

static const char *type_name(const struct field *f)
{
    switch (f->type) {
    case FIELD_BOOL:
        return "bool";
    case FIELD_COUNT:
    case FIELD_NUMBER:
        return "number";
    case FIELD_SIZE:
    case FIELD_BYTES:
    case FIELD_BYTES_VM:
        return "size";
    case FIELD_DURATION:
        return "duration";
    case FIELD_TEXT:
        return "text";
    case FIELD_SECRET:
        return "secret";
    case FIELD_FILE:
    case FIELD_PATH:
        return "path";
    case FIELD_URL:
        return "url";
    case FIELD_WORD:
    case FIELD_ENUM:
    case FIELD_FLAG:
        return "word";
    case FIELD_SECTION:
        return "section";
    case FIELD_OWN:
        return f->section ? "list" : "";
    }
    return "";
}

static void help_field(const struct field *f, struct buf *out)
{
    buf_addf(out, "  %-34s %-9s", f->name, type_name(f));
    if (f->standard)
        buf_addf(out, " %-9s", f->standard);
    else
        buf_addf(out, " %-9s", "-");
    buf_addf(out, " %s", f->help);
    if (f->words && f->status != FIELD_LATER)
        buf_addf(out, " (%s)", *f->words == '|' ? f->words + 1 : f->words);
    if (f->status == FIELD_NO_EFFECT)
        buf_add_c(out, " [checked, no effect]");
    if (f->section)
        buf_addf(out, " [see %s]", f->section->name);
    buf_add_char(out, '\n');
}

/* The names with this status on wrapped lines. */
static void help_names(const struct section *s, enum field_status status, const char *title, struct buf *out)
{
    size_t column = 0;
    for (size_t i = 0; i < s->fields_n; i++) {
        const struct field *f = &s->fields[i];
        if (f->status != status)
            continue;
        if (column == 0)
            buf_addf(out, "  %s:\n   ", title);
        if (column > 80) {
            buf_add_c(out, "\n   ");
            column = 0;
        }
        column += strlen(f->name) + 1;
        buf_addf(out, " %s", f->name);
        if (f->words && *f->words) {
            column += strlen(f->words) + 7;
            buf_addf(out, " (only %s)", f->words);
        }
    }
    if (column > 0)
        buf_add_char(out, '\n');
}

static void section_help(const struct section *s, struct buf *out)
{
    buf_addf(out, "%s: %s\n", s->name, s->help);
    for (size_t i = 0; i < s->fields_n; i++)
        if (s->fields[i].status != FIELD_LATER && s->fields[i].status != FIELD_NEVER)
            help_field(&s->fields[i], out);
    if (s->more)
        buf_addf(out, "  and all fields of %s\n", s->more->name);
    help_names(s, FIELD_LATER, "Not supported yet", out);
    help_names(s, FIELD_NEVER, "Refused, because an agent cannot honour them", out);
}

static const struct section *find_section(const char *name)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++)
        if (strcmp(sections[i]->name, name) == 0)
            return sections[i];
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++)
        if (strcmp(aliases[i].name, name) == 0)
            return aliases[i].section;
    return NULL;
}

bool config_help(const char *section, struct buf *out)
{
    if (section) {
        const struct section *s = find_section(section);
        if (s)
            section_help(s, out);
        return s != NULL;
    }
    buf_addf(out,
             "Configuration is YAML with Prometheus's names. Columns: field, type, default, meaning.\n"
             "%%{NAME} is replaced by the environment variable everywhere; ${NAME} only in external_labels.\n"
             "Paths are relative to the file they stand in. Limits: files of %zu MiB, %d levels of nesting,\n"
             "%d keys of a mapping.\n",
             YAML_MAX_BYTES >> 20, YAML_MAX_DEPTH, YAML_MAX_KEYS);
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        buf_add_char(out, '\n');
        section_help(sections[i], out);
    }
    return true;
}

void config_help_each(void (*fn)(void *ctx, const struct config_help_line *line), void *ctx)
{
    for (size_t i = 0; i < sizeof sections / sizeof *sections; i++) {
        const struct section *s = sections[i];
        fn(ctx, &(struct config_help_line){.is_section = true, .name = s->name, .help = s->help,
                                           .see = s->more ? s->more->name : NULL});
        for (size_t k = 0; k < s->fields_n; k++) {
            const struct field *f = &s->fields[k];
            const char *words = f->words && *f->words == '|' ? f->words + 1 : f->words;
            if (f->status == FIELD_LATER || f->status == FIELD_NEVER)
                continue;
            fn(ctx, &(struct config_help_line){.name = f->name, .help = f->help, .type = type_name(f),
                                               .standard = f->standard, .words = words,
                                               .see = f->section ? f->section->name : NULL,
                                               .no_effect = f->status == FIELD_NO_EFFECT});
        }
    }
}
