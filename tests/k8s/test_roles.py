"""test_roles: each role against a real API server: objects are made, changed and deleted while the agent runs; which
targets, with exactly which labels? And does vmagent beside it see the same? (Debian's Prometheus is built without this
discovery.)"""

import re

import pytest

import kube_objects as o
from harness import Agent, Process, free_port, peer, peer_env
from kube_labels import NOWHERE, P, meta, target, wait_targets

LABELS = {"app.kubernetes.io/name": "web", "tier": "front", "empty": ""}
NOTES = {"prometheus.io/scrape": "true", "note": "line one\nand \"two\" – three"}


# ---- the roles: steps that change something and say what must be found then ----


def nodes(client, ns):
    of = {"of": ns}
    labels = {**of, "zone": "a"}

    def first():
        thing = o.node("big", "10.1.0.1", labels=labels, annotations=NOTES)
        thing["spec"] = {"providerID": "test://zone-a/1"}
        thing["status"]["addresses"] += [
            {"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "InternalIP", "address": "fd00::1"},
            {"type": "InternalDNS", "address": "big.in.test"}, {"type": "ExternalDNS", "address": "big.test"},
        ]
        thing["status"]["conditions"] = [
            {"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"},
            {"type": "MemoryPressure", "status": "Unknown"},
        ]
        client.create(thing)
        outside = o.node("outside", "203.0.113.2", 10255, labels=of)
        outside["status"]["addresses"] = [
            {"type": "Hostname", "address": "outside"}, {"type": "ExternalIP", "address": "203.0.113.2"},
        ]
        client.create(outside)
        client.create({**o.named("Node", "v1", "no-address", labels=of)})
        return [big(), small()]

    def big(port=10250, **more):
        return target(
            f"10.1.0.1:{port}", meta("node", "big", labels, NOTES), instance="big", node_provider_id="test://zone-a/1",
            node_address_InternalIP="10.1.0.1", node_address_Hostname="big", node_address_ExternalIP="203.0.113.1",
            node_address_InternalDNS="big.in.test", node_address_ExternalDNS="big.test",
            **{"node_condition_ready": "true", "node_condition_diskpressure": "false",
               "node_condition_memorypressure": "unknown", **more},
        )

    def small():
        return target("203.0.113.2:10255", meta("node", "outside", of), instance="outside", node_provider_id="",
                      node_address_Hostname="outside", node_address_ExternalIP="203.0.113.2")

    def not_ready():
        client.patch("Node", None, "big", {"status": {
            "conditions": [{"type": "Ready", "status": "False"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": 10251}},
        }}, "/status")
        out = big(10251, node_condition_ready="false")
        return [{k: v for k, v in out.items() if "pressure" not in k}, small()]

    def gone():
        client.delete("Node", None, "big")
        client.delete("Node", None, "no-address")
        return [small()]

    def back_to_nothing():
        client.delete("Node", None, "outside")
        return []

    return [first, not_ready, gone, back_to_nothing]


def pods(client, ns):
    uids = {}

    def one(address, name, labels=LABELS, ready="true", **more):
        """A target of the pod `web`; name: of its container, with more about it."""
        return target(
            address, meta("pod", "web", labels, NOTES), namespace=ns, pod_ip="10.2.0.1", pod_host_ip="192.168.0.1",
            pod_phase="Running", pod_ready=ready, pod_node_name="big", pod_uid=uids["web"],
            pod_controller_kind="ReplicaSet", pod_controller_name="web-5f7d", pod_container_name=name, **more,
        )

    def table(**more):
        a = {"pod_container_image": "registry.test/app:1", "pod_container_init": "false",
             "pod_container_id": "containerd://aaa", **more}
        b = {"pod_container_image": "side:2", "pod_container_init": "false", "pod_container_id": "", **more}
        c = {"pod_container_image": "setup:3", "pod_container_init": "true",
             "pod_container_id": "containerd://ccc", **more}

        def port(number, name="", protocol="TCP"):
            return {"pod_container_port_number": str(number), "pod_container_port_name": name,
                    "pod_container_port_protocol": protocol}

        return [
            one("10.2.0.1:8080", "app", **a, **port(8080, "http")),
            one("10.2.0.1:53", "app", **a, **port(53, "dns", "UDP")),
            one("10.2.0.1:9000", "app", **a, **port(9000)),
            one("10.2.0.1", "side", **b),
            one("10.2.0.1:7000", "setup", **c, **port(7000, "early")),
        ]

    def made():
        app = o.container("app", (8080, "http"), (53, "dns", "UDP"), (9000,))
        made = client.create(o.pod(
            "web", ns, [app, o.container("side", image="side:2")], node="big",
            init=[o.container("setup", (7000, "early"), image="setup:3")], labels=LABELS, annotations=NOTES,
            owner=o.owner("ReplicaSet", "web-5f7d"),
        ))
        uids["web"] = made["metadata"]["uid"]
        client.create(o.pod("pending", ns, [o.container("app", (80,))]))
        return []

    def starts():
        status = o.running("10.2.0.1", containerStatuses=[o.ran("app", "containerd://aaa")],
                           initContainerStatuses=[o.ran("setup", "containerd://ccc")])
        client.patch("Pod", ns, "web", {"status": status}, "/status")
        return table()

    def not_ready():
        client.patch("Pod", ns, "web", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "/status")
        return table(ready="false")

    def relabelled():
        client.patch("Pod", ns, "web", {"metadata": {"labels": {"tier": None, "new": "1"}}})
        labels = {k: v for k, v in LABELS.items() if k != "tier"}
        return table(ready="false", labels={**labels, "new": "1"})

    def bare():
        """Without an owner, a node, conditions; of the other kind of address."""
        status = {"phase": "Running", "podIP": "fd00::7"}
        uid = client.create(o.pod("six", ns, [o.container("app", (80, "web")), o.container("none")],
                                  status=status))["metadata"]["uid"]
        client.delete("Pod", ns, "web")
        same = dict(namespace=ns, pod_name="six", pod_ip="fd00::7", pod_host_ip="", pod_phase="Running",
                    pod_ready="unknown", pod_node_name="", pod_uid=uid, pod_container_image="registry.test/app:1",
                    pod_container_init="false", pod_container_id="")
        return [
            target("[fd00::7]:80", same, pod_container_name="app", pod_container_port_number="80",
                   pod_container_port_name="web", pod_container_port_protocol="TCP"),
            target("fd00::7", same, pod_container_name="none"),
        ]

    def gone():
        client.delete("Pod", ns, "six")
        client.delete("Pod", ns, "pending")
        return []

    return [made, starts, not_ready, relabelled, bare, gone]


def services(client, ns):
    def port(number, name="", protocol="TCP"):
        return {"service_port_number": str(number), "service_port_name": name, "service_port_protocol": protocol}

    def web(*more):
        return target(f"web.{ns}.svc:80", meta("service", "web", LABELS, NOTES), *more, namespace=ns,
                      service_type="ClusterIP", service_cluster_ip="10.96.7.7")

    def made():
        client.create(o.service("web", ns, {
            "clusterIP": "10.96.7.7",
            "ports": [{"port": 80, "name": "http"}, {"port": 53, "name": "dns", "protocol": "UDP"}],
        }, labels=LABELS, annotations=NOTES))
        client.create(o.service("headless", ns, {"clusterIP": "None", "ports": [{"port": 9}]}))
        away = {"type": "ExternalName", "externalName": "db.test"}
        client.create(o.service("away", ns, {**away, "ports": [{"port": 5432}]}))
        client.create(o.service("none", ns, away))
        client.create(o.service("open", ns, {
            "type": "LoadBalancer", "clusterIP": "10.96.7.8", "loadBalancerIP": "203.0.113.9", "ports": [{"port": 443}],
        }))
        return [
            web(port(80, "http")), {**web(port(53, "dns", "UDP")), "__address__": f"web.{ns}.svc:53"},
            target(f"headless.{ns}.svc:9", port(9), namespace=ns, service_name="headless", service_type="ClusterIP",
                   service_cluster_ip="None"),
            target(f"away.{ns}.svc:5432", port(5432), namespace=ns, service_name="away", service_type="ExternalName",
                   service_external_name="db.test"),
            opened("203.0.113.9"),
        ]

    def opened(ip):
        return target(f"open.{ns}.svc:443", port(443), namespace=ns, service_name="open", service_type="LoadBalancer",
                      service_cluster_ip="10.96.7.8", service_loadbalancer_ip=ip)

    def changed():
        client.patch("Service", ns, "open", {"status": {"loadBalancer": {"ingress": [
            {"ip": "203.0.113.10"}, {"hostname": "x.test"}, {"ip": "203.0.113.11"}]}}}, "/status")
        client.patch("Service", ns, "web", {"spec": {"ports": [{"port": 80, "name": "http"}]}})
        client.delete("Service", ns, "away")
        client.delete("Service", ns, "headless")
        return [web(port(80, "http")), opened("203.0.113.10,203.0.113.11")]

    def gone():
        for name in ("web", "open", "none"):
            client.delete("Service", ns, name)
        return []

    return [made, changed, gone]


def backing_pod(client, ns, uids):
    """A pod behind endpoints: its port 8080 is among them, 9090 is not, `side` has none."""
    app = o.container("app", (8080, "http"), (9090, "metrics"))
    status = o.running("10.3.0.1", containerStatuses=[o.ran("app", "containerd://aaa")])
    made = client.create(o.pod("web", ns, [app, o.container("side")], node="big", labels={"app": "web"},
                               owner=o.owner("StatefulSet", "web"), status=status))
    uids["web"] = made["metadata"]["uid"]


def of_backing_pod(ns, uids, number=None, name=None, identity=None, ready="true"):
    out = meta("pod", "web", {"app": "web"})
    out.update(namespace=ns, pod_ip="10.3.0.1", pod_host_ip="192.168.0.1", pod_phase="Running", pod_ready=ready,
               pod_node_name="big", pod_uid=uids["web"], pod_controller_kind="StatefulSet", pod_controller_name="web")
    if number:
        out.update(pod_container_name="app", pod_container_image="registry.test/app:1", pod_container_init="false",
                   pod_container_port_number=str(number), pod_container_port_name=name,
                   pod_container_port_protocol="TCP")
    return out


def behind(kind, name, **more):
    return {"targetRef": {"kind": kind, "name": name, **more}}


def endpoints(client, ns):
    uids = {}
    service_labels = meta("service", "web", {"app": "web"}, {"a": "b"})

    def one(address, ready, *more, port="http", protocol="TCP"):
        return target(address, meta("endpoints", "web", {"of": "web"}), *more, namespace=ns, endpoint_ready=ready,
                      endpoint_port_name=port, endpoint_port_protocol=protocol)

    def of_pod():
        return dict(endpoint_address_target_kind="Pod", endpoint_address_target_name="web", endpoint_node_name="big")

    def spare(*more):
        return target("10.3.0.1:9090", meta("endpoints", "web", {"of": "web"}),
                      of_backing_pod(ns, uids, 9090, "metrics"), *more)

    def rest():
        return [
            one("10.3.0.2:8080", "false", dict(endpoint_hostname="two")),
            one("10.3.0.9:53", "true", dict(endpoint_address_target_kind="Node", endpoint_address_target_name="big"),
                port="dns", protocol="UDP"),
        ]

    def made():
        """Endpoints first: what they hang on comes later."""
        client.create(o.endpoints("web", ns, [
            {"addresses": [{"ip": "10.3.0.1", "nodeName": "big", **behind("Pod", "web", namespace=ns)}],
             "notReadyAddresses": [{"ip": "10.3.0.2", "hostname": "two"}], "ports": [{"name": "http", "port": 8080}]},
            {"addresses": [{"ip": "10.3.0.9", **behind("Node", "big")}],
             "ports": [{"name": "dns", "port": 53, "protocol": "UDP"}]},
        ], labels={"of": "web"}))
        return [one("10.3.0.1:8080", "true", of_pod()), *rest()]

    def pod_comes():
        backing_pod(client, ns, uids)
        return [one("10.3.0.1:8080", "true", of_pod(), of_backing_pod(ns, uids, 8080, "http")), spare(), *rest()]

    def service_comes():
        client.create(o.service("web", ns, {"clusterIP": "10.96.3.1", "ports": [{"port": 80}]}, labels={"app": "web"},
                                annotations={"a": "b"}))
        return [
            one("10.3.0.1:8080", "true", of_pod(), of_backing_pod(ns, uids, 8080, "http"), service_labels),
            spare(service_labels),
            *({**t, **target(t["__address__"], service_labels)} for t in rest()),
        ]

    def pod_changes():
        client.patch("Pod", ns, "web", {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}, "/status")
        return [{**t, P + "pod_ready": "false"} if P + "pod_uid" in t else t for t in service_left()]

    def service_left():
        return [
            one("10.3.0.1:8080", "true", of_pod(), of_backing_pod(ns, uids, 8080, "http"), service_labels),
            spare(service_labels),
            *({**t, **target(t["__address__"], service_labels)} for t in rest()),
        ]

    def shrunk():
        client.patch("Endpoints", ns, "web", {"subsets": [
            {"addresses": [{"ip": "10.3.0.9"}], "ports": [{"port": 53, "protocol": "UDP"}]}]})
        return [one("10.3.0.9:53", "true", service_labels, port="", protocol="UDP")]

    def gone():
        """The API server deletes endpoints with their service."""
        client.delete("Service", ns, "web")
        client.delete("Pod", ns, "web")
        return []

    return [made, pod_comes, service_comes, pod_changes, shrunk, gone]


def endpointslices(client, ns):
    uids = {}
    labels = {"kubernetes.io/service-name": "web"}
    of_service = meta("service", "web", {"app": "web"})

    def base(*more, **labelled):
        return target(labelled.pop("address"), meta("endpointslice", "web-1", labels), of_service, *more,
                      **{"namespace": ns, "endpointslice_address_type": "IPv4", **labelled})

    def port():
        return dict(endpointslice_port="8080", endpointslice_port_name="http", endpointslice_port_protocol="TCP",
                    endpointslice_port_app_protocol="http/test")

    def first(**more):
        return base(
            port(), of_backing_pod(ns, uids, 8080, "http"), address="10.3.0.1:8080",
            endpointslice_address_target_kind="Pod", endpointslice_address_target_name="web",
            endpointslice_endpoint_conditions_ready="true", endpointslice_endpoint_hostname="one",
            endpointslice_endpoint_topology_kubernetes_io_hostname="big",
            endpointslice_endpoint_topology_present_kubernetes_io_hostname="true",
            endpointslice_endpoint_topology_topology_kubernetes_io_zone="z",
            endpointslice_endpoint_topology_present_topology_kubernetes_io_zone="true", **more,
        )

    def made():
        client.create(o.service("web", ns, {"clusterIP": "10.96.4.1", "ports": [{"port": 80}]}, labels={"app": "web"}))
        backing_pod(client, ns, uids)
        client.create(o.endpointslice("web-1", ns, [
            {"addresses": ["10.3.0.1"], "conditions": {"ready": True}, "hostname": "one",
             "topology": {"kubernetes.io/hostname": "big", "topology.kubernetes.io/zone": "z"},
             **behind("Pod", "web", namespace=ns)},
            {"addresses": ["10.3.0.2", "10.3.0.3"], "conditions": {"ready": False}},
        ], [{"name": "http", "port": 8080, "appProtocol": "http/test"}], labels=labels))
        spare = base(of_backing_pod(ns, uids, 9090, "metrics"), address="10.3.0.1:9090")
        others = [base(port(), address=f"10.3.0.{n}:8080", endpointslice_endpoint_conditions_ready="false")
                  for n in (2, 3)]
        return [first(), spare, *others]

    def changed():
        client.patch("EndpointSlice", ns, "web-1", {
            "endpoints": [{"addresses": ["10.3.0.4"]}], "ports": [{"port": None, "protocol": "UDP"}]})
        client.delete("Pod", ns, "web")
        return [base(address="10.3.0.4", endpointslice_port_name="", endpointslice_port_protocol="UDP")]

    def gone():
        client.delete("EndpointSlice", ns, "web-1")
        client.delete("Service", ns, "web")
        return []

    return [made, changed, gone]


def ingresses(client, ns):
    def one(address, path="/", scheme="http", host=None):
        return target(address, meta("ingress", "door", LABELS, NOTES), namespace=ns, ingress_class_name="nginx",
                      ingress_scheme=scheme, ingress_host=address if host is None else host, ingress_path=path)

    def made():
        client.create(o.ingress("door", ns, {
            "ingressClassName": "nginx",
            "tls": [{"hosts": ["safe.test", "*.wild.test"]}],
            "rules": [
                {"host": "plain.test", "http": {"paths": [o.backend("/a"), o.backend("/b")]}},
                {"host": "safe.test", "http": {"paths": [o.backend()]}},
                {"host": "one.wild.test", "http": {"paths": [o.backend("/w")]}},
                {"host": "two.one.wild.test", "http": {"paths": [o.backend("/w")]}},
                {"host": "bare.test"},
            ],
        }, labels=LABELS, annotations=NOTES))
        client.create(o.ingress("only-default", ns, {"defaultBackend": o.backend()["backend"]}))
        return [
            one("plain.test", "/a"), one("plain.test", "/b"), one("safe.test", scheme="https"),
            one("one.wild.test", "/w", "https"), one("two.one.wild.test", "/w"), one("bare.test"),
        ]

    def changed():
        client.patch("Ingress", ns, "door", {"spec": {"tls": None, "ingressClassName": None, "rules": [
            {"host": "safe.test", "http": {"paths": [o.backend("/new")]}}]}})
        left = one("safe.test", "/new")
        del left[P + "ingress_class_name"]
        return [left]

    def gone():
        client.delete("Ingress", ns, "door")
        client.delete("Ingress", ns, "only-default")
        return []

    return [made, changed, gone]


ROLES = {
    "node": nodes,
    "pod": pods,
    "service": services,
    "endpoints": endpoints,
    "endpointslice": endpointslices,
    "ingress": ingresses,
}


# ---- who is asked ----

# Labels in which vmagent 1.79 differs: it is older than some, and has more of others.
VMAGENT_LACKS = {
    "node": "node_condition_.*",
    "pod": "pod_container_(id|image)",
    "service": "service_(port_number|loadbalancer_ip)",
    "endpoints": "pod_container_(image|init)",
    "endpointslice": "pod_container_(image|init)",
}
VMAGENT_ADDS = {
    "endpoints": "service_(type|cluster_ip|external_name)",
    "endpointslice": "service_(type|cluster_ip|external_name)",
}


# What it lacks of targets for ports of a pod that are not among its endpoints.
VMAGENT_LACKS_BESIDE = {"endpoints": "endpoints_.*", "endpointslice": "endpointslice_.*"}
# Steps after which it has other targets, with the reason.
VMAGENT_UNLIKE = {
    ("endpointslice", "changed"): "a port that is not given is 0 to it, and readiness that is not given is false",
}


def without(targets, pattern, when=lambda labels: True):
    """The targets without labels whose names are like this."""
    return [
        {k: v for k, v in t.items() if not when(t) or not re.fullmatch(pattern or "", k.removeprefix(P))}
        for t in targets
    ]


def as_vmagent(role, targets):
    def beside(labels):
        return not any(name.endswith("_port_protocol") and "container" not in name for name in labels)

    return without(without(targets, VMAGENT_LACKS.get(role)), VMAGENT_LACKS_BESIDE.get(role), beside)


def config(cluster):
    jobs = []
    for role in ROLES:
        ns = f"of-{role}"
        only = {"namespaces": {"names": [ns]}}
        if role == "node":
            only = {"selectors": [{"role": "node", "label": f"of={ns}"}]}
        jobs.append(f"- job_name: {role}\n  kubernetes_sd_configs: [{cluster.sd(role, **only)}]\n{NOWHERE}")
    return "global: {scrape_interval: 1h, scrape_timeout: 1s}\nscrape_configs:\n" + "".join(jobs)


@pytest.fixture(scope="module")
def asked(cluster, run_module, tmp_path_factory):
    """{program: its URL}; all have the same scrape_configs."""
    tmp = tmp_path_factory.mktemp("roles")
    for role in ROLES:
        cluster.client.namespace(f"of-{role}")
    path = tmp / "scrape.yml"
    path.write_text(config(cluster))
    remote = "remote_write: [{url: http://127.0.0.1:1/}]\n"
    out = {"obsagent": run_module(Agent, tmp, config(cluster) + remote).url}
    for program, flags in (
        ("vmagent", ["-promscrape.config={}", f"-remoteWrite.tmpDataPath={tmp}/vm", "-httpListenAddr={}",
                     "-remoteWrite.url=http://127.0.0.1:1/", "-promscrape.kubernetesSDCheckInterval=1s"]),
    ):
        address = f"127.0.0.1:{free_port()}"
        argv = [flags[0].format(path), flags[1], flags[2].format(address), *flags[3:]]
        run_module(Process, [peer(f"usr/bin/{program}"), *argv], tmp / f"{program}.log", env=peer_env())
        out[program] = f"http://{address}"
    return out


@pytest.mark.parametrize("role", ROLES)
def test_role(cluster, asked, role):
    for step in ROLES[role](cluster.client, f"of-{role}"):
        want = step()
        for program, url in asked.items():
            when = f"after {step.__name__}"
            if program == "vmagent" and (role, step.__name__) in VMAGENT_UNLIKE:
                continue
            if program == "vmagent":
                wait_targets(url, role, as_vmagent(role, want), when,
                             see=lambda targets: without(targets, VMAGENT_ADDS.get(role)))
            else:
                wait_targets(url, role, want, when)
