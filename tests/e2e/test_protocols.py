"""test_protocols: remote write 1.0, 2.0, VictoriaMetrics's zstd and auto: what arrives, what becomes of refusals."""

import http.server
import struct
import threading
import urllib.parse
import json

import pytest

import harness
from harness import Agent, Process, Sink, Target, fields, free_port, http_get, peer, snappy_decode, wait_for

BODY = """# HELP requests What came in
# TYPE requests counter
requests_total{code="200",path="/a b"} 7 # {trace_id="abc"} 0.5
requests_created{code="200",path="/a b"} 1.6e9
requests_total{code="500",path="é"} 1
# TYPE latency_seconds histogram
# UNIT latency_seconds seconds
latency_seconds_bucket{le="0.1"} 1 # {trace_id="x"} 0.05 1700000000.5
latency_seconds_bucket{le="+Inf"} 4
latency_seconds_sum 2.5
latency_seconds_count 4
# TYPE temperature gauge
temperature{job="mine",empty=""} -0.0
temperature{cluster="own"} NaN
# EOF
"""


def openmetrics(run):
    return run(Target, BODY, None, "application/openmetrics-text; version=1.0.0; charset=utf-8")


def config(target, endpoints, external="{cluster: k3s, zone: b}"):
    """endpoints: (name, url, further YAML of one line)."""
    remotes = "".join(
        f"- url: {url}\n  name: {name}\n  queue_config: {{min_backoff: 100ms, max_backoff: 1s}}\n"
        f"  send_exemplars: true\n  send_native_histograms: true\n  metadata_config: {{send_interval: 1s}}\n  {extra}\n"
        for name, url, extra in endpoints
    )
    return (
        f"global: {{scrape_interval: 300ms, scrape_timeout: 300ms, external_labels: {external}}}\n"
        f"scrape_configs:\n- job_name: app\n  static_configs:\n  - targets: ['{target.address}']\n"
        f"remote_write:\n{remotes}"
    )


def protocol_of(agent, endpoint):
    return [p for p in ("rw1", "rw2", "vm") if agent.total("obsagent_remote_protocol", endpoint=endpoint, protocol=p)]


# ---- the same samples whatever the protocol ----


def shape(line, extras):
    """A line of the sink, comparable between protocols."""
    kept = ("labels", "t", "v", "h") + (("st", "exemplars") if extras else ())
    return json.dumps({k: v for k, v in line.items() if k in kept}, sort_keys=True)


@pytest.mark.sanitized
@pytest.mark.parametrize("external", ["{}", "{cluster: k3s, zone: b}"])
def test_the_same_samples_by_every_protocol(run, tmp_path, external):
    target = openmetrics(run)
    cases = {
        "rw1": ("protocol: rw1", "rw1"),
        "rw2": ("protocol: rw2", "rw2"),
        "prometheus2": ("protobuf_message: io.prometheus.write.v2.Request", "rw2"),
        "vm": ("protocol: vm", "vm"),
        "auto": ("protocol: auto", "rw2"),
        "ruled": ("protocol: rw2\n  write_relabel_configs: [{target_label: zone, replacement: c}]", "rw2"),
        "small": ("protocol: rw2\n  max_request_bytes: 700B", "rw2"),
    }
    sinks = {name: run(Sink, tmp_path, None, None, name, "--metadata") for name in cases}
    endpoints = [(name, sinks[name].url, extra) for name, (extra, _) in cases.items()]
    agent = run(Agent, tmp_path, config(target, endpoints, external))
    wait_for("several scrapes", lambda: len(target.requests) >= 4)
    wait_for("metadata", lambda: all('"metadata"' in sink.out.read_text() for sink in sinks.values()))
    agent.stop()
    got = {}
    for name, (_, protocol) in cases.items():
        lines = [json.loads(line) for line in sinks[name].out.read_text().splitlines()]
        samples = [line for line in lines if "labels" in line and ("v" in line or "h" in line)]
        if name == "ruled":
            assert {line["labels"]["zone"] for line in samples} == {"c"}
            for line in samples:
                line["labels"].pop("zone")
                line["labels"].update({"zone": "b"} if "zone" in external else {})
        got[name] = sorted(shape(line, protocol == "rw2") for line in samples)
        assert len(set(got[name])) == len(got[name]), "once"
        told = {line["metadata"]["name"]: line["metadata"] for line in lines if "metadata" in line}
        assert told["requests" if "requests" in told else "requests_total"]["type"] == "counter"
        extras = [line for line in samples if line["labels"]["__name__"] == "requests_total"]
        assert [line for line in extras if "exemplars" in line], name
        assert bool([line for line in extras if "st" in line]) == (protocol == "rw2"), "1.0 has no place for it"
    plain = {name: sorted(shape(json.loads(line), False) for line in got[name]) for name in got}
    for name in cases:
        assert plain[name] == plain["rw1"], name
    for name in ("prometheus2", "auto", "ruled", "small"):
        assert got[name] == got["rw2"], name


