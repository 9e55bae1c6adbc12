"""test_discovery: services that are asked for targets: the same targets as Prometheus or vmagent finds, and what stays
while they do not answer."""

import json
import os
import re
import subprocess
import urllib.parse

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
from sd_servers import SERVFAIL, Consul, Docker, Names, Service

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


# Prometheus knows no other servers than those of resolv.conf, on port 53: both run where that is another file.
DNS_HOST = "127.83.68.1"
RECORDS = {
    ("_m._tcp.sd.test", "SRV"): ["9100 a.sd.test.", "9200 B.sd.test"],
    ("_none._tcp.sd.test", "SRV"): [],
    ("sd.test", "A"): ["127.1.2.3", "127.1.2.4"],
    ("short.search.test", "A"): ["127.1.2.5"],
    ("sd.test", "AAAA"): ["2001:db8::1", "::ffff:1.2.3.4"],
    ("sd.test", "MX"): ["mail.sd.test."],
    ("many.sd.test", "A"): [f"127.9.{i}.1" for i in range(120)],  # too many for a datagram
}
DNS_JOBS = {
    "srv": ("dns", "{names: [_m._tcp.sd.test, _none._tcp.sd.test, _absent._tcp.sd.test]}"),
    "a": ("dns", "{names: [sd.test., short], type: a, port: 9100}"),
    "aaaa": ("dns", "{names: [sd.test], type: AAAA, port: 1}"),
    "many": ("dns", "{names: [many.sd.test], type: A, port: 1}"),
    "mx": ("dns", "{names: [sd.test], type: MX, port: 25}"),
}


def instance(name, host, port, *tags, **more):
    """As /v1/health/service lists it. `more`: the service's address, meta, and the status of its check."""
    node = {"ID": "1", "Node": name, "Address": host, "Datacenter": "dc1", "Meta": {"rack-no": "7", "os": "linux"},
            "TaggedAddresses": {"lan": host, "wan-ipv4": "1.2.3.4"}}
    service = {"ID": f"{name}-web", "Service": "web", "Tags": list(tags), "Address": more.get("address", ""),
               "Port": port, "Meta": more.get("meta", {})}
    checks = [{"Node": name, "CheckID": "serfHealth", "Status": "passing"},
              {"Node": name, "CheckID": "service:web", "Status": more.get("status", "passing")}]
    return {"Node": node, "Service": service, "Checks": checks}


SERVICES = {
    "consul": [instance("s1", "10.0.0.9", 8300)],
    "web": [
        instance("n1", "127.3.0.1", 80, "v1", "green", meta={"team/owner": "me"}),
        instance("n2", "127.3.0.2", 80, "v1", address="127.3.1.2", status="warning"),
        instance("n3", "fd00::3", 0, status="critical"),
    ],
    "a/b c": [instance("n1", "127.3.0.1", 81, "green")],
}
CONSUL_JOBS = {
    "consul": "",
    "consul_named": "services: [web, 'a/b c'], tag_separator: ';', datacenter: dc1",
    "consul_tagged": "tags: [v1, green], allow_stale: false",
    "consul_both": "services: [web, absent], tags: [v1], node_meta: {os: linux}",
}


def container(number, mode, networks, ports=(), **labels):
    return {"Id": f"c{number}", "Names": [f"/name{number}"], "Labels": labels, "HostConfig": {"NetworkMode": mode},
            "Ports": [dict(zip(("PrivatePort", "Type", "PublicPort", "IP"), port)) for port in ports],
            "NetworkSettings": {"Networks": networks}}


def endpoint(network, address):
    return {network: {"NetworkID": f"{network}-id", "IPAddress": address}}


CONTAINERS = [
    container(1, "front", endpoint("front", "127.4.0.1"), [(80, "tcp"), (443, "tcp", 8443, "0.0.0.0"), (53, "udp")],
              **{"com.docker.compose/service": "web", "größe": "m"}),
    container(2, "front", endpoint("front", "127.4.0.2") | endpoint("back", "127.5.0.2")),
    container(3, "host", {"host": {"NetworkID": "host-id", "IPAddress": ""}}),
    container(5, "none", {}),
    container(6, "back", endpoint("back", "fd00::6"), [(5353, "udp")]),
]
NETWORKS = [
    {"Id": "front-id", "Name": "front", "Scope": "local", "Internal": False, "Ingress": False, "Labels": {"a-b": "c"}},
    {"Id": "back-id", "Name": "back", "Scope": "swarm", "Internal": True, "Ingress": True, "Labels": {}},
    {"Id": "host-id", "Name": "host", "Scope": "local", "Internal": False, "Ingress": False, "Labels": None},
]
OURS_ALONE = ", match_first_network: false"  # Prometheus 2.42 always looks at all


