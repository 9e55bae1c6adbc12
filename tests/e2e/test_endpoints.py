"""test_endpoints: endpoints that share the series, and endpoints that are added, removed, renamed and edited while
blocks wait for them: who gets what, how often, and do the books tell?"""

import collections
import json
import signal
import time

import pytest

from harness import (
    HANG,
    Agent,
    Receiver,
    Target,
    check_once_and_in_order,
    obsagent,
    scrape_config,
    wait_for,
)

INTERVAL = "200ms"
SERIES = 60


def config(target, endpoints):
    """endpoints: {name: receiver or (receiver, YAML)}, in order. A name that begins with "?" is not written."""
    text = "scrape_configs:\n" + scrape_config("app", target.address, INTERVAL) + "remote_write:\n"
    for name, receiver in endpoints.items():
        receiver, extra = receiver if isinstance(receiver, tuple) else (receiver, "")
        text += f"- url: {receiver.url}\n  queue_config: {{min_backoff: 50ms, max_backoff: 200ms}}\n{extra}"
        if not name.startswith("?"):
            text += f"  name: {name}\n"
    return text


def body(number):
    return "".join(f'metric{{id="{i}"}} {number}\n' for i in range(SERIES))


class Gate:
    """Answers of a receiver that can be shut."""

    def __init__(self):
        self.open = True

    def __call__(self, samples, headers, number):
        return 204 if self.open else 503


def gated(run):
    receiver = run(Receiver, Gate())
    return receiver


def shut(*receivers):
    for receiver in receivers:
        receiver.answer.open = False


def reopen(*receivers):
    for receiver in receivers:
        receiver.answer.open = True


def keys(receiver):
    return collections.Counter((frozenset(labels.items()), t) for labels, t, _ in receiver.snapshot())


def values(receiver):
    return {int(v) for labels, _, v in receiver.snapshot() if labels["__name__"] == "metric" and v != "stale"}


def scrapes(target, n):
    """Waits for n more."""
    seen = len(target.requests)
    wait_for(f"{n} scrapes", lambda: len(target.requests) >= seen + n)


def buffered(agent, *endpoints):
    return all(agent.total("obsagent_samples_buffered", endpoint=e) > 0 for e in endpoints)


def drained(agent, *endpoints):
    """Waits until what was scraped before is through."""
    before = {e: agent.books(e) for e in endpoints}

    def done():
        now = {e: agent.books(e) for e in endpoints}
        return all(
            sum(now[e][k] for k in ("delivered", "filtered", "routed", "lost"))
            >= sum(before[e][k] for k in ("delivered", "filtered", "routed", "lost", "buffered"))
            for e in endpoints
        )

    wait_for("the backlog to be through", done, timeout=60)


def member(receiver, replicas=1, extra=""):
    return receiver, f"  routing: shard\n  group: g\n  replicas: {replicas}\n{extra}"


# ---- groups ----


@pytest.mark.sanitized
@pytest.mark.parametrize("members,replicas", [(2, 1), (3, 1), (4, 2), (2, 2)])
def test_each_series_has_its_places(run, tmp_path, members, replicas):
    target, witness = run(Target, body), run(Receiver)
    group = {f"g{i}": run(Receiver) for i in range(members)}
    endpoints = {name: member(r, replicas) for name, r in group.items()}
    agent = run(Agent, tmp_path, config(target, {"all": witness, **endpoints}))
    wait_for("samples", lambda: len(values(witness)) > 4)
    for name in ("all", *group):
        agent.assert_balanced(name)
    assert agent.stop() == 0
    got = {name: keys(r) for name, r in group.items()}
    everything = keys(witness)
    assert set(everything.values()) == {1}
    assert sum(got.values(), collections.Counter()) == collections.Counter({k: replicas for k in everything})
    places = collections.defaultdict(set)
    for name, samples in got.items():
        check_once_and_in_order(group[name].snapshot())
        for labels, _ in samples:
            places[labels].add(name)
    assert all(len(names) == replicas for names in places.values())
    shares = collections.Counter(name for names in places.values() for name in names)
    assert len(shares) == members and min(shares.values()) > len(places) * replicas / members / 3


