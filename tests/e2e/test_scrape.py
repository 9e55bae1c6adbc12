"""test_scrape: from what targets expose to the samples that arrive.

Each case is a job of one and the same agent with a target of its own: a sequence of bodies, and for each of them the
samples that must come of it. Labels job and instance are filled in when the expectation does not mention them; every
other series of the job, report series aside, is an error.
"""

import dataclasses
import json
import time
import typing

import pytest

import harness
from harness import (
    Agent,
    Receiver,
    Sink,
    Target,
    http_get,
    make_certificates,
    named,
    parse_series,
    remote_write,
    scrape_config,
    wait_for,
    write_atomically,
)

pytestmark = pytest.mark.sanitized

STALE = harness.STALE
DOWN = {"up": 0}


@dataclasses.dataclass
class Case:
    name: str
    steps: list  # of (body or (status, body), {series: value or (value, ms)}); the last goes on for ever
    extra: str = ""  # YAML of the job
    error: str = ""  # in lastError of the API in the end
    reports: list = dataclasses.field(default_factory=list)  # for each step some report series and their values
    set_up: dict = dataclasses.field(default_factory=dict)  # attributes of the target
    asks: typing.Callable = None  # check(path, headers) of each request
    tls: tuple = ()  # files of the target's certificate


def once(body, samples, **more):
    """A case of one body, which stays the same."""
    return dict(steps=[(body, samples)], **more)


