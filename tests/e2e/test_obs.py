"""test_obs: deploy/obs, the receiving side, as far as Debian has its programs: the sidecar's configuration carries what
obs/example/app.py exposes through obs/nginx/obs.conf (a real nginx) into VictoriaMetrics, run with the arguments of
obs/compose.yaml; and every query of the dashboards finds something there."""

import http.server
import json
import re
import signal
import subprocess
import sys
import threading
import types
import urllib.parse

import pytest
import yaml

import harness
from harness import Agent, Process, Receiver, can_connect, free_port, http_get, peer, peer_env, wait_for
from test_deploy import DEPLOY, SETS, agent_container, config_texts

OBS = DEPLOY / "obs"
DASHBOARDS = sorted((OBS / "grafana/dashboards").glob("*.json"))
COMPOSE = yaml.safe_load((OBS / "compose.yaml").read_text())
POD = "api-7d4b9c-x2x4z"


class Upstream:
    """Stands in for what Debian has no package of, Jaeger and Grafana: says 200 and remembers who asked for what."""

    def __init__(self):
        self.requests = []  # (method, path, headers)
        upstream = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                upstream.requests.append((self.command, self.path, dict(self.headers)))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = answer

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Nginx(Process):
    """Its master ends its workers only when it is asked to end."""

    def end(self):
        self.stop()


