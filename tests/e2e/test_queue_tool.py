"""test_queue_tool: obsagent queue ls, cat, replay and drop, over a buffer that a real agent left."""

import hashlib
import json
import re
import urllib.parse

import pytest

import harness
from harness import Agent, Process, Receiver, Sink, Target, free_port, http_get, obsagent, peer, remote_write
from harness import scrape_config, wait_for

BODY = 'm{id="1"} 1\nm{id="2"} 2\nother{id="1"} 3\n'


@pytest.fixture(scope="module")
def left(run_module, tmp_path_factory):
    """A buffer with some scrapes for an endpoint that was never there: (directory, samples)."""
    run, tmp_path = run_module, tmp_path_factory.mktemp("left")
    target = run(Target, BODY)
    url = f"http://127.0.0.1:{free_port()}/api/v1/write"
    config = remote_write(url) + "scrape_configs:\n" + scrape_config("app", target.address, "200ms")
    agent = run(Agent, tmp_path, config)
    wait_for("a backlog", lambda: agent.total("obsagent_samples_buffered", endpoint="main") > 60)
    agent.stop()
    return agent.storage, samples(agent.storage)


def tool(*argv):
    code, out, err = obsagent("queue", *argv)
    return code, out, err


def samples(directory, *flags):
    code, out, err = tool("cat", directory, "--format=ndjson", *flags)
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


def content(directory):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(directory.rglob("*")) if p.is_file()}


def key(sample):
    return json.dumps(sample["labels"], sort_keys=True), sample["t"]


# ---- looking ----