# ---- by the letter of the specification ----


class Strict:
    """A receiver that keeps requests as they are, answers as `script(headers, number)` says (status, headers), and
    writes down what breaks the specification."""

    def __init__(self, script):
        self.requests, self.broken, self.accepted = [], [], []
        self.lock = threading.Lock()
        strict = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with strict.lock:
                    kind = strict.kind(self.headers)
                    samples = strict.read(kind, body)
                    status, headers = script(kind, samples, len(strict.requests)) if samples else (204, {})
                    strict.requests.append((kind, status, samples))
                    if status // 100 == 2 and (kind != "rw2" or headers):
                        strict.accepted += samples
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/v1/write"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def kind(self, headers):
        expected = {
            "rw1": ("snappy", "application/x-protobuf", "X-Prometheus-Remote-Write-Version", "0.1.0"),
            "rw2": ("snappy", "application/x-protobuf;proto=io.prometheus.write.v2.Request",
                    "X-Prometheus-Remote-Write-Version", "2.0.0"),
            "vm": ("zstd", "application/x-protobuf", "X-VictoriaMetrics-Remote-Write-Version", "1"),
        }
        for name, (encoding, kind, version, number) in expected.items():
            if (headers["Content-Encoding"], headers["Content-Type"], headers[version]) == (encoding, kind, number):
                if not headers["User-Agent"].startswith("obsagent/"):
                    self.broken.append("user agent")
                return name
        self.broken.append(f"headers {dict(headers)}")
        return None

    def read(self, kind, body):
        if kind == "vm":
            return ["?"]
        if kind == "rw1":
            return [(tuple(sorted(labels.items())), t, v) for labels, t, v in harness.decode_write_request(body)[0]]
        request = list(fields(snappy_decode(body)))
        symbols = [v.decode() for n, v in request if n == 4]
        self.check(symbols and symbols[0] == "", "the first symbol")
        twice = sorted(s for s in symbols if symbols.count(s) > 1)
        self.check(not twice, f"symbols twice: {twice}")
        out = []
        for number, value in request:
            if number == 5:
                out += self.read_series(symbols, list(fields(value)))
        return out

    def check(self, fine, what):
        if not fine:
            self.broken.append(what)

    def read_series(self, symbols, series):
        refs = []
        for number, value in series:
            if number == 1:
                refs += list(varints(value))
        self.check(len(refs) % 2 == 0 and all(r < len(symbols) for r in refs), "references")
        labels = [(symbols[a], symbols[b]) for a, b in zip(refs[::2], refs[1::2])]
        names = [name for name, _ in labels]
        self.check(names == sorted(set(names)), f"labels not sorted or not unique: {names}")
        self.check(all(name and value for name, value in labels), f"empty: {labels}")
        self.check("__name__" in names, "no name")
        points = [(n, dict(fields(v))) for n, v in series if n in (2, 3)]
        self.check(points and len({n for n, _ in points}) == 1, "samples or histograms, never both, never none")
        times = [p.get(2 if n == 2 else 15) for n, p in points]
        self.check(times == sorted(times) and all(times), "order of timestamps")
        value = lambda p: struct.unpack("<d", p[1])[0] if isinstance(p.get(1), bytes) else 0.0
        return [(tuple(labels), t, value(p)) for t, (_, p) in zip(times, points)]


