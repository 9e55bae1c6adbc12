"""test_discovery: where a real API server is looked at, what is attached, who is let in, and what happens while it is
away. Which labels each role gives is in test_roles."""

import concurrent.futures
import html
import json
import os
import subprocess

import pytest

import kube_objects as o
from harness import OBSAGENT, Agent, Process, can_connect, free_port, http_get, wait_for
from kube_labels import NOWHERE, P, found, meta


def config(*entries):
    jobs = [f"- job_name: '{n}'\n  kubernetes_sd_configs: [{entry}]\n{NOWHERE}" for n, entry in enumerate(entries)]
    return ("global: {scrape_interval: 1h, scrape_timeout: 1s}\n"
            "remote_write: [{url: http://127.0.0.1:1/}]\nscrape_configs:\n" + "".join(jobs))


def web(name, namespace, ip, **more):
    return o.pod(name, namespace, [o.container("app", (80,))], status=o.running(ip), **more)


def names(agent, job=0, kind="pod"):
    return sorted(t.get(f"{P}{kind}_name", "") for t in found(agent.url, str(job)))


def wait_names(agent, want, job=0, kind="pod", timeout=20):
    have = []

    def same():
        have[:] = names(agent, job, kind)
        return have == sorted(want)

    try:
        wait_for("targets", same, timeout)
    except AssertionError:
        text = f"job {job}: wanted {sorted(want)[:20]}, there are {have[:20]}\n{agent.output()[-3000:]}"
        raise AssertionError(text) from None


# ---- which objects ----


def test_namespaces_and_selectors(cluster, run, tmp_path):
    """Each way to ask for a part, and objects that come to be in it or not any more."""
    client = cluster.client
    for name in ("sel-a", "sel-b", "sel-c"):
        client.namespace(name)
    client.create(web("a1", "sel-a", "10.9.0.1", labels={"app": "web", "of": "sel"}, node="sel-n1"))
    client.create(web("a2", "sel-a", "10.9.0.2", labels={"app": "db", "of": "sel"}, node="sel-n2"))
    client.create(web("b1", "sel-b", "10.9.0.3", labels={"app": "web", "of": "sel"}, node="sel-n2"))
    client.create(web("c1", "sel-c", "10.9.0.4", labels={"app": "web"}))
    for number in (1, 2):
        client.create(o.node(f"sel-n{number}", f"10.9.1.{number}", labels={"of": "sel", "big": str(number == 2)}))

    def only(*namespaces, role="pod", **selectors):
        more = {"namespaces": {"names": list(namespaces)}} if namespaces else {}
        return cluster.sd(role, **more, selectors=[{"role": r, **s} for r, s in selectors.items()])

    wanted = [
        (only("sel-a"), ["a1", "a2"]),
        (only("sel-a", "sel-b", "sel-nowhere"), ["a1", "a2", "b1"]),
        (only(pod={"label": "of=sel,app=web"}), ["a1", "b1"]),
        (only(pod={"label": "of=sel,app!=web"}), ["a2"]),
        (only(pod={"label": "of in (sel), app in (web, db)", "field": "spec.nodeName=sel-n2"}), ["a2", "b1"]),
        (only("sel-b", pod={"field": "status.phase=Running"}), ["b1"]),
        (only("sel-c", pod={"field": "metadata.name=nobody"}), []),
    ]
    agent = run(Agent, tmp_path, config(*(entry for entry, _ in wanted), only(role="node", node={"label": "big=True"})))
    for job, (_, pods) in enumerate(wanted):
        wait_names(agent, pods, job)
    wait_names(agent, ["sel-n2"], len(wanted), "node")
    client.patch("Pod", "sel-a", "a1", {"metadata": {"labels": {"app": "db"}}})
    wait_names(agent, ["b1"], 2)
    wait_names(agent, ["a1", "a2"], 3)
    wait_names(agent, ["a1", "a2"], 0)
    client.patch("Node", None, "sel-n1", {"metadata": {"labels": {"big": "True"}}})
    wait_names(agent, ["sel-n1", "sel-n2"], len(wanted), "node")
    for node in ("sel-n1", "sel-n2"):
        client.delete("Node", None, node)
    wait_names(agent, [], len(wanted), "node")


