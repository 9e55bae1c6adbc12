"""obsagent push: scripted receivers, each with its own trouble, told apart; real ones are fine; no secret is shown."""

import base64
import email.utils
import functools
import http.server
import json
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest

from doors import nginx
from harness import (
    OBSAGENT,
    Process,
    Server,
    Target,
    can_connect,
    free_port,
    http_get,
    make_certificates,
    obsagent,
    peer,
    peer_env,
    snappy_decode,
    wait_for,
)
from test_scrape_report import check

TOKEN = "c4n4ry-t0ken-value"
RW1, RW2, ZSTD = "rw1", "rw2", "zstd"


class Box:
    """A receiver that answers as `rule` says: rule(path, protocol, authorization, size) gives a status, or a status and
    headers. It repeats to the sender whatever it was shown, as careless receivers do."""

    def __init__(self, rule, tls=None, clients=None):
        self.rule = rule
        self.asked = []  # (path, protocol, authorization, size)
        self.clock_ahead = 0
        box = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                protocol = ZSTD if self.headers["Content-Encoding"] == "zstd" else RW1
                if "v2.Request" in self.headers.get("Content-Type", ""):
                    protocol = RW2
                shown = self.headers.get("Authorization")
                box.asked.append((self.path, protocol, shown, len(body)))
                answer = box.rule(self.path, protocol, shown, len(body))
                if answer is None:
                    self.close_connection = True
                    return
                status, headers = answer if isinstance(answer, tuple) else (answer, {})
                if protocol == RW2 and 200 <= status < 300 and headers.pop("written", True):
                    headers = {"X-Prometheus-Remote-Write-Samples-Written": "1", **headers}
                text = b"" if status == 204 else f"scripted {status}: \x1b[2J you showed {shown}".encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def do_HEAD(self):
                assert "Authorization" not in self.headers
                self.send_response(200)
                self.end_headers()

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + box.clock_ahead, usegmt=True)

            def log_message(self, *args):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if clients:
                context.load_verify_locations(clients)
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}/api/v1/write"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture(name="token")
def fixture_token(tmp_path):
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def encoded(text):
    return base64.b64encode(text.encode()).decode().rstrip("=")


def push(*argv, code=None, secrets=(TOKEN, encoded(TOKEN))):
    """The report as JSON; the text of the same is looked at for secrets and control characters as well."""
    status, out, err = obsagent("push", "--json", *argv)
    assert code is None or status == code, (status, out, err)
    for text in (out, err):
        for secret in secrets:
            assert secret not in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text), text
    report = json.loads(out)
    check(report, schema(), "push")
    assert report["exit_code"] == status
    return report


@functools.cache
def schema():
    return json.loads(obsagent("help", "push-json")[1])


def only(*protocols):
    return lambda path, protocol, shown, size: 204 if protocol in protocols else 415


def at(*paths, other=404):
    return lambda path, protocol, shown, size: only(RW1)(path, protocol, shown, size) if path in paths else other


def door(wanted, challenge=None):
    """Opens to one Authorization header."""
    headers = {"WWW-Authenticate": challenge} if challenge else {}

    def rule(path, protocol, shown, size):
        return only(RW1)(path, protocol, shown, size) if shown == wanted else (401, dict(headers))

    return rule


def largest(limit, status=413):
    return lambda path, protocol, shown, size: status if size > limit else only(RW1)(path, protocol, shown, size)


def fails(status):
    return lambda path, protocol, shown, size: status


def swallows(path, protocol, shown, size):
    """Takes a 2.0 message without saying what it has written."""
    return {RW1: 204, RW2: (204, {"written": False}), ZSTD: 400}[protocol]


