/* SPDX-License-Identifier: Apache-2.0 */
/* profile: the receivers, by their documentation and sources of 2026. Limits are defaults: whoever runs the receiver
   may have set others, so each says where. Counts of labels include the metric name, as receivers count. */
#include "profile.h"

#include <string.h>

#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

/* Prometheus's head takes nothing that is older than half of its two hours before the newest sample. */
#define HEAD_MS HOUR

static const struct profile_rule VICTORIAMETRICS[] = {
    {PROFILE_LABELS, PROFILE_LOST, 40, "series with more labels are ignored",
     "-maxLabelsPerTimeseries (40; 30 and cut before v1.108)"},
    {PROFILE_LABEL_NAME, PROFILE_LOST, 256, "series with a longer label name are ignored", "-maxLabelNameLen (256)"},
    {PROFILE_LABEL_VALUE, PROFILE_LOST, 4096, "series with a longer label value are ignored",
     "-maxLabelValueLen (4KiB)"},
    {PROFILE_OLD, PROFILE_LOST, 31 * DAY, "samples older than the retention are dropped", "-retentionPeriod (1 month)"},
    {PROFILE_FUTURE, PROFILE_LOST, 2 * DAY, "samples further in the future are dropped", ""},
    {PROFILE_NATIVE, PROFILE_CHANGED, 0, "native histograms become _count, _sum and _bucket{vmrange=...}", ""},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are ignored", ""},
};

static const struct profile_rule PROMETHEUS[] = {
    {PROFILE_OLD, PROFILE_REFUSED, HEAD_MS, "samples that far behind the newest are out of bounds",
     "storage.tsdb.out_of_order_time_window (0s)"},
    {PROFILE_FUTURE, PROFILE_REFUSED, 10 * MINUTE, "samples further in the future are refused", ""},
    {PROFILE_DUPLICATE, PROFILE_REFUSED, 0, "a second value for the same series and time is refused", ""},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are not stored unless that is enabled",
     "--enable-feature=exemplar-storage (off)"},
    {PROFILE_EXEMPLAR_LABELS, PROFILE_LEFT_OUT, 128, "an exemplar with more characters of labels is refused", ""},
    {PROFILE_METADATA, PROFILE_LEFT_OUT, 0, "metadata of remote write 1.0 is not stored", ""},
};

/* Mimir and Cortex came from the same house; they differ in the names of settings and in what is silent. */
static const struct profile_rule MIMIR[] = {
    {PROFILE_LABELS, PROFILE_REFUSED, 30, "series with more labels are refused",
     "-validation.max-label-names-per-series (30)"},
    {PROFILE_LABEL_NAME, PROFILE_REFUSED, 1024, "series with a longer label name are refused",
     "-validation.max-length-label-name (1024)"},
    {PROFILE_LABEL_VALUE, PROFILE_REFUSED, 2048,
     "series with a longer label value or metric name are refused; Grafana Cloud cuts the value and adds a hash",
     "-validation.max-length-label-value (2048)"},
    {PROFILE_UTF8_NAME, PROFILE_REFUSED, 0, "names outside of [a-zA-Z0-9_:] are refused",
     "-validation.name-validation-scheme (legacy)"},
    {PROFILE_OLD, PROFILE_REFUSED, HEAD_MS, "samples that far behind the newest are out of bounds",
     "-ingester.out-of-order-time-window (0s)"},
    {PROFILE_FUTURE, PROFILE_REFUSED, 10 * MINUTE, "samples further in the future are refused",
     "-validation.create-grace-period (10m)"},
    {PROFILE_DUPLICATE, PROFILE_REFUSED, 0, "a second value for the same series and time is refused or dropped", ""},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are dropped without a word",
     "-ingester.max-global-exemplars-per-user (0)"},
    {PROFILE_EXEMPLAR_LABELS, PROFILE_LEFT_OUT, 128, "an exemplar with more characters of labels is dropped", ""},
    {PROFILE_HELP, PROFILE_CHANGED, 1024, "a longer help text is cut", "-validation.max-metadata-length (1024)"},
};

