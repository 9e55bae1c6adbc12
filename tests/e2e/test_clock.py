"""test_clock: clocks that are wrong, and are set while the agent runs."""

import glob
import os
import pathlib
import time

import pytest

from harness import STALE, Agent, Receiver, Target, remote_write, scrape_config, wait_for

FAKETIME = (glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1") or [None])[0]

needs_faketime = pytest.mark.skipif(not FAKETIME, reason="libfaketime is not installed")


class FakedAgent(Agent):
    """An agent whose wall clock is off by what a file says: "-50y", "+0"."""

    def __init__(self, directory, config, off):
        self.file = pathlib.Path(directory) / "off"
        self.set(off)
        env = {
            "LD_PRELOAD": FAKETIME,
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        super().__init__(directory, config, env=os.environ | env)

    def set(self, off):
        self.file.write_text(off + "\n")


def values(receiver, name="m"):
    """(timestamp, value) of one series in the order of arrival."""
    return [(t / 1000, v) for labels, t, v in receiver.snapshot() if labels["__name__"] == name]


def check_each_once_and_in_order(points):
    """0, 1, 2 ... as the target counts; a busy machine may miss a scrape, which a marker then tells."""
    expected = 0
    for _, value in points:
        if value == STALE:
            expected += 1
        else:
            assert value == expected, points
            expected += 1


def config(target, receiver):
    return remote_write(receiver.url) + "scrape_configs:\n" + scrape_config("j", target.address, interval="500ms")


@needs_faketime
def test_held_until_the_clock_is_right(run, tmp_path):
    """A device that starts decades ago: nothing is sent with wrong times, and nothing is lost when time has come."""
    receiver, start = run(Receiver), time.time()
    receiver.clock_ahead = -50 * 365 * 86400  # its Date is of no help
    target = run(Target, lambda number: f"m {number}\n")
    agent = run(FakedAgent, tmp_path, config(target, receiver), "-50y")
    wait_for("blocks to be held", lambda: agent.total("obsagent_samples_held") >= 24)
    assert agent.total("obsagent_clock_plausible") == 0 and not values(receiver)
    agent.set("+0")
    wait_for("samples after the step", lambda: len(values(receiver)) >= 8)
    got = values(receiver)
    check_each_once_and_in_order(got)
    assert all(start - 1 < t < time.time() + 1 for t, _ in got), got
    assert agent.total("obsagent_samples_time_corrected_total") >= 24
    assert agent.total("obsagent_clock_plausible") == 1 and agent.total("obsagent_samples_held") == 0
    assert agent.total("obsagent_clock_steps_total", direction="forward") == 1
    assert agent.total("obsagent_samples_lost_total") == 0
    assert "the clock is not plausible" in agent.output()


@needs_faketime
def test_a_receiver_tells_the_time(run, tmp_path):
    """The clock stays wrong: the receiver's Date is believed."""
    receiver, start = run(Receiver), time.time()
    target = run(Target, lambda number: f"m {number}\n")
    agent = run(FakedAgent, tmp_path, config(target, receiver), "-50y")
    wait_for("samples with right times", lambda: len(values(receiver)) >= 8, timeout=40)
    got = values(receiver)
    check_each_once_and_in_order(got)
    assert all(start - 2 < t < time.time() + 2 for t, _ in got), got
    assert agent.total("obsagent_clock_correction_seconds") > 49 * 365 * 86400


@needs_faketime
def test_time_does_not_go_back_for_series(run, tmp_path):
    """Set back by 30 s: timestamps go on rising, and nothing is lost or sent twice."""
    receiver = run(Receiver)
    target = run(Target, lambda number: f"m {number}\n")
    agent = run(FakedAgent, tmp_path, config(target, receiver), "+0")
    wait_for("samples", lambda: len(values(receiver)) >= 3)
    agent.set("-30s")
    n = len(values(receiver))
    wait_for("samples after the step", lambda: len(values(receiver)) >= n + 6)
    got = values(receiver)
    check_each_once_and_in_order(got)
    stamps = [t for t, _ in got]
    assert stamps == sorted(set(stamps)), stamps
    assert max(b - a for a, b in zip(stamps, stamps[1:])) < 3
    assert agent.total("obsagent_clock_steps_total", direction="back") == 1
    assert 20 < agent.total("obsagent_clock_correction_seconds") <= 30


@pytest.mark.sanitized
def test_receivers_that_agree_are_believed(run, tmp_path):
    """Two receivers an hour ahead, twice in a row: timestamps follow; a difference of a minute is only told."""
    receivers = [run(Receiver), run(Receiver)]
    receivers[0].clock_ahead, receivers[1].clock_ahead = 3600, 3610
    target = run(Target, lambda number: f"m {number}\n")
    text = (
        "remote_write:\n"
        f"- {{name: a, url: '{receivers[0].url}'}}\n- {{name: b, url: '{receivers[1].url}'}}\n"
        + "scrape_configs:\n" + scrape_config("j", target.address, interval="500ms")
    )
    agent = run(Agent, tmp_path, text)
    wait_for("corrected samples", lambda: any(t > time.time() + 3500 for t, _ in values(receivers[0])))
    correction = agent.total("obsagent_clock_correction_seconds")
    assert 3590 < correction < 3620
    wait_for("the skew that is left", lambda: abs(agent.total("obsagent_clock_skew_seconds", endpoint="a")) < 60)
    receivers[0].clock_ahead = 3660
    wait_for("a new date", lambda: agent.total("obsagent_clock_skew_seconds", endpoint="a") > 40)
    assert agent.total("obsagent_clock_correction_seconds") == correction


def test_receivers_that_disagree_are_not(run, tmp_path):
    """One an hour ahead, one right: nobody knows."""
    receivers = [run(Receiver), run(Receiver)]
    receivers[0].clock_ahead = 3600
    target = run(Target, lambda number: f"m {number}\n")
    text = (
        "remote_write:\n"
        f"- {{name: a, url: '{receivers[0].url}'}}\n- {{name: b, url: '{receivers[1].url}'}}\n"
        + "scrape_configs:\n" + scrape_config("j", target.address, interval="500ms")
    )
    agent = run(Agent, tmp_path, text)
    wait_for("skews", lambda: agent.total("obsagent_clock_skew_seconds", endpoint="a") > 3500)
    wait_for("more samples", lambda: len(values(receivers[1])) >= 8)
    assert agent.total("obsagent_clock_correction_seconds") == 0
    assert all(t < time.time() + 5 for t, _ in values(receivers[0]))
