/* SPDX-License-Identifier: Apache-2.0 */
/* dead: requests that were set aside, as files that can be posted again as they are. */
#ifndef OBSAGENT_REMOTE_DEAD_H
#define OBSAGENT_REMOTE_DEAD_H

#include "base/err.h"
#include "base/str.h"
#include "protocol.h"

#include <stdint.h>

#define DEAD_FILES_MAX 100
#define DEAD_BYTES_MAX (10 * 1024 * 1024)

/* Writes body (a compressed request; the file's name tells which) to a new file in dir, which is made when missing.
   The oldest files go when there are more than DEAD_FILES_MAX or DEAD_BYTES_MAX afterwards; other files in dir are left
   alone. */
bool dead_put(const char *dir, const char *endpoint, int64_t wall_ms, enum protocol protocol, struct str body,
              struct err *err) MUSTCHECK;

#endif
