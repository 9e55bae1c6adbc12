"""test_kubernetes: an API server that is new, slow, forgetful, strict or broken: which targets come of it, what is
asked for how often, and who hears of it? What a healthy one says is compared in tests/k8s."""

import base64
import json
import time

import pytest

import kube_objects as o
from harness import Agent, free_port, http_get, make_certificates, wait_for, write_atomically
from kube_labels import NOWHERE, P, found, meta, target, wait_targets
from kube_server import JSON, Cut, KubeServer, status

def sd(server, role="pod", **more):
    return json.dumps({"role": role, "api_server": server.url, **more})


def config(*entries, jobs=None):
    """One job for each entry, named by its number, or as `jobs` names them."""
    names = jobs or [str(i) for i in range(len(entries))]
    jobs = zip(names, entries)
    lines = [f"- job_name: '{name}'\n  kubernetes_sd_configs: [{entry}]\n{NOWHERE}" for name, entry in jobs]
    return (
        "global: {scrape_interval: 1h, scrape_timeout: 1s}\n"
        "remote_write: [{url: http://127.0.0.1:1/}]\nscrape_configs:\n" + "".join(lines)
    )


def web(number, namespace="default", **more):
    app = o.container("app", (8080, "http"))
    return o.pod(f"web-{number}", namespace, [app], status=o.running(f"10.0.{number // 256}.{number % 256}"), **more)


def addresses(agent, job="0"):
    return sorted(t["__address__"] for t in found(agent.url, job))


def of(*numbers):
    return sorted(f"10.0.{n // 256}.{n % 256}:8080" for n in numbers)


def wait_addresses(agent, want, job="0", timeout=20):
    have = []

    def same():
        have[:] = addresses(agent, job)
        return have == want

    try:
        wait_for("targets", same, timeout)
    except AssertionError:
        odd = sorted(set(have) ^ set(want))[:9]
        why = f"{len(want)} targets wanted, {len(have)} there, odd: {odd}\n{agent.output()}"
        raise AssertionError(why) from None


def entries_of(servers, **more):
    return [sd(server, **more) for server in servers]


def all_together(run, begin, cases):
    """A server and a job for each case, with one agent, which knows the pod web-1 of each: [(job, server, case)]."""
    servers = [run(KubeServer) for _ in cases]
    for server in servers:
        server.put(web(1))
    agent = begin(*entries_of(servers))
    each = [(str(n), server, case) for n, (server, case) in enumerate(zip(servers, cases))]
    for job, server, _ in each:
        wait_addresses(agent, of(1), job)
        wait_for("a watch", lambda: server.watching["pods"])
    return agent, each


@pytest.fixture
def server(run):
    return run(KubeServer)


@pytest.fixture
def begin(run, tmp_path, server):
    """begin(entry, ...) starts an agent with these entries; without any, role pod of the server."""

    def start(*entries, **more):
        return run(Agent, tmp_path, config(*(entries or [sd(server)])), **more)

    return start


# ---- what is newer than the real server in the tests ----

SLICE_LABELS = {"kubernetes.io/service-name": "web"}


def slice_v1():
    return o.endpointslice("web-1", "default", [
        {"addresses": ["10.0.0.1"], "conditions": {"ready": False, "serving": True, "terminating": True},
         "hostname": "one", "nodeName": "big", "zone": "z1", "hints": {"forZones": [{"name": "z1"}]},
         "deprecatedTopology": {"kubernetes.io/arch": "arm64"}},
        {"addresses": ["10.0.0.2"], "conditions": {"ready": True}, "nodeName": "big"},
        {"addresses": ["10.0.0.3"], "conditions": {}},
    ], [{"name": "", "port": 80, "protocol": "TCP"}, {"name": "any", "protocol": "UDP", "appProtocol": "x"}],
        version="v1", labels=SLICE_LABELS)


def of_slice(address, port, **labels):
    return target(address, meta("endpointslice", "web-1", SLICE_LABELS), port,
                  **{f"endpointslice_{name}": value for name, value in labels.items()},
                  namespace="default", endpointslice_address_type="IPv4")