def test_selectors_of_what_stands_behind(cluster, run, tmp_path):
    """Endpoints: pods and services that are not selected give no labels."""
    client = cluster.client
    client.namespace("behind")
    for name, ip, labels in (("one", "10.9.2.1", {"show": "yes"}), ("two", "10.9.2.2", {})):
        client.create(web(name, "behind", ip, labels=labels))
        client.create(o.service(name, "behind", {"ports": [{"port": 80}]}, labels=labels))
        client.create(o.endpoints(name, "behind", [{
            "addresses": [{"ip": ip, "targetRef": {"kind": "Pod", "name": name, "namespace": "behind"}}],
            "ports": [{"port": 80}]}], labels={"all": "yes"}))
    show = {"label": "show=yes"}
    agent = run(Agent, tmp_path, config(cluster.sd(
        "endpoints", namespaces={"names": ["behind"]},
        selectors=[{"role": "pod", **show}, {"role": "service", **show}, {"role": "endpoints", "label": "all=yes"}])))
    wait_names(agent, ["one", "two"], kind="endpoints")
    assert names(agent) == ["", "one"]
    assert names(agent, kind="service") == ["", "one"]


# ---- attach_metadata ----


def test_nodes_attached(cluster, run, tmp_path):
    """To pods, endpoints and slices; a pod whose node is unknown is nobody's; a node's new label is its pods'."""
    client = cluster.client
    client.namespace("att-n")
    for name, ip, node in (("one", "10.9.3.1", "att-n1"), ("two", "10.9.3.2", "att-n2"), ("none", "10.9.3.3", None)):
        client.create(web(name, "att-n", ip, node=node))
    ref = {"targetRef": {"kind": "Pod", "name": "one", "namespace": "att-n"}}
    client.create(o.endpoints("e", "att-n", [{
        "addresses": [{"ip": "10.9.3.1", "nodeName": "att-n1", **ref}, {"ip": "10.9.3.9"}], "ports": [{"port": 80}]}]))
    client.create(o.node("att-n1", "10.9.4.1", labels={"zone": "a", "of": "att-n"}, annotations={"x": "y"}))
    node = {"node": True}
    agent = run(Agent, tmp_path, config(
        cluster.sd("pod", namespaces={"names": ["att-n"]}, attach_metadata=node),
        cluster.sd("endpoints", namespaces={"names": ["att-n"]}, attach_metadata=node),
        cluster.sd("pod", namespaces={"names": ["att-n"]}, attach_metadata=node,
                   selectors=[{"role": "node", "label": "zone=b"}]),
    ))
    wait_names(agent, ["one"])
    wait_names(agent, ["", "one"], 1)
    wait_names(agent, [], 2)

    def zones(job):
        return sorted((t.get(P + "pod_name", ""), t.get(P + "node_name", ""), t.get(P + "node_label_zone", ""))
                      for t in found(agent.url, str(job)))

    assert zones(0) == [("one", "att-n1", "a")]
    assert zones(1) == [("", "", ""), ("one", "att-n1", "a")]
    have = found(agent.url, "0")[0]
    assert (have[P + "node_annotation_x"], have[P + "node_annotationpresent_x"]) == ("y", "true")
    client.create(o.node("att-n2", "10.9.4.2", labels={"zone": "b"}))
    client.patch("Node", None, "att-n1", {"metadata": {"labels": {"zone": "c"}}})
    wait_for("both nodes", lambda: zones(0) == [("one", "att-n1", "c"), ("two", "att-n2", "b")])
    wait_for("the selected node", lambda: zones(2) == [("two", "att-n2", "b")])
    for name in ("att-n1", "att-n2"):
        client.delete("Node", None, name)
    wait_names(agent, [])


