"""test_api: the HTTP API beside Prometheus's: the same targets, the same questions, the same shapes."""

import json
import urllib.parse

import pytest

from harness import (
    Agent,
    Process,
    Receiver,
    Target,
    free_port,
    http_get,
    peer,
    peer_env,
    remote_write,
    scrape_config,
    wait_for,
)

BODY = """\
# HELP requests_total How many "requests"\\nthere were.
# TYPE requests_total counter
requests_total{code="200"} 1
# TYPE heat gauge
heat 1
# HELP took How long.
# TYPE took histogram
took_bucket{le="+Inf"} 1
took_sum 1
took_count 1
"""
ADDED = {"lastSamplesScraped"}  # vmagent's


def config(world):
    return f"""
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
- job_name: one
  static_configs:
  - targets: ['{world.target.address}']
    labels: {{zone: 'a"b'}}
- job_name: two
  metrics_path: /two
  static_configs: [{{targets: ['{world.target.address}', 'gone.invalid:1']}}]
  relabel_configs:
  - {{source_labels: [__address__], regex: 'gone.*', action: drop}}
  - {{source_labels: [job, __address__], separator: '/', target_label: both}}
"""


class World:
    def ask(self, url, path, **parameters):
        status, body = http_get(f"{url}/api/v1/{path}?" + urllib.parse.urlencode(parameters))
        return status, json.loads(body)

    def both(self, path, **parameters):
        """(status, answer) of Prometheus and of the agent."""
        return [self.ask(url, path, **parameters) for url in (self.prometheus, self.agent.url)]


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    w = World()
    w.tmp = tmp_path_factory.mktemp("api")
    w.target = run_module(Target, BODY)
    (w.tmp / "prometheus.yml").write_text(config(w))
    w.prometheus = f"http://127.0.0.1:{free_port()}"
    run_module(
        Process,
        [
            peer("usr/bin/prometheus"),
            f"--config.file={w.tmp}/prometheus.yml",
            f"--storage.tsdb.path={w.tmp}/tsdb",
            f"--web.listen-address={w.prometheus.partition('://')[2]}",
        ],
        w.tmp / "prometheus.log",
        env=peer_env(),
    )
    w.agent = run_module(Agent, w.tmp, config(w) + remote_write(run_module(Receiver).url))
    for url in (w.prometheus, w.agent.url):
        wait_for("Prometheus", lambda u=url: http_get(u + "/-/ready")[0] == 200, timeout=60)
        up = lambda u=url: [t["health"] for t in w.ask(u, "targets")[1]["data"]["activeTargets"]] == ["up", "up"]
        wait_for("two targets", up, timeout=60)
    return w


def sorted_by_pool(targets):
    return sorted(targets, key=lambda t: t["scrapePool"])


def test_targets(world):
    (_, theirs), (_, ours) = world.both("targets")
    assert set(ours) == set(theirs)
    theirs, ours = theirs["data"], ours["data"]
    assert set(theirs) <= set(ours)  # newer ones count what is dropped
    for a, b in zip(sorted_by_pool(theirs["activeTargets"]), sorted_by_pool(ours["activeTargets"])):
        assert set(b) - ADDED == set(a)
        for key in a:
            assert type(a[key]) is type(b[key]), key
        for key in ("labels", "scrapePool", "scrapeUrl", "globalUrl", "lastError", "health", "scrapeInterval",
                    "scrapeTimeout"):
            assert a[key] == b[key], key
        assert a["discoveredLabels"].items() <= b["discoveredLabels"].items()
    (a,), (b,) = theirs["droppedTargets"], ours["droppedTargets"]
    assert a["discoveredLabels"].items() <= b["discoveredLabels"].items() and b["scrapePool"] == "two"
    assert ours["droppedTargetCounts"] == {"one": 0, "two": 1}
    for state in ("active", "dropped", "any", "ANY", "nonsense"):
        for theirs, ours in [[answer["data"] for _, answer in world.both("targets", state=state)]]:
            for key in ("activeTargets", "droppedTargets"):
                assert len(ours[key]) == len(theirs[key]), (state, key)


def plain(entries):
    """In an order that does not depend on who was asked first."""
    return sorted(json.dumps(e, sort_keys=True) for e in entries)


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"match_target": '{job="one"}'},
        {"match_target": '{job=~"o.*|t.*",zone!=""}'},
        {"metric": "requests_total"},
        {"metric": "took", "match_target": '{job="two"}'},
        {"limit": "0"},
        {"limit": "-1", "metric": "heat"},
        {"match_target": '{job="three"}'},
        {"metric": "nothing"},
    ],
)
def test_targets_metadata(world, parameters):
    (their_status, theirs), (status, ours) = world.both("targets/metadata", **parameters)
    assert (status, set(ours)) == (their_status, set(theirs))
    assert plain(ours["data"]) == plain(theirs["data"])


