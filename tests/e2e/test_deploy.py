"""test_deploy: what lies under deploy/: well-formed? of the right types? does one part name what another has? is it as
strict as it says, and does the agent accept its configurations and arguments?"""

import copy
import importlib.util
import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

import harness
import manifests
from harness import ROOT, obsagent
from manifests import documents, render

DEPLOY = ROOT / "deploy"
K8S = DEPLOY / "k8s"
FOLDERS = sorted(p.parent.name for p in K8S.glob("*/kustomization.yaml") if p.parent.name != "base")
SETS = {**{name: render(K8S / name) for name in FOLDERS}, "sidecar": documents(K8S / "sidecar.yaml")}
each_set = pytest.mark.parametrize("name", SETS)


def of_kind(things, *kinds):
    return [thing for thing in things if thing["kind"] in kinds]


def workload(things):
    (thing,) = of_kind(things, "Deployment", "DaemonSet", "StatefulSet")
    return thing


def pod_spec(things):
    return workload(things)["spec"]["template"]["spec"]


def containers(things):
    spec = pod_spec(things)
    return spec.get("initContainers", []) + spec["containers"]


def agent_container(things):
    (container,) = [c for c in containers(things) if c["name"] == "obsagent"]
    return container


def test_every_yaml_parses():
    files = [p for p in DEPLOY.rglob("*") if p.suffix in (".yaml", ".yml")]
    assert len(files) > 20
    for path in files:
        assert documents(path), path


def test_the_readme_names_what_is_there():
    text = (DEPLOY / "README.md").read_text()
    first = text.split("\n## ")[0]
    named = set(re.findall(r"^\| `([^`]+)` \|", first, re.M))
    assert named == {f"k8s/{n}/" for n in FOLDERS} | {"k8s/sidecar.yaml", "systemd/", "obs/", "alerts.yml"}
    assert all((DEPLOY / name).exists() for name in named)


