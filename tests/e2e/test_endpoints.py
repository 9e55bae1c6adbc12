"""test_endpoints: endpoints that share the series, and endpoints that are added, removed, renamed and edited while
blocks wait for them: who gets what, how often, and do the books tell?"""

import collections
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
SOON = "--shutdown.timeout=500ms"  # receivers that are not there need no more time
SERIES = 60


def config(target, endpoints):
    """endpoints: {name: receiver or (receiver, YAML)}, in order. A name that begins with "?" is not written."""
    text = "scrape_configs:\n" + scrape_config("app", target.address, INTERVAL) if target else ""
    text += "remote_write:\n"
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
    agent = run(Agent, tmp_path, config(target, {"all": witness, **endpoints}), SOON)
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
    run(Agent, tmp_path, config(target, endpoints), SOON)


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
    agent = run(Agent, tmp_path, config(target, {"all": witness, **{n: member(r) for n, r in group.items()}}), SOON)
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
    agent = run(Agent, directory, config(target, {n: member(r, replicas) for n, r in group.items()}), SOON, port=None)
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

    agent = run(Agent, tmp_path, text(2), SOON)
    wait_for("samples", lambda: values(group["a"]))
    shut(*group.values())
    scrapes(target, 5)
    wait_for("backlogs", lambda: buffered(agent, *names[2]))
    for n in (3, 2, 3, 2, 3):
        if how == "reload":
            agent.reconfigure(text(n))
        else:
            assert agent.stop() == 0
            agent = run(Agent, tmp_path, text(n), SOON, port=agent.port)
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


def test_members_come_and_go_and_the_agent_is_killed(run, tmp_path):
    target = run(Target, body)
    names = {2: ("a", "b"), 3: ("a", "b", "c")}
    owners = {n: learn(run, tmp_path / str(n), target, names[n], 1) for n in (2, 3)}
    group = {name: gated(run) for name in names[3]}
    shut(*group.values())

    def text(n, scraped=target):
        return config(scraped, {name: member(group[name]) for name in names[n]})

    agent = run(Agent, tmp_path, text(2), SOON)
    scraped = 0
    for n in (3, 2, 3):
        scrapes(target, 5)
        agent.reconfigure(text(n))
    scrapes(target, 5)
    agent.reconfigure(text(3, None))
    for n in (2, 3, 2):
        wait_for("all to be on disk", lambda: agent.total("obsagent_queue_ram_bytes") == 0)
        scraped = max(scraped, agent.total("obsagent_samples_scraped_total"))
        agent.kill9()
        agent = run(Agent, tmp_path, text(n, None), SOON, port=agent.port)
    reopen(*group.values())
    drained(agent, *names[2])
    agent.reconfigure(text(3, None))  # what c was owed when it was removed
    drained(agent, *names[3])
    places, kinds = places_of(group), collections.Counter()
    for (labels, _), found in places.items():
        allowed = [n for n in (2, 3) if found == owners[n].get(labels, found)]
        assert allowed, f"{dict(labels)} is at {found}, not {owners[2][labels]}, {owners[3][labels]}"
        kinds[tuple(allowed)] += 1
    assert kinds[(2,)] and kinds[(3,)], kinds
    assert len(places) == scraped


def test_a_member_is_renamed_with_a_backlog(run, tmp_path):
    target, witness = run(Target, body), run(Receiver)
    group = {name: gated(run) for name in ("g0", "g1", "g2")}

    def text(new):
        names = {n: member(r) for n, r in group.items()}
        return config(target, {"all": witness, **{new if n == "g1" else n: m for n, m in names.items()}})

    agent = run(Agent, tmp_path, text("g1"), SOON)
    wait_for("samples everywhere", lambda: all(values(r) for r in group.values()))
    shut(*group.values())
    scrapes(target, 5)
    agent.reconfigure(text("renamed"))
    scrapes(target, 5)
    assert agent.stop() == 0
    agent = run(Agent, tmp_path, text("again"), SOON)
    scrapes(target, 5)
    reopen(*group.values())
    drained(agent, "g0", "again", "g2")
    for name in ("g0", "again", "g2"):
        assert agent.assert_balanced(name)["lost"] == 0
    assert agent.stop() == 0
    assert set(places_of(group)) == set(keys(witness))
    assert sum((keys(r) for r in group.values()), collections.Counter()) == keys(witness)


