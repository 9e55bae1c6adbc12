#!/usr/bin/env python3
"""bench: obsagent beside Debian's vmagent and prometheus in agent mode: the same targets, the same receiver, one run.

A case is TARGETSxSERIES@INTERVAL. Each target has an address of its own in 127.0.0.0/8, so each has its own connection.
The agents run one after the other; with --rounds that whole sequence is repeated, every other time backwards, and a row
shows medians, so that a machine that gets busier or slower harms all alike. `obsagent:rw2` is obsagent with that
protocol; plain names speak remote write 1.0 with snappy.

After a warm-up CPU time is the kernel's nanosecond count for the process over whole intervals, memory the highest that
was seen, bytes are those of request bodies at the receiver. A row is valid only when the targets were asked as often as
was due and the receiver counted as many samples as were scraped, both within 2 %: a cheap agent that loses or delays
data has no place in the table. What agents add by themselves (up, scrape_duration_seconds ...) may come on top.
When something else used the machine meanwhile, the row says so: a starved agent times out, piles up what it has not
sent and shows several times the memory it needs, which would be no fair comparison.
Ratios count; absolute times differ between machines.
"""

import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))
from harness import can_connect, free_port, peer, peer_env, wait_for  # noqa: E402

LOAD = ROOT / "build/release/bench/load"
OBSAGENT = pathlib.Path(os.environ.get("OBSAGENT", ROOT / "build/release/obsagent"))
TOLERANCE = 0.02
WARM_UP_SECONDS_MAX = 90
OTHERS_MAX = 0.1  # of all CPUs
TICKS = os.sysconf("SC_CLK_TCK")
LAG_SECONDS_MAX = 6  # prometheus waits up to 5 s for a batch to fill
REPORT_SERIES_MAX = 12  # added by an agent for each scrape: five by prometheus, more by vmagent