ALL = "abc" * 10
ONE = 'h_bucket{le="1"}'
CASES = [
    # ---- labels ----
    Case(
        "honor_labels_off",
        **once(
            'm{job="a",instance="b",exported_job="c",x=""} 1\n',
            {'m{exported_job="c",exported_exported_job="a",exported_instance="b"}': 1},
        ),
    ),
    Case(
        "honor_labels_on",
        **once('m{zone="mine",instance=""} 1\nn 2\n', {'m{zone="mine",instance=""}': 1, 'n{zone="of target"}': 2}),
        extra="  honor_labels: true\n  relabel_configs: [{target_label: zone, replacement: of target}]\n",
    ),
    Case(
        "target_labels",
        **once("m 1\n", {'m{zone="z",port="p",instance="me"}': 1}),
        extra="""  relabel_configs:
  - {source_labels: [__address__], regex: '.*:(.*)', target_label: port, replacement: p}
  - {target_label: zone, replacement: z}
  - {target_label: instance, replacement: me}
  - {target_label: __tmp, replacement: gone}
""",
    ),
    Case(
        "metric_relabeling",
        **once(
            "keep_a 1\ndrop_b 2\nkeep_c 3\n# TYPE keep_c counter\n",
            {'kept_a{short="a"}': 1, 'kept_c{short="c"}': 3},
            reports=[
                {"scrape_samples_scraped": 3, "scrape_samples_post_metric_relabeling": 2, "scrape_series_added": 2}
            ],
        ),
        extra="""  metric_relabel_configs:
  - {source_labels: [__name__], regex: drop_.*, action: drop}
  - {source_labels: [__name__], regex: keep_(.), target_label: short}
  - {source_labels: [__name__], regex: keep_(.), target_label: __name__, replacement: kept_$1}
""",
    ),
    Case(
        "metric_name_removed",
        **once("m 1\n", {}),
        extra="  metric_relabel_configs: [{regex: __name__, action: labeldrop}]\n",
        error="missing metric name",
        reports=[DOWN],
    ),
    Case(
        "vmagent_rules",
        **once(
            'm{a="1"} 1\nm{a="2"} 2\nn{a="1"} 3\n',
            {'m{a="1",b="x-1"}': 1, 'n{a="1",b="x-1"}': 3},
        ),
        extra="""  metric_relabel_configs:
  - {if: '{a="2"}', action: drop}
  - {target_label: b, replacement: 'x-{{a}}'}
""",
    ),
    # ---- text ----
    Case(
        "escapes",
        **once(
            'm{a="q\\"b\\\\s\\nn",b="ünïcode ☃, } {"} 1\nm {  } 2\nm{c="1",} 3\n',
            {
                (("__name__", "m"), ("a", 'q"b\\s\nn'), ("b", "ünïcode ☃, } {")): 1,
                "m": 2,
                'm{c="1"}': 3,
            },
        ),
    ),
    Case(
        "quoted_names",
        **once(
            '{"my.metric", "a.b"="c"} 1\n{"x"} 2\n',
            {(("__name__", "my.metric"), ("a.b", "c")): 1, "x": 2},
        ),
    ),
    Case(
        "numbers",
        **once(
            "a 1e3\nb -0.5\nc +Inf\nd -Inf\ne NaN\nf 1e-320\ng 12345678901234567\n# EOF\n\n  \n# what\nh\t5",
            {"a": 1000, "b": -0.5, "c": "+Inf", "d": "-Inf", "e": "NaN", "f": 1e-320, "g": 12345678901234568, "h": 5},
        ),
    ),
    Case("crlf", **once("# TYPE m gauge\r\nm 1\r\n\r\nn 2\r\n", {"m": 1, "n": 2})),
    Case(
        "le_is_not_touched",
        **once('# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="01e0"} 2\n', {ONE: 1, 'h_bucket{le="01e0"}': 2}),
    ),
    Case("empty_body", **once("", {}), reports=[{"up": 1, "scrape_samples_scraped": 0}]),
    Case("gzip", **once(f"m 1\n# {ALL * 1000}\nn 2\n", {"m": 1, "n": 2}), set_up={"gzip": True}),
    Case(
        "no_compression",
        **once("m 1\n", {"m": 1}),
        extra="  enable_compression: false\n",
        asks=lambda path, headers: headers["Accept-Encoding"] == "identity",
    ),
    Case(
        "duplicates",
        **once("m 1\nm 2\nn 3\n", {"m": 1, "n": 3}),
        reports=[{"scrape_samples_scraped": 3, "scrape_samples_post_metric_relabeling": 3}],
    ),
    # ---- timestamps and staleness ----
    Case(
        "own_timestamps",
        [(f"m {n} {1600000000000 + n}\nn 2\n", {"m": (n, 1600000000000 + n), "n": 2}) for n in range(3)]
        + [("n 2\n", {"n": 2})],  # and no stale marker for m
    ),
    Case(
        "honor_timestamps_off",
        [("m 1 1600000000000\n", {"m": 1}), ("\n", {"m": STALE}), ("\n", {})],
        extra="  honor_timestamps: false\n",
    ),
    Case(
        "future_timestamps",
        **once(f"m 1 {int(time.time() * 1000) + 3600000}\nn 2\n", {"n": 2}),
        reports=[{"up": 1}],
    ),
    Case(
        "vanished_series",
        [
            ("a 1\nb 1\n", {"a": 1, "b": 1}),
            ("a 2\n", {"a": 2, "b": STALE}),
            ("a 3\n", {"a": 3}),
            ("b 4\na 4\n", {"a": 4, "b": 4}),
        ],
        reports=[{"scrape_series_added": n} for n in (2, 0, 0, 1)],
    ),
    Case(
        "failed_scrape",
        [
            ("a 1\nb 1\n", {"a": 1, "b": 1}),
            ((503, "a 2\n"), {"a": STALE, "b": STALE}),
            ((503, "a 2\n"), {}),
            ("a 3\n", {"a": 3}),
            ((500, "a 4\n"), {"a": STALE}),
            ((500, "a 4\n"), {}),
        ],
        error="server returned HTTP status 500 Internal Server Error",
        reports=[
            {"up": 1, "scrape_samples_scraped": 2},
            {"up": 0, "scrape_samples_scraped": 0},
            DOWN,
            {"up": 1, "scrape_samples_scraped": 1},
            DOWN,
            DOWN,
        ],
    ),
    Case(
        "no_stale_markers",
        [("a 1\nb 1\n", {"a": 1, "b": 1}), ("a 2\n", {"a": 2})],
        extra="  no_stale_markers: true\n",
    ),
    # ---- what fails a scrape ----
    Case(
        "bad_line",
        [
            ("a 1\nb 2\n", {"a": 1, "b": 2}),
            ("a 3\nb {x=1} 2\nc 1\n", {"a": STALE, "b": STALE}),
            ("a 3\nb {x=1} 2\nc 1\n", {}),
        ],
        error="line 2, column 6: ",
        reports=[{"up": 1}, {"up": 0, "scrape_samples_scraped": 1}],
    ),
    Case("bad_value", **once("a 1\nb 1_000\n", {}), error="line 2, column 3: ", reports=[DOWN]),
    Case("hexadecimal", **once("a 0x1F\n", {}), error="line 1, column 3: ", reports=[DOWN]),
    Case("bad_utf8", **once(b'a{b="\xff"} 1\n', {}), error="", reports=[DOWN]),
    Case("repeated_label", **once('a{x="1",x="2"} 1\n', {}), error='label name "x" is not unique', reports=[DOWN]),
    Case("no_metric_name", **once('{a="b"} 1\n', {}), error="line 1, column 1: metric name not set", reports=[DOWN]),
    Case(
        "any_text",
        **once("m 1\n", {}),
        error='received unsupported Content-Type "text/html" and no fallback_scrape_protocol specified for target',
        reports=[DOWN],
        set_up={"content_type": "text/html"},
    ),
    Case(
        "any_text_with_fallback",
        **once("m 1\n", {"m": 1}),
        extra="  fallback_scrape_protocol: PrometheusText0.0.4\n",
        set_up={"content_type": "text/html"},
    ),
    Case(
        "no_content_type",
        **once("m 1\n", {}),
        error="non-compliant scrape target sending blank Content-Type and no fallback_scrape_protocol specified",
        reports=[DOWN],
        set_up={"content_type": ""},
    ),
    Case(
        "no_content_type_with_fallback",
        **once("m 1\n", {"m": 1}),
        extra="  fallback_scrape_protocol: PrometheusText0.0.4\n",
        set_up={"content_type": ""},
    ),
    Case(
        "sample_limit",
        [
            ("a 1\nb 2\n", {"a": 1, "b": 2}),
            ("a 1\nb 2\nc 3\nd 4\n", {"a": STALE, "b": STALE}),
            ("a 1\nb 2\nc 3\nd 4\n", {}),
        ],
        extra="  sample_limit: 2\n",
        error="sample limit exceeded",
        reports=[{"up": 1}, {"up": 0, "scrape_samples_scraped": 4}],
    ),
    Case(
        "body_size_limit",
        [("a 1\n", {"a": 1}), ("a 1\n" + "#" * 2000, {"a": STALE}), ("a 1\n" + "#" * 2000, {})],
        extra="  body_size_limit: 1KB\n  extra_scrape_metrics: true\n",
        error="body size limit exceeded",
        reports=[{"up": 1, "scrape_body_size_bytes": 4}, {"up": 0, "scrape_body_size_bytes": -1}],
    ),
    Case(
        "body_size_limit_gzip",
        **once("a 1\n" + "#" * 2000, {}),
        extra="  body_size_limit: 1KB\n",
        error="body size limit exceeded",
        reports=[DOWN],
        set_up={"gzip": True},
    ),
    Case(
        "label_limit",
        **once('a{x="1",y="2"} 1\n', {}),
        extra="  label_limit: 4\n",
        error="label_limit exceeded (metric: a, number of labels: 5, limit: 4)",
        reports=[DOWN],
    ),
    Case(
        "label_name_length_limit",
        **once(f'a{{{ALL}="1"}} 1\n', {}),
        extra="  label_name_length_limit: 20\n",
        error=f"label_name_length_limit exceeded (metric: a, label name: {ALL}, length: 30, limit: 20)",
        reports=[DOWN],
    ),
    Case(
        "label_value_length_limit",
        **once(f'a{{x="{ALL * 2}"}} 1\n', {}),
        extra="  label_value_length_limit: 40\n",
        error="label_value_length_limit exceeded (metric: a, label name: x, "
        f'value: "{(ALL * 2)[:50]}", length: 60, limit: 40)',
        reports=[DOWN],
    ),
    Case("timeout", **once("a 1\n", {}), extra="  scrape_timeout: 100ms\n", reports=[DOWN], set_up={"delay": 0.2}),
    # ---- requests ----
    Case(
        "params",
        **once("m 1\n", {"m": 1}),
        extra="""  metrics_path: /some/path
  params: {module: [a b, c], q: ['x&y']}
  relabel_configs: [{target_label: __param_q, replacement: new}]
""",
        asks=lambda path, headers: path == "/some/path?module=a+b&module=c&q=new",
    ),
    Case(
        "path_by_relabeling",
        **once("m 1\n", {"m": 1}),
        extra="  relabel_configs: [{target_label: __metrics_path__, replacement: /moved}]\n",
        asks=lambda path, headers: path == "/moved",
    ),
    Case(
        "headers",
        **once("m 1\n", {"m": 1}),
        asks=lambda path, headers: path == "/metrics"
        and headers["X-Prometheus-Scrape-Timeout-Seconds"] == "0.9"
        and headers["User-Agent"].startswith("obsagent/")
        and headers["Accept"].startswith("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,")
        and headers["Accept-Encoding"] == "gzip"
        and "Authorization" not in headers,
    ),
    Case(
        "disable_keepalive",
        **once("m 1\n", {"m": 1}),
        extra="  disable_keepalive: true\n",
        asks=lambda path, headers: headers["Connection"] == "close",
    ),
    Case(
        "offer_zstd",
        **once("m 1\n", {"m": 1}),
        extra="  offer_zstd: true\n",
        asks=lambda path, headers: headers["Accept-Encoding"] == "zstd, gzip;q=0.9",
    ),
    Case(
        "scrape_protocols",
        **once("m 1\n", {"m": 1}),
        extra="  scrape_protocols: [PrometheusText0.0.4]\n",
        asks=lambda path, headers: headers["Accept"] == "text/plain;version=0.0.4;q=0.6,*/*;q=0.5",
    ),
    Case(
        "basic_auth",
        **once("m 1\n", {"m": 1}),
        extra="  basic_auth: {username: ü, password_file: secret}\n",
        asks=lambda path, headers: headers["Authorization"] == "Basic w7w6ZnJvbS1maWxl",
    ),
    Case(
        "bearer",
        **once("m 1\n", {"m": 1}),
        extra="  authorization: {credentials_file: secret}\n",
        asks=lambda path, headers: headers["Authorization"] == "Bearer from-file",
    ),
    Case(
        "other_scheme",
        **once("m 1\n", {"m": 1}),
        extra="""  authorization: {type: ApiKey, credentials: k}
  http_headers: {X-One: {values: [a]}, X-Two: {secrets: [b]}}
""",
        asks=lambda path, headers: headers["Authorization"] == "ApiKey k"
        and (headers["X-One"], headers["X-Two"]) == ("a", "b"),
    ),
    # ---- TLS ----
    Case(
        "tls",
        **once("m 1\n", {"m": 1}),
        extra="  scheme: https\n  tls_config: {ca_file: ca.pem}\n",
        tls=("server.pem", "server.key"),
    ),
    Case(
        "tls_any",
        **once("m 1\n", {"m": 1}),
        extra="  scheme: https\n  tls_config: {insecure_skip_verify: true}\n",
        tls=("server.pem", "server.key"),
    ),
    Case(
        "tls_client_certificate",
        **once("m 1\n", {"m": 1}),
        extra="""  scheme: https
  tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: target.test}
""",
        tls=("server.pem", "server.key", "ca.pem"),
    ),
    Case(
        "tls_unknown_ca",
        **once("m 1\n", {}),
        extra="  scheme: https\n  tls_config: {ca_file: other.pem}\n",
        tls=("server.pem", "server.key"),
        error="certificate",
        reports=[DOWN],
    ),
    Case(
        "tls_wrong_name",
        **once("m 1\n", {}),
        extra="  scheme: https\n  tls_config: {ca_file: ca.pem, server_name: else.test}\n",
        tls=("server.pem", "server.key"),
        error="else.test",
        reports=[DOWN],
    ),
    # ---- reports ----
    Case(
        "reports",
        [
            ("a 1\nb 2\n", {"a": 1, "b": 2}),
            ("a 1\nc 2\n", {"a": 1, "b": STALE, "c": 2}),
            ("a 1\nc 2\n", {"a": 1, "c": 2}),
        ],
        extra="  extra_scrape_metrics: true\n  sample_limit: 7\n",
        reports=[
            {
                "up": 1,
                "scrape_samples_scraped": 2,
                "scrape_samples_post_metric_relabeling": 2,
                "scrape_series_added": added,
                "scrape_timeout_seconds": 0.9,
                "scrape_sample_limit": 7,
                "scrape_body_size_bytes": 8,
            }
            for added in (2, 1, 0)
        ],
    ),
]
EXTRA_REPORTS = {"scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes"}