def test_namespaces_attached(cluster, run, tmp_path):
    client = cluster.client
    client.namespace("att-ns", {"team": "red"}, {"cost": "7"})
    client.create(web("one", "att-ns", "10.9.5.1"))
    client.create(o.service("s", "att-ns", {"ports": [{"port": 80}]}))
    client.create(o.ingress("i", "att-ns", {"rules": [{"host": "x.test"}]}))
    more = {"namespaces": {"names": ["att-ns"]}, "attach_metadata": {"namespace": True}}
    agent = run(Agent, tmp_path, config(*(cluster.sd(role, **more) for role in ("pod", "service", "ingress"))))

    def of_namespace(job):
        return [{k: v for k, v in t.items() if k.startswith(P + "namespace_")} for t in found(agent.url, str(job))]

    def want(team):
        labels = meta("namespace", None, {"team": team}, {"cost": "7"})
        return [{P + name: value for name, value in labels.items()}]

    for job in range(3):
        wait_for("the namespace's labels", lambda: of_namespace(job) == want("red"))
    client.patch("Namespace", None, "att-ns", {"metadata": {"labels": {"team": "blue"}}})
    for job in range(3):
        wait_for("the new label", lambda: of_namespace(job) == want("blue"))


def test_owners_attached(cluster, run, tmp_path):
    """Through a real ReplicaSet and Job, whose answers hold more than the scripted server's."""
    client = cluster.client
    client.namespace("att-o")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [o.container("app")]}}
    rs = o.named("ReplicaSet", "apps/v1", "web-1", "att-o", owner=o.owner("Deployment", "web"))
    rs["spec"] = {"replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": template}
    job = o.named("Job", "batch/v1", "nightly-1", "att-o", owner=o.owner("CronJob", "nightly"))
    job["spec"] = {"template": {"spec": {"containers": [o.container("app")], "restartPolicy": "Never"}}}
    client.create(rs)
    client.create(job)
    client.create(web("w", "att-o", "10.9.6.1", owner=o.owner("ReplicaSet", "web-1")))
    client.create(web("n", "att-o", "10.9.6.2", owner=o.owner("Job", "nightly-1")))
    agent = run(Agent, tmp_path, config(cluster.sd(
        "pod", namespaces={"names": ["att-o"]}, attach_metadata={"deployment": True, "job": True, "cronjob": True})))
    wait_names(agent, ["n", "w"])

    def owners():
        return {(t[P + "pod_name"], k.removeprefix(P), v) for t in found(agent.url, "0") for k, v in t.items()
                if k.startswith((P + "pod_deployment", P + "pod_job", P + "pod_cronjob"))}

    assert owners() == {("w", "pod_deployment_name", "web"), ("n", "pod_job_name", "nightly-1"),
                        ("n", "pod_cronjob_name", "nightly")}


# ---- who is let in ----


def test_refusal(cluster, run, tmp_path):
    """RBAC: the server's own words in the log, on the page and in the API, and a metric; others' targets are as good as
    ever; once allowed, all is well without a restart."""
    client = cluster.client
    client.create(web("mine", "narrow", "10.9.7.1"))
    client.namespace("refusing")
    client.create(web("secret", "refusing", "10.9.7.2"))
    agent = run(Agent, tmp_path, config(
        cluster.sd("pod", "narrow"),
        cluster.sd("pod", "narrow", namespaces={"names": ["narrow"]}),
        cluster.sd("pod", "narrow", namespaces={"names": ["narrow", "refusing"]}),
    ))
    wait_for("the pod", lambda: "mine" in names(agent, 1))
    wait_for("the pod in the namespace that may be seen", lambda: "mine" in names(agent, 2))
    words = 'pods is forbidden: User "narrow" cannot list resource "pods" in API group "" at the cluster scope'
    where = 'pods is forbidden: User "narrow" cannot list resource "pods" in API group "" in the namespace "refusing"'
    for why in (words, where):
        wait_for("the reason", lambda: why in agent.output().replace('\\"', '"'))

    def pages():
        return (html.unescape(http_get(agent.url + "/service-discovery")[1]),
                http_get(agent.url + "/api/v1/status/discovery")[1].replace('\\"', '"'))

    for why in (words, where):
        wait_for("the reason on page and API", lambda: all(why in text for text in pages()))
    for job, up in (("0", 0), ("1", 1), ("2", 0)):
        assert (agent.total("obsagent_discovery_up", job=job), job) == (up, job)
        assert (agent.total("obsagent_discovery_failures_total", job=job) > 0) == (up == 0)
    token = cluster.token("narrow").read_text()
    assert token not in agent.output() and not any(token in text for text in pages())
    rbac = "rbac.authorization.k8s.io"
    client.create({
        "kind": "RoleBinding", "apiVersion": f"{rbac}/v1", "metadata": {"name": "more", "namespace": "refusing"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "agent"},
        "subjects": [{"kind": "User", "name": "narrow", "apiGroup": rbac}],
    })
    wait_for("the other", lambda: {"mine", "secret"} <= set(names(agent, 2)), timeout=60)
    wait_for("all well", lambda: agent.total("obsagent_discovery_up", job="2") == 1)
    assert agent.output().replace('\\"', '"').count(words) < 3, "said again and again"