def stats(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats", timeout=10) as answer:
        return json.load(answer)


def cpu_seconds(pid):
    """User and system time of all threads, ended ones too. /proc/PID/stat has the same in ticks of 10 ms, too coarse
    for a sidecar. The clock of another process is named by a formula of the kernel: ~pid << 3 | CPUCLOCK_SCHED."""
    return time.clock_gettime(~pid << 3 | 2)


def machine_busy_seconds():
    """CPU time of everything on this machine, and what its host took away from it."""
    fields = [int(f) for f in pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _, _, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS


def memory_mb(pid):
    """(RSS, anonymous part of it)."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    rows = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(rows["VmRSS"].split()[0]) / 1024, int(rows["RssAnon"].split()[0]) / 1024


def scrape_config(port, targets, interval):
    """127.1.0.1, 127.1.0.2 ... as one static list."""
    addresses = [f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}:{port}" for i in range(targets)]
    listed = ", ".join(f"'{a}'" for a in addresses)
    return (
        f"global:\n  scrape_interval: {interval:g}s\n  scrape_timeout: {interval:g}s\n"
        f"scrape_configs:\n- job_name: load\n  static_configs:\n  - targets: [{listed}]\n"
    )


def command(agent, directory, scrape, write_url):
    """The command line of an agent with its configuration written; all else as it is out of the box."""
    port = free_port()
    config = directory / "config.yml"
    remote = f"remote_write:\n- url: {write_url}\n"
    name, _, protocol = agent.partition(":")
    if name == "obsagent":
        config.write_text(scrape + remote + (f"  protocol: {protocol}\n" if protocol else ""))
        return [OBSAGENT, "run", f"--config.file={config}", f"--storage.path={directory}/data",
                f"--web.listen-address=127.0.0.1:{port}"]
    if name == "vmagent":
        config.write_text(scrape)
        return [peer("usr/bin/vmagent"), f"-promscrape.config={config}", f"-remoteWrite.url={write_url}",
                f"-remoteWrite.tmpDataPath={directory}/data", f"-httpListenAddr=127.0.0.1:{port}"]
    config.write_text(scrape + remote)
    return [peer("usr/bin/prometheus"), "--enable-feature=agent", f"--config.file={config}",
            f"--storage.agent.path={directory}/data", f"--web.listen-address=127.0.0.1:{port}"]


def warm_up(child, ports, targets, series, interval):
    """Two intervals and a bit; then on until what was scraped has arrived, since prometheus replays its log at first
    and would be seen working off the backlog. One that never catches up is measured all the same, and found invalid."""
    end = time.monotonic() + WARM_UP_SECONDS_MAX
    time.sleep(max(12.0, 2.5 * interval + 2))
    while child.poll() is None and time.monotonic() < end:
        missing = stats(ports[0])["gets"] * series - stats(ports[1])["samples"]
        if missing <= max(2 * series, targets * series / interval * LAG_SECONDS_MAX):
            return
        time.sleep(1)


def watch(pid, neighbours, ports, seconds):
    """What happened to the process and its two neighbours in so many seconds."""
    ours = [pid, os.getpid(), *neighbours]
    others = machine_busy_seconds() - sum(cpu_seconds(p) for p in ours)
    before, cpu, began = [stats(p) for p in ports], cpu_seconds(pid), time.monotonic()
    rss = anonymous = 0.0
    while time.monotonic() - began < seconds:
        time.sleep(min(0.5, max(0.0, seconds - (time.monotonic() - began))))
        now = memory_mb(pid)
        rss, anonymous = max(rss, now[0]), max(anonymous, now[1])
    cpu, elapsed = cpu_seconds(pid) - cpu, time.monotonic() - began
    others = machine_busy_seconds() - sum(cpu_seconds(p) for p in ours) - others
    targets, sink = [{k: after[k] - b[k] for k in b} for after, b in zip((stats(p) for p in ports), before)]
    return {"cpu": cpu, "elapsed": elapsed, "rss": rss, "anonymous": anonymous, "targets": targets, "sink": sink,
            "others": others / elapsed / os.cpu_count()}


def judge(seen, targets, series, interval):
    """Why a row must not be trusted; empty when it may. Ends of the window may cut one scrape of each kind in two."""
    scrapes, due = seen["targets"]["gets"], targets * seen["elapsed"] / interval
    if abs(scrapes - due) > max(2, due * TOLERANCE):
        return f"{scrapes} scrapes, {due:.0f} were due"
    scraped, got = scrapes * series, seen["sink"]["samples"]
    slack = max(2 * series, scraped * TOLERANCE)
    if not scraped - slack <= got <= scraped + scrapes * REPORT_SERIES_MAX + slack:
        return f"{scraped} samples scraped, {got} delivered"
    if seen["sink"]["bad_posts"]:
        return f"{seen['sink']['bad_posts']} requests that do not decode"
    if seen["targets"]["connections"] > 0.1 * scrapes + 2:
        return f"{seen['targets']['connections']} connections for {scrapes} scrapes: no keep-alive"
    return ""


def measure(agent, targets, series, interval, seconds):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="obsagent-bench-"))
    ports = [free_port(), free_port()]
    servers = [subprocess.Popen([LOAD, str(p), str(series)]) for p in ports]
    log = open(directory / "log", "wb")
    child = None
    try:
        wait_for("the load", lambda: all(can_connect(p) for p in ports))
        argv = command(agent, directory, scrape_config(ports[0], targets, interval),
                       f"http://127.0.0.1:{ports[1]}/api/v1/write")
        child = subprocess.Popen([str(a) for a in argv], stdout=log, stderr=log, stdin=subprocess.DEVNULL,
                                 cwd=directory, env=os.environ if agent.startswith("obsagent") else peer_env())
        warm_up(child, ports, targets, series, interval)
        if child.poll() is not None:
            raise RuntimeError(f"{agent} ended with {child.returncode}:\n{(directory / 'log').read_text()[-2000:]}")
        seen = watch(child.pid, [s.pid for s in servers], ports, max(1, round(seconds / interval)) * interval)
        problem = judge(seen, targets, series, interval)
        if problem:
            print(f"{agent}: {problem}; its last words:\n{(directory / 'log').read_text()[-1000:]}", file=sys.stderr)
    finally:
        if child:
            child.terminate()
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        for server in servers:
            server.kill()
            server.wait()
        log.close()
        shutil.rmtree(directory, ignore_errors=True)
    samples = max(1, seen["targets"]["gets"] * series)
    return {
        "rate": seen["sink"]["samples"] / seen["elapsed"],
        "cpu_us": seen["cpu"] * 1e9 / samples,
        "rss": seen["rss"],
        "anonymous": seen["anonymous"],
        "wire": seen["sink"]["post_bytes"] / max(1, seen["sink"]["samples"]),
        "others": seen["others"],
        "valid": not problem,
    }


COLUMNS = [
    ("cpu_us", "CPU µs/1000 samples", "{:.0f}"),
    ("rss", "RSS MB", "{:.1f}"),
    ("anonymous", "anonymous MB", "{:.1f}"),
    ("wire", "wire B/sample", "{:.1f}"),
]


def verdict(row):
    if not row["valid"]:
        return "NO"
    return "yes" if row["others"] <= OTHERS_MAX else f"DISTURBED: others took {row['others']:.0%} of the CPUs"


def table(case, rows, markdown):
    """One table of a case; the number in brackets is that of vmagent times so much."""
    base = rows.get("vmagent")
    lines = [[case] + [title for _, title, _ in COLUMNS] + ["delivered/s", "valid"]]
    for agent, row in rows.items():
        cells = [agent]
        for key, _, form in COLUMNS:
            ratio = f" (×{row[key] / base[key]:.2f})" if base and agent != "vmagent" and base[key] else ""
            cells.append(form.format(row[key]) + ratio)
        lines.append(cells + [f"{row['rate']:.0f}", verdict(row)])
    if markdown:
        lines.insert(1, ["---"] * len(lines[0]))
        print("\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n", flush=True)
        return
    widths = [max(len(cells[i]) for cells in lines) for i in range(len(lines[0]))]
    for cells in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip())
    print(flush=True)


def run_case(case, agents, seconds, rounds):
    size, _, interval = case.partition("@")
    targets, _, series = size.partition("x")
    found = {agent: [] for agent in agents}
    for number in range(rounds):
        for agent in agents if number % 2 == 0 else reversed(agents):
            run = measure(agent, int(targets), int(series), float(interval or 10), seconds)
            found[agent].append(run)
            print(f"{case} {agent}: {run['cpu_us']:.0f} µs/1000 samples, RSS {run['rss']:.1f} MB, {verdict(run)}",
                  file=sys.stderr, flush=True)
    rows = {}
    for agent, runs in found.items():
        rows[agent] = {key: statistics.median(run[key] for run in runs) for key in runs[0] if key != "valid"}
        rows[agent]["valid"] = all(run["valid"] for run in runs)
        rows[agent]["others"] = max(run["others"] for run in runs)
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default="1000x1000@10,1x1000@1", help="default: %(default)s")
    parser.add_argument("--agents", default="obsagent,vmagent,prometheus", help="default: %(default)s")
    parser.add_argument("--seconds", type=float, default=40, help="length of a measurement (default: %(default)g)")
    parser.add_argument("--rounds", type=int, default=1, help="how often each agent is measured (default: %(default)s)")
    parser.add_argument("--markdown", action="store_true", help="print tables for a README")
    options = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    all_valid = True
    for case in options.cases.split(","):
        rows = run_case(case, options.agents.split(","), options.seconds, options.rounds)
        table(case, rows, options.markdown)
        all_valid = all_valid and all(row["valid"] for row in rows.values())
    return 0 if all_valid else 1


if __name__ == "__main__":
    sys.exit(main())
