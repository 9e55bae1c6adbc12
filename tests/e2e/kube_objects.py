"""kube_objects: small Kubernetes objects for tests, as dicts that an API server takes."""


def named(kind, version, name, namespace=None, labels=None, annotations=None, owner=None):
    thing = {"kind": kind, "apiVersion": version, "metadata": {"name": name}}
    if namespace:
        thing["metadata"]["namespace"] = namespace
    if labels:
        thing["metadata"]["labels"] = labels
    if annotations:
        thing["metadata"]["annotations"] = annotations
    if owner:
        thing["metadata"]["ownerReferences"] = [owner]
    return thing


def owner(kind, name, uid="00000000-0000-0000-0000-000000000001"):
    group = {"ReplicaSet": "apps/v1", "StatefulSet": "apps/v1", "Job": "batch/v1", "CronJob": "batch/v1beta1"}
    version = group.get(kind, "apps/v1")
    return {"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": True}


def container(name, *ports, image="registry.test/app:1"):
    """A port is (number, name, protocol), the latter two may be missing."""
    keys = ("containerPort", "name", "protocol")
    return {"name": name, "image": image, "ports": [dict(zip(keys, port)) for port in ports]}


def ran(name, identity, state=None):
    """A container's status."""
    return {"name": name, "ready": True, "restartCount": 0, "image": "i", "imageID": "i", "containerID": identity,
            "state": state or {"running": {}}}


def pod(name, namespace, containers, node=None, init=(), status=None, **more):
    thing = named("Pod", "v1", name, namespace, **more)
    thing["spec"] = {"containers": containers}
    if init:
        thing["spec"]["initContainers"] = list(init)
    if node:
        thing["spec"]["nodeName"] = node
    if status:
        thing["status"] = status
    return thing


def running(ip, host_ip="192.168.0.1", ready="True", **more):
    """The status of a pod that runs."""
    conditions = [{"type": "Ready", "status": ready}]
    return {"phase": "Running", "podIP": ip, "hostIP": host_ip, "conditions": conditions, **more}


def node(name, address, port=10250, **more):
    thing = named("Node", "v1", name, **more)
    thing["status"] = {
        "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    return thing


def service(name, namespace, spec, status=None, **more):
    thing = named("Service", "v1", name, namespace, **more)
    thing["spec"] = spec
    if status:
        thing["status"] = status
    return thing


def endpoints(name, namespace, subsets, **more):
    thing = named("Endpoints", "v1", name, namespace, **more)
    thing["subsets"] = subsets
    return thing


def endpointslice(name, namespace, addresses, ports, kind="IPv4", version="v1beta1", **more):
    thing = named("EndpointSlice", f"discovery.k8s.io/{version}", name, namespace, **more)
    thing.update({"addressType": kind, "endpoints": addresses, "ports": ports})
    return thing


def ingress(name, namespace, spec, **more):
    thing = named("Ingress", "networking.k8s.io/v1", name, namespace, **more)
    thing["spec"] = spec
    return thing


def backend(path=None):
    """An HTTP rule's path to some service."""
    out = {"pathType": "ImplementationSpecific", "backend": {"service": {"name": "s", "port": {"number": 80}}}}
    return {"path": path, **out} if path else out
