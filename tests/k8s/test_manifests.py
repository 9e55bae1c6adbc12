"""test_manifests: deploy/k8s at a real API server: does it take the manifests, may the accounts do what they must and
nothing else, and does the shards' configuration find the annotated pods with those rights alone?"""

import json
import os
import subprocess

import pytest

import cluster as clusters
import harness
import kube_objects as objects
import manifests

K8S = clusters.ROOT / "deploy" / "k8s"
PLURALS = {"NetworkPolicy": "networkpolicies"}
CLUSTER_WIDE = ("Namespace", "ClusterRole", "ClusterRoleBinding")


def older(thing):
    """The same for this API server, which knows neither policy/v1 (1.21) nor containers that start before the others
    and stay (1.28): those are containers like the others to it."""
    thing = json.loads(json.dumps(thing).replace('"policy/v1"', '"policy/v1beta1"'))
    spec = thing.get("spec", {}).get("template", {}).get("spec", {})
    for container in spec.pop("initContainers", []):
        assert container.pop("restartPolicy") == "Always"
        spec["containers"].append(container)
    return thing


def send(client, thing):
    """Creates or replaces it; what the server kept."""
    plural = PLURALS.get(thing["kind"], thing["kind"].lower() + "s")
    group = f"/apis/{thing['apiVersion']}" if "/" in thing["apiVersion"] else f"/api/{thing['apiVersion']}"
    space = "" if thing["kind"] in CLUSTER_WIDE else f"/namespaces/{thing['metadata'].get('namespace', 'default')}"
    status, text = client.ask("POST", f"{group}{space}/{plural}", thing)
    if status == 409:
        name = thing["metadata"]["name"]
        status, text = client.ask("PATCH", f"{group}{space}/{plural}/{name}", thing, "application/merge-patch+json")
    assert status in (200, 201), f"{thing['kind']} {thing['metadata']['name']}: {text}"
    return json.loads(text)


def lost(sent, kept, path=""):
    """What the server has not kept of what it was sent: fields that it does not know."""
    if isinstance(sent, dict):
        for key, value in sent.items():
            if value not in (None, {}, []):
                yield from lost(value, kept.get(key) if isinstance(kept, dict) else None, f"{path}.{key}")
    elif isinstance(sent, list):
        for i, value in enumerate(sent):
            yield from lost(value, kept[i] if isinstance(kept, list) and i < len(kept) else None, f"{path}[{i}]")
    elif sent != kept:
        yield path


def token_of(cluster, account):
    """A token of a service account, as the kubelet asks for one."""
    path = f"/api/v1/namespaces/obsagent/serviceaccounts/{account}/token"
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
    return cluster.client.do("POST", path, request)["status"]["token"]


def test_what_is_lost_is_seen():
    sent = {"a": {"b": 1, "c": [{"d": 2}, {"e": 3}], "f": {}}}
    assert list(lost(sent, {"a": {"b": 1, "c": [{"d": 2}, {"e": 3}]}})) == []
    assert list(lost(sent, {"a": {"c": [{}]}})) == [".a.b", ".a.c[0].d", ".a.c[1].e"]


@pytest.mark.parametrize("name", ["node-before-1.33", "node-hostpath", "node", "shards", "sidecar"])
def test_the_server_takes_it(cluster, name):
    things = manifests.documents(K8S / "sidecar.yaml") if name == "sidecar" else manifests.render(K8S / name)
    for thing in map(older, things):
        kept = send(cluster.client, thing)
        assert list(lost(thing, kept)) == [], f"{thing['kind']} {thing['metadata']['name']}"


def may(cluster, account, verb, resource, namespace=None):
    """Asks as the kubelet would ask, and as nobody should be told yes."""
    resource, _, subresource = resource.partition("/")
    attributes = {"verb": verb, "resource": resource, "subresource": subresource, **(
        {"namespace": namespace} if namespace else {})}
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {
        "user": f"system:serviceaccount:obsagent:{account}", "resourceAttributes": attributes,
        "groups": ["system:serviceaccounts", "system:serviceaccounts:obsagent", "system:authenticated"]}}
    path = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
    return cluster.client.do("POST", path, review)["status"]["allowed"]


RIGHTS = {
    "node": {("get", "nodes/metrics", None), ("get", "nodes/pods", None)},
    "shards": {(verb, "pods", space) for verb in ("list", "watch") for space in ("obsagent", "default")},
}


