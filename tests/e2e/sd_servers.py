"""sd_servers: what is asked for targets in tests of discovery: scripted HTTP services, on a port or a unix socket,
and a DNS server."""

import http.server
import ipaddress
import json
import os
import re
import socket
import socketserver
import struct
import threading
import urllib.parse

from harness import Server


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("unix", 0)

    def handle_error(self, request, client_address):
        pass


class Service:
    """Answers GETs with what `answer(path, headers)` gives: (status, headers, text), or anything else for JSON."""

    def __init__(self, answer, port=None, unix=None):
        self.answer = answer
        self.requests = []  # (path, headers)
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                if not service.server:  # a connection that outlived it
                    self.close_connection = True
                    return
                service.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
                answer = service.answer(self.path, self.headers)
                if not isinstance(answer, tuple):
                    answer = (200, {}, json.dumps(answer))
                status, headers, text = answer
                data = text.encode()
                headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args):
                pass

        if unix:
            if os.path.exists(unix):
                os.unlink(unix)
            self.server = UnixServer(unix, Handler)
        else:
            self.server = Server(("127.0.0.1", port or 0), Handler)
            self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def close(self):
        if self.server:
            server, self.server = self.server, None
            server.shutdown()
            server.server_close()


class Consul(Service):
    """Consul's catalog with blocking queries. `services` is {name: [instance]}, an instance as /v1/health/service gives
    it; change() changes them all at once. While `failure` is set, (status, text) is what everybody gets."""

    def __init__(self, services, datacenter="dc1", port=None):
        self.services = services
        self.datacenter = datacenter
        self.failure = None
        self.index = 7
        self.news = threading.Condition()
        super().__init__(self.reply, port)

    def change(self, services):
        with self.news:
            self.services = services
            self.index += 1
            self.news.notify_all()

    def close(self):
        super().close()
        with self.news:
            self.news.notify_all()

    def reply(self, path, headers):
        path, _, query = path.partition("?")
        query = urllib.parse.parse_qs(query, keep_blank_values=True)
        with self.news:
            known = int(query.get("index", ["0"])[0])
            self.news.wait_for(lambda: self.index != known or not self.server, timeout=20)
            if self.failure:
                return self.failure[0], {}, self.failure[1]
            if path == "/v1/agent/self":
                return {"Config": {"Datacenter": self.datacenter, "NodeName": "me"}, "Member": {"Name": "me"}}
            if path == "/v1/catalog/services":
                tags = lambda instances: sorted({t for i in instances for t in i["Service"].get("Tags") or []})
                body = {name: tags(instances) for name, instances in self.services.items()}
            else:
                body = self.services.get(urllib.parse.unquote(path.removeprefix("/v1/health/service/")), [])
                wanted = set(query.get("tag", []))
                body = [i for i in body if wanted <= set(i["Service"].get("Tags") or [])]
            return 200, {"X-Consul-Index": str(self.index)}, json.dumps(body)


class Docker(Service):
    """A Docker daemon that lists containers and networks; filters are not looked at."""

    def __init__(self, containers, networks, **where):
        self.containers = containers
        self.networks = networks
        super().__init__(self.reply, **where)

    def reply(self, path, headers):
        path = re.sub(r"^/v1\.\d+", "", path).partition("?")[0]
        if path == "/_ping":
            return 200, {"Api-Version": "1.41"}, "OK"
        lists = {"/containers/json": self.containers, "/networks": self.networks}
        return lists.get(path, (404, {}, '{"message":"page not found"}'))


TYPES = {"A": 1, "NS": 2, "CNAME": 5, "MX": 15, "AAAA": 28, "SRV": 33}
NXDOMAIN, SERVFAIL = 3, 2
UDP_BYTES = 1232


def encode_name(name):
    labels = [label.encode() for label in name.rstrip(".").split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def encode_data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "SRV":
        port, _, host = value.partition(" ")
        return struct.pack(">HHH", 10, 20, int(port)) + encode_name(host)
    return (struct.pack(">H", 5) if kind == "MX" else b"") + encode_name(value)


class Names:
    """A DNS server, UDP and TCP. `records` is {(name, type): [value], or a number: the code of the answer}; a type is
    one of TYPES, a value an address, a host, or "PORT HOST" for SRV. All that is asked for stands in `asked`."""

    def __init__(self, records, host="127.0.0.1", port=0):
        self.records = records
        self.asked = []  # (name, type, "udp" or "tcp")
        self.tcp, self.udp = self.bind(host, port)
        self.address = self.udp.getsockname()
        self.closed = False
        self.udp_thread = threading.Thread(target=self.serve_udp, daemon=True)
        self.udp_thread.start()
        threading.Thread(target=self.serve_tcp, daemon=True).start()

    @staticmethod
    def bind(host, port):
        """A port that is free for both."""
        for _ in range(100):
            tcp, udp = socket.create_server((host, port)), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                udp.bind(tcp.getsockname())
                return tcp, udp
            except OSError:
                tcp.close()
                udp.close()
        raise AssertionError("no free port")

    def answer(self, message, over):
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1 : at + 1 + message[at]].decode())
            at += 1 + message[at]
        (number,) = struct.unpack(">H", message[at + 1 : at + 3])
        name = ".".join(labels).lower()
        kind = next((k for k, v in TYPES.items() if v == number), number)
        self.asked.append((name, kind, over))
        names = {n for n, _ in self.records}
        values = self.records.get((name, kind), [] if name in names else NXDOMAIN)
        code, values = (values, []) if isinstance(values, int) else (0, values)
        records = b""
        for value in values:
            data = encode_data(kind, value)
            records += b"\xc0\x0c" + struct.pack(">HHIH", number, 1, 30, len(data)) + data
        cut = over == "udp" and len(records) > UDP_BYTES - 100
        flags = 0x8180 | code | (0x0200 if cut else 0)
        head = message[:2] + struct.pack(">HHHHH", flags, 1, 0 if cut else len(values), 0, 0)
        return head + message[12 : at + 5] + (b"" if cut else records)

    def serve_udp(self):
        while not self.closed:
            try:
                message, peer = self.udp.recvfrom(4096)
                if self.closed:
                    return
                self.udp.sendto(self.answer(message, "udp"), peer)
            except OSError:
                pass

    def serve_tcp(self):
        while not self.closed:
            try:
                connection, _ = self.tcp.accept()
                with connection, connection.makefile("rb") as incoming:
                    (size,) = struct.unpack(">H", incoming.read(2))
                    answer = self.answer(incoming.read(size), "tcp")
                    connection.sendall(struct.pack(">H", len(answer)) + answer)
            except (OSError, struct.error):
                pass

    @property
    def server(self):
        return f"{self.address[0]}:{self.address[1]}"

    def close(self):
        if self.closed:
            return
        self.closed = True
        # Until its thread wakes up, a closed socket would still take questions.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self.address)
        self.udp_thread.join()
        self.tcp.shutdown(socket.SHUT_RDWR)
        self.tcp.close()
        self.udp.close()
