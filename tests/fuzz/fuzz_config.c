/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_config: any text as a configuration. What loads must show itself as a configuration that loads again and
   shows itself the same way, except for what a dump cannot carry (secrets, and a dollar in external labels). */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_dump(const struct config *c, struct buf *errors)
{
    if (strstr(c->yaml, "<secret>") || strstr(c->yaml, "xxxxx") || strchr(c->yaml, '$') || strstr(c->yaml, "%{"))
        return;
    struct config *again = config_load_text("dump.yml", str_of(c->yaml), NULL, false, errors);
    if (!again || strcmp(again->yaml, c->yaml) != 0)
        abort();
    config_unref(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool quiet;
    quiet = quiet || log_set_level("error");
    struct buf errors;
    buf_init(&errors, 1 << 20);
    struct str text = {(const char *)data, size};
    /* The files it names are not the fuzzer's to read. */
    if (str_find(text, STR("files")) == size) {
        struct config *c = config_load_text("fuzz.yml", text, NULL, false, &errors);
        if ((c == NULL) != (errors.n > 0))
            abort();
        if (c)
            check_dump(c, &errors);
        config_unref(c);
    }
    buf_free(&errors);
    return 0;
}
