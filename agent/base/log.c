/* SPDX-License-Identifier: Apache-2.0 */
/* log: lines for the operator, as logfmt or JSON on stderr, throttled by key. */
#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 4096
#define MESSAGE_MAX LINE_MAX_BYTES
#define THROTTLE_SLOTS 512
#define THROTTLE_MS 60000

static const char *const LEVELS[] = {"debug", "info", "warn", "error"};
static const char *const LEVELS_VM[] = {"DEBUG", "INFO", "WARN", "ERROR"};

static atomic_int level_min = LOG_INFO;
static atomic_bool as_json;
static atomic_ullong counts[LOG_ERROR + 1];

/* A key lives in the slot its value points at; another key that falls there takes the slot over, which can only let a
   line through too early. */
struct throttle_slot {
    uint64_t key;
    int64_t next_ms;
    uint64_t held;
};
static struct throttle_slot slots[THROTTLE_SLOTS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

bool log_set_level(const char *name)
{
    for (int i = 0; i <= LOG_ERROR; i++) {
        if (strcmp(name, LEVELS[i]) == 0 || strcmp(name, LEVELS_VM[i]) == 0) {
            atomic_store(&level_min, i);
            return true;
        }
    }
    return false;
}

bool log_set_format(const char *name)
{
    bool json = strcmp(name, "json") == 0;
    if (!json && strcmp(name, "logfmt") != 0)
        return false;
    atomic_store(&as_json, json);
    return true;
}

bool log_enabled(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&level_min, memory_order_relaxed);
}

/* How much of the text to keep so that a cut at n does not leave the beginning of a character. */
static size_t cut_utf8(const char *text, size_t n)
{
    size_t lead = n;
    while (lead > 0 && n - lead < 3 && ((unsigned char)text[lead - 1] & 0xc0) == 0x80)
        lead--;
    bool begins = lead > 0 && (unsigned char)text[lead - 1] >= 0xc0;
    return begins && str_utf8_step(str_make(text + lead - 1, n - lead + 1)) == 0 ? lead - 1 : n;
}

/* How much of the inside of a JSON string fits into `room` bytes, no escape and no character cut. */
static size_t cut_json(struct str s, size_t room)
{
    size_t n = 0;
    if (s.n <= room)
        return s.n;
    for (;;) {
        size_t unit = s.p[n] != '\\' ? str_utf8_step(str_skip(s, n)) : s.p[n + 1] == 'u' ? 6 : 2;
        if (n + unit > room)
            return n;
        n += unit;
    }
}

static void write_line(enum log_level level, const char *component, struct str message, const char *note)
{
    char ts[32];
    struct buf b, text;
    bool json = atomic_load(&as_json);
    const char *tail = json ? "\"}\n" : "\"\n";
    buf_init(&b, LINE_MAX_BYTES);
    buf_init(&text, MESSAGE_MAX * 6 + 2);
    clock_format_rfc3339(clock_wall_ms(), ts);
    buf_addf(&b,
             json ? "{\"ts\":\"%s\",\"level\":\"%s\",\"component\":\"%s\",\"msg\":\""
                  : "ts=%s level=%s component=%s msg=\"",
             ts, LEVELS[level], component);
    buf_add_json(&text, message);
    struct str inside = str_make(text.p + 1, text.n - 2);
    buf_add(&b, inside.p, cut_json(inside, LINE_MAX_BYTES - b.n - strlen(note) - strlen(tail)));
    buf_add_c(&b, note);
    buf_add_c(&b, tail);
    ssize_t ignored = write(STDERR_FILENO, b.p, b.n);
    (void)ignored; /* nobody is left to tell */
    buf_free(&text);
    buf_free(&b);
}

static void log_v(enum log_level level, const char *component, const char *note, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void log_v(enum log_level level, const char *component, const char *note, const char *fmt, va_list ap)
{
    char text[MESSAGE_MAX];
    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t used = n < 0 ? 0 : (size_t)n;
    if (used >= sizeof text)
        used = cut_utf8(text, sizeof text - 1);
    write_line(level, component, str_make(text, used), note);
}

void log_at(enum log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;
    atomic_fetch_add(&counts[level], 1);
    if (!log_enabled(level))
        return;
    va_start(ap, fmt);
    log_v(level, component, "", fmt, ap);
    va_end(ap);
}

/* True when the line may pass; *held is how many did not since the last one. */
static bool throttle_pass(uint64_t key, uint64_t *held)
{
    int64_t now = clock_mono_ms();
    pthread_mutex_lock(&slots_lock);
    struct throttle_slot *slot = &slots[key % THROTTLE_SLOTS];
    bool pass = slot->key != key || slot->next_ms == 0 || now >= slot->next_ms;
    *held = slot->key == key ? slot->held : 0;
    if (pass)
        *slot = (struct throttle_slot){.key = key, .next_ms = now + THROTTLE_MS};
    else
        slot->held++;
    pthread_mutex_unlock(&slots_lock);
    return pass;
}

void log_throttled(uint64_t key, enum log_level level, const char *component, const char *fmt, ...)
{
    va_list ap;
    uint64_t held;
    char note[64] = "";
    atomic_fetch_add(&counts[level], 1);
    if (!log_enabled(level) || !throttle_pass(key, &held))
        return;
    if (held)
        snprintf(note, sizeof note, " (%llu more like it held back)", (unsigned long long)held);
    va_start(ap, fmt);
    log_v(level, component, note, fmt, ap);
    va_end(ap);
}

uint64_t log_count(enum log_level level)
{
    return atomic_load(&counts[level]);
}
