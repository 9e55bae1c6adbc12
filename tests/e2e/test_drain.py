"""test_drain: how a backlog goes out after an outage: full requests, several at once, at a bounded rate, and with
fresh_first what is new before it."""

import statistics
import threading
import time

import pytest

from harness import Agent, Receiver, Target, check_once_and_in_order, free_port, remote_write, scrape_config, wait_for

INTERVAL = "200ms"


class Slow(Receiver):
    """Takes `delay` for each answer, all at the same time; knows how many there were at once, and what came when."""

    def __init__(self, delay, port):
        self.delay, self.now, self.most, self.arrivals = delay, 0, 0, []
        self.counting = threading.Lock()
        super().__init__(None, port)

    def take(self, samples, metadata, headers):
        with self.counting:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(self.delay)
        with self.counting:
            self.now -= 1
            if samples:
                self.arrivals.append((time.time(), int(headers["Content-Length"]), samples))
        return super().take(samples, metadata, headers)


def counting(request):
    return "".join(f'counter_total{{n="{i}"}} {request}\n' for i in range(8))


def with_a_backlog(run, tmp_path, extra, blocks, delay, queue=""):
    """An agent that has collected so many blocks for a receiver, which comes now; and when it came."""
    port = free_port()
    target = run(Target, counting)
    config = remote_write(f"http://127.0.0.1:{port}/api/v1/write", "main", extra)
    config = config.replace("max_backoff: 1s", f"max_backoff: 1s{queue}")
    agent = run(Agent, tmp_path, config + "scrape_configs:\n" + scrape_config("app", target.address, INTERVAL))
    wait_for("a backlog", lambda: agent.total("obsagent_queue_blocks", endpoint="main") >= blocks, timeout=60)
    came = time.time()
    return agent, run(Slow, delay, port), came


def backlog_is_gone(receiver, came):
    """All that was scraped before the receiver came has arrived (blocks are a second long at most)."""
    oldest = {}
    with receiver.counting:
        for _, _, samples in receiver.arrivals:
            for labels, t, _ in samples:
                oldest.setdefault(t // 1000, set()).add(labels["__name__"])
    return all(second in oldest for second in range(int(came) - 4, int(came) - 1))


def test_small_blocks_make_full_requests(run, tmp_path):
    agent, receiver, came = with_a_backlog(run, tmp_path, "", blocks=15, delay=0)
    wait_for("the backlog", lambda: backlog_is_gone(receiver, came))
    with receiver.counting:
        backlog = [samples for _, _, samples in receiver.arrivals if samples[0][1] < came * 1000 - 2000]
    assert len(backlog) <= 6, "fifteen blocks and more in a few requests"
    check_once_and_in_order(receiver.snapshot())
    agent.assert_balanced("main")


@pytest.mark.sanitized
def test_a_receiver_far_away_gets_several_requests_at_once(run, tmp_path):
    """One worker is one lane: without strands each request would wait for the one before."""
    agent, receiver, came = with_a_backlog(run, tmp_path, "", blocks=15, delay=0.2, queue=", max_samples_per_send: 40")
    wait_for("the backlog", lambda: backlog_is_gone(receiver, came), timeout=60)
    assert receiver.most >= 3
    check_once_and_in_order(receiver.snapshot())
    assert max(len(samples) for _, _, samples in receiver.arrivals) <= 40
    agent.assert_balanced("main")


RATE = 1000  # bytes a second; what is new needs about the half of it


def check_rate(arrivals):
    largest, first, sent = max(size for _, size, _ in arrivals), arrivals[0][0], 0
    for at, size, _ in arrivals:
        sent += size
        assert sent <= RATE * (at - first) + RATE + 2 * largest, "never more than the rate and a second's worth"
    assert sent > 3 * RATE, "it mattered"


def check_fresh(arrivals, came, ended):
    points = [(at, labels, t) for at, _, samples in arrivals for labels, t, _ in samples]
    is_old = lambda t: t < came * 1000 - 2000
    is_fresh = lambda t: came + 2 < t / 1000 < ended - 1
    fresh = [(at, at - t / 1000) for at, _, t in points if is_fresh(t)]
    assert fresh and fresh[0][0] < max(at for at, _, t in points if is_old(t)), "beside the backlog, not behind it"
    assert statistics.median(late for _, late in fresh) < 2
    for belongs in (is_old, is_fresh):
        newest = {}
        for _, labels, t in points:
            name = tuple(sorted(labels.items()))
            if belongs(t):
                assert t > newest.get(name, 0), "each stream keeps the order, and each sample comes once"
                newest[name] = t


@pytest.mark.sanitized
@pytest.mark.parametrize("drain", ["fresh_first", "fifo"])
def test_what_is_new_while_a_backlog_drains(run, tmp_path, drain):
    """A drain that a limit makes slow: what is scraped meanwhile arrives at once, or after all that is older."""
    rate = RATE if drain == "fifo" else 1.7 * RATE
    extra = f"  drain: {drain}\n  rate_limit: {rate:.0f}B\n  metadata_config: {{send: false}}\n"
    agent, receiver, came = with_a_backlog(run, tmp_path, extra, 30, 0.01, ", max_samples_per_send: 60")
    wait_for("the backlog", lambda: backlog_is_gone(receiver, came), timeout=90)
    ended = time.time()
    agent.assert_balanced("main")
    with receiver.counting:
        arrivals = list(receiver.arrivals)
    if drain == "fifo":
        check_once_and_in_order(receiver.snapshot())
        check_rate(arrivals)
    else:
        check_fresh(arrivals, came, ended)


def test_the_backlog_of_an_earlier_run_waits_for_nobody_new(run, tmp_path):
    """fresh_first over a restart: the first samples of the new run do not stand behind the backlog."""
    port = free_port()
    target = run(Target, counting)
    extra = "  drain: fresh_first\n  rate_limit: 1700B\n"
    config = remote_write(f"http://127.0.0.1:{port}/api/v1/write", "main", extra).replace(
        "max_backoff: 1s", "max_backoff: 1s, max_samples_per_send: 50"
    ) + "scrape_configs:\n" + scrape_config("app", target.address, INTERVAL)
    agent = run(Agent, tmp_path, config)
    wait_for("a backlog", lambda: agent.total("obsagent_queue_blocks", endpoint="main") >= 20, timeout=60)
    agent.stop()
    receiver = run(Slow, 0, port)
    started = time.time() * 1000
    agent = run(Agent, tmp_path, config)
    samples = lambda: [t for _, t, _ in receiver.snapshot()]
    wait_for("new samples", lambda: any(t > started for t in samples()))
    assert agent.total("obsagent_samples_buffered", endpoint="main") > 100, "most of the backlog waits still"
    wait_for("the backlog", lambda: agent.total("obsagent_samples_buffered", endpoint="main") < 100, timeout=90)
    delivered = [(tuple(sorted(labels.items())), t) for labels, t, _ in receiver.snapshot()]
    assert len(set(delivered)) == len(delivered), "once"
    agent.assert_balanced("main")
