/* SPDX-License-Identifier: Apache-2.0 */
/* negotiate: which formats a target is asked for, and which one its answer is in. Source: prometheus scrape/scrape.go
   (acceptHeader), model/textparse/interface.go (extractMediaType). */
#ifndef OBSAGENT_SCRAPE_NEGOTIATE_H
#define OBSAGENT_SCRAPE_NEGOTIATE_H

#include "base/err.h"
#include "config.h"
#include "exposition.h"

#define NEGOTIATE_ACCEPT_MAX 512

/* As scrape_protocols and fallback_scrape_protocol call it, and the format that it means. */
const char *negotiate_name(enum config_scrape_protocol protocol);
enum exposition_format negotiate_format_of(enum config_scrape_protocol protocol);
/* The value of the Accept header of a job. */
void negotiate_accept(const struct config_job *job, char out[NEGOTIATE_ACCEPT_MAX]);

enum negotiated { NEGOTIATED, NEGOTIATED_FALLBACK, NEGOTIATED_NOTHING };

/* The format of an answer with this Content-Type (empty: it had none). NEGOTIATED_FALLBACK: why says what is wrong with
   the type and that the job's fallback is used; NEGOTIATED_NOTHING: why says that there is none. */
enum negotiated negotiate_format(const struct config_job *job, struct str content_type, enum exposition_format *format,
                                 struct err *why);

#endif
