"""test_shards: several agents over one list of targets: does each target have as many scrapers as it should, what moves
when one more comes, and what do the pages say of the others' targets?"""

import collections
import html
import json

import pytest

from harness import Agent, Receiver, Target, http_get, named, obsagent, remote_write, wait_for

pytestmark = pytest.mark.sanitized

TARGETS = 60


@pytest.fixture(scope="module")
def world(run_module, tmp_path_factory):
    """A target of 60 paths in a file that all agents read."""

    class World:
        pass

    w = World()
    w.tmp = tmp_path_factory.mktemp("shards")
    w.target = run_module(Target, "m 1\n")
    groups = [
        {"targets": [w.target.address], "labels": {"__metrics_path__": f"/m{i}", "n": str(i)}} for i in range(TARGETS)
    ]
    (w.tmp / "targets.json").write_text(json.dumps(groups))
    return w


def config(world, receiver):
    return f"""
scrape_configs:
- job_name: shared
  scrape_interval: 500ms
  scrape_timeout: 500ms
  file_sd_configs: [{{files: [{world.tmp}/targets.json]}}]
  relabel_configs: [{{source_labels: [n], regex: '5', action: drop}}]
""" + remote_write(receiver.url)


class Fleet:
    """Agents that share the targets, one after the other; `flags(shard)` is the command line of each."""

    def __init__(self, world, run, name, shards, flags):
        self.receivers = [run(Receiver) for _ in range(shards)]
        self.agents = [
            run(Agent, world.tmp, config(world, receiver), *flags(i), name=f"{name}{i}", wait=False)
            for i, receiver in enumerate(self.receivers)
        ]
        for agent in self.agents:
            agent.wait_ready()

    def members(self):
        """{n: the shards that have it}, as the agents say."""
        out = collections.defaultdict(set)
        for shard, agent in enumerate(self.agents):
            for target in agent.targets():
                out[int(target["labels"]["n"])].add(shard)
        return out

    def scraped(self):
        """The same as the receivers see it."""
        out = collections.defaultdict(set)
        for shard, receiver in enumerate(self.receivers):
            for labels, _, _ in named(receiver.snapshot(), "m"):
                out[int(labels["n"])].add(shard)
        return out

    def stop(self):
        for agent in self.agents:
            assert agent.stop() == 0


ALL = set(range(TARGETS)) - {5}


def test_from_three_to_four(world, run):
    three = Fleet(world, run, "three", 3, lambda i: ["--scrape.shards=3", f"--scrape.shard=agent-{i}"])
    before = three.members()
    assert set(before) == ALL and all(len(shards) == 1 for shards in before.values())
    wait_for("a sample of each target", lambda: set(three.scraped()) == ALL)
    assert three.scraped() == before
    three.stop()
    four = Fleet(
        world, run, "four", 4,
        lambda i: ["-promscrape.cluster.membersCount=4", f"-promscrape.cluster.memberNum=vmagent-{i}"],
    )
    after = four.members()
    assert set(after) == ALL and all(len(shards) == 1 for shards in after.values())
    moved = {n for n in ALL if after[n] != before[n]}
    assert 0 < len(moved) < TARGETS / 2 and all(after[n] == {3} for n in moved)
    wait_for("a sample of each target", lambda: four.scraped() == after)


def test_replicas_and_the_label(world, run):
    fleet = Fleet(
        world, run, "twice", 3,
        lambda i: ["--scrape.shards=3", f"--scrape.shard={i}", "--scrape.replication-factor=2",
                   "--scrape.shard-label=replica"],
    )
    members = fleet.members()
    assert set(members) == ALL and all(len(shards) == 2 for shards in members.values())
    alone = Fleet(
        world, run, "label", 1, lambda i: ["-promscrape.cluster.membersCount=1", "-promscrape.cluster.memberLabel=vm"]
    )
    assert {t["labels"]["vm"] for t in alone.agents[0].targets()} == {"0"}
    wait_for("a sample of each target", lambda: fleet.scraped() == members)
    for shard, receiver in enumerate(fleet.receivers):
        assert {labels["replica"] for labels, _, _ in receiver.snapshot()} == {str(shard)}
        assert {t["labels"]["replica"] for t in fleet.agents[shard].targets()} == {str(shard)}


def test_the_others_targets_are_shown(world, run):
    fleet = Fleet(world, run, "shown", 2, lambda i: ["--scrape.shards=2", f"--scrape.shard={i}"])
    agent = fleet.agents[0]
    own = len(agent.targets())
    others = TARGETS - 1 - own
    answer = json.loads(http_get(agent.url + "/api/v1/targets?state=dropped")[1])["data"]
    assert answer["droppedTargetCounts"] == {"shared": others + 1} and len(answer["droppedTargets"]) == others + 1
    assert agent.total("obsagent_targets", state="other_shard") == others
    assert agent.total("obsagent_targets", state="dropped") == 1
    assert agent.total("obsagent_job_targets", job="shared", state="other_shard") == others
    page = html.unescape(http_get(agent.url + "/service-discovery?state=dropped")[1])
    assert page.count("belongs to shard 1") == others and page.count("relabel_configs, rule number 1, line 7") == 1
    assert 'regex="5"' in page and "action=drop" in page
    own_page = html.unescape(http_get(agent.url + "/service-discovery?state=active")[1])
    assert "belongs to" not in own_page and own_page.count("last scrape") == own
    assert ">0 of 2<" in http_get(agent.url + "/")[1]


@pytest.mark.parametrize(
    "flags, why",
    [
        (["--scrape.shards=3", "--scrape.shard=3"], "3 is not one of 3 shards"),
        (["--scrape.shards=3", "--scrape.shard=agent-3"], "3 is not one of 3 shards"),
        (["--scrape.shards=3", "--scrape.shard=agent"], '"agent" is neither a number nor does it end'),
        (["--scrape.shards=3", "--scrape.replication-factor=4"], "4 is not between 1 and the 3 shards"),
        (["--scrape.shards=many"], '"many" is not a whole number'),
        (["-promscrape.cluster.membersCount=0"], "0 is not between 1 and"),
        (["--scrape.shard-label=a-b"], '"a-b" is not a label name'),
        (["--scrape.shard-label=__shard"], '"__shard" is not a label name'),
    ],
)
def test_mistakes(tmp_path, flags, why):
    (tmp_path / "c.yml").write_text("scrape_configs: []\n")
    code, _, err = obsagent("run", f"--config.file={tmp_path}/c.yml", *flags)
    assert code == 2 and why in err
