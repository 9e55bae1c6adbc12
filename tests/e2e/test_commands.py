"""test_commands: what commands print and their exit codes: 0 good, 1 failed, 2 wrong usage, 3 lint findings."""

import dataclasses
import json
import os
import re
import shutil
import struct
import subprocess
import tempfile
import urllib.error
import urllib.request

import pytest

from harness import (
    OBSAGENT,
    Agent,
    Process,
    Sink,
    Target,
    by_series,
    free_port,
    http_get,
    named,
    obsagent,
    remote_write,
    scrape_config,
    wait_for,
)

# ---- commands that read and print ----

BAD = """global: {scrape_interval: 1x}
scrape_configs:
- job_name: a
  scrape_intervall: 5s
  static_configs: [{targets: ['x:1']}]
- job_name: a
  metrics_path: [1]
remote_write:
- name: m
  url: nope
rule_files: [x]
"""
GOOD = """scrape_configs:
- job_name: a
  static_configs: [{targets: ['127.0.0.1:1']}]
remote_write:
- url: http://127.0.0.1:1/
"""
RULES = """# a list
- source_labels: [__name__]
  regex: drop_.*
  action: drop
- {source_labels: [a], target_label: b, replacement: x_$1}
"""
JOBS = """scrape_configs:
- job_name: j
  relabel_configs: [{target_label: at, replacement: target}]
  metric_relabel_configs: [{target_label: at, replacement: metric}]
"""
WRONG = "# TYPE m counter\nm 1\nbad{ 2\n\nm 1\nlast 5 x\n"
UGLY = "# HELP up x\n# TYPE up gauge\nup 1\nfooSeconds 3\n"
FINE = "# HELP up x\n# TYPE up gauge\nup 1\n"
MANY = "remote_write:\n" + "".join(f"- url: http://h{i}/\n" for i in range(33))
FILES = {
    "many.yml": MANY,
    "bad.yml": BAD,
    "good.yml": GOOD,
    "rules.yml": RULES,
    "jobs.yml": JOBS,
    "wrong.txt": WRONG,
    "ugly.txt": UGLY,
    "fine.txt": FINE,
    "twice.txt": "m 1\nn 1\nm 2\n",
}


@dataclasses.dataclass
class Case:
    argv: str
    code: int
    out: str = ""  # exactly, unless it begins with ~: then a regular expression to be found
    err: str = ""
    stdin: str = ""