def make_token(directory, name):
    """By token.sh: the token is in a file, its line in the map."""
    path = directory / f"{name}.token"
    result = subprocess.run([OBS / "nginx/token.sh", name, path], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    token = path.read_text().strip()
    assert path.stat().st_mode & 0o777 == 0o600 and len(token) > len(name) + 60
    assert token.split(".")[1] not in result.stdout + result.stderr
    with open(directory / "tokens.map", "a") as file:
        file.write(result.stdout)
    return token


def start_nginx(run, directory, ports, upstreams):
    """The shipped virtual host with other ports and paths: (upstream's port there: its port here)."""
    text = (OBS / "nginx/obs.conf").read_text()
    places = {
        "listen 80;": f"listen 127.0.0.1:{ports[0]};",
        "listen 443 ssl": f"listen 127.0.0.1:{ports[1]} ssl",
        "/etc/letsencrypt/live/obs.example.com/fullchain.pem": f"{directory}/server.pem",
        "/etc/letsencrypt/live/obs.example.com/privkey.pem": f"{directory}/server.key",
        "/etc/nginx/obs-tokens.map": f"{directory}/tokens.map",
        **{f"127.0.0.1:{there}": f"127.0.0.1:{here}" for there, here in upstreams.items()},
    }
    for there, here in places.items():
        assert there in text, there
        text = text.replace(there, here)
    (directory / "obs.conf").write_text(text)
    temporary = " ".join(f"{kind}_temp_path {directory}/nginx-{kind};"
                         for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (directory / "nginx.conf").write_text(f"""
user root; daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
events {{ worker_connections 256; }}
http {{ access_log {directory}/nginx-access.log; {temporary} include {directory}/obs.conf; }}
""")
    argv = [peer("usr/sbin/nginx"), "-p", directory, "-c", directory / "nginx.conf"]
    return run(Nginx, argv, directory / "nginx.log", env=peer_env())


def start_victoria_metrics(run, directory, port):
    """With compose.yaml's arguments, but for where, and for what would hide what is young or frequent."""
    service = COMPOSE["services"]["victoriametrics"]
    assert service["command"][0] == "-storageDataPath=/data"
    changed = {
        "storageDataPath": f"{directory}/vm", "httpListenAddr": f"127.0.0.1:{port}", "dedup.minScrapeInterval": "1ms",
        "search.latencyOffset": "0s",
    }
    flags = dict(argument.lstrip("-").split("=", 1) for argument in service["command"])
    argv = [peer("usr/bin/victoria-metrics"), *(f"-{k}={v}" for k, v in {**flags, **changed}.items())]
    return run(Process, argv, directory / "vm.log")


def sidecar_configuration(stack):
    """The shipped one: the same jobs and endpoint at other addresses, more often; and beside them an endpoint that
    is not sent all and refuses some, as a dashboard should show."""
    config = yaml.safe_load(config_texts("sidecar")["obsagent.yml"].replace("%{POD_NAME}", POD))
    config["global"]["scrape_interval"] = "500ms"
    ports = {"127.0.0.1:8000": stack.app_port, "127.0.0.1:8429": stack.agent_port}
    for job in config["scrape_configs"]:
        (static,) = job["static_configs"]
        static["targets"] = [f"127.0.0.1:{ports.pop(target)}" for target in static["targets"]]
    assert not ports
    (remote,) = config["remote_write"]
    remote["url"] = remote["url"].replace("obs.example.com", f"127.0.0.1:{stack.ports[1]}")
    remote["tls_config"] = {"ca_file": str(stack.directory / "ca.pem")}
    remote["authorization"]["credentials_file"] = str(stack.directory / "home.token")
    drop = {"source_labels": ["__name__"], "regex": "scrape_.*", "action": "drop"}
    config["remote_write"].append(
        {"name": "refusing", "url": stack.refusing.url, "write_relabel_configs": [drop]})
    return yaml.safe_dump(config)


@pytest.fixture(scope="module")
def stack(run_module, tmp_path_factory):
    s = types.SimpleNamespace(directory=harness.make_certificates(tmp_path_factory.mktemp("obs")))
    s.vm_port, s.app_port, s.agent_port, s.ports = free_port(), free_port(), free_port(), (free_port(), free_port())
    s.tokens = {name: make_token(s.directory, name) for name in ("home", "phone", "leaver")}
    s.traces, s.grafana = run_module(Upstream), run_module(Upstream)
    s.refusing = run_module(Receiver, lambda samples, *_: 400 if harness.named(samples, "up") else 204)
    start_victoria_metrics(run_module, s.directory, s.vm_port)
    upstreams = {8428: s.vm_port, 4318: s.traces.port, 3000: s.grafana.port}
    s.nginx = start_nginx(run_module, s.directory, s.ports, upstreams)
    run_module(Process, [sys.executable, OBS / "example/app.py", s.app_port], s.directory / "app.log")
    for port in (s.vm_port, s.ports[1], s.app_port):
        wait_for(f"port {port}", lambda: can_connect(port))
    s.agent = run_module(Agent, s.directory, sidecar_configuration(s), port=s.agent_port)
    s.vm = f"http://127.0.0.1:{s.vm_port}"
    return s


# ---- the door ----


def ask(stack, path, authorization=None, method="POST", body=b"\0", port=1):
    """The status of one request, made with curl because paths are sent as they are."""
    argv = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", "--cacert",
            stack.directory / "ca.pem", "-X", method]
    argv += ["-H", f"Authorization: {authorization}"] if authorization is not None else []
    argv += ["--data-binary", "@-"] if method == "POST" else []
    url = f"{'https' if port else 'http'}://127.0.0.1:{stack.ports[port]}{path}"
    return int(subprocess.run([*argv, url], input=body, capture_output=True, timeout=30).stdout)


def test_right_tokens_pass(stack):
    """An empty request is one that VictoriaMetrics takes."""
    for name in ("home", "phone"):
        assert ask(stack, "/api/v1/write", f"Bearer {stack.tokens[name]}") == 204
        before = len(stack.traces.requests)
        assert ask(stack, "/v1/traces", f"Bearer {stack.tokens[name]}") == 200
        (request,) = stack.traces.requests[before:]
        assert request[:2] == ("POST", "/v1/traces") and "Authorization" not in request[2]


@pytest.mark.parametrize("path", ["/api/v1/write", "/v1/traces"])
def test_others_do_not(stack, path):
    home, phone = stack.tokens["home"], stack.tokens["phone"]
    wrong = [
        None, "", "Bearer", "Bearer ", "Bearer home", "Bearer home.", f"Bearer {home[:-1]}", f"Bearer {home}x",
        home, f"Basic {home}", f"bearer {home}", f"Bearer home.{phone.split('.')[1]}",
        f"Bearer nobody.{home.split('.')[1]}", f"Bearer {home.upper()}", f"Bearer  {home}",
    ]
    before = len(stack.traces.requests)
    assert {str(w): s for w in wrong if (s := ask(stack, path, w)) != 401} == {}
    assert ask(stack, path, method="GET") == 401
    assert len(stack.traces.requests) == before


def test_a_token_is_taken_back(stack):
    bearer = f"Bearer {stack.tokens['leaver']}"
    assert ask(stack, "/v1/traces", bearer) == 200
    tokens = stack.directory / "tokens.map"
    tokens.write_text("".join(line for line in tokens.open() if "leaver" not in line))
    stack.nginx.signal(signal.SIGHUP)
    wait_for("the token to be refused", lambda: ask(stack, "/v1/traces", bearer) == 401)
    assert ask(stack, "/v1/traces", f"Bearer {stack.tokens['home']}") == 200


def test_nothing_else_of_them_can_be_reached(stack):
    """All other paths are Grafana's, with a token or without; so nobody reads or deletes series from outside."""
    bearer, paths = f"Bearer {stack.tokens['home']}", [
        "/", "/api/v1/query?query=up", "/api/v1/write/", "/api/v1/write/x", "/api/v1/import", "/internal/force_flush",
        "/api/v1/admin/tsdb/delete_series?match[]=up", "/api/v1/write/../query", "/api/v1/%77rite/../export",
        "/metrics", "/v1/logs", "/v1/metrics", "/v1/traces/..", "/api/traces", "/write", "/api/live/ws",
    ]
    before = len(stack.grafana.requests), len(stack.traces.requests)
    for path in paths:
        assert ask(stack, path, bearer, "GET") == 200, path
    asked = {request[1].split("?")[0] for request in stack.grafana.requests[before[0]:]}
    assert len(stack.grafana.requests) - before[0] == len(paths) and len(stack.traces.requests) == before[1], asked
    assert ask(stack, "/api/v1/write", bearer, port=0) == 301


@pytest.mark.parametrize("name", ["", "a b", "a.b", 'a"', "a;b", "ä", "../a"])
def test_names_of_tokens(name, tmp_path):
    result = subprocess.run([OBS / "nginx/token.sh", name, tmp_path / "x"], capture_output=True, text=True)
    assert result.returncode == 2 and result.stdout == "" and not (tmp_path / "x").exists()


# ---- the sidecar, end to end ----


REQUESTS = "http_request_duration_seconds_count"


def flush(stack):
    """Makes what has arrived visible at once."""
    return http_get(f"{stack.vm}/internal/force_flush")[0] == 200


def query(stack, expression):
    """Series of an instant query that have a value."""
    status, body = http_get(f"{stack.vm}/api/v1/query?" + urllib.parse.urlencode({"query": expression, "nocache": 1}))
    assert status == 200, f"{expression}: {body}"
    return [r for r in json.loads(body)["data"]["result"] if r["value"][1] != "NaN"]


def test_the_sidecar_delivers(stack):
    series = wait_for("the app's series", lambda: flush(stack) and query(stack, f'{REQUESTS}{{status="200"}}'))
    labels = series[0]["metric"]
    assert (labels["job"], labels["instance"], labels["cluster"]) == ("api", POD, "home")
    assert {s["metric"]["route"] for s in series} >= {"/v1/albums", "/v1/albums/{id}"}
    assert all(int(s["value"][1]) > 0 for s in query(stack, f'up{{instance="{POD}"}}'))
    lost = stack.agent.metrics()
    assert not [k for k in lost if k[0] == "obsagent_samples_lost_total" and ("endpoint", "obs") in k[1]]


def test_probes_have_answers(stack):
    """Those of every manifest."""
    probes = {container[kind]["httpGet"]["path"] for things in SETS.values()
              for container in [agent_container(things)] for kind in container if kind.endswith("Probe")}
    assert probes == {"/-/healthy", "/-/ready"}
    for path in probes:
        assert http_get(stack.agent.url + path)[0] == 200, path


# ---- dashboards ----


def dashboard_queries(path):
    """(panel, expression) of all panels."""
    return [(panel["title"], target["expr"]) for panel in json.loads(path.read_text())["panels"]
            for target in panel.get("targets", [])]


def fill_in(dashboard, expression):
    """As Grafana does it when everything is chosen."""
    for variable in dashboard["templating"]["list"]:
        expression = expression.replace(f"${variable['name']}", variable["allValue"])
    expression = expression.replace("$__rate_interval", "5s").replace("$__range", "1h")
    assert "$" not in expression, expression
    return expression


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda p: p.name)
def test_every_query_finds_something(stack, path):
    dashboard = json.loads(path.read_text())
    missing = {}

    def complete():
        missing.clear()
        flush(stack)
        for title, expression in dashboard_queries(path):
            if not query(stack, fill_in(dashboard, expression)):
                missing[title] = expression
        return not missing

    try:
        wait_for("data in every panel", complete, interval=0.5)
    except AssertionError:
        raise AssertionError(f"no data: {missing}")
    for variable in dashboard["templating"]["list"]:
        metric, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
        found = {s["metric"].get(label) for s in query(stack, fill_in(dashboard, metric))}
        assert found and None not in found, variable["definition"]


