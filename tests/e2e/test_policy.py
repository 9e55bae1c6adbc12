"""test_policy: what each answer of a receiver means for the samples.

One agent scrapes one target and sends to many receivers at once; each of them plays one case. A receiver that takes
everything tells what the others should have got in the end.
"""

import collections
import dataclasses
import email.utils
import html
import math
import re
import struct
import time
import typing

import pytest

from harness import (
    HANG,
    STALE,
    Agent,
    Receiver,
    Target,
    by_series,
    check_once_and_in_order,
    free_port,
    http_get,
    scrape_config,
    wait_for,
)

pytestmark = pytest.mark.sanitized

TROUBLE = range(2, 8)  # the scrapes with series that some receivers refuse
POISONED = 5
TOKEN = "right-token"
BACKOFF = "{min_backoff: 20ms, max_backoff: 200ms}"
ODD = {
    "nan": ("NaN", 0x7FF8000000000001),
    "inf": ("+Inf", 0x7FF0000000000000),
    "neg": ("-Inf", 0xFFF0000000000000),
    "zero": ("-0", 0x8000000000000000),
    "tiny": ("5e-324", 1),
    "third": ("0.3333333333333333", 0x3FD5555555555555),
}


def body(number):
    lines = ["# HELP load What it says.\\nTwice, with a \\\\.", "# TYPE load gauge"]
    lines += [f'load{{i="{i}"}} {number}' for i in range(30)]
    lines += ["# TYPE asked_total counter", "# HELP asked_total Questions.", f"asked_total {number}"]
    lines += ["# TYPE took_seconds histogram", f'took_seconds_bucket{{le="+Inf"}} {number}']
    lines += [f"took_seconds_sum {number}", f"took_seconds_count {number}"]
    lines += [f'odd{{kind="{kind}"}} {text}' for kind, (text, _) in ODD.items()]
    if number in TROUBLE:
        lines += [f'bad{{id="a"}} {number}', f'bad{{id="b"}} {number}', f'giant{{pad="{"x" * 20000}"}} {number}']
    if number == POISONED:
        lines += [f'bad{{id="poison"}} {number}']
    return "\n".join(lines) + "\n"


# ---- the cases ----


def nothing(labels, value):
    return False


def bad(*ids):
    return lambda labels, value: labels["__name__"] == "bad" and labels["id"] in ids


def giant(labels, value):
    return labels["__name__"] == "giant"


def poison(labels, value):
    return labels.get("id") == "poison" and value == POISONED


def refuse(status, guilty):
    return lambda samples, headers, number: status if any(guilty(labels, v) for labels, _, v in samples) else 204


def at_most(count):
    return lambda samples, headers, number: 413 if len(samples) > count else 204


def at_most_bytes(count):
    """Answers 413 to what holds more than so many bytes of label values."""
    return lambda samples, headers, number: (
        413 if sum(len(v) for labels, _, _ in samples for v in labels.values()) > count else 204
    )


def first(*answers):
    """These answers to the first requests, then 204."""
    return lambda samples, headers, number: answers[number] if number < len(answers) else 204


def with_header(name, value):
    return lambda samples, headers, number: 204 if headers.get(name) == value else 401


def in_three_seconds(samples, headers, number):
    return (503, {"Retry-After": email.utils.formatdate(time.time() + 3, usegmt=True)}) if number == 0 else 204


@dataclasses.dataclass
class Case:
    name: str
    answer: typing.Callable
    guilty: typing.Callable = nothing  # what must be lost, and nothing else
    reason: str = "rejected"
    extra: str = ""  # YAML of the endpoint


