"""test_deploy_node: deploy/k8s/node as it would run on a node: beside a kubelet that knows pods, their annotations, and
what cAdvisor measures. Only paths, the receiver and the interval differ from the shipped configuration."""

import http.server
import json
import random
import ssl
import subprocess
import threading
import time

import pytest

import harness
from harness import Agent, Receiver, Target, named, wait_for
from test_deploy import SETS, agent_container, config_texts

TOKEN = "token-of-the-service-account"
NODE = "node-1"
SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount"


class Kubelet:
    """Answers as a kubelet does, at the port that every node has it, of a loopback address that nobody else has.
    `answers` is {path: text}; who shows another token than TOKEN hears 401."""

    def __init__(self, directory):
        self.ip = f"127.{random.randrange(64, 127)}.{random.randrange(256)}.{random.randrange(1, 255)}"
        self.answers = {}
        self.asked = []
        kubelet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kubelet.asked.append(self.path)
                right = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                body = kubelet.answers.get(self.path.split("?")[0]) if right else ""
                self.send_response(404 if body is None else 200 if right else 401)
                data = (body or "").encode()
                kind = "application/json" if data.startswith(b"{") else "text/plain; version=0.0.4"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        harness.make_certificates(directory)
        (directory / "names").write_text(f"subjectAltName=IP:{self.ip}\n")
        subprocess.run(
            "openssl x509 -req -days 2 -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -extfile names"
            " -out kubelet.pem", shell=True, check=True, cwd=directory, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(directory / "kubelet.pem", directory / "server.key")
        self.server = harness.Server((self.ip, 10250), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def show(self, *pods):
        self.answers["/pods"] = json.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def pod(name, ports, annotations=None, phase="Running", ip="127.0.0.1", init=()):
    """A pod of one container with these ports, {name: number}, and an init container with those."""
    def container(of, numbers):
        return {"name": of, "image": f"{of}:1", "ports": [{"name": n, "containerPort": p} for n, p in numbers.items()]}

    return {
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}",
                     "labels": {"app.kubernetes.io/name": name},
                     "annotations": {f"prometheus.io/{k}": v for k, v in (annotations or {}).items()}},
        "spec": {"nodeName": NODE, "containers": [container("app", ports)],
                 "initContainers": [container("init", dict(init))] if init else []},
        "status": {"phase": phase, "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": "127.0.0.1",
                   "conditions": [{"type": "Ready", "status": "True"}]},
    }


def start_agent(run, directory, kubelet, receiver):
    (directory / "token").write_text(TOKEN)
    port = harness.free_port()
    text = config_texts("node")["obsagent.yml"]
    for there, here in {f"{SECRETS}/ca.crt": directory / "ca.pem", f"{SECRETS}/token": directory / "token",
                        "/etc/obsagent/secret/token": directory / "token", "127.0.0.1:8429": f"127.0.0.1:{port}",
                        "https://obs.example.com/api/v1/write": receiver.url,
                        "scrape_interval: 15s": "scrape_interval: 300ms"}.items():
        assert there in text
        text = text.replace(there, str(here))
    wanted = {e["name"] for e in agent_container(SETS["node"])["env"]}
    env = {"NODE_NAME": NODE, "NODE_IP": kubelet.ip}
    assert wanted == set(env)
    return run(Agent, directory, text, env=env, port=port)


def cadvisor(*containers, at):
    """What cAdvisor exposes of these containers, with the time at which it looked; the last is dropped by rule."""
    ms = int(at * 1000)
    lines = [f'container_cpu_usage_seconds_total{{container="{c}",cpu="total"}} {i + 1} {ms}'
             for i, c in enumerate(containers)]
    return "\n".join([*lines, f'container_tasks_state{{container="app",state="running"}} 1 {ms}']) + "\n"


@pytest.fixture
def node(run, tmp_path):
    kubelet, receiver = run(Kubelet, tmp_path), run(Receiver)
    kubelet.answers["/metrics"] = "kubelet_running_pods 3\n"
    return kubelet, receiver


