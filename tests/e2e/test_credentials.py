"""test_credentials: how an endpoint shows who it is, and how it gets to its receiver: each way against a real server
that looks; what was refused is tried again as soon as a file is corrected; nothing is lost, sent twice or told."""

import base64
import calendar
import dataclasses
import hashlib
import hmac
import os
import subprocess
import time
import urllib.parse

import pytest

from doors import Door, Tokens, Tunnel, nginx
from harness import Agent, Receiver, Target, can_connect, check_once_and_in_order, free_port, http_get
from harness import make_certificates, obsagent, scrape_config, wait_for, write_atomically

BODY = "requests_total 5\n"
LONG = "{min_backoff: 10m, max_backoff: 10m}"  # no try of its own comes while a test looks
SHORT = "{min_backoff: 50ms, max_backoff: 200ms}"


def endpoint(name, url, fields="", backoff=SHORT):
    """An item of remote_write; fields are lines."""
    indented = "".join(f"  {line}\n" for line in fields.splitlines())
    return f"- name: {name}\n  url: {url}\n  queue_config: {backoff}\n{indented}"


def start(run, directory, endpoints, env=None, target=None):
    target = target or run(Target, BODY)
    config = "remote_write:\n" + "".join(endpoints) + "scrape_configs:\n" + scrape_config("j", target.address)
    return run(Agent, directory, config, env={**os.environ, **(env or {})})


def state(agent, name):
    for (metric, labels), value in agent.metrics().items():
        if metric == "obsagent_remote_state" and ("endpoint", name) in labels and value == 1:
            return dict(labels)["state"]


def wait_state(agent, name, want):
    wait_for(f"{name} to be {want}", lambda: state(agent, name) == want)


def check_delivered(agent, name, receiver):
    """Everything so far arrives, once and in order; nothing is lost."""
    wait_for(f"samples at {name}", lambda: len(receiver.snapshot()) >= 12)
    wait_for("nothing in the buffer",
             lambda: agent.total("obsagent_samples_delivered_total", endpoint=name) == len(receiver.snapshot()))
    check_once_and_in_order(receiver.snapshot())
    assert agent.assert_balanced(name)["lost"] == 0


# ---- what the Authorization header and others say, against nginx ----


@dataclasses.dataclass
class Way:
    name: str
    fields: str  # FILE is the file that is wrong at first
    nginx: str  # lets in who is right; WRONG means "let nobody in"
    right: str = "good-one"
    wrong: str = "bad-one"


def exactly(variable, value):
    return f'if ({variable} != "{value}") {{ return 401; }}'


BASIC = "auth_basic x; auth_basic_user_file USERS;"

WAYS = [
    Way("bearer", "authorization: {credentials_file: FILE}", exactly("$http_authorization", "Bearer good-one")),
    Way("old_bearer", "bearer_token_file: FILE", exactly("$http_authorization", "Bearer good-one")),
    Way("scheme", "authorization: {type: Token, credentials_file: FILE}",
        exactly("$http_authorization", "Token good-one")),
    Way("raw", 'authorization: {type: "", credentials_file: FILE}', exactly("$http_authorization", "good-one")),
    Way("password", "basic_auth: {username: me, password_file: FILE}", BASIC),
    Way("username", "basic_auth: {username_file: FILE, password: good-one}", BASIC, right="me", wrong="you"),
    Way("header", "http_headers: {X-Key: {files: [FILE]}}", exactly("$http_x_key", "good-one")),
    Way("newline", "authorization: {credentials_file: FILE}", exactly("$http_authorization", "Bearer good-one"),
        right="good-one\n", wrong="\n"),
    Way("absent", "authorization: {credentials_file: FILE}", exactly("$http_authorization", "Bearer good-one"),
        wrong=None),
    Way("forbidden", "authorization: {credentials_file: FILE}",
        exactly("$http_authorization", "Bearer good-one").replace("401", "403")),
]
INLINE = [
    Way("inline_bearer", "authorization: {credentials: good-one}", exactly("$http_authorization", "Bearer good-one")),
    Way("inline_basic", "basic_auth: {username: me, password: good-one}", BASIC),
    Way("inline_header", "headers: {X-Key: good-one}", exactly("$http_x_key", "good-one")),
    Way("inline_secret", "http_headers: {X-Key: {secrets: [good-one]}}", exactly("$http_x_key", "good-one")),
    Way("in_url", "", BASIC),
]


