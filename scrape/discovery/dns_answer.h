/* SPDX-License-Identifier: Apache-2.0 */
/* dns_answer: the targets in a DNS message. */
#ifndef OBSAGENT_SCRAPE_DISCOVERY_DNS_ANSWER_H
#define OBSAGENT_SCRAPE_DISCOVERY_DNS_ANSWER_H

#include "source.h"

/* Adds a set for each SRV, A, AAAA, MX and NS record of the answer section: __address__ (with the port that is given,
   but for SRV), __meta_dns_name: the name that was asked for, and what the record points at. Others are skipped. False
   and err when it is not a message; `sets` may have some then. */
bool dns_answer_read(struct str message, const char *name, unsigned port, struct discovery_sets *sets,
                     struct err *err) MUSTCHECK;

#endif
