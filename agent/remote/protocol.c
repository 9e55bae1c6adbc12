/* SPDX-License-Identifier: Apache-2.0 */
/* protocol: which message an endpoint is sent. */
#include "protocol.h"

static const char *const NAMES[PROTOCOLS] = {[PROTOCOL_RW1] = "rw1", [PROTOCOL_RW2] = "rw2", [PROTOCOL_VM] = "vm"};

const char *protocol_name(enum protocol p)
{
    return NAMES[p];
}

bool protocol_from_name(struct str name, enum protocol *p)
{
    for (unsigned i = 0; i < PROTOCOLS; i++) {
        if (str_eq_c(name, NAMES[i])) {
            *p = (enum protocol)i;
            return true;
        }
    }
    return false;
}

struct protocol_lines protocol_lines(enum protocol p)
{
    static const struct protocol_lines LINES[PROTOCOLS] = {
        [PROTOCOL_RW1] = {"Content-Encoding: snappy", "Content-Type: application/x-protobuf",
                          "X-Prometheus-Remote-Write-Version: 0.1.0"},
        [PROTOCOL_RW2] = {"Content-Encoding: snappy",
                          "Content-Type: application/x-protobuf;proto=io.prometheus.write.v2.Request",
                          "X-Prometheus-Remote-Write-Version: 2.0.0"},
        [PROTOCOL_VM] = {"Content-Encoding: zstd", "Content-Type: application/x-protobuf",
                         "X-VictoriaMetrics-Remote-Write-Version: 1"},
    };
    return LINES[p];
}

bool protocol_understood(const struct protocol_answer *a)
{
    bool good = a->status >= 200 && a->status < 300;
    return good && (a->sent != PROTOCOL_RW2 || a->written);
}

void protocol_init(struct negotiation *n, enum config_protocol settings)
{
    static const struct {
        enum protocol order[PROTOCOLS];
        unsigned n;
    } ALLOWED[] = {
        [CONFIG_RW1] = {{PROTOCOL_RW1}, 1},
        [CONFIG_RW2] = {{PROTOCOL_RW2, PROTOCOL_RW1}, 2},
        [CONFIG_VM] = {{PROTOCOL_VM, PROTOCOL_RW1}, 2},
        [CONFIG_AUTO] = {{PROTOCOL_RW2, PROTOCOL_VM, PROTOCOL_RW1}, 3},
    };
    *n = (struct negotiation){.n = ALLOWED[settings].n, .soon_ms = PROTOCOL_SOON_MS};
    for (unsigned i = 0; i < n->n; i++)
        n->order[i] = ALLOWED[settings].order[i];
}

enum protocol protocol_next(const struct negotiation *n, int64_t now_wall_ms)
{
    bool probe = n->present > 0 && n->probe_ms && now_wall_ms >= n->probe_ms;
    return n->order[probe ? 0 : n->present];
}

static unsigned index_of(const struct negotiation *n, enum protocol p)
{
    unsigned i = 0;
    while (i < n->n - 1 && n->order[i] != p)
        i++;
    return i;
}

static bool is_doubtful(long status)
{
    return status == 400 || status == 409 || status == 422;
}

/* It was understood. */
static enum protocol_verdict accepted(struct negotiation *n, unsigned i)
{
    bool news = !n->confirmed[n->order[i]] || i < n->present;
    n->confirmed[n->order[i]] = true;
    if (i < n->present) /* a try of a better one went well */
        n->present = i;
    if (n->present == 0) {
        n->probe_ms = 0;
        n->soon_ms = PROTOCOL_SOON_MS;
    }
    return news ? PROTOCOL_NEWS : PROTOCOL_KEEP;
}

static int64_t pause_of(struct negotiation *n, bool in_kind)
{
    if (in_kind)
        return PROTOCOL_DAY_MS;
    int64_t pause = n->soon_ms;
    n->soon_ms = 2 * pause < PROTOCOL_DAY_MS ? 2 * pause : PROTOCOL_DAY_MS;
    return pause;
}

/* What was sent as order[i] was refused, perhaps for its form. */
static enum protocol_verdict refused(struct negotiation *n, unsigned i, bool in_kind, int64_t now_ms)
{
    if (i < n->present) { /* a try, or an answer that comes late: the present one it is */
        n->probe_ms = now_ms + pause_of(n, in_kind);
        return PROTOCOL_AGAIN;
    }
    if (i > n->present) /* sent before a better one was found to work */
        return PROTOCOL_AGAIN;
    if (i + 1 == n->n) /* nothing else is left to try */
        return PROTOCOL_KEEP;
    n->confirmed[n->order[i]] = false;
    n->present = i + 1;
    n->probe_ms = now_ms + pause_of(n, in_kind);
    return PROTOCOL_AGAIN;
}

enum protocol_verdict protocol_judge(struct negotiation *n, const struct protocol_answer *a, int64_t now_wall_ms)
{
    unsigned i = index_of(n, a->sent);
    bool good = a->status >= 200 && a->status < 300;
    if (protocol_understood(a))
        return accepted(n, i);
    if (good || a->status == 415)
        return refused(n, i, true, now_wall_ms);
    if (is_doubtful(a->status) && !n->confirmed[a->sent])
        return refused(n, i, false, now_wall_ms);
    return PROTOCOL_KEEP;
}

void protocol_restore(struct negotiation *n, enum protocol present, bool confirmed, int64_t probe_ms)
{
    unsigned i = index_of(n, present);
    if (n->order[i] != present)
        return;
    n->present = i;
    n->confirmed[present] = confirmed;
    n->probe_ms = i ? probe_ms : 0;
}