def may_mount():
    return os.getuid() == 0 and subprocess.run(["unshare", "--mount", "true"]).returncode == 0


def with_resolv_conf(path, argv):
    return ["unshare", "--mount", "sh", "-c", f'mount --bind {path} /etc/resolv.conf && exec "$@"', "sh", *argv]


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """An agent, and beside it Prometheus or vmagent with the same jobs."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("discovery")
    w.http = run_module(Service, lambda path, headers: GROUPS)
    w.jobs = {"http": ("http", f"{{url: 'http://{w.http.address}/targets?x=y'}}")}
    w.consul = run_module(Consul, SERVICES)
    for job, more in CONSUL_JOBS.items():
        w.jobs[job] = ("consul", f"{{server: '{w.consul.address}', {more}}}")
    w.docker = run_module(Docker, CONTAINERS, NETWORKS)
    run_module(Docker, CONTAINERS, NETWORKS, unix=str(w.tmp / "docker.sock"))
    host = "host_networking_host: '127.0.0.7:1'"
    filters = "filters: [{name: status, values: [running, paused]}, {name: label, values: ['a=b']}]"
    w.jobs["docker"] = ("docker", f"{{host: 'unix://{w.tmp}/docker.sock', {host}{OURS_ALONE}}}")
    w.jobs["docker_tcp"] = ("docker", f"{{host: 'http://{w.docker.address}', port: 9, {host}, {filters}{OURS_ALONE}}}")
    around = lambda argv: argv
    if may_mount():
        run_module(Names, RECORDS, DNS_HOST, 53)
        (w.tmp / "resolv.conf").write_text(f"nameserver {DNS_HOST}\nsearch search.test\n")
        around = lambda argv: with_resolv_conf(w.tmp / "resolv.conf", argv)
        w.jobs |= DNS_JOBS
    w.peers = {}
    theirs = {job: entry for job, entry in w.jobs.items() if entry[0] != "consul"}
    (w.tmp / "prometheus.yml").write_text(config(theirs).replace(OURS_ALONE, ""))
    w.peers["prometheus"] = f"http://127.0.0.1:{free_port()}"
    run_module(
        Process,
        around([
            peer("usr/bin/prometheus"),
            f"--config.file={w.tmp}/prometheus.yml",
            f"--storage.tsdb.path={w.tmp}/tsdb",
            f"--web.listen-address={w.peers['prometheus'].partition('://')[2]}",
        ]),
        w.tmp / "prometheus.log",
        env=peer_env(),
    )
    # Debian's Prometheus has no Consul.
    (w.tmp / "vmagent.yml").write_text(config({job: w.jobs[job] for job in w.jobs.keys() - theirs.keys()}))
    w.peers["vmagent"] = f"http://127.0.0.1:{free_port()}"
    run_module(
        Process,
        [
            peer("usr/bin/vmagent"),
            f"-promscrape.config={w.tmp}/vmagent.yml",
            f"-remoteWrite.tmpDataPath={w.tmp}/vmagent-data",
            "-remoteWrite.url=http://127.0.0.1:1/",
            f"-httpListenAddr={w.peers['vmagent'].partition('://')[2]}",
        ],
        w.tmp / "vmagent.log",
        env=peer_env(),
    )
    w.agent = run_module(Agent, w.tmp, config(w.jobs), around=around)
    return w


ADDED = {}  # labels that vmagent 1.79 does not have
COUNTS = {"http": 4, "srv": 2, "a": 3, "aaaa": 2, "many": 120, "mx": 1,
          "consul": 5, "consul_named": 4, "consul_tagged": 1, "consul_both": 2, "docker": 6, "docker_tcp": 6}


@pytest.mark.parametrize("job", COUNTS)
def test_targets_are_those_of_others(world, job):
    if job not in world.jobs:
        pytest.skip("needs root and unshare: resolv.conf must be another file")
    who = "vmagent" if world.jobs[job][0] == "consul" else "prometheus"
    for url in (world.peers[who], world.agent.url):
        wait_for(f"the targets at {url}", lambda u=url: len(found(u, job)) == COUNTS[job], timeout=60)
    meta = lambda labels: {k: v for k, v in labels if v and k.startswith(("__meta_", "__address__"))}
    for theirs, ours in zip(found(world.peers[who], job), found(world.agent.url, job)):
        assert meta(ours[0]) == meta(theirs[0]) | ADDED.get(job, {})
        assert ours[1] == theirs[1]


def test_the_http_service_is_told_the_interval(world):
    wait_for("both", lambda: len({h["user-agent"] for _, h in world.http.requests}) == 2)
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
    of = {"kind": "http_sd_configs", "job": "web"}
    wait_for("the metric", lambda: agent.total("obsagent_discovery_failures_total", **of) > len(BAD_ANSWERS))
    assert agent.total("obsagent_discovery_up", **of) == 0 and agent.total("obsagent_discovery_targets", **of) == 2
    run(Service, lambda path, headers: [], port=port)
    wait_for("no targets", lambda: addresses(agent, "web") == [])
    assert "http_sd_configs: works again" in agent.output()
    assert "hunter" not in agent.output()
    wait_for("the metric", lambda: agent.total("obsagent_discovery_up", **of) == 1)


def jobs(url, *names):
    return "scrape_configs:\n" + "".join(
        f"- job_name: {name}\n  scrape_interval: 1h\n  http_sd_configs: [{{url: '{url}', refresh_interval: 1h}}]\n"
        for name in names
    )


def test_jobs_share_a_source_and_a_reload_disturbs_none(run, tmp_path):
    service = run(Service, lambda path, headers: group("127.0.0.1:1"))
    url = f"http://{service.address}/t"
    agent = run(Agent, tmp_path, jobs(url, "one", "two"))
    known = lambda *names: all(addresses(agent, name) == ["127.0.0.1:1"] for name in names)
    wait_for("both jobs", lambda: known("one", "two"))
    agent.reconfigure(jobs(url, "one", "two", "three"))
    wait_for("a third job", lambda: known("one", "two", "three"))
    assert len(service.requests) == 1
    agent.reconfigure(jobs(f"http://127.0.0.1:{free_port()}/", "one", "two"))
    wait_for("the new source's failure", lambda: re.search("http_sd_configs.*refused", agent.output()))
    assert known("one", "two")
    other = run(Service, lambda path, headers: group("127.0.0.1:2"))
    agent.reconfigure(jobs(f"http://{other.address}/", "one"))
    wait_for("the other's target", lambda: addresses(agent, "one") == ["127.0.0.1:2"])


DNS = """
scrape_configs:
- job_name: names
  scrape_interval: 1h
  dns_sd_configs:
  - names: [one.test., two.test.]
    type: A
    port: 7
    refresh_interval: 200ms
    servers: ['{server}']
