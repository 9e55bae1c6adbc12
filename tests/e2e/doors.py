"""doors: receivers and proxies that look at who knocks: every request as it came, CONNECT and SOCKS 5 tunnels."""

import base64
import collections
import http.server
import json
import select
import socket
import ssl
import textwrap
import threading
import time
import urllib.parse

import harness
from harness import Process, decode_write_request, peer, peer_env, wait_for

# `status` is what was answered.
Knock = collections.namedtuple("Knock", "time path headers body status")


class Door:
    """A remote-write receiver that judges every request by itself: judge(path, headers, body) gives a status or
    (status, headers). `accepted` has the samples of those it let in, `knocks` all that came."""

    def __init__(self, judge=None, host="127.0.0.1", port=0, tls=None):
        self.judge = judge or (lambda path, headers, body: 204)
        self.accepted, self.knocks = [], []
        self.lock = threading.Lock()
        door = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.send_response(self.take(body))
                self.end_headers()

            def do_GET(self):
                self.send_response(self.take(b""))
                self.end_headers()

            def take(self, body):
                with door.lock:  # two doors may share one
                    verdict = door.judge(self.path, self.headers, body)
                    status, extra = verdict if isinstance(verdict, tuple) else (verdict, {})
                    door.knocks.append(Knock(time.monotonic(), self.path, self.headers, body, status))
                    if 200 <= status < 300 and body:
                        door.accepted += decode_write_request(body)[0]
                self._headers_buffer = []
                self.extra = {**extra, **({} if status == 204 else {"Content-Length": "0"})}
                return status

            def end_headers(self):
                for name, value in getattr(self, "extra", {}).items():
                    self.send_header(name, value)
                super().end_headers()

            def log_message(self, *args):
                pass

        class Server(harness.Server):
            allow_reuse_address = True

        self.server = Server((host, port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.host, self.port = self.server.server_address
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def snapshot(self):
        with self.lock:
            return list(self.accepted)

    def statuses(self):
        with self.lock:
            return collections.Counter(k.status for k in self.knocks)

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/api/v1/write"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Tokens:
    """An OAuth 2.0 endpoint: gives t1, t2, ... to whoever shows the secret in Authorization."""

    def __init__(self, secret="s3cret", expires_in=3600):
        self.secret, self.expires_in = secret, expires_in
        self.given = {}  # token: when it ends
        self.asked = 0
        tokens = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                self.rfile.read(int(self.headers["Content-Length"]))
                want = "Basic " + base64.b64encode(f"me:{tokens.secret}".encode()).decode()
                tokens.asked += 1
                known = self.headers.get("Authorization") == want
                answer = {"error": "invalid_client"}
                if known:
                    token = f"t{len(tokens.given) + 1}"
                    tokens.given[token] = time.monotonic() + tokens.expires_in
                    answer = {"access_token": token, "token_type": "bearer", "expires_in": tokens.expires_in}
                data = json.dumps(answer).encode()
                self.send_response(200 if known else 401)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        self.server = harness.Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/token"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Tunnel:
    """A proxy that leads every connection to `port` of 127.0.0.1: CONNECT and SOCKS 5, both with a user and password.
    `seen` has what was asked for: the head of a CONNECT, or (host, port, user, password)."""

    def __init__(self, port, user="me", password="word"):
        self.target, self.user, self.password = port, user, password
        self.seen = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        try:
            with client, client.makefile("rb", buffering=0) as reader:
                first = reader.read(1)
                if self.socks(client, reader) if first == b"\5" else self.connect(client, reader, first):
                    with socket.create_connection(("127.0.0.1", self.target)) as server:
                        self.relay(client, server)
        except OSError:
            pass

    def connect(self, client, reader, head):
        while not head.endswith(b"\r\n\r\n"):
            byte = reader.read(1)
            if not byte:
                return False
            head += byte
        self.seen.append(head.decode())
        basic = base64.b64encode(f"{self.user}:{self.password}".encode())
        if b"Proxy-Authorization: Basic " + basic not in head:
            client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
            return False
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        return True

    def socks(self, client, reader):
        reader.read(reader.read(1)[0])
        client.sendall(b"\5\2")
        reader.read(1)
        user = reader.read(reader.read(1)[0]).decode()
        password = reader.read(reader.read(1)[0]).decode()
        known = (user, password) == (self.user, self.password)
        client.sendall(b"\1\0" if known else b"\1\1")
        if not known:
            return False
        kind = reader.read(4)[3]
        host = reader.read(reader.read(1)[0]).decode() if kind == 3 else socket.inet_ntoa(reader.read(4))
        self.seen.append((host, int.from_bytes(reader.read(2), "big"), user, password))
        client.sendall(b"\5\0\0\1\0\0\0\0\0\0")
        return True

    @staticmethod
    def relay(one, other):
        while True:
            for ready in select.select([one, other], [], [], 60)[0]:
                data = ready.recv(65536)
                if not data:
                    return
                (other if ready is one else one).sendall(data)

    def close(self):
        self.listener.close()


def nginx(run, directory, servers, wait):
    """Starts nginx with these server blocks; `wait` says when it is there."""
    (directory / "nginx.conf").write_text(textwrap.dedent(f"""
        daemon off; master_process off; worker_processes 1;
        pid {directory}/nginx.pid; error_log {directory}/nginx-error.log;
        events {{ worker_connections 256; }}
        http {{
          log_format short '$uri $status $ssl_client_s_dn $ssl_server_name';
          access_log {directory}/access.log short; default_type text/plain;
          client_body_temp_path {directory}/ngx1; proxy_temp_path {directory}/ngx2;
          fastcgi_temp_path {directory}/ngx3; uwsgi_temp_path {directory}/ngx4; scgi_temp_path {directory}/ngx5;
          proxy_http_version 1.1;
        """) + servers + "}\n")
    program = run(Process, [peer("usr/sbin/nginx"), "-p", directory, "-c", directory / "nginx.conf"],
                  directory / "nginx.log", env=peer_env())
    wait_for("nginx", wait)
    return program
