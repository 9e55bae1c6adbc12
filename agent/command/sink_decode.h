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
    uint64_t lines; /* JSON objects written */
};

/* Replaces out's contents by the decompressed body; out's maximum bounds it. */
bool sink_decompress(enum sink_encoding encoding, struct str body, struct buf *out,
                     struct err *err) MUSTCHECK;

/* Reads a whole request. Labels must be sorted by name, unique, UTF-8 and not empty; the buckets of histograms must be
   as many as their spans hold. To json (NULL: only counted) is appended a line per sample:

     {"labels":{...},"t":ms,"v":value}         value as json_add_value writes it
     {"labels":{...},"t":ms,"h":histogram}     as json_add_histogram
     ... "st":ms}                              the start timestamp, when there is one
     ... "exemplars":[{"labels":{...},"v":value,"t":ms},...]}    with the last sample of its series, or alone

   and with_metadata {"metadata":{"name":..,"type":..,"help":..,"unit":..}}. False with the reason when anything is
   wrong; json and counts are then as far as it got and should be thrown away. */
bool sink_decode(enum sink_message message, struct str raw, struct buf *json, bool with_metadata,
                 struct sink_counts *counts, struct err *err) MUSTCHECK;

#endif