@pytest.mark.sanitized
def test_each_way_is_refused_until_its_file_is_right(run, tmp_path):
    ways = WAYS + INLINE
    receivers = {w.name: run(Receiver) for w in ways}
    (tmp_path / "users").write_text("me:{PLAIN}good-one\n")
    port = free_port()
    places = "".join(
        f"location /{w.name}/ {{ {w.nginx.replace('USERS', str(tmp_path / 'users'))}"
        f" proxy_pass http://127.0.0.1:{receivers[w.name].port}; }}\n" for w in ways)
    nginx(run, tmp_path, f"server {{ listen 127.0.0.1:{port}; {places} }}", lambda: can_connect(port))
    endpoints = []
    for w in ways:
        file = tmp_path / w.name
        if w in WAYS and w.wrong is not None:
            file.write_text(w.wrong)
        user = "me:good-one@" if w.name == "in_url" else ""
        url = f"http://{user}127.0.0.1:{port}/{w.name}/write"
        endpoints.append(endpoint(w.name, url, w.fields.replace("FILE", str(file)), LONG))
    agent = start(run, tmp_path, endpoints)
    for w in INLINE:
        check_delivered(agent, w.name, receivers[w.name])
    for w in WAYS:
        wait_state(agent, w.name, "auth_failing")
        assert receivers[w.name].requests == []
    for i, w in enumerate(WAYS):
        (tmp_path / w.name).write_text(w.right)
        check_delivered(agent, w.name, receivers[w.name])
        for other in WAYS[i + 1:]:
            assert receivers[other.name].requests == [], "nobody has another one's credentials"


def test_a_file_that_changes_is_read_for_the_next_request(run, tmp_path):
    token = tmp_path / "token"
    token.write_text("one")
    good = {"Bearer one"}
    door = run(Door, lambda path, headers, body: 204 if headers["Authorization"] in good else 401)
    fields = "authorization: {credentials_file: token}"
    agent = start(run, tmp_path, [endpoint("main", door.url, fields, LONG)])
    wait_for("samples", door.snapshot)
    good.add("Bearer two")
    write_atomically(token, "two")
    wait_for("the new token", lambda: door.knocks[-1].headers["Authorization"] == "Bearer two")
    good.discard("Bearer one")
    check_delivered(agent, "main", door)
    assert door.statuses()[401] == 0
    good.clear()
    good.add("Bearer three")
    wait_state(agent, "main", "auth_failing")
    token.write_text("three")
    wait_state(agent, "main", "ok")
    check_delivered(agent, "main", door)


# ---- OAuth 2.0 ----


def oauth2(tokens, secret="client_secret: s3cret"):
    return f"oauth2: {{client_id: me, token_url: '{tokens.url}', {secret}}}"


def bearer(knock):
    return knock.headers.get("Authorization", "").removeprefix("Bearer ")


@pytest.mark.sanitized
def test_a_token_is_kept_renewed_early_and_shared_by_nobody(run, tmp_path):
    long, short = run(Tokens), run(Tokens, expires_in=6)
    lists = (long.given, short.given)

    def judge(path, headers, body):
        token = headers.get("Authorization", "").removeprefix("Bearer ")
        return 204 if any(given.get(token, 0) > time.monotonic() for given in lists) else 401

    doors = {name: run(Door, judge) for name in ("one", "two", "short")}
    agent = start(run, tmp_path, [
        endpoint(name, door.url, oauth2(short if name == "short" else long)) for name, door in doors.items()
    ])
    wait_for("three tokens of short life", lambda: len(short.given) >= 3)
    for name, door in doors.items():
        check_delivered(agent, name, door)
        assert door.statuses()[401] == 0, "a token is replaced before it ends"
    used = {name: {bearer(k) for k in doors[name].knocks} for name in ("one", "two")}
    assert len(used["one"]) == len(used["two"]) == 1 and used["one"] != used["two"]
    assert long.asked == 2


