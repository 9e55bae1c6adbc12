/* SPDX-License-Identifier: Apache-2.0 */
/* series_write: the text of a series, for the formats that have none; exposition_parse_series reads it. */
#ifndef OBSAGENT_SCRAPE_PARSE_SERIES_WRITE_H
#define OBSAGENT_SCRAPE_PARSE_SERIES_WRITE_H

#include "base/buf.h"
#include "base/str.h"

/* Appends text as it stands between quotes: \\ \" \n. */
void series_write_escaped(struct buf *out, struct str text);
/* Appends `name="value"`, the name quoted when it is not a legacy one, with a comma before it unless out is
   empty. */
void series_write_label(struct buf *out, struct str name, struct str value);
/* Appends a whole series: name and suffix bare when `legacy`, else quoted as the first thing between the braces;
   `labels` and `last` are written labels or empty. `name` is already escaped. */
void series_write(struct buf *out, struct str name, bool legacy, struct str suffix, struct str labels, struct str last);
/* Appends v in the fewest digits that read back as v, as Go's strconv writes with 'g': 0.5, 1, 100000, 1e+06, +Inf.
   This is what client libraries write as le in text. */
void series_write_number(struct buf *out, double v);

#endif
