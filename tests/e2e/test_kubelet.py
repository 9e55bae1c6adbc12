"""test_kubelet: an agent on a node that learns its pods from the node's kubelet, and scrapes it: which targets, what of
its times, and what of a kubelet in trouble? At last the configuration of deploy/k8s/node, as it is shipped."""

import json
import os
import random
import subprocess
import time

import pytest

import kube_objects as o
from harness import (
    ROOT,
    STALE,
    Agent,
    Receiver,
    Target,
    make_certificates,
    named,
    remote_write,
    wait_for,
    write_atomically,
)
from kube_labels import NOWHERE, found, meta, target, wait_targets
from kubelet import Kubelet

ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_certificates(tmp_path_factory.mktemp("kubelet"))


@pytest.fixture
def kubelet(run, keys):
    return run(Kubelet, keys / "server.pem", keys / "server.key")


def pod(name, ip, node="big", **more):
    app = o.container("app", (8080, "http", "TCP"))
    status = o.running(ip, containerStatuses=[o.ran("app", f"containerd://{name}")])
    thing = o.pod(name, "default", [app], node=node, status=status, **more)
    thing["metadata"]["uid"] = f"uid-{name}"
    return thing


def of_pod(name, ip, *more, node="big"):
    return target(
        f"{ip}:8080", *more, namespace="default", pod_name=name, pod_ip=ip, pod_host_ip="192.168.0.1",
        pod_phase="Running", pod_ready="true", pod_node_name=node, pod_uid=f"uid-{name}", pod_container_name="app",
        pod_container_image="registry.test/app:1", pod_container_init="false",
        pod_container_id=f"containerd://{name}", pod_container_port_name="http", pod_container_port_number="8080",
        pod_container_port_protocol="TCP",
    )


def config(kubelet, keys, tmp_path, **more):
    (tmp_path / "token").write_text(kubelet.token)
    entry = {"node_ip": "127.0.0.1", "node_name": "big", "port": kubelet.port, "refresh_interval": "100ms",
             "authorization": {"credentials_file": str(tmp_path / "token")},
             "tls_config": {"ca_file": str(keys / "ca.pem")}, **more}
    entry = {key: value for key, value in entry.items() if value is not None}
    return (
        "global: {scrape_interval: 1h, scrape_timeout: 1s}\nremote_write: [{url: http://127.0.0.1:1/}]\n"
        f"scrape_configs:\n- job_name: pods\n  kubelet_sd_configs: [{json.dumps(entry)}]\n{NOWHERE}"
    )


@pytest.mark.sanitized
def test_pods(run, tmp_path, kubelet, keys):
    """The node's own pods, with the labels of role pod; those that come, change and go. That there are none at all is
    what a kubelet says that has just started: nobody believes it at once."""
    notes = {"prometheus.io/scrape": "true"}
    kubelet.pods = [pod("web", "10.0.0.1", annotations=notes), pod("other", "10.0.0.9", node="small")]
    agent = run(Agent, tmp_path, config(kubelet, keys, tmp_path))
    first = of_pod("web", "10.0.0.1", meta("pod", "web", annotations=notes))
    wait_targets(agent.url, "pods", [first])
    kubelet.pods = [pod("web", "10.0.0.1", annotations=notes), pod("db", "10.0.0.2", labels={"a": "b"})]
    wait_targets(agent.url, "pods", [first, of_pod("db", "10.0.0.2", meta("pod", "db", {"a": "b"}))])
    kubelet.pods = [pod("db", "10.0.0.3")]
    wait_targets(agent.url, "pods", [of_pod("db", "10.0.0.3")])
    kubelet.pods = []
    wait_for("doubt", lambda: "has the kubelet just started?" in agent.output())
    wait_targets(agent.url, "pods", [of_pod("db", "10.0.0.3")])
    kubelet.pods = [pod("new", "10.0.0.4")]
    wait_targets(agent.url, "pods", [of_pod("new", "10.0.0.4")])
    assert {path for path, _ in kubelet.requests} == {"/pods"}


def test_node_of_the_environment(run, tmp_path, kubelet, keys):
    """NODE_IP and NODE_NAME, as the DaemonSet gives them; without a name, all that the kubelet has."""
    kubelet.pods = [pod("web", "10.0.0.1"), pod("other", "10.0.0.9", node="small")]
    env = {**os.environ, "NODE_IP": "127.0.0.1", "NODE_NAME": "small"}
    text = config(kubelet, keys, tmp_path, node_ip=None, node_name=None)
    agent = run(Agent, tmp_path, text, env=env)
    wait_targets(agent.url, "pods", [of_pod("other", "10.0.0.9", node="small")])
    env = {k: v for k, v in os.environ.items() if not k.startswith("NODE_")}
    agent = run(Agent, tmp_path, text, env=env, name="nameless")
    wait_targets(agent.url, "pods", [of_pod("web", "10.0.0.1"), of_pod("other", "10.0.0.9", node="small")])