def test_unknown_token(cluster, run, tmp_path):
    """A token that is not known is told from a server that is not there; a good one in the file is used."""
    token = tmp_path / "token"
    token.write_text("nonsense")
    cluster.client.create(web("known", "narrow", "10.9.7.9"))
    entry = {**json.loads(cluster.sd("pod", namespaces={"names": ["narrow"]})),
             "authorization": {"credentials_file": str(token)}}
    agent = run(Agent, tmp_path, config(json.dumps(entry)))
    wait_for("the log", lambda: "401" in agent.output())
    token.write_text(cluster.token("agent").read_text())
    wait_for("the pod", lambda: "known" in names(agent))
    wait_for("the good news", lambda: "works again" in agent.output())


@pytest.mark.parametrize("user", ["certificate", "token"])
def test_kubeconfig(cluster, run, tmp_path, user):
    keys = cluster.directory
    how = {"token": {"tokenFile": str(cluster.token("agent"))},
           "certificate": {"client-certificate": str(keys / "agent.pem"), "client-key": str(keys / "agent.key")}}[user]
    path = cluster.kubeconfig(f"{user}.kubeconfig", how)
    namespace = f"config-{user}"
    cluster.client.namespace(namespace)
    cluster.client.create(web("one", namespace, "10.9.8.1"))
    entry = json.dumps({"role": "pod", "kubeconfig_file": str(path), "namespaces": {"names": [namespace]}})
    agent = run(Agent, tmp_path, config(entry))
    wait_names(agent, ["one"])
    cluster.client.create(web("two", namespace, "10.9.8.2"))
    wait_names(agent, ["one", "two"])


def can_unshare():
    return subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode == 0


@pytest.mark.skipif(not can_unshare(), reason="own_namespace was not tested: no mount namespace can be made here")
def test_inside_a_pod(cluster, run, tmp_path):
    """The service account's directory as a pod has it, and own_namespace; the token is read again when it changes."""
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(cluster.token("narrow").read_text())
    (account / "ca.crt").write_bytes(cluster.ca.read_bytes())
    (account / "namespace").write_text("narrow")
    cluster.client.create(web("inside", "narrow", "10.9.9.1"))
    (tmp_path / "agent.yml").write_text(config(json.dumps({"role": "pod", "namespaces": {"own_namespace": True}})))
    port = free_port()
    script = ("mount -t tmpfs none /run && mkdir -p /run/secrets/kubernetes.io && "
              f"ln -s {account} /run/secrets/kubernetes.io/serviceaccount && exec \"$@\"")
    agent = run(
        InPod, tmp_path, script, port,
        {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)},
    )
    wait_for("the pod of our namespace", lambda: "inside" in names(agent))
    assert {t[P + "namespace"] for t in found(agent.url, "0")} == {"narrow"}