def test_limits_of_targets_metadata(world):
    for limit in (1, 2, 3):
        for _, answer in world.both("targets/metadata", limit=limit):
            assert len(answer["data"]) == 3, "all of one target"
    (_, theirs), (_, ours) = world.both("targets/metadata", limit=1, metric="heat")
    assert len(ours["data"]) == len(theirs["data"]) == 1 and set(ours["data"][0]) == set(theirs["data"][0])


@pytest.mark.parametrize(
    "parameters", [{}, {"metric": "heat"}, {"metric": "nothing"}, {"limit": "0"}, {"limit": "-1"}]
)
def test_metadata(world, parameters):
    (their_status, theirs), (status, ours) = world.both("metadata", **parameters)
    assert (status, ours) == (their_status, theirs)


def test_limits_of_metadata(world):
    for limit in (1, 2, 3, 4):
        (_, theirs), (_, ours) = world.both("metadata", limit=limit)
        assert len(ours["data"]) == len(theirs["data"]) == min(limit, 3)
    assert list(world.ask(world.agent.url, "metadata", limit=2)[1]["data"]) == ["heat", "requests_total"]


@pytest.mark.parametrize(
    "path, parameters",
    [
        ("targets/metadata", {"limit": "x"}),
        ("targets/metadata", {"match_target": "{job="}),
        ("metadata", {"limit": "1.5"}),
        ("metadata", {"limit": "9999999999999999999999"}),
    ],
)
def test_bad_parameters(world, path, parameters):
    (their_status, theirs), (status, ours) = world.both(path, **parameters)
    assert status == their_status == 400 and set(ours) == set(theirs)
    assert ours["errorType"] == theirs["errorType"] == "bad_data" and ours["error"]


@pytest.mark.parametrize("path", ["status/buildinfo", "status/config", "status/flags"])
def test_status(world, path):
    (_, theirs), (status, ours) = world.both(path)
    assert status == 200 and set(ours) == set(theirs)
    assert all(type(value) is str for value in ours["data"].values())
    if path != "status/flags":
        assert set(ours["data"]) == set(theirs["data"])
    else:
        assert ours["data"]["config.file"] == str(world.agent.config_path)


def test_runtimeinfo(world):
    (_, theirs), (_, ours) = world.both("status/runtimeinfo")
    common = {"startTime", "CWD", "reloadConfigSuccess", "lastConfigTime", "corruptionCount"}
    assert common <= set(ours["data"]) and common <= set(theirs["data"])
    for key in common:
        assert type(ours["data"][key]) is type(theirs["data"][key]), key


def test_relabel_steps(world):
    """Newer than the Prometheus beside: its answer as documented."""
    labels = {"__address__": "a:1", "job": "two"}
    status, answer = world.ask(
        world.agent.url, "targets/relabel_steps", scrapePool="two", labels=json.dumps(labels)
    )
    assert status == 200
    drop, both = answer["data"]["steps"]
    assert drop["keep"] and drop["output"] == labels and drop["rule"]["sourceLabels"] == ["__address__"]
    assert drop["rule"]["action"] == "drop" and drop["rule"]["regex"] == "gone.*"
    assert both["keep"] and both["output"] == {**labels, "both": "two/a:1"} and both["rule"]["separator"] == "/"
    gone = json.dumps({"__address__": "gone.invalid:1"})
    status, answer = world.ask(world.agent.url, "targets/relabel_steps", scrapePool="two", labels=gone)
    assert [(s["keep"], s["output"]) for s in answer["data"]["steps"]] == [(False, {}), (False, {})]
    for pool, labels in (("", "{}"), ("two", ""), ("no", "{}"), ("two", "x")):
        status, answer = world.ask(world.agent.url, "targets/relabel_steps", scrapePool=pool, labels=labels)
        assert status == 400 and answer["errorType"] == "bad_data" and answer["error"], (pool, labels)


@pytest.mark.parametrize(
    "path", ["query", "query_range", "query_exemplars", "labels", "label/job/values", "series", "rules", "alerts",
             "alertmanagers", "status/tsdb"]
)
def test_what_needs_a_database(world, path):
    status, answer = world.ask(world.agent.url, path, query="up")
    assert status == 422 and answer["status"] == "error" and answer["errorType"] == "execution"
    assert "unavailable with an agent" in answer["error"]


def test_metadata_of_many_targets_while_they_come_and_go(world, run, tmp_path):
    """Asked again and again during reloads and to the end; always whole JSON."""
    receiver = run(Receiver)
    text = lambda n: (
        "scrape_configs:\n"
        + "".join(scrape_config(f"m{i}", world.target.address) for i in range(n))
        + remote_write(receiver.url)
    )
    agent = run(Agent, tmp_path, text(20), "--scrape.workers=4")
    names = lambda: set(world.ask(agent.url, "metadata")[1]["data"])
    wait_for("metadata", lambda: names() == {"requests_total", "heat", "took"})
    for n in (3, 20, 1, 10):
        agent.reconfigure(text(n))
        for _ in range(10):
            status, answer = world.ask(agent.url, "targets/metadata", metric="heat")
            assert status == 200 and "warnings" not in answer and len(answer["data"]) <= 20
    assert agent.stop() == 0
