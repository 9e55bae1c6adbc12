"""chaos_check: what the two receivers of test_chaos wrote down, compared with what the targets answered, with the
agent's books, and with the faults. Everything that is missing or came twice needs an excuse, and an excuse is a fact
that a receiver, a target or the test wrote down."""

import array
import collections
import json
import math
import pathlib
import struct

import chaos

REPORT = {
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
}
# A sample is at most so long only in RAM: a second until its block is sealed, 0.7 s until the block is on disk.
ONLY_IN_RAM_S = 1.7

# So long a batch stays under way of which single samples were sent ahead.
PROBES_S = 10

# A moment at which something died: kind is "kill", "term", "unplug X" (connections of receiver X), "remove" (of jobs).
# What was under way between `began` and `ended` may be cut; `slack` is how late the machine was about then.
Death = collections.namedtuple("Death", "kind began ended slack jobs", defaults=(0.5, None))


class Column:
    """Samples of one series at one receiver, in order of arrival."""

    __slots__ = ("request", "ms", "value")

    def __init__(self):
        self.request = array.array("I")
        self.ms = array.array("q")
        self.value = array.array("d")


class Delivery:
    """All that one receiver wrote down. accepted: {labels: Column}; refused: the same, of requests that held this one
    series and nothing else and were answered with 400."""

    def __init__(self, name, directory):
        self.name = name
        self.requests, self.ended, self.last = {}, {}, {}  # the latter two by connection
        directory = pathlib.Path(directory)
        for line in map(json.loads, (directory / "requests.ndjson").read_text().splitlines()):
            if "ended" in line:
                self.ended[line["connection"]] = line["ended"]
            else:
                self.requests[line["request"]] = line
                self.last[line["connection"]] = line["request"]
        lines = (directory / "series.ndjson").read_text().splitlines()
        labels = [tuple(map(tuple, json.loads(line))) for line in lines]
        self.accepted, self.refused = {}, {}
        for request, n, ms, value in chaos.SAMPLE.iter_unpack((directory / "samples.bin").read_bytes()):
            book = self.accepted if self.requests[request]["accepted"] else self.refused
            column = book.get(labels[n])
            if column is None:
                column = book[labels[n]] = Column()
            column.request.append(request)
            column.ms.append(ms)
            column.value.append(value)

    def doubtful(self, deaths, timeout):
        """Accepted requests of which the agent may not have heard so: the answer was cut, or came too late, or it was
        the last on its connection when one side died. Also, after a death, a single sample that was sent ahead of one
        that failed with 5xx again and again, to see who is to blame: that it is through is known in RAM alone."""
        out = set()
        blamed = -math.inf  # when one sample alone was answered with 5xx
        mine = [d for d in deaths if d.kind in ("kill", "term", "unplug " + self.name)]
        for number, r in self.requests.items():
            if r["samples"] == 1 and r["status"] >= 500:
                blamed = r["at"]
            if r["accepted"] and r["samples"] == 1 and r["at"] < blamed + PROBES_S:
                if any(r["at"] - d.slack <= d.ended <= r["at"] + PROBES_S for d in mine):
                    out.add(number)
            ended = self.ended.get(r["connection"], math.inf)
            late = r["at"] - r["began"] > timeout / 2
            cut = r["kind"] in ("half", "cut", "accept and hang", "stall")
            died = self.last[r["connection"]] == number and any(
                d.began - d.slack <= ended <= d.ended + d.slack and r["at"] >= d.began - 1 - d.slack
                for d in mine
            )
            if r["accepted"] and (late or cut or died):
                out.add(number)
        return out


def is_stale(value):
    return struct.pack("<d", value) == struct.pack("<Q", chaos.STALE_BITS)


class Truth:
    """What was scraped, as targets and both receivers together know it."""

    def __init__(self, answered, deliveries):
        self.answered = list(chaos.ANSWERED.iter_unpack(pathlib.Path(answered).read_bytes()))
        self.values = {}  # labels: {ms: value}
        self.series = collections.defaultdict(set)  # target: labels
        self.problems = []
        for d in deliveries:
            for book in (d.accepted, d.refused):
                for labels, column in book.items():
                    self.add(labels, column)
        self.scrapes = {}  # target: {ms: how often it was asked}
        self.failed = {}  # target: [ms]
        for target, series in self.series.items():
            self.read(target, series)

    def add(self, labels, column):
        values = self.values.setdefault(labels, {})
        self.series[int(dict(labels)["t"])].add(labels)
        for ms, value in zip(column.ms, column.value):
            old = values.setdefault(ms, value)
            if struct.pack("<d", old) != struct.pack("<d", value):
                self.problems.append(f"{labels} at {ms} is {old} and {value}")

    def read(self, target, series):
        scrapes = self.scrapes.setdefault(target, {})
        self.failed[target] = []
        for labels in series:
            name = dict(labels)["__name__"]
            if name in REPORT:
                self.failed[target] += [ms for ms, v in self.values[labels].items() if name == "up" and v == 0]
                continue
            for ms, n in self.values[labels].items():
                if not is_stale(n) and scrapes.setdefault(ms, n) != n:
                    self.problems.append(f"target {target} at {ms}: {scrapes[ms]} and {n}")
        counts = [n for _, n in sorted(scrapes.items())]
        if counts != sorted(set(counts)):
            self.problems.append(f"target {target}: the times of its scrapes do not rise with their numbers")

    def expected(self, target, labels):
        """Times at which a series has a sample."""
        return self.scrapes[target].keys() | self.values[labels].keys()


