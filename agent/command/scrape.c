/* SPDX-License-Identifier: Apache-2.0 */
/* scrape: the scrape tester. Fetches as the agent does, reads on after errors, and says what it saw; nothing
   is forwarded. */
#include "command.h"

#include "scrape_private.h"

#include <signal.h>
#include <stdio.h>

static enum scrape_exit scrape_argument(const struct scrape_flags *f, const char *what)
{
    struct subject subject;
    if (!subject_of_argument(f, what, &subject))
        return SCRAPE_FAILED;
    enum scrape_exit code = scrape_one(f, &subject);
    subject_free(&subject);
    return code;
}

static enum scrape_exit scrape_all(const struct scrape_flags *f, char **what, int n)
{
    enum scrape_exit code = SCRAPE_GOOD;
    if (f->config_file)
        return scrape_job(f, n ? what[0] : NULL);
    if (n == 0)
        return scrape_argument(f, "http://localhost/metrics");
    for (int i = 0; i < n; i++)
        code = scrape_worse(code, scrape_argument(f, what[i]));
    return code;
}

int command_scrape(int argc, char **argv)
{
    struct scrape_flags f;
    int positional = 0;
    enum flag_outcome outcome = scrape_flags_parse(&f, argc, argv, &positional);
    enum scrape_exit code = outcome == FLAGS_HELP ? SCRAPE_GOOD : SCRAPE_USAGE;
    if (outcome == FLAGS_OK) {
        signal(SIGPIPE, SIG_IGN);
        if (f.junit)
            puts("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"obsagent scrape\">");
        code = scrape_all(&f, argv + 1, positional);
        if (f.junit)
            puts("</testsuites>");
    }
    scrape_flags_free(&f);
    return (int)code;
}