ANSWERS = [
    ("fine, 1.0 alone", only(RW1), [], "fine", {"protocol": "rw1"}),
    ("swallowed 2.0", swallows, [], "fine", {"protocol": "rw1"}),
    ("2.0 alone", only(RW2), [], "other_protocol", {"protocol": "rw2"}),
    ("2.0 alone, and set", only(RW2), ["--protocol=rw2"], "fine", {"protocol": "rw2"}),
    ("zstd", only(RW1, ZSTD), ["--protocol=vm"], "fine", {"protocol": "vm"}),
    ("all of them", only(RW1, RW2, ZSTD), ["--protocol=auto"], "fine", {"protocol": "rw2"}),
    ("nothing", only(), [], "no_protocol", {}),
    ("another path", at("/api/v1/push"), [], "wrong_path", {"right_path": "/api/v1/push"}),
    ("another path, by 405", at("/prometheus/api/v1/write", other=405), [], "wrong_path",
     {"right_path": "/prometheus/api/v1/write"}),
    ("another path, by 400", at("/api/v1/receive", other=400), [], "wrong_path", {"right_path": "/api/v1/receive"}),
    ("no path", fails(404), [], "wrong_path", {"right_path": None}),
    ("no path, and no guessing", at("/api/v1/push"), ["--no-guessing"], "wrong_path",
     {"right_path": None, "paths": {}}),
    ("a missing token", door("Bearer x", "Bearer realm=x"), [], "missing_credentials", {"right_scheme": "Bearer"}),
    ("a missing token, silent", fails(403), [], "missing_credentials", {"right_scheme": None}),
    ("even small ones are too large", fails(413), [], "too_large", {}),
    ("busy", fails(429), [], "busy", {}),
    ("failing", fails(503), [], "failing", {"status": 503}),
    ("no answer", fails(None), [], "no_answer", {"status": None}),
]


@pytest.mark.parametrize("what,rule,flags,verdict,more", ANSWERS, ids=[a[0] for a in ANSWERS])
def test_told_apart(run, what, rule, flags, verdict, more):
    box = run(Box, rule)
    receiver = push("--url", box.url, "--max-body=0", *flags, code=0 if verdict == "fine" else 1)["receiver"]
    assert {k: receiver[k] for k in ["verdict", *more]} == {"verdict": verdict, **more}, receiver
    assert receiver["message"] and (receiver["todo"] or verdict == "fine")


SCHEMES = [
    ("right", f"Bearer {TOKEN}", [], "fine", None),
    ("raw key wanted", TOKEN, [], "wrong_scheme", "raw key"),
    ("raw key given as such", TOKEN, ["--authorization-type="], "fine", None),
    ("Bearer wanted, raw key given", f"Bearer {TOKEN}", ["--authorization-type="], "wrong_scheme", "Bearer"),
    ("ApiKey wanted", f"ApiKey {TOKEN}", [], "wrong_scheme", "ApiKey"),
    ("wrong token", "Bearer another", [], "wrong_credentials", None),
    ("wrong token, and no guessing", TOKEN, ["--no-guessing"], "wrong_credentials", None),
    ("none wanted", None, [], "needless_credentials", None),
]


@pytest.mark.sanitized
@pytest.mark.parametrize("what,wanted,flags,verdict,scheme", SCHEMES, ids=[s[0] for s in SCHEMES])
def test_schemes(run, token, what, wanted, flags, verdict, scheme):
    box = run(Box, door(wanted))
    flags = ["--bearer-token-file", token, "--max-body=0", *flags]
    receiver = push("--url", box.url, *flags, code=0 if verdict == "fine" else 1)["receiver"]
    assert (receiver["verdict"], receiver["right_scheme"]) == (verdict, scheme), receiver
    if verdict != "fine":
        assert receiver["words"].startswith("scripted 401: ?[2J you showed") and "<secret>" in receiver["words"]