CASES = {
    # ---- usage ----
    "version": Case("--version", 0, "~^obsagent \\d+\\.\\d+\\.\\d+\n$"),
    "run_version": Case("run -version", 0, "~^obsagent \\d"),
    "no_command": Case("", 2, "", "~Usage: obsagent COMMAND"),
    "help": Case("--help", 0, "~Usage: obsagent COMMAND"),
    "unknown_command": Case("chekc", 2, "", '~^unknown command "chekc", did you mean check\\?\n'),
    "unknown_word": Case("frobnicate", 2, "", '~^unknown command "frobnicate"\n'),
    "unknown_flag": Case("run --config.fiel=x", 2, "", "~unknown flag --config.fiel, did you mean --config.file\\?"),
    "unknown_flag_without_command": Case("--config.fiel=x", 2, "", "~did you mean --config.file\\?"),
    "missing_value": Case("run --config.file", 2, "", "~--config.file needs a value"),
    "bad_value": Case("run --storage.max-age=7x --config.file=good.yml", 2, "", "~--storage.max-age: .*7x"),
    "bad_level": Case("run --log.level=loud --config.file=good.yml", 2, "", "~loud.* is not debug, info, warn"),
    "no_config": Case("run", 2, "", "~run needs --config.file"),
    "extra_word": Case("run --config.file=good.yml extra", 2, "", '~got "extra"'),
    "run_help": Case("run --help", 0, "~--storage.path=DIR"),
    "run_bad_file": Case("run --config.file=bad.yml --storage.path=d", 1, "", "~bad.yml:11:1: "),
    "run_no_file": Case("run --config.file=none.yml --storage.path=d", 1, "", "~none.yml.*No such file"),
    # ---- check ----
    "check_good": Case("check good.yml", 0, "good.yml: ok, 1 job, 1 remote_write endpoint\n"),
    "check_bad": Case(
        "check bad.yml good.yml",
        1,
        "good.yml: ok, 1 job, 1 remote_write endpoint\n",
        "~^bad.yml:1:27: scrape_interval: not a valid duration string: \"1x\"\n"
        "bad.yml:4:3: field scrape_intervall not found in scrape_config, did you mean \"scrape_interval\"\\?\n"
        "bad.yml:6:13: found multiple scrape configs with job name \"a\"\n"
        "bad.yml:7:17: metrics_path: expected a single value, found a list\n"
        "bad.yml:10:8: url: .*\n"
        "bad.yml:11:1: field rule_files is not allowed in agent mode.*\n$",
    ),
    "check_too_many": Case("check many.yml", 1, "", "~^many.yml:34:3: more than 32 remote_write endpoints\n"),
    "check_nothing": Case("check", 2, "", "~name at least one FILE"),
    "check_no_file": Case("check none.yml", 1, "", "~^none.yml:1:1: cannot open none.yml: No such file or directory\n"),
    "check_help": Case("check --help", 0, "~FILE:LINE:COL: message"),
    # ---- relabel ----
    "relabel": Case(
        "relabel rules.yml m{z=\"1\",a=\"1\"} drop_me n",
        0,
        'm{a="1",b="x_1",z="1"}\n(dropped)\nn{b="x_"}\n',
    ),
    "relabel_stdin": Case("relabel rules.yml", 0, 'm{a="2",b="x_2"}\n(dropped)\n', "", 'm{a="2"}\n\n  drop_me \n'),
    "relabel_explain": Case(
        "relabel --explain rules.yml m{a=\"1\"} drop_me",
        0,
        """m{a="1"}
  rule 1 (line 2): action=drop source_labels=["__name__"] regex="drop_.*"
    -> unchanged
  rule 2 (line 5): action=replace source_labels=["a"] target_label="b" replacement="x_$1"
    -> m{a="1",b="x_1"}
  = m{a="1",b="x_1"}
drop_me
  rule 1 (line 2): action=drop source_labels=["__name__"] regex="drop_.*"
    -> dropped here
  = (dropped)
""",
    ),
    "relabel_bad_input": Case("relabel rules.yml m{a=1} ok", 1, 'ok{b="x_"}\n', "~^m{a=1}: column 5: "),
    "relabel_no_rules": Case("relabel", 2, "", "~relabel needs a file of rules"),
    "relabel_bad_rules": Case("relabel wrong.txt m", 1, "", "~^wrong.txt:"),
    "relabel_job": Case("relabel jobs.yml --job=j m", 0, 'm{at="metric"}\n'),
    "relabel_job_target": Case("relabel jobs.yml --job=j --target m", 0, 'm{at="target"}\n'),
    "relabel_no_job": Case("relabel jobs.yml --job=k m", 1, "", "~k"),
    # ---- scrape ----
    "scrape_file": Case(
        "scrape fine.txt", 0, "~^target: fine.txt\n.*\nsamples: 1\nseries: 1\nfamilies: 1\na day at 60s: .*\n$"
    ),
    "scrape_stdin": Case("scrape -", 0, "~^target: -\n(?s:.*)samples: 1\n", "", "a 1"),
    "scrape_wrong": Case(
        "scrape wrong.txt",
        1,
        "~errors: 2\n3:6: .*\n    bad{ 2\n {9}\\^\n6:8: .*\n    last 5 x\n {11}\\^\n"
        "findings: 1 problem, 0 hints\n  duplicate-series: 1 ",
    ),
    "scrape_max_errors": Case(
        "scrape --max-errors=1 wrong.txt",
        1,
        "~errors: 2\n3:6: .*\n    bad{ 2\n {9}\\^\n  and 1 more \\(--max-errors\\)\nfindings: ",
    ),
    "scrape_lint": Case(
        "scrape --lint=all ugly.txt",
        3,
        "fooSeconds metric names should be written in 'snake_case' not 'camelCase'\nfooSeconds no help text\n",
        "~samples: 2\n",
    ),
    "scrape_lint_good": Case("scrape --lint=all fine.txt", 0, "", "~samples: 1\n"),
    "scrape_lint_wrong": Case("scrape --lint=all wrong.txt", 1, "~m counter metrics should have", "~errors: 2"),
    "scrape_lint_list": Case(
        "scrape --lint=list", 0, "~(?s:unit +base units.*split-family +problem: .*precision +hint: )"
    ),
    "scrape_lint_some": Case("scrape --lint=counter,help ugly.txt", 3, "fooSeconds no help text\n", "~samples"),
    "scrape_lint_junit": Case(
        "scrape --lint=help --junit ugly.txt",
        3,
        '~name="lint">\n? *<failure[^>]*>fooSeconds no help text',
    ),
    "scrape_lint_none": Case("scrape --lint=none ugly.txt", 0, "~^target: ugly.txt\n"),
    "scrape_lint_unknown": Case("scrape --lint=all,unit fine.txt", 2, "", "~--lint: there is no rule \"all\""),
    "scrape_finding": Case("scrape twice.txt", 3, "~\n    line 3, see line 1: m: the same series again\n"),
    "scrape_ignore": Case("scrape --ignore=duplicate-series,split-family twice.txt", 0, "~^target: twice.txt\n"),
    "scrape_ignore_unknown": Case("scrape --ignore=x fine.txt", 2, "", "~--ignore: there is no rule \"x\""),
    "scrape_no_file": Case("scrape none.txt", 1, "~failed: none.txt: No such file or directory\n"),
    "scrape_refused": Case("scrape http://127.0.0.1:1/metrics", 1, "~failed: .*refused"),
    "scrape_nothing": Case("scrape", 2, "", "~scrape needs a URL, a FILE or -"),
    "scrape_no_job": Case("scrape --config.file=good.yml --job=b", 1, "", "~Job b not found. Select one of:\n  a\n"),
    "scrape_job_without_file": Case("scrape --job=b", 2, "", "~--job needs --config.file"),
    # ---- help, queue ----
    "help_config": Case("help config", 0, "~(?s:scrape_config: .*write_relabel_configs.*min_backoff .*1s.*)"),
    "help_section": Case("help config queue_config", 0, "~^queue_config: "),
    "help_unknown_section": Case("help config nope", 2, "", '~no section "nope"'),
    "help_unknown": Case("help nope", 2, "", "~\"nope\" is no command"),
    "queue_nothing": Case("queue", 2, "", "~usage: obsagent queue ls"),
    "queue_verb": Case("queue list d", 2, "", "~usage: obsagent queue ls"),
    "queue_no_directory": Case("queue ls none", 1, "", "~cannot open none: No such file"),
    "drop_whose": Case("queue drop d --yes", 2, "", "~--endpoint=NAME or --all"),
    "drop_really": Case("queue drop d --all", 2, "", "~add --yes"),
    "sink_word": Case("sink what", 2, "", "~takes no arguments"),
    "sink_bad_address": Case("sink --listen=nowhere:x", 1, "", "~sink: "),
}


