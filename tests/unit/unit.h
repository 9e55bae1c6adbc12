/* SPDX-License-Identifier: Apache-2.0 */
/* unit: what every unit test includes. */
#ifndef OBSAGENT_TESTS_UNIT_H
#define OBSAGENT_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROWS(table) (sizeof(table) / sizeof((table)[0]))

#endif