class InPod(Process):
    """The agent with a /run of its own, which `script` fills."""

    def __init__(self, directory, script, port, env):
        self.url = f"http://127.0.0.1:{port}"
        agent = [str(a) for a in (OBSAGENT, "run", f"--config.file={directory}/agent.yml",
                                  f"--storage.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}")]
        super().__init__(["unshare", "--mount", "sh", "-c", script, "sh", *agent], directory / "agent.log", env=env)
        wait_for("the agent", lambda: can_connect(port))


# ---- while the server is away ----


@pytest.fixture
def watched(own_cluster, run, tmp_path):
    """A cluster that may be stopped, with two pods, and an agent that knows them."""
    client = own_cluster.client
    client.namespace("kept")
    client.create(web("one", "kept", "10.9.10.1"))
    client.create(web("two", "kept", "10.9.10.2"))
    agent = run(Agent, tmp_path, config(own_cluster.sd("pod")))
    wait_names(agent, ["one", "two"])
    return own_cluster, agent


def test_server_stopped_and_started(watched):
    """Targets stay; what happens afterwards is seen by the watch, without a new list, as nothing was missed."""
    cluster, agent = watched
    cluster.stop()
    wait_for("the log", lambda: "the last known targets stay" in agent.output())
    assert names(agent) == ["one", "two"]
    assert http_get(agent.url + "/-/ready")[0] == 200
    cluster.start()
    cluster.client.create(web("three", "kept", "10.9.10.3"))
    cluster.client.delete("Pod", "kept", "one")
    wait_names(agent, ["three", "two"], timeout=60)
    wait_for("the good news", lambda: "works again" in agent.output())


def test_compacted_while_asleep(watched):
    """The watch was away, things happened, and etcd forgot what: 410, and the list says how it is now."""
    cluster, agent = watched
    cluster.stop()
    elsewhere = cluster.start(port=free_port())
    elsewhere.delete("Pod", "kept", "one")
    elsewhere.create(web("three", "kept", "10.9.10.3"))
    elsewhere.patch("Pod", "kept", "two", {"metadata": {"labels": {"new": "yes"}}})
    cluster.compact()
    assert names(agent) == ["one", "two"]
    cluster.stop()
    cluster.start()
    wait_names(agent, ["three", "two"], timeout=60)
    labels = {t[P + "pod_name"]: t.get(P + "pod_label_new") for t in found(agent.url, "0")}
    assert labels == {"three": None, "two": "yes"}
    cluster.client.create(web("four", "kept", "10.9.10.4"))
    wait_names(agent, ["four", "three", "two"])


def test_long_lists(own_cluster, run, tmp_path):
    """More than a page, and more than the server sends uncompressed; and again in pages, after the past is forgotten.
    """
    client = own_cluster.client
    client.namespace("long")

    def create(numbers):
        for n in numbers:
            client.create(web(f"p-{n:04}", "long", f"10.9.{n >> 8}.{n & 255}", annotations={"fill": "x" * 500}))

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(create, [range(first, 1100, 4) for first in range(4)]))
    agent = run(Agent, tmp_path, config(own_cluster.sd("pod")))
    every = [f"p-{n:04}" for n in range(1100)]
    wait_names(agent, every)
    own_cluster.stop()
    elsewhere = own_cluster.start(port=free_port())
    for n in (0, 550, 1099):
        elsewhere.delete("Pod", "long", f"p-{n:04}")
    own_cluster.compact()
    own_cluster.stop()
    own_cluster.start()
    wait_names(agent, [name for name in every if name not in ("p-0000", "p-0550", "p-1099")], timeout=60)


def test_etcd_stopped(watched):
    """A server that has lost its store answers errors: targets stay, and later changes are seen."""
    cluster, agent = watched

    def ready():
        try:
            return cluster.client.ask("GET", "/readyz")[0] == 200
        except OSError:
            return False

    cluster.etcd.kill9()
    wait_for("the server to be in trouble", lambda: not ready(), timeout=60)
    assert names(agent) == ["one", "two"]
    cluster.start_etcd()
    wait_for("the store", ready, timeout=60)
    cluster.client.create(web("three", "kept", "10.9.10.3"))
    wait_names(agent, ["one", "three", "two"], timeout=60)
