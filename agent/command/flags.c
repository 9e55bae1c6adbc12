/* SPDX-License-Identifier: Apache-2.0 */
/* flags: the command line, read through one table per command. */
#include "flags.h"

#include "base/alloc.h"
#include "base/err.h"
#include "base/str.h"
#include "base/units.h"
#include "flags_help.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void list_push(struct flag_list *list, char *owned)
{
    list->v = xgrow(list->v, &list->cap, list->n + 1, sizeof *list->v);
    list->v[list->n++] = owned;
}

/* How many characters a quoted or bracketed part has that begins at p, 1 when it is not closed. */
static size_t protected_part(const char *p)
{
    static const char opens[] = "\"'[{(", closes[] = "\"']})";
    const char *which = strchr(opens, *p);
    size_t n = 1;
    if (!which)
        return 1;
    while (p[n] && p[n] != closes[which - opens])
        n += p[n] == '\\' && p[n + 1] ? 2 : 1;
    return p[n] ? n + 1 : 1;
}

/* Quotes around the whole item go, and the backslashes that they made needed. */
static char *unquoted(struct str item)
{
    char *out = str_dup(item);
    if (item.n < 2 || (item.p[0] != '"' && item.p[0] != '\'') || protected_part(out) != item.n)
        return out;
    size_t n = 0;
    for (size_t i = 1; i + 1 < item.n; i++) {
        if (item.p[i] == '\\' && (item.p[i + 1] == '\\' || item.p[i + 1] == item.p[0]))
            i++;
        out[n++] = item.p[i];
    }
    out[n] = '\0';
    return out;
}

/* vmagent's arrays: commas part the values, except within quotes and brackets: a,"b,c",{d,e} are three. */
static void list_push_csv(struct flag_list *list, const char *value)
{
    const char *start = value;
    for (const char *p = value;;) {
        if (*p != '\0' && *p != ',') {
            p += protected_part(p);
            continue;
        }
        list_push(list, unquoted(str_make(start, (size_t)(p - start))));
        if (*p == '\0')
            return;
        start = ++p;
    }
}

static bool parse_size(struct str s, uint64_t *out, struct err *err)
{
    return units_parse_u64(s, out) || units_parse_size(s, out, err);
}

static bool flag_set(const struct flag *flag, const char *value, struct err *err)
{
    struct str s = str_of(value);
    switch (flag->kind) {
    case FLAG_BOOL:
        return units_parse_bool(s, flag->target) || err_set(err, "\"%s\" is not true or false", value);
    case FLAG_STRING:
    case FLAG_OPTIONAL:
        *(const char **)flag->target = value;
        return true;
    case FLAG_LIST:
        list_push(flag->target, str_dup(s));
        return true;
    case FLAG_CSV:
        list_push_csv(flag->target, value);
        return true;
    case FLAG_U64:
        return units_parse_u64(s, flag->target) || err_set(err, "\"%s\" is not a whole number", value);
    case FLAG_DURATION:
        return units_parse_duration_vm(s, flag->target, err);
    case FLAG_SIZE:
        return parse_size(s, flag->target, err);
    }
    return err_set(err, "BUG: unknown kind of flag");
}

static const struct flag *flag_find(const struct flag_command *command, struct str name)
{
    for (size_t i = 0; i < command->flags_n; i++) {
        if (str_eq_c(name, command->flags[i].name))
            return &command->flags[i];
    }
    return NULL;
}

size_t flags_likeness(struct str a, struct str b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    size_t head = 0, tail = 0;
    while (head < n && a.p[head] == b.p[head])
        head++;
    while (tail < n - head && a.p[a.n - 1 - tail] == b.p[b.n - 1 - tail])
        tail++;
    return head + tail;
}

static void report_unknown(const struct flag_command *command, struct str name)
{
    const char *best = NULL;
    size_t best_likeness = name.n / 2;
    for (size_t i = 0; i < command->flags_n; i++) {
        size_t l = flags_likeness(name, str_of(command->flags[i].name));
        if (l > best_likeness) {
            best_likeness = l;
            best = command->flags[i].name;
        }
    }
    fprintf(stderr, "unknown flag --%.*s", STR_ARG(name));
    if (best)
        fprintf(stderr, ", did you mean --%s?", best);
    fprintf(stderr, " (--help lists all)\n");
}

/* Splits "-name=value" or "--name=value"; value is NULL without '='. */
static struct str split_flag(const char *arg, const char **value)
{
    const char *name = arg + (arg[1] == '-' ? 2 : 1);
    const char *eq = strchr(name, '=');
    *value = eq ? eq + 1 : NULL;
    return str_make(name, eq ? (size_t)(eq - name) : strlen(name));
}

static bool looks_like_flag(const char *arg)
{
    return arg[0] == '-' && arg[1] != '\0' && !(arg[1] >= '0' && arg[1] <= '9');
}