@pytest.mark.parametrize("name", RIGHTS)
def test_rights(cluster, name):
    for thing in map(older, manifests.render(K8S / name)):
        send(cluster.client, thing)
    resources = ["nodes", "nodes/metrics", "nodes/pods", "nodes/proxy", "nodes/stats", "nodes/log", "pods", "pods/log",
                 "pods/exec", "secrets", "configmaps", "services", "namespaces", "events"]
    allowed = {
        (verb, resource, space)
        for verb in ("get", "list", "watch", "create", "update", "delete")
        for resource in resources
        for space in ((None,) if resource.startswith(("nodes", "namespaces"))
                      else (None, "obsagent", "default", "kube-system"))
        if may(cluster, f"obsagent-{name}", verb, resource, space)
    }
    assert allowed == RIGHTS[name]


class InPod(harness.Agent):
    """An agent that sees what a pod has: the API server's address, and its account's files where they belong. Those are
    put there in a mount namespace of its own, so the machine has no such place."""

    def __init__(self, directory, cluster, config, token, *flags, name):
        self.port = harness.free_port()
        self.config_path = directory / f"{name}.yml"
        self.config_path.write_text(config)
        (directory / "token").write_text(token)
        inside = """mount -t tmpfs run /run && mkdir -p /run/secrets/kubernetes.io && cp -r "$1" \
            /run/secrets/kubernetes.io/serviceaccount && shift && exec "$@" """
        account = directory / "account"
        account.mkdir(exist_ok=True)
        (account / "token").write_text(token)
        (account / "namespace").write_text("obsagent")
        (account / "ca.crt").write_bytes(cluster.ca.read_bytes())
        argv = ["unshare", "--mount", "sh", "-c", inside, "sh", account, harness.OBSAGENT, "run",
                f"--config.file={self.config_path}", f"--storage.path={directory / name}",
                f"--web.listen-address=127.0.0.1:{self.port}", *flags]
        env = {**os.environ, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
        harness.Process.__init__(self, argv, directory / f"{name}.log", env=env)
        self.wait_ready()


def can_mount():
    mount = ["unshare", "--mount", "mount", "-t", "tmpfs", "none", "/mnt"]
    return os.getuid() == 0 and subprocess.run(mount).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="NOT RUN: agents as in a pod need root and mount namespaces")
def test_shards_find_annotated_pods(cluster, run, tmp_path):
    """The shipped configuration, but for its receiver, with a token of its account; each of three agents has its share,
    all together every target twice."""
    for thing in map(older, manifests.render(K8S / "shards")):
        send(cluster.client, thing)
    made = []
    for space in ("default", "obsagent", "kube-system"):
        for i in range(4):
            app = objects.container("app", (8000 + i, "http"))
            thing = objects.pod(f"annotated-{i}", space, [app], status=objects.running(f"10.7.0.{i}"))
            thing["metadata"]["annotations"] = {"prometheus.io/scrape": "true" if i else "false"}
            made.append(cluster.client.create(thing)["metadata"])
    things = {thing["kind"]: thing for thing in manifests.render(K8S / "shards")}
    config = things["ConfigMap"]["data"]["obsagent.yml"]
    for there, here in {"https://obs.example.com/api/v1/write": run(harness.Receiver).url,
                        "/etc/obsagent/secret/token": tmp_path / "token"}.items():
        assert there in config
        config = config.replace(there, str(here))
    spec = things["StatefulSet"]["spec"]
    sharing = [a for a in spec["template"]["spec"]["containers"][0]["args"] if a.startswith("--scrape.")]
    pods = [f"obsagent-shards-{i}" for i in range(spec["replicas"])]
    token = token_of(cluster, "obsagent-shards")
    agents = [run(InPod, tmp_path, cluster, config, token, *[a.replace("$(POD_NAME)", pod) for a in sharing], name=pod)
              for pod in pods]
    want = sorted(2 * [(space, f"annotated-{i}", f"10.7.0.{i}:800{i}")
                       for space in ("default", "obsagent") for i in (1, 2, 3)])

    def found():
        return sorted((t["labels"]["namespace"], t["labels"]["pod"], t["labels"]["instance"])
                      for agent in agents for t in agent.targets("pods"))

    try:
        harness.wait_for("each target at two agents", lambda: found() == want)
    except AssertionError:
        raise AssertionError(f"found {found()}, not {want}; {agents[0].output()[-2000:]}")
    for meta in made:
        cluster.client.delete("Pod", meta["namespace"], meta["name"])
    harness.wait_for("no target without its pod", lambda: found() == [])
