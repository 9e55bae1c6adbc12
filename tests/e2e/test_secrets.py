"""test_secrets: canaries stand in every place a secret may stand, and whoever is told one says it back to us: in the
words of a refusal, in a redirect, in what should be an exposition. Is one of them to be read anywhere?"""

import base64
import html
import http.server
import json
import os
import re
import threading
import urllib.parse

import pytest

from harness import Agent, Server, Sink, Target, free_port, http_get, obsagent, scrape_config, wait_for

pytestmark = pytest.mark.sanitized

CANARY = "HUSH"
# Whatever looks like base64 is decoded and looked through as well.
BASE64 = re.compile(r"[A-Za-z0-9+/]{12,}")


class Echo:
    """/NNN... answers with status NNN and everything the request told it, as it is and decoded; 302 leads to another
    place with a password and a key; 200 to a GET is an exposition that cannot be read."""

    def __init__(self):
        self.heard = set()  # the canaries that reached it
        echo = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = re.search(r"/([2-5]\d\d)\b", self.path)
                told = [f"{plain(value)} {name}: {value}" for name, value in self.headers.items()]
                told.sort(key=lambda header: CANARY not in header)  # first what must not be seen: texts get cut
                words = " ".join(told + [urllib.parse.unquote(self.path), self.path])
                if self.headers.get("Content-Type", "").endswith("urlencoded"):
                    words += " " + urllib.parse.unquote_plus(body.decode())
                echo.heard |= set(re.findall(rf"{CANARY}-[\w.-]+", words))
                status = int(asked[1]) if asked else 407 if self.command == "CONNECT" else 403
                json = "/json" in self.path
                if self.command == "GET" and status == 200:
                    words = words if json else f'bad{{x="{words}\nm{{a="{words}"}} 1 x {words}\n'
                data = words.encode()
                self.send_response(status, words[:100])
                self.send_header("Content-Type", "application/json" if json else "text/plain")
                self.send_header("Content-Length", str(len(data)))
                if status == 302:
                    self.send_header("Location", f"http://u:{CANARY}-away@127.0.0.1:1/x?token={CANARY}-away2")
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_CONNECT = answer

            def log_message(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def plain(value):
    """The user and password of a header, as a careless server would print them."""
    try:
        return base64.b64decode(value.split(" ")[-1], validate=True).decode()
    except ValueError:
        return value.split(" ")[-1]


def leaks(text):
    text = html.unescape(text)
    found = re.findall(rf".{{0,60}}{CANARY}.{{0,30}}", text)
    for word in BASE64.findall(text):
        if CANARY.encode() in base64.b64decode(word[: len(word) // 4 * 4]):
            found.append(f"base64 {word}")
    return found


# How somebody shows who it is; ECHO is the echo's host and port.
WAYS = {
    "raw": 'authorization: {type: "", credentials: HUSH-raw}',
    "bearer": "bearer_token: HUSH-bearer",
    "own-type": "authorization: {type: Splunk, credentials: HUSH-own-type}",
    "file": "authorization: {credentials_file: file}",
    "basic": "basic_auth: {username: me, password: HUSH-basic}",
    "basic-file": "basic_auth: {username_file: user, password_file: file}",
    "http-headers": "http_headers: {X-Any: {secrets: [HUSH-http-header]}, X-File: {files: [file]}, "
                    "X-Token: {values: [HUSH-token-header]}}",
    "oauth2": "oauth2: {client_id: me, client_secret: HUSH-oauth2, token_url: 'http://ECHO/400', "
              "endpoint_params: {password: HUSH-oauth2-param}}",
    "oauth2-url": "oauth2: {client_id: me, client_secret_file: file, "
                  "token_url: 'http://u:HUSH-oauth2-user@ECHO/401?key=HUSH-oauth2-query'}",
    "proxy": "proxy_url: 'http://u:HUSH-proxy@ECHO'",
    "proxy-auth": "proxy_url: 'http://ECHO'\nproxy_authorization: {credentials: HUSH-proxy-auth}",
    "proxy-gone": "proxy_url: 'http://u:HUSH-proxy-gone@127.0.0.1:1'",
    "environment": "bearer_token: '%{SECRET_OF_ENV}'",
    "key": "tls_config: {cert_file: file, key: HUSH-key}",
    "key-file": "tls_config: {cert_file: file, key_file: file}",
}
REMOTE_WAYS = WAYS | {
    "headers": "headers: {X-Api-Key: HUSH-api-key, Cookie: a=HUSH-cookie}",
    "sigv4": "sigv4: {region: r, access_key: id, secret_key: HUSH-sigv4}",
    "sigv4-environment": "sigv4: {region: r}",
    "connect": "proxy_url: 'http://ECHO'\nproxy_connect_header: {X-Secret: [HUSH-connect]}",
}
# Who is asked for targets. %s is the status and WAY how we show who we are.
DISCOVERIES = {
    "http": "http_sd_configs:\n- url: http://ECHO/%s/json?token=HUSH-sd-query\n  refresh_interval: 1s\nWAY",
    "docker": "docker_sd_configs:\n- host: http://ECHO/%s\nWAY",
    "consul": "consul_sd_configs:\n- server: ECHO\n  path_prefix: /%s\nWAY",
    "kubelet": "kubelet_sd_configs: # %s\n- node_ip: 127.0.0.1\n  port: PORT\n  scheme: http\nWAY",
    "kubernetes": "kubernetes_sd_configs:\n- role: pod\n  api_server: http://ECHO/%s\nWAY",
}
ENVIRONMENT = {
    "SECRET_OF_ENV": "HUSH-environment",
    "AWS_ACCESS_KEY_ID": "id",
    "AWS_SECRET_ACCESS_KEY": "HUSH-aws",
    "AWS_SESSION_TOKEN": "HUSH-aws-session",
}
# Those that a server must have been told, or the test would see nothing of them.
TOLD = {f"HUSH-{name}" for name in (
    "raw bearer own-type file basic http-header token-header oauth2 oauth2-param oauth2-user oauth2-query proxy "
    "proxy-auth environment environment-proxy api-key cookie aws-session connect params param-label url url-query "
    "user-only sd-query consul consul-password rule").split()}


def lines(text, spaces):
    return "".join(f"{spaces}{line}\n" for line in text.splitlines())


def job(name, echo, status, way, extra=""):
    return (
        f"- job_name: {name}\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\n  metrics_path: /{status}\n"
        f"{lines(way.replace('ECHO', echo), '  ')}{extra}  static_configs: [{{targets: ['{echo}']}}]\n"
    )


def discovery(kind, name, echo, status, way):
    text = (DISCOVERIES[kind] % status).replace("WAY", lines(way, "  ").rstrip("\n")).replace("ECHO", echo)
    text = text.replace("PORT", echo.split(":")[1])
    return f"- job_name: {kind}-{name}-{status}\n{lines(text, '  ')}"


def remote(name, url, way="", more=""):
    return (
        f"- name: {name}\n  url: '{url}'\n  queue_config: {{min_backoff: 100ms, max_backoff: 500ms}}\n"
        f"{lines(way, '  ')}{more}"
    )


def configuration(echo, target):
    jobs = scrape_config("good", target)
    remotes = ""
    for name, way in WAYS.items():
        jobs += job(f"refused-{name}", echo, 401, way) + job(f"garbled-{name}", echo, 200, way)
    for n, (name, way) in enumerate(WAYS.items()):
        for kind in DISCOVERIES:
            jobs += discovery(kind, name, echo, (401, 200, 500, 403)[n % 4], way)
    for n, way in enumerate(("token: HUSH-consul", "username: me\npassword: HUSH-consul-password")):
        jobs += discovery("consul", f"own-{n}", echo, 500, way)
    jobs += job("params", echo, 404, "", "  params: {token: [HUSH-params], auth_key: [HUSH-params, HUSH-params2]}\n")
    jobs += job("label", echo, 500, "").replace("}]\n", ", labels: {__param_password: HUSH-param-label}}]\n")
    jobs += job("rule", echo, 500, "", "  relabel_configs:\n"
                "  - {target_label: __param_auth_key, replacement: HUSH-rule}\n")
    far = job("far", "192.0.2.1:80", 401, "proxy_from_environment: true")  # nobody needs a proxy to reach itself
    jobs += far + job("leading", echo, 302, "bearer_token: HUSH-led")
    for n, (name, way) in enumerate(REMOTE_WAYS.items()):
        way = way.replace("ECHO", echo)
        scheme = "https" if name == "connect" else "http"
        remotes += remote(f"refused-{name}", f"{scheme}://{echo}/{(401, 500, 429)[n % 3]}", way)
        remotes += remote(f"rejected-{name}", f"{scheme}://{echo}/400", way)
    for status in (302, 400, 403, 404, 413, 415, 500):
        remotes += remote(f"url-{status}", f"http://u:HUSH-url@{echo}/{status}?key=HUSH-url-query&x=1")
    remotes += remote("rejected-far", "http://192.0.2.1/400", "proxy_from_environment: true")
    remotes += remote("user", f"http://HUSH-user-only@{echo}/400")
    remotes += remote("name", "http://u:HUSH-nowhere@nowhere.invalid/x?api_key=HUSH-nowhere2")
    remotes += remote("gone", "http://u:HUSH-gone@127.0.0.1:1/x?token=HUSH-gone2")
    return jobs, [f"- name: {item}" for item in remotes.split("- name: ")[1:]]


PATHS = ["/", "/targets", "/service-discovery", "/relabel", "/queue", "/rejects", "/config", "/metrics", "/-/healthy",
         "/-/ready", "/api/v1/targets", "/api/v1/targets/metadata", "/api/v1/metadata", "/api/v1/scrape_pools",
         "/api/v1/status/flags", "/api/v1/status/config", "/api/v1/status/runtimeinfo"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the files that configurations name."""
    path = tmp_path_factory.mktemp("secrets")
    (path / "file").write_text("HUSH-file\n")
    (path / "user").write_text("me\n")
    return path


@pytest.fixture(scope="module")
def world(run_module, place):
    """Agents whose receivers and targets all say back what they are told, after everybody has been refused."""

    class World:
        pass

    w = World()
    w.place = place
    w.echo = run_module(Echo)
    w.target = run_module(Target, "m 1\n")
    w.address = f"127.0.0.1:{w.echo.port}"
    jobs, remotes = configuration(w.address, w.target.address)
    w.env = os.environ | ENVIRONMENT | {"HTTP_PROXY": f"http://u:HUSH-environment-proxy@{w.address}"}
    w.configs, w.agents = [], []
    for n in range(0, len(remotes), 25):  # an agent has at most 32 endpoints
        config = "scrape_configs:\n" + (jobs if n == 0 else scrape_config("good", w.target.address))
        w.configs.append(config + "remote_write:\n" + "".join(remotes[n : n + 25]))
        w.agents.append(run_module(Agent, place, w.configs[-1], "--log.level=debug", "--web.enable-lifecycle",
                                   name=f"agent{n}", env=w.env))
    for agent in w.agents:
        wait_for("everybody to be refused", lambda: refused(agent), timeout=60)
        wait_for("all scrapes", lambda: all(t["lastError"] or t["scrapePool"] == "good" for t in agent.targets()))
    return w


def refused(agent):
    """Each endpoint has had an answer, or none, that was not good."""
    tried = {dict(labels)["endpoint"] for (name, labels), value in agent.metrics().items()
             if name == "obsagent_remote_requests_total" and value and ("status", "2xx") not in labels}
    return tried == names_of(agent)


def names_of(agent):
    return set(re.findall(r"^- name: (\S+)", agent.config_path.read_text(), re.M))


# Ways that end with a receiver's own 400.
REJECTED = ("raw bearer own-type file basic basic-file http-headers proxy proxy-auth environment headers sigv4 "
            "far").split()


def rejects_of(agent):
    """The endpoints whose receivers' words have come to the disk."""
    return re.findall(r"\brejected-[\w-]+", obsagent("queue", "cat", "--rejects", agent.storage)[1])


def check(outputs):
    found = {where: leaks(text)[:4] for where, text in outputs.items() if leaks(text)}
    assert not found, "\n".join(f"{where}: {what}" for where, what in found.items())


def test_what_was_planted_was_told(world):
    wait_for("everything to be told", lambda: TOLD <= world.echo.heard)


def crawl(url, most=300):
    """{path: text} of the paths we know and those that they lead to."""
    texts, todo = {}, list(PATHS)
    while todo and len(texts) < most:
        path = todo.pop(0)
        if path in texts:
            continue
        texts[path] = http_get(url + path)[1]
        links = re.findall(r'(?:href|src|action)="(/?[^":#]*)["#]', texts[path])
        todo += [urllib.parse.urljoin(path, html.unescape(link)) for link in links]
    return texts


def test_no_page_and_no_api_shows_one(world):
    outputs = {}
    for n, agent in enumerate(world.agents):
        outputs |= {f"{path} of {n}": text for path, text in crawl(agent.url).items()}
    check(outputs)
    assert "<secret>" in outputs["/config of 0"] and "refused-bearer" in outputs["/targets of 0"]
    labels = json.dumps({"__address__": "a:1"})
    pools = json.loads(outputs["/api/v1/scrape_pools of 0"])["data"]["scrapePools"]
    base = world.agents[0].url + "/api/v1/targets/relabel_steps?labels=" + urllib.parse.quote(labels)
    assert "refused-raw" in pools
    check({pool: http_get(f"{base}&scrapePool={pool}")[1] for pool in pools})


def test_no_log_and_no_command_that_reads_a_directory_tells_one(world):
    outputs = {}
    for n, agent in enumerate(world.agents):
        rejecting = {f"rejected-{way}" for way in REJECTED} & names_of(agent)
        assert rejecting
        wait_for("words on disk", lambda: rejecting <= set(rejects_of(agent)))
        agent.reconfigure(agent.config_path.read_text().replace("HUSH-", "HUSH-2-") + "nonsense: HUSH-broken\n")
        outputs[f"log {n}"] = agent.output()
        outputs[f"rejects {n}"] = "".join(obsagent("queue", "cat", "--rejects", agent.storage)[1:])
        for verb in ("ls", "cat"):
            outputs[f"{verb} {n}"] = "".join(obsagent("queue", verb, agent.storage)[1:])
        for path in agent.storage.rglob("*.json*"):
            outputs[str(path)] = path.read_text(errors="replace")
    assert "nonsense" in outputs["log 0"]
    check(outputs)


def said(*argv, world=None, **more):
    code, out, err = obsagent(*argv, env=world.env if world else None, **more)
    return f"{code} {out}{err}"


def test_no_command_tells_one_of_a_configuration(world):
    outputs = {}
    for n, config in enumerate(world.configs):
        (world.place / "good.yml").write_text(config)
        outputs[f"check {n}"] = said("check", "good.yml", cwd=world.place, world=world)
        assert outputs[f"check {n}"].startswith("0 ")
        broken = re.sub(r"(HUSH-[\w-]+)", r"\1\\r", config).replace("X-Any", "X Any").replace("http://u:", "ftp://u:")
        (world.place / "broken.yml").write_text(broken)
        outputs[f"check of a broken one {n}"] = said("check", "broken.yml", cwd=world.place, world=world)
        outputs[f"run of a broken one {n}"] = said("run", "--config.file=broken.yml", cwd=world.place, world=world)
        assert "broken.yml:" in outputs[f"check of a broken one {n}"]
    for name in re.findall(r"job_name: (\S+)", world.configs[0])[::3]:
        for flag in ("--json", "--explain"):
            argv = ("scrape", f"--config.file={world.agents[0].config_path}", f"--job={name}", flag)
            outputs[f"scrape of {name} {flag}"] = said(*argv, cwd=world.place, world=world)
    check(outputs)


SCRAPES = [
    ("http://u:HUSH-a@ECHO/200?token=HUSH-b",),
    ("http://u:HUSH-a@ECHO/200?token=HUSH-b", "--json"),
    ("http://u:HUSH-a@ECHO/200?token=HUSH-b", "--lint=all"),
    ("http://u:HUSH-a@ECHO/401?x=1&api_key=HUSH-b", "--explain"),
    ("http://ECHO/200", "--header", "Authorization: Bearer HUSH-c", "--header", "X-Api-Key: HUSH-d", "--json"),
    ("http://ECHO/302", "--bearer-token-file=file"),
    ("http://ECHO/200", "--bearer-token-file=file", "--explain"),
    ("http://ECHO/500", "--bearer-token-file=file", "--json"),
    ("http://u:HUSH-e@nowhere.invalid/?key=HUSH-f",),
    ("http://u:HUSH-e@127.0.0.1:1/?key=HUSH-f",),
    ("http://u:HUSH-e@bad host/",),
    ("ftp://u:HUSH-e@host/",),
    ("http://u:HUSH-e@",),
]


def test_the_scrape_tester_tells_none(world):
    outputs = {}
    for argv in SCRAPES:
        argv = tuple(word.replace("ECHO", world.address) for word in argv)
        outputs[" ".join(argv)] = said("scrape", *argv, "--timeout=5s", cwd=world.place)
    check(outputs)


def test_flags_tell_none(world, run, tmp_path):
    argv = [
        "-promscrape.config=none.yml", "-remoteWrite.tmpDataPath=data",
        f"-remoteWrite.url=http://u:HUSH-flag-url@{world.address}/400?token=HUSH-flag-query",
        f"-remoteWrite.url=http://{world.address}/400", "-remoteWrite.bearerToken=,HUSH-flag",
    ]
    (world.place / "none.yml").write_text("scrape_configs:\n" + scrape_config("good", world.target.address))
    port = free_port()
    agent = run(Agent, tmp_path, None, port=port, wait=False,
                argv=[word.replace("=none.yml", f"={world.place}/none.yml").replace("=data", f"={tmp_path}/data")
                      for word in argv] + [f"-httpListenAddr=127.0.0.1:{port}", "-loggerLevel=INFO"])
    agent.wait_ready()
    wait_for("a refusal", lambda: "HUSH-flag" in world.echo.heard and "HUSH-flag-query" in world.echo.heard)
    wait_for("losses", lambda: agent.total("obsagent_samples_lost_total") > 0)
    outputs = {path: http_get(agent.url + path)[1] for path in PATHS}
    agent.end()
    outputs["log"] = agent.output()
    outputs["bad flags"] = said("run", *argv[2:], "-remoteWrite.label=HUSH", "-remoteWrite.urls=x", cwd=tmp_path)
    check(outputs)


def test_a_replay_tells_none(world):
    directory, outputs = world.agents[-1].storage, {}
    for url in (f"http://u:HUSH-replay@{world.address}/401?key=HUSH-replay2", "ftp://u:HUSH-replay@127.0.0.1:1/",
                "http://u:HUSH-replay@no host/"):
        outputs[url] = said("queue", "replay", directory, "--url", url, "--bearer-token-file=file",
                            "--give-up=500ms", "--endpoint=gone", cwd=world.place)
    assert "given up" in list(outputs.values())[0] and "HUSH-replay2" in world.echo.heard
    check(outputs)


def test_the_sink_does_not_say_its_token(run, tmp_path):
    sink = run(Sink, tmp_path, "HUSH-sink")
    for headers in ({}, {"Authorization": "Bearer HUSH-wrong"}):
        status, body = http_get(sink.url, method="POST", headers=headers)
        assert status == 401 and not leaks(body)
    sink.stop()
    assert not leaks(sink.output())


PUSHES = [
    ("--url=http://u:HUSH-g@ECHO/401?token=HUSH-h",),
    ("--url=http://u:HUSH-g@ECHO/400?token=HUSH-h", "--no-guessing"),
    ("--url=http://ECHO/401", "--bearer-token-file=file"),
    ("--url=http://ECHO/404", "--bearer-token-file=file", "--authorization-type="),
    ("--url=http://ECHO/302", "--username=me", "--password-file=file"),
    ("--url=http://ECHO/500", "--header", "Authorization: Splunk HUSH-i", "--header", "X-Api-Key: HUSH-j"),
    ("--url=http://u:HUSH-k@nowhere.invalid/?key=HUSH-l",),
    ("--url=https://u:HUSH-k@ECHO/?key=HUSH-l",),
    ("--url=http://u:HUSH-k@bad host/",),
    ("--url=ftp://u:HUSH-k@host/?key=HUSH-l",),
    ("--url=http://ECHO/", "--header", "X-Api-Key HUSH-m"),
]


def test_the_preflight_tells_none(world):
    """Of flags, and of each way in which an endpoint may show who it is."""
    outputs = {}
    common = ("--timeout=5s", "--max-body=0")
    for argv in PUSHES:
        argv = tuple(word.replace("ECHO", world.address) for word in argv)
        for form in ((), ("--json",)):
            outputs[" ".join(argv + form)] = said("push", *argv, *common, *form, cwd=world.place)
    for profile in ("mimir", "clickstack"):
        argv = ("push", f"--profile={profile}", f"http://u:HUSH-n@{world.address}/200?token=HUSH-o")
        outputs[profile] = said(*argv) + said(*argv, "--json")
    ways = {name: way.replace("ECHO", world.address) for name, way in REMOTE_WAYS.items() if name != "connect"}
    (world.place / "push.yml").write_text("remote_write:\n" + "".join(
        remote(name, f"http://{world.address}/{(401, 400)[n % 2]}", way) for n, (name, way) in enumerate(ways.items())
    ))
    for name in ways:
        argv = ("push", "--config.file=push.yml", f"--endpoint={name}", "--json")
        outputs[name] = said(*argv, *common, cwd=world.place, world=world)
        assert outputs[name].startswith("1 "), outputs[name]
    check(outputs)
    assert "<secret>" in outputs["bearer"] and "<secret>" in outputs["basic"]
