"""test_faults: random objects, changes and faults at once; when all is calm again, an agent that went through it knows
what one knows that has just started. KUBE_SEED and KUBE_SECONDS choose."""

import json
import os
import random
import time

import kube_objects as o
from harness import Agent, wait_for
from kube_labels import NOWHERE, difference, found
from kube_server import JSON, Cut, KubeServer, status

SEED = int(os.environ.get("KUBE_SEED", random.randrange(1 << 30)))
SECONDS = int(os.environ.get("KUBE_SECONDS", 20))
ATTACH = {"node": True, "namespace": True, "deployment": True, "job": True, "cronjob": True}
ENTRIES = [
    ("pod", {}), ("pod", {"attach_metadata": ATTACH}), ("endpoints", {"attach_metadata": ATTACH}),
    ("endpointslice", {"attach_metadata": {"node": True}}), ("service", {"attach_metadata": {"namespace": True}}),
    ("ingress", {}), ("node", {}), ("pod", {"namespaces": {"names": ["a", "b"]}}),
]


def config(server):
    jobs = ""
    for number, (role, more) in enumerate(ENTRIES):
        entry = json.dumps({"role": role, "api_server": server.url, **more})
        jobs += f"- job_name: '{number}'\n  kubernetes_sd_configs: [{entry}]\n{NOWHERE}"
    return ("global: {scrape_interval: 1h, scrape_timeout: 1s}\nremote_write: [{url: http://127.0.0.1:1/}]\n"
            f"scrape_configs:\n{jobs}")


# ---- what happens ----


def make(dice, kind):
    """Some object of a kind, among few names, so that they meet."""
    namespace, number = dice.choice("abc"), dice.randrange(8)
    labels = {"x": str(dice.randrange(3))}
    name = f"n-{number}"
    if kind == "Namespace":
        return o.named("Namespace", "v1", namespace, labels=labels)
    if kind == "Node":
        return o.node(name, f"192.0.2.{number}", labels=labels)
    if kind == "Pod":
        containers = [o.container(c, *((80 + i, f"p{i}") for i in range(dice.randrange(3)))) for c in ("app", "side")]
        owner = dice.choice([None, o.owner("ReplicaSet", f"n-{dice.randrange(3)}"), o.owner("Job", "n-1")])
        ip = f"10.{ord(namespace)}.0.{number}"
        return o.pod(name, namespace, containers, node=f"n-{dice.randrange(8)}", labels=labels, owner=owner,
                     status=dice.choice([None, o.running(ip), o.running(ip, ready="False")]))
    if kind == "Service":
        return o.service(name, namespace, {"ports": [{"port": 80}]}, labels=labels)
    pods = [dice.randrange(8) for _ in range(dice.randrange(4))]
    ref = [{"targetRef": {"kind": "Pod", "name": f"n-{p}", "namespace": namespace}, "nodeName": f"n-{p}"} for p in pods]
    ips = [f"10.{ord(namespace)}.0.{p}" for p in pods]
    if kind == "Endpoints":
        addresses = [{"ip": ip, **r} for ip, r in zip(ips, ref)]
        return o.endpoints(name, namespace, [{"addresses": addresses, "ports": [{"port": 80}]}])
    if kind == "EndpointSlice":
        addresses = [{"addresses": [ip], **r} for ip, r in zip(ips, ref)]
        return o.endpointslice(name, namespace, addresses, [{"port": 80}], version="v1",
                               labels={"kubernetes.io/service-name": f"n-{dice.randrange(8)}"})
    if kind == "Ingress":
        return o.ingress(name, namespace, {"rules": [{"host": f"h{dice.randrange(3)}.test"}]}, labels=labels)
    owner = o.owner("Deployment" if kind == "ReplicaSet" else "CronJob", f"d-{dice.randrange(3)}")
    return o.named(kind, "apps/v1", name, namespace, owner=dice.choice([None, owner]))


KINDS = ["Pod"] * 8 + ["Endpoints", "EndpointSlice", "Service"] * 3
KINDS += ["Node", "Ingress", "ReplicaSet", "Job", "Namespace"]


def change(dice, server):
    thing = make(dice, dice.choice(KINDS))
    meta = thing["metadata"]
    try:
        if dice.random() < 0.4:
            server.delete(thing["kind"], meta.get("namespace"), meta["name"])
    except KeyError:
        pass
    else:
        server.put(thing)


# ---- what goes wrong ----

REFUSALS = [
    (500, JSON, json.dumps(status(500, "InternalError")).encode()), (503, {}, b"busy"),
    (429, {"Retry-After": "1"}, b"slow down"), (410, JSON, json.dumps(status(410, "Expired")).encode()),
    (401, {}, b"who?"), (403, {}, b"no"), (504, {}, b"late"), (200, {}, b"<html>"),
    (200, JSON, Cut(b'{"kind":"List","metadata":{"resourceVersion":"9"},"items":[{"metadata":{"name":"n-1"')),
]


def fault(dice, server):
    what = dice.randrange(6)
    if what == 0:
        server.compact()
    elif what == 1:
        server.end_watches(dice.choice([None, b"", b'{"type":"ADDED","obj', b"nonsense"]))
    elif what == 2:
        resource = dice.choice(["pods", "endpoints", "nodes", "endpointslices"])
        server.say(resource, "ERROR", dice.choice([status(410, "Expired"), status(500, "InternalError")]))
    elif what == 3:
        server.bookmark(dice.choice(["pods", "services", "endpoints"]))
    elif what == 4:
        server.page = dice.choice([1, 3, 10, 500])
    else:
        size = dice.choice([1, 3, 50, 1 << 20])
        server.pieces = lambda data: [data[i : i + size] for i in range(0, len(data), size)]


def test_faults(run, tmp_path):
    print(f"\nKUBE_SEED={SEED}")
    dice, server = random.Random(SEED), run(KubeServer)
    for kind in KINDS * 10:
        server.put(make(dice, kind))
    refused = random.Random(SEED + 1)
    agent = run(Agent, tmp_path, config(server))
    server.answer = lambda request: refused.choice(REFUSALS) if refused.random() < 0.1 else None
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        change(dice, server)
        if dice.random() < 0.02:
            fault(dice, server)
        time.sleep(0.005)
    server.answer = lambda request: None
    fresh = run(Agent, tmp_path, config(server), name="fresh")
    for number in range(len(ENTRIES)):
        job, seen = str(number), {}

        def same():
            seen.update(want=found(fresh.url, job), have=found(agent.url, job))
            return seen["want"] == seen["have"]

        try:
            wait_for("both to know the same", same, timeout=90, interval=0.2)
        except AssertionError:
            text = difference(seen["want"], seen["have"])
            raise AssertionError(f"KUBE_SEED={SEED}, {ENTRIES[number]}:\n{text}\n{agent.output()[-5000:]}") from None
        print(f"{ENTRIES[number]}: {len(seen['want'])} targets")
