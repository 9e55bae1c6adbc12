"""test_chaos_check: the judge of test_chaos sees what is wrong, and nothing else; over logs that are made up."""

import json
import types

import pytest

import chaos
import chaos_check
from chaos_check import Death

TARGETS, SCRAPES = 2, 5
NOW_MS = 1_700_000_000_000


def labels_of(target):
    report = [(("__name__", name), ("t", str(target))) for name in sorted(chaos_check.REPORT)]
    own = [(("__name__", "v"), ("i", str(i)), ("t", str(target))) for i in range(chaos.SERIES)]
    return report + own


def healthy():
    """One request for each scrape of each target, answered one after the other over one connection; with both
    receivers: [(request line, [(labels, ms, value)])], and what the targets answered."""
    deliveries = {"a": [], "b": []}
    answered = []
    for n in range(1, SCRAPES + 1):
        for t in range(TARGETS):
            ms = NOW_MS + n * 1000 + t
            samples = [(labels, ms, 1.0 if labels[0][1] in chaos_check.REPORT else n) for labels in labels_of(t)]
            answered.append((t, n, ms / 1000 + 0.01))
            for requests in deliveries.values():
                at = ms / 1000 + 1
                line = {"connection": 1, "began": at, "at": at, "kind": None, "status": 204, "accepted": True}
                line["samples"] = len(samples)
                requests.append((line, list(samples)))
    return types.SimpleNamespace(deliveries=deliveries, answered=answered, deaths=[], ended={}, miscounted=0)


def write(path, requests, ended):
    path.mkdir()
    numbers = {}
    lines, packed = [], b""
    for number, (line, samples) in enumerate(requests):
        lines.append(json.dumps({"request": number, **line}))
        for labels, ms, value in samples:
            packed += chaos.SAMPLE.pack(number, numbers.setdefault(labels, len(numbers)), ms, value)
    lines += [json.dumps({"connection": c, "ended": at}) for c, at in ended.items()]
    (path / "requests.ndjson").write_text("\n".join(lines))
    (path / "series.ndjson").write_text("\n".join(json.dumps(labels) for labels in numbers))
    (path / "samples.bin").write_bytes(packed)
    return chaos_check.Delivery(path.name, path)


def judge(tmp_path, world):
    """All problems that the checks find."""
    deliveries = [write(tmp_path / n, requests, world.ended) for n, requests in world.deliveries.items()]
    (tmp_path / "answered").write_bytes(b"".join(chaos.ANSWERED.pack(*each) for each in world.answered))
    truth = chaos_check.Truth(tmp_path / "answered", deliveries)
    problems = truth.problems + chaos_check.check_scrapes(truth, world.deaths, range(TARGETS))[0]
    for d in deliveries:
        problems += chaos_check.check_order(d, d.doubtful(world.deaths, 2))[0]
        problems += chaos_check.check_complete(d, truth, world.deaths)[0]
    taken = {(labels, ms) for line, ss in world.deliveries["a"] if line["accepted"] for labels, ms, _ in ss}
    refused = {(labels, ms) for line, ss in world.deliveries["a"] if not line["accepted"] for labels, ms, _ in ss}
    books = {"a": {"delivered": len(taken) + world.miscounted, "rejected": len(refused - taken)}}
    problems += chaos_check.check_last_books(deliveries[0], {"started": 0, "books": books})
    return problems


def again(world, number, **line):
    """Request `number` of a comes a second time, at once; `line` is what was odd about the first."""
    requests = world.deliveries["a"]
    requests[number][0].update(line)
    requests.insert(number + 1, ({**requests[number][0], "connection": 2, "kind": None}, requests[number][1]))


def lose(world, number, names=("a",)):
    for name in names:
        del world.deliveries[name][number]


def refuse(world, alone):
    """One sample of a is not taken but refused; or nobody knows of it."""
    line, samples = world.deliveries["a"][4]
    sample = samples.pop()
    if alone:
        world.deliveries["a"].append(({**line, "accepted": False, "status": 400, "kind": "refuse"}, [sample]))
        line["kind"] = "refuse"


def swap(world):
    requests = world.deliveries["a"]
    requests[2], requests[4] = requests[4], requests[2]


def change(world, at, value):
    samples = world.deliveries["a"][2][1]
    samples[at] = (*samples[at][:2], value)


def die(world, kind, second, connection_ended=None):
    at = NOW_MS / 1000 + second
    world.deaths.append(Death(kind, at, at + 0.1, 0.1))
    if connection_ended is not None:
        world.ended[connection_ended] = at


def miscount(world):
    world.miscounted = 1


# name: (what is changed in the healthy world, what is found of it: a part of the text, or nothing)
BOTH = ("a", "b")
CASES = {
    "all is well": (lambda w: [], None),
    "one request is missing at one": (lambda w: lose(w, 3), "missing"),
    "one sample is missing at one": (lambda w: refuse(w, False), "missing"),
    "a sample is refused by name": (lambda w: refuse(w, True), None),
    "a scrape is missing at both": (lambda w: lose(w, 3, BOTH), "nobody got it"),
    "a scrape was cut off at a SIGTERM": (lambda w: [lose(w, 3, BOTH), die(w, "term", 2.2)], None),
    "a SIGTERM later is no excuse": (lambda w: [lose(w, 3, BOTH), die(w, "term", 4.2)], "nobody got it"),
    "a SIGTERM excuses nothing that was scraped": (lambda w: [lose(w, 3), die(w, "term", 2.2)], "missing"),
    "a kill takes what is in RAM": (lambda w: [lose(w, 3, BOTH), die(w, "kill", 2.9)], None),
    "a kill takes it from one alone": (lambda w: [lose(w, 3), die(w, "kill", 2.9)], None),
    "a kill takes nothing older": (lambda w: [lose(w, 3, BOTH), die(w, "kill", 5)], "nobody got it"),
    "a kill takes nothing older from one": (lambda w: [lose(w, 3), die(w, "kill", 5)], "missing"),
    "twice": (lambda w: again(w, 3), "twice without need"),
    "twice as the answer was cut": (lambda w: again(w, 3, kind="cut"), None),
    "twice as the answer was late": (lambda w: again(w, 3, began=NOW_MS / 1000), None),
    "twice at a kill": (lambda w: [again(w, 9, connection=3), die(w, "kill", 6.1, 3)], None),
    "twice at a kill, but that connection lived": (lambda w: [again(w, 9, connection=3), die(w, "kill", 6.1)], "twice"),
    "twice at a kill, from long before": (lambda w: [again(w, 3, connection=3), die(w, "kill", 6.1, 3)], "twice"),
    "twice, and later requests came on that connection": (lambda w: [again(w, 3), die(w, "kill", 3.2, 1)], "twice"),
    "back in time": (lambda w: swap(w), "back in time"),
    "another value at one": (lambda w: change(w, 8, 77.0), " and "),
    "books that count one too many": (lambda w: miscount(w), "accepted"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_judge(tmp_path, case):
    change_world, wanted = case
    world = healthy()
    change_world(world)
    problems = judge(tmp_path, world)
    assert any(wanted in problem for problem in problems) if wanted else not problems, problems