def test_slices_of_today(server, begin):
    """Conditions, zones, nodes; ports without a number; absent is not false."""
    server.put(slice_v1())
    agent = begin(sd(server, "endpointslice"))
    want = []
    for number, port in (("80", dict(endpointslice_port="80", endpointslice_port_protocol="TCP")),
                         (None, dict(endpointslice_port_name="any", endpointslice_port_protocol="UDP",
                                     endpointslice_port_app_protocol="x"))):
        def at(ip):
            return f"{ip}:{number}" if number else ip

        want += [
            of_slice(at("10.0.0.1"), port, endpoint_conditions_ready="false", endpoint_conditions_serving="true",
                     endpoint_conditions_terminating="true", endpoint_hostname="one", endpoint_node_name="big",
                     endpoint_zone="z1", endpoint_topology_kubernetes_io_arch="arm64",
                     endpoint_topology_present_kubernetes_io_arch="true"),
            of_slice(at("10.0.0.2"), port, endpoint_conditions_ready="true", endpoint_node_name="big"),
            of_slice(at("10.0.0.3"), port),
        ]
    wait_targets(agent.url, "0", want)
    assert {r.path for r in server.asked("endpointslices")} == {"/apis/discovery.k8s.io/v1/endpointslices"}


FAMILIES = [  # policy, first family, families of targets
    (None, "IPv4", {"IPv4", "IPv6"}),
    ("SingleStack", "IPv4", {"IPv4", "IPv6"}),
    ("PreferDualStack", "IPv6", {"IPv6"}),
    ("RequireDualStack", "IPv4", {"IPv4"}),
]


def test_two_families(server, begin):
    """A service of both kinds of address has a slice for each: only the first kind's become targets."""
    for number, (policy, first, _) in enumerate(FAMILIES):
        spec = {"ports": [{"port": 80}], "ipFamilies": [first, "IPv6" if first == "IPv4" else "IPv4"]}
        if policy:
            spec["ipFamilyPolicy"] = policy
        server.put(o.service("web", f"ns-{number}", spec))
        for family, address in (("IPv4", f"10.0.0.{number}"), ("IPv6", f"fd00::{number}")):
            server.put(o.endpointslice(f"web-{family}", f"ns-{number}", [{"addresses": [address]}], [{"port": 80}],
                                       kind=family, version="v1", labels=SLICE_LABELS))
    agent = begin(sd(server, "endpointslice"))
    want = {(f"ns-{number}", family) for number, (_, _, families) in enumerate(FAMILIES) for family in families}
    names = P + "namespace", P + "endpointslice_address_type"
    wait_for("the slices", lambda: {tuple(t[n] for n in names) for t in found(agent.url, "0")} == want)


def test_sidecar_containers(server, begin):
    """An init container that stays is one with a port like others, and says that it is one."""
    sidecar = {**o.container("mesh", (15020, "stats")), "restartPolicy": "Always"}
    ran = [o.ran("mesh", "containerd://m")]
    server.put(o.pod("web", "default", [o.container("app", (80,))], init=[sidecar],
                     status=o.running("10.0.0.1", initContainerStatuses=ran)))
    agent = begin()
    wait_for("both", lambda: len(found(agent.url, "0")) == 2)
    mesh = next(t for t in found(agent.url, "0") if t["__address__"].endswith(":15020"))
    assert (mesh[P + "pod_container_init"], mesh[P + "pod_container_id"]) == ("true", "containerd://m")


OLDER = {
    "endpointslice": o.endpointslice("web", "default", [{"addresses": ["10.0.0.1"]}], [{"port": 80}]),
    "ingress": o.ingress("web", "default", {"rules": [{"host": "10.0.0.1:80"}]}),
}


def test_older_api(server, begin):
    """A server that only knows the version before."""
    server.absent = {"discovery.k8s.io/v1", "networking.k8s.io/v1"}
    server.put(*OLDER.values())
    agent = begin(*(sd(server, role) for role in OLDER))
    for number, (role, thing) in enumerate(OLDER.items()):
        wait_addresses(agent, ["10.0.0.1:80"], str(number))
        server.put({**thing, "metadata": {**thing["metadata"], "labels": {"new": "1"}}})
        label, job = f"{P}{role}_label_new", str(number)
        wait_for("the change, by a watch", lambda: [t.get(label) for t in found(agent.url, job)] == ["1"])