def test_a_refused_token_is_replaced_and_a_wrong_secret_is_tried_again_when_corrected(run, tmp_path):
    tokens = run(Tokens)
    good = {"t1"}
    door = run(Door, lambda path, headers, body: 204 if bearer_of(headers) in good else 401)
    secret = tmp_path / "secret"
    secret.write_text("wrong")
    agent = start(run, tmp_path,
                  [endpoint("main", door.url, oauth2(tokens, "client_secret_file: secret"), LONG)])
    wait_for("a refusal", lambda: tokens.asked)
    wait_for("a word about it", lambda: "cannot get a token from 127.0.0.1" in agent.output())
    secret.write_text("s3cret")
    wait_for("samples", door.snapshot)
    assert tokens.given.keys() == good and state(agent, "main") == "ok"

    agent.reconfigure(agent.config_path.read_text().replace(LONG, SHORT))
    wait_for("a request after the reload", lambda n=len(door.knocks): len(door.knocks) > n)
    good.clear()
    good.update(f"t{n}" for n in range(3, 9))
    wait_for("a new token", lambda: len(tokens.given) >= 3)
    wait_state(agent, "main", "ok")
    check_delivered(agent, "main", door)


def bearer_of(headers):
    return headers.get("Authorization", "").removeprefix("Bearer ")


# ---- AWS ----


def signature(key, path, query, headers, body, region, service):
    """What AWS makes of a request; computed as its documentation says."""
    fields = dict(f.strip().split("=", 1) for f in headers["Authorization"].split(" ", 1)[1].split(","))
    names = fields["SignedHeaders"].split(";")
    params = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
    quote = lambda s: urllib.parse.quote(s, safe="-_.~")
    canonical = "\n".join([
        "POST", urllib.parse.quote(path, safe="/-_.~"), "&".join(f"{quote(k)}={quote(v)}" for k, v in params),
        *(f"{n}:{' '.join(headers[n].split())}" for n in names), "", ";".join(names), hashlib.sha256(body).hexdigest(),
    ])
    date = headers["X-Amz-Date"]
    scope = f"{date[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(["AWS4-HMAC-SHA256", date, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    made = f"AWS4{key}".encode()
    for part in (date[:8], region, service, "aws4_request", text):
        made = hmac.new(made, part.encode(), hashlib.sha256).digest()
    return names, fields["Credential"], scope, fields["Signature"], made.hex()


