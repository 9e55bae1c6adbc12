"""kube_server: a scripted API server in the test's own process: what a real one does seldom, late or not yet.

Objects are put in and taken out; lists come in pages, watches stream what happens. What goes wrong is said by a test:
`answer` speaks instead of the server, `pieces` cuts what goes over the wire, `end_watches` ends streams.
"""

import bisect
import collections
import http.server
import json
import re
import ssl
import threading
import time
import urllib.parse

import harness

Request = collections.namedtuple("Request", "number time path query headers resource watch")

# The body of an answer that ends too early: its connection is closed after these bytes.
Cut = collections.namedtuple("Cut", "body")

JSON = {"Content-Type": "application/json"}
KINDS = {
    "Node": "nodes", "Pod": "pods", "Service": "services", "Endpoints": "endpoints", "Namespace": "namespaces",
    "EndpointSlice": "endpointslices", "Ingress": "ingresses", "ReplicaSet": "replicasets", "Job": "jobs",
}
PATH = re.compile(r"/(?P<version>api/v1|apis/[^/]+/[^/]+)/(?:namespaces/(?P<namespace>[^/]+)/)?(?P<resource>[a-z]+)$")


def status(code, reason, message=""):
    """An object of kind Status, as refusals and ERROR events have it."""
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message or reason,
            "reason": reason, "code": code}


def field(thing, path):
    for name in path.split("."):
        thing = thing.get(name, {}) if isinstance(thing, dict) else {}
    return thing if isinstance(thing, str) else ""


def selected(thing, labels, fields):
    """Equality and existence: what the tests use."""
    have = thing["metadata"].get("labels", {})
    for term in filter(None, labels.split(",")):
        key, equals, value = term.partition("=")
        if key.startswith("!"):
            good = key[1:] not in have
        else:
            good = have.get(key) == value.lstrip("=") if equals else key in have
        if not good:
            return False
    terms = [term.partition("=") for term in filter(None, fields.split(","))]
    return all(field(thing, path) == value for path, _, value in terms)


