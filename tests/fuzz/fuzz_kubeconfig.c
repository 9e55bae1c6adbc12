/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_kubeconfig: kubectl's configuration. What is read must be whole; what is not must be explained. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "config_sd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static int fd = -1;
    char path[64];
    struct buf errors;
    if (fd < 0)
        fd = memfd_create("kubeconfig", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, n, 0) != (ssize_t)n)
        return 0;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    buf_init(&errors, 1 << 20);
    struct config_kubeconfig *k = config_kubeconfig_read(path, &errors);
    if (k ? !k->server || errors.n > 0 : errors.n == 0)
        abort();
    config_kubeconfig_free(k);
    buf_free(&errors);
    return 0;
}