/* Takes the flag at argv[i]; *used says how many words it took. */
static enum flag_outcome take_flag(const struct flag_command *command, int argc, char **argv, int i, int *used)
{
    struct err err = {0};
    const char *value;
    struct str name = split_flag(argv[i], &value);
    *used = 1;
    if (str_eq_c(name, "help") || str_eq_c(name, "h")) {
        if (flags_help(command, value))
            return FLAGS_HELP;
        fprintf(stderr, "--help: \"%s\" is not text, man, bash or zsh\n", value);
        return FLAGS_USAGE;
    }
    const struct flag *flag = flag_find(command, name);
    if (!flag) {
        report_unknown(command, name);
        return FLAGS_USAGE;
    }
    if (!value && (flag->kind == FLAG_BOOL || (flag->kind == FLAG_CSV && !flag->arg))) {
        value = "true";
    } else if (!value && flag->kind == FLAG_OPTIONAL) {
        value = "";
    } else if (!value) {
        if (i + 1 >= argc) {
            fprintf(stderr, "--%s needs a value: %s\n", flag->name, flag->arg ? flag->arg : "value");
            return FLAGS_USAGE;
        }
        value = argv[i + 1];
        *used = 2;
    }
    if (!flag_set(flag, value, &err)) {
        fprintf(stderr, "--%s: %s\n", flag->name, err.msg);
        return FLAGS_USAGE;
    }
    return FLAGS_OK;
}

enum flag_outcome flags_parse(const struct flag_command *command, int argc, char **argv, int *positional_n)
{
    int positional = 0;
    bool only_positional = false;
    for (int i = 1; i < argc;) {
        if (!only_positional && strcmp(argv[i], "--") == 0) {
            only_positional = true;
            i++;
        } else if (only_positional || !looks_like_flag(argv[i])) {
            argv[++positional] = argv[i++];
        } else {
            int used = 1;
            enum flag_outcome outcome = take_flag(command, argc, argv, i, &used);
            if (outcome != FLAGS_OK)
                return outcome;
            i += used;
        }
    }
    *positional_n = positional;
    return FLAGS_OK;
}

static bool stands_in_argv(const struct flag *flag, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *value;
        if (strcmp(argv[i], "--") == 0)
            return false;
        if (looks_like_flag(argv[i]) && str_eq_c(split_flag(argv[i], &value), flag->name))
            return true;
    }
    return false;
}

enum flag_outcome flags_from_env(const struct flag_command *command, int argc, char **argv, const char *prefix)
{
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *flag = &command->flags[i];
        struct err err = {0};
        char *name = xasprintf("%s%s", prefix, flag->name);
        for (char *p = name; *p; p++) {
            if (*p == '.')
                *p = '_';
        }
        const char *value = stands_in_argv(flag, argc, argv) ? NULL : getenv(name);
        bool good = !value || flag_set(flag, value, &err);
        if (!good)
            fprintf(stderr, "environment variable %s: %s\n", name, err.msg);
        free(name);
        if (!good)
            return FLAGS_USAGE;
    }
    return FLAGS_OK;
}

static bool is_secret(const struct flag *f, const char *const *secrets)
{
    for (; *secrets; secrets++) {
        if (strcmp(f->name, *secrets) == 0)
            return true;
    }
    return false;
}

static void json_list(const struct flag_list *list, bool secret, struct buf *out)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    for (size_t i = 0; i < list->n; i++)
        buf_addf(&text, "%s%s", i ? "," : "", secret ? "<secret>" : list->v[i]);
    buf_add_json(out, buf_str(&text));
    buf_free(&text);
}

static void json_value(const struct flag *f, bool secret, struct buf *out)
{
    char text[48];
    switch (f->kind) {
    case FLAG_BOOL:
        buf_add_c(out, *(bool *)f->target ? "\"true\"" : "\"false\"");
        break;
    case FLAG_STRING:
    case FLAG_OPTIONAL: {
        const char *value = *(const char **)f->target;
        buf_add_json(out, str_of(!value ? "" : secret && value[0] ? "<secret>" : value));
        break;
    }
    case FLAG_LIST:
    case FLAG_CSV:
        json_list(f->target, secret, out);
        break;
    case FLAG_DURATION:
        units_format_duration(*(int64_t *)f->target, text);
        buf_addf(out, "\"%s\"", text);
        break;
    case FLAG_U64:
    case FLAG_SIZE:
        buf_addf(out, "\"%llu\"", (unsigned long long)*(uint64_t *)f->target);
        break;
    }
}

void flags_json(const struct flag_command *command, const char *const *secrets, struct buf *out)
{
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        buf_add_char(out, i ? ',' : '{');
        buf_add_json(out, str_of(f->name));
        buf_add_char(out, ':');
        json_value(f, is_secret(f, secrets), out);
    }
    buf_add_c(out, command->flags_n ? "}" : "{}");
}

void flags_free(const struct flag_command *command)
{
    for (size_t i = 0; i < command->flags_n; i++) {
        const struct flag *f = &command->flags[i];
        if (f->kind != FLAG_LIST && f->kind != FLAG_CSV)
            continue;
        struct flag_list *list = f->target;
        for (size_t k = 0; k < list->n; k++)
            free(list->v[k]);
        free(list->v);
        *list = (struct flag_list){0};
    }
}
