/* SPDX-License-Identifier: Apache-2.0 */
/* replay: stands in for the fuzzer: gives a target each file of the directories once. The corpus and what once broke
   something so stay tests. usage: replay_NAME DIR... */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/file.h"

#define INPUT_MAX (16 * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input is an own allocation of its size, so that reading behind its end is seen. */
static void replay(const char *path)
{
    struct err err = {0};
    struct buf file;
    buf_init(&file, INPUT_MAX);
    fprintf(stderr, "replay: %s\n", path);
    if (!file_read(path, INPUT_MAX, &file, &err)) {
        fprintf(stderr, "replay: %s\n", err.msg);
        exit(1);
    }
    uint8_t *data = malloc(file.n ? file.n : 1);
    if (!data)
        abort();
    for (size_t i = 0; i < file.n; i++)
        data[i] = (uint8_t)file.p[i];
    (void)LLVMFuzzerTestOneInput(data, file.n);
    free(data);
    buf_free(&file);
}

int main(int argc, char **argv)
{
    int n = 0;
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (!dir)
            continue;
        for (struct dirent *d; (d = readdir(dir));) {
            if (d->d_name[0] == '.')
                continue;
            char *path = file_join(argv[i], d->d_name);
            replay(path);
            free(path);
            n++;
        }
        closedir(dir);
    }
    printf("%d inputs\n", n);
    return n ? 0 : 1;
}
