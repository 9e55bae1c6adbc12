/* SPDX-License-Identifier: Apache-2.0 */
/* memory: what an endpoint has found out about its receiver, kept over a restart in a small file of the storage
   directory: JSON, {"version":1,"endpoint":name,"key":"hex","protocol":"rw2","confirmed":true,"probe_ms":0,
   "max_request_bytes":0,"learned_ms":0}. It belongs to a URL: another key is another receiver. */
#ifndef OBSAGENT_REMOTE_MEMORY_H
#define OBSAGENT_REMOTE_MEMORY_H

#include "base/err.h"
#include "protocol.h"

struct memory {
    uint64_t key; /* endpoint_key */
    enum protocol protocol;
    bool confirmed;
    int64_t probe_ms;
    uint64_t max_request_bytes; /* learned from 413s; 0 = none */
    int64_t learned_ms;         /* when, wall clock */
};

/* False when there is none, none for this key, or none that can be read; then err is set when there is a file. */
bool memory_read(const char *dir, const char *endpoint, uint64_t key, struct memory *out, struct err *err) MUSTCHECK;
bool memory_write(const char *dir, const char *endpoint, const struct memory *m, struct err *err) MUSTCHECK;

#endif
