"""test_native_histograms: the protobuf format, beside Prometheus, and what only newer Prometheus does, by itself."""

import http.server
import struct
import threading
import time

import pytest

import harness
from harness import Agent, Process, Target, fields, free_port, peer, peer_env, snappy_decode, wait_for
from protobuf_body import (
    CONTENT_TYPE,
    COUNTER,
    GAUGE,
    GAUGE_HISTOGRAM,
    HISTOGRAM,
    SUMMARY,
    UNTYPED,
    body,
    bucket,
    counter,
    exemplar,
    family,
    gauge,
    histogram,
    summary,
    untyped,
)


def double(value):
    return struct.unpack("<d", value)[0]


def sint(v):
    return (v >> 1) ^ -(v & 1)


def packed_sint(data):
    out, v, shift = [], 0, 0
    for byte in data:
        v |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            out.append(sint(v))
            v = shift = 0
    return out


def packed_double(data):
    return [double(data[i : i + 8]) for i in range(0, len(data), 8)]


def decode_histogram(data):
    """A remote-write Histogram as a dictionary; counts of buckets absolute. Without timestamp and without the hint of
    a reset: what a receiver may conclude from order, Prometheus says only behind its own storage."""
    h = {"negative": ([], []), "positive": ([], [])}
    names = {1: "count", 2: "count_float", 3: "sum", 4: "schema", 5: "zero_threshold", 6: "zero", 7: "zero_float"}
    for number, value in fields(data):
        side = h["negative" if number < 11 else "positive"]
        if number in (8, 11):
            span = dict(fields(value))
            side[0].append((sint(span.get(1, 0)), span.get(2, 0)))
        elif number in (9, 12):
            count = 0
            for delta in packed_sint(value):
                count += delta
                side[1].append(count)
        elif number in (10, 13):
            side[1].extend(packed_double(value))
        elif number == 14:
            h["gauge"] = value == 3
        elif number == 16:
            h["bounds"] = packed_double(value)
        elif number in names:
            h[names[number]] = sint(value) if number == 4 else double(value) if isinstance(value, bytes) else value
    return {k: v for k, v in h.items() if v}  # what is zero may be left out


class Writes:
    """A remote-write 1.0 receiver that keeps what the harness's does not look at: `series` has for each series the
    values or histograms, `exemplars` the set of (labels, value, timestamp)."""

    def __init__(self):
        self.series, self.exemplars = {}, {}
        self.lock = threading.Lock()
        writes = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                request = snappy_decode(self.rfile.read(int(self.headers["Content-Length"])))
                with writes.lock:
                    for number, value in fields(request):
                        if number == 1:
                            writes.take(value)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/v1/write"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def take(self, series):
        pairs = [dict(fields(v)) for n, v in fields(series) if n == 1]
        labels = {p[1].decode(): p.get(2, b"").decode() for p in pairs}
        name = labels.pop("__name__")
        key = (name, *sorted((k, v) for k, v in labels.items() if k not in ("instance", "job")))
        for number, value in fields(series):
            if number == 2:
                self.series.setdefault(key, []).append(double(dict(fields(value)).get(1, b"\0" * 8)))
            elif number == 3:
                e = {n: v for n, v in fields(value) if n != 1}
                pair = [tuple(dict(fields(v)).values()) for n, v in fields(value) if n == 1]
                exemplar = (tuple(pair), double(e.get(2, b"\0" * 8)), e.get(3, 0))
                self.exemplars.setdefault(key, set()).add(exemplar)
            elif number == 4:
                self.series.setdefault(key, []).append(decode_histogram(value))

    def of_target(self):
        """{series: first value}, without what the scrape itself reports."""
        with self.lock:
            return {k: v[0] for k, v in self.series.items() if k[0] not in harness.REPORT_SERIES}

    def named(self, name):
        with self.lock:
            return [v for k, values in self.series.items() if k[0] == name for v in values]


def all_kinds(now):
    """Nothing that Prometheus 2.42 reads differently: it writes le and quantile as 1.0, and takes no span without
    buckets as the sign of a native histogram."""
    return body(
        family("g", GAUGE, gauge(1.5, {"a": "b"}), gauge(2, {"a": "c", "empty": ""})),
        family("r_total", COUNTER, counter(5, {"code": "200"}, exemplar=exemplar({"id": "1"}, 0.5, now))),
        family("u", UNTYPED, untyped(7)),
        family("s", SUMMARY, summary(3, 4.5, [(0.5, 1), (0.99, 2)])),
        family(
            "classic",
            HISTOGRAM,
            histogram(
                6,
                50.0,
                [bucket(0.5, 2, exemplar({"id": "2"}, 0.4, now - 5)), bucket(20.5, 4), bucket(1e6, 6)],
                pairs={"a": "b"},
            ),
        ),
        family(
            "both",
            HISTOGRAM,
            histogram(
                175,
                0.0008,
                [bucket(1.5, 2, exemplar({"id": "3"}, 0.3, now - 7))],
                schema=3,
                zero_threshold=2.9e-39,
                zero_count=2,
                negative=([(-162, 1), (23, 4)], [1, 4, 2, 1, 157]),
                positive=([(-161, 1), (8, 3)], [1, 3, 2, 2]),
            ),
        ),
        family(
            "empty_buckets",
            HISTOGRAM,
            histogram(
                9,
                1.0,
                schema=3,
                zero_threshold=1e-128,
                positive=([(0, 4), (0, 0), (3, 5)], [0, 3, 0, 1, 0, 2, 0, 0, 3]),
            ),
        ),
        family(
            "floats",
            GAUGE_HISTOGRAM,
            histogram(5.0, 12.1, schema=3, zero_threshold=0.5, zero_count=0.0, positive=([(8, 2)], [2.0, 3.0])),
        ),
        family(
            "gauges",
            GAUGE_HISTOGRAM,
            histogram(
                5,
                12.1,
                schema=-2,
                zero_threshold=0.5,
                zero_count=1,
                negative=([(1, 1)], [1]),
                positive=([(8, 2)], [2, 1]),
            ),
        ),
    )