def script(steps):
    return lambda number: steps[min(number, len(steps) - 1)][0]


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    class World:
        pass

    w = World()
    w.tmp = make_certificates(tmp_path_factory.mktemp("scrape"))
    (w.tmp / "secret").write_text("from-file\n")
    w.targets = {}
    jobs = ""
    for case in CASES:
        target = w.targets[case.name] = run_module(
            Target, script(case.steps), tls=tuple(w.tmp / name for name in case.tls) or None
        )
        for name, value in case.set_up.items():
            setattr(target, name, value)
        timeout = "" if "scrape_timeout" in case.extra else "  scrape_timeout: 900ms\n"
        jobs += f"- job_name: {case.name}\n  scrape_interval: 1s\n{timeout}{case.extra}"
        jobs += f"  static_configs: [{{targets: ['{target.address}']}}]\n"
    w.slow = run_module(Target, "m 1\n")
    w.slow.delay = 0.6
    jobs += scrape_config("slow", w.slow.address, "1s")
    w.sink = run_module(Sink, w.tmp)
    w.agent = run_module(
        Agent, w.tmp, f"scrape_configs:\n{jobs}" + harness.remote_write(w.sink.url), "--scrape.workers=1"
    )
    longest = max(len(case.steps) for case in CASES)
    # Reading all samples takes the interpreter from the targets, so that comes when it is likely to be the last time.
    wait_for("scrapes", lambda: w.agent.total("obsagent_scrapes_total") > (longest + 1) * len(CASES), interval=0.2)

    def arrived():
        w.samples = w.sink.samples()
        return all(len(ticks_of(w, job)) > longest for job in [*w.targets, "slow"])

    wait_for("the arrival of all steps", arrived, timeout=30, interval=1)
    return w


