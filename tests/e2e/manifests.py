"""manifests: Kubernetes objects as files: rendered as kustomize does, checked against Kubernetes's own types."""

import ast
import functools
import pathlib
import re

import yaml

import harness

# ---- kustomize, as much of it as deploy/k8s uses: resources, patches by path, images ----


def documents(path):
    return [d for d in yaml.safe_load_all(pathlib.Path(path).read_text()) if d is not None]


def identity(thing):
    return thing["kind"], thing["metadata"].get("namespace", ""), thing["metadata"]["name"]


def merge(old, new):
    """A strategic merge: mappings by key, null removes, lists of named things by name, any other value replaces."""
    if isinstance(old, dict) and isinstance(new, dict):
        out = dict(old)
        for key, value in new.items():
            if value is None:
                out.pop(key, None)
            else:
                out[key] = merge(old.get(key), value)
        return out
    if isinstance(new, list) and all(isinstance(x, dict) and "name" in x for x in new):
        named = {x["name"]: x for x in old or []}
        for x in new:
            named[x["name"]] = merge(named.get(x["name"]), x)
        return list(named.values())
    if isinstance(new, dict):
        return {key: value for key, value in new.items() if value is not None}
    return new


def set_images(thing, images):
    spec = thing.get("spec", {}).get("template", {}).get("spec", {})
    for container in spec.get("initContainers", []) + spec.get("containers", []):
        if container["image"] in images:
            image = images[container["image"]]
            container["image"] = f"{image['newName']}:{image['newTag']}"


def render(directory):
    """The objects that `kubectl apply -k` would send."""
    directory = pathlib.Path(directory)
    (kustomization,) = documents(directory / "kustomization.yaml")
    known = {"apiVersion", "kind", "resources", "patches", "images"}
    assert set(kustomization) <= known, f"{directory}: this renderer knows {known}"
    out = []
    for name in kustomization["resources"]:
        path = directory / name
        out += render(path) if path.is_dir() else documents(path)
    for patch in kustomization.get("patches", []):
        (change,) = documents(directory / patch["path"])
        (index,) = [i for i, thing in enumerate(out) if identity(thing) == identity(change)]
        out[index] = merge(out[index], change)
    for thing in out:
        set_images(thing, {image["name"]: image for image in kustomization.get("images", [])})
    return out


# ---- the API's types, read out of Debian's Kubernetes client for Python, which is generated from them ----

CLIENT = harness.PEERS / "usr/lib/python3/dist-packages/kubernetes/client"
# Younger than the oldest client we check against, Debian 12's of Kubernetes 1.22.
NEWER = {("V1Container", "restartPolicy"): "str"}  # 1.28
SIMPLE = {"str": str, "int": int, "bool": bool, "object": object, "float": (int, float), "datetime": str}


def snake(name):
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()


@functools.lru_cache(None)
def model(name):
    """({field: type}, {fields that must be there}) of one type."""
    source = (CLIENT / "models" / f"{snake(name)}.py").read_text()
    tables = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") in ("openapi_types", "attribute_map"):
            tables[node.targets[0].id] = ast.literal_eval(node.value)
    keys = tables["attribute_map"]
    fields = {keys[attribute]: kind for attribute, kind in tables["openapi_types"].items()}
    fields.update({field: kind for (owner, field), kind in NEWER.items() if owner == name})
    needed = re.findall(r"client_side_validation and (\w+) is None", source)
    return fields, {keys[attribute] for attribute in needed}


def check_value(value, kind, path):
    """Every way in which a value is not of the type, as text."""
    container = re.fullmatch(r"(list|dict)[\[(](?:str, )?(\w+)[\])]", kind)
    if container and container[1] == "list":
        if not isinstance(value, list):
            yield f"{path}: not a list"
            return
        for i, item in enumerate(value):
            yield from check_value(item, container[2], f"{path}[{i}]")
    elif container:
        if not isinstance(value, dict):
            yield f"{path}: not a mapping"
            return
        for key, item in value.items():
            yield from check_value(item, container[2], f"{path}.{key}")
    elif kind in SIMPLE:
        if not isinstance(value, SIMPLE[kind]) or (isinstance(value, bool) and kind not in ("bool", "object")):
            yield f"{path}: {value!r} is no {kind}"
    elif not isinstance(value, dict):
        yield f"{path}: not a mapping"
    else:
        fields, needed = model(kind)
        for key, item in value.items():
            if key in fields:
                yield from check_value(item, fields[key], f"{path}.{key}")
            else:
                yield f"{path}: {kind} has no {key}"
        yield from (f"{path}: {kind} needs {key}" for key in sorted(needed - set(value)))


def check(thing):
    """Every problem of an object, as the API server would find them when it decodes it."""
    version, kind = thing.get("apiVersion", ""), thing.get("kind", "")
    group = version if "/" in version else f"core/{version}"
    api = CLIENT / "api" / f"{group.replace('.k8s.io', '').replace('.', '_').replace('/', '_')}_api.py"
    if not api.exists():
        return [f"there is no API {version}"]
    if not re.search(rf"def create_(namespaced_)?{snake(kind)}\(", api.read_text()):
        return [f"{version} has no {kind}"]
    problems = list(check_value(thing, version.split("/")[-1].capitalize() + kind, kind))
    if not re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", thing.get("metadata", {}).get("name", "")):
        problems.append(f"{kind}: no name, or one that is none in DNS")
    return problems