def test_owners(server, begin):
    """Deployment, Job and CronJob of a pod, by way of what owns it."""
    pods = {"a": ("ReplicaSet", "web-1"), "b": ("Job", "nightly-1"), "c": ("Job", "once"), "d": ("ReplicaSet", "bare"),
            "e": ("ReplicaSet", "unknown"), "f": ("DaemonSet", "all")}
    for number, (name, owner) in enumerate(pods.items()):
        server.put(o.pod(name, "default", [o.container("app", (80,))], owner=o.owner(*owner),
                         status=o.running(f"10.0.0.{number}")))
    server.put(
        o.named("ReplicaSet", "apps/v1", "web-1", "default", owner=o.owner("Deployment", "web")),
        o.named("ReplicaSet", "apps/v1", "bare", "default"),
        o.named("Job", "batch/v1", "nightly-1", "default", owner=o.owner("CronJob", "nightly")),
        o.named("Job", "batch/v1", "once", "default"),
    )
    attach = {"deployment": True, "job": True, "cronjob": True}
    agent = begin(sd(server, attach_metadata=attach), sd(server, attach_metadata={"job": True}))
    wait_for("all", lambda: all(len(found(agent.url, job)) == len(pods) for job in "01"))

    def seen(job):
        return {
            t[P + "pod_name"]: {k.removeprefix(P + "pod_"): v for k, v in t.items()
                                if k.startswith((P + "pod_deployment", P + "pod_job", P + "pod_cronjob"))}
            for t in found(agent.url, job)
        }

    both = {"a": {}, "b": {"job_name": "nightly-1"}, "c": {"job_name": "once"}, "d": {}, "e": {}, "f": {}}
    assert seen("1") == both
    assert seen("0") == {**both, "a": {"deployment_name": "web"},
                         "b": {"job_name": "nightly-1", "cronjob_name": "nightly"}}
    server.put(o.named("ReplicaSet", "apps/v1", "unknown", "default", owner=o.owner("Deployment", "late")))
    wait_for("an owner that comes later", lambda: seen("0")["e"] == {"deployment_name": "late"})


def test_names_that_become_one(server, begin):
    """Keys that differ in what no label name may have."""
    server.put(web(1, labels={"a.b": "x", "a/b": "x", "a-b": "x"}))
    agent = begin()
    wait_for("the pod", lambda: [t.get(P + "pod_label_a_b") for t in found(agent.url, "0")] == ["x"])


def test_large_object(server, begin):
    """As large as etcd lets them be: one pod alone, by list and by watch."""
    note = "long and \"quoted\" " * 60_000
    server.put(web(1, annotations={"note": note}))
    agent = begin()
    wait_addresses(agent, of(1))
    server.put(web(2, annotations={"note": note}))
    wait_addresses(agent, of(1, 2))
    assert {t[P + "pod_annotation_note"] for t in found(agent.url, "0")} == {note}


@pytest.mark.sanitized
def test_all_at_once(server, begin):
    """Deleted and made again under the same name, renamed to and fro, a thousand in one breath: the end counts."""
    server.put(*(web(n) for n in range(200)))
    agent = begin()
    wait_addresses(agent, of(*range(200)))
    wait_for("a watch", lambda: server.watching["pods"])
    with server.changed:
        for n in range(200):
            server.delete("Pod", "default", f"web-{n}")
            server.put(web(n + 1000 if n % 2 else n))
            if n % 2:
                server.delete("Pod", "default", f"web-{n + 1000}")
    wait_addresses(agent, of(*range(0, 200, 2)))


# ---- what goes over the wire ----


@pytest.mark.sanitized
@pytest.mark.parametrize("size", [1, 7])
def test_cut_anywhere(server, begin, size):
    """Lists and events in pieces: within names, escapes and characters."""
    server.pieces = lambda data: [data[i : i + size] for i in range(0, len(data), size)]
    text = "q\"uo\\te {[ ü→𝄞 ]} \n"
    server.put(*(web(n, annotations={"note": text}) for n in range(3)))
    agent = begin()
    wait_addresses(agent, of(0, 1, 2))
    server.put(web(3, annotations={"note": text}))
    server.delete("Pod", "default", "web-1")
    wait_addresses(agent, of(0, 2, 3))
    assert {t[P + "pod_annotation_note"] for t in found(agent.url, "0")} == {text}