def is_down(case):
    """In the end."""
    return bool(case.reports) and case.reports[-1].get("up") == 0


def ticks_of(world, job):
    """The times of the scrapes, by the series that each has."""
    return [t for labels, t, _ in named(world.samples, "up") if labels["job"] == job]


def full(world, case, series):
    labels = dict(series) if isinstance(series, tuple) else parse_series(series)
    labels = {"job": case.name, "instance": world.targets[case.name].address} | labels
    return frozenset((k, v) for k, v in labels.items() if v)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_samples(world, case):
    ticks = ticks_of(world, case.name)
    own = {}
    for labels, t, v in world.samples:
        if labels["job"] == case.name and labels["__name__"] not in harness.REPORT_SERIES | EXTRA_REPORTS:
            assert (frozenset(labels.items()), t) not in own, "twice"
            own[frozenset(labels.items()), t] = v
    expected = {}
    for number, tick in enumerate(ticks):
        for series, value in case.steps[min(number, len(case.steps) - 1)][1].items():
            value, t = value if isinstance(value, tuple) else (value, tick)
            expected[full(world, case, series), t] = value
    assert own == expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reports(world, case):
    reports = {}
    for labels, t, v in world.samples:
        if labels["job"] == case.name and labels["__name__"] in harness.REPORT_SERIES | EXTRA_REPORTS:
            reports.setdefault(t, {})[labels["__name__"]] = v
    names = harness.REPORT_SERIES | (EXTRA_REPORTS if "extra_scrape_metrics" in case.extra else set())
    for number, tick in enumerate(ticks_of(world, case.name)):
        assert set(reports[tick]) == names
        assert 0 < reports[tick]["scrape_duration_seconds"] < 1
        wanted = case.reports[number] if number < len(case.reports) else {"up": int(not is_down(case))}
        assert {name: reports[tick][name] for name in wanted} == wanted, f"scrape {number}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_api_tells_the_last_error(world, case):
    ((target),) = world.agent.targets(case.name)
    down = is_down(case)
    assert target["health"] == ("down" if down else "up"), target
    assert bool(target["lastError"]) == down
    assert case.error in target["lastError"]