def metric_names(expression):
    """Those of the agent or its process, and of the app."""
    return set(re.findall(r"\b(?:obsagent|process|http|gorm|b2|apns)_\w+", re.sub(r'"[^"]*"', "", expression)))


@pytest.mark.parametrize("name, of", [("obsagent.json", "agent_port"), ("api.json", "app_port")])
def test_every_metric_is_exposed(stack, name, of):
    (path,) = [p for p in DASHBOARDS if p.name == name]
    page = http_get(f"http://127.0.0.1:{getattr(stack, of)}/metrics")[1]
    exposed = {line.split("{")[0].split()[0] for line in page.splitlines() if line and line[0] != "#"}
    used = set().union(*(metric_names(expression) for _, expression in dashboard_queries(path)))
    assert len(used) >= 7 and used - exposed == set()


def test_dashboards_are_well_formed():
    sources = yaml.safe_load((OBS / "grafana/datasources/obs.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((OBS / "grafana/provider/obs.yaml").read_text())["providers"]
    volumes = COMPOSE["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes
    assert {"./grafana/datasources:/etc/grafana/provisioning/datasources:ro",
            "./grafana/provider:/etc/grafana/provisioning/dashboards:ro"} <= set(volumes)
    for source in sources:
        assert urllib.parse.urlsplit(source["url"]).hostname in COMPOSE["services"]
    boards = [json.loads(p.read_text()) for p in DASHBOARDS]
    assert len({b["uid"] for b in boards}) == len(boards) == 2
    for board in boards:
        panels = board["panels"]
        assert len({p["id"] for p in panels}) == len(panels)
        used = {p["datasource"]["uid"] for p in panels if p["type"] != "row"}
        assert used <= {s["uid"] for s in sources}
        taken = set()
        for panel in panels:
            g = panel["gridPos"]
            cells = {(x, y) for x in range(g["x"], g["x"] + g["w"]) for y in range(g["y"], g["y"] + g["h"])}
            assert not cells & taken and g["x"] + g["w"] <= 24, panel["title"]
            taken |= cells
            refs = [t["refId"] for t in panel.get("targets", [])]
            assert len(set(refs)) == len(refs) and (refs or panel["type"] == "row"), panel["title"]


def test_the_doors_lead_to_the_right_rooms():
    """nginx's upstreams are ports that compose opens, each of the service that is meant."""
    text = (OBS / "nginx/obs.conf").read_text()
    upstreams = dict(re.findall(r"upstream obs_(\w+) \{\n +server (127\.0\.0\.1:\d+);", text))
    opened = {name: [p.rsplit(":", 1)[0] for p in s.get("ports", [])] for name, s in COMPOSE["services"].items()}
    for upstream, service in (("metrics", "victoriametrics"), ("traces", "jaeger"), ("grafana", "grafana")):
        assert opened[service] == [upstreams[upstream]]