def check_text(found, wanted):
    if wanted.startswith("~"):
        assert re.search(wanted[1:], found), found
    else:
        assert found == wanted


@pytest.mark.sanitized
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_output_and_exit_code(tmp_path, case):
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    code, out, err = obsagent(*case.argv.split(), stdin=case.stdin, cwd=tmp_path)
    assert code == case.code, out + err
    check_text(out, case.out)
    check_text(err, case.err)


# ---- the scrape tester on the network ----


@pytest.mark.sanitized
def test_scrape_of_a_url_and_a_job(run, tmp_path):
    target = run(Target, FINE)
    target.gzip = True
    (tmp_path / "token").write_text("t0ken\n")
    url = f"http://{target.address}/some"
    code, out, _ = obsagent("scrape", url, f"--bearer-token-file={tmp_path}/token", "--header", "X-A: b")
    assert code == 0 and "status: 200\n" in out and "samples: 1\n" in out and "time: dns " in out
    path, headers, _ = target.requests[0]
    assert path == "/some" and headers["Authorization"] == "Bearer t0ken" and headers["X-A"] == "b"

    code, out, _ = obsagent("scrape", "--json", url)
    report = json.loads(out)
    assert (report["status"], report["samples"], report["lint"], report["error"]) == (200, 1, [], "")

    target.status = 503
    code, out, _ = obsagent("scrape", url)
    assert code == 1 and "503" in out
    target.status = 200

    config = tmp_path / "c.yml"
    config.write_text(
        "scrape_configs:\n- job_name: j\n  metrics_path: /of/job\n  params: {a: [b]}\n"
        f"  static_configs: [{{targets: ['{target.address}', 'dropped:1']}}]\n"
        "  file_sd_configs: [{files: [sd.json]}]\n"
        "  relabel_configs: [{source_labels: [__address__], regex: dropped.*, action: drop}]\n"
    )
    (tmp_path / "sd.json").write_text(json.dumps([{"targets": [target.address], "labels": {}}]))
    seen = len(target.requests)
    code, out, err = obsagent("scrape", "--config.file", config, "--job", "j")
    assert code == 0, out + err
    assert [request[0] for request in target.requests[seen:]] == ["/of/job?a=b"], "one target of two sources"
    assert "dropped by rule 1" in err


# ---- the sink ----


def protobuf(number, data):
    assert len(data) < 128
    return bytes([number << 3 | 2, len(data)]) + data