CASES = [
    Case("accepts", lambda samples, headers, number: 204),
    Case("accepts_202", lambda samples, headers, number: 202),
    Case("bad_400", refuse(400, bad("a")), bad("a")),
    Case("two_400", refuse(400, bad("a", "b")), bad("a", "b")),
    Case("bad_409", refuse(409, bad("b")), bad("b")),
    Case("bad_422", refuse(422, bad("b")), bad("b")),
    Case("small_413", at_most(25)),
    Case("giant_413", at_most_bytes(15000), giant, "too_large"),
    Case("seconds_429", first((429, {"Retry-After": "2"}))),
    Case("date_503", in_three_seconds),
    Case("errors_500", first(500, 503, 502, 500)),
    Case("busy_408_425", first(408, 425, 408)),
    Case("closes", first(None, None, None)),
    Case("hangs", first(HANG), extra="  remote_timeout: 1s\n"),
    Case("poison_500", refuse(500, poison), poison, "dead"),
    Case(
        "basic",
        with_header("Authorization", "Basic dXNlcjpwOnc="),
        extra="  basic_auth: {username: user, password: 'p:w'}\n",
    ),
    Case(
        "raw_key",
        with_header("Authorization", "raw key"),
        extra="  authorization: {type: '', credentials: raw key}\n",
    ),
    Case(
        "own_header",
        with_header("X-Scope-OrgID", "7"),
        extra="  headers: {X-Scope-OrgID: '7'}\n  authorization: {credentials: never-used}\n",
    ),
]
NAMES = [case.name for case in CASES]


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """The agent, and a receiver for each case and for what the tests below do by themselves."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("policy")
    w.target = run_module(Target, body)
    w.receivers = {case.name: run_module(Receiver, case.answer) for case in CASES}
    w.receivers["drops"] = run_module(Receiver, refuse(400, bad("a")))
    w.elsewhere = run_module(Receiver)
    w.receivers["token"] = run_module(Receiver, with_header("Authorization", "Bearer " + TOKEN))
    w.token = w.tmp / "token"
    w.token.write_text("wrong-token")
    for status in (404, 405, 301, 302):
        moved = {"Location": w.elsewhere.url} if status < 400 else {}
        w.receivers[f"held_{status}"] = run_module(Receiver, lambda s, h, n, v=(status, moved): v)
    w.receivers["moved_307"] = run_module(Receiver, lambda s, h, n: (307, {"Location": w.elsewhere.url}))
    w.receivers["capped"] = run_module(Receiver, first((429, {"Retry-After": "100000"})))
    w.receivers["relabels"] = run_module(Receiver)
    extra = {case.name: case.extra for case in CASES}
    extra["drops"] = "  on_reject: drop\n"
    extra["token"] = f"  authorization: {{credentials_file: {w.token}}}\n"
    extra["moved_307"] = "  authorization: {credentials: not-for-others}\n"
    extra["relabels"] = (
        "  write_relabel_configs:\n"
        "  - {source_labels: [__name__], regex: took_.*|bad, action: drop}\n"
        "  - {source_labels: [agent, i], separator: '-', regex: (.+)-(.+), target_label: place, replacement: $2@$1}\n"
        "  - {regex: i, action: labeldrop}\n"
    )
    endpoints = {name: receiver.url for name, receiver in w.receivers.items()}
    endpoints["dead"] = f"http://127.0.0.1:{free_port()}/"
    w.config = (
        "global: {external_labels: {agent: e2e, job: never}}\n"
        "scrape_configs:\n" + scrape_config("app", w.target.address, "500ms") + "remote_write:\n"
    )
    for name, url in endpoints.items():
        w.config += f"- name: {name}\n  url: {url}\n  queue_config: {BACKOFF}\n{extra.get(name, '')}"
    w.agent = run_module(Agent, w.tmp, w.config, "--scrape.workers=1")
    w.good = w.receivers["accepts"]
    wait_for("scrapes without trouble", lambda: len(w.target.requests) > max(TROUBLE) + 3, timeout=30)
    wait_for("their arrival", lambda: any(v == max(TROUBLE) + 2 for _, _, v in w.good.snapshot()), timeout=30)
    return w


def exact(samples):
    """Samples as a set that tells NaNs apart by their bits."""
    return collections.Counter(
        (frozenset(labels.items()), t, v if v == STALE else struct.pack("<d", v)) for labels, t, v in samples
    )


def check_complete(world, receiver, guilty=nothing):
    """Everything the good receiver has by now but what is guilty arrives, once and in order."""
    expected = exact(s for s in world.good.snapshot() if not guilty(s[0], s[2]))
    missing = lambda: expected - exact(receiver.snapshot())
    try:
        wait_for("everything", lambda: not missing(), timeout=30)
    except AssertionError:
        raise AssertionError(f"{len(missing())} samples did not arrive, among them {list(missing())[:3]}")
    got = receiver.snapshot()
    check_once_and_in_order(got)
    assert not [s for s in got if guilty(s[0], s[2])]


def lost_at(world, guilty):
    return [s for s in world.good.snapshot() if guilty(s[0], s[2])]


# ---- the tests ----


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_all_but_the_guilty_arrive_once_and_in_order(world, case):
    check_complete(world, world.receivers[case.name], case.guilty)
    expected = len(lost_at(world, case.guilty))
    assert bool(expected) == (case.guilty is not nothing)
    lost = lambda: world.agent.total("obsagent_samples_lost_total", endpoint=case.name)
    wait_for("the losses to be booked", lambda: lost() == expected, timeout=5)
    assert world.agent.total("obsagent_samples_lost_total", endpoint=case.name, reason=case.reason) == expected
    world.agent.assert_balanced(case.name)
    assert world.agent.total("obsagent_remote_state", endpoint=case.name, state="ok") == 1


@pytest.mark.parametrize("name", ["bad_400", "two_400", "bad_409", "bad_422"])
def test_bisecting_is_bounded_and_repeats_nothing(world, name):
    receiver = world.receivers[name]
    requests = list(receiver.requests)
    refused = [r for r in requests if r.status != 204]
    assert refused
    assert max(exact_requests(refused).values()) == 1, "a refused request was repeated"
    guilty = sum(len(r.samples) == 1 for r in refused)
    bound = len(world.good.requests) + 2 * guilty * math.ceil(math.log2(max(len(r.samples) for r in requests)))
    assert len(requests) <= bound


def exact_requests(requests):
    return collections.Counter(tuple(sorted((str(sorted(s[0].items())), s[1]) for s in r.samples)) for r in requests)


@pytest.mark.parametrize("case", [c for c in CASES if c.guilty is not nothing], ids=lambda c: c.name)
def test_the_guilty_are_named(world, case):
    page = html.unescape(http_get(world.agent.url + "/rejects")[1])
    rows = [row for row in page.split("<tr>") if re.search(rf">{case.name}<", row)]
    named = [dict(labels) for labels in {frozenset(s[0].items()) for s in lost_at(world, case.guilty)}]
    for labels in named:
        if "pad" in labels:
            assert [row for row in rows if "giant{" in row]
        else:
            assert [row for row in rows if f'id="{labels["id"]}"' in row and "bad{" in row], rows
    lines = [line for line in world.agent.output().splitlines() if f"endpoint {case.name}: lost " in line]
    assert lines and any("bad{" in line or "giant{" in line for line in lines)
    if case.name == "bad_400":
        assert "scripted 400" in lines[0] and "scripted 400" in rows[0]


def test_on_reject_drop_loses_the_request_and_asks_once(world):
    receiver = world.receivers["drops"]
    wait_for("untroubled blocks", lambda: any(v == max(TROUBLE) + 9 for _, _, v in receiver.snapshot()))
    refused = [s for r in list(receiver.requests) if r.status == 400 for s in r.samples]
    assert max(exact(refused).values()) == 1
    expected = exact(world.good.snapshot()) - exact(refused)
    wait_for("the rest", lambda: not expected - exact(receiver.snapshot()))
    check_once_and_in_order(receiver.snapshot())
    assert world.agent.total("obsagent_samples_lost_total", endpoint="drops", reason="rejected") == len(refused)
    world.agent.assert_balanced("drops")
    assert world.agent.total("obsagent_remote_bisections_total", endpoint="drops") == 0


def test_413_is_learned(world):
    refused = [r for r in list(world.receivers["small_413"].requests) if r.status == 413]
    assert 1 <= len(refused) <= 12, "the limit must be asked for a few times only"
    assert world.agent.total("obsagent_remote_splits_total", endpoint="small_413") == len(refused)


def test_one_giant_series_does_not_make_other_requests_tiny(world):
    receiver = world.receivers["giant_413"]
    last = list(receiver.requests)[-3:]
    assert min(len(r.samples) for r in last) >= 20, [len(r.samples) for r in last]


def gap(receiver):
    return receiver.requests[1].time - receiver.requests[0].time


def test_retry_after_is_honoured(world):
    assert 2.0 <= gap(world.receivers["seconds_429"]) < 4.0
    assert 1.9 <= gap(world.receivers["date_503"]) < 5.0


def test_retry_after_is_capped_and_a_reload_ends_the_wait(world):
    receiver = world.receivers["capped"]
    page = http_get(world.agent.url + "/")[1]
    row = next(r for r in page.split("<tr>") if ">capped<" in r)
    minutes = int(re.search(r"next try in (\d+)m\d+s", row).group(1))
    assert 3 <= minutes <= 5
    assert len(receiver.requests) == 1
    assert world.agent.total("obsagent_remote_state", endpoint="capped", state="retrying") == 1
    url = f"  url: {receiver.url}\n"
    world.agent.reconfigure(world.config.replace(url, url + "  remote_timeout: 29s\n"))
    check_complete(world, receiver)
    assert world.agent.assert_balanced("capped")["lost"] == 0


def test_retries_back_off_and_say_that_they_are_retries(world):
    requests = list(world.receivers["errors_500"].requests)[:5]
    assert [r.status for r in requests] == [500, 503, 502, 500, 204]
    assert len({tuple(exact(r.samples)) for r in requests}) == 1, "a retry is the same request"
    assert [r.headers.get("Retry-Attempt") for r in requests] == [None, "1", "2", "3", "4"]
    assert all(b.time - a.time >= 0.02 for a, b in zip(requests, requests[1:]))


def test_the_request_is_a_remote_write(world):
    headers = world.good.requests[0].headers
    assert headers["Content-Encoding"] == "snappy"
    assert headers["Content-Type"] == "application/x-protobuf"
    assert headers["X-Prometheus-Remote-Write-Version"] == "0.1.0"
    assert headers["User-Agent"].startswith("obsagent/")
    assert "Authorization" not in headers


def test_a_hanging_receiver_is_given_up_after_remote_timeout(world):
    assert 0.5 <= gap(world.receivers["hangs"]) < 3.0


def test_poison_is_kept_in_the_dead_directory(world):
    files = list((world.agent.storage / "dead").iterdir())
    assert len(files) == 1 and "poison_500" in files[0].name
    assert files[0].stat().st_size < 500


@pytest.mark.parametrize("status", [404, 405, 301, 302])
def test_a_wrong_url_holds_everything_until_it_answers(world, status):
    name = f"held_{status}"
    receiver = world.receivers[name]
    wait_for("the state", lambda: world.agent.total("obsagent_remote_state", endpoint=name, state="wrong_url") == 1)
    books = world.agent.assert_balanced(name)
    assert books["delivered"] == 0 and books["lost"] == 0
    assert f"endpoint {name}: wrong_url" in http_get(world.agent.url + "/-/ready")[1]
    errors = [line for line in world.agent.output().splitlines() if f"endpoint {name}: status {status}" in line]
    assert errors and "level=error" in errors[0] and "URL" in errors[0]
    receiver.answer = lambda samples, headers, number: 204
    check_complete(world, receiver)
    assert world.agent.assert_balanced(name)["lost"] == 0
    assert world.elsewhere.gets == 0, "a POST must not become a GET"


def test_307_is_followed_without_the_credentials(world):
    check_complete(world, world.elsewhere)
    assert all("Authorization" not in r.headers for r in world.elsewhere.requests)
    assert all(r.headers["Authorization"] == "Bearer not-for-others" for r in world.receivers["moved_307"].requests)
    assert world.agent.assert_balanced("moved_307")["lost"] == 0


def test_a_refused_token_holds_everything_until_the_file_is_right(world):
    agent, receiver = world.agent, world.receivers["token"]
    wait_for("the state", lambda: agent.total("obsagent_remote_state", endpoint="token", state="auth_failing") == 1)
    books = agent.assert_balanced("token")
    assert books["delivered"] == 0 and books["lost"] == 0
    assert "endpoint token: auth_failing" in http_get(agent.url + "/-/ready")[1]
    world.token.write_text(TOKEN + "\n")
    check_complete(world, receiver)
    assert agent.assert_balanced("token")["lost"] == 0


def test_a_dead_endpoint_delays_nobody(world):
    late = [r.wall - t / 1000 for r in world.good.requests for _, t, _ in r.samples]
    assert max(late) < 3.0, "samples wait for a flush at most"
    books = world.agent.assert_balanced("dead")
    assert books["delivered"] == 0 and books["lost"] == 0 and books["buffered"] > 0
    assert world.agent.total("obsagent_remote_requests_total", endpoint="dead", status="error") > 3


def test_values_arrive_bit_by_bit(world):
    series = by_series(world.good.snapshot())
    for kind, (_, bits) in ODD.items():
        points = [p for labels, p in series.items() if ("kind", kind) in labels]
        assert len(points) == 1 and len(points[0]) > 5
        assert {struct.unpack("<Q", struct.pack("<d", v))[0] for _, v in points[0]} == {bits}


def test_a_stale_marker_stands_at_the_scrape_that_lacks_the_series(world):
    series = by_series(world.good.snapshot())
    ticks = [t for t, _ in next(p for labels, p in series.items() if ("i", "0") in labels)]
    for labels, points in series.items():
        if dict(labels)["__name__"] in ("bad", "giant"):
            values = [v for _, v in points]
            assert values[-1] == STALE and STALE not in values[:-1]
            assert points[-1][0] == ticks[ticks.index(points[-2][0]) + 1]


def test_metadata_arrives(world):
    expected = {
        ("load", 2, "What it says.\nTwice, with a \\."),
        ("asked_total", 1, "Questions."),
        ("took_seconds", 3, ""),
    }
    wait_for("the metadata", lambda: expected <= set(world.good.metadata))


def test_external_labels_fill_gaps_only(world):
    for labels, _, _ in world.good.snapshot():
        assert labels["agent"] == "e2e" and labels["job"] == "app"


def test_write_relabel_configs(world):
    good = world.good.snapshot()
    receiver = world.receivers["relabels"]
    dropped = lambda labels, v: labels["__name__"].startswith("took_") or labels["__name__"] == "bad"

    def relabeled(labels):
        out = {k: v for k, v in labels.items() if k != "i"}
        if "i" in labels:
            out["place"] = labels["i"] + "@e2e"
        return out

    expected = exact((relabeled(labels), t, v) for labels, t, v in good if not dropped(labels, v))
    wait_for("everything", lambda: not expected - exact(receiver.snapshot()))
    check_once_and_in_order(receiver.snapshot())
    assert not [s for s in receiver.snapshot() if dropped(s[0], s[2])]
    books = world.agent.assert_balanced("relabels")
    assert books["lost"] == 0 and books["filtered"] >= sum(dropped(labels, v) for labels, _, v in good)


def test_one_file_of_books_for_everything(world):
    """At the end, once more over all endpoints."""
    for name in [*world.receivers, "dead"]:
        world.agent.assert_balanced(name)
