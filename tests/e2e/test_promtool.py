# SPDX-License-Identifier: Apache-2.0
"""What `obsagent scrape --lint=all` finds against `promtool check metrics`, over bodies good and bad: the same lines.

Where they differ the case says so, and why; a difference that is gone fails the test as well.
"""

import subprocess
from collections import Counter
from dataclasses import dataclass

import pytest

from harness import obsagent, peer


@dataclass
class Refuses:
    """promtool's older parser takes nothing of a body that Prometheus reads or reads on in: our exit code and lines."""

    why: str
    code: int
    ours: tuple = ()


@dataclass
class More:
    """Lines that not every version of promtool has."""

    why: str
    lines: tuple


HELP = "# HELP {0} text\n# TYPE {0} {1}\n"


def metric(name, kind="gauge", labels=""):
    return HELP.format(name, kind) + f"{name}{labels} 1\n"


def histogram(name, label="", buckets=("1", "+Inf")):
    comma = label + "," if label else ""
    plain = "{" + label + "}" if label else ""
    lines = [f'{name}_bucket{{{comma}le="{bound}"}} 1\n' for bound in buckets]
    return "".join(lines) + f"{name}_sum{plain} 1\n{name}_count{plain} 1\n"


UNITS = ["seconds", "milliseconds", "minutes", "hours", "days", "weeks", "bytes", "kibibytes", "bits", "megabits",
         "celsius", "fahrenheit", "kelvin", "kelvins", "rankine", "meters", "metres", "kilometers", "inches", "yards",
         "miles", "grams", "kilograms", "pounds", "ounces", "joules", "calories", "volts", "millivolts", "amperes",
         "mibibytes", "mebibytes", "gibiseconds", "decaseconds", "picovolts", "exabytes", "ratio", "percent", "watts",
         "hertz", "centimetres", "hectograms", "pebibytes"]
SHORT = ["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d", "min", "k"]

BODIES = {
    "nothing": "",
    "comments": "# a comment\n\n   \n",
    "one": "a 1\n",
    "some": "# TYPE a counter\na 1\n# HELP a_total_b x\na_total_b 1\nthings_bytes_gauge 2\n",
    "help_without_text": "# HELP a\na 1\n",
    "help_of_blanks": "# HELP a   \na 1\n",
    "help_alone": "# HELP a text\n",
    "type_alone": "# TYPE a counter\n",
    "good": metric("a") + metric("b_total", "counter") + metric("c_bytes") + HELP.format("h", "histogram")
    + histogram("h"),
    "units": "".join(metric(f"x_{unit}") for unit in UNITS),
    "units_inside": "".join(metric(f"x_{unit}_y") for unit in UNITS),
    "units_first": "".join(metric(f"{unit}_y") for unit in UNITS),
    # of two different units in one name promtool takes one by chance
    "units_two": metric("x_seconds_y_seconds") + metric("minutes_minutes"),
    "units_glued": metric("xseconds") + metric("x_secondss") + metric("X_Seconds") + metric("x__minutes"),
    "abbreviations": "".join(metric(f"x_{short}") for short in SHORT),
    "abbreviations_inside": "".join(metric(f"x_{short}_y") for short in SHORT),
    "abbreviations_first": "".join(metric(f"{short}_y") for short in SHORT),
    "abbreviations_upper": metric("x_MS") + metric("x_Kb_y") + metric("x_s_ms_us"),
    "types_in_names": "".join(metric(name) for name in (
        "x_counter", "x_counter_y", "counter_y", "x_gauge", "gauge", "x_summary_y", "x_histogram", "x_gauge_histogram",
        "x_GAUGE", "xgauge", "x_gauges", "x_untyped")),
    "counters": "".join(metric(x, "counter") for x in ("a", "a_total", "a_total_b", "total", "a_Total", "_total")),
    "not_counters": metric("a_total") + metric("b_total", "untyped") + "c_total 1\n"
    + HELP.format("d_total", "summary") + "d_total_sum 1\nd_total_count 1\n"
    + HELP.format("e_total", "histogram") + histogram("e_total"),
    "reserved_gauges": "".join(metric(f"{x}{suffix}") for x in "ab" for suffix in ("_bucket", "_count", "_sum")),
    "reserved_counters": "".join(metric(f"a{suffix}", "counter") for suffix in ("_bucket", "_count", "_sum")),
    "reserved_untyped": "a_bucket 1\na_count 1\na_sum 1\nb{le=\"1\",quantile=\"1\"} 1\n",
    "reserved_of_summary": HELP.format("a", "summary") + 'a{quantile="1"} 1\na_sum 1\na_count 1\n'
    + HELP.format("b_count", "summary") + 'b_count{quantile="1"} 1\nb_count_sum 1\nb_count_count 1\n'
    + HELP.format("c_bucket", "summary") + 'c_bucket{quantile="1"} 1\nc_bucket_sum 1\nc_bucket_count 1\n',
    "reserved_of_histogram": "".join(
        HELP.format(name, "histogram") + histogram(name) for name in ("a_bucket", "b_count", "c_sum")),
    "labels_le": metric("a", labels='{le="1"}') + metric("b_total", "counter", '{le="1",quantile="1"}'),
    "labels_of_summary": HELP.format("a", "summary") + 'a{quantile="1",le="2"} 1\na_sum{le="2"} 1\na_count{le="2"} 1\n',
    "labels_of_histogram": HELP.format("a", "histogram") + histogram("a", 'quantile="1"'),
    "camel_names": "".join(metric(name) for name in ("aB", "Ab", "AB", "aBC", "a_B", "a_bC_d", "aB1C", "a1B")),
    "camel_labels": metric("a", labels='{aB="1",cD="2",e="3"}') + metric("b", labels='{aB="1"}') + 'b{aB="2"} 1\n',
    "camel_of_histogram": HELP.format("a", "histogram") + histogram("a", 'aB="1"') + histogram("a", 'aB="2"'),
    "camel_of_summary": HELP.format("a", "summary") + 'a{aB="1",quantile="1"} 1\na_sum{aB="1"} 1\na_count{aB="1"} 1\n',
    "colons": metric("a:b") + metric(":a") + metric("a:") + metric("a::b"),
    "twice": metric("a") + "a 2\n" + metric("b", labels='{x="1"}') + 'b{x="1"} 2\nb{x="2"} 3\nb{x="2"} 3\nb{x="2"} 3\n',
    "twice_in_another_order": metric("a", labels='{x="1",y="2"}') + 'a{y="2",x="1"} 2\n',
    "twice_with_times": HELP.format("a", "gauge") + "a 1 1000\na 1 2000\n",
    "twice_histogram": HELP.format("a", "histogram") + histogram("a") + histogram("a"),
    "many_at_once": metric("fooBar_gauge_milliseconds_total:x", labels='{aB="1",le="2"}'),
    "values": "# HELP a text\na NaN\na{b=\"1\"} +Inf\na{b=\"2\"} -Inf\na{b=\"3\"} 1e3\na{b=\"4\"} 1\n",
    "escapes": '# HELP a te\\\\xt\\n\na{b="x\\\\y\\n\\"z"} 1\n',
    "blanks": " # HELP  a  text \n\ta { b = \"c\" , } 1 \n",
    "timestamps": "# HELP a text\na 1 1767225600000\n",
    "no_buckets": HELP.format("a", "histogram") + "a_sum 1\na_count 1\n",
    "no_infinity": HELP.format("a", "histogram") + histogram("a", buckets=("1", "2")),
    "split": metric("a", labels='{x="1"}') + metric("b") + 'a{x="2"} 1\n',
    "type_after": "a 1\n# TYPE a gauge\n",
    "type_twice": "# TYPE a gauge\n# TYPE a gauge\na 1\n",
    "help_twice": "# HELP a x\n# HELP a x\na 1\n",
    "help_after": "a 1\n# HELP a x\n",
    "unknown_type": "# TYPE a info\na 1\n",
    "utf8_value": '# HELP a text\na{b="\u00e4"} 1\n',
    "utf8_name": '{"a.b"} 1\n',
    "bad_line": "a 1\nb{ 2\nc 3\n",
    "bad_value": "a 1\nb x\n",
    "no_last_newline": "a 1",
    "label_twice": 'a{b="1",b="2"} 1\n',
}