@pytest.mark.parametrize("case", [case for case in CASES if case.asks], ids=lambda case: case.name)
def test_requests(world, case):
    for path, headers, _ in world.targets[case.name].requests:
        assert case.asks(path, headers), (path, headers)


def test_dropped_samples_are_counted(world):
    assert world.agent.total("obsagent_scrape_samples_duplicate_total") > 0
    assert world.agent.total("obsagent_scrape_samples_out_of_bounds_total") > 0
    for reason in ("timeout", "sample_limit", "body_size_limit", "label_limit", "other"):
        assert world.agent.total("obsagent_scrapes_failed_total", reason=reason) > 0, reason


def test_a_slow_target_delays_no_other(world):
    others = [wall for target in world.targets.values() for _, _, wall in target.requests]
    for _, _, start in world.slow.requests[:4]:
        assert sum(start < wall < start + world.slow.delay for wall in others) > len(CASES) / 4
    assert 1 in [v for labels, _, v in named(world.samples, "up") if labels["job"] == "slow"]


def test_timestamps_keep_to_the_schedule(world):
    """Exact multiples of the interval, whenever the scrape was started in time; a busy machine may be late at times."""
    exact = total = 0
    for case in CASES:
        ticks = ticks_of(world, case.name)
        phases = [t % 1000 for t in ticks]
        exact += max(phases.count(p) for p in phases)
        total += len(ticks)
    assert exact > total * 0.6, f"{exact} of {total} timestamps are on schedule"