def test_cat_filters(left):
    directory, all_samples = left
    times = sorted({s["t"] for s in all_samples})
    middle = times[len(times) // 2]
    of = lambda condition: [s for s in all_samples if condition(s)]
    name = lambda s: s["labels"]["__name__"]
    table = [
        (["--match", "m"], lambda s: name(s) == "m"),
        (["--match", '{id="1"}'], lambda s: s["labels"].get("id") == "1"),
        (["--match", '{__name__=~"m|other",id!="1"}'], lambda s: name(s) == "m" and s["labels"]["id"] == "2"),
        (["--match", "up", "--match", "other"], lambda s: name(s) in ("up", "other")),
        (["--match", "nothing"], lambda s: False),
        (["--to", "1"], lambda s: False),
        (["--from", "-1h"], lambda s: True),
        (["--from", str(middle // 1000)], lambda s: s["t"] >= middle // 1000 * 1000),
        (["--endpoint", "main"], lambda s: True),
    ]
    for flags, condition in table:
        assert samples(directory, *flags) == of(condition), flags
        text = tool("cat", directory, *flags)
        assert text[0] == 0 and len(text[1].splitlines()) == len(of(condition)), flags
    assert len(samples(directory, "--limit", "7")) == 7
    for flags, message in [(["--from", "noon"], '--from: "noon" is not a time'), (["--match", "{a="], "--match: ")]:
        code, out, err = tool("cat", directory, *flags)
        assert code == 2 and err.startswith(message), err


def test_rejects_are_there_after_a_restart(run, tmp_path):
    target = run(Target, BODY)
    bad = lambda labels: labels.get("id") == "2"
    answer = lambda s, headers, number: (400, {}) if any(bad(labels) for labels, _, _ in s) else 204
    jobs = "scrape_configs:\n" + scrape_config("app", target.address, "300ms")
    agent = run(Agent, tmp_path, remote_write(run(Receiver, answer).url) + jobs)
    wait_for("rejects", lambda: agent.total("obsagent_samples_lost_total", reason="rejected") >= 2)
    agent.stop()
    code, out, err = tool("cat", agent.storage, "--rejects")
    lines = out.splitlines()
    assert (code, err) == (0, "") and len(lines) >= 2
    pattern = r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ main status 400, 1 samples of m\{id="2",.*\}: scripted 400'
    assert all(re.fullmatch(pattern, line) for line in lines), lines[0]
    code, out, err = tool("cat", agent.storage, "--rejects", "--format=ndjson")
    parsed = [json.loads(line) for line in out.splitlines()]
    assert len(parsed) == len(lines) and parsed[0]["status"] == 400 and parsed[0]["endpoint"] == "main"
    with open(agent.storage / "rejects.ndjson", "a") as file:
        file.write('{"time_ms":1,"sta')  # torn
    again = run(Agent, tmp_path, "global: {scrape_interval: 1h}\n" + remote_write(run(Receiver).url))
    page = http_get(again.url + "/rejects")[1]
    assert "scripted 400" in page and page.count("id=&quot;2&quot;") >= len(lines)


# ---- sending by hand ----


def replay(directory, url, *flags):
    return tool("replay", directory, f"--url={url}", *flags)


@pytest.mark.sanitized
@pytest.mark.parametrize("protocol", ["rw1", "rw2", "vm", "auto"])
def test_replay_brings_everything_once_and_changes_nothing(run, tmp_path, left, protocol):
    directory, expected = left
    before = content(directory)
    sink = run(Sink, tmp_path, "secret")
    code, out, err = replay(directory, sink.url, f"--bearer-token-file={sink.token_path}", f"--protocol={protocol}")
    assert code == 0, out + err
    assert f"delivered {len(expected)} of {len(expected)} samples" in out
    got = [json.loads(line) for line in sink.out.read_text().splitlines()]
    assert sorted(map(key, got)) == sorted(map(key, expected))
    harness.check_once_and_in_order([(s["labels"], s["t"], s["v"]) for s in got])
    assert content(directory) == before
    code, out, err = tool("replay", directory, "--dry-run", "--match", "up")
    assert code == 0 and out.startswith(f"{len([s for s in expected if s['labels']['__name__'] == 'up'])} samples in ")


def test_replay_of_a_part_to_a_strict_receiver(run, tmp_path, left):
    directory, expected = left
    bad = lambda labels: labels["__name__"] == "m" and labels["id"] == "2"
    answer = lambda s, headers, number: (400, {}) if any(bad(labels) for labels, _, _ in s) else 204
    receiver = run(Receiver, answer)
    code, out, err = replay(directory, receiver.url, "--match", "{id=~'.+'}")
    chosen = [s for s in expected if "id" in s["labels"]]
    lost = [s for s in chosen if bad(s["labels"])]
    assert code == 1
    assert f"delivered {len(chosen) - len(lost)} of {len(chosen)} samples" in out
    assert f"lost {len(lost)} samples of job app: rejected" in out
    arrived = sorted((json.dumps(labels, sort_keys=True), t) for labels, t, _ in receiver.snapshot())
    assert arrived == sorted(key(s) for s in chosen if not bad(s["labels"]))


def test_replay_with_the_settings_of_an_endpoint(run, tmp_path, left):
    directory, expected = left
    sink = run(Sink, tmp_path, "secret")
    config = tmp_path / "other.yml"
    config.write_text(
        f"remote_write:\n- url: http://127.0.0.1:1/\n  name: no\n- url: {sink.url}\n  name: yes\n"
        f"  authorization: {{credentials_file: {sink.token_path}}}\n"
        "  write_relabel_configs: [{source_labels: [__name__], regex: up, action: drop}]\n"
    )
    code, out, err = tool("replay", directory, f"--config.file={config}", "--remote=yes")
    assert code == 0, out + err
    ups = len([s for s in expected if s["labels"]["__name__"] == "up"])
    assert f"delivered {len(expected) - ups} of {len(expected)} samples" in out and f"filtered {ups}," in out
    code, out, err = tool("replay", directory, f"--config.file={config}", "--remote=other")
    assert code == 1 and 'no remote_write endpoint "other"' in err


def test_replay_that_is_not_let_in(run, tmp_path, left):
    directory, expected = left
    before = content(directory)
    code, out, err = replay(directory, run(Sink, tmp_path, "secret").url, "--give-up=1s")
    assert code == 1
    assert f"delivered 0 of {len(expected)} samples" in out and "given up, the receiver takes nothing" in err
    assert content(directory) == before
    usage = [([], "queue replay needs --url=URL"), (["--url=nonsense"], "not a URL with http:// or https://")]
    for flags, message in usage:
        code, out, err = tool("replay", directory, *flags)
        assert code in (1, 2) and message in err, err


def test_replay_into_victoria_metrics(run, tmp_path, left):
    directory, expected = left
    port = free_port()
    argv = [peer("usr/bin/victoria-metrics"), f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{port}",
            "-retentionPeriod=1", "-memory.allowedBytes=64MB"]
    run(Process, argv, tmp_path / "vm.log")
    wait_for("the receiver", lambda: harness.can_connect(port))
    code, out, err = replay(directory, f"http://127.0.0.1:{port}/api/v1/write")
    assert code == 0, out + err

    def stored():
        http_get(f"http://127.0.0.1:{port}/internal/force_flush")
        query = urllib.parse.quote('{__name__=~".+"}')
        lines = http_get(f"http://127.0.0.1:{port}/api/v1/export?match[]={query}")[1].splitlines()
        return [(json.dumps(e["metric"], sort_keys=True), t) for e in map(json.loads, lines) for t in e["timestamps"]]

    wait_for("all of it", lambda: sorted(stored()) == sorted(map(key, expected)))


def test_a_running_agent_beside(run, tmp_path):
    """Everything but drop may look into a directory that is in use; drop refuses it."""
    target = run(Target, BODY)
    url = f"http://127.0.0.1:{free_port()}/api/v1/write"
    jobs = "scrape_configs:\n" + scrape_config("app", target.address, "300ms")
    agent = run(Agent, tmp_path, remote_write(url) + jobs)
    wait_for("a backlog", lambda: agent.total("obsagent_queue_disk_bytes") > 0)
    sink = run(Sink, tmp_path)
    code, out, err = replay(agent.storage, sink.url)
    assert code == 0 and "delivered" in out
    assert tool("ls", agent.storage)[0] == 0
    code, out, err = tool("drop", agent.storage, "--all", "--yes")
    assert code == 1 and "in use by another process" in err
    agent.assert_balanced("main")