"""


@pytest.mark.sanitized
def test_targets_follow_names_and_stay_while_servers_fail(run, tmp_path):
    one, two = ("one.test", "A"), ("two.test", "A")
    names = run(Names, {one: ["127.9.0.1"], two: SERVFAIL})
    agent = run(Agent, tmp_path, DNS.format(server=names.server))
    wait_for("the name that is known", lambda: addresses(agent, "names") == ["127.9.0.1:7"])
    wait_for("the other's failure", lambda: re.search("dns_sd_configs: two.test.: .*server.*fail", agent.output()))
    names.records = {one: ["127.9.0.3", "127.9.0.1"], two: SERVFAIL}
    wait_for("what is new beside a failure", lambda: addresses(agent, "names") == ["127.9.0.1:7", "127.9.0.3:7"])
    names.records = {one: SERVFAIL, two: ["127.9.0.2"]}
    both = ["127.9.0.1:7", "127.9.0.2:7", "127.9.0.3:7"]
    wait_for("one to stay, two to come", lambda: addresses(agent, "names") == both)
    names.records = {two: ["127.9.0.2"]}
    wait_for("a name that is gone to have none", lambda: addresses(agent, "names") == ["127.9.0.2:7"])
    assert "dns_sd_configs: works again" in agent.output()
    names.close()
    log = agent.output()
    wait_for("nobody to answer", lambda: re.search("dns_sd_configs: .*stay", agent.output()[len(log) :]), 60)
    assert addresses(agent, "names") == ["127.9.0.2:7"]


def test_consul_is_asked_what_prometheus_would_ask(world):
    want = {
        "/v1/agent/self",
        "/v1/catalog/services?wait=120000ms&stale=",
        "/v1/catalog/services?wait=120000ms",
        "/v1/catalog/services?wait=120000ms&node-meta=os%3Alinux&stale=",
        "/v1/health/service/consul?wait=120000ms&stale=",
        "/v1/health/service/web?wait=120000ms&stale=",
        "/v1/health/service/a%2Fb%20c?wait=120000ms&stale=",
        "/v1/health/service/web?dc=dc1&wait=120000ms&stale=",
        "/v1/health/service/a%2Fb%20c?dc=dc1&wait=120000ms&stale=",
        "/v1/health/service/web?wait=120000ms&tag=v1&tag=green",
        "/v1/health/service/web?wait=120000ms&node-meta=os%3Alinux&tag=v1&stale=",
    }

    def asked():
        ours = {path for path, headers in world.consul.requests if headers["user-agent"].startswith("obsagent")}
        return {path for path in ours if "index=" not in path}

    wait_for("all questions", lambda: asked() >= want)
    assert asked() == want


CONSUL = """
scrape_configs:
- job_name: catalog
  scrape_interval: 1h
  consul_sd_configs:
  - server: {server}
    token: hunter2
    refresh_interval: 100ms
