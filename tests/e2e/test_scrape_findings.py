# SPDX-License-Identifier: Apache-2.0
"""What `obsagent scrape` finds only when it asks a target: clocks, timestamps, two scrapes beside each other, and
labels that the target has as well. What it finds in bodies: `data/scrape` and the unit tests."""

import email.utils
import json
import time

import pytest

from harness import Target, obsagent

pytestmark = pytest.mark.sanitized


def findings(*argv):
    """{rule: [(line, subject, why)]} and the exit code."""
    code, out, err = obsagent("scrape", "--json", *argv)
    assert out, err
    rules = json.loads(out)["findings"]["rules"]
    return {r["rule"]: [(f["line"], f["subject"], f["why"]) for f in r["first"]] for r in rules}, code


def metrics(target):
    return f"http://{target.address}/metrics"


def test_timestamps_of_a_target(run):
    target = run(Target)
    now = int(time.time() * 1000)
    for offset, rules in ((0, {"timestamp"}), (-600_000, {"timestamp", "timestamp-stale"}),
                          (600_000, {"timestamp", "timestamp-future"})):
        target.body = f"a 1 {now}\nb 1 {now + offset}\n"
        found, code = findings(metrics(target))
        assert set(found) == rules and code == (3 if offset else 0), found
        if offset:
            line, subject, why = found[max(rules, key=len)][0]
            assert (line, subject) == (2, "b") and "the furthest of 2 with a time" in why
    target.body = f"a 1 {now // 1000}\n"
    found, _ = findings(metrics(target))
    assert found["timestamp-stale"] == [(1, "a", "it is in seconds: this format has milliseconds")]


def test_timestamps_that_the_job_leaves_out(run, tmp_path):
    target = run(Target, "a 1 1000\n")
    config = tmp_path / "c.yml"
    config.write_text(
        "scrape_configs:\n- {job_name: j, honor_timestamps: false, static_configs: "
        f"[{{targets: ['{target.address}'], labels: {{zone: z}}}}]}}\n"
    )
    found, code = findings("--config.file", config, "--job=j")
    assert code == 0 and set(found) == {"timestamp"} and "honor_timestamps" in found["timestamp"][0][2]
    target.body = 'a{zone="y",job="k",other="o"} 1\n'
    found, code = findings("--config.file", config, "--job=j")
    assert code == 0
    assert found == {"label-clash": [(1, "zone", "becomes exported_zone"), (1, "job", "becomes exported_job")]}


@pytest.mark.parametrize("hours, words", [(0, None), (-1, "seconds behind ours"), (1, "seconds ahead of ours")])
def test_the_target_s_clock(run, hours, words):
    target = run(Target, "a 1\n")
    date = email.utils.formatdate(time.time() + hours * 3600, usegmt=True)
    target.server.RequestHandlerClass.date_time_string = lambda *_: date
    found, code = findings(metrics(target))
    if not words:
        assert (found, code) == ({}, 0)
        return
    ((line, subject, why),) = found["clock-skew"]
    assert (code, line, subject) == (3, 0, "Date") and words in why
    assert 3500 < int(why.split()[4]) < 3700


COUNTER = "# TYPE c_total counter\nc_total {}\n"
START = "process_start_time_seconds {}\n"
TWICE = {
    "grows": (COUNTER.format(1), COUNTER.format(2), {}, 0),
    "falls": (COUNTER.format(5), COUNTER.format(4), {"counter-fell": [(2, "c_total", "4 after 5")]}, 3),
    "starts_anew": (
        COUNTER.format(5) + START.format(1),
        COUNTER.format(0) + START.format(9),
        {"restart": [(0, "process_start_time_seconds", "the target was started anew between the scrapes")]},
        0,
    ),
    "churns": (
        'a{pod="1"} 1\na{pod="2"} 1\n',
        'a{pod="2"} 1\na{pod="3"} 1\n',
        {
            "churn": [
                (0, "all series", "1 new, 1 gone, 1 stayed; new values of labels: pod (1)"),
                (2, "a", "1 new, 1 gone, 1 stayed"),
            ]
        },
        0,
    ),
}


def test_two_scrapes(run):
    target = run(Target)
    for name, (first, second, wanted, code) in TWICE.items():
        start = len(target.requests)
        target.body = lambda number, start=start, bodies=(first, second): bodies[number - start]
        assert findings("--twice=20ms", metrics(target)) == (wanted, code), name
        assert len(target.requests) == start + 2


def test_what_changed_between_two_scrapes(run):
    target = run(Target, lambda n: "a 1\n" if n == 0 else '# TYPE a gauge\na{x="1"} 1\nb 1\n')
    code, out, _ = obsagent("scrape", "--twice=20ms", metrics(target))
    assert code == 0
    changes = ["a: type gauge, was untyped", "a: label x is new", "b (untyped) is new"]
    assert "\n  ".join(["between the scrapes: 3 changes", *changes]) + "\n" in out


def test_a_second_scrape_that_fails(run):
    target = run(Target, lambda n: "a 1\n" if n == 0 else (503, "later"))
    code, out, _ = obsagent("scrape", "--twice=20ms", metrics(target))
    assert code == 1 and "churn" not in out and "503" in out
    target.body = lambda n: "a 1\nb 1\n" if n % 2 == 0 else 'a 1\nb{c="'
    code, out, _ = obsagent("scrape", "--twice=20ms", metrics(target))
    assert code == 1 and "churn" in out, "the whole of it, with an error"
