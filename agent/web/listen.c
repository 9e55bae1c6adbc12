/* SPDX-License-Identifier: Apache-2.0 */
/* listen: a listening socket from what stands on a command line. */
#include "listen.h"

#include "base/str.h"
#include "base/units.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128

static bool split(const char *address, char host[256], char port[8], struct err *err)
{
    struct str s = str_of(address);
    uint64_t number;
    const char *colon = strrchr(address, ':');
    if (!colon)
        return err_set(err, "\"%s\" has no port; write HOST:PORT or :PORT", address);
    struct str p = str_of(colon + 1);
    struct str h = str_make(s.p, (size_t)(colon - address));
    if (!units_parse_u64(p, &number) || number > 65535)
        return err_set(err, "\"%s\": the port is not a number up to 65535", address);
    if (h.n >= 2 && h.p[0] == '[' && h.p[h.n - 1] == ']')
        h = str_make(h.p + 1, h.n - 2);
    else if (str_find_char(h, ':') < h.n)
        return err_set(err, "\"%s\": an IPv6 address stands in brackets", address);
    if (h.n >= 256)
        return err_set(err, "\"%s\": the host is too long", address);
    snprintf(host, 256, "%.*s", STR_ARG(h));
    snprintf(port, 8, "%u", (unsigned)number);
    return true;
}

/* -1 with errno set when this address cannot be had. */
static int try_address(const struct addrinfo *ai)
{
    int one = 1, zero = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ai->ai_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static bool describe(struct listen_socket *s, struct err *err)
{
    struct sockaddr_storage addr;
    socklen_t n = sizeof addr;
    char host[64], port[8];
    if (getsockname(s->fd, (struct sockaddr *)&addr, &n) != 0 ||
        getnameinfo((struct sockaddr *)&addr, n, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(err, "cannot find out the listening address");
    uint64_t number = 0;
    if (!units_parse_u64(str_of(port), &number))
        return err_set(err, "cannot find out the listening port");
    s->port = (unsigned)number;
    snprintf(s->shown, sizeof s->shown, addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return true;
}

bool listen_open(const char *address, struct listen_socket *out, struct err *err)
{
    char host[256], port[8];
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICSERV, .ai_socktype = SOCK_STREAM},
                    *list = NULL;
    if (!split(address, host, port, err))
        return false;
    int rc = getaddrinfo(host[0] ? host : NULL, port, &hints, &list);
    if (rc != 0)
        return err_set(err, "\"%s\": %s", address, gai_strerror(rc));
    out->fd = -1;
    int reason = EADDRNOTAVAIL;
    /* Without a host: :: first, which takes IPv4 too. */
    for (int round = 0; round < 2 && out->fd < 0; round++) {
        for (struct addrinfo *ai = list; ai && out->fd < 0; ai = ai->ai_next) {
            bool second = host[0] == '\0' && ai->ai_family != AF_INET6;
            if (second != (round == 1))
                continue;
            out->fd = try_address(ai);
            reason = out->fd < 0 ? errno : reason;
        }
    }
    freeaddrinfo(list);
    if (out->fd < 0)
        return err_set(err, "cannot listen on %s: %s", address, strerror(reason));
    if (describe(out, err))
        return true;
    close(out->fd);
    return false;
}
