"""test_size: very large targets, and very many of them."""

import asyncio
import gzip
import os
import pathlib
import subprocess
import threading

import pytest

from harness import Agent, Receiver, Sink, free_port, remote_write, scrape_config, wait_for

ROOT = pathlib.Path(__file__).resolve().parents[2]
MB = 1024  # of kB, as /proc counts


def peak_kb(agent, field="VmHWM"):
    with open(f"/proc/{agent.child.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


class Fleet:
    """Targets on one port, told apart by their path: /ok/N, /hang/N, /garbage/N, and /big, which is sent gzipped."""

    def __init__(self, big=b""):
        self.big = big
        self.port = None
        self.served = 0
        self.loop = asyncio.new_event_loop()
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        self.ready.wait()

    def run(self):
        asyncio.set_event_loop(self.loop)
        server = self.loop.run_until_complete(asyncio.start_server(self.serve, "127.0.0.1", 0, backlog=4096))
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()
        self.loop.run_forever()

    def answer(self, path):
        head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
        if path == "/big":
            return head + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(self.big) + self.big
        body = b"\x01\x02 garbage\n" if "/garbage" in path else b"".join(b"m{i=\"%d\"} 1\n" % i for i in range(20))
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    async def serve(self, reader, writer):
        try:
            while True:
                request = await reader.readuntil(b"\r\n\r\n")
                path = request.split(b" ", 2)[1].decode()
                if path.startswith("/hang"):
                    await asyncio.sleep(3600)
                writer.write(self.answer(path))
                await writer.drain()
                self.served += 1
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def end(self):
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0)
        self.loop.stop()

    def close(self):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop)
        self.thread.join()


def big_body():
    """100 MB of a million series, each with a value of its own in one label."""
    families = []
    for family in range(1000):
        lines = [f"# HELP requests_{family}_total Requests.\n# TYPE requests_{family}_total counter\n"]
        lines += [
            f'requests_{family}_total{{path="/api/v1/resource/{family * 1000 + i}",method="GET",status="200",'
            f'pod="api-7d9f{i % 50}"}} {i * 7}\n'
            for i in range(1000)
        ]
        families.append(gzip.compress("".join(lines).encode(), 1))
    return b"".join(families)  # many members are one body


def test_a_million_series_in_one_target(run, tmp_path):
    fleet, sink = run(Fleet, big_body()), run(Sink, tmp_path)
    job = scrape_config("big", f"127.0.0.1:{fleet.port}", interval="20s", extra="  metrics_path: /big\n")
    agent = run(Agent, tmp_path, remote_write(sink.url) + "scrape_configs:\n" + job)
    wait_for("the scrape", lambda: agent.total("obsagent_scrape_samples_total") >= 1000000, timeout=60)
    wait_for("delivery", lambda: agent.total("obsagent_samples_delivered_total") >= 1000005, timeout=60)
    assert agent.targets()[0]["health"] == "up"
    assert peak_kb(agent) < 120 * MB
    assert agent.total("obsagent_samples_lost_total") == 0


def test_a_million_series_over_a_limit(run, tmp_path):
    """What is over sample_limit costs no memory, and only the report series go on."""
    fleet, receiver = run(Fleet, big_body()), run(Receiver)
    address = f"127.0.0.1:{fleet.port}"
    small = scrape_config("small", address, interval="5s", extra="  metrics_path: /ok/1\n")
    big = scrape_config("big", address, interval="5s", extra="  metrics_path: /big\n  sample_limit: 1000\n")
    text = remote_write(receiver.url) + "scrape_configs:\n"
    other = run(Agent, tmp_path, text + small, name="small")
    agent = run(Agent, tmp_path, text + big, name="big")
    for each in (other, agent):
        wait_for("scrapes", lambda a=each: a.total("obsagent_scrapes_total") >= 2, timeout=60)
    assert agent.targets()[0]["lastError"] == "sample limit exceeded"
    assert peak_kb(agent) < peak_kb(other) + 2 * MB
    names = {labels["__name__"] for labels, _, _ in receiver.snapshot() if labels["job"] == "big"}
    assert names and all(name == "up" or name.startswith("scrape_") for name in names), names


def late(agent, bound):
    """The share of scrapes that started later than `bound` seconds after their plan."""
    buckets = {dict(ls)["le"]: v for (n, ls), v in agent.metrics().items() if n.endswith("start_delay_seconds_bucket")}
    return 1 - buckets[bound] / buckets["+Inf"]


def fleet_config(fleet, receiver, total, hang, refuse, garbage, interval):
    refused = free_port()
    jobs = {"ok": total - hang - refuse - garbage, "hang": hang, "garbage": garbage, "refuse": refuse}
    text = f"global: {{scrape_interval: {interval}}}\n" + remote_write(receiver.url) + "scrape_configs:\n"
    for name, n in jobs.items():
        port = refused if name == "refuse" else fleet.port
        labels = [
            f"  - {{targets: ['127.0.0.1:{port}'], labels: {{__metrics_path__: /{name}/{i}, n: '{i}'}}}}\n"
            for i in range(n)
        ]
        text += f"- job_name: {name}\n  static_configs:\n" + "".join(labels)
    return text


def check_fleet(run, tmp_path, total, bad, interval, scrapes):
    fleet, receiver = run(Fleet), run(Receiver)
    text = fleet_config(fleet, receiver, total, *bad, interval)
    agent = run(Agent, tmp_path, text, "--scrape.workers=1")
    os.sched_setaffinity(agent.child.pid, {0})
    healthy = total - sum(bad)
    wait_for("all to be up", lambda: agent.total("obsagent_targets", state="up") == healthy, timeout=60)
    wait_for("the scrapes", lambda: agent.total("obsagent_scrapes_total") >= scrapes, timeout=150)
    assert agent.total("obsagent_targets", state="up") == healthy
    assert agent.total("obsagent_targets", state="down") == sum(bad)
    assert late(agent, "0.25") < 0.01
    assert agent.total("obsagent_scrapes_skipped_total") <= scrapes / 1000


def test_a_fleet_with_bad_ones(run, tmp_path):
    check_fleet(run, tmp_path, 500, (20, 20, 10), "3s", 2000)


@pytest.mark.soak
def test_a_large_fleet_with_bad_ones(run, tmp_path):
    """5,000 targets at 15 s on one core, 200 hanging, 200 refusing, 100 sending garbage."""
    check_fleet(run, tmp_path, 5000, (200, 200, 100), "15s", 20000)


@pytest.mark.soak
def test_series_memory(tmp_path):
    """At most 40 bytes a series, and within twice that while 5 % of them change with every scrape for an hour."""
    subprocess.run(["make", "-s", "build/release/bench/memory"], cwd=ROOT, check=True)
    subprocess.run([ROOT / "build/release/bench/memory"], check=True)
