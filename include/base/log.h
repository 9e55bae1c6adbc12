/* SPDX-License-Identifier: Apache-2.0 */
/* log: lines for the operator, as logfmt or JSON on stderr, throttled by key. */
#ifndef OBSAGENT_BASE_LOG_H
#define OBSAGENT_BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Both may be called at any time from any thread. Names: debug info warn error; logfmt json.
   False for an unknown name. */
bool log_set_level(const char *name);
bool log_set_format(const char *name);
bool log_enabled(enum log_level level);

/* One line: time, level, component, message. Messages are one sentence without a trailing dot; values from
   outside go in with %.*s and are escaped by the writer. Thread-safe; one write(2) a line; lines are cut at
   4 KiB. Secrets must not be passed. A message that starts with "BUG: " reports a broken invariant. */
void log_at(enum log_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same, at most once a minute for each key (e.g. hash of target and error class). The next line that
   passes says how many were held back. */
void log_throttled(uint64_t key, enum log_level level, const char *component, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#define log_debug(component, ...) \
    do { \
        if (log_enabled(LOG_DEBUG)) \
            log_at(LOG_DEBUG, component, __VA_ARGS__); \
    } while (0)
#define log_info(component, ...) log_at(LOG_INFO, component, __VA_ARGS__)
#define log_warn(component, ...) log_at(LOG_WARN, component, __VA_ARGS__)
#define log_error(component, ...) log_at(LOG_ERROR, component, __VA_ARGS__)

/* How many lines of a level were asked for since start, throttled ones included (for /metrics). */
uint64_t log_count(enum log_level level);

#endif