def test_targets_have_different_phases(world):
    phases = {ticks_of(world, case.name)[0] % 1000 for case in CASES}
    assert len(phases) > 32 / 2, "an interval has 32 groups of targets"


def test_books_balance(world):
    assert world.agent.assert_balanced("main")["lost"] == 0
    assert "BUG" not in world.agent.output()


# ---- targets come and go ----


def file_sd(*groups):
    return json.dumps([{"targets": targets, "labels": labels} for targets, labels in groups])


def test_failures_are_logged_as_lines_of_json(run, tmp_path):
    """scrape_failure_log_file, which may be rotated at any time."""
    target, receiver, log = run(Target, "m x\n"), run(Receiver), tmp_path / "failures.log"
    extra = "  scrape_failure_log_file: failures.log\n"
    job = scrape_config("j", target.address, extra=extra)
    run(Agent, tmp_path, remote_write(receiver.url) + "scrape_configs:\n" + job)
    lines = lambda: [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
    first = wait_for("a line", lines)[0]
    assert first["level"] == "ERROR" and first["job_name"] == "j"
    assert first["target"] == f"http://{target.address}/metrics"
    assert "invalid syntax" in first["msg"] and first["time"].endswith("Z")
    log.rename(tmp_path / "old.log")
    wait_for("a new file", lines)


def test_one_more_scrape_when_told_to_stop(run, tmp_path):
    """scrape_on_shutdown: what a job counted last is not lost with it."""
    target, receiver = run(Target, lambda number: f"m {number}\n"), run(Receiver)
    job = scrape_config("j", target.address, interval="1h", extra="  scrape_on_shutdown: true\n")
    agent = run(Agent, tmp_path, remote_write(receiver.url) + "scrape_configs:\n" + job)
    wait_for("the first scrape", lambda: receiver.snapshot())
    agent.stop()
    values = [v for labels, _, v in receiver.snapshot() if labels["__name__"] == "m"]
    assert values == [0, 1]


def test_targets_of_file_sd_come_and_go(run, tmp_path):
    one, two = run(Target, "m 1\n"), run(Target, "m 2\n")
    sink = run(Sink, tmp_path)
    listed = tmp_path / "targets.json"
    write_atomically(listed, file_sd(([one.address, two.address], {"zone": "a"})))
    config = (
        "scrape_configs:\n- job_name: files\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n"
        "  file_sd_configs: [{files: [targets.json]}]\n"
        "  relabel_configs: [{source_labels: [__meta_filepath], regex: '.*/(.*)', target_label: file}]\n"
    ) + harness.remote_write(sink.url)
    agent = run(Agent, tmp_path, config)
    of = lambda target: [s for s in sink.samples() if s[0].get("instance") == target.address]
    wait_for("both", lambda: len(named(of(one), "m")) >= 2 and len(named(of(two), "m")) >= 2)
    assert of(two)[0][0]["zone"] == "a" and of(two)[0][0]["file"] == "targets.json"

    # two goes: markers for its series and its report series, one goes on
    write_atomically(listed, file_sd(([one.address], {"zone": "a"})))
    ended = lambda: {labels["__name__"] for labels, _, v in of(two) if v == STALE}
    wait_for("the end of the second", lambda: ended() == harness.REPORT_SERIES | {"m"})
    for name in harness.REPORT_SERIES | {"m"}:
        points = [(t, v) for _, t, v in named(of(two), name)]
        assert [v for _, v in points].count(STALE) == 1 and points[-1][1] == STALE
        assert [t for t, _ in points] == sorted({t for t, _ in points})
    assert not [s for s in of(one) if s[2] == STALE]

    # a label changes: another target, and the old one's series end
    write_atomically(listed, file_sd(([one.address], {"zone": "b"})))
    wait_for("the new label", lambda: [s for s in named(of(one), "m") if s[0]["zone"] == "b"])
    wait_for("the end of the old", lambda: [s for s in named(of(one), "m") if s[0]["zone"] == "a" and s[2] == STALE])
    assert not [s for s in of(one) if s[0]["zone"] == "b" and s[2] == STALE]

    # a broken file is no order to forget the targets
    count = len(named(of(one), "m"))
    write_atomically(listed, '[{"targets": ')
    wait_for("a complaint", lambda: "targets.json" in agent.output())
    wait_for("more samples", lambda: len(named(of(one), "m")) > count + 3)

    write_atomically(listed, "[]")
    wait_for("the end", lambda: [s for s in named(of(one), "up") if s[0]["zone"] == "b" and s[2] == STALE])
    assert agent.targets() == []
    agent.assert_balanced("main")


def test_duplicate_targets_are_scraped_once(run, tmp_path):
    target = run(Target, "m 1\n")
    config = (
        "scrape_configs:\n- job_name: twice\n  scrape_interval: 200ms\n  scrape_timeout: 200ms\n  static_configs:\n"
        f"  - targets: ['{target.address}', '{target.address}']\n  - targets: ['{target.address}']\n"
        f"  - targets: ['{target.address}', 'dropped.test:1']\n    labels: {{zone: a}}\n"
        "  relabel_configs: [{source_labels: [__address__], regex: 'dropped.*', action: drop}]\n"
    )
    agent = run(Agent, tmp_path, config)
    wait_for("scrapes", lambda: len(target.requests) >= 6)
    assert len(agent.targets()) == 2
    data = json.loads(http_get(agent.url + "/api/v1/targets")[1])["data"]
    assert [t["discoveredLabels"]["__address__"] for t in data["droppedTargets"]] == ["dropped.test:1"]
    assert data["droppedTargetCounts"] == {"twice": 1}
