/* SPDX-License-Identifier: Apache-2.0 */
/* tls_fixture: certificates made with openssl in a directory of the test's own, and `openssl s_server`. */
#ifndef OBSAGENT_TESTS_TLS_FIXTURE_H
#define OBSAGENT_TESTS_TLS_FIXTURE_H

#include "unit.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

static char dir[] = "/tmp/obsagent-tls-XXXXXX";

static inline char *in_dir(const char *name)
{
    return file_join(dir, name);
}

/* Runs a shell command in the directory. */
__attribute__((format(printf, 1, 2))) static inline void sh(const char *fmt, ...)
{
    char command[2048];
    int n = snprintf(command, sizeof command, "cd %s && exec >/dev/null 2>&1; ", dir);
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(command + n, sizeof command - (size_t)n, fmt, ap);
    va_end(ap);
    assert_int_equal(system(command), 0);
}

static inline void make_ca(const char *name)
{
    sh("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=%s "
       "-keyout %s.key -out %s.pem",
       name, name, name);
}

static inline void make_certificate(const char *name, const char *ca, const char *san)
{
    sh("openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=%s -keyout %s.key "
       "-out %s.csr && printf 'subjectAltName=%s' > %s.ext && "
       "openssl x509 -req -days 2 -in %s.csr -CA %s.pem -CAkey %s.key -CAcreateserial -extfile %s.ext "
       "-out %s.pem",
       name, name, name, san, name, name, ca, ca, name, name);
}

struct tls_server {
    pid_t pid;
    int port;
    FILE *says;
    char url[64];
};

/* Says "ACCEPT HOST:PORT" once it listens; `extra` is one more option or NULL, like those after it. */
static inline struct tls_server tls_server_start(const char *extra, const char *value, const char *more,
                                                 const char *more_value)
{
    struct tls_server s;
    int out[2];
    assert_int_equal(pipe(out), 0);
    s.pid = fork();
    if (s.pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(out[1], 1);
        close(out[0]);
        assert_non_null(freopen("/dev/null", "w", stderr));
        assert_int_equal(chdir(dir), 0);
        execlp("stdbuf", "stdbuf", "-oL", "openssl", "s_server", "-accept", "127.0.0.1:0", "-www", "-cert",
               "server.pem", "-key", "server.key", extra, value, more, more_value, (char *)NULL);
        _exit(127);
    }
    close(out[1]);
    FILE *f = fdopen(out[0], "r");
    char line[256];
    int port = 0;
    while (port == 0 && fgets(line, sizeof line, f)) {
        if (sscanf(line, "ACCEPT %*[0-9.]:%d", &port) != 1)
            port = 0;
    }
    assert_int_not_equal(port, 0);
    s.port = port;
    s.says = f;
    snprintf(s.url, sizeof s.url, "https://127.0.0.1:%d/", port);
    return s;
}

static inline void tls_server_stop(const struct tls_server *s)
{
    kill(s->pid, SIGKILL);
    waitpid(s->pid, NULL, 0);
    fclose(s->says);
}

#endif
