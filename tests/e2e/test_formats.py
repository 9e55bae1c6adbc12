"""test_formats: the same bodies, text and OpenMetrics, scraped by Prometheus and by the agent: the same series?"""

import http.server
import pathlib
import re
import threading
import time
import urllib.parse

import pytest

import harness
from harness import Agent, Process, Sink, by_series, free_port, http_get, peer, peer_env, remote_write, wait_for

DATA = pathlib.Path(__file__).parent.parent / "unit/data"
TYPES = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
# The instant in the bodies, which both may take only when it is near.
INSTANT = "1520879607"
# What both report of a scrape and must agree on; up says whether the body was taken.
REPORTS = ("up", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling")

# Bodies beside those under tests/unit/data; `{now}` is near. True: the body must be taken.
BODIES = {
    "openmetrics": {
        "no_eof": ("a 1\n", False),
        "empty": ("", True),
        "eof_alone": ("# EOF\n", True),
        "eof_unfinished": ("a 1\n# EOF", True),
        "behind_eof": ("a 1\n# EOF\nb 2\n", False),
        "line_behind_eof": ("a 1\n# EOF\n\n", False),
        "empty_line": ("a 1\n\n# EOF\n", False),
        "comment": ("# so\na 1\n# EOF\n", False),
        "two_blanks": ("a  1\n# EOF\n", False),
        "tab": ("a\t1\n# EOF\n", False),
        "blank_behind": ("a 1 \n# EOF\n", False),
        "blank_before_brace": ('a {b="c"} 1\n# EOF\n', False),
        "blank_between_labels": ('a{b="c", d="e"} 1\n# EOF\n', False),
        "no_comma": ('a{b="c"d="e"} 1\n# EOF\n', False),
        "carriage_return": ("a 1\r\n# EOF\n", False),
        "untyped": ("# TYPE a untyped\na 1\n# EOF\n", False),
        "unit_of_another": ("# UNIT a_bytes seconds\na_bytes 1\n# EOF\n", False),
        "unit_alone": ("# UNIT bytes bytes\nbytes 1\n# EOF\n", False),
        "no_help": ("# HELP a\na 1\n# EOF\n", False),
        "hexadecimal": ("a 0x1p3\n# EOF\n", False),
        "underscore": ("a 1_000\n# EOF\n", False),
        "time_not_a_number": ("a 1 NaN\n# EOF\n", False),
        "time_without_end": ("a 1 +Inf\n# EOF\n", False),
        "time_no_clock_reaches": ("a 1 1e17\nb 2\n# EOF\n", True),
        "time_far_ahead": ("a 1 9e9\nb 2\n# EOF\n", True),
        "exemplar_time_not_a_number": ('a_total 1 # {b="c"} 1 NaN\n# EOF\n', False),
        "exemplar_time_no_clock_reaches": ('a_total 1 # {b="c"} 1 1e300\n# EOF\n', True),
        "exemplar_without_value": ('a_total 1 # {b="c"}\n# EOF\n', False),
        "exemplar_with_more": ('a_total 1 # {b="c"} 1 2 3\n# EOF\n', False),
        "exemplar_of_a_gauge": ('# TYPE a gauge\na 1 {now} # {b="c"} 1 {now}\n# EOF\n', True),
        "exemplar_of_many_runes": ('a_total 1 # {b="' + "x" * 500 + '"} 1\n# EOF\n', True),
        "trailing_comma": ('a{b="c",} 1\n# EOF\n', True),
        "not_utf8": (b'a{b="\xff"} 1\n# EOF\n', False),
        "help_not_utf8": (b"# HELP a \xff\na 1\n# EOF\n", False),
        "label_twice": ('a{b="c",b="d"} 1\n# EOF\n', False),
        "no_name": ('{b="c"} 1\n# EOF\n', False),
        "sample_twice": ("a 1\na 1\nb 2\n# EOF\n", True),
    },
    "text": {
        "empty": ("", True),
        "no_newline": ("a 1", True),
        "unit_and_eof_are_comments": ("# UNIT a s\n# EOF\na 1\n", True),
        "unknown": ("# TYPE a unknown\na 1\n", False),
        "fraction_of_a_time": ("a 1 1.5\n", False),
        "exemplar": ('a 1 # {b="c"} 1\n', False),
        "hexadecimal": ("a 0x1p3\n", False),
        "not_utf8": (b'a{b="\xff"} 1\n', False),
        "label_twice": ('a{b="c",b="d"} 1\n', False),
        "no_name": ('{b="c"} 1\n', False),
        "time_far_ahead": ("a 1 9000000000000\nb 2\n", True),
        "sample_twice": ("a 1\na 1\nb 2\n", True),
        "carriage_return": ("a 1\r\n", True),
        "blanks_before": ("  a 1\n", True),
    },
}

# Where the two differ by intent, or because the Prometheus beside is older than the one whose rules the agent has:
# LATER. With names only these series differ.
LATER = "in later versions of Prometheus: "
DIFFERENCES = {
    "openmetrics/quoted": (LATER + "names in quotes", None),
    "text/quoted": (LATER + "names in quotes", None),
    "openmetrics/exemplar_of_a_gauge": (LATER + "exemplars everywhere", None),
    "openmetrics/trailing_comma": (LATER + "a comma behind the last label", None),
    "openmetrics/empty": (LATER + "an empty body is a good scrape in any format", None),
    "text/carriage_return": ("lines may end as on Windows: the agent takes them, Prometheus fails", None),
    "text/blanks_before": ("blanks before a name are skipped; in Prometheus they become part of it", None),
    # Prometheus finds it where samples are stored, the agent where labels are read.
    "openmetrics/label_twice": ("samples counted before the error", ["scrape_samples_scraped"]),
    "text/label_twice": ("samples counted before the error", ["scrape_samples_scraped"]),
}


def bodies():
    """{"format/name": (body, whether it must be taken)}"""
    out = {}
    for kind, more in BODIES.items():
        for path in sorted((DATA / kind).glob("*.txt")):
            out[f"{kind}/{path.stem}"] = (path.read_bytes(), True)
        for name, (body, good) in more.items():
            assert f"{kind}/{name}" not in out
            out[f"{kind}/{name}"] = (body if isinstance(body, bytes) else body.encode(), good)
    return out


CASES = bodies()


class Exposer:
    """Serves each body under its name, and nothing to who does not accept its format."""

    def __init__(self):
        # Not before Prometheus starts: it would keep older samples to itself.
        now = str(int(time.time()) + 120).encode()
        self.accepts = set()
        exposer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                case = urllib.parse.unquote(self.path).lstrip("/")
                accept = self.headers.get("Accept", "")
                exposer.accepts.add(accept)
                kind = case.split("/")[0]
                good = TYPES[kind].split(";")[0] in accept
                body = CASES[case][0].replace(INSTANT.encode(), now).replace(b"{now}", now) if good else b""
                self.send_response(200 if good else 406)
                self.send_header("Content-Type", TYPES[kind])
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def jobs(address):
    out = "global: {scrape_interval: 1s, scrape_timeout: 1s}\nscrape_configs:\n"
    for case in CASES:
        out += f"- job_name: {case}\n  metrics_path: /{case}\n  static_configs: [{{targets: ['{address}']}}]\n"
    return out


def start_prometheus(run, directory, config):
    (directory / "prometheus.yml").write_text(config)
    port = free_port()
    argv = [
        peer("usr/bin/prometheus"),
        f"--config.file={directory}/prometheus.yml",
        f"--storage.tsdb.path={directory}/prometheus",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    run(Process, argv, directory / "prometheus.log", env=peer_env())
    wait_for("Prometheus", lambda: harness.can_connect(port), timeout=60)


class Heard:
    """What a receiver got of each case: {case: {labels without job and instance: [(ms, value), ...]}}"""

    def __init__(self, samples):
        self.cases = {case: {} for case in CASES}
        for labels, values in by_series(s for s in samples if s[2] != "stale").items():
            rest = dict(labels)
            case = rest.pop("job")
            rest.pop("instance")
            self.cases[case][frozenset(rest.items())] = values

    def ups(self):
        return min(len(s.get(frozenset({("__name__", "up")}), [])) for s in self.cases.values())

    def facts(self, case, without=()):
        """(labels, value) of each series, and its time when that is always the same: then it was exposed."""
        out = set()
        for labels, values in self.cases[case].items():
            name = dict(labels)["__name__"]
            if (name.startswith("scrape_") and name not in REPORTS) or name in without:
                continue
            times = {t for t, _ in values}
            out |= {(labels, str(v), min(times) if len(times) == 1 else None) for _, v in values}
        return out


@pytest.fixture(scope="module")
def heard(run_module, tmp_path_factory):
    """(of Prometheus, of the agent), each after three scrapes of every case."""
    directory = tmp_path_factory.mktemp("formats")
    exposer = run_module(Exposer)
    theirs, ours = run_module(Sink, directory, name="theirs"), run_module(Sink, directory, name="ours")
    start_prometheus(run_module, directory, jobs(exposer.address) + f"remote_write: [{{url: '{theirs.url}'}}]\n")
    run_module(Agent, directory, jobs(exposer.address) + remote_write(ours.url))

    def enough():
        return all(Heard(sink.samples()).ups() >= 3 for sink in (theirs, ours))

    wait_for("three scrapes of both", enough, timeout=60, interval=0.5)
    assert len(exposer.accepts) == 2, exposer.accepts
    return Heard(theirs.samples()), Heard(ours.samples())


def up(facts):
    return {v for labels, v, _ in facts if ("__name__", "up") in labels}


@pytest.mark.parametrize("case", CASES)
def test_a_body_is_taken_or_not(heard, case):
    good = {"1"} if CASES[case][1] else {"0"}
    assert {v.removesuffix(".0") for v in up(heard[1].facts(case))} == good


def whole(case):
    return case in DIFFERENCES and DIFFERENCES[case][1] is None


@pytest.mark.parametrize("case", [case for case in CASES if not whole(case)])
def test_the_same_as_prometheus(heard, case):
    _, but = DIFFERENCES.get(case, ("", ()))
    theirs, ours = (h.facts(case, but) for h in heard)
    assert ours == theirs
    if CASES[case][1] and CASES[case][0].strip(b"# EOF\n"):
        assert len(ours) > len(REPORTS)


@pytest.mark.parametrize("case", [case for case, (why, _) in DIFFERENCES.items() if not why.startswith(LATER)])
def test_a_difference_is_still_one(heard, case):
    """Else it does not belong in the list."""
    theirs, ours = (h.facts(case) for h in heard)
    assert ours != theirs


def test_every_body_has_its_series():
    """The bodies hold what the comparison would miss silently."""
    text = b"".join(body for body, _ in CASES.values()).decode(errors="replace")
    for word in ("_created", "# {", "gaugehistogram", "stateset", "info", "unknown", "# UNIT", INSTANT, "NaN", "Inf"):
        assert re.search(re.escape(word), text), word
