/* SPDX-License-Identifier: Apache-2.0 */
/* push_schema: what stands in the JSON of obsagent push, as a JSON Schema. Within a schema version fields and verdicts
   are added, never renamed, taken away or given another meaning. */
#include "push_private.h"
#include "schema.h"

#define NULLABLE "null"

static const struct schema_field FIELDS[] = {
    {0, "schema_version", "integer", NULL, false, "1; it rises when a field goes or changes its meaning"},
    {0, "exit_code", "integer", NULL, false, "0 good, 1 the receiver would not take it, 3 findings of the profile"},
    {0, "receiver", "object", NULLABLE, false, "null: only a profile was asked for"},
    {1, "url", "string", NULL, false, "without user, password and query"},
    {1, "verdict", "string", NULL, false,
     "fine, unknown_name, unreachable, certificate, tls, not_tls, needs_tls, no_answer, proxy, missing_credentials, "
     "wrong_scheme, needless_credentials, wrong_credentials, forbidden, redirected, wrong_path, other_protocol, "
     "no_protocol, too_large, refused, busy or failing"},
    {1, "message", "string", NULLABLE, false, "the verdict in a sentence"},
    {1, "todo", "string", NULLABLE, false, "what would be right"},
    {1, "right_scheme", "string", NULLABLE, false, "of wrong_scheme, and of missing_credentials when it is known"},
    {1, "right_path", "string", NULLABLE, false, "of wrong_path, when one was found"},
    {1, "protocol", "string", NULL, false, "rw1, rw2 or vm: the one that the agent would use, or should"},
    {1, "status", "integer", NULLABLE, false, "HTTP status of the first request; null: there was no answer"},
    {1, "address", "string", NULLABLE, false, "that was connected to"},
    {1, "seconds", "object", NULL, false, "of the first request"},
    {2, "dns", "number", NULL, false, "looking up the name"},
    {2, "connect", "number", NULL, false, "connecting, after that"},
    {2, "tls", "number", NULL, false, "agreeing on TLS, after that"},
    {2, "first_byte", "number", NULL, false, "until the answer began, from the start"},
    {2, "total", "number", NULL, false, "until the answer was complete, from the start"},
    {1, "certificate", "object", NULLABLE, false, "the server's"},
    {2, "subject", "string", NULL, false, "whose it is"},
    {2, "issuer", "string", NULL, false, "who has signed it"},
    {2, "names", "string", NULL, false, "the names and addresses that it is for"},
    {2, "valid_from", "integer", NULL, false, "Unix time"},
    {2, "valid_until", "integer", NULL, false, "Unix time"},
    {1, "clock_skew_seconds", "number", NULLABLE, false, "the receiver's clock less ours; a Date has no fraction"},
    {1, "scheme", "string", NULL, false, "how credentials were shown: Bearer, raw key, Basic, ..., none"},
    {1, "asks_for", "string", NULLABLE, false, "WWW-Authenticate"},
    {1, "schemes", "object", NULL, false, "statuses of the other schemes that were tried, none among them"},
    {2, "*", "integer", NULLABLE, false, "null: no answer"},
    {1, "location", "string", NULLABLE, false, "where a redirect leads, without user, password and query"},
    {1, "paths", "object", NULL, false, "statuses of the other paths that were tried"},
    {2, "*", "integer", NULLABLE, false, "null: no answer"},
    {1, "protocols", "object", NULL, false, "of those that were tried"},
    {2, "*", "object", NULL, false, "rw1, rw2 or vm"},
    {3, "understood", "boolean", NULL, false, "an empty message or the sample was"},
    {3, "status", "integer", NULLABLE, false, "of the empty message"},
    {1, "sample", "object", NULLABLE, false, "null: none was sent"},
    {2, "protocol", "string", NULL, false, "rw1, rw2 or vm"},
    {2, "series", "string", NULLABLE, false, "as it was sent"},
    {2, "status", "integer", NULLABLE, false, "null: no answer"},
    {1, "body", "object", NULLABLE, false, "sizes over the wire; null: not measured"},
    {2, "taken_bytes", "integer", NULL, false, "the largest that was taken"},
    {2, "refused_bytes", "integer", NULLABLE, false, "the smallest that was not; null: up to --max-body all were"},
    {2, "status", "integer", NULLABLE, false, "of that"},
    {1, "words", "string", NULLABLE, false, "what the receiver says, cut, our secrets crossed out"},
    {1, "error", "string", NULLABLE, false, "why no answer came"},
    {1, "notes", "array", NULL, false, "what is worth knowing besides"},
    {0, "profile", "object", NULLABLE, false, "null: none was asked for"},
    {1, "name", "string", NULL, false, "as --profile has it"},
    {1, "source", "string", NULL, false, "URL, file or \"-\", without secrets"},
    {1, "series", "integer", NULL, false, "that were looked at"},
    {1, "labels_added", "integer", NULL, false, "counted to each: job, instance and external labels"},
    {1, "error", "string", NULLABLE, false, "why not all of it could be read"},
    {1, "findings", "array", NULL, false, "of the profile's rules, those that are broken"},
    {2, "effect", "string", NULL, false, "lost, refused, changed, or left out, which is no finding for the exit code"},
    {2, "what", "string", NULL, false, "happens"},
    {2, "setting", "string", NULL, false, "of the receiver, with its default; empty: there is none"},
    {2, "limit", "integer", NULL, false, "bytes, labels or milliseconds; 0 of rules without one"},
    {2, "worst", "integer", NULL, false, "the largest number found"},
    {2, "count", "integer", NULL, false, "how many series, samples, exemplars or families"},
    {2, "line", "integer", NULL, false, "of the first; of protobuf the number of the metric family"},
    {2, "example", "string", NULL, false, "the first, cut"},
};

void push_schema(struct buf *out)
{
    schema_write("obsagent push --json", FIELDS, sizeof FIELDS / sizeof *FIELDS, out);
}
