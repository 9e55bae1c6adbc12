"""test_web: the agent's own pages: metrics, targets, health, what must not be shown and who may ask."""

import base64
import html
import html.parser
import json
import os
import re
import ssl
import subprocess
import urllib.request

import pytest

import harness
from harness import (
    Agent,
    Receiver,
    Target,
    free_port,
    http_get,
    make_certificates,
    obsagent,
    peer,
    remote_write,
    scrape_config,
    wait_for,
    write_atomically,
)

pytestmark = pytest.mark.sanitized

PAGES = [
    "/",
    "/targets",
    "/service-discovery",
    "/queue",
    "/rejects",
    "/config",
    "/metrics",
    "/-/healthy",
    "/-/ready",
    "/api/v1/targets",
    "/api/v1/targets/metadata",
    "/api/v1/metadata",
    "/api/v1/scrape_pools",
    "/api/v1/status/flags",
    "/api/v1/status/config",
    "/api/v1/status/buildinfo",
    "/api/v1/status/runtimeinfo",
]
EVIL = "<script>alert('&')</script>"


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """An agent with an endpoint that works, one that refuses and one that is dead, and targets up, down and dropped."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("web")
    w.up, w.down = run_module(Target, f'm{{x="{EVIL}"}} 1\n'), run_module(Target, "bad{ 1\n")
    w.receiver = run_module(Receiver)
    w.refusing = run_module(Receiver, lambda samples, headers, number: 400)
    evil = f'target_label: evil, replacement: "{EVIL}"'
    config = (
        "scrape_configs:\n"
        + scrape_config("up", w.up.address, "500ms", f'  relabel_configs: [{{{evil}}}]\n')
        + scrape_config("down", w.down.address, "500ms")
        + scrape_config("dropped", "127.0.0.1:9", "500ms", "  relabel_configs: [{action: drop}]\n")
        + remote_write(w.receiver.url)
        + remote_write(w.refusing.url, "refusing", "  on_reject: drop\n").split("\n", 1)[1]
        + remote_write(f"http://127.0.0.1:{free_port()}/", "dead").split("\n", 1)[1]
    )
    w.agent = run_module(Agent, w.tmp, config)
    wait_for("samples", lambda: w.receiver.accepted and w.refusing.requests and w.up.requests and w.down.requests)
    wait_for("a loss", lambda: w.agent.total("obsagent_samples_lost_total", endpoint="refusing") > 0)
    return w


# ---- what is shown ----


def test_metrics_pass_promtool(world):
    page = http_get(world.agent.url + "/metrics")[1]
    done = subprocess.run([peer("usr/bin/promtool"), "check", "metrics"], input=page, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout + done.stderr == ""


def test_metrics_have_help_type_and_no_repetition(world):
    page = http_get(world.agent.url + "/metrics")[1]
    lines = page.splitlines()
    families = [line.split()[2] for line in lines if line.startswith("# TYPE ")]
    assert len(families) == len(set(families)) > 50
    series = [line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")]
    assert len(series) == len(set(series))
    parts = {f + part for f in families if f"# TYPE {f} histogram" in lines for part in ("_bucket", "_sum", "_count")}
    assert {name.split("{")[0] for name in series} <= set(families) | parts
    assert all(name.startswith(("obsagent_", "process_")) for name in families)


def test_the_agent_can_scrape_itself(world):
    code, out, err = obsagent("scrape", "--lint=all", world.agent.url + "/metrics")
    assert code == 0, out + err


def test_metrics_tell_what_happens(world):
    agent = world.agent
    for name, labels, least in (
        ("obsagent_targets", {"state": "up"}, 1),
        ("obsagent_targets", {"state": "down"}, 1),
        ("obsagent_targets", {"state": "dropped"}, 1),
        ("obsagent_job_targets", {"job": "up", "state": "up"}, 1),
        ("obsagent_scrapes_failed_total", {"reason": "other"}, 1),
        ("obsagent_remote_requests_total", {"endpoint": "main", "status": "2xx"}, 1),
        ("obsagent_remote_requests_total", {"endpoint": "refusing", "status": "4xx"}, 1),
        ("obsagent_remote_requests_total", {"endpoint": "dead", "status": "error"}, 1),
        ("obsagent_samples_lost_total", {"endpoint": "refusing", "reason": "rejected"}, 1),
        ("obsagent_samples_buffered", {"endpoint": "dead"}, 1),
        ("obsagent_remote_last_success_timestamp_seconds", {"endpoint": "main"}, 1e9),
        ("obsagent_http_requests_total", {"path": "/metrics"}, 1),
        ("obsagent_log_messages_total", {"level": "warn"}, 1),
        ("process_resident_memory_bytes", {}, 1e6),
        ("process_open_fds", {}, 5),
    ):
        assert agent.total(name, **labels) >= least, (name, labels)


def test_api_targets(world):
    status, body = http_get(world.agent.url + "/api/v1/targets")
    answer = json.loads(body)
    assert status == 200 and answer["status"] == "success"
    assert set(answer["data"]) == {"activeTargets", "droppedTargets", "droppedTargetCounts"}
    targets = {t["scrapePool"]: t for t in answer["data"]["activeTargets"]}
    assert set(targets) == {"up", "down"}
    up = targets["up"]
    expected = {
        "labels": {"instance": world.up.address, "job": "up", "evil": EVIL},
        "scrapeUrl": f"http://{world.up.address}/metrics",
        "lastError": "",
        "health": "up",
        "scrapeInterval": "500ms",
        "scrapeTimeout": "500ms",
        "lastSamplesScraped": 1,
    }
    assert {key: up[key] for key in expected} == expected
    assert up["discoveredLabels"]["__address__"] == world.up.address
    assert up["discoveredLabels"]["__scrape_interval__"] == "500ms"
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", up["lastScrape"]) and 0 < up["lastScrapeDuration"] < 1
    assert f":{world.up.port}/metrics" in up["globalUrl"]
    assert targets["down"]["health"] == "down" and "line 1, column" in targets["down"]["lastError"]
    assert [t["scrapePool"] for t in answer["data"]["droppedTargets"]] == ["dropped"]
    assert answer["data"]["droppedTargetCounts"] == {"up": 0, "down": 0, "dropped": 1}

    query = lambda text: json.loads(http_get(world.agent.url + "/api/v1/targets?" + text)[1])["data"]
    assert query("state=active")["droppedTargets"] == [] and len(query("state=active")["activeTargets"]) == 2
    assert query("state=dropped")["activeTargets"] == [] and len(query("state=dropped")["droppedTargets"]) == 1
    assert [t["scrapePool"] for t in query("scrapePool=down")["activeTargets"]] == ["down"]
    pools = json.loads(http_get(world.agent.url + "/api/v1/scrape_pools")[1])["data"]["scrapePools"]
    assert sorted(pools) == ["down", "dropped", "up"]


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_there_and_escape_what_comes_from_outside(world, path):
    status, body = http_get(world.agent.url + path)
    assert status == 200 and body
    if body.startswith("<!"):
        assert "<script>alert" not in body and body.rstrip().endswith("</html>")
    assert http_get(world.agent.url + path, method="HEAD") == (200, "")
    assert http_get(world.agent.url + path, method="POST")[0] == 405


def test_targets_page(world):
    page = http_get(world.agent.url + "/targets")[1]
    text = html.unescape(page)
    for expected in (world.up.address, world.down.address, "line 1, column", EVIL):
        assert expected in text
    assert world.down.address not in http_get(world.agent.url + "/targets?job=up")[1]
    assert world.up.address not in http_get(world.agent.url + "/targets?health=down")[1]
    assert world.up.address in http_get(world.agent.url + "/targets?text=alert")[1]
    assert "next in" in text and "found as" in text
    discovery = html.unescape(http_get(world.agent.url + "/service-discovery")[1])
    assert "127.0.0.1:9" in discovery and "relabel_configs, rule number 1" in discovery and "action=drop" in discovery


class Balance(html.parser.HTMLParser):
    """Every element that begins also ends, in its place."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids = [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert all(not name.startswith("on") for name, _ in attributes), "no scripts"
        if tag not in ("meta", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, (tag, self.getpos())


def test_pages_are_well_formed(world):
    for path in [*PAGES, "/targets?health=down&text=x&from=3", "/service-discovery?state=dropped", "/targets?job=no"]:
        status, page = http_get(world.agent.url + path)
        if page.startswith("<!"):
            Balance(page)


def test_pages_take_little_room_in_the_program():
    """Their words, style and script, and the code that writes them."""
    objects = harness.ROOT / "build" / "release" / "obj" / "agent" / "web"
    parts = [*objects.glob("page*.o"), objects / "assets.o"]
    done = subprocess.run(["size", *map(str, parts)], capture_output=True, text=True, check=True)
    sizes = [int(line.split()[3]) for line in done.stdout.splitlines()[1:]]
    assert len(sizes) > 6 and sum(sizes) < 100_000


def test_limits_are_shown(run, tmp_path):
    """What is kept out or left out by a limit is said on the pages, in the API and in metrics."""
    many = run(Target, "".join(f'm{{id="{i}",zone="z{i % 2}"}} 1\n' for i in range(9)))
    extra = run(
        Target,
        '# TYPE c counter\nc_total 1 # {t="1"} 1\n# EOF\n',
        content_type="application/openmetrics-text; version=1.0.0",
    )
    receiver = run(Receiver)
    twice = f"  static_configs: [{{targets: ['{many.address}', '{extra.address}']}}]\n"
    hosts = ", ".join(f"'h{i}:1'" for i in range(5))
    agent = run(
        Agent,
        tmp_path,
        "global: {scrape_interval: 500ms, scrape_timeout: 500ms}\nscrape_configs:\n"
        f"- job_name: series\n  series_limit: 2\n  static_configs: [{{targets: ['{many.address}']}}]\n"
        f"- job_name: targets\n  target_limit: 1\n{twice}"
        f"- job_name: exemplars\n  static_configs: [{{targets: ['{extra.address}']}}]\n"
        f"- job_name: dropped\n  keep_dropped_targets: 2\n  relabel_configs: [{{action: drop}}]\n"
        f"  static_configs: [{{targets: [{hosts}]}}]\n" + remote_write(receiver.url),
    )
    limited = "A series limit keeps out 7 series; the label with most values among them is id."
    wait_for("the limit", lambda: limited in html.unescape(http_get(agent.url + "/targets?job=series")[1]))
    wait_for("dropped samples", lambda: agent.total("obsagent_samples_series_limit_total") >= 7)
    wait_for("failures", lambda: agent.total("obsagent_scrapes_failed_total", reason="target_limit") >= 2)
    wait_for("exemplars", lambda: agent.total("obsagent_scrape_exemplars_total") >= 1)
    wait_for("the reason at both",
             lambda: all("target_limit exceeded" in t["lastError"] for t in agent.targets("targets")))
    assert limited not in html.unescape(http_get(agent.url + "/targets?job=exemplars")[1])
    answer = json.loads(http_get(agent.url + "/api/v1/targets?state=dropped")[1])["data"]
    assert len(answer["droppedTargets"]) == 2 and answer["droppedTargetCounts"]["dropped"] == 5
    page = html.unescape(http_get(agent.url + "/service-discovery")[1])
    assert "Of 5 dropped targets 2 are remembered" in page
    assert agent.total("obsagent_targets", state="dropped") == 5


def test_links_between_targets_and_discovery(world):
    page = http_get(world.agent.url + "/targets?job=down")[1]
    (there,) = [html.unescape(link) for link in re.findall(r'href="(/service-discovery\?[^"]*)"', page)]
    page = http_get(world.agent.url + there)[1]
    assert page.count('data-l="Found"><span') == 1 and f"<i>__address__=</i>{world.down.address}" in page
    (back,) = [html.unescape(link) for link in re.findall(r'href="(/targets\?[^"]*)"', page)]
    page = http_get(world.agent.url + back)[1]
    assert page.count('data-l="Target"') == 1 and "line 1, column" in html.unescape(page)


def test_pages_about_endpoints(world):
    overview = http_get(world.agent.url + "/")[1]
    for expected in ("main", "refusing", "dead", "retrying"):
        assert expected in overview
    queue = http_get(world.agent.url + "/queue")[1]
    assert "rejected" in queue and "refusing" in queue
    rejects = http_get(world.agent.url + "/rejects")[1]
    assert "scripted 400" in rejects and "more series" in rejects
    ready = http_get(world.agent.url + "/-/ready")[1]
    assert "endpoint dead: retrying" in ready and "endpoint main" not in ready


def test_unknown_paths(world):
    assert http_get(world.agent.url + "/nothing")[0] == 404
    status, body = http_get(world.agent.url + "/api/v1/nothing")
    assert status == 404 and json.loads(body)["status"] == "error"
    status, body = http_get(world.agent.url + "/api/v1/query?query=up")
    assert status == 422 and "unavailable with an agent" in json.loads(body)["error"]
    assert http_get(world.agent.url + "/%2e%2e/%2e%2e/etc/passwd")[0] == 404


# ---- what is not shown ----


def test_no_secret_is_on_any_page_or_in_the_log(run, tmp_path):
    target = run(Target, "m 1\n")
    refusing = run(Receiver, lambda samples, headers, number: 401)
    (tmp_path / "token").write_text("S3CRET-file\n")
    (tmp_path / "sd.json").write_text("[]")
    port = refusing.port
    config = f"""
scrape_configs:
- job_name: a
  scrape_interval: 500ms
  scrape_timeout: 500ms
  basic_auth: {{username: shown, password: S3CRET-basic}}
  http_headers: {{X-Key: {{secrets: [S3CRET-header]}}}}
  static_configs: [{{targets: ['{target.address}', '127.0.0.1:1']}}]
- job_name: b
  scrape_interval: 500ms
  scrape_timeout: 500ms
  authorization: {{credentials: S3CRET-scrape}}
  proxy_url: http://user:S3CRET-proxy@127.0.0.1:1/
  static_configs: [{{targets: ['{target.address}']}}]
- job_name: c
  bearer_token: S3CRET-bearer
  file_sd_configs: [{{files: [sd.json]}}]
- job_name: d
  bearer_token_file: token
  static_configs: [{{targets: ['{target.address}']}}]
remote_write:
- name: one
  url: http://user:S3CRET-url@127.0.0.1:{port}/w?x=1
  queue_config: {{min_backoff: 50ms, max_backoff: 100ms}}
- name: two
  url: http://127.0.0.1:{port}/w
  authorization: {{type: '', credentials: S3CRET-raw}}
  queue_config: {{min_backoff: 50ms, max_backoff: 100ms}}
- name: three
  url: http://127.0.0.1:{port}/w
  basic_auth: {{username: shown, password: 'S3CRET-b'}}
  tls_config: {{insecure_skip_verify: true}}
  queue_config: {{min_backoff: 50ms, max_backoff: 100ms}}
- name: four
  url: http://127.0.0.1:{port}/w
  authorization: {{credentials_file: token}}
- url: http://user:S3CRET-nameless@127.0.0.1:1/
"""
    agent = run(Agent, tmp_path, config, "--log.level=debug", "--web.enable-lifecycle")
    wait_for("refusals", lambda: len(refusing.requests) >= 8)
    sent = {r.headers.get("Authorization") for r in refusing.requests}
    assert {"S3CRET-raw", "Bearer S3CRET-file"} <= sent, "the secrets are used"
    agent.reconfigure(config.replace("user:S3CRET-url@", "user:S3CRET-new@"))
    agent.reconfigure(config + "- url: ftp://user:S3CRET-broken@x\n- {name: x, bearer_tokn: S3CRET-typo}\n")
    http_get(agent.url + "/-/reload", method="POST")
    everything = {path: html.unescape(http_get(agent.url + path)[1]) for path in PAGES}
    everything["the log"] = agent.output()
    for place, text in everything.items():
        assert "S3CRET" not in text, (place, re.findall(r".{0,80}S3CRET.{0,20}", text))
        for secret in ("basic", "b", "url"):
            assert base64.b64encode(f"shown:S3CRET-{secret}".encode()).decode() not in text, place
    assert "<secret>" in everything["/config"] and "shown" in everything["/config"]
    assert "<secret>" in json.loads(everything["/api/v1/status/config"])["data"]["yaml"]


# ---- health ----


def test_ready_after_the_first_discovery(run, tmp_path):
    """A file of targets that cannot be read to its end holds up the first discovery for as long as we like."""
    os.mkfifo(tmp_path / "targets.json")
    config = "scrape_configs:\n- job_name: a\n  file_sd_configs: [{files: [targets.json]}]\n"
    agent = run(Agent, tmp_path, config, wait=False)
    wait_for("the pages", lambda: http_get(agent.url + "/-/healthy")[0] == 200)
    status, reason = http_get(agent.url + "/-/ready")
    assert status == 503 and "discovery" in reason
    with open(tmp_path / "targets.json", "w") as fifo:
        write_atomically(tmp_path / "targets.json", "[]")
        fifo.write("[]")
    wait_for("readiness", lambda: http_get(agent.url + "/-/ready")[0] == 200)
    assert http_get(agent.url + "/ready")[0] == 200 and http_get(agent.url + "/health")[0] == 200


# ---- where, and who may ask ----


def listening(agent):
    found = re.search(r"listening on (https?)://([^\s\"]+)", agent.output())
    return found and (found.group(1), found.group(2))


def test_port_0_takes_a_free_one_and_says_which(run, tmp_path):
    config = tmp_path / "c.yml"
    config.write_text("scrape_configs: []\n")
    flags = ["run", f"--config.file={config}", "--web.listen-address=127.0.0.1:0"]
    start = lambda name: run(
        Agent, tmp_path, None, argv=[*flags, f"--storage.path={tmp_path}/{name}"], name=name, wait=False
    )
    agents = [start("a"), start("b")]
    places = [wait_for("the log", lambda a=agent: listening(a)) for agent in agents]
    assert places[0] != places[1]
    for scheme, place in places:
        assert http_get(f"{scheme}://{place}/-/healthy")[0] == 200


def test_an_empty_address_serves_nothing(run, tmp_path):
    receiver = run(Receiver)
    target = run(Target, "m 1\n")
    config = tmp_path / "c.yml"
    config.write_text("scrape_configs:\n" + scrape_config("a", target.address, "500ms") + remote_write(receiver.url))
    argv = ["run", f"--config.file={config}", "--web.listen-address=", f"--storage.path={tmp_path}/s"]
    agent = run(Agent, tmp_path, None, argv=argv, wait=False)
    wait_for("samples", lambda: receiver.accepted)
    assert listening(agent) is None


def test_an_address_in_use_ends_the_start(tmp_path, world):
    config = tmp_path / "c.yml"
    config.write_text("scrape_configs: []\n")
    address = f"--web.listen-address=127.0.0.1:{world.agent.port}"
    code, _, err = obsagent("run", f"--config.file={config}", address, f"--storage.path={tmp_path}/s")
    assert code == 1 and "in use" in err


# bcrypt of "p:w"
HASH = "$2b$05$abcdefghijklmnopqrstuuM7E59t/pBLB8x4aZysvBLD.kgRitkEK"


def basic(text):
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def test_web_config_basic_auth_and_bearer(run, tmp_path):
    web = tmp_path / "web.yml"
    (tmp_path / "token").write_text("web-token\n")
    users = f"basic_auth_users:\n  user: {HASH}\n"
    web.write_text(users + "bearer_token_file: token\n")
    agent = run(Agent, tmp_path, "scrape_configs: []\n", f"--web.config.file={web}", wait=False)
    ask = lambda path="/metrics", headers=None: http_get(agent.url + path, headers=headers)[0]
    wait_for("the pages", lambda: ask() == 401)
    for path in PAGES:
        assert ask(path) == 401 and ask(path, basic("user:p:w")) == 200
    assert ask(headers={"Authorization": "Bearer web-token"}) == 200
    for wrong in (basic("user:wrong"), basic("other:p:w"), basic("user"), {"Authorization": "Bearer web-toke"}):
        assert ask(headers=wrong) == 401
    assert "p:w" not in agent.output() and "web-token" not in agent.output()
    # read again when it changes; what is broken changes nothing
    web.write_text("basic_auth_user: {}\n")
    wait_for("the complaint", lambda: ask(headers=basic("user:p:w")) == 200 and "stays as it was" in agent.output())
    assert ask() == 401
    web.write_text(users.replace("user:", "another:"))
    wait_for("the other user", lambda: ask(headers=basic("another:p:w")) == 200)
    assert ask(headers=basic("user:p:w")) == 401


def test_web_config_tls(run, tmp_path):
    make_certificates(tmp_path)
    web = tmp_path / "web.yml"
    web.write_text("tls_server_config: {cert_file: server.pem, key_file: server.key}\n")
    agent = run(Agent, tmp_path, "scrape_configs: []\n", f"--web.config.file={web}", wait=False)
    wait_for("the port", lambda: harness.can_connect(agent.port))
    context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
    with urllib.request.urlopen(f"https://127.0.0.1:{agent.port}/-/healthy", context=context, timeout=10) as answer:
        assert answer.status == 200
    assert http_get(agent.url + "/-/healthy")[0] in (0, 400)


def test_a_bad_web_config_ends_the_start(tmp_path):
    config, web = tmp_path / "c.yml", tmp_path / "web.yml"
    config.write_text("scrape_configs: []\n")
    plain = "basic_auth_users: {a: plain}\n"
    for text, words in ((plain, "bcrypt"), ("what: 1\n", "unknown field"), (None, "No such")):
        if text is None:
            web.unlink()
        else:
            web.write_text(text)
        flags = ["--web.listen-address=127.0.0.1:0", f"--web.config.file={web}", f"--storage.path={tmp_path}/s"]
        code, _, err = obsagent("run", f"--config.file={config}", *flags)
        assert code == 1 and words in err and "web.yml" in err, err