def test_vmagents_flags_for_sharding(run, tmp_path):
    target, group = run(Target, body), [run(Receiver) for _ in range(3)]
    jobs = tmp_path / "jobs.yml"
    jobs.write_text("scrape_configs:\n" + scrape_config("app", target.address, INTERVAL))
    flags = [f"-remoteWrite.url={r.url}" for r in group] + ["-remoteWrite.forcePromProto=true"]
    flags += ["-remoteWrite.shardByURL", "-remoteWrite.shardByURLReplicas=2"]
    flags += [f"-remoteWrite.tmpDataPath={tmp_path / 'data'}"]
    argv = ["run", f"-promscrape.config={jobs}", "-httpListenAddr=127.0.0.1:0", *flags]
    agent = run(Agent, tmp_path, None, argv=argv, wait=False)
    wait_for("samples", lambda: all(len(values(r)) > 2 for r in group))
    assert agent.stop() == 0
    assert set(sum((keys(r) for r in group), collections.Counter()).values()) == {2}


# ---- the list of endpoints changes while blocks wait ----


def check_all(agent, target, witness, receivers, *names):
    """After all is through: the receivers have what the witness has, each sample at one of them, once and in order."""
    drained(agent, "all", *names)
    for name in ("all", *names):
        books = agent.assert_balanced(name)
        assert books["lost"] == 0 and books["filtered"] == 0
    assert agent.stop() == 0
    for receiver in receivers:
        check_once_and_in_order(receiver.snapshot())
    got = sum((keys(r) for r in receivers), collections.Counter())
    assert got == keys(witness)
    assert values(witness) >= set(range(1, len(target.requests) - 1))


def pair_config(target, witness, receiver, name):
    return config(target, {"all": witness, name: receiver})


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_renamed_with_a_backlog(run, tmp_path, how):
    target, witness, receiver = run(Target, body), run(Receiver), gated(run)
    agent = run(Agent, tmp_path, pair_config(target, witness, receiver, "one"), SOON)
    wait_for("samples", lambda: values(receiver))
    shut(receiver)
    for name in ("two", "?", "three"):
        scrapes(target, 4)
        text = pair_config(target, witness, receiver, name)
        if how == "reload":
            agent.reconfigure(text)
        else:
            assert agent.stop() == 0
            agent = run(Agent, tmp_path, text, SOON, port=agent.port)
    agent.assert_balanced("three")
    assert agent.books("three")["restored"] > 0
    reopen(receiver)
    check_all(agent, target, witness, [receiver], "three")


def test_renamed_while_nothing_waits(run, tmp_path):
    """Blocks that are pushed while the one name goes and the other one comes are not forgotten: many tries."""
    target, witness, receiver = run(Target, body), run(Receiver), run(Receiver)
    agent = run(Agent, tmp_path, pair_config(target, witness, receiver, "name0"), SOON)
    wait_for("samples", lambda: values(receiver))
    for i in range(1, 25):
        agent.reconfigure(pair_config(target, witness, receiver, f"name{i}"))
    drained(agent, "all", "name24")
    assert agent.assert_balanced("name24")["lost"] == 0
    assert agent.stop() == 0
    assert set(keys(receiver)) == set(keys(witness))  # what was under way when its endpoint went comes twice


def test_thirty_two_names_in_a_row(run, tmp_path):
    target, witness, receiver = run(Target, body), run(Receiver), gated(run)
    agent = run(Agent, tmp_path, pair_config(target, witness, receiver, "name0"), SOON)
    wait_for("samples", lambda: values(receiver))
    shut(receiver)
    scrapes(target, 2)
    for i in range(1, 33):
        agent.reconfigure(pair_config(target, witness, receiver, f"name{i}"))
    agent.assert_balanced("name32")
    reopen(receiver)
    check_all(agent, target, witness, [receiver], "name32")


