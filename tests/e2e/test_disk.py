"""test_disk: the buffer's disk as the program meets it: written at once, slow, owned by another agent, worn."""

import os
import re
import subprocess
import threading

import harness
from harness import Agent, Receiver, Sink, Target, check_once_and_in_order, named, remote_write, scrape_config, wait_for

# Takes the place of the C library's: each sync takes as long as SYNC_SECONDS says.
SLOW_SYNC = r"""
#include <stdlib.h>
#include <unistd.h>
static int slowly(void)
{
    sleep((unsigned)strtoul(getenv("SYNC_SECONDS"), NULL, 10));
    return 0;
}
int fsync(int fd) { (void)fd; return slowly(); }
int fdatasync(int fd) { (void)fd; return slowly(); }
"""


def counting_body(number):
    return f"requests_total {number}\n"


def dead_end():
    return f"http://127.0.0.1:{harness.free_port()}/api/v1/write"


def test_durability_always_survives_a_kill_while_the_link_is_up(run, tmp_path):
    """The receiver takes requests and says nothing: nothing is late yet when the agent dies, and yet on disk."""
    target = run(Target, counting_body)
    gate = threading.Event()

    def never(samples, headers, number):
        gate.wait(60)
        return 503

    receiver = run(Receiver, never)
    job = "scrape_configs:\n" + scrape_config("app", target.address, interval="200ms")
    flags = ("--storage.durability=always", "--storage.fsync-interval=100ms")
    agent = run(Agent, tmp_path, job + remote_write(receiver.url), *flags)
    wait_for("some scrapes", lambda: len(target.requests) >= 8)
    scraped = len(target.requests)
    wait_for("an fsync after them", lambda: agent.total("obsagent_queue_fsyncs_total") >= 2)
    agent.kill9()
    gate.set()
    sink = run(Sink, tmp_path)
    run(Agent, tmp_path, job + remote_write(sink.url), *flags)
    wait_for("the rest", lambda: any(v > scraped + 1 for _, _, v in named(sink.samples(), "requests_total")), 30)
    samples = sink.samples()
    check_once_and_in_order(samples)
    values = {int(v) for _, _, v in named(samples, "requests_total")}
    missing = set(range(scraped)) - values
    # The scrape that was under way, the block that was not sealed (a second at most), and the last interval.
    assert all(m >= scraped - 7 for m in missing), sorted(missing)


def test_always_writes_while_all_is_well_and_behind_does_not(run, tmp_path):
    target = run(Target, counting_body)
    sink = run(Sink, tmp_path)
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(sink.url)
    for durability in ("behind", "always"):
        agent = run(Agent, tmp_path, config, f"--storage.durability={durability}", name=durability)
        wait_for("deliveries", lambda: agent.books("main")["delivered"] >= 20)
        written = agent.total("obsagent_queue_disk_written_bytes_total")
        assert (written > 500) == (durability == "always"), (durability, written)
        assert agent.stop() == 0


def test_a_wrong_durability_is_refused():
    code, _, said = harness.obsagent("run", "--storage.durability=sometimes", "--config.file=/dev/null")
    assert code == 2 and '"sometimes" is not behind or always' in said, (code, said)
    _, shown, _ = harness.obsagent("run", "--help")
    assert "--storage.durability" in shown and "--storage.fsync-interval" in shown


def test_a_sync_that_hangs_stops_neither_scraping_nor_delivery(run, tmp_path):
    source = tmp_path / "slow.c"
    source.write_text(SLOW_SYNC)
    shim = tmp_path / "slow.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", shim, source], check=True)
    target = run(Target, counting_body)
    sink = run(Sink, tmp_path)
    config = ("scrape_configs:\n" + scrape_config("app", target.address, interval="500ms")
              + remote_write(sink.url) + remote_write(dead_end(), name="dead").replace("remote_write:\n", ""))
    env = {**os.environ, "LD_PRELOAD": str(shim), "SYNC_SECONDS": "5"}
    agent = run(Agent, tmp_path, config, env=env, wait=False)
    agent.wait_ready()
    wait_for("the disk in use", lambda: agent.total("obsagent_queue_disk_written_bytes_total") > 0)
    start = len(target.requests)
    wait_for("twenty scrapes more", lambda: len(target.requests) >= start + 20, timeout=40)
    wait_for("them at the receiver", lambda: named(sink.samples(), "requests_total")[-1][2] >= start + 18)
    samples = sink.samples()
    check_once_and_in_order(samples)
    values = [v for _, _, v in named(samples, "requests_total")]
    assert values == list(range(int(values[0]), int(values[-1]) + 1))
    # Sent as they came: none waited for a sync, of which each takes five seconds.
    first = agent.total("obsagent_queue_fsyncs_total")
    assert len(values) > 4 * first, (len(values), first)
    assert agent.assert_balanced("main")["lost"] == 0
    assert agent.assert_balanced("dead")["lost"] == 0


def test_a_second_agent_on_the_directory_refuses(run, tmp_path):
    target = run(Target, counting_body)
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(dead_end())
    first = run(Agent, tmp_path, config)
    code, _, said = harness.obsagent("run", f"--config.file={first.config_path}", f"--storage.path={first.storage}",
                                     f"--web.listen-address=127.0.0.1:{harness.free_port()}")
    assert code == 1 and re.search(r"agent-data is in use by another process", said), (code, said)
    assert first.alive()


def test_bytes_written_for_a_sample_stay_few(run, tmp_path):
    """A target of 1,000 series every second while the receiver is down."""

    def body(number):
        return "".join(f'requests_total{{path="/api/v1/resource/{i}",method="GET",code="200"}} {number * (i + 7)}\n'
                       for i in range(1000))

    target = run(Target, body)
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(dead_end())
    agent = run(Agent, tmp_path, config)
    wait_for("ten thousand samples on disk", lambda: agent.total("obsagent_samples_buffered") >= 10000, timeout=40)
    page = agent.metrics()
    written = sum(v for (n, _), v in page.items() if n == "obsagent_queue_disk_written_bytes_total")
    samples = sum(v for (n, _), v in page.items() if n == "obsagent_samples_scraped_total")
    print(f"{written / samples:.2f} bytes written for a sample")
    assert written / samples < 8
