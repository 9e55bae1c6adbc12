/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_analyses: which modules look at a scrape. */
#include "analysis.h"
#include "cardinality.h"
#include "contract.h"
#include "explain.h"
#include "find.h"

/* In the order of the report. */
static analysis_maker *const MAKERS[] = {
    find_make,
    contract_make,
    cardinality_make,
    explain_make,
    NULL, /* ends the list */
};

void analyses_make(struct analyses *a, const struct scrape_flags *flags, const struct scrape_subject *subject)
{
    a->n = 0;
    for (size_t i = 0; MAKERS[i] && a->n < ANALYSES_MAX; i++) {
        a->v[a->n] = (struct analysis){0};
        a->n += MAKERS[i](flags, subject, &a->v[a->n]);
    }
}

void analyses_free(struct analyses *a)
{
    for (size_t i = 0; i < a->n; i++) {
        if (a->v[i].free)
            a->v[i].free(a->v[i].watcher.ctx);
    }
    a->n = 0;
}
