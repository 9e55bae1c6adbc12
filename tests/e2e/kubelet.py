"""kubelet: what a node's kubelet answers, with a certificate and a token check: its pods, its metrics, cAdvisor's."""

import http.server
import json
import ssl
import threading
import time

import harness

CADVISOR = """\
# HELP container_cpu_usage_seconds_total Cumulative cpu time consumed in seconds.
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{{container="app",pod="web"}} {value} {ms}
# TYPE container_tasks_state gauge
container_tasks_state{{container="app",state="running"}} 1 {ms}
# TYPE cadvisor_version_info gauge
cadvisor_version_info{{cadvisorVersion=""}} 1
"""


class Kubelet:
    """`pods` is what it lists; `broken`, (status, body), is said instead. cAdvisor's samples are `age` seconds old and
    change only every `housekeeping` seconds."""

    def __init__(self, certificate, key, token="secret", host="127.0.0.1", port=0):
        self.token = token
        self.pods = []
        self.broken = None
        self.age, self.housekeeping = 5, 2
        self.requests = []  # (path, authorization)
        self.containers = True
        kubelet = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                kubelet.requests.append((self.path, self.headers.get("Authorization")))
                status, body = kubelet.answer(self.path, self.headers.get("Authorization"))
                self.send_response(status)
                self.send_header("Content-Type", "application/json" if self.path == "/pods" else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = harness.Server((host, port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def answer(self, path, authorization):
        if authorization != f"Bearer {self.token}":
            return 401, b"Unauthorized"
        if path == "/pods":
            # Without pods a kubelet lists null; a list of its own has no version.
            body = {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": self.pods or None}
            return self.broken or (200, json.dumps(body).encode())
        if path == "/metrics":
            return 200, b"# TYPE kubelet_running_pods gauge\nkubelet_running_pods %d\n" % len(self.pods)
        if path == "/metrics/cadvisor":
            looked = int((time.time() - self.age) / self.housekeeping) * self.housekeeping
            text = CADVISOR.format(value=looked % 1000, ms=looked * 1000)
            return 200, (text if self.containers else "cadvisor_version_info 1\n").encode()
        return 404, b"404 page not found"

    def close(self):
        self.server.shutdown()
        self.server.server_close()