@pytest.mark.sanitized
def test_basic(run, tmp_path):
    """A token of the form user:password is tried as Basic; Basic that is right passes; what is refused is not shown."""
    (tmp_path / "pair").write_text("me:s3cret-w0rd")
    (tmp_path / "word").write_text("s3cret-w0rd")
    secrets = ("s3cret-w0rd", encoded("me:s3cret-w0rd"), encoded("s3cret-w0rd"))
    wanted = "Basic " + base64.b64encode(b"me:s3cret-w0rd").decode()
    box = run(Box, door(wanted, "Basic realm=here"))
    r = push("--url", box.url, "--bearer-token-file", tmp_path / "pair", code=1, secrets=secrets)["receiver"]
    assert (r["verdict"], r["right_scheme"], r["asks_for"]) == ("wrong_scheme", "Basic", "Basic realm=here")
    by_flags = ["--username=me", "--password-file", tmp_path / "word"]
    assert push("--url", box.url, *by_flags, "--max-body=0", code=0, secrets=secrets)["receiver"]["verdict"] == "fine"
    by_url = box.url.replace("://", "://me:s3cret-w0rd@")
    r = push("--url", by_url, "--max-body=0", code=0, secrets=secrets)["receiver"]
    assert (r["verdict"], r["url"], r["scheme"]) == ("fine", box.url, "Basic")
    box.rule = door("Basic other")
    r = push("--url", by_url.replace("/api/v1/write", "/x?key=s3cret-w0rd"), code=1, secrets=secrets)["receiver"]
    assert r["verdict"] == "wrong_credentials" and "<secret>" in r["words"]


def test_redirect_is_not_followed_with_the_token(run, token):
    """Another host is never shown the token."""
    other = run(Box, only(RW1))
    there = f"http://localhost:{other.port}/api/v1/write"
    box = run(Box, lambda *ask: (307, {"Location": there + "?token=x"}))
    flags = ["--bearer-token-file", token, "--no-guessing"]
    push("--url", box.url, *flags)
    assert box.asked and all(shown is None for _, _, shown, _ in other.asked)


BODIES = [
    ("a limit of 64 KiB", 65536, 413),
    ("a limit that says 400", 200000, 400),
    ("a limit that hangs up", 9000, None),
]


@pytest.mark.sanitized
@pytest.mark.parametrize("what,limit,status", BODIES, ids=[b[0] for b in BODIES])
def test_largest_body(run, what, limit, status):
    box = run(Box, largest(limit, status))
    receiver = push("--url", box.url, code=0)["receiver"]
    body = receiver["body"]
    assert body["taken_bytes"] <= limit < body["refused_bytes"] and body["status"] == status
    assert body["refused_bytes"] - body["taken_bytes"] < limit / 8
    assert any("are taken" in n for n in receiver["notes"])
    assert len(box.asked) < 30


def test_dry_run_stores_nothing(run):
    """Nothing but messages without series; without --dry-run there is one sample, and its labels are told."""
    bodies = []
    box = run(Box, only(RW1))
    inner = box.rule
    original = box.server.RequestHandlerClass.do_POST

    def watch(handler):
        length = int(handler.headers.get("Content-Length", 0))
        data = handler.rfile.peek(length) if length < 4096 else b""
        bodies.append((handler.headers["Content-Encoding"], data[:length]))
        original(handler)

    box.server.RequestHandlerClass.do_POST = watch
    assert push("--url", box.url, "--dry-run", "--max-body=0", code=0)["receiver"]["sample"] is None
    assert [b for e, b in bodies if e == "snappy" and b"obsagent_preflight" in b] == []
    sample = push("--url", box.url, "--max-body=0", code=0)["receiver"]["sample"]
    assert sample["series"].startswith("obsagent_preflight{") and sample["status"] == 204
    sent = [snappy_decode(b) for e, b in bodies if e == "snappy" and len(b) > 20]
    assert len(sent) == 1 and b"obsagent_preflight" in sent[0] and box.rule is inner


def test_clock(run):
    box = run(Box, only(RW1))
    for ahead, word in [(0, None), (3600, "ahead of"), (-3600, "behind")]:
        box.clock_ahead = ahead
        receiver = push("--url", box.url, "--max-body=0", code=0)["receiver"]
        assert abs(receiver["clock_skew_seconds"] - ahead) < 60
        assert [word in n for n in receiver["notes"] if "clock" in n] == ([True] if word else [])