def varints(data):
    v = shift = 0
    for byte in data:
        v |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield v
            v = shift = 0


def written(samples, missing=0):
    return {"X-Prometheus-Remote-Write-Samples-Written": str(len(samples) - missing),
            "X-Prometheus-Remote-Write-Histograms-Written": "0", "X-Prometheus-Remote-Write-Exemplars-Written": "0"}


def speaks_2(kind, samples, number):
    return (204, written(samples)) if kind == "rw2" else (415, {})


def speaks_1(kind, samples, number):
    return (204, {}) if kind == "rw1" else (415, {})


def refuses_by_400(kind, samples, number):
    return (204, {}) if kind == "rw1" else (400, {})


def takes_anything_and_understands_1(kind, samples, number):
    return (204, {}) if kind in ("rw1", "rw2") else (400, {})


def a_proxy_in_the_way(kind, samples, number):
    return (400, {}) if number == 0 else (204, written(samples) if kind == "rw2" else {})


def unwell_at_first(kind, samples, number):
    return (503, {}) if number < 3 else speaks_2(kind, samples, number)


# settings, script, the protocol in the end, what of the first requests' kinds
CASES = {
    "two": ("auto", speaks_2, "rw2", ["rw2"]),
    "one": ("auto", speaks_1, "rw1", ["rw2", "vm", "rw1"]),
    "one_by_400": ("auto", refuses_by_400, "rw1", ["rw2", "vm", "rw1"]),
    "old_prometheus": ("auto", takes_anything_and_understands_1, "rw1", ["rw2", "vm", "rw1"]),
    "vm_to_one": ("vm", speaks_1, "rw1", ["vm", "rw1"]),
    "vm_to_one_by_400": ("vm", refuses_by_400, "rw1", ["vm", "rw1"]),
    "two_to_one": ("rw2", speaks_1, "rw1", ["rw2", "rw1"]),
    "proxy": ("rw2", a_proxy_in_the_way, "rw1", ["rw2", "rw1"]),
    "unwell": ("auto", unwell_at_first, "rw2", ["rw2"] * 4),
}