def write_request(name, value, ms):
    """A remote-write 1.0 body with one sample, snappy without compression."""
    label = protobuf(1, b"__name__") + protobuf(2, name.encode())
    varint = b""
    while ms > 127:
        varint += bytes([ms & 127 | 128])
        ms >>= 7
    sample = b"\x09" + struct.pack("<d", value) + b"\x10" + varint + bytes([ms])
    data = protobuf(1, protobuf(1, label) + protobuf(2, sample))
    return bytes([len(data), 60 << 2, len(data) - 1]) + data


def post(url, data, **headers):
    headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "snappy"} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    request = urllib.request.Request(url, data=data, method="POST", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.sanitized
def test_the_sink_answers_as_strictly_as_the_specification(run, tmp_path):
    sink = run(Sink, tmp_path, "secret", None, "sink", "--max-body=1000", "--print-summary")
    auth = {"Authorization": "Bearer secret"}
    good = write_request("m", 1.5, 1700000000123)
    assert post(sink.url, good) == 401
    assert post(sink.url, good, Authorization="Bearer wrong") == 401
    assert post(sink.url, good, Authorization="Basic secret") == 401
    assert post(sink.url, good, **auth) == 204
    assert post(sink.url, good, Content_Type="text/plain", **auth) == 415
    assert post(sink.url, good, Content_Encoding="br", **auth) == 415
    assert post(sink.url, good, Content_Type="application/x-protobuf;proto=what.is.This", **auth) == 415
    assert post(sink.url, b"\xff\xff", **auth) == 400
    assert post(sink.url, good[:-3], **auth) == 400
    assert post(sink.url, b"\x00" * 2000, **auth) == 413
    assert http_get(sink.url, method="DELETE")[0] == 405
    assert sink.samples() == [({"__name__": "m"}, 1700000000123, 1.5)]
    sink.token_path.write_text("changed\n")
    assert post(sink.url, good, **auth) == 401
    assert post(sink.url, good, Authorization="Bearer changed") == 204
    counts = json.loads(http_get(sink.url)[1])
    assert (counts["requests"], counts["samples"]) == (12, 2)
    assert counts["refused"] == 10
    assert sink.stop() == 0
    assert json.loads(sink.output().splitlines()[-1])["samples"] == 2


# ---- the buffer of a stopped agent ----


def counting(number):
    return f'counter_total{{a="q\\"q"}} {number}\nnan NaN\n'


@pytest.fixture
def buffer(run, tmp_path):
    """The directory of an agent whose receivers were down; (directory, scrapes, configuration)."""
    target = run(Target, counting)
    dead = f"http://127.0.0.1:{free_port()}/"
    config = "scrape_configs:\n" + scrape_config("app", target.address, "500ms") + remote_write(dead)
    config += remote_write(dead, "second name").split("\n", 1)[1]
    agent = run(Agent, tmp_path, config, "--shutdown.timeout=0s")
    wait_for("scrapes", lambda: len(target.requests) >= 5)
    code, out, err = obsagent("queue", "drop", agent.storage, "--all", "--yes")
    assert code == 1 and "in use" in err, "not below a running agent"
    assert agent.stop() == 0
    return agent.storage, len(target.requests), config


@pytest.mark.sanitized
def test_queue_ls_cat_drop(run, tmp_path, buffer):
    directory, scrapes, config = buffer
    code, out, err = obsagent("queue", "ls", directory)
    assert code == 0, err
    rows = {line[:24].strip(): line[24:].split() for line in out.splitlines()[1:3]}
    assert set(rows) == {"main", "second name"}
    pending = int(rows["main"][1])
    assert pending >= 7 * (scrapes - 1) and f"{pending} samples" in out and " 0 corrupt records" in out

    code, out, err = obsagent("queue", "cat", directory, "--format=ndjson")
    assert code == 0, err
    samples = [(s["labels"], s["t"], s["v"]) for s in map(json.loads, out.splitlines())]
    assert len(samples) == pending
    values = [v for _, _, v in named(samples, "counter_total")]
    assert values == list(range(len(values))) and len(values) >= scrapes - 1
    assert {v for _, _, v in named(samples, "nan")} == {"NaN"}
    assert samples[0][0]["job"] == "app"
    for points in by_series(samples).values():
        assert [t for t, _ in points] == sorted({t for t, _ in points})

    code, text, _ = obsagent("queue", "cat", directory)
    assert code == 0 and len(text.splitlines()) == pending
    first = named(samples, "counter_total")[0]
    line = next(line for line in text.splitlines() if line.startswith("counter_total"))
    instance = first[0]["instance"]
    assert line == f'counter_total{{a="q\\"q",instance="{instance}",job="app"}} 0 {first[1]}'
    assert obsagent("queue", "cat", directory, "--limit=3")[1] == "".join(text.splitlines(True)[:3])
    assert obsagent("queue", "cat", directory, "--endpoint=main")[1] == text
    assert obsagent("queue", "cat", directory, "--format=xml")[0] == 2

    assert obsagent("queue", "drop", directory, "--endpoint=nobody", "--yes")[0] == 1
    code, out, err = obsagent("queue", "drop", directory, "--endpoint=main", "--yes")
    assert code == 0 and f"{pending} samples" in out
    assert obsagent("queue", "cat", directory, "--endpoint=main")[1] == ""
    assert obsagent("queue", "cat", directory, "--endpoint=second name")[1] == text

    agent = run(Agent, tmp_path, config)
    assert agent.books("main")["restored"] == 0
    assert agent.books("second name")["restored"] == pending


EXTRAS = """# TYPE c counter
c_total 5 # {id="7"} 0.5 1700000000
c_created 1690000000
# TYPE h histogram
h_bucket{le="1"} 2
h_bucket{le="+Inf"} 3
h_count 3
h_sum 4
# EOF
"""


@pytest.mark.sanitized
def test_queue_cat_shows_histograms_exemplars_and_starts(run, tmp_path):
    target = run(Target, EXTRAS, content_type="application/openmetrics-text; version=1.0.0")
    job = scrape_config("app", target.address, "200ms")
    job += "  scrape_native_histograms: true\n  convert_classic_histograms_to_nhcb: true\n"
    dead = f"http://127.0.0.1:{free_port()}/"
    agent = run(Agent, tmp_path, "scrape_configs:\n" + job + remote_write(dead), "--shutdown.timeout=0s")
    wait_for("scrapes", lambda: len(target.requests) >= 3)
    assert agent.stop() == 0
    code, out, err = obsagent("queue", "cat", agent.storage, "--format=ndjson")
    assert code == 0, err
    first = {}
    for sample in map(json.loads, out.splitlines()):
        first.setdefault(sample["labels"]["__name__"], sample)
    exemplar = {"labels": {"id": "7"}, "v": 0.5, "t": 1700000000000}
    histogram = first["h"]["h"]
    assert first["c_total"]["v"] == 5 and first["c_total"]["st"] == 1690000000000
    assert first["c_total"]["exemplars"] == [exemplar]
    assert (histogram["count"], histogram["sum"], histogram["schema"]) == (3, 4, -53)
    assert histogram["custom_values"] == [1] and histogram["positive"] == {"spans": [[0, 2]], "deltas": [2, -1]}

    code, text, err = obsagent("queue", "cat", agent.storage)
    assert code == 0 and len(text.splitlines()) == len(out.splitlines()), err
    of = {line.split("{")[0]: line for line in reversed(text.splitlines())}
    labels = f'{{instance="{target.address}",job="app"}}'
    counter, rest = of["c_total"].split(" {", 1)
    assert counter == f"c_total{labels} 5 {first['c_total']['t']}"
    assert json.loads("{" + rest) == {"st": 1690000000000, "exemplars": [exemplar]}
    shown = of["h"].removeprefix(f"h{labels} ").removesuffix(f" {first['h']['t']}")
    assert json.loads(shown) == histogram


def test_cat_reads_beside_a_running_agent(run, tmp_path):
    target = run(Target, counting)
    config = "scrape_configs:\n" + scrape_config("app", target.address, "200ms")
    agent = run(Agent, tmp_path, config + remote_write(f"http://127.0.0.1:{free_port()}/"))
    wait_for("blocks on disk", lambda: obsagent("queue", "cat", agent.storage)[1].count("counter_total") >= 3)
    assert obsagent("queue", "ls", agent.storage)[0] == 0
    agent.assert_balanced("main")


# ---- the demonstration ----


def test_demo_ends_with_zero_loss(run):
    directory = tempfile.mkdtemp(prefix="e2e")
    try:
        env = dict(os.environ, TMPDIR=directory)
        demo = run(Process, [OBSAGENT, "demo", "--once", "--outage=3"], f"{directory}/demo.log", env=env)
        demo.child.wait(60)
        text = demo.output()
        assert demo.child.returncode == 0, text
        assert re.search(r"ZERO LOSS: 3 s without a receiver; .* lost 0; ", text), text
        assert re.search(r"lost 0 .*LINK DOWN", text) and "draining" in text
        assert "demo-token" not in text
    finally:
        shutil.rmtree(directory)
