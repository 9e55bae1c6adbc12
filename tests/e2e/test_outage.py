"""test_outage: the receiver goes away, the agent is killed, and every scraped value still arrives once and in order."""

import time

import harness
from harness import Agent, Sink, Target, check_once_and_in_order, named, remote_write, scrape_config, wait_for

OUTAGE_S = 60


def counting_body(number):
    return f"requests_total {number}\nconstant 1\n" + "".join(f'many{{i="{i}"}} {number}\n' for i in range(50))


def check_complete(samples, allowed_missing=0):
    """Each series once and in order, and of requests_total every count but `allowed_missing`."""
    check_once_and_in_order(samples)
    values = [v for _, _, v in named(samples, "requests_total")]
    missing = set(range(int(max(values)) + 1)) - set(map(int, values))
    assert len(missing) <= allowed_missing, f"missing scrapes {sorted(missing)}"
    return missing


def test_receiver_down_and_agent_killed(run, tmp_path):
    target = run(Target, counting_body)
    sink = run(Sink, tmp_path)
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(sink.url)
    agent = run(Agent, tmp_path, config)
    wait_for("the first samples", lambda: len(named(sink.samples(), "requests_total")) >= 3)

    sink.stop()
    down = time.monotonic()
    time.sleep(OUTAGE_S / 2)
    assert agent.assert_balanced("main")["lost"] == 0
    killed_at = len(target.requests)
    agent.kill9()
    agent = run(Agent, tmp_path, config)
    restored = agent.books("main")["restored"]
    assert restored > 20 * 50
    time.sleep(max(0, OUTAGE_S - (time.monotonic() - down)))

    again = run(Sink, tmp_path, port=sink.port)
    drained = lambda: agent.total("obsagent_samples_buffered") <= 120 and again.samples()
    wait_for("the buffer to drain", drained, timeout=30)
    wait_for("fresh samples", lambda: named(again.samples(), "requests_total")[-1][2] > killed_at + OUTAGE_S / 2)
    missing = check_complete(again.samples(), allowed_missing=2)
    assert all(killed_at - 2 <= m <= killed_at + 1 for m in missing), (missing, killed_at)
    books = agent.assert_balanced("main")
    assert books["lost"] == 0


def test_sigterm_while_the_receiver_is_down_loses_nothing(run, tmp_path):
    target = run(Target, counting_body)
    port = harness.free_port()
    url = f"http://127.0.0.1:{port}/api/v1/write"
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(url)
    agent = run(Agent, tmp_path, config, "--shutdown.timeout=1s")
    wait_for("five scrapes", lambda: len(target.requests) >= 5)
    assert agent.stop() == 0
    scraped = len(target.requests)
    sink = run(Sink, tmp_path, port=port)
    agent = run(Agent, tmp_path, config)
    wait_for("everything", lambda: len(named(sink.samples(), "requests_total")) >= scraped + 2)
    check_complete(sink.samples(), allowed_missing=1)  # a scrape in flight at the SIGTERM is cut off


def test_sigterm_delivers_what_is_pending(run, tmp_path):
    target = run(Target, counting_body)
    sink = run(Sink, tmp_path)
    config = "scrape_configs:\n" + scrape_config("app", target.address) + remote_write(sink.url)
    agent = run(Agent, tmp_path, config)
    wait_for("three scrapes", lambda: len(target.requests) >= 3)
    time.sleep(0.3)
    scraped = len(target.requests)
    assert agent.stop() == 0
    samples = sink.samples()
    assert len(named(samples, "requests_total")) == scraped
    assert not [s for s in samples if s[2] == harness.STALE], "no stale markers at shutdown"
