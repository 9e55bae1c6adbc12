/* SPDX-License-Identifier: Apache-2.0 */
/* check: validates configuration as `run` would load it, and further: that credential and TLS files exist,
   and what file_sd files hold. Every problem is one line on stderr; a good file is one line on stdout. */
#include "command.h"

#include "base/buf.h"
#include "config.h"
#include "flags.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ERRORS_MAX ((size_t)4 << 20)

/* The files of one pattern; what is missing may still come, so it is only a warning. */
static bool check_file_sd(const char *config_name, const char *pattern, struct buf *errors)
{
    glob_t found;
    if (glob(pattern, 0, NULL, &found) != 0) {
        fprintf(stderr, "%s: warning: file_sd file %s does not exist\n", config_name, pattern);
        return true;
    }
    bool good = true;
    for (size_t i = 0; i < found.gl_pathc; i++) {
        struct config_group *groups = NULL;
        size_t n = 0;
        if (!config_groups_from_file(found.gl_pathv[i], &groups, &n, errors))
            good = false;
        else
            config_groups_free(groups, n);
    }
    globfree(&found);
    return good;
}

static bool check_discovery(const char *name, const struct config *config, struct buf *errors)
{
    bool good = true;
    for (size_t j = 0; j < config->jobs_n; j++) {
        const struct config_job *job = &config->jobs[j];
        for (size_t s = 0; s < job->file_sd_n; s++)
            for (size_t f = 0; f < job->file_sd[s].files_n; f++)
                good = check_file_sd(name, job->file_sd[s].files[f], errors) && good;
    }
    return good;
}

static bool check_one(const char *path)
{
    struct buf errors;
    buf_init(&errors, ERRORS_MAX);
    struct config *config = config_load(path, NULL, true, &errors);
    bool good = config && check_discovery(path, config, &errors);
    fputs(buf_c(&errors), stderr);
    if (good)
        printf("%s: ok, %zu %s, %zu remote_write %s\n", path, config->jobs_n,
               config->jobs_n == 1 ? "job" : "jobs", config->remotes_n,
               config->remotes_n == 1 ? "endpoint" : "endpoints");
    config_unref(config);
    buf_free(&errors);
    return good;
}

int command_check(int argc, char **argv)
{
    static const struct flag_command command = {
        .synopsis = "obsagent check FILE...",
        .text = "Loads and validates configuration files as `run` would, with credential, TLS and file_sd\n"
                "files. Prints every problem as FILE:LINE:COL: message; exits 1 when there is any.\n"
                "`obsagent help config` lists all fields.",
    };
    int files = 0;
    enum flag_outcome outcome = flags_parse(&command, argc, argv, &files);
    if (outcome != FLAGS_OK)
        return outcome == FLAGS_HELP ? 0 : 2;
    if (files == 0) {
        fputs("obsagent check: name at least one FILE (see obsagent check --help)\n", stderr);
        return 2;
    }
    bool good = true;
    for (int i = 1; i <= files; i++)
        good = check_one(argv[i]) && good;
    return good ? 0 : 1;
}
