/* SPDX-License-Identifier: Apache-2.0 */
/* report_schema: what stands in the report's JSON, as a JSON Schema. Within a schema version fields are added, never
   renamed, taken away or given another meaning. */
#include "report.h"

#include <string.h>

#define OPTIONAL true
#define NULLABLE "null"

/* One field; those right behind it that are a level deeper are its own, or those of each item of an array. */
struct field {
    unsigned level;
    const char *name; /* "*": of any name */
    const char *type;
    const char *or_null;
    bool optional; /* only with the flag that help names */
    const char *help;
};

/* What a rule did. */
#define STEP(level)                                                                                \
    {level, "rule", "integer", NULL, false, "its number, from 1"},                                 \
        {level, "line", "integer", NULL, false, "of the configuration; 0: unknown"},               \
        {level, "text", "string", NULL, false, "the rule on one line"},                            \
        {level, "changed", "boolean", NULL, false, "whether the labels are others than before"},   \
        {level, "kept", "boolean", NULL, false, "false: it dropped them"},                         \
        {level, "labels", "object", NULL, false, "those behind it"}, {level + 1, "*", "string", NULL, false, "value"}

static const struct field FIELDS[] = {
    {0, "schema_version", "integer", NULL, false, "1; it rises when a field goes or changes its meaning"},
    {0, "target", "string", NULL, false, "URL, file or \"-\", without secrets"},
    {0, "result", "string", NULL, false, "good, failed or findings"},
    {0, "exit_code", "integer", NULL, false, "0 good, 1 failed, 3 findings: of this target alone"},
    {0, "error", "string", NULL, false, "why the agent would take nothing of this scrape; empty: it would"},
    {0, "status", "integer", NULLABLE, false, "HTTP status; null: there was no answer, or a file was read"},
    {0, "content_type", "string", NULLABLE, false, "as the server sent it, empty when it sent none"},
    {0, "content_encoding", "string", NULLABLE, false, "gzip, zstd, or empty"},
    {0, "type_verdict", "string", NULLABLE, false,
     "good; fallback: the job's fallback_scrape_protocol makes up for it; refused: the scrape fails"},
    {0, "type_message", "string", NULLABLE, false, "what the agent says of a type that is not good"},
    {0, "protocol", "string", NULLABLE, false, "in which the body was read, as in scrape_protocols"},
    {0, "set_fallback_scrape_protocol", "string", NULLABLE, false, "what the body looks like when its type is refused"},
    {0, "words", "string", NULLABLE, false, "the beginning of the body of a status other than 200"},
    {0, "times", "object", NULL, false, "seconds; 0 of steps that there were not"},
    {1, "dns", "number", NULL, false, "looking up the name"},
    {1, "connect", "number", NULL, false, "connecting, after that"},
    {1, "tls", "number", NULL, false, "agreeing on TLS, after that"},
    {1, "first_byte", "number", NULL, false, "until the answer began, from the start"},
    {1, "total", "number", NULL, false, "until the answer was complete, from the start"},
    {0, "wire_bytes", "integer", NULL, false, "bytes of the body as received"},
    {0, "raw_bytes", "integer", NULL, false, "bytes of the body unpacked"},
    {0, "samples", "integer", NULL, false, "samples exposed"},
    {0, "samples_after_relabeling", "integer", NULL, false, "left by metric_relabel_configs; 0 of a failed scrape"},
    {0, "series", "integer", NULL, false, "different series exposed"},
    {0, "families", "integer", NULL, false, "metric families with samples"},
    {0, "histograms", "integer", NULL, false, "samples that are native histograms"},
    {0, "exemplars", "integer", NULL, false, "exemplars exposed"},
    {0, "with_timestamp", "integer", NULL, false, "samples with an own timestamp"},
    {0, "limits", "object", NULL, false, "by the setting's name: scrape_timeout (seconds), sample_limit ..."},
    {1, "*", "object", NULL, false, "one limit"},
    {2, "used", "number", NULL, false, "what this scrape had"},
    {2, "limit", "number", NULLABLE, false, "null: none is set"},
    {2, "exceeded", "boolean", NULL, false, "whether the agent would refuse the scrape for it, or leave series out"},
    {0, "estimate", "object", NULLABLE, false, "null when the agent would take nothing"},
    {1, "interval_seconds", "number", NULL, false, "how often it is scraped"},
    {1, "samples_per_scrape", "integer", NULL, false, "sent, the agent's own series of the target among them"},
    {1, "bytes_per_day", "object", NULL, false, "of this target alone, packed, without HTTP headers"},
    {2, "rw1", "number", NULL, false, "remote write 1.0"},
    {2, "rw2", "number", NULL, false, "remote write 2.0"},
    {2, "vm", "number", NULL, false, "VictoriaMetrics's remote write with zstd"},
    {2, "disk", "number", NULL, false, "in the buffer, while a receiver is away"},
    {0, "errors", "integer", NULL, false, "all errors of the exposition"},
    {0, "first_errors", "array", NULL, false, "as many as --max-errors"},
    {1, "line", "integer", NULL, false, "from 1; of protobuf the number of the metric family"},
    {1, "column", "integer", NULL, false, "from 1; of protobuf the byte in the body, from 0"},
    {1, "why", "string", NULL, false, "what is wrong"},
    {1, "text", "string", NULL, false, "the line; of a long one what is near the place"},
    {0, "duplicates", "integer", NULL, false, "samples whose series was there before"},
    {0, "first_duplicates", "array", NULL, false, "as many as --max-errors"},
    {1, "line", "integer", NULL, false, "where it stands again"},
    {1, "first_line", "integer", NULL, false, "where it stood first"},
    {1, "series", "string", NULL, false, "as exposed"},
    {0, "load", "object", NULLABLE, false, "of --repeat; null without"},
    {1, "requests", "integer", NULL, false, "how many were sent"},
    {1, "concurrency", "integer", NULL, false, "how many at once"},
    {1, "failed", "integer", NULL, false, "those without a whole answer of status 200"},
    {1, "wire_bytes", "integer", NULL, false, "bytes of all bodies"},
    {1, "first_error", "string", NULLABLE, false, "of the first that failed"},
    {1, "seconds", "number", NULL, false, "from the first request to the last answer"},
    {1, "p50", "number", NULL, false, "seconds that half of the good answers did not exceed"},
    {1, "p90", "number", NULL, false, "the same of 90 %"},
    {1, "p99", "number", NULL, false, "the same of 99 %"},
    {1, "max", "number", NULL, false, "seconds of the slowest good answer"},
    {0, "findings", "object", NULL, OPTIONAL, "what is wrong or strange though it can be read, by rule"},
    {1, "problems", "integer", NULL, false, "they make the exit code 3"},
    {1, "hints", "integer", NULL, false, "they do not"},
    {1, "rules", "array", NULL, false, "those that found something; obsagent scrape --lint=list lists all"},
    {2, "rule", "string", NULL, false, "its name"},
    {2, "level", "string", NULL, false, "problem or hint"},
    {2, "count", "integer", NULL, false, "how many it found"},
    {2, "first", "array", NULL, false, "as many as --max-errors"},
    {3, "line", "integer", NULL, false, "where, as in first_errors; 0: nowhere"},
    {3, "other_line", "integer", NULL, false, "what it disagrees with; 0: nothing"},
    {3, "subject", "string", NULL, false, "a series, a family, a label; may be cut or empty"},
    {3, "why", "string", NULL, false, "what is wrong, in words"},
    {1, "not_looked_at", "array", NULL, false, "what was too much to be remembered, in words"},
    {0, "cardinality", "object", NULL, OPTIONAL, "--cardinality: where series come from"},
    {1, "series", "integer", NULL, false, "different ones"},
    {1, "metrics", "integer", NULL, false, "families with series"},
    {1, "labels", "integer", NULL, false, "different names of labels"},
    {1, "bytes_per_sample", "number", NULL, false, "of the body unpacked"},
    {1, "wire_bytes_per_sample", "number", NULL, false, "of the body as received"},
    {1, "exact", "boolean", NULL, false, "false: values and series_without are estimates"},
    {1, "top_metrics", "array", NULL, false, "those with most series, as many as --top"},
    {2, "name", "string", NULL, false, "of the family"},
    {2, "series", "integer", NULL, false, "different ones"},
    {2, "bytes", "integer", NULL, false, "of the texts of its series"},
    {2, "labels", "array", NULL, false, "the three with most values"},
    {3, "name", "string", NULL, false, "of the label"},
    {3, "values", "integer", NULL, false, "different ones in this family"},
    {1, "top_labels", "array", NULL, false, "those with most values, as many as --top"},
    {2, "name", "string", NULL, false, "of the label"},
    {2, "series", "integer", NULL, false, "that have it"},
    {2, "bytes", "integer", NULL, false, "of its names and values in all series"},
    {2, "values", "integer", NULL, false, "different ones"},
    {2, "series_without", "integer", NULL, false, "different series if the label went"},
    {0, "contract", "object", NULL, OPTIONAL, "--expect, --save, --twice: families, their types and names of labels"},
    {1, "error", "string", NULL, false, "why nothing was compared or saved"},
    {1, "complete", "boolean", NULL, false, "false: there were too many families or labels for all to be compared"},
    {1, "differences", "integer", NULL, false, "from --expect"},
    {1, "first_differences", "array", NULL, false, "as many as --max-errors"},
    {2, "kind", "string", NULL, false, "family_gone, family_new, type_changed, label_gone, label_new"},
    {2, "family", "string", NULL, false, "as the text format names it"},
    {2, "label", "string", NULLABLE, false, "the label's name; null of families and types"},
    {2, "was", "string", NULLABLE, false, "the expected type; null of a new family"},
    {2, "now", "string", NULLABLE, false, "the type; null of a family that is gone"},
    {1, "changes", "integer", NULL, false, "between the two scrapes of --twice"},
    {1, "first_changes", "array", NULL, false, "as many as --max-errors"},
    {2, "kind", "string", NULL, false, "as in first_differences"},
    {2, "family", "string", NULL, false, "as the text format names it"},
    {2, "label", "string", NULLABLE, false, "the label's name; null of families and types"},
    {2, "was", "string", NULLABLE, false, "the type in the first scrape; null of a new family"},
    {2, "now", "string", NULLABLE, false, "the type in the second; null of a family that is gone"},
    {0, "explain", "object", NULL, OPTIONAL, "--explain: what each rule did, and what is sent"},
    {1, "target", "object", NULLABLE, false, "null of a body that belongs to none"},
    {2, "discovered", "object", NULL, false, "labels as discovery has them, and the job's defaults"},
    {3, "*", "string", NULL, false, "value of a label"},
    {2, "steps", "array", NULL, false, "one for each rule of relabel_configs, up to one that dropped it"},
    STEP(3),
    {2, "kept", "boolean", NULL, false, "false: a rule dropped it"},
    {2, "labels", "object", NULL, false, "those that its series get"},
    {3, "*", "string", NULL, false, "value of a label"},
    {1, "series", "array", NULL, false, "those that --explain=SERIES fits, or all, the agent's own behind the target's"},
    {2, "series", "string", NULL, false, "as it is exposed"},
    {2, "line", "integer", NULL, false, "of the body; 0: the agent adds it"},
    {2, "with_target", "object", NULL, false, "its labels with those of the target"},
    {3, "*", "string", NULL, false, "value of a label"},
    {2, "steps", "array", NULL, false, "of metric_relabel_configs; without SERIES only those that had an effect"},
    STEP(3),
    {2, "kept", "object", NULLABLE, false, "its labels in the end"},
    {3, "*", "string", NULL, false, "value of a label"},
    {2, "why", "string", NULL, OPTIONAL, "it is not kept"},
    {2, "endpoints", "array", NULL, false, "one for each of remote_write, when it is kept"},
    {3, "name", "string", NULL, false, "of the endpoint"},
    {3, "steps", "array", NULL, false, "of write_relabel_configs; without SERIES only those that had an effect"},
    STEP(4),
    {3, "sent", "object", NULLABLE, false, "the labels that it is sent"},
    {4, "*", "string", NULL, false, "value of a label"},
    {3, "why", "string", NULL, OPTIONAL, "it is sent nothing"},
    {1, "rules", "array", NULL, false, "what each rule did to all series"},
    {2, "list", "string", NULL, false, "metric_relabel_configs or write_relabel_configs"},
    {2, "endpoint", "string", NULL, OPTIONAL, "of write_relabel_configs"},
    {2, "rule", "integer", NULL, false, "its number, from 1"},
    {2, "line", "integer", NULL, false, "of the configuration; 0: unknown"},
    {2, "text", "string", NULL, false, "the rule on one line"},
    {2, "changed", "integer", NULL, false, "series it changed"},
    {2, "dropped", "integer", NULL, false, "series it dropped"},
    {1, "series_exposed", "integer", NULL, false, "different series of the target"},
    {1, "series_dropped", "integer", NULL, false, "by metric_relabel_configs"},
    {1, "series_kept", "integer", NULL, false, "left by them"},
    {1, "series_wrong", "integer", NULL, false, "that make the whole scrape fail"},
    {1, "endpoints", "array", NULL, false, "what each is sent of all of them, and of the agent's own"},
    {2, "name", "string", NULL, false, "of the endpoint"},
    {2, "sent", "integer", NULL, false, "series it is sent"},
    {2, "dropped", "integer", NULL, false, "series its rules drop"},
    {2, "left_to_group", "integer", NULL, false, "series that others of its group are sent"},
    {0, "lint", "array", NULL, false, "promtool's findings, \"METRIC wording\""},
};