@pytest.mark.sanitized
def test_trouble(run, tmp_path, kubelet, keys):
    """Refused, broken, gone: targets stay, the log says why, and a token that changed is used."""
    kubelet.pods = [pod("web", "10.0.0.1")]
    agent = run(Agent, tmp_path, config(kubelet, keys, tmp_path))
    wait_targets(agent.url, "pods", [of_pod("web", "10.0.0.1")])
    for broken, words in (((500, b"the runtime is not ready"), "the runtime is not ready"),
                          ((200, b'{"kind":"PodList","items":[{"metadata":{"name":"x"'), "in the middle"),
                          ((200, b"<html>"), "where an object is expected")):
        kubelet.broken = broken
        wait_for("the log", lambda: words in agent.output())
        assert len(found(agent.url, "pods")) == 1
    kubelet.broken = None
    wait_for("the good news", lambda: "works again" in agent.output())
    kubelet.token = "another"
    wait_for("the log", lambda: "401" in agent.output())
    assert len(found(agent.url, "pods")) == 1
    kubelet.pods.append(pod("db", "10.0.0.2"))
    write_atomically(tmp_path / "token", "another")
    wait_targets(agent.url, "pods", [of_pod("web", "10.0.0.1"), of_pod("db", "10.0.0.2")])
    kubelet.close()
    wait_for("the log", lambda: "refused" in agent.output() or "connect" in agent.output())
    assert len(found(agent.url, "pods")) == 2


def test_stranger(run, tmp_path, kubelet, keys):
    """A kubelet that signed its certificate itself is not told our token, unless that is what was said."""
    kubelet.pods = [pod("web", "10.0.0.1")]
    agent = run(Agent, tmp_path, config(kubelet, keys, tmp_path, tls_config={"ca_file": str(keys / "other.pem")}))
    wait_for("the log", lambda: "certificate" in agent.output())
    assert kubelet.requests == []
    agent.reconfigure(config(kubelet, keys, tmp_path, tls_config={"insecure_skip_verify": True}))
    wait_targets(agent.url, "pods", [of_pod("web", "10.0.0.1")])


# ---- as it is shipped ----


def shipped(tmp_path, receiver):
    """The DaemonSet's configuration, with its files here, its receiver ours, and all a little faster."""
    import yaml

    text = yaml.safe_load((ROOT / "deploy/k8s/node/config.yaml").read_text())["data"]["obsagent.yml"]
    assert ACCOUNT in text
    loaded = yaml.safe_load(text.replace(ACCOUNT, str(tmp_path)))
    del loaded["remote_write"]
    loaded["global"].update({"scrape_interval": "1s", "scrape_timeout": "1s"})
    loaded["scrape_configs"] = [c for c in loaded["scrape_configs"] if c["job_name"] != "obsagent"]
    return json.dumps(loaded)[:-1] + ", " + json.dumps({"remote_write": [{"url": receiver.url, "name": "main"}]})[1:]


def own_certificate(directory, keys, address):
    """For one address, signed by the CA: (certificate, key)."""
    def openssl(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, cwd=directory, capture_output=True)

    (directory / "san").write_text(f"subjectAltName=IP:{address}\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=kubelet",
            "-keyout", "kubelet.key", "-out", "kubelet.csr")
    openssl("x509", "-req", "-days", 2, "-in", "kubelet.csr", "-CA", keys / "ca.pem", "-CAkey", keys / "ca.key",
            "-CAcreateserial", "-extfile", "san", "-out", "kubelet.pem")
    return directory / "kubelet.pem", directory / "kubelet.key"


def test_shipped_configuration(run, tmp_path, keys):
    """Annotated pods at their port, path and scheme; the kubelet; cAdvisor with the times at which it looked, and
    whose series end when a container does."""
    address = f"127.{random.randrange(1, 255)}.{random.randrange(1, 255)}.{random.randrange(1, 255)}"
    kubelet = run(Kubelet, *own_certificate(tmp_path, keys, address), host=address, port=10250)
    (tmp_path / "token").write_text("secret")
    (tmp_path / "ca.crt").write_bytes((keys / "ca.pem").read_bytes())
    app, receiver = run(Target, "app_up 1\n"), run(Receiver)
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": str(app.port), "prometheus.io/path": "/own"}
    two_ports = pod("web", "127.0.0.1", annotations=notes, labels={"app.kubernetes.io/name": "shop"})
    two_ports["spec"]["containers"].append(o.container("side", (9999, "x")))
    done = pod("done", "127.0.0.1", annotations=notes)
    done["status"]["phase"] = "Succeeded"
    kubelet.pods = [two_ports, done, pod("quiet", "127.0.0.1")]
    env = {**os.environ, "NODE_IP": address, "NODE_NAME": "big"}
    agent = run(Agent, tmp_path, shipped(tmp_path, receiver), env=env)

    def samples(name):
        return named(receiver.snapshot(), name)

    wait_for("two scrapes of all", lambda: len(samples("app_up")) > 1 and len(samples("kubelet_running_pods")) > 1
             and len(samples("container_cpu_usage_seconds_total")) > 0)
    assert {path for path, _, _ in app.requests} == {"/own"}
    pods = agent.targets("pods")
    assert [t["labels"] for t in pods] == [{
        "job": "pods", "instance": f"127.0.0.1:{app.port}", "namespace": "default", "pod": "web", "node": "big",
        "app": "shop"}]
    kubelet_labels = {t["labels"]["node"] for t in agent.targets("kubelet") + agent.targets("cadvisor")}
    assert kubelet_labels == {"big"} and samples("container_tasks_state") == []
    (at,) = {t - (t % 1000) for _, t, _ in samples("container_cpu_usage_seconds_total")[:1]}
    assert at % (kubelet.housekeeping * 1000) == 0 and at < (time.time() - kubelet.age + 1) * 1000
    wait_for("the next look", lambda: len(samples("container_cpu_usage_seconds_total")) > 1)
    times = [t for _, t, value in samples("container_cpu_usage_seconds_total")]
    assert times == sorted(times), "out of order"
    kubelet.containers = False
    wait_for("the end", lambda: samples("container_cpu_usage_seconds_total")[-1][2] == STALE)
    assert {auth for _, auth in kubelet.requests} == {"Bearer secret"}
