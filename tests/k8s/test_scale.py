"""test_scale: 10,000 pods, 300 nodes and 500 services: memory, the time until all targets are known, and a minute in
which a hundred pods change each second. The API server is the scripted one, which is faster than a real one."""

import json
import pathlib
import time

import pytest

import kube_objects as o
from harness import STALE, Agent, Receiver, http_get, remote_write, wait_for
from kube_server import KubeServer

PODS, NODES, SERVICES = 10_000, 300, 500
CHANGING, STEADY = 100, 20
MINUTE = 60


def pod(number, revision=0, address=None, extra=None):
    """As large as pods are: about 5 kB."""
    name, app = f"app-{number % SERVICES}-7d9f8b6c5d-{number:05}", f"app-{number % SERVICES}"
    labels = {"app.kubernetes.io/name": app, "app.kubernetes.io/part-of": "shop", "pod-template-hash": "7d9f8b6c5d"}
    notes = {"prometheus.io/scrape": "true", "prometheus.io/port": "8080", "checksum/config": f"{number:064x}"}
    environment = [{"name": f"SETTING_{i}", "value": f"value of setting {i} of {app}"} for i in range(20)]
    containers = [
        {**o.container("app", (8080, "http"), image=f"registry.test/shop/{app}:1.2.3"), "env": environment,
         "volumeMounts": [{"name": f"volume-{i}", "mountPath": f"/mnt/{i}"} for i in range(5)],
         "resources": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "100m", "memory": "128Mi"}}},
        o.container("proxy", (15090, "metrics"), image="registry.test/mesh/proxy:9"),
    ]
    status = o.running(address or f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}", containerStatuses=[
        o.ran(c["name"], f"containerd://{number:060x}{i:04x}") for i, c in enumerate(containers)])
    thing = o.pod(name, f"team-{number % 50}", containers, node=f"node-{number % NODES}", status=status,
                  labels={**labels, **(extra or {}), "revision": str(revision)}, annotations=notes,
                  owner=o.owner("ReplicaSet", f"{app}-7d9f8b6c5d"))
    thing["metadata"]["managedFields"] = [
        {"manager": "kubelet", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
         "fieldsV1": {f"f:field-{i}": {f"f:inner-{k}": {} for k in range(4)} for i in range(12)}}]
    return thing


@pytest.fixture(scope="module")
def server(run_module):
    one = run_module(KubeServer)
    one.put(*(pod(n) for n in range(PODS)))
    one.put(*(o.node(f"node-{n}", f"192.168.{n >> 8}.{n & 255}", labels={"zone": "a"}) for n in range(NODES)))
    one.put(*(o.service(f"app-{n}", f"team-{n % 50}", {"ports": [{"port": 80}]}) for n in range(SERVICES)))
    return one


def config(server, receiver, keep, role="pod"):
    entry = json.dumps({"role": role, "api_server": server.url})
    return (
        f"global: {{scrape_interval: 1h, scrape_timeout: 1s}}\n{remote_write(receiver.url)}scrape_configs:\n"
        f"- job_name: all\n  kubernetes_sd_configs: [{entry}]\n"
        f"  relabel_configs:\n  - {{source_labels: [__address__], regex: '{keep}', action: keep}}\n"
        "  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}\n"
        "  - {target_label: __address__, replacement: '127.0.0.1:1'}\n"
    )