def test_unreachable_and_silent(run):
    assert push("--url", f"http://127.0.0.1:{free_port()}/api/v1/write", code=1)["receiver"]["verdict"] == "unreachable"
    r = push("--url", "http://no-such-host.invalid/api/v1/write", code=1)["receiver"]
    assert r["verdict"] == "unknown_name"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api/v1/write"
        assert push("--url", url, "--timeout=300ms", code=1)["receiver"]["verdict"] == "no_answer"


def expired(directory):
    """A certificate of the CA whose time is over."""
    argv = ["openssl", "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "names", "-out", "expired.pem", "-days", "-1"]
    subprocess.run(argv, check=True, cwd=directory, capture_output=True)
    return directory / "expired.pem", directory / "server.key"


@pytest.mark.sanitized
def test_tls(run, tmp_path, token):
    """Each fault by its name, with whose certificate it is and until when; nobody is shown the token meanwhile."""
    make_certificates(tmp_path)
    good = run(Box, door(f"Bearer {TOKEN}"), (tmp_path / "server.pem", tmp_path / "server.key"))
    old = run(Box, door(f"Bearer {TOKEN}"), expired(tmp_path))
    plain = run(Box, only(RW1))
    ca = ["--ca-file", tmp_path / "ca.pem", "--bearer-token-file", token, "--max-body=0"]
    r = push("--url", good.url, *ca, code=0)["receiver"]
    assert r["verdict"] == "fine" and "server" in r["certificate"]["subject"] and "ca" in r["certificate"]["issuer"]
    assert abs(r["certificate"]["valid_until"] - time.time() - 2 * 86400) < 3600
    assert any("expires in" in n for n in r["notes"])
    before = len(good.asked)
    for url, flags, words in [
        (good.url, ["--bearer-token-file", token], "authority"),
        (good.url.replace("127.0.0.1", "localhost"), ca, "another name"),
        (old.url, ca, "expired"),
    ]:
        r = push("--url", url, *flags, code=1)["receiver"]
        assert r["verdict"] == "certificate" and words in r["message"] and "server" in r["certificate"]["subject"], r
    assert len(good.asked) == before and old.asked == []
    assert push("--url", plain.url.replace("http", "https"), *ca, code=1)["receiver"]["verdict"] == "not_tls"
    assert push("--url", good.url.replace("https", "http"), *ca[2:], code=1)["receiver"]["verdict"] == "needs_tls"
    assert push("--url", good.url, "--insecure", *ca[2:], code=0)["receiver"]["verdict"] == "fine"


@pytest.mark.sanitized
def test_client_certificate(run, tmp_path):
    """A receiver that wants one hangs up on those who show none; what is said names the way out."""
    make_certificates(tmp_path)
    box = run(Box, only(RW1), (tmp_path / "server.pem", tmp_path / "server.key"), tmp_path / "ca.pem")
    ca = ["--ca-file", tmp_path / "ca.pem", "--max-body=0"]
    r = push("--url", box.url, *ca, code=1)["receiver"]
    assert r["verdict"] in ("no_answer", "tls") and "--cert-file" in r["todo"] and box.asked == []
    ours = ["--cert-file", tmp_path / "client.pem", "--key-file", tmp_path / "client.key"]
    assert push("--url", box.url, *ca, *ours, code=0)["receiver"]["verdict"] == "fine"


def test_behind_nginx(run, tmp_path):
    """What a real proxy says: 401 with its challenge, 404, 413 before the body is read, 502 of nobody behind it."""
    port, box = free_port(), run(Box, only(RW1))
    argv = ["openssl", "passwd", "-apr1", "s3cret-w0rd"]
    word = subprocess.run(argv, capture_output=True, text=True).stdout
    (tmp_path / "users").write_text(f"me:{word}")
    (tmp_path / "word").write_text("s3cret-w0rd")
    nginx(run, tmp_path, f"""server {{ listen 127.0.0.1:{port}; client_max_body_size 100k;
        location /in/ {{ auth_basic here; auth_basic_user_file {tmp_path}/users;
                         proxy_pass http://127.0.0.1:{box.port}/; }}
        location /gone/ {{ proxy_pass http://127.0.0.1:1/; }} }}""", lambda: can_connect(port))
    here = f"http://127.0.0.1:{port}"
    ours = ["--username=me", "--password-file", tmp_path / "word"]
    r = push("--url", here + "/in/api/v1/write", code=1)["receiver"]
    assert (r["verdict"], r["right_scheme"]) == ("missing_credentials", "Basic")
    r = push("--url", here + "/in/api/v1/write", "--bearer-token-file", tmp_path / "word")["receiver"]
    assert r["verdict"] == "wrong_credentials"
    body = push("--url", here + "/in/api/v1/write", *ours, code=0)["receiver"]["body"]
    assert body["taken_bytes"] <= 102400 < body["refused_bytes"] and body["status"] == 413
    assert push("--url", here + "/api/v1/write", *ours, code=1)["receiver"]["verdict"] == "wrong_path"
    r = push("--url", here + "/gone/api/v1/write", code=1)["receiver"]
    assert (r["verdict"], r["status"]) == ("failing", 502)


def test_text(run, token):
    """The report for people has the same verdict, no secret, and no control character of the receiver's."""
    box = run(Box, door(TOKEN))
    code, out, err = obsagent("push", "--url", box.url, "--bearer-token-file", token)
    assert code == 1 and err == "" and TOKEN not in out and "\x1b" not in out
    assert "verdict:  the credentials are right, the scheme is not: not Bearer, but raw key\n" in out
    assert 'do:       authorization: {type: "", credentials_file: ...}' in out


@pytest.mark.sanitized
def test_endpoint_of_a_configuration(run, tmp_path, token):
    """An endpoint as the agent would use it: its credentials, labels and rules."""
    box = run(Box, door(f"Bearer {TOKEN}"))
    config = tmp_path / "obsagent.yml"
    config.write_text(
        "global: {external_labels: {cluster: here}}\n"
        "remote_write:\n"
        f"- {{name: one, url: '{box.url}', authorization: {{credentials_file: {token}}}}}\n"
        f"- {{name: two, url: '{box.url}'}}\n"
        f"- name: three\n  url: '{box.url}'\n  authorization: {{credentials_file: {token}}}\n"
        "  write_relabel_configs: [{action: drop, regex: obsagent}]\n".replace(
            "regex: obsagent", "source_labels: [job], regex: obsagent"
        )
    )
    flags = ["--config.file", config, "--max-body=0"]
    one = push(*flags, "--endpoint=one", code=0)["receiver"]
    assert one["verdict"] == "fine" and 'cluster="here"' in one["sample"]["series"]
    assert push(*flags, "--endpoint=two", code=1)["receiver"]["verdict"] == "missing_credentials"
    three = push(*flags, "--endpoint=three", code=0)["receiver"]
    assert three["sample"] is None and any("write_relabel_configs drop it" in n for n in three["notes"])
    code, out, err = obsagent("push", *flags)
    assert (code, out) == (1, "") and "one, two, three" in err


PROFILES = [
    ("victoriametrics", "m{" + ",".join(f'l{i}="x"' for i in range(38)) + "} 1\n", 3, ["lost"]),
    ("victoriametrics", "m 1\n", 0, []),
    ("mimir", '{"m.x"} 1\n', 3, ["refused"]),
    ("elastic", "# TYPE m counter\nm 1\n", 3, ["changed", "left out", "left out"]),
    ("thanos", "# TYPE m counter\nm 1\n", 0, ["left out"]),
    ("clickstack", "m 1\n", 3, ["lost"]),
    ("cortex", "m{ 1\n", 1, []),
]


@pytest.mark.sanitized
@pytest.mark.parametrize("name,body,code,effects", PROFILES)
def test_profile(tmp_path, name, body, code, effects):
    path = tmp_path / "body.txt"
    path.write_text(body)
    profile = push("--profile", name, path, code=code)["profile"]
    assert [f["effect"] for f in profile["findings"]] == effects
    status, out, _ = obsagent("push", "--profile", name, "-", stdin=body)
    assert status == code and all(e in out for e in effects)


@pytest.mark.sanitized
def test_profile_of_a_target_and_its_receiver(run, tmp_path):
    """Both at once: a receiver that is fine, and series of a made-up target that would not arrive there as they are."""
    port = free_port()
    argv = [OBSAGENT, "serve", f"--listen=127.0.0.1:{port}", "--native-histograms", "--format=protobuf"]
    run(Process, argv, tmp_path / "serve.log")
    wait_for("the target to listen", lambda: can_connect(port))
    box = run(Box, only(RW1))
    flags = ["--url", box.url, "--max-body=0", f"http://127.0.0.1:{port}/metrics"]
    both = push("--profile=victoriametrics", *flags, code=3)
    assert both["receiver"]["verdict"] == "fine"
    assert [(f["effect"], f["count"]) for f in both["profile"]["findings"]] == [("changed", 20)]
    assert push("--profile=prometheus", *flags, code=0)["profile"]["series"] > 700
    box.rule = fails(503)
    assert push("--profile=victoriametrics", *flags, code=1)["profile"]["findings"]
    dead = run(Target)
    dead.status = 500
    assert push("--profile=cortex", f"http://{dead.address}/metrics", code=1)["profile"]["error"]


@pytest.mark.sanitized
@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["--profile=influx", "-"],
        ["--profile=mimir"],
        ["file"],
        ["--url=http://x/", "--config.file=y"],
        ["--config.file=y", "--insecure"],
        ["--url=http://x/", "--endpoint=y"],
        ["--url=http://x/", "--username=y"],
        ["--url=http://x/", "--cert-file=y"],
        ["--url=http://x/", "--authorization-type="],
        ["--url=http://x/", "--bearer-token-file=/dev/null", "--username=y", "--password-file=z"],
        ["--url=ftp://x/"],
        ["--url=http://x/", "--bearer-token-file=/no/such/file"],
        ["--url=http://x/", "--protocol=rw3"],
        ["--url=http://x/", "--header=nocolon"],
    ],
)
def test_wrong_usage(argv):
    code, out, err = obsagent("push", *argv)
    assert (code, out) == (2, "") and err


