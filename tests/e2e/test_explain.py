"""test_explain: does `scrape --explain` say what the rules do, and is what it says will be sent what is sent?"""

import json

import pytest

from harness import Agent, Receiver, Target, obsagent, wait_for
from test_scrape_report import check

pytestmark = pytest.mark.sanitized

BODY = """# TYPE requests counter
requests{code="200"} 1
requests{code="500",stage="mine"} 2
# TYPE go_gc gauge
go_gc 1
# TYPE sizes histogram
sizes_bucket{le="1"} 1
sizes_bucket{le="+Inf"} 2
sizes_sum 3
sizes_count 2
"""
JOB = """global:
  external_labels: {site: s, code: none}
scrape_configs:
- job_name: app
  scrape_interval: 200ms
  scrape_timeout: 200ms
  normalize_le_quantile: true
  static_configs:
  - {targets: ['%s', 'gone:1'], labels: {stage: test}}
  relabel_configs:
  - {source_labels: [__address__], regex: gone.*, action: drop}
  - {source_labels: [stage], target_label: tier}
  metric_relabel_configs:
  - {source_labels: [__name__], regex: go_.*, action: drop}
  - {source_labels: [code], regex: 5.., target_label: class, replacement: bad}
  - {regex: never, action: labeldrop}
"""
ENDPOINTS = """remote_write:
- {name: main, url: '%s'}
- name: few
  url: '%s'
  write_relabel_configs:
  - {source_labels: [class, __name__], regex: '(bad;.*|;up)', action: keep}
  - {regex: class|site, action: labeldrop}
- {name: one, url: '%s', routing: shard, group: g}
- {name: two, url: '%s', routing: shard, group: g}
"""
RULE_1 = 'action=drop source_labels=["__name__"] regex="go_.*"'
RULE_2 = 'action=replace source_labels=["code"] regex="5.." target_label="class" replacement="bad"'
ALL = 'class="bad",code="500",exported_stage="mine",instance="h:1",job="app",stage="test",tier="test"'
CHOSEN = f"""requests{{code="500",stage="mine"}} (line 3 of the scrape)
  with the target's labels: requests{{{ALL.replace('class="bad",', "")}}}
  rule 1 (line 14): {RULE_1}
    -> unchanged
  rule 2 (line 15): {RULE_2}
    -> requests{{{ALL}}}
  rule 3 (line 16): action=labeldrop regex="never"
    -> unchanged
  kept: requests{{{ALL}}}
  to main: requests{{{ALL.replace(',stage="test"', ',site="s",stage="test"')}}}
  to few: requests{{{ALL.replace('class="bad",', "")}}}
    rule 1 (line 22): action=keep source_labels=["class", "__name__"] regex="(bad;.*|;up)"
      -> unchanged
    rule 2 (line 23): action=labeldrop regex="class|site"
      -> requests{{{ALL.replace('class="bad",', "")}}}
"""
TALLY = f"""  metric_relabel_configs rule 1 (line 14): dropped 1: {RULE_1}
  metric_relabel_configs rule 2 (line 15): changed 1: {RULE_2}
  metric_relabel_configs rule 3 (line 16): no effect: action=labeldrop regex="never"
  few: write_relabel_configs rule 1 (line 22): dropped 9: action=keep source_labels=["class", "__name__"]"""


@pytest.fixture
def explain(tmp_path):
    """Explains a saved body as if the job's target had answered it."""
    nobody = ("http://h/1", "http://h/2", "http://h/3", "http://h/4")
    (tmp_path / "c.yml").write_text(JOB % "h:1" + ENDPOINTS % nobody)
    (tmp_path / "body.txt").write_text(BODY)

    def run(flag, *more):
        return obsagent("scrape", "--config.file=c.yml", "--job=app", flag, *more, "body.txt", cwd=tmp_path)

    return run


def test_a_chosen_series_step_by_step(explain):
    code, out, err = explain('--explain=requests{code=~"5..",tier="test"}')
    assert (code, err) == (0, "")
    assert CHOSEN in out
    series = out[out.index("\neach series:") : out.index("\neach rule:")]
    assert series.count(" of the scrape)") == 1 and "added by the agent" not in series
    assert ("  to one: not to this one" in series) != ("  to two: not to this one" in series)
    assert TALLY in out
    assert "  7 series exposed, 1 dropped, 6 kept\n  to main: 11 series sent, 0 dropped," in out


