#!/usr/bin/env python3
"""bench: obsagent beside Debian's vmagent and prometheus in agent mode: the same targets, the same receiver, one run.

usage: tests/bench/bench.py [--cases 1000x1000@10,1x1000@10] [--agents obsagent,vmagent,prometheus] [--seconds 40] [--markdown]

A case is TARGETSxSERIES@INTERVAL. Each target has an address of its own in 127.0.0.0/8, so each has its own connection.
The agents run one after the other. After a warm-up of two intervals and a bit, CPU time is taken from /proc over whole
intervals, memory as the highest seen, bytes from the receiver. A row is only valid when the receiver got what was due:
requests are counted by the targets, and the bytes must flow. Ratios count; absolute times differ between machines.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOAD = ROOT / "build/release/bench/load"
PROGRAMS = {
    "obsagent": ROOT / "build/release/obsagent",
    "vmagent": ROOT / "build/peers/usr/bin/vmagent",
    "prometheus": ROOT / "build/peers/usr/bin/prometheus",
}
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stats(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=10) as answer:
        return json.load(answer)


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def memory_kb(pid):
    """(RSS, anonymous) in kB."""
    rows = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(rows["VmRSS"].split()[0]), int(rows["RssAnon"].split()[0])


def scrape_config(port, targets, interval):
    """127.1.0.1, 127.1.0.2 ... as one static list."""
    addresses = [f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}" for i in range(targets)]
    listed = ", ".join(f"'{a}'" for a in addresses)
    return (
        f"global:\n  scrape_interval: {interval:g}s\n  scrape_timeout: {interval:g}s\n"
        f"scrape_configs:\n- job_name: load\n  static_configs:\n  - targets: [{listed}]\n"
    )


def command(agent, directory, scrape, write_url):
    port = free_port()
    config = directory / "config.yml"
    remote = f"remote_write:\n- url: {write_url}\n"
    if agent == "obsagent":
        config.write_text(scrape + remote)
        return [PROGRAMS[agent], "run", f"--config.file={config}", f"--storage.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}"]
    if agent == "vmagent":
        config.write_text(scrape)
        return [PROGRAMS[agent], f"-promscrape.config={config}", f"-remoteWrite.url={write_url}",
                f"-remoteWrite.tmpDataPath={directory}/data", f"-httpListenAddr=127.0.0.1:{port}"]
    config.write_text(scrape + remote)
    return [PROGRAMS[agent], "--enable-feature=agent", f"--config.file={config}",
            f"--storage.agent.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]


def measure(agent, targets, series, interval, seconds):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="obsagent-bench-"))
    target_port, sink_port = free_port(), free_port()
    servers = [subprocess.Popen([LOAD, str(p), str(series)]) for p in (target_port, sink_port)]
    time.sleep(0.5)
    argv = command(agent, directory, scrape_config(target_port, targets, interval),
                   f"http://127.0.0.1:{sink_port}/api/v1/write")
    log = open(directory / "log", "wb")
    child = subprocess.Popen([str(a) for a in argv], stdout=log, stderr=log, cwd=directory)
    try:
        time.sleep(2.5 * interval + 2)
        before, cpu_before, began = (stats(target_port), stats(sink_port)), cpu_seconds(child.pid), time.monotonic()
        windows = max(1, round(seconds / interval))
        rss = anon = 0
        while time.monotonic() - began < windows * interval:
            time.sleep(0.5)
            now = memory_kb(child.pid)
            rss, anon = max(rss, now[0]), max(anon, now[1])
        elapsed = time.monotonic() - began
        cpu = cpu_seconds(child.pid) - cpu_before
        after = (stats(target_port), stats(sink_port))
    finally:
        child.terminate()
        try:
            child.wait(30)
        except subprocess.TimeoutExpired:
            child.kill()
        for server in servers:
            server.kill()
    scrapes = after[0]["gets"] - before[0]["gets"]
    samples = scrapes * series
    sent = after[1]["post_bytes"] - before[1]["post_bytes"]
    due = targets * elapsed / interval
    shutil.rmtree(directory, ignore_errors=True)
    return {
        "cpu_us": cpu * 1e6 / (samples / 1000) if samples else 0,
        "rss_mb": rss / 1024,
        "anon_mb": anon / 1024,
        "wire": sent / samples if samples else 0,
        "valid": abs(scrapes - due) <= max(2, due * 0.04) and sent > samples,
    }


def table(case, rows, markdown):
    base = rows.get("vmagent")
    bar = "| " if markdown else ""
    end = " |" if markdown else ""
    sep = " | " if markdown else "  "
    head = [f"{case:<18}", "CPU µs / 1000 samples", "   RSS MB", "anonymous MB", "wire B / sample", "valid"]
    print(bar + sep.join(head) + end)
    if markdown:
        print("|" + "---|" * len(head))
    for agent, row in rows.items():
        def cell(key, width):
            ratio = f" ({row[key] / base[key]:.2f}x)" if base and base[key] and agent != "vmagent" else ""
            return f"{row[key]:.1f}{ratio}".rjust(width)

        print(bar + sep.join([f"{agent:<18}", cell("cpu_us", 21), cell("rss_mb", 9), cell("anon_mb", 12),
                              cell("wire", 15), "yes" if row["valid"] else "NO"]) + end)
    print(flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cases", default="1000x1000@10,1x1000@10")
    parser.add_argument("--agents", default="obsagent,vmagent,prometheus")
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    all_valid = True
    for case in options.cases.split(","):
        size, _, interval = case.partition("@")
        targets, _, series = size.partition("x")
        rows = {}
        for agent in options.agents.split(","):
            rows[agent] = measure(agent, int(targets), int(series), float(interval or 10), options.seconds)
            all_valid = all_valid and rows[agent]["valid"]
        table(case, rows, options.markdown)
    return 0 if all_valid else 1


if __name__ == "__main__":
    sys.exit(main())
