/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_load: --repeat and --concurrency: how long a target takes to answer when it is asked often. */
#ifndef OBSAGENT_COMMAND_SCRAPE_LOAD_H
#define OBSAGENT_COMMAND_SCRAPE_LOAD_H

#include "probe.h"

struct load_result {
    uint64_t requests, failed, concurrency;
    uint64_t wire_bytes; /* of all answers */
    double seconds;      /* from the first request to the last answer */
    /* Of the requests that went well, 0 when none did. */
    double p50, p90, p99, max;
    struct err first_error; /* of the first that failed */
};

/* Asks count times, concurrency at once. */
void load_run(const struct probe_request *request, uint64_t count, uint64_t concurrency, struct load_result *out);

#endif
