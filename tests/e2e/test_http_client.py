"""test_http_client: tokens, proxies and HTTP/2 of scrapes, where it can be as Prometheus does it beside us."""

import base64
import http.server
import json
import textwrap
import threading
import urllib.parse

import pytest

import harness
from harness import Agent, Process, Target, free_port, http_get, make_certificates, peer, peer_env, scrape_config
from harness import wait_for

BODY = "requests_total 5\n"


class Endpoint:
    """Gives tokens t1, t2, ... to who knows the secret; `style` says where it must stand."""

    def __init__(self, style="header"):
        self.seen = []  # (Authorization, form)
        self.given = 0
        endpoint = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                form = dict(urllib.parse.parse_qsl(body))
                authorization = self.headers.get("Authorization")
                endpoint.seen.append((authorization, tuple(sorted(form.items()))))
                basic = "Basic " + base64.b64encode(b"me:s3cret%26").decode()
                known = authorization == basic if style == "header" else form.get("client_secret") == "s3cret&"
                if known:
                    endpoint.given += 1
                    answer = {"access_token": f"t{endpoint.given}", "token_type": "bearer", "expires_in": 3600}
                else:
                    answer = {"error": "invalid_client"}
                data = json.dumps(answer).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def prometheus(run, directory, config, env=None):
    (directory / "prometheus.yml").write_text(config)
    port = free_port()
    run(
        Process,
        [
            peer("usr/bin/prometheus"),
            f"--config.file={directory}/prometheus.yml",
            f"--storage.tsdb.path={directory}/prometheus",
            f"--web.listen-address=127.0.0.1:{port}",
        ],
        directory / "prometheus.log",
        env={**peer_env(), **(env or {})},
    )


def headers_of(target):
    return [{k.lower(): v for k, v in headers.items()} for _, headers, _ in target.requests]


def oauth2(endpoint, extra=""):
    return (
        f"  oauth2:\n    client_id: me\n    client_secret: s3cret&\n    token_url: {endpoint.url}\n"
        f"    scopes: [a, 'b:c']\n    endpoint_params: {{audience: 'https://x/?'}}\n{extra}"
    )


@pytest.mark.sanitized
@pytest.mark.parametrize("style", ["header", "body"])
def test_the_endpoint_is_asked_as_prometheus_asks(run, tmp_path, style):
    ours, theirs = run(Endpoint, style), run(Endpoint, style)
    target, other = run(Target, BODY), run(Target, BODY)
    run(Agent, tmp_path, "scrape_configs:\n" + scrape_config("j", target.address, extra=oauth2(ours)))
    prometheus(run, tmp_path, "scrape_configs:\n" + scrape_config("j", other.address, extra=oauth2(theirs)))
    for t in (target, other):
        wait_for("two scrapes", lambda t=t: len(t.requests) >= 2)
    assert [h["authorization"] for h in headers_of(target)[:2]] == ["Bearer t1"] * 2
    assert [h["authorization"] for h in headers_of(other)[:2]] == ["Bearer t1"] * 2
    assert ours.seen == theirs.seen
    assert len(ours.seen) == (1 if style == "header" else 2)


@pytest.mark.sanitized
def test_a_refused_token_is_replaced(run, tmp_path):
    endpoint = run(Endpoint)
    target = run(Target)
    valid = {"token": "Bearer t1"}

    def body(number):
        return BODY if headers_of(target)[-1].get("authorization") == valid["token"] else (401, "")

    target.body = body
    agent = run(Agent, tmp_path, "scrape_configs:\n" + scrape_config("j", target.address, extra=oauth2(endpoint)))

    def health():
        return [t["health"] for t in agent.targets("j")]

    wait_for("a good scrape", lambda: health() == ["up"])
    valid["token"] = "Bearer t2"
    wait_for("the next token", lambda: target.requests and headers_of(target)[-1]["authorization"] == "Bearer t2")
    wait_for("a good scrape", lambda: health() == ["up"])
    assert endpoint.given == 2


def test_a_wrong_secret_is_told_and_not_shown(run, tmp_path):
    endpoint = run(Endpoint)
    target = run(Target, BODY)
    extra = oauth2(endpoint).replace("s3cret&", "HUSH")
    agent = run(Agent, tmp_path, "scrape_configs:\n" + scrape_config("j", target.address, extra=extra))
    wait_for("an error", lambda: agent.targets("j")[0]["lastError"])
    host = endpoint.url.split("/")[2]
    want = f"oauth2: cannot get a token from {host}: status 401: invalid_client"
    assert want in agent.targets("j")[0]["lastError"]
    assert target.requests == []
    assert "HUSH" not in agent.output()
    assert "HUSH" not in http_get(agent.url + "/config")[1]