def test_the_readme_names_the_metrics_of_the_example():
    spec = importlib.util.spec_from_file_location("app", DEPLOY / "obs/example/app.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    page = example.App(seed=1).metrics()
    exposed = {name: re.search(rf"^{name}_count{{(.*)}}", page, re.M)[1]
               for name in re.findall(r"^# TYPE (\w+) histogram", page, re.M)}
    exposed = {name: re.findall(r"(\w+)=", labels) for name, labels in exposed.items()}
    rows = re.findall(r"^\| `(\w+_seconds)` \| (.*) \|$", (DEPLOY / "README.md").read_text(), re.M)
    assert {name: re.findall(r"`(\w+)`", labels) for name, labels in rows} == exposed


def test_every_manifest_is_in_a_set():
    """No file that no kustomization names."""
    named = set()
    for path in K8S.glob("*/kustomization.yaml"):
        (kustomization,) = documents(path)
        names = kustomization["resources"] + [p["path"] for p in kustomization.get("patches", [])]
        named |= {(path.parent / n).resolve() for n in names}
    files = {p.resolve() for p in K8S.glob("*/*.yaml") if p.name != "kustomization.yaml"}
    assert files == {p for p in named if p.is_file()}


# ---- types ----


@each_set
def test_schema(name):
    assert [problem for thing in SETS[name] for problem in manifests.check(thing)] == []
    identities = [manifests.identity(thing) for thing in SETS[name]]
    assert len(set(identities)) == len(identities)


def spoil(thing, path, value):
    """A copy in which the value at path is another, or is gone when that is None."""
    out = copy.deepcopy(thing)
    at = out
    for key in path[:-1]:
        at = at[key]
    if value is None:
        del at[path[-1]]
    else:
        at[path[-1]] = value
    return out


POD = ("spec", "template", "spec")
SPOILED = [
    (("apiVersion",), "apps/v2", "there is no API apps/v2"),
    (("kind",), "DemonSet", "apps/v1 has no DemonSet"),
    (("metadata", "name"), "no_dns", "no name"),
    (("spec", "selector"), None, "needs selector"),
    ((*POD, "terminationGracePeriod"), 30, "has no terminationGracePeriod"),
    ((*POD, "terminationGracePeriodSeconds"), "30", "is no int"),
    ((*POD, "containers"), {}, "not a list"),
    ((*POD, "containers", 0, "name"), None, "needs name"),
    ((*POD, "containers", 0, "resources", "limits", "memory"), 128, "is no str"),
    ((*POD, "containers", 0, "securityContext", "readOnlyRootFilesystem"), "true", "is no bool"),
    ((*POD, "containers", 0, "securityContext", "capabilities", "drop"), "ALL", "not a list"),
    ((*POD, "containers", 0, "livenessProbe", "httpGet", "port"), None, "needs port"),
]


@pytest.mark.parametrize("path, value, want", SPOILED, ids=lambda x: str(x)[-40:])
def test_the_schema_finds(path, value, want):
    assert want in " ".join(manifests.check(spoil(workload(SETS["node"]), path, value)))


@pytest.mark.skipif(not shutil.which("kubectl"), reason="no kubectl to compare with")
@pytest.mark.parametrize("name", FOLDERS)
def test_rendered_as_kubectl_does(name):
    result = subprocess.run(["kubectl", "kustomize", K8S / name], capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr

    def unordered(value):
        if isinstance(value, dict):
            return {k: unordered(v) for k, v in value.items()}
        if isinstance(value, list):
            return sorted((json.dumps(unordered(v), sort_keys=True) for v in value))
        return value

    rendered = {manifests.identity(t): unordered(t) for t in yaml.safe_load_all(result.stdout)}
    assert rendered == {manifests.identity(t): unordered(t) for t in SETS[name]}


# ---- one part names what another has ----


@each_set
def test_names_meet(name):
    things, spec = SETS[name], pod_spec(SETS[name])
    labels = workload(things)["spec"]["template"]["metadata"]["labels"]

    def matches(selector):
        return selector["matchLabels"].items() <= labels.items()

    assert matches(workload(things)["spec"]["selector"])
    for thing in of_kind(things, "NetworkPolicy"):
        assert matches(thing["spec"]["podSelector"]), thing["metadata"]["name"]
    for thing in of_kind(things, "PodDisruptionBudget"):
        assert matches(thing["spec"]["selector"])
    for thing in of_kind(things, "Service"):
        assert matches({"matchLabels": thing["spec"]["selector"]})
        ports = {p["name"] for p in agent_container(things)["ports"]}
        assert {p["targetPort"] for p in thing["spec"]["ports"]} <= ports
    if workload(things)["kind"] == "StatefulSet":
        assert workload(things)["spec"]["serviceName"] in [t["metadata"]["name"] for t in of_kind(things, "Service")]

    maps = {t["metadata"]["name"] for t in of_kind(things, "ConfigMap")}
    volumes = {v["name"] for v in spec["volumes"]}
    assert {v["configMap"]["name"] for v in spec["volumes"] if "configMap" in v} == maps
    claims = {c["metadata"]["name"] for c in workload(things)["spec"].get("volumeClaimTemplates", [])}
    mounted = {m["name"] for c in containers(things) for m in c.get("volumeMounts", [])}
    assert mounted == volumes | claims
    for container in containers(things):
        ports = {p["name"] for p in container.get("ports", [])}
        probes = [container[k] for k in ("startupProbe", "livenessProbe", "readinessProbe") if k in container]
        assert {p["httpGet"]["port"] for p in probes} <= ports

    accounts = {t["metadata"]["name"] for t in of_kind(things, "ServiceAccount")}
    assert {spec["serviceAccountName"]} == accounts if accounts else spec["automountServiceAccountToken"] is False
    roles = {t["metadata"]["name"] for t in of_kind(things, "ClusterRole")}
    for binding in of_kind(things, "ClusterRoleBinding", "RoleBinding"):
        assert binding["roleRef"]["name"] in roles
        assert {(s["kind"], s["name"], s["namespace"]) for s in binding["subjects"]} == {
            ("ServiceAccount", spec["serviceAccountName"], workload(things)["metadata"]["namespace"])}


# What each may ask of the API server, all of it: (resources, verbs, in the whole cluster).
RIGHTS = {
    "node": [(["nodes/metrics", "nodes/pods"], ["get"], True)],
    "node-hostpath": [(["nodes/metrics", "nodes/pods"], ["get"], True)],
    "node-before-1.33": [(["nodes/metrics", "nodes/proxy"], ["get"], True)],
    "shards": [(["pods"], ["list", "watch"], False)],
    "sidecar": [],
}


@each_set
def test_rights_are_these_and_no_others(name):
    everywhere = bool(of_kind(SETS[name], "ClusterRoleBinding"))
    assert not (everywhere and of_kind(SETS[name], "RoleBinding"))
    assert not of_kind(SETS[name], "Role")
    found = []
    for role in of_kind(SETS[name], "ClusterRole"):
        for rule in role["rules"]:
            assert rule["apiGroups"] == [""] and set(rule) == {"apiGroups", "resources", "verbs"}
            found.append((rule["resources"], rule["verbs"], everywhere))
    assert found == RIGHTS[name]


def test_watched_namespaces_are_the_bound_ones():
    job = yaml.safe_load(config_texts("shards")["obsagent.yml"])["scrape_configs"][0]
    bound = {b["metadata"]["namespace"] for b in of_kind(SETS["shards"], "RoleBinding")}
    assert set(job["kubernetes_sd_configs"][0]["namespaces"]["names"]) == bound


# ---- as strict as can be ----


@each_set
def test_pods_are_confined(name):
    spec = pod_spec(SETS[name])
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
    for container in containers(SETS[name]):
        own = {**spec["securityContext"], **container["securityContext"]}
        assert own["runAsUser"] == own["runAsGroup"] == own["fsGroup"] == 65532, container["name"]
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"] and "cpu" in container["resources"]["requests"]
        assert not any("hostPort" in port for port in container.get("ports", []))
    hosts = [v["hostPath"]["path"] for v in spec["volumes"] if "hostPath" in v]
    assert hosts == (["/var/lib/obsagent"] if name == "node-hostpath" else [])
    assert not of_kind(SETS[name], "Secret"), "the token belongs in no file"


def to_bytes(text):
    number, unit = re.fullmatch(r"(\d+)([KMG]iB?)", text).groups()
    return int(number) << {"K": 10, "M": 20, "G": 30}[unit[0]]


@each_set
def test_the_buffer_fits_its_volume(name):
    container = agent_container(SETS[name])
    flags = dict(a.lstrip("-").split("=", 1) for a in container["args"] if "=" in a)
    (mount,) = [m["name"] for m in container["volumeMounts"] if m["mountPath"] == flags["storage.path"]]
    sizes = [c["spec"]["resources"]["requests"]["storage"]
             for c in workload(SETS[name])["spec"].get("volumeClaimTemplates", []) if c["metadata"]["name"] == mount]
    sizes += [v["emptyDir"]["sizeLimit"] for v in pod_spec(SETS[name])["volumes"]
              if v["name"] == mount and "emptyDir" in v]
    for size in sizes:
        assert to_bytes(flags["storage.max-bytes"]) < to_bytes(size)
    seconds = int(flags["shutdown.timeout"].removesuffix("s"))
    assert seconds < pod_spec(SETS[name])["terminationGracePeriodSeconds"]


# ---- what the agent says of it ----


def config_texts(name):
    (config,) = of_kind(SETS[name], "ConfigMap")
    return config["data"]


def container_env(container):
    """What the container's environment may hold; values that only a cluster knows are made up."""
    made_up = {"spec.nodeName": "node-1", "status.hostIP": "10.0.0.1", "metadata.name": "obsagent-shards-2"}
    return {e["name"]: made_up[e["valueFrom"]["fieldRef"]["fieldPath"]] for e in container.get("env", [])}


@each_set
def test_configurations_are_accepted(name, tmp_path):
    container = agent_container(SETS[name])
    (tmp_path / "token").write_text("secret\n")
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", tmp_path / "ca.crt")
    mounts = {m["mountPath"] for m in container["volumeMounts"]} | {"/var/run/secrets/kubernetes.io/serviceaccount"}
    for file, text in config_texts(name).items():
        for path in re.findall(r"_file: (/[^ }\n]+)", text):
            assert os.path.dirname(path) in mounts, f"{path} is mounted nowhere"
            text = text.replace(path, str(tmp_path / os.path.basename(path)))
        (tmp_path / file).write_text(text)
        code, out, err = obsagent("check", tmp_path / file, env=container_env(container))
        assert code == 0, out + err
        assert "--config.file=/etc/obsagent/config/" + file in container["args"]


@each_set
def test_arguments_are_accepted(name, tmp_path):
    """All but the configuration, which is not there; that, and nothing before it, is what the agent complains of."""
    container, args = agent_container(SETS[name]), []
    for arg in container["args"]:
        for variable, value in container_env(container).items():
            arg = arg.replace(f"$({variable})", value)
        assert "$(" not in arg
        args.append(re.sub(r"=(/etc/obsagent/config|/var/lib/obsagent)", rf"={tmp_path}", arg))
    code, out, err = obsagent(*args)
    assert code == 1 and "obsagent.yml" in out + err and "No such file" in out + err, (code, out, err)
    assert obsagent(*args, "--no.such.flag")[0] == 2


def test_shards_agree():
    things = SETS["shards"]
    flags = dict(a.lstrip("-").split("=", 1) for a in agent_container(things)["args"] if "=" in a)
    assert int(flags["scrape.shards"]) == workload(things)["spec"]["replicas"] > int(flags["scrape.replication-factor"])


# ---- the receiving side ----

COMPOSE = DEPLOY / "obs" / "compose.yaml"
MEMORY = 256 << 20


def compose_problems(path):
    """What Debian's docker-compose has against a file: Debian 12's has the schema as a file, 13's is a program."""
    schema = harness.PEERS / "usr/lib/python3/dist-packages/compose/config/compose_spec.json"
    if schema.exists():
        import jsonschema

        compose = yaml.safe_load(path.read_text())
        assert re.fullmatch("[a-z]+", compose.pop("name"))  # younger than that schema
        return [e.message for e in jsonschema.Draft7Validator(json.loads(schema.read_text())).iter_errors(compose)]
    programs = [p for p in harness.PEERS.rglob("docker-compose") if p.is_file() and os.access(p, os.X_OK)]
    result = subprocess.run([programs[0], "-f", path, "config", "-q"], capture_output=True, text=True, timeout=60,
                            env={**os.environ, "GF_SECURITY_ADMIN_PASSWORD": "x"})
    return [result.stderr] if result.returncode else []


@pytest.mark.parametrize("line, instead", [
    (None, None),
    ("mem_limit: 256m", "memory_limit: 256m"),
    ("restart: unless-stopped", "restart: [always]"),
    ("condition: service_completed_successfully", "condition: later"),
])
def test_compose_schema(line, instead, tmp_path):
    text = COMPOSE.read_text()
    assert line is None or line in text
    (tmp_path / "compose.yaml").write_text(text.replace(line, instead) if line else text)
    assert bool(compose_problems(tmp_path / "compose.yaml")) == bool(line)


def test_compose_is_confined():
    compose = yaml.safe_load(COMPOSE.read_text())
    for name, service in compose["services"].items():
        limit = re.fullmatch(r"(\d+)m", service["mem_limit"])
        assert int(limit[1]) << 20 <= MEMORY, name
        assert service["cap_drop"] == ["ALL"], name
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            known = (COMPOSE.parent / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert known, volume
    assert {"victoriametrics", "jaeger", "grafana"} <= set(compose["services"])


# ---- systemd ----

UNIT = DEPLOY / "systemd" / "obsagent.service"


def systemd(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    return result.returncode, result.stdout + result.stderr


def test_unit_is_well_formed_and_confined(tmp_path):
    """The exposure that systemd counts is 0 (none) to 10; what is left here is the network, which an agent needs."""
    unit = tmp_path / "obsagent.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/obsagent", harness.OBSAGENT))
    code, out = systemd("systemd-analyze", "verify", "--man=no", unit)
    assert code == 0 and unit.name not in out, out
    code, out = systemd("systemd-analyze", "security", "--offline=yes", "--threshold=15", "--no-pager", unit)
    assert code == 0 and "Overall exposure level" in out, out
    unit.write_text(unit.read_text().replace("ProtectSystem=", "ProtectSysten="))
    assert re.search(rf"{unit.name}.*ProtectSysten", systemd("systemd-analyze", "verify", "--man=no", unit)[1])


def test_unit_and_user_agree(tmp_path):
    (user,) = [line.split()[1] for line in (DEPLOY / "systemd/obsagent.sysusers").read_text().splitlines()
               if line.startswith("u ")]
    text = UNIT.read_text()
    assert f"\nUser={user}\n" in text and f"\nGroup={user}\n" in text
    command = re.search(r"^ExecStart=(.*?[^\\])$", text, re.M | re.S)[1].replace("\\\n", " ").split()
    args = [re.sub(r"=(/etc/obsagent|/var/lib/obsagent)", rf"={tmp_path}", a) for a in command[1:]]
    code, out, err = obsagent(*args)
    assert code == 1 and "No such file" in out + err, out + err
