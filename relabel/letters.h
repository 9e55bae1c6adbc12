/* SPDX-License-Identifier: Apache-2.0 */
/* letters: Unicode's simple case mapping, the same on every machine whatever locales it has. */
#ifndef OBSAGENT_RELABEL_LETTERS_H
#define OBSAGENT_RELABEL_LETTERS_H

#include "text.h"

#include <stdint.h>

/* The code point that c becomes, c itself when it has no such form. */
uint32_t letters_map(uint32_t c, bool upper);
/* Appends s mapped; a byte that is not UTF-8 becomes U+FFFD, as Go's strings.ToUpper has it. */
void letters_add(struct text *out, struct str s, bool upper);

#endif