def test_another_url_gets_what_waits(run, tmp_path):
    target, witness, old, new = run(Target, body), run(Receiver), gated(run), run(Receiver)
    agent = run(Agent, tmp_path, pair_config(target, witness, old, "one"), SOON)
    wait_for("samples", lambda: values(old))
    shut(old)
    scrapes(target, 5)
    wait_for("a backlog", lambda: buffered(agent, "one"))
    agent.reconfigure(pair_config(target, witness, new, "one"))
    check_all(agent, target, witness, [old, new], "one")
    assert min(values(new)) <= max(values(old)) + 2


def test_another_order_is_no_change(run, tmp_path):
    target, witness = run(Target, body), run(Receiver)
    receivers = {f"e{i}": gated(run) for i in range(4)}
    agent = run(Agent, tmp_path, config(target, {"all": witness, **receivers}), SOON)
    wait_for("samples", lambda: all(values(r) for r in receivers.values()))
    shut(receivers["e0"], receivers["e2"])
    scrapes(target, 4)
    for order in ((3, 2, 1, 0), (1, 3, 0, 2)):
        agent.reconfigure(config(target, {**{f"e{i}": receivers[f"e{i}"] for i in order}, "all": witness}))
        scrapes(target, 4)
    assert agent.total("obsagent_samples_absent_total") == 0
    reopen(*receivers.values())
    drained(agent, "all", *receivers)
    for name in receivers:
        assert agent.assert_balanced(name)["lost"] == 0
    assert agent.stop() == 0
    for receiver in receivers.values():
        check_once_and_in_order(receiver.snapshot())
        assert keys(receiver) == keys(witness)


def test_removed_and_added_again(run, tmp_path):
    target, witness, receiver = run(Target, body), run(Receiver), gated(run)
    both = pair_config(target, witness, receiver, "gone")
    agent = run(Agent, tmp_path, both, SOON)
    wait_for("samples", lambda: values(receiver))
    shut(receiver)
    scrapes(target, 4)
    wait_for("a backlog", lambda: buffered(agent, "gone"))
    agent.reconfigure(config(target, {"all": witness}))
    scrapes(target, 8)
    assert agent.stop() == 0
    code, listed, error = obsagent("queue", "ls", agent.storage)
    assert code == 0, error
    line = [line for line in listed.splitlines() if "gone" in line]
    assert line and any(int(word) > SERIES for word in line[0].replace(",", "").split() if word.isdigit()), listed
    reopen(receiver)
    agent = run(Agent, tmp_path, config(target, {"all": witness}), SOON, port=agent.port)
    scrapes(target, 4)
    agent.reconfigure(both)
    scrapes(target, 4)
    drained(agent, "gone")
    books = agent.assert_balanced("gone")
    assert books["restored"] > 0 and books["absent"] > 0 and books["lost"] == 0
    assert agent.stop() == 0
    check_once_and_in_order(receiver.snapshot())
    missing = sorted(values(witness) - values(receiver))
    assert missing and missing == list(range(missing[0], missing[-1] + 1)), "one gap, while it was not configured"
    assert len(missing) >= 8


def test_a_reload_waits_for_no_receiver(run, tmp_path):
    hang = 60
    target, witness = run(Target, body), run(Receiver)
    hangs = [run(Receiver, lambda samples, headers, number: HANG) for _ in range(3)]
    extra = f"  remote_timeout: {hang}s\n"
    endpoints = {"all": witness, **{f"h{i}": (r, extra) for i, r in enumerate(hangs)}}
    agent = run(Agent, tmp_path, config(target, endpoints), SOON)
    wait_for("requests", lambda: all(r.requests for r in hangs))
    start = time.monotonic()
    changed = {"all": witness, "h0": (hangs[0], extra + "  max_age: 1d\n"), "new": (hangs[1], extra)}
    agent.reconfigure(config(target, changed))  # one edited, one renamed, one removed
    agent.reconfigure(config(target, {"all": witness}))
    scrapes(target, 3)
    assert time.monotonic() - start < hang / 2
    seen = max(values(witness))
    wait_for("the witness to go on", lambda: max(values(witness)) > seen)
