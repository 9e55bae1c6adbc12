"""chaos: the other side of test_chaos, in processes of its own: many targets, and receivers that misbehave when told.

usage: chaos.py targets PORT DIR | chaos.py receiver PORT DIR

Both write down what happened, for chaos_check.py, and listen to JSON at POST /control.

targets   /t/N is a target; `answered.bin` has (target, how often it was asked by then, wall time) of each whole answer.
receiver  `requests.ndjson` has a line for each request, `samples.bin` the samples of those that it accepted and of
          those it refused although one series was all they held, `series.ndjson` the labels of a series, by number of
          line. The control port is the next one, so that it stays when the receiver's own is closed.
"""

import asyncio
import ctypes
import json
import pathlib
import random
import socket
import struct
import sys
import time
import zlib

import harness

SERIES = 20
ANSWERED = struct.Struct("<IId")
SAMPLE = struct.Struct("<IIqd")  # request, series, ms, value
STALE_BITS = 0x7FF0000000000002


def refuses(salt, one_in, labels):
    """Whether a receiver that was given this salt refuses a series; labels: sorted pairs."""
    return zlib.crc32(repr((salt, labels)).encode()) % one_in == 0


# ---- snappy: the system's library where there is one, this test is not about it ----


def load_snappy():
    try:
        library = ctypes.CDLL("libsnappy.so.1")
    except OSError:
        return harness.snappy_decode

    def decode(data):
        size = ctypes.c_size_t()
        assert library.snappy_uncompressed_length(data, ctypes.c_size_t(len(data)), ctypes.byref(size)) == 0
        out = ctypes.create_string_buffer(max(1, size.value))
        assert library.snappy_uncompress(data, ctypes.c_size_t(len(data)), out, ctypes.byref(size)) == 0
        return out.raw[: size.value]

    return decode


# ---- HTTP, as much of it as the agent needs ----