def test_real_receivers(run, tmp_path):
    """VictoriaMetrics and Prometheus are fine, have the sample afterwards, and say where they do not listen."""
    vm, prometheus = free_port(), free_port()
    argv = [peer("usr/bin/victoria-metrics"), f"-storageDataPath={tmp_path}/vm", f"-httpListenAddr=127.0.0.1:{vm}"]
    run(Process, argv, tmp_path / "vm.log", env=peer_env())
    (tmp_path / "prometheus.yml").write_text("{}\n")
    argv = [peer("usr/bin/prometheus"), f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/prometheus", f"--web.listen-address=127.0.0.1:{prometheus}",
            "--web.enable-remote-write-receiver"]
    run(Process, argv, tmp_path / "prometheus.log", env=peer_env())
    wait_for("prometheus", lambda: http_get(f"http://127.0.0.1:{prometheus}/-/ready")[0] == 200, timeout=60)
    wait_for("victoria-metrics", lambda: http_get(f"http://127.0.0.1:{vm}/health")[0] == 200, timeout=60)
    for port in (vm, prometheus):
        here = f"http://127.0.0.1:{port}"
        receiver = push("--url", here + "/api/v1/write", code=0)["receiver"]
        assert receiver["verdict"] == "fine" and receiver["body"]["refused_bytes"] is None, receiver
        elsewhere = push("--url", here + "/api/v1/push", code=1)["receiver"]
        assert (elsewhere["verdict"], elsewhere["right_path"]) == ("wrong_path", "/api/v1/write"), elsewhere
    page = http_get(f"http://127.0.0.1:{vm}/metrics")[1]
    assert int(re.search(r'^vm_rows_inserted_total{type="promremotewrite"} (\d+)$', page, re.M)[1]) == 1
    query = f"http://127.0.0.1:{prometheus}/api/v1/query?query=obsagent_preflight"
    wait_for("the sample", lambda: '"obsagent_preflight"' in http_get(query)[1], timeout=60)
