#!/usr/bin/python3
"""screenshots: the pages of an agent at work, as PNG files in deploy/screenshots."""

import pathlib
import random
import sys
import tempfile
import time

import browser
import harness

OUT = harness.ROOT / "deploy" / "screenshots"
NODES = [f"node-{i:02}.fra1.example.org:9100" for i in range(1, 10)]
APIS = ["checkout.fra1.example.org:8080", "cart.fra1.example.org:8080", "search.fra1.example.org:8080"]


def body(number):
    lines = [f'http_requests_total{{code="{code}",shard="{shard}"}} {number * 7 + shard}'
             for code in (200, 404, 500) for shard in range(40)]
    return "\n".join(lines + [f"queue_length {random.randrange(50)}", ""])


def config(hosts, receiver, dead):
    def targets(names):
        return "  static_configs:\n  - targets: [" + ", ".join(f"'{name}'" for name in names) + "]\n"

    def job(name, names, extra=""):
        return (f"- job_name: {name}\n  scrape_interval: 1s\n  proxy_url: http://127.0.0.1:{hosts.port}\n" + extra +
                targets(names))

    return (
        "scrape_configs:\n"
        + job("node", NODES, "  relabel_configs:\n"
              "  - {source_labels: [__address__], regex: '([^.]+)\\..*', target_label: host}\n"
              "  - {target_label: zone, replacement: fra1}\n"
              "  - {source_labels: [host], regex: node-09, action: drop}\n")
        + job("api", APIS)
        + f"- job_name: batch\n  scrape_interval: 1s\n" + targets([f"127.0.0.1:{dead}"])
        + harness.remote_write(receiver.url, "metrics")
        + harness.remote_write(receiver.url + "?long-term", "long-term").split("\n", 1)[1]
    )


def answer(slow):
    def decide(samples, headers, number):
        time.sleep(random.random() * 0.05)
        return 503 if slow["until"] > time.monotonic() and slow["since"] < time.monotonic() else 200
    return decide


def shoot(window, agent, name, path, width=1180, height=860, theme="light", wait="", whole=False):
    window.size(width, height, mobile=width < 500)
    window.theme(theme)
    window.open(agent.url + path)
    if wait:
        harness.wait_for(wait, lambda: window.run("return document.querySelector(arguments[0])", wait))
    target = OUT / f"{name}.png"
    print(f"{target.relative_to(harness.ROOT)} {len(window.screenshot(target, whole))} bytes")


def main(seconds):
    OUT.mkdir(exist_ok=True)
    things = []
    try:
        with tempfile.TemporaryDirectory(prefix="screenshots-") as directory:
            here = pathlib.Path(directory)
            start = time.monotonic()
            outage = {"since": start + seconds * 0.35, "until": start + seconds * 0.6}
            hosts = harness.Target(body)
            things.append(hosts)
            receiver = harness.Receiver(answer(outage))
            things.append(receiver)
            agent = harness.Agent(here, config(hosts, receiver, harness.free_port()))
            things.append(agent)
            time.sleep(seconds)
            window = browser.Browser(here)
            things.append(window)
            drawn = "figure svg path.line[d*=L]"
            shoot(window, agent, "overview", "/", wait=drawn)
            shoot(window, agent, "overview-dark", "/", theme="dark", wait=drawn)
            shoot(window, agent, "targets-phone", "/targets", 390, 900)
            labels = "%7B__address__%3D%22" + NODES[8] + "%22%7D"
            shoot(window, agent, "relabel", "/relabel?job=node&kind=target&labels=" + labels, height=700)
            while things:
                thing = things.pop()
                thing.end() if isinstance(thing, harness.Process) else thing.close()
    finally:
        for thing in reversed(things):
            thing.end() if isinstance(thing, harness.Process) else thing.close()


if __name__ == "__main__":
    main(float(sys.argv[1]) if len(sys.argv) > 1 else 90)
