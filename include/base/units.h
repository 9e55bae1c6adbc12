/* SPDX-License-Identifier: Apache-2.0 */
/* units: durations and sizes as configuration writes them. */
#ifndef OBSAGENT_BASE_UNITS_H
#define OBSAGENT_BASE_UNITS_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Prometheus durations: "1h30m", "15s", "500ms", "1d", "2w", "1y", units in falling order, or "0".
   Source: prometheus/common model.ParseDuration: y w d h m s ms, each at most once, overflow refused. */
bool units_parse_duration(struct str s, int64_t *ms, struct err *err) MUSTCHECK;
/* vmagent's superset: also fractions ("1.5s") and bare seconds ("15"). */
bool units_parse_duration_vm(struct str s, int64_t *ms, struct err *err) MUSTCHECK;
/* "64MB", "1GiB", "512KB", "100B": a unit is needed except for 0. As in Prometheus, KB and KiB both are 1024. */
bool units_parse_size(struct str s, uint64_t *bytes, struct err *err) MUSTCHECK;
/* As vmagent's flags take sizes: a bare number is bytes, KB is 1000 and KiB is 1024, any case. */
bool units_parse_size_vm(struct str s, uint64_t *bytes) MUSTCHECK;
/* The shortest Prometheus form: 90000 -> "1m30s", 0 -> "0s". */
void units_format_duration(int64_t ms, char out[48]);
/* For humans: "12.3 MiB". */
void units_format_size(uint64_t bytes, char out[32]);
/* A decimal integer that fits, nothing before or after it. */
bool units_parse_u64(struct str s, uint64_t *v) MUSTCHECK;
bool units_parse_i64(struct str s, int64_t *v) MUSTCHECK;
/* "true"/"false" and YAML 1.1's other words for them (yes no on off), any of the usual cases. */
bool units_parse_bool(struct str s, bool *v) MUSTCHECK;

#endif