def test_slow(server, begin):
    """A list that takes its time: what was known stays meanwhile, another job is not held up, all comes in the end."""
    server.put(*(web(n) for n in range(20)), web(99, "other"))
    agent = begin(sd(server, namespaces={"names": ["default"]}), sd(server, namespaces={"names": ["other"]}))
    wait_addresses(agent, of(*range(20)))

    def slowly(data):
        for at in range(0, len(data), max(len(data) // 20, 1)):
            yield data[at : at + max(len(data) // 20, 1)]
            time.sleep(0.05)

    server.delete("Pod", "default", "web-3")
    server.put(web(50))
    wait_addresses(agent, of(*(n for n in range(20) if n != 3), 50))
    server.pieces = slowly
    server.compact()
    server.say("pods", "ERROR", status(410, "Expired"))
    server.put(web(98, "other"))
    least = []
    wait_for("all", lambda: least.append(len(addresses(agent))) or addresses(agent, "1") == of(98, 99))
    assert min(least) == 20, "targets went while a list was read"


def test_pages(run, begin, tmp_path):
    """Pages of the server's size, and one that is too late: it begins again, and nobody sees half a list."""
    server = run(KubeServer, page=10)
    server.put(*(web(n) for n in range(35)))
    refused = []

    def answer(request):
        if "continue" in request.query and len(server.asked("pods")) == 3 and not refused:
            refused.append(request)
            return 410, JSON, json.dumps(status(410, "Expired", "The provided continue parameter is too old")).encode()

    server.answer = answer
    agent = begin(sd(server))
    wait_addresses(agent, of(*range(35)))
    assert refused
    assert not any("resourceVersion" in r.query for r in server.asked("pods", False) if "continue" in r.query)


LAST_WORDS = [
    b'{"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"web-7","na',
    b'{"type":"ADDED","obj',
    b"",
]


@pytest.mark.sanitized
def test_cut_watch(run, begin):
    """A stream that breaks, perhaps within an event: the next one goes on from what was understood."""
    agent, each = all_together(run, begin, LAST_WORDS)
    for _, server, words in each:
        server.put(web(2))
    for job, server, words in each:
        wait_addresses(agent, of(1, 2), job)
        server.end_watches(words)
    for job, server, words in each:
        wait_for("the next watch", lambda: len(server.asked("pods", True)) == 2)
        assert server.asked("pods", True)[1].query["resourceVersion"] == "1002"
        assert len(server.asked("pods", False)) == 1, "listed again without need"
        server.put(web(3))
        wait_addresses(agent, of(1, 2, 3), job)


BROKEN_LISTS = [
    (200, JSON, Cut(b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[{"metadata":{"name":"x"')),
    (200, JSON, Cut(b'{"kind":"PodList","metadata":{"resourceVersion":"1"},"items":[]')),
    (200, JSON, b""),
    (200, {"Content-Type": "text/html"}, b"<html>Please log in</html>"),
    (200, JSON, b'{"kind":"PodList","items":[]}'),
    (500, JSON, json.dumps(status(500, "InternalError", "etcd is having a nap")).encode()),
    (503, {}, b"overloaded"),
]


@pytest.mark.sanitized
def test_lists_that_fail(run, begin):
    """Targets stay, somebody is told, and it comes right when the server does."""
    agent, each = all_together(run, begin, BROKEN_LISTS)
    for _, server, broken in each:
        server.answer = lambda request, broken=broken: None if request.watch else broken
        server.compact()
        server.say("pods", "ERROR", status(410, "Expired"))
    for job, server, _ in each:
        wait_for("a list that fails", lambda: len(server.asked("pods", False)) > 1)
        wait_for("the log", lambda: f"LIST {server.url}/" in agent.output())
        assert addresses(agent, job) == of(1)
        server.put(web(2))
        server.answer = lambda request: None
    for job, server, _ in each:
        wait_addresses(agent, of(1, 2), job)
    wait_for("the good news", lambda: agent.output().count("works again") == len(each))


# ---- events ----


def test_bookmarks(server, begin):
    """They move the place from which the next watch goes on, and nothing else."""
    server.put(web(1))
    agent = begin()
    wait_addresses(agent, of(1))
    wait_for("a watch", lambda: server.watching["pods"])
    version = server.bookmark("pods")
    time.sleep(0.1)
    server.end_watches()
    wait_for("the next", lambda: len(server.asked("pods", True)) == 2)
    assert server.asked("pods", True)[1].query["resourceVersion"] == str(version)
    assert {r.query.get("allowWatchBookmarks") for r in server.asked("pods", True)} <= {"true", "1"}
    assert len(server.asked("pods", False)) == 1
    assert addresses(agent) == of(1)


def test_too_old(run, begin):
    """410, as an event and as an answer: the list again, with all that was missed, added and gone."""
    agent, each = all_together(run, begin, ["event", "answer"])
    time.sleep(1.1)  # a watch that ends earlier is not asked for again at once
    for _, server, how in each:
        with server.changed:  # nobody is told of these
            server.put(web(2))
            server.delete("Pod", "default", "web-1")
            server.compact()
        if how == "event":
            server.say("pods", "ERROR", status(410, "Expired", "too old resource version"))
        else:
            server.end_watches()
    for job, server, how in each:
        wait_addresses(agent, of(2), job)


ODD_EVENTS = [
    ("ERROR", status(500, "InternalError", "no more of this")),
    ("SURPRISE", {"metadata": {"name": "x", "namespace": "default"}}),
    ("ADDED", {"metadata": {}}),
    ("ADDED", None),
]


@pytest.mark.sanitized
def test_odd_events(run, begin):
    """What no good server says costs no target, and what is said afterwards is heard."""
    agent, each = all_together(run, begin, ODD_EVENTS)
    for _, server, (event, thing) in each:
        server.say("pods", event, thing)
        server.put(web(2))
    for job, _, _ in each:
        wait_addresses(agent, of(1, 2), job)


# ---- asking too much, asking for nothing ----


def test_one_watch_for_all(server, begin):
    """Jobs and roles that need the same share it; other selectors are another one."""
    server.put(web(1, labels={"app": "web"}), o.endpoints("web", "default", []))
    begin(
        sd(server), sd(server), sd(server, "endpoints"), sd(server, attach_metadata={"namespace": True}),
        sd(server, selectors=[{"role": "pod", "label": "app=web"}]),
    )
    wait_for("the watches", lambda: sum(server.watching.values()) == 5)
    time.sleep(0.2)
    assert {k: v for k, v in server.watching.items() if v} == {
        "pods": 2, "endpoints": 1, "services": 1, "namespaces": 1}
    assert {r.query.get("labelSelector") for r in server.asked("pods")} == {None, "app=web"}


def test_many_watches(server, begin):
    """One for each namespace: none has to wait until another ends."""
    names = [f"ns-{n}" for n in range(40)]
    for n, name in enumerate(names):
        server.put(web(n, name))
    agent = begin(sd(server, namespaces={"names": names}))
    wait_addresses(agent, of(*range(40)))
    wait_for("all watches", lambda: server.watching["pods"] == 40)
    server.put(web(99, "ns-39"), web(98, "ns-0"))
    wait_addresses(agent, of(*range(40), 98, 99))


def test_watch_that_ends_at_once(server, begin):
    """No storm, and no change is missed."""
    server.watch_seconds = 0
    server.put(web(1))
    agent = begin()
    wait_addresses(agent, of(1))
    time.sleep(1.5)
    assert len(server.asked("pods")) < 12, [r.time for r in server.requests]
    server.put(web(2))
    wait_addresses(agent, of(1, 2))
    assert len(server.asked("pods", False)) == 1


def test_too_many_requests(run, begin):
    """Retry-After is kept, of lists and watches."""
    servers = {False: run(KubeServer), True: run(KubeServer)}
    for watch, server in servers.items():
        server.put(web(1))
        server.answer = lambda request, watch=watch, server=server: (
            (429, {"Retry-After": "2"}, b"slow down")
            if request.watch == watch and request is server.asked("pods", watch)[0] else None
        )
    agent = begin(*entries_of(servers.values()))
    for job, (watch, server) in enumerate(servers.items()):
        wait_for("the next try", lambda: len(server.asked("pods", watch)) >= 2)
        first, second = server.asked("pods", watch)[:2]
        assert second.time - first.time > 1.9
        server.put(web(2))
        wait_addresses(agent, of(1, 2), str(job))


# ---- who may ask ----


def test_token_that_changes(run, begin, tmp_path):
    """401 is a reason to look at the file again, at once; targets stay meanwhile."""
    server = run(KubeServer, token="one")
    token = tmp_path / "token"
    token.write_text("one\n")
    server.put(web(1))
    agent = begin(sd(server, authorization={"credentials_file": str(token)}))
    wait_addresses(agent, of(1))
    server.token = "two"
    server.end_watches()
    wait_for("a refusal", lambda: "401" in agent.output())
    assert addresses(agent) == of(1)
    write_atomically(token, "two\n")
    server.put(web(2))
    wait_addresses(agent, of(1, 2))
    assert "one" not in agent.output().split() and "Bearer" not in agent.output()


def test_refused(server, begin):
    """What the server says why is where people look: the log, the metrics; and it is tried again."""
    why = 'pods is forbidden: User "system:serviceaccount:default:agent" cannot list resource "pods"'
    server.answer = lambda request: (403, JSON, json.dumps(status(403, "Forbidden", why)).encode())
    server.put(web(1))
    agent = begin()
    wait_for("the log", lambda: why in agent.output().replace('\\"', '"'))
    assert http_get(agent.url + "/-/ready")[0] == 200
    server.answer = lambda request: None
    wait_addresses(agent, of(1))


def kubeconfig(server, directory, way):
    """A file for kubectl, with what it needs inside or beside it; and the token that the server wants."""
    def inside(name):
        return base64.b64encode((directory / name).read_bytes()).decode()

    (directory / "token").write_text("secret\n")
    cluster, user = {
        "data": ({"certificate-authority-data": inside("ca.pem")}, {"token": "secret"}),
        "files": ({"certificate-authority": "ca.pem"}, {"tokenFile": str(directory / "token")}),
        "unsure": ({"insecure-skip-tls-verify": True}, {"token": "secret"}),
    }[way]
    path = directory / f"{way}.kubeconfig"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "here",
        "contexts": [{"name": "there", "context": {"cluster": "x", "user": "x"}},
                     {"name": "here", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": server.url, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }))
    return path


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("kube-tls"))


def test_kubeconfig(run, begin, certificates):
    server = run(KubeServer, token="secret", tls=(certificates / "server.pem", certificates / "server.key"))
    server.put(web(1))
    paths = [kubeconfig(server, certificates, way) for way in ("data", "files", "unsure")]
    agent = begin(*(json.dumps({"role": "pod", "kubeconfig_file": str(path)}) for path in paths))
    for job in range(len(paths)):
        wait_addresses(agent, of(1), str(job))


def test_stranger(run, begin, certificates):
    """A server whose certificate nobody vouches for is not told our token."""
    server = run(KubeServer, token="secret", tls=(certificates / "server.pem", certificates / "server.key"))
    agent = begin(sd(server, authorization={"credentials": "secret"}))
    wait_for("the log", lambda: "certificate" in agent.output())
    assert server.requests == []


# ---- coming and going ----


def test_server_comes_later(run, begin, tmp_path):
    """An agent that starts first is ready all the same, and finds the pods when there is a server."""
    port = free_port()
    entry = json.dumps({"role": "pod", "api_server": f"http://127.0.0.1:{port}"})
    agent = begin(entry)
    assert addresses(agent) == []
    server = run(KubeServer, port)
    server.put(web(1))
    wait_addresses(agent, of(1))


def test_server_goes_away(run, begin):
    """Targets stay; what happened meanwhile is known when it is back."""
    server = KubeServer()
    server.put(web(1), web(2))
    agent = begin(sd(server))
    wait_addresses(agent, of(1, 2))
    server.close()
    wait_for("the log", lambda: "the last known targets stay" in agent.output())
    assert addresses(agent) == of(1, 2)
    again = run(KubeServer, server.port)
    again.version = server.version
    again.put(web(2), web(3))
    wait_addresses(agent, of(1, 2, 3))


@pytest.mark.sanitized
def test_reload_within_a_list(server, begin):
    """The configuration changes, and the agent ends, while an answer is under way."""
    server.put(*(web(n) for n in range(50)))
    agent = begin()
    wait_addresses(agent, of(*range(50)))

    def drip(data):
        for at in range(0, len(data), 100):
            yield data[at : at + 100]
            time.sleep(0.02)

    server.pieces = drip
    for label in ("a", "b"):
        before = len(server.asked("pods", False))
        agent.reconfigure(config(sd(server, selectors=[{"role": "pod", "label": f"no!={label}"}])))
        wait_for("the new list", lambda: len(server.asked("pods", False)) > before)
        assert addresses(agent) == of(*range(50)), "the old targets stay until the new ones are known"


def test_reload(server, begin):
    """What is the same goes on with its watch; what is new is there when it is known, the old stays until then."""
    server.put(web(1, labels={"app": "a"}), web(2))
    agent = begin()
    wait_addresses(agent, of(1, 2))
    lists = len(server.asked("pods", False))
    agent.reconfigure(config(sd(server), sd(server, selectors=[{"role": "pod", "label": "app=a"}])))
    wait_addresses(agent, of(1), job="1")
    assert addresses(agent) == of(1, 2)
    assert len(server.asked("pods", False)) == lists + 1
    agent.reconfigure(config(sd(server, selectors=[{"role": "pod", "label": "app=a"}])))
    wait_addresses(agent, of(1))
    wait_for("the other watch to end", lambda: server.watching["pods"] == 1 or server.put(web(9)))
    assert len(server.asked("pods", False)) == lists + 1