def resident(agent):
    """MB."""
    lines = pathlib.Path(f"/proc/{agent.child.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


def cpu_seconds(agent):
    fields = pathlib.Path(f"/proc/{agent.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


def known(agent):
    """Targets, kept or dropped."""
    return agent.total("obsagent_targets")


def test_memory_and_time(run, server, tmp_path):
    """Memory is what discovery itself needs: relabeling drops all targets. The time is the best of some, because others
    may use this machine."""
    receiver = run(Receiver)
    nothing = run(Agent, tmp_path, f"{remote_write(receiver.url)}scrape_configs: []\n", name="nothing")
    times, sizes = [], []
    print()
    for attempt in range(3):
        since = len(server.requests)
        agent = run(Agent, tmp_path, config(server, receiver, keep="none"), name=f"drop-{attempt}")
        wait_for("all pods", lambda: known(agent) == 2 * PODS, interval=0.01, timeout=60)
        times.append(time.monotonic() - server.requests[since].time)
        used = cpu_seconds(agent)
        time.sleep(1)
        sizes.append(resident(agent) - resident(nothing))
        print(f"{2 * PODS} targets of {PODS} pods: known after {times[-1]:.2f} s and {used:.2f} s of CPU, "
              f"{sizes[-1]:.1f} MB more")
        agent.end()
        if times[-1] < 2:
            break
    kept = run(Agent, tmp_path, config(server, receiver, keep=".*:8080"), name="keep")
    wait_for("all pods", lambda: known(kept) == 2 * PODS, timeout=60)
    time.sleep(1)
    print(f"with {PODS} targets kept: {resident(kept) - resident(nothing):.1f} MB more")
    assert min(times) < 2
    assert min(sizes) < 30


# ---- a minute of changes ----


def churn_config(server, receiver, address):
    """All pods as above; those that change, with what they say about themselves; those that stay, which are scraped."""
    entry = json.dumps({"role": "pod", "api_server": server.url})
    sd = f"  kubernetes_sd_configs: [{entry}]\n  relabel_configs:\n"

    def keep(label):
        return f"  - {{source_labels: [__meta_kubernetes_pod_label_{label}], regex: 'yes', action: keep}}\n"

    return config(server, receiver, keep="none") + (
        f"- job_name: changing\n{sd}{keep('changing')}"
        "  - {source_labels: [__meta_kubernetes_pod_container_name], regex: app, action: keep}\n"
        "  - {source_labels: [__meta_kubernetes_pod_label_revision], target_label: revision}\n"
        "  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}\n"
        "  - {target_label: __address__, replacement: '127.0.0.1:1'}\n"
        f"- job_name: steady\n  scrape_interval: 1s\n{sd}{keep('steady')}"
        "  - {source_labels: [__meta_kubernetes_pod_container_name], regex: app, action: keep}\n"
        "  - {source_labels: [__meta_kubernetes_pod_name], target_label: pod}\n"
        f"  - {{target_label: __address__, replacement: '{address}'}}\n"
        "  metric_relabel_configs: [{source_labels: [__name__], regex: obsagent_build_info, action: keep}]\n"
    )


class Changes:
    """Changes pods in turn and looks at what the agent makes of it. `lags`: for every look and pod, how long ago the
    oldest change was made that does not show yet."""

    def __init__(self, server, agent):
        self.server, self.agent = server, agent
        self.made = {n: [time.monotonic()] for n in range(CHANGING)}  # when each revision was
        self.lags = []
        self.shown = {n: 0 for n in range(CHANGING)}
        self.fewest = CHANGING  # targets seen at once: for a moment the old one is gone and the new one not there yet

    def change(self, number):
        self.server.put(pod(number, len(self.made[number]), extra={"changing": "yes"}))
        self.made[number].append(time.monotonic())

    def look(self):
        before = time.monotonic()
        body = json.loads(http_get(self.agent.url + "/api/v1/targets?state=active&scrapePool=changing", timeout=30)[1])
        targets = body["data"]["activeTargets"]
        self.shown.update({int(t["labels"]["pod"][-5:]): int(t["labels"]["revision"]) for t in targets})
        self.fewest = min(self.fewest, len(targets))
        for number, revision in self.shown.items():
            later = self.made[number][revision + 1:]
            self.lags.append(max(before - later[0], 0) if later else 0)

    def behind(self):
        self.look()
        return any(self.lags[-CHANGING:])


def test_a_minute_of_changes(run, server, tmp_path):
    """100 changes a second are all seen, within a second but for what this machine's other work costs; targets that
    stay are scraped each second as before: no new series, no staleness marker, no pause, none twice."""
    receiver = run(Receiver)
    steady = run(Agent, tmp_path, f"{remote_write(receiver.url)}scrape_configs: []\n", name="steady")
    server.put(*(pod(n, extra={"changing": "yes"}) for n in range(CHANGING)))
    server.put(*(pod(n, extra={"steady": "yes"}) for n in range(CHANGING, CHANGING + STEADY)))
    agent = run(Agent, tmp_path, churn_config(server, receiver, f"127.0.0.1:{steady.port}"),
                name="churn")
    wait_for("all pods", lambda: known(agent) >= 2 * PODS, timeout=60)
    wait_for("scrapes of all that stay", lambda: len(ups(receiver, 0)) == STEADY)
    lists = len(server.asked("pods", False))
    changes = Changes(server, agent)
    size, used, began, wall = resident(agent), cpu_seconds(agent), time.monotonic(), time.time()
    for turn in range(MINUTE * 10):
        for i in range(10):
            changes.change((turn * 10 + i) % CHANGING)
        if turn % 5 == 4:
            changes.look()
        time.sleep(max(began + (turn + 1) / 10 - time.monotonic(), 0))
    took = time.monotonic() - began
    wait_for("the last change", lambda: not changes.behind(), timeout=5)
    lags = sorted(changes.lags)
    print(f"\n{MINUTE * 100} changes in {took:.1f} s: shown after at most {lags[-1]:.2f} s, 99 of 100 within "
          f"{lags[len(lags) * 99 // 100]:.2f} s; {cpu_seconds(agent) - used:.1f} s of CPU, "
          f"{resident(agent) - size:+.1f} MB; {changes.fewest} targets of {CHANGING} at least")
    assert took < MINUTE * 1.1, "the test itself could not keep up"
    assert lags[len(lags) * 99 // 100] < 1
    assert len(server.asked("pods", False)) == lists, "listed again"
    check_steady(receiver, wall, took)


def of_steady(receiver, name, since):
    """(pod, ms, value) of a metric of the targets that stay."""
    return [(labels["pod"], t, value) for labels, t, value in receiver.snapshot()
            if t > since * 1000 and labels["job"] == "steady" and labels["__name__"] == name]


def ups(receiver, since):
    """{pod: times of its scrapes, in ms}."""
    times = {}
    for name, at, _ in of_steady(receiver, "up", since):
        times.setdefault(name, []).append(at)
    return times


def check_steady(receiver, since, seconds):
    times = ups(receiver, since)
    assert len(times) == STEADY
    for name, at in times.items():
        gaps = [b - a for a, b in zip(at, at[1:])]
        assert min(gaps) > 500 and max(gaps) < 3000, f"{name}: {len(at)} scrapes, {min(gaps)} to {max(gaps)} ms apart"
        assert seconds * 0.9 - 5 < len(at) < seconds * 1.1 + 1, f"{name}: {len(at)} scrapes"
    down = {(name, t) for name, t, value in of_steady(receiver, "up", since) if value != 1}
    stale = {(name, t) for name, t, value in of_steady(receiver, "obsagent_build_info", since) if value == STALE}
    assert stale <= down, f"stale though the scrape went well: {stale - down}"
    added = {(name, t) for name, t, value in of_steady(receiver, "scrape_series_added", since) if value != 0}
    assert len(added) <= len(down), f"series as of a new target: {added}"