@pytest.mark.sanitized
@pytest.mark.parametrize("name", CASES)
def test_negotiation(run, tmp_path, name):
    settings, script, protocol, kinds = CASES[name]
    target = openmetrics(run)
    receiver = run(Strict, script)
    setup = config(target, [("main", receiver.url, f"protocol: {settings}")])
    agent = run(Agent, tmp_path, setup)
    wait_for("accepted requests", lambda: len([1 for _, s, _ in receiver.requests if s // 100 == 2]) >= 3)
    assert [kind for kind, _, samples in receiver.requests if samples][: len(kinds)] == kinds
    assert protocol_of(agent, "main") == [protocol]
    agent.assert_balanced("main")
    assert agent.total("obsagent_samples_lost_total") == 0
    agent.stop()
    assert not receiver.broken
    delivered = [(labels, t) for labels, t, _ in receiver.accepted]
    assert len(set(delivered)) == len(delivered), "once"

    seen = len(receiver.requests)
    agent = run(Agent, tmp_path, setup)
    wait_for("requests of the next run", lambda: len(receiver.requests) >= seen + 1)
    assert {kind for kind, _, samples in receiver.requests[seen:] if samples} == {protocol}, "it remembers"
    agent.stop()


def test_what_is_accepted_but_not_written_is_told(run, tmp_path):
    target = openmetrics(run)
    receiver = run(Strict, lambda kind, samples, number: (204, written(samples, 2)))
    agent = run(Agent, tmp_path, config(target, [("main", receiver.url, "protocol: rw2")]))
    wait_for("requests", lambda: len(receiver.requests) >= 3)
    wait_for("the count", lambda: agent.total("obsagent_remote_unwritten_samples_total", endpoint="main") >= 4)
    assert protocol_of(agent, "main") == ["rw2"]
    assert "says it has written" in agent.output()
    agent.assert_balanced("main")


def test_a_refused_series_of_2_0_is_found(run, tmp_path):
    """Once 2.0 is known to be understood, a 400 is about the data."""
    target = openmetrics(run)
    bad = lambda samples: any(dict(labels).get("code") == "500" for labels, _, _ in samples)
    answer = lambda kind, samples, number: (400, {}) if number and bad(samples) else (204, written(samples))
    receiver = run(Strict, answer)
    agent = run(Agent, tmp_path, config(target, [("main", receiver.url, "protocol: auto")]))
    wait_for("a loss", lambda: agent.total("obsagent_samples_lost_total", reason="rejected") >= 2)
    agent.assert_balanced("main")
    assert protocol_of(agent, "main") == ["rw2"]
    assert not receiver.broken
    lost = agent.total("obsagent_samples_lost_total", endpoint="main")
    scrapes = len(target.requests)
    assert lost <= scrapes, "one series of each scrape"


# ---- real receivers ----


def start_victoria_metrics(run, tmp_path):
    port = free_port()
    argv = [peer("usr/bin/victoria-metrics"), f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=1", "-search.latencyOffset=0s", "-memory.allowedBytes=64MB"]
    run(Process, argv, tmp_path / "vm.log")
    return port


def start_prometheus(run, tmp_path):
    port = free_port()
    (tmp_path / "prometheus.yml").write_text("global: {}\n")
    argv = [peer("usr/bin/prometheus"), f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
            "--web.enable-remote-write-receiver"]
    run(Process, argv, tmp_path / "prometheus.log", env=harness.peer_env())
    return port


@pytest.mark.parametrize("start", [start_victoria_metrics, start_prometheus])
def test_real_receivers(run, tmp_path, start):
    """Debian's are of before 2.0 and zstd: whatever is allowed, it ends at what they speak."""
    port = start(run, tmp_path)
    wait_for("the receiver", lambda: harness.can_connect(port))
    target = openmetrics(run)
    url = f"http://127.0.0.1:{port}/api/v1/write"
    names = ("rw1", "rw2", "vm", "auto")
    rules = "write_relabel_configs: [{{target_label: by, replacement: {0}}}]"
    endpoints = [(name, url, f"protocol: {name}\n  {rules.format(name)}") for name in names]
    setup = config(target, endpoints).replace("  send_exemplars: true\n  send_native_histograms: true\n", "")
    agent = run(Agent, tmp_path, setup)
    ready = lambda: all(agent.total("obsagent_samples_delivered_total", endpoint=n, job="app") > 40 for n in names)
    wait_for("deliveries", ready, timeout=40)
    for name in names:
        agent.assert_balanced(name)
        assert agent.total("obsagent_samples_lost_total", endpoint=name) == 0
        found = lambda: value_at(port, f'requests_total{{by="{name}",code="200"}}')
        wait_for(f"what {name} brought", lambda: found() == "7")
    assert protocol_of(agent, "rw1") == ["rw1"]
    assert protocol_of(agent, "auto") in (["rw1"], ["vm"])


def value_at(port, query):
    status, body = http_get(f"http://127.0.0.1:{port}/api/v1/query?query={urllib.parse.quote(query)}")
    result = json.loads(body)["data"]["result"] if status == 200 else []
    return result[0]["value"][1] if result else None