def test_histograms_stay_together_without_le(run, tmp_path):
    buckets = [f'h_bucket{{id="{i}",le="{le}"}} 1\n' for i in range(30) for le in (1, 2, 3, 4, "+Inf")]
    target = run(Target, "# TYPE h histogram\n" + "".join(buckets))
    group = {f"g{i}": run(Receiver) for i in range(3)}
    endpoints = {name: member(r, 1, "  shard_ignore: [le]\n") for name, r in group.items()}
    run(Agent, tmp_path, config(target, endpoints))


    def series(receiver):
        return {labels for labels, _ in keys(receiver) if ("__name__", "h_bucket") in labels}

    wait_for("all", lambda: sum(len(series(r)) for r in group.values()) == 150)
    for receiver in group.values():
        seen = collections.Counter(labels["id"] for labels, _, _ in receiver.snapshot() if "le" in labels)
        spread = {i: {ls["le"] for ls, _, _ in receiver.snapshot() if ls.get("id") == i} for i in seen}
        assert spread and all(len(les) == 5 for les in spread.values())


def test_a_member_that_is_down_keeps_its_share(run, tmp_path):
    target, witness = run(Target, body), run(Receiver)
    group = {name: gated(run) for name in ("g0", "g1", "g2")}
    agent = run(Agent, tmp_path, config(target, {"all": witness, **{n: member(r) for n, r in group.items()}}))
    wait_for("samples everywhere", lambda: all(values(r) for r in group.values()))
    own = {labels for labels, _ in keys(group["g1"])}
    shut(group["g1"])
    scrapes(target, 5)
    wait_for("a backlog", lambda: buffered(agent, "g1"))
    for name in ("g0", "g2"):
        agent.assert_balanced(name)
        assert not own & {labels for labels, _ in keys(group[name])}, "rerouted"
    assert not agent.total("obsagent_samples_buffered", endpoint="g0") > 10 * SERIES
    reopen(group["g1"])
    drained(agent, "g1")
    assert agent.stop() == 0
    assert sum((keys(r) for r in group.values()), collections.Counter()) == keys(witness)
    assert {labels for labels, _ in keys(group["g1"])} == own


def places_of(group):
    """{sample: names of those who have it}, each once."""
    places = collections.defaultdict(set)
    for name, receiver in group.items():
        for key, times in keys(receiver).items():
            assert times == 1, f"{name} has {dict(key[0])} {times} times"
            places[key].add(name)
    return places


def owners_of(group):
    owners = collections.defaultdict(set)
    for (labels, _), names in places_of(group).items():
        owners[labels] |= names
    return owners


def learn(run, directory, target, names, replicas):
    """Who gets which series when these are the members."""
    directory.mkdir()
    group = {name: run(Receiver) for name in names}
    agent = run(Agent, directory, config(target, {n: member(r, replicas) for n, r in group.items()}), port=None)
    wait_for("two rounds", lambda: sum(len(values(r)) for r in group.values()) >= 2 * len(names))
    assert agent.stop() == 0
    return owners_of(group)


@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize("replicas", [1, 2])
def test_members_come_and_go_with_a_backlog(run, tmp_path, how, replicas):
    target, witness = run(Target, body), run(Receiver)
    names = {2: ("a", "b"), 3: ("a", "b", "c")} if replicas == 1 else {2: ("a", "b", "d"), 3: ("a", "b", "c", "d")}
    owners = {n: learn(run, tmp_path / str(n), target, names[n], replicas) for n in (2, 3)}
    group = {name: gated(run) for name in names[3]}

    def text(n):
        return config(target, {"all": witness, **{name: member(group[name], replicas) for name in names[n]}})

    agent = run(Agent, tmp_path, text(2))
    wait_for("samples", lambda: values(group["a"]))
    shut(*group.values())
    scrapes(target, 5)
    wait_for("backlogs", lambda: buffered(agent, *names[2]))
    for n in (3, 2, 3, 2, 3):
        if how == "reload":
            agent.reconfigure(text(n))
        else:
            assert agent.stop() == 0
            agent = run(Agent, tmp_path, text(n), port=agent.port)
        scrapes(target, 10)
        wait_for("backlogs", lambda: buffered(agent, *names[n]))
        for name in names[n]:
            agent.assert_balanced(name)
    reopen(*group.values())
    drained(agent, *names[3])
    for name in names[3]:
        assert agent.assert_balanced(name)["lost"] == 0
    assert agent.stop() == 0
    places, kinds = places_of(group), collections.Counter()
    for key in keys(witness):
        labels = key[0]
        allowed = [n for n in (2, 3) if places[key] == owners[n][labels]]
        assert allowed, f"{dict(labels)} at {key[1]} is at {places[key]}, not {owners[2][labels]}, {owners[3][labels]}"
        kinds[tuple(allowed)] += 1
    assert kinds[(2,)] and kinds[(3,)], kinds
    assert set(places) == set(keys(witness))
