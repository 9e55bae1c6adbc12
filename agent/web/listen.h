/* SPDX-License-Identifier: Apache-2.0 */
/* listen: a listening socket from what stands on a command line. */
#ifndef OBSAGENT_WEB_LISTEN_H
#define OBSAGENT_WEB_LISTEN_H

#include "base/err.h"

struct listen_socket {
    int fd;
    unsigned port;
    char shown[96]; /* "127.0.0.1:8429", "[::]:8429": for the log */
};

/* `address` is host:port, :port (all addresses, both families where there are two) or [v6]:port; port 0 takes
   a free one. The socket does not block. False with err when the address is bad or taken. */
bool listen_open(const char *address, struct listen_socket *out, struct err *err) MUSTCHECK;

#endif