class KubeServer:
    """`answer(request)` may return (status, headers, body or Cut) to be said instead. `absent`: API versions that are
    not served, as "discovery.k8s.io/v1". `pieces(data)`: what is sent, one piece of it in each chunk. With `token`,
    others get 401. `tls` is (certificate, key). `watch_seconds`: how long a watch lasts at most."""

    def __init__(self, port=None, token=None, tls=None, page=500):
        self.token = token
        self.page = page
        self.absent = set()
        self.answer = lambda request: None
        self.pieces = lambda data: [data]
        self.watch_seconds = 3600
        self.requests = []
        self.things = collections.defaultdict(dict)  # resource: {(namespace, name): (version, thing, its bytes)}
        self.events = collections.defaultdict(list)  # resource: [(version, type, thing, bytes of the object)]
        self.last_sorted = (None, None)
        self.forgotten = collections.Counter()  # how many events of a resource are not in the list any more
        self.version = 1000
        self.oldest = 0  # versions before are compacted
        self.watching = collections.Counter()
        self.epoch, self.last_words = 0, None  # of watches that shall end, and what they say last
        self.changed = threading.Condition()
        self.closed = False
        self.server = self.listen(port or 0, tls)
        self.port = self.server.server_address[1]
        self.tls = tls
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def listen(self, port, tls):
        kube = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                kube.serve(self)

            def log_message(self, *args):
                pass

        server = harness.Server(("127.0.0.1", port), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        return server

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    # ---- what happens in the cluster ----

    def put(self, *things):
        """Makes or replaces objects."""
        with self.changed:
            for thing in things:
                resource = KINDS[thing["kind"]]
                key = (thing["metadata"].get("namespace", ""), thing["metadata"]["name"])
                self.version += 1
                thing = {**thing, "metadata": {"uid": f"uid-of-{key[1]}", **thing["metadata"],
                                               "resourceVersion": str(self.version)}}
                data = json.dumps(thing, ensure_ascii=False).encode()
                event = "MODIFIED" if key in self.things[resource] else "ADDED"
                self.things[resource][key] = (self.version, thing, data)
                self.events[resource].append((self.version, event, thing, data))
            self.changed.notify_all()

    def delete(self, kind, namespace, name):
        with self.changed:
            resource = KINDS[kind]
            _, thing, _ = self.things[resource].pop((namespace or "", name))
            self.version += 1
            thing = {**thing, "metadata": {**thing["metadata"], "resourceVersion": str(self.version)}}
            self.events[resource].append((self.version, "DELETED", thing, json.dumps(thing).encode()))
            self.changed.notify_all()

    def say(self, resource, event, thing):
        """An event that is not about an object of the store: BOOKMARK, ERROR, or what no API server knows."""
        with self.changed:
            self.events[resource].append((self.version, event, thing, json.dumps(thing).encode()))
            self.changed.notify_all()

    def bookmark(self, resource):
        """All that happened elsewhere counts as seen."""
        with self.changed:
            self.version += 100
            version = self.version
        self.say(resource, "BOOKMARK", {"kind": "X", "metadata": {"resourceVersion": str(version)}})
        return version

    def compact(self):
        """Nobody can watch from before now any more."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            for resource, events in self.events.items():
                self.forgotten[resource] += len(events)
                events.clear()

    def end_watches(self, last_words=None):
        """Ends all watches in order; or, with last words, after these without an end."""
        with self.changed:
            self.epoch += 1
            self.last_words = last_words
            self.changed.notify_all()

    def asked(self, resource, watch=None):
        """Requests for a resource so far."""
        return [r for r in list(self.requests) if r.resource == resource and watch in (None, r.watch)]

    # ---- what goes over the wire ----

    def serve(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        match = PATH.match(url.path)
        resource = match["resource"] if match else None
        watch = query.get("watch") in ("1", "true")
        with self.changed:
            number, headers = len(self.requests), dict(handler.headers)
            request = Request(number, time.monotonic(), url.path, query, headers, resource, watch)
            self.requests.append(request)
        try:
            if self.closed:
                raise OSError("the server is gone")
            self.reply(handler, request, match)
        except OSError:
            handler.close_connection = True

    def reply(self, handler, request, match):
        scripted = self.answer(request)
        if scripted:
            self.send(handler, *scripted)
        elif self.token and request.headers.get("Authorization") != f"Bearer {self.token}":
            self.refuse(handler, 401, "Unauthorized")
        elif not match or match["version"].removeprefix("apis/") in self.absent:
            self.send(handler, 404, {"Content-Type": "text/plain"}, b"404 page not found\n")
        elif request.watch:
            self.stream(handler, request, match)
        else:
            self.list(handler, request, match)

    def refuse(self, handler, code, reason, message=""):
        self.send(handler, code, JSON, json.dumps(status(code, reason, message)).encode())

    def send(self, handler, code, headers, body=b""):
        cut = isinstance(body, Cut)
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        self.chunks(handler, body.body if cut else body)
        self.finish(handler, cut)

    def chunks(self, handler, data):
        for piece in self.pieces(data) if data else ():
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    @staticmethod
    def finish(handler, cut):
        if cut:
            handler.close_connection = True
        else:
            handler.wfile.write(b"0\r\n\r\n")

    def chosen(self, thing, request, match):
        if match["namespace"] and thing["metadata"].get("namespace") != match["namespace"]:
            return False
        return selected(thing, request.query.get("labelSelector", ""), request.query.get("fieldSelector", ""))

    def list(self, handler, request, match):
        """A page; the token for the next one is the version of the whole and where to go on."""
        limit = min(int(request.query.get("limit") or 0) or 1 << 30, self.page) if "limit" in request.query else 1 << 30
        with self.changed:
            version, after = self.version, ""
            if request.query.get("continue"):
                version, _, after = request.query["continue"].partition(" ")
            keys, data = self.sorted(request, match)
        begin = bisect.bisect_right(keys, after) if after else 0
        more, left = {"resourceVersion": str(version)}, len(keys) - begin - limit
        if left > 0:
            more.update({"continue": f"{version} {keys[begin + limit - 1]}", "remainingItemCount": left})
        head = b'{"kind":"List","apiVersion":"v1","metadata":%b,"items":[' % json.dumps(more).encode()
        body = head + b",".join(data[begin : begin + limit]) + b"]}\n"
        self.send(handler, 200, JSON, body)

    def sorted(self, request, match):
        """Keys and bytes of what is asked for; the next page needs the same."""
        wanted = (request.path, request.query.get("labelSelector"), request.query.get("fieldSelector"), self.version)
        if self.last_sorted[0] != wanted:
            things = sorted(self.things[match["resource"]].items())
            things = [("/".join(key), data) for key, (_, thing, data) in things if self.chosen(thing, request, match)]
            self.last_sorted = wanted, ([key for key, _ in things], [data for _, data in things])
        return self.last_sorted[1]

    def stream(self, handler, request, match):
        resource = match["resource"]
        since = int(request.query.get("resourceVersion") or 0)
        if since < self.oldest:
            self.refuse(handler, 410, "Expired", f"too old resource version: {since} ({self.oldest})")
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        with self.changed:
            self.watching[resource] += 1
        try:
            self.follow(handler, request, match, since)
        finally:
            with self.changed:
                self.watching[resource] -= 1

    def follow(self, handler, request, match, since):
        """Sends what comes after `since`, until the watch shall end."""
        end, epoch = time.monotonic() + self.watch_seconds, self.epoch
        resource = match["resource"]
        events = self.events[resource]

        def fresh():
            return events[max(seen - self.forgotten[resource], 0):]

        with self.changed:
            seen = self.forgotten[resource] + sum(event[0] <= since for event in events)
        while True:
            with self.changed:
                while not fresh() and self.epoch == epoch and time.monotonic() < end:
                    self.changed.wait(min(end - time.monotonic(), 1))
                news = fresh()
                seen = self.forgotten[resource] + len(events)
                over = self.epoch != epoch or time.monotonic() >= end
                words = self.last_words if self.epoch != epoch else None
            lines = [
                b'{"type":"%b","object":%b}\n' % (kind.encode(), data)
                for _, kind, thing, data in news
                if kind not in ("ADDED", "MODIFIED", "DELETED") or self.chosen(thing, request, match)
            ]
            self.chunks(handler, b"".join(lines))
            if over:
                self.chunks(handler, words or b"")
                self.finish(handler, words is not None)
                return

    def close(self):
        self.closed = True
        self.end_watches()
        self.server.shutdown()
        self.server.server_close()
