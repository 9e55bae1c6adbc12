/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_openmetrics: OpenMetrics text, as fuzz_body.h describes. */
#include "fuzz_body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    format = EXPOSITION_OPENMETRICS;
    fuzz_body(data, n);
    return 0;
}