def together(problems):
    """One text for each problem, with some of its samples."""
    return [f"{text}\n  {len(found)} samples: {found[:2]}" for text, found in problems.items()]


def check_order(delivery, doubtful, streams=1):
    """Each sample once, except where an answer was in doubt; new ones in order of time, when there is one stream."""
    problems, twice = collections.defaultdict(list), 0
    for labels, column in delivery.accepted.items():
        seen, high = {}, -1
        for request, ms in zip(column.request, column.ms):
            if ms in seen:
                twice += 1
                seen[ms].append(request)
                certain = [r for r in seen[ms] if r not in doubtful]
                if len(certain) > 1:
                    told = "\n  ".join(str(delivery.requests[r]) for r in seen[ms])
                    problems[f"{delivery.name}: twice without need:\n  {told}"].append((labels, ms))
            elif ms < high and streams == 1:
                told = delivery.requests[request]
                problems[f"{delivery.name}: back in time:\n  {told}"].append((labels, ms, high))
            seen.setdefault(ms, [request])
            high = max(high, ms)
    return together(problems), twice


def check_complete(delivery, truth, deaths):
    """All that was scraped is there, or refused by name, or was in RAM when the agent was killed."""
    problems, killed, refused = collections.defaultdict(list), 0, 0
    kills = [d for d in deaths if d.kind == "kill"]
    for target, series in truth.series.items():
        for labels in series:
            have = set(delivery.accepted[labels].ms) if labels in delivery.accepted else set()
            said_no = set(delivery.refused[labels].ms) if labels in delivery.refused else set()
            for ms in truth.expected(target, labels) - have:
                if ms in said_no:
                    refused += 1
                elif any(d.began - ONLY_IN_RAM_S - d.slack <= ms / 1000 <= d.ended for d in kills):
                    killed += 1
                else:
                    problems[f"{delivery.name}: missing of second {ms // 1000}"].append((labels, ms))
    return together(problems), killed, refused


def check_scrapes(truth, deaths, targets):
    """Every answer of a target became samples, unless the scrape was cut off or failed; all of its series are known."""
    problems, cut = [], 0
    for target in targets:
        if len(truth.series[target]) < chaos.SERIES + len(REPORT):
            problems.append(f"target {target} has only {len(truth.series[target])} series")
    known = {target: set(scrapes.values()) for target, scrapes in truth.scrapes.items()}
    for target, n, wall in truth.answered:
        if n in known.get(target, ()):
            continue
        early = {"kill": ONLY_IN_RAM_S, "term": 0.5, "remove": 0.5}
        excuses = [
            d
            for d in deaths
            if d.kind in early
            and d.began - early[d.kind] - d.slack <= wall <= d.ended + d.slack
            and (d.jobs is None or target in d.jobs)
        ]
        failed = [ms for ms in truth.failed.get(target, []) if abs(ms / 1000 - wall) < 3]
        cut += 1
        if not excuses and not failed:
            problems.append(f"target {target} was asked the {n}. time at {wall} and nobody got it")
    return problems, cut


def count_in(book, requests, since):
    """Samples by (labels, ms) of the requests that began since then."""
    return {
        (labels, ms)
        for labels, column in book.items()
        for request, ms in zip(column.request, column.ms)
        if requests[request]["began"] >= since
    }


def check_last_books(delivery, life):
    """The last life of the agent ended with nothing buffered: its books say exactly what the receiver wrote down."""
    accepted = count_in(delivery.accepted, delivery.requests, life["started"])
    refused = count_in(delivery.refused, delivery.requests, life["started"])
    books = life["books"][delivery.name]
    problems = []
    if not len(refused - accepted) <= books["rejected"] <= len(refused):
        problems.append(f"{delivery.name}: {books['rejected']} are booked as rejected, {len(refused)} were refused")
    if books["delivered"] + books["rejected"] != len(accepted | refused):
        problems.append(f"{delivery.name}: {books} and {len(accepted)} accepted, {len(refused)} refused")
    return problems