async def read_head(reader):
    """(path, headers) of the next request."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
    return head[0].split(" ")[1], headers


def response(status, body=b"", headers=()):
    length = [] if status == 204 else [f"Content-Length: {len(body)}"]
    return "\r\n".join([f"HTTP/1.1 {status} X", *length, *headers, "", ""]).encode() + body


def reset(writer):
    """Ends a connection with RST."""
    sock = writer.get_extra_info("socket")
    if sock is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def control(handle, reader, writer):
    try:
        while True:
            _, headers = await read_head(reader)
            order = json.loads(await reader.readexactly(int(headers.get("content-length", 0))))
            answer = json.dumps(await handle(order)).encode()
            writer.write(response(200, answer))
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        writer.close()


# ---- targets ----


class Targets:
    def __init__(self, directory):
        self.log = open(directory / "answered.bin", "wb")
        self.asked = {}
        lines = ["# TYPE chaos_asked_total counter\n# HELP chaos_asked_total How often.\nchaos_asked_total %d\n"]
        lines += [f'chaos_value{{i="{i}",path="/api/v1/thing/{i * 7}"}} %d\n' for i in range(SERIES - 1)]
        self.template = "".join(lines)

    async def order(self, order):
        self.log.flush()
        return {"asked": sum(self.asked.values())}

    async def serve(self, reader, writer):
        try:
            while True:
                path, _ = await read_head(reader)
                number = int(path.rsplit("/", 1)[1])
                n = self.asked[number] = self.asked.get(number, 0) + 1
                body = (self.template % ((n,) * SERIES)).encode()
                writer.write(response(200, body, ["Content-Type: text/plain; version=0.0.4"]))
                await writer.drain()
                self.log.write(ANSWERED.pack(number, n, time.time()))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


# ---- a receiver ----


class Decoder:
    """Samples of remote-write 1.0 bodies, fast: a series that was seen before is known by its bytes."""

    def __init__(self, log):
        self.snappy = load_snappy()
        self.known = {}  # bytes of the labels: number
        self.numbers = {}  # sorted labels: number
        self.labels = []
        self.log = log

    def number(self, labels):
        if labels not in self.numbers:
            self.numbers[labels] = len(self.labels)
            self.labels.append(labels)
            self.log.write(json.dumps(labels) + "\n")
        return self.numbers[labels]

    def slowly(self, series):
        """One TimeSeries, by the book; [(number, ms, value)]."""
        labels, points = [], []
        end_of_labels, at = 0, 0
        for n, v in harness.fields(series):
            at += 1 + (1 if len(v) < 128 else 2) + len(v)
            if n == 1:
                pair = dict(harness.fields(v))
                labels.append((pair[1].decode(), pair[2].decode()))
                end_of_labels = at
            elif n == 2:
                point = dict(harness.fields(v))
                points.append((point.get(2, 0), struct.unpack("<d", point.get(1, b"\0" * 8))[0]))
        assert labels == sorted(labels), labels
        number = self.number(tuple(labels))
        if len(points) == 1:
            self.known[series[:end_of_labels]] = number
        return [(number, ms, value) for ms, value in points]

    def quickly(self, series):
        """The same when it is one sample of a known series, else None."""
        if series[-18:-15] != b"\x12\x10\x09" or series[-7] != 0x10 or series[:-18] not in self.known:
            return None
        ms = 0
        for byte in reversed(series[-6:]):
            ms = ms << 7 | byte & 0x7F
        return [(self.known[series[:-18]], ms, struct.unpack_from("<d", series, len(series) - 15)[0])]

    def decode(self, body):
        samples = []
        for number, value in harness.fields(self.snappy(body)):
            if number == 1:
                samples += self.quickly(value) or self.slowly(value)
        return samples


class Receiver:
    """Takes everything, until it is told a fault: {"kind": ..., "p": share of the requests, ...}."""

    def __init__(self, port, directory):
        self.port = port
        self.requests = open(directory / "requests.ndjson", "w", encoding="ascii")
        self.samples = open(directory / "samples.bin", "wb")
        self.series = open(directory / "series.ndjson", "w", encoding="ascii")
        self.decoder = Decoder(self.series)
        self.fault = {}
        self.over = asyncio.Event()  # of the present fault
        self.random = random.Random(0)
        self.server = None
        self.connections = {}
        self.connections_n = 0
        self.requests_n = 0
        self.refused = {}  # (salt, series): whether

    async def open(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", self.port, backlog=256, limit=1 << 20)

    async def shut(self):
        if self.server:
            self.server.close()
            self.server = None
        for writer in list(self.connections.values()):
            reset(writer)

    async def order(self, order):
        """A new fault, {} for none; answers when it is in force."""
        if "flush" in order:
            for file in (self.requests, self.samples, self.series):
                file.flush()
            return {"requests": self.requests_n}
        self.over.set()
        self.over = asyncio.Event()
        self.fault = order
        self.random = random.Random(order.get("seed", 0))
        if order.get("kind") == "refuse connections":
            await self.shut()
        elif not self.server:
            await self.open()
        return {}

    async def serve(self, reader, writer):
        self.connections_n += 1
        number = self.connections_n
        self.connections[number] = writer
        try:
            while await self.request(number, reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.note({"connection": number, "ended": time.time()})
            del self.connections[number]
            writer.close()

    def note(self, line):
        self.requests.write(json.dumps(line) + "\n")

    async def request(self, connection, reader, writer):
        """Serves one request; False when that ends the connection."""
        _, headers = await read_head(reader)
        began = time.time()
        fault = self.fault if self.random.random() < self.fault.get("p", 1) else {}
        over, kind = self.over, fault.get("kind")
        size = int(headers["content-length"])
        if kind == "reset":
            await reader.readexactly(size // 2)
            reset(writer)
            return False
        if kind == "stall":
            await over.wait()
        samples = self.decoder.decode(await reader.readexactly(size))
        if kind in ("hang", "accept and hang"):
            self.take(connection, began, samples, 0, kind == "accept and hang", kind)
            await over.wait()
            return False
        status, extra = self.judge(fault, samples) if samples else (204, [])
        answer = response(status, b"" if status == 204 else b"scripted", extra)
        self.take(connection, began, samples, status, status == 204, kind)
        if kind in ("half", "cut"):
            writer.write(answer[: len(answer) // 2 if kind == "half" else 0])
            await writer.drain()
            (reset if self.random.random() < 0.5 else type(writer).close)(writer)
            return False
        if kind == "far":
            await asyncio.sleep(fault["delay"])
        writer.write(answer)
        await writer.drain()
        return True

    def judge(self, fault, samples):
        """(status, headers)"""
        kind = fault.get("kind")
        if kind == "status":
            return fault["status"], fault.get("headers", [])
        if kind == "too large" and len(samples) > fault["most"]:
            return 413, []
        if kind == "refuse" and any(self.refuses(fault, n) for n, _, _ in samples):
            return 400, []
        return 204, []

    def refuses(self, fault, number):
        key = (fault["salt"], number)
        if key not in self.refused:
            self.refused[key] = refuses(fault["salt"], fault["one_in"], self.decoder.labels[number])
        return self.refused[key]

    def take(self, connection, began, samples, status, accepted, kind):
        number = self.requests_n
        self.requests_n += 1
        alone = status == 400 and len({n for n, _, _ in samples}) == 1
        self.note({"request": number, "connection": connection, "began": began, "at": time.time(), "kind": kind,
                   "status": status, "samples": len(samples), "accepted": accepted, "alone": alone})
        if accepted or alone:
            self.samples.write(b"".join([SAMPLE.pack(number, *sample) for sample in samples]))


# ---- from the test ----


def tell(port, order):
    """Gives an order at a control port; what it answers."""
    request = harness.urllib.request.Request(
        f"http://127.0.0.1:{port}/control", json.dumps(order).encode(), {"Connection": "close"}
    )
    with harness.urllib.request.urlopen(request, timeout=30) as answer:
        status, text = answer.status, answer.read()
    assert status == 200, text
    return json.loads(text)


class Peer(harness.Process):
    """One of these processes."""

    def __init__(self, kind, directory):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        while True:
            self.port = harness.free_port()
            if not harness.can_connect(self.port + 1):
                break
        script = pathlib.Path(__file__)
        super().__init__(["/usr/bin/python3", script, kind, self.port, directory], self.directory / "log")
        harness.wait_for(kind, lambda: harness.can_connect(self.port + 1))

    def tell(self, **order):
        return tell(self.port + 1, order)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"


async def main(kind, port, directory):
    if kind == "targets":
        thing = Targets(directory)
        await asyncio.start_server(thing.serve, "127.0.0.1", port, backlog=1024)
    else:
        thing = Receiver(port, directory)
        await thing.open()
    await asyncio.start_server(lambda r, w: control(thing.order, r, w), "127.0.0.1", port + 1)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3])))
