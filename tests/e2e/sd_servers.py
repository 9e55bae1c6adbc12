"""sd_servers: what targets are asked for in tests of discovery: scripted HTTP services, on a port or a unix socket."""

import http.server
import json
import os
import socketserver
import threading

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