def aws(keys, region="eu-west-1", service="aps", session=None):
    def judge(path, headers, body):
        path, _, query = path.partition("?")
        id = headers["Authorization"].split("Credential=")[1].split("/")[0]
        names, credential, scope, got, want = signature(keys.get(id, ""), path, query, headers, body, region, service)
        sent = [h.lower() for h in headers if h.lower().startswith("x-amz-")] + ["host", "content-type"]
        then = calendar.timegm(time.strptime(headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
        good = (id in keys and got == want and credential == f"{id}/{scope}" and sorted(sent) == names == sorted(names)
                and headers["X-Amz-Content-Sha256"] == hashlib.sha256(body).hexdigest()
                and headers["X-Amz-Security-Token"] == session and abs(then - time.time()) < 60)
        return 204 if good else 403

    return judge


@pytest.mark.sanitized
def test_aws_accepts_the_signature(run, tmp_path):
    shared = tmp_path / "aws"
    shared.write_text("[default]\naws_access_key_id = D\naws_secret_access_key = not/this+one\n"
                      "[amp]\naws_access_key_id = P\naws_secret_access_key = wrong\n")
    doors = {
        "inline": (run(Door, aws({"I": "in/line+key"})), "region: eu-west-1, access_key: I, secret_key: in/line+key"),
        "environment": (run(Door, aws({"E": "env/key"}, session="a+session/token==")), "region: eu-west-1"),
        "service": (run(Door, aws({"I": "k"}, "us-east-2", "other")),
                    "region: us-east-2, access_key: I, secret_key: k, service_name: other"),
        "profile": (run(Door, aws({"P": "pro/file"}, "from-environment")), "profile: amp"),
    }
    env = {"AWS_ACCESS_KEY_ID": "E", "AWS_SECRET_ACCESS_KEY": "env/key", "AWS_SESSION_TOKEN": "a+session/token==",
           "AWS_SHARED_CREDENTIALS_FILE": str(shared), "AWS_REGION": "from-environment"}
    paths = {"inline": "workspaces/ws-1/api/v1/remote_write", "service": "a%20b/./c;d/x?z=1&a=b%2Fc&z=0&e"}
    agent = start(run, tmp_path, [
        endpoint(name, f"http://127.0.0.1:{door.port}/{paths.get(name, '')}", f"sigv4: {{{keys}}}", LONG)
        for name, (door, keys) in doors.items()
    ], env)
    for name in ("inline", "environment", "service"):
        check_delivered(agent, name, doors[name][0])
        assert set(doors[name][0].statuses()) == {204}
    wait_state(agent, "profile", "auth_failing")
    shared.write_text(shared.read_text().replace("wrong", "pro/file"))
    check_delivered(agent, "profile", doors["profile"][0])


# ---- TLS ----


def certificate(directory, name, ca, out):
    """A certificate for target.test alone, signed by ca.pem or other.pem."""
    run = lambda *argv: subprocess.run(["openssl", *map(str, argv)], check=True, cwd=directory, capture_output=True)
    (directory / "ext").write_text("subjectAltName=DNS:target.test\n")
    run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
        "-keyout", f"{out}.key", "-out", f"{out}.csr")
    run("x509", "-req", "-days", 2, "-in", f"{out}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
        "-CAcreateserial", "-extfile", "ext", "-out", f"{out}.pem")


def swap(directory, new, old):
    """Both files at once, as a certificate manager does it with a link."""
    for suffix in ("key", "pem"):
        os.replace(directory / f"{new}.{suffix}", directory / f"{old}.{suffix}")


@pytest.mark.sanitized
@pytest.mark.parametrize("refusal", ["error_page 495 496 =401 /refused;", ""], ids=["401", "nginx's own 400"])
def test_certificates_are_replaced_while_it_runs(run, tmp_path, refusal):
    """A 400 about the certificate is told from one about the samples by an empty request."""
    make_certificates(tmp_path)
    certificate(tmp_path, "server", "ca", "server")
    (tmp_path / "trusted.pem").write_text((tmp_path / "other.pem").read_text())
    receiver, port = run(Receiver), free_port()
    block = f"""server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {tmp_path}/server.pem; ssl_certificate_key {tmp_path}/server.key;
        ssl_verify_client on; ssl_client_certificate {tmp_path}/ca.pem; {refusal}
        location / {{ proxy_pass http://127.0.0.1:{receiver.port}; }} }}"""
    server = nginx(run, tmp_path, block, lambda: can_connect(port))
    fields = ("tls_config: {ca_file: trusted.pem, cert_file: client.pem, key_file: client.key, "
              "server_name: target.test}\nconnection_lifetime: 1s")
    agent = start(run, tmp_path, [endpoint("main", f"https://127.0.0.1:{port}/write", fields, LONG)])
    log = lambda: [line.split() for line in (tmp_path / "access.log").read_text().splitlines()]

    wait_state(agent, "main", "retrying")
    assert receiver.requests == []
    (tmp_path / "trusted.pem").write_text((tmp_path / "ca.pem").read_text())
    check_delivered(agent, "main", receiver)
    assert set(map(tuple, log())) == {("/write", "204", "CN=client", "target.test")}

    certificate(tmp_path, "second", "ca", "new")
    swap(tmp_path, "new", "client")
    wait_for("the new certificate", lambda: log()[-1][2] == "CN=second")

    certificate(tmp_path, "stranger", "other", "new")
    swap(tmp_path, "new", "client")
    wait_state(agent, "main", "auth_failing")
    certificate(tmp_path, "third", "ca", "new")
    swap(tmp_path, "new", "client")
    wait_for("the third certificate", lambda: log()[-1][2] == "CN=third")

    server.kill9()
    wait_state(agent, "main", "retrying")
    certificate(tmp_path, "server", "other", "server")
    nginx(run, tmp_path, block, lambda: can_connect(port))
    (tmp_path / "trusted.pem").write_text((tmp_path / "other.pem").read_text())
    wait_state(agent, "main", "ok")
    check_delivered(agent, "main", receiver)
    assert agent.total("obsagent_samples_lost_total") == 0


@pytest.mark.sanitized
def test_a_refused_series_is_found_behind_a_certificate(run, tmp_path):
    """Also by a receiver that refuses empty requests, once it has taken something."""
    make_certificates(tmp_path)
    certificate(tmp_path, "server", "ca", "server")
    bad = lambda labels: labels["__name__"] == "scrape_duration_seconds"
    answer = lambda s, headers, number: 400 if number and any(bad(labels) for labels, _, _ in s) else 204
    lenient, other, port = run(Receiver, answer), run(Receiver, answer), free_port()
    block = f"""server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {tmp_path}/server.pem; ssl_certificate_key {tmp_path}/server.key;
        ssl_verify_client on; ssl_client_certificate {tmp_path}/ca.pem;
        location /write {{ proxy_pass http://127.0.0.1:{lenient.port}; }}
        location /strict {{
          if ($content_length = 1) {{ return 400; }}
          proxy_pass http://127.0.0.1:{other.port}; }} }}"""
    nginx(run, tmp_path, block, lambda: can_connect(port))
    fields = "tls_config: {ca_file: ca.pem, cert_file: client.pem, key_file: client.key, server_name: target.test}"
    for path in ("write", "strict"):
        directory = tmp_path / path
        directory.mkdir()
        for name in ("ca.pem", "client.pem", "client.key"):
            (directory / name).write_bytes((tmp_path / name).read_bytes())
        agent = start(run, directory, [endpoint("main", f"https://127.0.0.1:{port}/{path}", fields)])
        wait_for("a loss", lambda: agent.total("obsagent_samples_lost_total", reason="rejected") >= 2)
        books = agent.assert_balanced("main")
        assert books["delivered"] > books["lost"]


def test_another_servers_certificate_is_not_accepted(run, tmp_path):
    make_certificates(tmp_path)
    door = run(Door, tls=(tmp_path / "server.pem", tmp_path / "server.key"))
    url = f"https://127.0.0.1:{door.port}/write"
    agent = start(run, tmp_path, [
        endpoint("name", url, "tls_config: {ca_file: ca.pem, server_name: wrong.test}"),
        endpoint("ca", url, "tls_config: {ca_file: other.pem}"),
        endpoint("system", url),
    ])
    for name in ("name", "ca", "system"):
        wait_state(agent, name, "retrying")
        assert agent.assert_balanced(name)["delivered"] == 0
    assert door.knocks == []


# ---- proxies ----


@pytest.mark.sanitized
def test_proxies_are_told_who_we_are_and_only_they(run, tmp_path):
    make_certificates(tmp_path)
    plain, direct = run(Door), run(Door)
    secure = run(Door, tls=(tmp_path / "server.pem", tmp_path / "server.key"))
    connect, socks = run(Tunnel, secure.port), run(Tunnel, plain.port)
    forward = run(Door, lambda path, headers, body: 204 if "Proxy-Authorization" in headers else 407)
    environment = run(Door)
    own = "authorization: {credentials: mine}\n"
    tls = f"tls_config: {{ca_file: {tmp_path}/ca.pem}}\n"
    agent = start(run, tmp_path, [
        endpoint("forward", "http://nowhere.invalid:81/write",
                 own + f"proxy_url: http://me:wo%40rd@127.0.0.1:{forward.port}"),
        endpoint("connect", "https://target.test/write", own + tls +
                 f"proxy_url: http://127.0.0.1:{connect.port}\nproxy_basic_auth: {{username: me, password: word}}\n"
                 "proxy_connect_header: {X-Door: [open]}"),
        endpoint("socks", "http://nowhere.invalid:82/write",
                 own + f"proxy_url: socks5://me:word@127.0.0.1:{socks.port}"),
        endpoint("around", direct.url, own + "proxy_url: http://127.0.0.1:1\nno_proxy: '127.0.0.0/8'"),
        endpoint("asks", "http://nowhere.invalid:83/write", "proxy_from_environment: true"),
    ], {"http_proxy": f"http://127.0.0.1:{environment.port}", "no_proxy": ""})
    for name, door in {"forward": forward, "connect": secure, "socks": plain, "around": direct,
                       "asks": environment}.items():
        check_delivered(agent, name, door)
    for door in (secure, plain, direct):
        assert {(k.path, k.headers["Authorization"], k.headers["Proxy-Authorization"], k.headers["X-Door"])
                for k in door.knocks} <= {(p, "Bearer mine", None, None) for p in ("/write", "/api/v1/write")}
    known = "Basic " + base64.b64encode(b"me:wo@rd").decode()
    assert {(k.path, k.headers["Proxy-Authorization"]) for k in forward.knocks} == {
        ("http://nowhere.invalid:81/write", known)}
    assert {k.path for k in environment.knocks} == {"http://nowhere.invalid:83/write"}
    assert {host for host, *_ in socks.seen} == {"nowhere.invalid"}, "the proxy looks the name up"
    for head in connect.seen:
        assert head.startswith("CONNECT target.test:443 ") and "X-Door: open\r\n" in head and "mine" not in head


def test_what_a_proxy_refuses_is_corrected_too(run, tmp_path):
    make_certificates(tmp_path)
    secure = run(Door, tls=(tmp_path / "server.pem", tmp_path / "server.key"))
    connect, known = run(Tunnel, secure.port), "Basic " + base64.b64encode(b"me:word").decode()
    forward = run(Door, lambda path, headers, body: 204 if headers["Proxy-Authorization"] == known else 407)
    (tmp_path / "password").write_text("wrong")
    proxy = "proxy_url: http://127.0.0.1:{}\nproxy_basic_auth: {{username: me, password_file: password}}"
    agent = start(run, tmp_path, [
        endpoint("forward", "http://nowhere.invalid/write", proxy.format(forward.port), LONG),
        endpoint("connect", "https://target.test/write",
                 f"tls_config: {{ca_file: {tmp_path}/ca.pem}}\n" + proxy.format(connect.port), LONG),
    ])
    wait_state(agent, "forward", "auth_failing")
    wait_state(agent, "connect", "retrying")
    (tmp_path / "password").write_text("word")
    check_delivered(agent, "forward", forward)
    check_delivered(agent, "connect", secure)


# ---- redirects ----


@pytest.mark.sanitized
def test_credentials_do_not_follow_to_another_place(run, tmp_path):
    elsewhere = run(Door, lambda path, headers, body: 204, "127.0.0.2")
    status = {"301": 301, "302": 302, "303": 303, "307": 307, "308": 308}
    home = {}

    def judge(name):
        to = elsewhere.url.replace("write", name)
        return lambda path, headers, body: (status[name.split("_")[0]], {"Location": to})

    ways = {"bearer": "authorization: {credentials: HUSH}", "basic": "basic_auth: {username: u, password: HUSH}",
            "header": "http_headers: {X-Any: {secrets: [HUSH]}}", "cookie": "headers: {Cookie: HUSH}",
            "key": "headers: {X-Api-Key: HUSH}",
            "sigv4": "sigv4: {region: r, access_key: HUSH, secret_key: HUSH}"}
    endpoints = []
    for name in [f"307_{way}" for way in ways] + ["308_bearer", "301_bearer", "302_bearer", "303_bearer", "307_stay"]:
        home[name] = run(Door, judge(name))
        kind = name.split("_")[1]
        fields = ways.get(kind, ways["bearer"]) + ("\nfollow_redirects: false" if kind == "stay" else "")
        endpoints.append(endpoint(name, home[name].url, fields))
    local = run(Door, lambda path, headers, body: 204 if path == "/moved" else (307, {"Location": "/moved"}))
    endpoints.append(endpoint("local", local.url, ways["bearer"]))
    agent = start(run, tmp_path, endpoints)
    check_delivered(agent, "local", local)
    assert all(k.headers["Authorization"] == "Bearer HUSH" for k in local.knocks)
    for name, door in home.items():
        wait_for(f"{name}", lambda d=door: d.knocks)
        assert all("HUSH" in str(k.headers) or k.headers["Authorization"] for k in door.knocks)
        if name[:3] in ("307", "308") and name != "307_stay":
            wait_for("it to go there", lambda n=name: any(k.path.endswith(n) for k in elsewhere.knocks))
        else:
            wait_state(agent, name, "wrong_url")
    followed = {k.path.rsplit("/", 1)[1] for k in elsewhere.knocks}
    assert followed == {n for n in home if n[:3] in ("307", "308")} - {"307_stay"}
    for knock in elsewhere.knocks:
        assert "HUSH" not in str(knock.headers) and "Authorization" not in knock.headers
        assert knock.body, "a POST stays a POST"


# ---- a socket ----


def test_a_unix_socket_leads_there_whatever_the_url_says(run, tmp_path):
    receiver = run(Receiver)
    (tmp_path / "html").mkdir()
    (tmp_path / "html/metrics").write_text(BODY)
    path = tmp_path / "nginx.sock"
    nginx(run, tmp_path, f"""server {{ listen unix:{path}; root {tmp_path}/html;
        location /write {{ if ($http_authorization != "Bearer x") {{ return 401; }}
                           if ($http_host != "nowhere.invalid:81") {{ return 404; }}
                           proxy_pass http://127.0.0.1:{receiver.port}; }} }}""", path.exists)
    fields = "unix_socket: nginx.sock\nauthorization: {credentials: x}"
    config = "remote_write:\n" + endpoint("main", "http://nowhere.invalid:81/write", fields)
    config += "scrape_configs:\n" + scrape_config("j", "nowhere.invalid:99", extra="  unix_socket: nginx.sock\n")
    agent = run(Agent, tmp_path, config)
    wait_for("a scrape", lambda: [t["health"] for t in agent.targets("j")] == ["up"])
    check_delivered(agent, "main", receiver)
    assert "unix_socket: " + str(path) in http_get(agent.url + "/config")[1]


# ---- names ----

SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);

