/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_flags: the command line of `obsagent scrape`. */
#ifndef OBSAGENT_COMMAND_SCRAPE_FLAGS_H
#define OBSAGENT_COMMAND_SCRAPE_FLAGS_H

#include "config.h"
#include "flags.h"
#include "rule_set.h"

enum scrape_exit { SCRAPE_GOOD, SCRAPE_FAILED, SCRAPE_USAGE, SCRAPE_FINDINGS };

struct scrape_flags {
    /* what */
    const char *config_file, *job, *target, *unix_socket;
    /* how */
    const char *bearer_token_file, *protocol;
    struct flag_list headers;
    int64_t timeout_ms, interval_ms, wait_ms, twice_ms; /* 0 = not given */
    uint64_t repeat, concurrency;
    bool insecure;
    /* what is said */
    uint64_t max_errors;
    const char *lint, *ignore;
    const char *explain; /* a selector, "" for each series, NULL = not given */
    const char *expect, *save;
    bool cardinality;
    uint64_t top;
    bool json, junit, quiet;

    /* ready for use */
    struct config_protocols protocols; /* n 0 = not given */
    rule_set ignored;    /* findings */
    rule_set lint_rules; /* of promtool; all without --lint */
};

/* Reads and checks the command line; on FLAGS_OK what is to be scraped is argv[1..*positional_n], nothing with
   --config.file. On FLAGS_HELP and FLAGS_USAGE everything has been said. */
enum flag_outcome scrape_flags_parse(struct scrape_flags *f, int argc, char **argv, int *positional_n);
void scrape_flags_free(struct scrape_flags *f);

#endif
