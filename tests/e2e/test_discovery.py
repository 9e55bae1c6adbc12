"""test_discovery: services that are asked for targets: the same targets as Prometheus finds, and what stays while they
do not answer."""

import json
import re

import pytest

from harness import (
    Agent,
    Process,
    free_port,
    http_get,
    peer,
    peer_env,
    wait_for,
)
from sd_servers import Service

GROUPS = [
    {"targets": ["127.0.0.1:1", "127.0.0.1:2"], "labels": {"zone": "a", "__meta_rack": "7"}},
    {"targets": ["[::1]:3"], "labels": {"__metrics_path__": "/m", "__scheme__": "https", "__param_x": "y"}},
    {"targets": ["127.0.0.1:4"]},
    {"targets": []},
]

RELABEL = "  relabel_configs: [{action: labelmap, regex: __meta_(.+)}]\n"


def config(jobs):
    text = "global: {scrape_interval: 1h, scrape_timeout: 1s}\nscrape_configs:\n"
    for name, (kind, entries) in jobs.items():
        text += f"- job_name: {name}\n  {kind}_sd_configs: [{entries}]\n" + RELABEL
    return text


def found(url, job):
    """What discovery found for a job, and the labels that came of it."""
    _, body = http_get(url + "/api/v1/targets?state=active")
    targets = [t for t in json.loads(body)["data"]["activeTargets"] if t["scrapePool"] == job]
    return sorted((sorted(t["discoveredLabels"].items()), sorted(t["labels"].items())) for t in targets)


def addresses(agent, job):
    return sorted(dict(labels)["__address__"] for labels, _ in found(agent.url, job))


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """An agent and Prometheus with the same jobs."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("discovery")
    w.http = run_module(Service, lambda path, headers: GROUPS)
    w.jobs = {"http": ("http", f"{{url: 'http://{w.http.address}/targets?x=y'}}")}
    (w.tmp / "prometheus.yml").write_text(config(w.jobs))
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
    w.agent = run_module(Agent, w.tmp, config(w.jobs))
    wait_for("Prometheus", lambda: http_get(w.prometheus + "/-/ready")[0] == 200, timeout=60)
    return w


COUNTS = {"http": 4}


@pytest.mark.parametrize("job", COUNTS)
def test_targets_are_those_of_prometheus(world, job):
    for url in (world.prometheus, world.agent.url):
        wait_for(f"the targets at {url}", lambda u=url: len(found(u, job)) == COUNTS[job], timeout=60)
    theirs, ours = found(world.prometheus, job), found(world.agent.url, job)
    for (discovered, labels), (our_discovered, our_labels) in zip(theirs, ours):
        assert dict(discovered).items() <= dict(our_discovered).items()
        assert not {k for k in dict(our_discovered) if k.startswith("__meta_")} - set(dict(discovered))
        assert labels == our_labels


def test_the_http_service_is_told_the_interval(world):
    agents = {h["user-agent"].partition("/")[0]: h for _, h in world.http.requests}
    assert set(agents) == {"Prometheus", "obsagent"}
    for headers in agents.values():
        assert headers["x-prometheus-refresh-interval-seconds"] == "60"
        assert headers["accept"] == "application/json"


HTTP = """
scrape_configs:
- job_name: web
  scrape_interval: 1h
  http_sd_configs:
  - url: http://user:hunter2@{address}/a?token=hunter3
    refresh_interval: 100ms
"""


def group(*targets, **labels):
    return [{"targets": list(targets), "labels": labels}]


# What must be in the log, and the targets stay.
BAD_ANSWERS = {
    "server returned HTTP status 500": (500, {}, "[]"),
    "server returned HTTP status 404 Not Found": (404, {}, ""),
    "server returned HTTP status 204 No Content": (204, {}, ""),
    "unsupported content type": (200, {"Content-Type": "text/html"}, "[]"),
    "not JSON: line 1 column 1": (200, {}, "<html>"),
    "want a list of target groups, not an object": (200, {}, "{}"),
    "group 2: nil target group item found": (200, {}, '[{"targets": ["x:1"]}, null]'),
}


@pytest.mark.sanitized
def test_targets_follow_an_http_service_and_stay_while_it_fails(run, tmp_path):
    service = run(Service, lambda path, headers: group("127.0.0.1:1"))
    port = service.port
    agent = run(Agent, tmp_path, HTTP.format(address=service.address))
    wait_for("the first target", lambda: addresses(agent, "web") == ["127.0.0.1:1"])
    path, headers = service.requests[0]
    assert path == "/a?token=hunter3" and headers["authorization"] == "Basic dXNlcjpodW50ZXIy"
    assert dict(found(agent.url, "web")[0][0])["__meta_url"] == f"http://user:xxxxx@{service.address}/a?token=xxxxx"
    service.answer = lambda path, headers: group("127.0.0.1:1", "127.0.0.1:2", x="y")
    wait_for("the second", lambda: addresses(agent, "web") == ["127.0.0.1:1", "127.0.0.1:2"])
    for message, answer in BAD_ANSWERS.items():
        service.answer = lambda path, headers: answer
        wait_for(message, lambda: message in agent.output())
        assert addresses(agent, "web") == ["127.0.0.1:1", "127.0.0.1:2"]
    service.close()
    wait_for("no connection", lambda: re.search("http_sd_configs.*refused.*stay", agent.output()))
    assert addresses(agent, "web") == ["127.0.0.1:1", "127.0.0.1:2"]
    run(Service, lambda path, headers: [], port=port)
    wait_for("no targets", lambda: addresses(agent, "web") == [])
    assert "http_sd_configs: works again" in agent.output()
    assert "hunter" not in agent.output()
