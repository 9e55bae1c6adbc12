/* SPDX-License-Identifier: Apache-2.0 */
/* sink_decode: remote-write messages read as a strict receiver reads them, and written out as NDJSON. */
#ifndef OBSAGENT_COMMAND_SINK_DECODE_H
#define OBSAGENT_COMMAND_SINK_DECODE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

enum sink_message { SINK_RW1, SINK_RW2 };
enum sink_encoding { SINK_SNAPPY, SINK_ZSTD };

struct sink_counts {
    uint64_t series, samples, histograms, exemplars, metadata;
};

/* Replaces out's contents by the decompressed body; out's maximum bounds it. */
bool sink_decompress(enum sink_encoding encoding, struct str body, struct buf *out,
                     struct err *err) MUSTCHECK;

/* Reads a whole request. Labels must be sorted by name, unique, UTF-8 and not empty. One JSON object per
   sample is appended to json (NULL: only counted). False with the reason when anything is wrong; json and
   counts are then as far as it got and should be thrown away. */
bool sink_decode(enum sink_message message, struct str raw, struct buf *json, struct sink_counts *counts,
                 struct err *err) MUSTCHECK;

#endif