"""


@pytest.mark.sanitized
def test_targets_follow_consul_and_stay_while_it_fails(run, tmp_path):
    web = lambda *hosts: {"web": [instance(host, host, 80) for host in hosts]}
    consul = run(Consul, web("127.3.0.1"))
    agent = run(Agent, tmp_path, CONSUL.format(server=consul.address))
    wait_for("the first", lambda: addresses(agent, "catalog") == ["127.3.0.1:80"])
    assert {headers.get("x-consul-token") for _, headers in consul.requests} == {"hunter2"}
    wait_for("queries that wait", lambda: len([p for p, _ in consul.requests if "index=7" in p]) == 2)
    consul.change(web("127.3.0.1", "127.3.0.2") | {"db": [instance("n", "127.3.0.3", 5)]})
    wait_for("an instance and a service", lambda: len(addresses(agent, "catalog")) == 3)
    consul.change(web("127.3.0.2"))
    wait_for("one of each gone", lambda: addresses(agent, "catalog") == ["127.3.0.2:80"])
    consul.failure = (403, "Permission denied: token hunter")
    consul.change({})
    wait_for("the refusal", lambda: "HTTP status 403 Forbidden: Permission denied" in agent.output())
    consul.failure = (200, '"x"')
    wait_for("nonsense", lambda: re.search("want an? (object|list)", agent.output()))
    consul.close()
    wait_for("nobody there", lambda: re.search("consul_sd_configs.*refused.*stay", agent.output()))
    assert addresses(agent, "catalog") == ["127.3.0.2:80"]
    run(Consul, web("127.3.0.4"), port=consul.port)
    wait_for("another one", lambda: addresses(agent, "catalog") == ["127.3.0.4:80"])
    wait_for("the end of the trouble", lambda: "consul_sd_configs: works again" in agent.output())
    assert "hunter2" not in agent.output()


def test_docker_is_asked_as_prometheus_asks(world):
    def lists():
        """The questions of whoever asked; Docker's own client puts a version before the path."""
        paths = (path.partition("containers/json?") for path, _ in world.docker.requests)
        queries = {(path, query) for path, _, query in paths if query}
        return [urllib.parse.parse_qs(query) for _, query in sorted(queries)]

    wait_for("both", lambda: len(lists()) == 2)
    ours, theirs = lists()
    assert json.loads(ours.pop("filters")[0]) == json.loads(theirs.pop("filters")[0])
    assert ours == {} and theirs.keys() <= {"limit"}


DOCKER = """
scrape_configs:
- job_name: containers
  scrape_interval: 1h
  docker_sd_configs:
  - host: unix://{socket}
    refresh_interval: 100ms
"""


@pytest.mark.sanitized
def test_targets_follow_docker_and_stay_while_it_fails(run, tmp_path):
    socket = str(tmp_path / "d.sock")
    docker = run(Docker, CONTAINERS[1:2], NETWORKS, unix=socket)
    agent = run(Agent, tmp_path, DOCKER.format(socket=socket))
    wait_for("the first network", lambda: addresses(agent, "containers") == ["127.5.0.2:80"])
    docker.containers = CONTAINERS[1:3]
    wait_for("a second container", lambda: addresses(agent, "containers") == ["127.5.0.2:80", "localhost"])
    docker.networks = (500, {}, '{"message":"server error"}')
    wait_for("the failure", lambda: 'HTTP status 500 Internal Server Error: {' in agent.output())
    docker.containers, docker.networks = {"message": "odd"}, NETWORKS
    wait_for("nonsense", lambda: "containers: not a list" in agent.output())
    docker.close()
    os.unlink(socket)
    wait_for("nobody there", lambda: len(re.findall("docker_sd_configs.*stay", agent.output())) >= 3)
    assert addresses(agent, "containers") == ["127.5.0.2:80", "localhost"]
    run(Docker, [], NETWORKS, unix=socket)
    wait_for("no containers", lambda: addresses(agent, "containers") == [])