SERIES = 18  # of all_kinds
NATIVE = {
    "count": 9,
    "sum": 1.0,
    "schema": 3,
    "zero_threshold": 1e-128,
    "negative": ([], []),
    "positive": ([(1, 1), (1, 1), (4, 1), (2, 1)], [3, 1, 2, 3]),
}


def config(address, url, extra=""):
    return (
        f"global: {{scrape_interval: 1s, scrape_timeout: 1s}}\n"
        f"remote_write:\n- url: {url}\n  send_native_histograms: true\n  send_exemplars: true\n"
        f"scrape_configs:\n- job_name: j\n{extra}  static_configs: [{{targets: ['{address}']}}]\n"
    )


def test_as_prometheus(run, tmp_path):
    """Both scrape the same body; what they write is the same: series, values, histograms, exemplars."""
    target = run(Target, all_kinds(int(time.time() * 1000)), content_type=CONTENT_TYPE)
    theirs, ours = run(Writes), run(Writes)
    (tmp_path / "prometheus.yml").write_text(config(target.address, theirs.url))
    run(
        Process,
        [
            peer("usr/bin/prometheus"),
            f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb",
            f"--web.listen-address=127.0.0.1:{free_port()}",
            "--enable-feature=native-histograms,exemplar-storage",
        ],
        tmp_path / "prometheus.log",
        env=peer_env(),
    )
    run(Agent, tmp_path, config(target.address, ours.url, "  scrape_native_histograms: true\n"))
    for writes in (theirs, ours):
        wait_for("all series", lambda w=writes: len(w.of_target()) >= SERIES, timeout=40)
        wait_for("all exemplars", lambda w=writes: len(w.exemplars) >= 3)
    assert ours.of_target() == theirs.of_target()
    assert ours.exemplars == theirs.exemplars
    assert ours.named("empty_buckets")[0] == NATIVE


@pytest.mark.sanitized
def test_without_native_histograms(run, tmp_path):
    """Not asked for, they are read as the classic ones they also are."""
    target = run(Target, all_kinds(int(time.time() * 1000)), content_type=CONTENT_TYPE)
    writes = run(Writes)
    run(Agent, tmp_path, config(target.address, writes.url, "  scrape_protocols: [PrometheusProto]\n"))
    wait_for("series", lambda: writes.named("gauges_bucket") and writes.named("both_bucket"))
    seen = writes.of_target()
    assert seen[("both_bucket", ("le", "+Inf"))] == 175.0
    assert seen[("floats_count",)] == 5.0
    assert not [k for k, v in seen.items() if isinstance(v, dict)]


def test_limit(run, tmp_path):
    """Resolution is reduced to stay within the limit; where even the coarsest has more buckets, the scrape fails."""
    target = run(Target, all_kinds(int(time.time() * 1000)), content_type=CONTENT_TYPE)
    fitting, failing = run(Writes), run(Writes)
    extra = "  scrape_native_histograms: true\n  native_histogram_bucket_limit: "
    run(Agent, tmp_path, config(target.address, fitting.url, extra + "5\n"), name="fitting")
    agent = run(Agent, tmp_path, config(target.address, failing.url, extra + "1\n"), name="failing")
    wait_for("histograms", lambda: fitting.named("both"))
    both = fitting.named("both")[0]
    assert both["schema"] < 3 and len(both["negative"][1]) + len(both["positive"][1]) <= 5
    assert sum(both["negative"][1]) + sum(both["positive"][1]) == 173
    wait_for("up", lambda: failing.named("up"))
    assert failing.named("up")[0] == 0.0 and not failing.of_target()
    assert agent.targets()[0]["lastError"] == "metric family 6 (both): histogram bucket limit exceeded"


TEXT = """# TYPE h histogram
h_bucket{a="b",le="0.5"} 2
h_bucket{a="b",le="2"} 3
h_bucket{a="b",le="+Inf"} 5
h_sum{a="b"} 4.5
h_count{a="b"} 5
"""


@pytest.mark.sanitized
def test_what_has_no_place_is_lost_by_name(run, tmp_path):
    """Remote write 1.0 has no place for custom buckets; histograms go out only when asked for. Both are booked."""
    target = run(Target, TEXT, content_type="text/plain")
    both = "  scrape_native_histograms: true\n  convert_classic_histograms_to_nhcb: true\n"
    proto = run(Target, all_kinds(int(time.time() * 1000)), content_type=CONTENT_TYPE)
    unasked = config(proto.address, "URL", "  scrape_native_histograms: true\n").replace(
        "send_native_histograms: true", "send_native_histograms: false"
    )
    for name, text, why in (
        ("custom", config(target.address, "URL", both), "remote write 1.0 has no place for custom buckets"),
        ("unasked", unasked, "send_native_histograms: true would send them"),
    ):
        writes = run(Writes)
        agent = run(Agent, tmp_path, text.replace("URL", writes.url), name=name)
        wait_for("up", lambda w=writes: w.named("up"))
        first = wait_for("the loss", lambda a=agent: a.total("obsagent_samples_lost_total", reason="not_sent"))
        assert not [h for h in writes.named("h") or [] if isinstance(h, dict)]
        wait_for(
            "more", lambda a=agent, n=first: a.total("obsagent_samples_lost_total", reason="not_sent") >= 3 * n
        )
        lines = [line for line in agent.output().splitlines() if "native histograms are not sent" in line]
        assert len(lines) == 1 and why in lines[0], "told once"