#define FIELDS_N (sizeof FIELDS / sizeof *FIELDS)

static size_t add_object(size_t at, unsigned level, struct buf *out);

static void add_type(const struct field *f, struct buf *out)
{
    buf_addf(out, f->or_null ? "\"type\":[\"%s\",\"null\"]" : "\"type\":\"%s\"", f->type);
    buf_add_c(out, ",\"description\":");
    buf_add_json(out, str_of(f->help));
}

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

/* The field at `at`; returns the first behind it and what is its own. */
static size_t add_field(size_t at, struct buf *out)
{
    const struct field *f = &FIELDS[at];
    bool deeper = at + 1 < FIELDS_N && FIELDS[at + 1].level > f->level;
    buf_add_char(out, '{');
    add_type(f, out);
    at++;
    if (is(f->type, "array"))
        buf_add_c(out, deeper ? ",\"items\":{\"type\":\"object\"" : ",\"items\":{\"type\":\"string\"");
    if (deeper && is(FIELDS[at].name, "*")) {
        buf_add_c(out, ",\"additionalProperties\":");
        at = add_field(at, out);
    } else if (deeper) {
        at = add_object(at, f->level + 1, out);
    }
    buf_add_c(out, is(f->type, "array") ? "}}" : "}");
    return at;
}

/* What is required and the properties, from `at` on as long as they are of this level. */
static size_t add_object(size_t at, unsigned level, struct buf *out)
{
    const char *separator = "";
    buf_add_c(out, ",\"required\":[");
    for (size_t i = at; i < FIELDS_N && FIELDS[i].level >= level; i++) {
        if (FIELDS[i].level != level || FIELDS[i].optional)
            continue;
        buf_addf(out, "%s\"%s\"", separator, FIELDS[i].name);
        separator = ",";
    }
    buf_add_c(out, "],\"properties\":{");
    for (separator = ""; at < FIELDS_N && FIELDS[at].level == level; separator = ",") {
        buf_addf(out, "%s\n\"%s\":", separator, FIELDS[at].name);
        at = add_field(at, out);
    }
    buf_add_char(out, '}');
    return at;
}

void report_schema(struct buf *out)
{
    buf_add_c(out, "{\"$schema\":\"https://json-schema.org/draft/2020-12/schema\",\n"
                   "\"title\":\"obsagent scrape --json: one object a target, one line each\",\"type\":\"object\"");
    add_object(0, 0, out);
    buf_add_c(out, "}\n");
}