def test_each_series_with_the_rules_that_did_something(explain):
    code, out, _ = explain("--explain")
    assert code == 0
    assert out.count(" of the scrape)\n") == 7 and out.count(" (added by the agent)\n") == 5
    assert 'go_gc (line 5 of the scrape)\n' in out
    assert f"  rule 1 (line 14): {RULE_1}\n    -> dropped here\n  dropped by rule 1 (line 14)\n" in out
    assert 'kept: sizes_bucket{instance="h:1",job="app",le="1.0",' in out
    series = out[out.index("\neach series:") : out.index("\neach rule:")]
    assert "unchanged" not in series


def test_the_target(explain):
    out = explain("--explain=none")[1]
    target = out[out.index("relabel_configs on the target:") : out.index("\neach series:")]
    assert '  rule 1 (line 11): action=drop source_labels=["__address__"] regex="gone.*"\n    -> unchanged' in target
    assert target.endswith('\n  = {instance="h:1",job="app",stage="test",tier="test"}')
    assert "none fits" in out


def test_a_dropped_target_says_by_which_rule(explain):
    code, out, err = explain("--explain", "--target=gone:1")
    assert (code, err.count("dropped by rule 1 of relabel_configs")) == (0, 1)
    assert "    -> dropped here\n  = dropped by rule 1 (line 11)\n" in out


def test_a_series_that_a_rule_makes_impossible_fails_the_scrape(tmp_path):
    (tmp_path / "c.yml").write_text(
        "scrape_configs:\n- job_name: j\n  static_configs: [{targets: ['h:1']}]\n"
        "  metric_relabel_configs: [{regex: __name__, action: labeldrop}]\n"
    )
    argv = ("scrape", "--config.file=c.yml", "--job=j", "--explain", "-")
    code, out, _ = obsagent(*argv, stdin="\nm{a=\"b\x1b[2J\"} 1\n", cwd=tmp_path)
    assert code == 1
    assert "  fails the whole scrape: missing metric name (__name__ label)\n" in out
    assert "1 series exposed, 0 dropped, 0 kept, 1 that fail the whole scrape\n" in out
    assert "\x1b" not in out


def test_series_that_are_no_selector(explain):
    assert explain("--explain={a=")[::2] == (2, "--explain: {a=: column 4: a value in quotes is expected\n")


def labels_of(samples):
    return {frozenset(labels.items()) for labels, _, _ in samples}


@pytest.mark.parametrize("native", [False, True], ids=["classic", "native"])
def test_what_it_says_is_what_each_endpoint_gets(run, tmp_path, native):
    target = run(Target, BODY)
    receivers = [run(Receiver) for _ in range(4)]
    config = JOB % target.address + ENDPOINTS % tuple(receiver.url for receiver in receivers)
    if native:
        config = config.replace("  normalize", "  convert_classic_histograms_to_nhcb: true\n  normalize")
    agent = run(Agent, tmp_path, config)
    argv = ("scrape", "--config.file", agent.config_path, "--job=app", f"--target={target.address}")
    code, out, err = obsagent(*argv, "--explain", "--json")
    assert code == 0, err
    check(json.loads(out), json.loads(obsagent("help", "scrape-json")[1]), "explained")
    told = json.loads(out)["explain"]
    for n, receiver in enumerate(receivers):
        sent = [series["endpoints"][n]["sent"] for series in told["series"] if series["kept"]]
        sent = {frozenset(labels.items()) for labels in sent if labels}
        assert len(sent) == told["endpoints"][n]["sent"]
        assert sent or n >= 2  # of a group one may get everything
        wait_for("everything to arrive", lambda: len(labels_of(receiver.snapshot())) >= len(sent))
        assert labels_of(receiver.snapshot()) == sent
    one, two = told["endpoints"][2:]
    assert one["left_to_group"] + two["left_to_group"] == told["series_kept"] + 5 == (8 if native else 11)
    assert one["histograms_not_sent"] + two["histograms_not_sent"] == native
    names = [series["series"] for series in told["series"]]
    assert ("sizes" in names, "sizes_count" in names) == (native, not native)
    assert told["target"]["labels"] == {
        "instance": target.address, "job": "app", "stage": "test", "tier": "test"}
