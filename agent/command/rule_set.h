/* SPDX-License-Identifier: Apache-2.0 */
/* rule_set: rules chosen by their names on a command line. */
#ifndef OBSAGENT_COMMAND_RULE_SET_H
#define OBSAGENT_COMMAND_RULE_SET_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

/* Bit i for rule i. */
typedef uint64_t rule_set;
#define RULE_SET_ALL (~(rule_set)0)

/* "all", "none" or names with commas between; name(i) is that of rule i, for i < n <= 64. */
bool rule_set_parse(struct str text, const char *(*name)(size_t i), size_t n, rule_set *out, struct err *err) MUSTCHECK;

#endif