A_HELP = ("a no help text",)
STRICT = "Prometheus reads it, and the report has a finding or an error for it"

DIFFERENCES = {
    "twice": More("duplicates are looked for since 2.46", ("a metric not unique",) + 3 * ("b metric not unique",)),
    "twice_with_times": More("duplicates are looked for since 2.46", ("a metric not unique",)),
    "types_in_names": More(
        "newer ones look for the metric's own type only",
        tuple(
            f"{name} metric name should not include type '{kind}'"
            for name, kind in (
                ("x_counter", "counter"),
                ("x_counter_y", "counter"),
                ("x_summary_y", "summary"),
                ("x_histogram", "histogram"),
                ("x_gauge_histogram", "histogram"),
                ("x_gauge_histogram", "gauge_histogram"),
            )
        ),
    ),
    "blanks": Refuses("blanks may stand at the end of a line", 0),
    "type_after": Refuses(STRICT, 3, A_HELP),
    "type_twice": Refuses(STRICT, 3, A_HELP),
    "help_twice": Refuses(STRICT, 0),
    "unknown_type": Refuses("ours is an error with its place, and goes on", 1, A_HELP),
    "utf8_name": Refuses("UTF-8 names are newer than Debian 12's promtool", 3, ("a.b no help text",)),
    "bad_line": Refuses("errors have their places in the report, and lint goes on", 1, A_HELP + ("c no help text",)),
    "bad_value": Refuses("errors have their places in the report, and lint goes on", 1, A_HELP),
    "no_last_newline": Refuses("a last line need not end", 3, A_HELP),
    "label_twice": Refuses("an error with its place in the report", 1),
}


def run_promtool(body):
    command = [peer("usr/bin/promtool"), "check", "metrics"]
    done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=60)
    return done.returncode, (done.stdout + done.stderr).splitlines()


@pytest.mark.parametrize("name", BODIES)
def test_the_same_findings(name):
    code, promtool = run_promtool(BODIES[name])
    our_code, out, _ = obsagent("scrape", "--lint=all", "--ignore=all", "-", stdin=BODIES[name])
    ours = out.splitlines()
    differs = DIFFERENCES.get(name)
    if isinstance(differs, Refuses):
        assert (our_code, sorted(ours)) == (differs.code, sorted(differs.ours)), differs.why
        if code == 1:
            assert promtool[0].startswith("error while linting: text format parsing error"), promtool
            return
    if isinstance(differs, More):
        missing = Counter(ours) - Counter(promtool)
        assert not missing - Counter(differs.lines), differs.why
        assert not Counter(differs.lines) - Counter(ours), "a difference that is gone"
        promtool += missing.elements()
    assert sorted(ours) == sorted(promtool)
    assert our_code == (3 if ours else 0)
    assert isinstance(differs, More) or our_code == code