/* The addresses of a name are the words behind it in the file NAMES. */
int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **out)
{
    lookup *real = (lookup *)dlsym(RTLD_NEXT, "getaddrinfo");
    char line[256];
    FILE *f = name ? fopen(getenv("NAMES"), "r") : NULL;
    int found = 0;
    while (f && !found && fgets(line, sizeof line, f)) {
        char *save, *word = strtok_r(line, " \n", &save);
        if (!word || strcmp(word, name) != 0)
            continue;
        for (struct addrinfo **end = out; (word = strtok_r(NULL, " \n", &save)); end = &(*end)->ai_next, found = 1)
            if (real(word, service, hints, end) != 0)
                abort();
    }
    if (f)
        fclose(f);
    return found ? 0 : real(name, service, hints, out);
}
"""


class Names:
    """Says which addresses a name has, to a process started with its env."""

    def __init__(self, directory):
        self.file, library = directory / "names.txt", directory / "names.so"
        (directory / "names.c").write_text(SHIM)
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, directory / "names.c", "-ldl"], check=True)
        self.env = {"LD_PRELOAD": str(library), "NAMES": str(self.file)}

    def set(self, addresses):
        new = self.file.with_suffix(".new")
        new.write_text(f"moving.test {addresses}\n")
        new.rename(self.file)


def two_doors(run):
    """On the same port of two addresses, with one list of what they let in."""
    first = run(Door)
    second = run(Door, None, "127.0.0.2", first.port)
    second.accepted, second.lock = first.accepted, first.lock
    return first, second


def test_a_name_that_moves_is_followed(run, tmp_path):
    names = Names(tmp_path)
    names.set("127.0.0.1")
    old, new = two_doors(run)
    url = f"http://moving.test:{old.port}/write"
    agent = start(run, tmp_path, [endpoint("main", url, "connection_lifetime: 1s")], names.env)
    wait_for("samples", old.snapshot)
    names.set("127.0.0.2")
    wait_for("somebody at the new place", lambda: new.knocks)
    wait_for("old connections to end", lambda: len(new.knocks) > 5)
    last = len(old.knocks)
    wait_for("more at the new place", lambda: len(new.knocks) > 9)
    assert len(old.knocks) == last, "nobody goes back"
    check_delivered(agent, "main", new)


def test_a_connection_is_kept_for_ever_only_when_told_to_and_left_after_failures(run, tmp_path):
    names = Names(tmp_path)
    names.set("127.0.0.1")
    old, new = two_doors(run)
    url = f"http://moving.test:{old.port}/write"
    agent = start(run, tmp_path, [endpoint("main", url, "connection_lifetime: 0s")], names.env)
    wait_for("samples", old.snapshot)
    names.set("127.0.0.2")
    kept = len(old.knocks)
    wait_for("three more on the kept connection", lambda: len(old.knocks) > kept + 3)
    old.judge = lambda path, headers, body: 503
    wait_for("somebody at the new place", lambda: new.knocks)
    check_delivered(agent, "main", new)
    assert old.statuses()[503] >= 3


def test_round_robin_dns_goes_to_all_addresses_in_turn(run, tmp_path):
    names = Names(tmp_path)
    names.set("127.0.0.1 127.0.0.2")
    first, second = two_doors(run)
    only = run(Door)
    never = run(Door, None, "127.0.0.2", only.port)
    agent = start(run, tmp_path, [
        endpoint("all", f"http://moving.test:{first.port}/", "round_robin_dns: true\nconnection_lifetime: 1s"),
        endpoint("one", f"http://moving.test:{only.port}/", "connection_lifetime: 1s"),
    ], names.env)
    # With luck like that of heads thirty times in a row it takes longer.
    wait_for("both", lambda: first.knocks and second.knocks, timeout=60)
    check_delivered(agent, "all", first)
    check_delivered(agent, "one", only)
    assert never.knocks == []


# ---- nobody is told ----

CANARY = "HUSH"
TOLD = [
    "authorization: {credentials: HUSH-1}",
    "bearer_token: HUSH-2",
    "basic_auth: {username: u, password: HUSH-3}",
    "headers: {X-Api-Key: HUSH-4, Cookie: HUSH-5}",
    "http_headers: {X-Any: {secrets: [HUSH-6]}}",
    "sigv4: {region: r, access_key: id, secret_key: HUSH-7}",
    "oauth2: {client_id: me, client_secret: HUSH-8, token_url: 'TOKENS', endpoint_params: {password: HUSH-9}}",
    "oauth2: {client_id: me, client_secret: HUSH-10, token_url: 'http://u:HUSH-11@127.0.0.1:1/?key=HUSH-12'}",
    "proxy_url: http://u:HUSH-13@127.0.0.1:1",
    "proxy_url: socks5://u:HUSH-14@127.0.0.1:1",
    "proxy_url: http://u:HUSH-15@nowhere.invalid:1",
    "proxy_url: http://127.0.0.1:1\nproxy_connect_header: {X-Any: [HUSH-16]}",
    "proxy_url: http://127.0.0.1:1\nproxy_authorization: {credentials: HUSH-17}",
    "authorization: {credentials_file: file}",
    'authorization: {type: "", credentials: "HUSH-18\\r\\nX: y"}',
    "tls_config: {ca_file: file, cert_file: file, key_file: file}",
]


@pytest.mark.sanitized
def test_secrets_are_nowhere_to_be_read(run, tmp_path):
    tokens = run(Tokens)
    (tmp_path / "file").write_text("HUSH-20")
    to = "http://u:HUSH-21@127.0.0.1:1/?key=HUSH-22"
    refusing = run(Door, lambda path, headers, body: 401)
    leading = run(Door, lambda path, headers, body: (307, {"Location": to}))
    endpoints = [endpoint(f"refused_{i}", refusing.url, t.replace("TOKENS", tokens.url)) for i, t in enumerate(TOLD)]
    endpoints += [
        endpoint("https", f"https://u:HUSH-23@127.0.0.1:{refusing.port}/?key=HUSH-24", TOLD[-1]),
        endpoint("leading", leading.url, "authorization: {credentials: HUSH-25}"),
        endpoint("user", "http://u:HUSH-26@127.0.0.1:1/write?key=HUSH-27"),
        endpoint("name", "http://u:HUSH-28@nowhere.invalid/write?key=HUSH-29"),
        endpoint("slash", "http://u:HUSH%2F30@127.0.0.1:1/write"),
    ]
    jobs = "".join(scrape_config(f"s{i}", f"127.0.0.1:{refusing.port}", extra="".join(
        f"  {line}\n" for line in t.replace("TOKENS", tokens.url).splitlines()))
        for i, t in enumerate(TOLD) if not t.startswith(("sigv4", "headers")))
    config = "remote_write:\n" + "".join(endpoints) + "scrape_configs:\n" + jobs
    agent = run(Agent, tmp_path, config, "--log.level=debug", "--web.enable-lifecycle")
    names = [e.split()[2] for e in endpoints]
    wait_for("everybody to fail", lambda: all(state(agent, n) in ("auth_failing", "retrying") for n in names))
    wait_for("all scrapes to fail", lambda: all(t["lastError"] for t in agent.targets()))
    agent.reconfigure(config + "nonsense: HUSH-31\n")
    outputs = {path: http_get(agent.url + path)[1] for path in (
        "/", "/config", "/metrics", "/targets", "/queue", "/rejects", "/service-discovery", "/-/ready",
        "/api/v1/targets", "/api/v1/status/config", "/api/v1/status/flags")}
    outputs["log"] = agent.output()
    good, broken = tmp_path / "good.yml", tmp_path / "broken.yml"
    good.write_text(config)
    broken.write_text(config.replace("basic_auth:", "bearer_token: HUSH-32\n  basic_auth:").replace("X-Any", "X Any"))
    outputs["check"] = "".join(map(str, obsagent("check", good)))
    outputs["check of a broken one"] = "".join(map(str, obsagent("check", broken)))
    for where, text in outputs.items():
        found = [line for line in text.splitlines() if CANARY in line]
        assert not found, f"{where}: {found[:3]}"
    assert "<secret>" in outputs["/config"] and "nonsense" in outputs["log"]
    assert "X Any" in outputs["check of a broken one"]