def urls(agent, job="pods"):
    return sorted(t["scrapeUrl"] for t in agent.targets(job))


def test_pods_that_ask_for_it_are_scraped(run, tmp_path, node):
    kubelet, receiver = node
    kubelet.answers["/metrics/cadvisor"] = cadvisor("app", at=time.time())
    app = run(Target, "m 1\n")
    yes = {"scrape": "true"}
    first = pod("web", {"http": app.port, "admin": 9000}, {**yes, "port": str(app.port)})
    kubelet.show(
        first,
        pod("declared", {"a": 7001, "b": 7002}, yes),
        pod("path", {"a": 7003}, {**yes, "path": "/custom/metrics"}),
        pod("tls", {"a": 7004}, {**yes, "scheme": "https", "port": "7005"}),
        pod("init", {}, {**yes, "port": "7006"}, init={"x": 7007}.items()),
        pod("v6", {"a": 7008}, {**yes, "port": "7009"}, ip="fd00::1"),
        pod("odd-scheme", {"a": 7010}, {**yes, "scheme": "gopher"}),
        pod("silent", {"a": 7011}),
        pod("declined", {"a": 7012}, {"scrape": "false", "port": "7012"}),
        pod("done", {"a": 7013}, yes, phase="Succeeded"),
        pod("broken", {"a": 7014}, yes, phase="Failed"),
    )
    agent = start_agent(run, tmp_path, kubelet, receiver)
    want = sorted([
        f"http://127.0.0.1:{app.port}/metrics", "http://127.0.0.1:7001/metrics", "http://127.0.0.1:7002/metrics",
        "http://127.0.0.1:7003/custom/metrics", "https://127.0.0.1:7005/metrics", "http://127.0.0.1:7006/metrics",
        "http://[fd00::1]:7009/metrics", "http://127.0.0.1:7010/metrics",
    ])
    wait_for("the pods' targets", lambda: urls(agent) == want)
    labels = wait_for("samples of a pod", lambda: named(receiver.accepted, "m"))[0][0]
    assert labels == {
        "__name__": "m", "job": "pods", "instance": f"127.0.0.1:{app.port}", "cluster": "home",
        "namespace": "default", "pod": "web", "node": NODE, "app": "web",
    }
    for job in ("kubelet", "cadvisor", "obsagent"):
        wait_for(job, lambda: [t["health"] for t in agent.targets(job)] == ["up"])
        assert agent.targets(job)[0]["labels"]["node"] == NODE
    kubelet.show(first)
    wait_for("pods that left", lambda: urls(agent) == [f"http://127.0.0.1:{app.port}/metrics"])
    assert {p.split("?")[0] for p in kubelet.asked} == {"/pods", "/metrics", "/metrics/cadvisor"}


def test_cadvisor_keeps_its_times(run, tmp_path, node):
    """Samples carry the time at which they were measured, and a container that is gone ends."""
    kubelet, receiver = node
    kubelet.show()
    looked = time.time() - 7
    kubelet.answers["/metrics/cadvisor"] = cadvisor("app", "gone", at=looked)
    start_agent(run, tmp_path, kubelet, receiver)

    def of(container):
        usage = named(receiver.accepted, "container_cpu_usage_seconds_total")
        return [(t, v) for labels, t, v in usage if labels["container"] == container]

    wait_for("both containers", lambda: of("app") and of("gone"))
    assert set(of("app")) == {(int(looked * 1000), 1.0)}
    kubelet.answers["/metrics/cadvisor"] = cadvisor("app", at=looked + 5)
    wait_for("the new time", lambda: (int((looked + 5) * 1000), 1.0) in of("app"))
    wait_for("the end of the container that is gone", lambda: of("gone")[-1][1] == harness.STALE)
    assert of("gone")[0] == (int(looked * 1000), 2.0) and harness.STALE not in [v for _, v in of("app")]
    assert not named(receiver.accepted, "container_tasks_state")
