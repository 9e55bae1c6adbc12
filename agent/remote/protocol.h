/* SPDX-License-Identifier: Apache-2.0 */
/* protocol: which message an endpoint is sent, found out from what answers mean: pure functions over a small state.

   An endpoint may speak one or several protocols, best first. It begins with the best one. Refused in kind (415, or a
   2xx without any Written header to a 2.0 message, which says that nothing was understood), the next one is tried with
   the same samples at once, and the better one again a day later. A 400, 409 or 422 may mean the message as well, as
   long as the protocol was never accepted here: then the next one is tried, too, but the better one soon again, because
   it may have been the data, or a proxy's mood. When the last one is refused like that, it is the data.

   Order of auto: 2.0 first, because it carries what 1.0 has no place for; VictoriaMetrics's zstd next, because it takes
   half the bytes; then 1.0, which everybody understands. */
#ifndef OBSAGENT_REMOTE_PROTOCOL_H
#define OBSAGENT_REMOTE_PROTOCOL_H

#include "base/str.h"
#include "config.h"

#include <stdint.h>

/* On the wire. */
enum protocol { PROTOCOL_RW1, PROTOCOL_RW2, PROTOCOL_VM, PROTOCOLS };

#define PROTOCOL_DAY_MS (24LL * 60 * 60 * 1000)
/* After a refusal that may have been the data's: doubled each time, up to a day. */
#define PROTOCOL_SOON_MS (10LL * 60 * 1000)

struct negotiation {
    enum protocol order[PROTOCOLS];
    unsigned n;
    unsigned present;          /* index in order */
    bool confirmed[PROTOCOLS]; /* by protocol: it has been accepted here */
    int64_t probe_ms;          /* wall clock: when a better one is tried again, 0 = never */
    int64_t soon_ms;           /* the pause after the next doubtful refusal */
};

struct protocol_answer {
    enum protocol sent;
    long status;
    bool written; /* one of the Written headers was there */
};

enum protocol_verdict {
    PROTOCOL_KEEP,  /* nothing to do with the protocol */
    PROTOCOL_AGAIN, /* the same samples again, at once, in the protocol of protocol_next */
    PROTOCOL_NEWS   /* as KEEP; what is known has changed and should be remembered */
};

/* What the settings allow; nothing is known yet. */
void protocol_init(struct negotiation *n, enum config_protocol settings);
/* For a request that is made now: the present one, or a better one that is due to be tried. */
enum protocol protocol_next(const struct negotiation *n, int64_t now_wall_ms);
enum protocol_verdict protocol_judge(struct negotiation *n, const struct protocol_answer *a, int64_t now_wall_ms);
/* Goes on as an earlier run ended. Ignored when the settings do not allow that protocol. */
void protocol_restore(struct negotiation *n, enum protocol present, bool confirmed, int64_t probe_ms);

/* The header lines that say what a body is. */
struct protocol_lines {
    const char *encoding, *type, *version;
};
struct protocol_lines protocol_lines(enum protocol p);
/* True for an answer that says that the message was understood, and not only swallowed. */
bool protocol_understood(const struct protocol_answer *a);

const char *protocol_name(enum protocol p);
bool protocol_from_name(struct str name, enum protocol *p) MUSTCHECK;

#endif