static const struct profile_rule CORTEX[] = {
    {PROFILE_LABELS, PROFILE_REFUSED, 30, "series with more labels are refused",
     "-validation.max-label-names-per-series (30)"},
    {PROFILE_LABEL_NAME, PROFILE_REFUSED, 1024, "series with a longer label name are refused",
     "-validation.max-length-label-name (1024)"},
    {PROFILE_LABEL_VALUE, PROFILE_REFUSED, 2048, "series with a longer label value or metric name are refused",
     "-validation.max-length-label-value (2048)"},
    {PROFILE_UTF8_NAME, PROFILE_REFUSED, 0, "names outside of [a-zA-Z0-9_:] are refused", ""},
    {PROFILE_OLD, PROFILE_REFUSED, HEAD_MS, "samples that far behind the newest are out of bounds",
     "-ingester.out-of-order-time-window (0s)"},
    {PROFILE_FUTURE, PROFILE_REFUSED, 10 * MINUTE, "samples further in the future are refused",
     "-validation.create-grace-period (10m)"},
    {PROFILE_DUPLICATE, PROFILE_REFUSED, 0, "a second value for the same series and time is refused", ""},
    {PROFILE_NATIVE, PROFILE_LOST, 0, "native histograms are dropped unless they are enabled",
     "-blocks-storage.tsdb.enable-native-histograms (false)"},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are dropped without a word", "-ingester.max-exemplars (0)"},
    {PROFILE_EXEMPLAR_LABELS, PROFILE_LEFT_OUT, 128, "an exemplar with more characters of labels is dropped", ""},
    {PROFILE_HELP, PROFILE_LEFT_OUT, 1024, "metadata with a longer text is dropped",
     "-validation.max-metadata-length (1024)"},
};

static const struct profile_rule THANOS[] = {
    {PROFILE_OLD, PROFILE_REFUSED, HEAD_MS, "samples that far behind the newest are out of bounds (409)",
     "--tsdb.out-of-order.time-window (0s)"},
    {PROFILE_DUPLICATE, PROFILE_REFUSED, 0, "a second value for the same series and time is refused (409)", ""},
    {PROFILE_NATIVE, PROFILE_LOST, 0, "native histograms are not stored before v0.41 unless they are enabled",
     "--tsdb.enable-native-histograms (false before v0.41)"},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are discarded without a word", "--tsdb.max-exemplars (0)"},
    {PROFILE_METADATA, PROFILE_LEFT_OUT, 0, "metadata is not stored", ""},
};

static const struct profile_rule ELASTIC[] = {
    {PROFILE_COUNTER_NAME, PROFILE_CHANGED, 0,
     "types are guessed by name: a counter that does not end in _total, _sum, _count or _bucket becomes a gauge", ""},
    {PROFILE_GAUGE_NAME, PROFILE_CHANGED, 0,
     "types are guessed by name: a gauge that ends in _total, _sum, _count or _bucket becomes a counter", ""},
    {PROFILE_NOT_FINITE, PROFILE_LOST, 0, "NaN and infinities have no place in a number field", ""},
    {PROFILE_NATIVE, PROFILE_LOST, 0, "native histograms have no place in its mapping of remote write", ""},
    {PROFILE_EXEMPLAR, PROFILE_LEFT_OUT, 0, "exemplars are ignored", ""},
    {PROFILE_METADATA, PROFILE_LEFT_OUT, 0, "metadata is ignored", ""},
    {PROFILE_ANYTHING, PROFILE_LEFT_OUT, 0,
     "stale markers are not applied: a series that has ended is shown until the query's look-back is over", ""},
};

static const struct profile_rule CLICKSTACK[] = {
    {PROFILE_ANYTHING, PROFILE_LOST, 0,
     "its collector has no receiver for remote write, only for OTLP: put a collector with a prometheusremotewrite "
     "receiver before it",
     ""},
};

#define PROFILE(name, title, rules) {name, title, rules, sizeof(rules) / sizeof((rules)[0])}

static const struct profile PROFILES[] = {
    PROFILE("victoriametrics", "VictoriaMetrics", VICTORIAMETRICS),
    PROFILE("mimir", "Grafana Mimir and Grafana Cloud", MIMIR),
    PROFILE("cortex", "Cortex", CORTEX),
    PROFILE("thanos", "Thanos Receive", THANOS),
    PROFILE("prometheus", "Prometheus", PROMETHEUS),
    PROFILE("elastic", "Elasticsearch", ELASTIC),
    PROFILE("clickstack", "ClickStack (HyperDX)", CLICKSTACK),
};

_Static_assert(sizeof MIMIR / sizeof MIMIR[0] <= PROFILE_RULES_MAX, "room for the longest");
_Static_assert(sizeof CORTEX / sizeof CORTEX[0] <= PROFILE_RULES_MAX, "room for the longest");

const struct profile *profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof PROFILES / sizeof PROFILES[0]; i++) {
        if (strcmp(PROFILES[i].name, name) == 0)
            return &PROFILES[i];
    }
    return NULL;
}

const char *profile_names(void)
{
    return "victoriametrics|mimir|cortex|thanos|prometheus|elastic|clickstack";
}

const char *profile_effect_name(enum profile_effect e)
{
    static const char *const NAMES[] = {"lost", "refused", "changed", "left out"};
    return NAMES[e];
}
