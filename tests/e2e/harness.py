"""harness: real processes, scripted targets and receivers for the end-to-end tests, all on 127.0.0.1."""

import email.utils
import collections
import gzip
import http.server
import json
import os
import pathlib
import random
import signal
import socket
import ssl
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
OBSAGENT = os.environ.get("OBSAGENT", str(ROOT / "build" / "obsagent"))
PEERS = ROOT / "build" / "peers"
STALE = "stale"
REPORT_SERIES = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
}


def free_port():
    """A port that nobody listens on, from below the range out of which the kernel gives ports to clients: so nobody
    takes it between here and the moment when it is used, or while its owner is down."""
    while True:
        port = random.randrange(12000, 32000)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def obsagent(*argv, stdin="", env=None, timeout=60, cwd=None):
    """Runs a command of obsagent to its end: (exit code, standard output, standard error)."""
    done = subprocess.run(
        [OBSAGENT, *map(str, argv)], input=stdin, capture_output=True, text=True, env=env, timeout=timeout, cwd=cwd
    )
    return done.returncode, done.stdout, done.stderr


def wait_for(what, condition, timeout=20.0, interval=0.05):
    """Polls until condition() is true and returns its value; fails with `what` in the message."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {timeout} s waiting for {what}")
        time.sleep(interval)


def http_get(url, timeout=5.0, method="GET", headers=None):
    """(status, body text) of any answer; (0, reason) when there is none."""
    request = urllib.request.Request(url, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as response:
            return response.status, response.read().decode("utf-8", "replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode("utf-8", "replace")
    except (OSError, http.client.HTTPException) as error:
        return 0, str(error)


class Process:
    """A child process with its output in a file."""

    def __init__(self, argv, log, env=None):
        self.log_path = pathlib.Path(log)
        self.log = open(log, "ab")
        self.child = subprocess.Popen(
            [str(a) for a in argv], stdout=self.log, stderr=self.log, stdin=subprocess.DEVNULL, env=env
        )

    def output(self):
        return self.log_path.read_text(errors="replace")

    def alive(self):
        return self.child.poll() is None

    def kill9(self):
        self.child.kill()
        self.child.wait()

    def signal(self, number):
        self.child.send_signal(number)

    def end(self):
        """Ends it fast, at the end of a test: obsagent by signals, so that a sanitizer gets to speak of leaks."""
        if self.child.args[0] != OBSAGENT:
            self.kill9()
        end = time.monotonic() + 20
        while self.alive() and time.monotonic() < end:
            self.signal(signal.SIGTERM)  # the second one means: without waiting for receivers
            try:
                self.child.wait(0.2)
            except subprocess.TimeoutExpired:
                pass
        hung = self.alive()
        if hung:
            self.kill9()
        assert not hung and self.child.returncode in (0, -signal.SIGKILL), (
            f"{self.child.args[:2]} ended with {'no' if hung else self.child.returncode}:\n{self.output()[-5000:]}"
        )

    def stop(self, timeout=15.0):
        """SIGTERM, then waits; the exit code."""
        if self.alive():
            self.child.send_signal(signal.SIGTERM)
        try:
            return self.child.wait(timeout)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise AssertionError(f"{self.child.args[0]} did not end in {timeout} s:\n{self.output()[-3000:]}")


class Agent(Process):
    """obsagent run with a configuration given as text. `argv` replaces the whole command line behind the program's
    name, for tests that give it themselves; config may be None then. `around` makes another command line of it."""

    def __init__(
        self, directory, config, *flags, port=None, name="agent", env=None, argv=None, wait=True,
        around=lambda argv: argv,
    ):
        self.directory = pathlib.Path(directory)
        self.config_path = self.directory / f"{name}.yml"
        if config is not None:
            self.config_path.write_text(config)
        self.port = port or free_port()
        self.storage = self.directory / f"{name}-data"
        super().__init__(
            around(
                [OBSAGENT, *argv]
                if argv
                else [
                    OBSAGENT,
                    "run",
                    f"--config.file={self.config_path}",
                    f"--storage.path={self.storage}",
                    f"--web.listen-address=127.0.0.1:{self.port}",
                    *flags,
                ]
            ),
            self.directory / f"{name}.log",
            env=env,
        )
        if wait:
            self.wait_ready()

    def reconfigure(self, config):
        """Writes a new configuration and makes the agent read it; returns when it has tried."""
        attempts = self.total("obsagent_config_reloads_total")
        self.config_path.write_text(config)
        self.signal(signal.SIGHUP)
        wait_for("the reload", lambda: self.total("obsagent_config_reloads_total") > attempts)

    def targets(self, job=None):
        """Active targets as /api/v1/targets tells them."""
        status, body = http_get(self.url + "/api/v1/targets?state=active")
        assert status == 200, body
        return [t for t in json.loads(body)["data"]["activeTargets"] if job in (None, t["labels"]["job"])]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def wait_ready(self):
        def ready():
            if not self.alive():
                raise AssertionError("the agent ended:\n" + self.output()[-3000:])
            return http_get(self.url + "/-/ready")[0] == 200

        wait_for("the agent to be ready", ready, timeout=30)

    def metrics(self):
        """{(name, frozenset(labels)): value} of the agent's own page."""
        return parse_text(http_get(self.url + "/metrics")[1])

    def total(self, name, **labels):
        """Sum of one own metric over all series that carry these labels."""
        return sum(
            v for (n, ls), v in self.metrics().items() if n == name and labels.items() <= dict(ls).items()
        )

    def books(self, endpoint):
        """The ledger of one endpoint, as the agent tells it; asked for in one page so that it is one moment."""
        page = self.metrics()

        def total(name, **labels):
            return sum(v for (n, ls), v in page.items() if n == name and labels.items() <= dict(ls).items())

        return {
            "scraped": total("obsagent_samples_scraped_total"),
            "restored": total("obsagent_samples_restored_total", endpoint=endpoint),
            "absent": total("obsagent_samples_absent_total", endpoint=endpoint),
            "delivered": total("obsagent_samples_delivered_total", endpoint=endpoint),
            "filtered": total("obsagent_samples_filtered_total", endpoint=endpoint),
            "routed": total("obsagent_samples_routed_total", endpoint=endpoint),
            "buffered": total("obsagent_samples_buffered", endpoint=endpoint),
            "lost": total("obsagent_samples_lost_total", endpoint=endpoint),
        }

    def assert_balanced(self, endpoint):
        """scraped + restored = delivered + filtered + routed + buffered + lost + absent, retried because a page is made
        while work goes on."""
        books = {}

        def balanced():
            books.update(self.books(endpoint))
            given = books["scraped"] + books["restored"]
            found = sum(books[k] for k in ("delivered", "filtered", "routed", "buffered", "lost", "absent"))
            return given == found and given > 0

        try:
            wait_for("balanced books", balanced, timeout=5)
        except AssertionError:
            raise AssertionError(f"the books do not balance: {books}")
        return books


