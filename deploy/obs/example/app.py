#!/usr/bin/env python3
"""app: what an API exposes for the RED dashboard, with numbers that move as if people used it. Standard library only.

usage: app.py [PORT]    serves /metrics on 127.0.0.1 (8000)
"""

import bisect
import http.server
import random
import sys
import threading
import time

BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# (route, method): requests a second, seconds that half of them take, share of 5xx, share of 4xx
ROUTES = {
    ("/v1/albums", "GET"): (20, 0.02, 0.002, 0.01),
    ("/v1/albums/{id}", "GET"): (35, 0.012, 0.001, 0.02),
    ("/v1/photos", "POST"): (4, 0.3, 0.02, 0.03),
    ("/v1/login", "POST"): (2, 0.09, 0.005, 0.15),
}
# What requests do behind the scenes: labels, how often a second, seconds that half of them take
QUERIES = {("select", "albums"): (60, 0.002), ("select", "photos"): (80, 0.004), ("insert", "photos"): (4, 0.006)}
UPLOADS = {("ok",): (4, 0.4), ("error",): (0.1, 2.0)}
PUSHES = {("200",): (3, 0.08), ("410",): (0.2, 0.06)}


class Histogram:
    def __init__(self, name, text, labels):
        self.name, self.text, self.labels = name, text, labels
        self.series = {}

    def observe(self, values, seconds):
        counts, total = self.series.setdefault(values, ([0] * (len(BUCKETS) + 1), [0.0]))
        counts[bisect.bisect_left(BUCKETS, seconds)] += 1
        total[0] += seconds

    def expose(self):
        yield f"# HELP {self.name} {self.text}"
        yield f"# TYPE {self.name} histogram"
        for values, (counts, total) in sorted(self.series.items()):
            labels = ",".join(f'{k}="{v}"' for k, v in zip(self.labels, values))
            seen = 0
            for bound, count in zip((*BUCKETS, "+Inf"), counts):
                seen += count
                yield f'{self.name}_bucket{{{labels},le="{bound}"}} {seen}'
            yield f"{self.name}_sum{{{labels}}} {total[0]:.6f}"
            yield f"{self.name}_count{{{labels}}} {seen}"


class App:
    """Counts what would have happened since it was last asked; `seed` makes it repeatable."""

    def __init__(self, seed=None):
        self.random = random.Random(seed)
        self.lock = threading.Lock()
        self.http = Histogram("http_request_duration_seconds", "Requests by route.", ("route", "method", "status"))
        self.gorm = Histogram("gorm_query_duration_seconds", "Database queries.", ("operation", "table"))
        self.b2 = Histogram("b2_upload_duration_seconds", "Uploads to object storage.", ("result",))
        self.apns = Histogram("apns_send_duration_seconds", "Push notifications.", ("status",))
        self.then = time.monotonic() - 1

    def happen(self, histogram, values, per_second, median, elapsed):
        for _ in range(int(per_second * elapsed + self.random.random())):
            histogram.observe(values() if callable(values) else values, median * self.random.lognormvariate(0, 0.7))

    def status(self, broken, wrong):
        chance = self.random.random()
        return "500" if chance < broken else "404" if chance < broken + wrong else "200"

    def advance(self, elapsed):
        """What `elapsed` seconds bring."""
        for (route, method), (rate, median, broken, wrong) in ROUTES.items():
            labels = lambda r=route, m=method, b=broken, w=wrong: (r, m, self.status(b, w))
            self.happen(self.http, labels, rate, median, elapsed)
        for histogram, things in ((self.gorm, QUERIES), (self.b2, UPLOADS), (self.apns, PUSHES)):
            for values, (rate, median) in things.items():
                self.happen(histogram, values, rate, median, elapsed)

    def metrics(self):
        with self.lock:
            now = time.monotonic()
            self.advance(min(now - self.then, 60))
            self.then = now
            families = (self.http, self.gorm, self.b2, self.apns)
            return "".join(f"{line}\n" for family in families for line in family.expose())


def serve(app, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = app.metrics().encode() if self.path == "/metrics" else b""
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    serve(App(), int(sys.argv[1]) if len(sys.argv) > 1 else 8000)
