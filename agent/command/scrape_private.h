/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_private: the rooms of `obsagent scrape`.

     scrape.c          the command
     scrape_flags.c    its command line
     scrape_subject.c  what is named on the command line as a target with a job and its settings
     scrape_job.c      the targets of a job of a configuration
     scrape_discover.c   and how they are found
     scrape_one.c      one scrape, or the two of --twice, to its report and exit code
     scrape_analyses.c which modules look at the samples beside the survey: analysis.h
     probe.c           fetches, survey.c reads, report*.c say it */
#ifndef OBSAGENT_COMMAND_SCRAPE_PRIVATE_H
#define OBSAGENT_COMMAND_SCRAPE_PRIVATE_H

#include "analysis.h"

/* ---- scrape_subject.c ---- */

/* What stands on the command line, or in a job, ready to be scraped. */
struct subject {
    struct scrape_subject view; /* its name is own */
    const char *what;           /* URL, file or "-" to fetch from */
    const char *unix_socket;
    const struct http_options *http;
    struct config *config;      /* referenced */
    struct target *target;      /* referenced */
    struct http_options own_http; /* of flags; nothing in it is own */
    const char **headers;       /* of flags, own; NULL = none */
};

/* An address, file or "-" that belongs to no job. False when it has been said on stderr what is wrong. */
bool subject_of_argument(const struct scrape_flags *f, const char *what, struct subject *out) MUSTCHECK;
/* A target of a job, with `saved` in place of what it would answer, or NULL. */
void subject_of_target(const struct scrape_flags *f, struct config *config, const struct config_job *job,
                       struct target *t, const char *saved, struct subject *out);
void subject_free(struct subject *s);

/* ---- scrape_discover.c ---- */

/* The label sets of a job, from all of its sources, each asked once; those over the network for limit_ms at most. What
   went wrong is a line in errors. Sets and strings go to the arena. */
size_t scrape_discover(const struct config *config, const struct config_job *job, int64_t limit_ms,
                       struct arena *arena, struct labels **sets, struct buf *errors);

/* ---- scrape_one.c, scrape_job.c ---- */

/* The worse of two exit codes. */
enum scrape_exit scrape_worse(enum scrape_exit a, enum scrape_exit b);
enum scrape_exit scrape_one(const struct scrape_flags *f, const struct subject *subject);
/* saved as in subject_of_target. */
enum scrape_exit scrape_job(const struct scrape_flags *f, const char *saved);

#endif