def make_certificates(directory):
    """A CA and two certificates that it signed, made with openssl: ca.pem, server.pem and .key (for 127.0.0.1 and
    target.test), client.pem and .key; other.pem is a CA that signed nothing."""

    def openssl(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, cwd=directory, capture_output=True)

    directory = pathlib.Path(directory)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    for name in ("ca", "other"):
        files = ["-keyout", f"{name}.key", "-out", f"{name}.pem"]
        openssl("req", "-x509", *key, "-days", 2, "-subj", f"/CN={name}", *files)
    (directory / "names").write_text("subjectAltName=IP:127.0.0.1,DNS:target.test\n")
    for name in ("server", "client"):
        openssl("req", *key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.csr")
        sign = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names", "-out", f"{name}.pem"]
        openssl("x509", "-req", "-days", 2, "-in", f"{name}.csr", *sign)
    return directory


class Sink(Process):
    """obsagent sink, writing samples as NDJSON."""

    def __init__(self, directory, token=None, port=None, name="sink", *flags):
        self.directory = pathlib.Path(directory)
        self.port = port or free_port()
        self.out = self.directory / f"{name}.ndjson"
        argv = [OBSAGENT, "sink", f"--listen=127.0.0.1:{self.port}", f"--out={self.out}", *flags]
        if token is not None:
            self.token_path = self.directory / f"{name}.token"
            self.token_path.write_text(token)
            argv.append(f"--token-file={self.token_path}")
        super().__init__(argv, self.directory / f"{name}.log")
        wait_for("the sink to listen", lambda: can_connect(self.port))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def samples(self):
        return read_ndjson(self.out)


def can_connect(port):
    with socket.socket() as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


def write_atomically(path, text):
    """As a careful program replaces a file that somebody watches."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.rename(path)


def read_ndjson(path):
    """Samples as (labels dict, ms, value), whole lines only."""
    path = pathlib.Path(path)
    if not path.exists():
        return []
    data = path.read_bytes()
    data = data[: data.rfind(b"\n") + 1]
    return [(o["labels"], o["t"], o["v"]) for o in map(json.loads, data.splitlines())]


def by_series(samples):
    """{frozenset of labels: [(ms, value), ...]} in order of arrival."""
    out = {}
    for labels, t, v in samples:
        out.setdefault(frozenset(labels.items()), []).append((t, v))
    return out


def check_once_and_in_order(samples):
    """Each series: timestamps strictly rising, so nothing came twice or late."""
    for labels, points in by_series(samples).items():
        times = [t for t, _ in points]
        assert times == sorted(set(times)), f"{dict(labels)} is out of order or sent twice: {times}"


def named(samples, name):
    return [(labels, t, v) for labels, t, v in samples if labels.get("__name__") == name]


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request, client_address):
        pass  # the agent was killed, gave up waiting or did not like our certificate


class Target:
    """A scripted /metrics target. `body` is text, or a function of the request's number that gives text or
    (status, text); status, delay and gzip can change at any time. With `tls`, (certificate, key) or (certificate, key,
    CA of clients), it speaks TLS."""

    def __init__(self, body="", port=None, content_type="text/plain; version=0.0.4", tls=None):
        self.body = body
        self.status = 200
        self.delay = 0.0
        self.gzip = False
        self.content_type = content_type
        self.requests = []  # (path, headers, wall time)
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                number = len(target.requests)
                target.requests.append((self.path, dict(self.headers), time.time()))
                if target.delay:
                    time.sleep(target.delay)
                text = target.body(number) if callable(target.body) else target.body
                status, text = text if isinstance(text, tuple) else (target.status, text)
                data = text if isinstance(text, bytes) else text.encode()
                self.send_response(status)
                if target.content_type:
                    self.send_header("Content-Type", target.content_type)
                if target.gzip and "gzip" in self.headers.get("Accept-Encoding", ""):
                    data = gzip.compress(data)
                    self.send_header("Content-Encoding", "gzip")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                try:
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, *args):
                pass

        self.server = Server(("127.0.0.1", port or 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls[:2])
            if len(tls) > 2:
                context.load_verify_locations(tls[2])
                context.verify_mode = ssl.CERT_REQUIRED
            self.server.socket = context.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


# ---- a receiver that decodes what it gets and answers as a test tells it ----


def snappy_decode(data):
    """The snappy block format."""
    size, shift, at = 0, 0, 0
    while True:
        byte = data[at]
        at += 1
        size |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    out = bytearray()
    while at < len(data):
        tag = data[at]
        at += 1
        if tag & 3 == 0:
            length = tag >> 2
            if length >= 60:
                extra = length - 59
                length = int.from_bytes(data[at : at + extra], "little")
                at += extra
            out += data[at : at + length + 1]
            at += length + 1
            continue
        if tag & 3 == 1:
            length = 4 + ((tag >> 2) & 7)
            offset = ((tag >> 5) << 8) | data[at]
            at += 1
        else:
            width = 2 if tag & 3 == 2 else 4
            length = 1 + (tag >> 2)
            offset = int.from_bytes(data[at : at + width], "little")
            at += width
        piece = out[-offset:] if offset >= length else out[-offset:] * (length // offset + 1)
        out += piece[:length]
    assert len(out) == size, "snappy length"
    return bytes(out)


def fields(data):
    """(field number, value) of a protobuf message; fixed64 as bytes."""
    at = 0

    def varint():
        nonlocal at
        value, shift = 0, 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        tag = varint()
        if tag & 7 == 0:
            yield tag >> 3, varint()
        elif tag & 7 == 1:
            yield tag >> 3, data[at : at + 8]
            at += 8
        elif tag & 7 == 2:
            size = varint()
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            raise AssertionError(f"wire type {tag & 7}")


def decode_write_request(body):
    """(samples [(labels, ms, value)], metadata [(family, type, help)]) of a remote-write 1.0 body."""
    samples, metadata = [], []
    for number, value in fields(snappy_decode(body)):
        if number == 1:
            labels, points = {}, []
            for n, v in fields(value):
                if n == 1:
                    pair = dict(fields(v))
                    labels[pair[1].decode()] = pair[2].decode()
                elif n == 2:
                    point = dict(fields(v))
                    bits = struct.unpack("<Q", point.get(1, b"\0" * 8))[0]
                    number = struct.unpack("<d", point.get(1, b"\0" * 8))[0]
                    points.append((point.get(2, 0), STALE if bits == 0x7FF0000000000002 else number))
            samples += [(labels, t, v) for t, v in points]
        elif number == 3:
            meta = dict(fields(value))
            metadata.append((meta[2].decode(), meta.get(1, 0), meta.get(4, b"").decode()))
    return samples, metadata


HANG = object()

# What a receiver was asked: `status` is its answer, None when it gave none.
Request = collections.namedtuple("Request", "time wall status samples headers")


class Receiver:
    """A scripted receiver of remote write 1.0, which is all it understands.
    `answer(samples, headers, number)` returns a status, or (status, headers), or
    None to close the connection without a word, or HANG to say nothing until the test ends; requests that hold no
    samples but metadata are taken without asking. `accepted` has the samples in order of arrival, `requests` all that
    were made."""

    def __init__(self, answer=None, port=None):
        self.answer = answer or (lambda samples, headers, number: 204)
        self.accepted = []
        self.metadata = []
        self.requests = []
        self.gets = 0
        self.clock_ahead = 0  # seconds, of the Date header
        self.closing = threading.Event()
        self.lock = threading.Lock()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                receiver.gets += 1
                self.reply(200, {})

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                if self.headers["Content-Encoding"] != "snappy":
                    self.reply(415, {})
                    return
                verdict = receiver.take(*decode_write_request(body), self.headers)
                if verdict is HANG:
                    receiver.closing.wait()
                if verdict is HANG or verdict is None:
                    self.close_connection = True
                else:
                    self.reply(*verdict)

            def date_time_string(self, timestamp=None):
                return email.utils.formatdate(time.time() + receiver.clock_ahead, usegmt=True)

            def reply(self, status, headers):
                text = b"" if status == 204 else f"scripted {status}".encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args):
                pass

        self.server = Server(("127.0.0.1", port or 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def take(self, samples, metadata, headers):
        """Judges one request and remembers it; None, HANG or (status, headers)."""
        with self.lock:
            if not samples:
                self.metadata += metadata
                return 204, {}
            verdict = self.answer(samples, headers, len(self.requests))
            status = verdict[0] if isinstance(verdict, tuple) else None if verdict is HANG else verdict
            self.requests.append(Request(time.monotonic(), time.time(), status, samples, headers))
            if status and 200 <= status < 300:
                self.accepted += samples
                self.metadata += metadata
        return verdict if verdict is None or verdict is HANG or isinstance(verdict, tuple) else (verdict, {})

    def snapshot(self):
        with self.lock:
            return list(self.accepted)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def close(self):
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()


# ---- text ----


def parse_text(text):
    """A plain reader of exposition text without timestamps: {(name, frozenset(labels)): value}."""
    out = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        series, value = line.rsplit(" ", 1)
        name, _, rest = series.partition("{")
        labels = []
        at = 0
        while at < len(rest) and rest[at] != "}":
            eq = rest.index('="', at)
            key = rest[at:eq].lstrip(",")
            end = eq + 2
            chars = []
            while rest[end] != '"':
                if rest[end] == "\\":
                    end += 1
                    chars.append({"n": "\n"}.get(rest[end], rest[end]))
                else:
                    chars.append(rest[end])
                end += 1
            labels.append((key, "".join(chars)))
            at = end + 1
            if at < len(rest) and rest[at] == ",":
                at += 1
        out[(name, frozenset(labels))] = float(value)
    return out


def parse_series(text):
    """Labels of `name{a="b"}`."""
    ((name, labels),) = parse_text(text + " 0")
    return {"__name__": name, **dict(labels)}


def remote_write(url, name="main", extra=""):
    """A remote_write section for tests: impatient, so that recovery shows soon."""
    return (
        f"remote_write:\n- url: {url}\n  name: {name}\n"
        f"  queue_config: {{min_backoff: 100ms, max_backoff: 1s}}\n{extra}"
    )


def scrape_config(job, address, interval="1s", extra=""):
    return (
        f"- job_name: {job}\n  scrape_interval: {interval}\n  scrape_timeout: {interval}\n{extra}"
        f"  static_configs:\n  - targets: ['{address}']\n"
    )


def peer(*candidates):
    """The path of a peer program unpacked under build/peers."""
    for candidate in candidates:
        path = PEERS / candidate
        if path.exists():
            return path
    raise AssertionError(f"none of {candidates} under {PEERS}: run tests/fetch-peers.sh")


def peer_env():
    """Peers find their libraries beside them when the system has none."""
    env = dict(os.environ)
    libraries = [str(p) for p in (PEERS / "usr/lib").glob("*-linux-gnu")] + [str(PEERS / "usr/lib")]
    env["LD_LIBRARY_PATH"] = ":".join(libraries)
    return env