def test_a_proxy_hears_what_it_hears_from_prometheus(run, tmp_path):
    ours, theirs = run(Target, BODY), run(Target, BODY)
    for proxy, start in ((ours, lambda c: run(Agent, tmp_path, c)), (theirs, lambda c: prometheus(run, tmp_path, c))):
        extra = f"  proxy_url: http://me:word@{proxy.address}\n  basic_auth: {{username: u, password: p}}\n"
        start("scrape_configs:\n" + scrape_config("j", "nowhere.invalid:99", extra=extra))
    for proxy in (ours, theirs):
        wait_for("a scrape", lambda p=proxy: p.requests)
    assert ours.requests[0][0] == theirs.requests[0][0] == "http://nowhere.invalid:99/metrics"
    for name in ("host", "authorization", "proxy-authorization"):
        assert headers_of(ours)[0][name] == headers_of(theirs)[0][name], name


def test_the_environments_proxy_is_for_those_who_ask(run, tmp_path):
    proxy, direct = run(Target, BODY), run(Target, BODY)
    env = {**harness.os.environ, "http_proxy": f"http://{proxy.address}", "no_proxy": "10.0.0.0/8,.internal"}
    config = "scrape_configs:\n" + scrape_config("direct", direct.address)
    config += scrape_config("asks", "nowhere.invalid:99", extra="  proxy_from_environment: true\n")
    agent = run(Agent, tmp_path, config, env=env)
    wait_for("both", lambda: all(t["health"] == "up" for t in agent.targets()) and len(agent.targets()) == 2)
    assert {path for path, _, _ in proxy.requests} == {"http://nowhere.invalid:99/metrics"}
    assert {path for path, _, _ in direct.requests} == {"/metrics"}


def test_http2_is_spoken_when_asked_for(run, tmp_path):
    make_certificates(tmp_path)
    jobs = {"one": "", "two": "  enable_http2: true\n",
            "closing": "  enable_http2: true\n  disable_keepalive: true\n"}
    # A port for each: a connection that another job keeps may serve this one, whichever version it has.
    ports = {job: free_port() for job in jobs}
    listen = " ".join(f"listen 127.0.0.1:{port} ssl http2;" for port in ports.values())
    (tmp_path / "html").mkdir()
    (tmp_path / "html/metrics").write_text(BODY)
    log = tmp_path / "access.log"
    (tmp_path / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off; master_process off; worker_processes 1;
        pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx-error.log;
        events {{ worker_connections 256; }}
        http {{
          log_format short '$http_x_job $server_protocol $status';
          access_log {log} short; default_type text/plain;
          client_body_temp_path {tmp_path}/ngx1; proxy_temp_path {tmp_path}/ngx2; fastcgi_temp_path {tmp_path}/ngx3;
          uwsgi_temp_path {tmp_path}/ngx4; scgi_temp_path {tmp_path}/ngx5;
          server {{
            {listen}
            ssl_certificate {tmp_path}/server.pem; ssl_certificate_key {tmp_path}/server.key;
            root {tmp_path}/html;
          }}
        }}
        """))
    run(Process, [peer("usr/sbin/nginx"), "-p", tmp_path, "-c", tmp_path / "nginx.conf"], tmp_path / "nginx.log",
        env=peer_env())
    wait_for("nginx", lambda: all(map(harness.can_connect, ports.values())))
    config = "scrape_configs:\n"
    for job, extra in jobs.items():
        extra += f"  scheme: https\n  tls_config: {{ca_file: ca.pem}}\n  http_headers: {{X-Job: {{values: [{job}]}}}}\n"
        config += scrape_config(job, f"127.0.0.1:{ports[job]}", extra=extra)
    agent = run(Agent, tmp_path, config)
    wait_for("all up", lambda: [t["health"] for t in agent.targets()] == ["up"] * 3)
    wait_for("a second round", lambda: log.read_text().count("\n") >= 6)
    assert set(log.read_text().splitlines()) == {"one HTTP/1.1 200", "two HTTP/2.0 200", "closing HTTP/2.0 200"}
