"""test_rule_tests: obsagent test: which tests of rules pass, which fail, and what is said of those?"""

import os
import pathlib
import re
import subprocess
import xml.etree.ElementTree

import pytest

from harness import OBSAGENT, obsagent

pytestmark = pytest.mark.sanitized

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "deploy/example"
CONFIG = """global:
  external_labels: {site: s}
scrape_configs:
- job_name: app
  metrics_path: /m
  label_limit: 6
  static_configs: [{targets: ['a:1']}]
  relabel_configs:
  - {source_labels: [__meta_env], regex: test, action: drop}
  - {source_labels: [__meta_env], target_label: env}
  metric_relabel_configs:
  - {source_labels: [__name__], regex: go_.*, action: drop}
  - {source_labels: [bad], regex: yes, target_label: __name__, replacement: ""}
- {job_name: other, honor_labels: true, static_configs: [{targets: ['b:1']}]}
remote_write:
- {name: all, url: 'http://h/1'}
- {name: few, url: 'http://h/2', write_relabel_configs: [{source_labels: [env], regex: prod, action: keep}]}
- {name: one, url: 'http://h/3', routing: shard, group: g}
- {name: two, url: 'http://h/4', routing: shard, group: g}
"""
A = "{__address__: 'a:1'}"
# Tests in one line each, and those of them that pass.
PASS = [
    f"{{job: app, target: {A}, expect: {{instance: 'a:1', job: app}}}}",
    f"{{job: app, target: {A}, expect: '{{instance=\"a:1\",job=\"app\"}}'}}",
    "{job: app, target: {__address__: 'a:1', __meta_env: test}, expect: dropped}",
    "{job: app, target: {__address__: 'a:1', __meta_env: prod}, has: {env: prod, instance: 'a:1', gone: ''}}",
    "{job: app, target: {__address__: 'a:1', __meta_env: test}, series: up, expect: dropped}",
    "{job: app, series: 'up{a=\"b\"}', expect: unchanged}",
    "{job: app, series: go_gc, expect: dropped}",
    "{job: app, series: [go_gc, m, m], expect: [dropped, kept, unchanged]}",
    "{job: app, series: [go_gc, go_a], expect: dropped}",
    f"{{job: app, target: {A}, series: 'm{{job=\"x\"}}', "
    "expect: 'm{exported_job=\"x\",instance=\"a:1\",job=\"app\"}'}",
    f"{{job: other, target: {A}, series: 'm{{job=\"x\"}}', expect: 'm{{instance=\"a:1\",job=\"x\"}}'}}",
    "{job: app, remote: all, series: m, expect: 'm{site=\"s\"}'}",
    "{remote: all, series: 'm{site=\"own\"}', expect: unchanged}",
    "{remote: few, series: ['m{env=\"prod\"}', 'm{env=\"x\"}', m], expect: [kept, dropped, dropped]}",
    "{job: app, remote: few, target: {__address__: 'a:1', __meta_env: prod}, series: up, has: {site: s, env: prod}}",
    "{rules: [{regex: a, action: labeldrop}], series: 'm{a=\"1\",b=\"2\"}', expect: 'm{b=\"2\"}'}",
    "{rules: [{regex: __.*, action: labeldrop}], target: {__address__: x, a: b}, expect: {a: b}}",
    "{series: 'file', expect: 'file{of=\"file\"}'}",
    "{series: '{__name__=\"dropped\"}', has: {of: file}}",
    "{rules: [], series: 'file', expect: unchanged}",
]
FILE_RULES = "rules: [{target_label: of, replacement: file}]\n"
# What fails, and what is said then.
FAIL = {
    f"{{job: app, target: {A}, expect: {{instance: 'a:2', job: app, x: y}}}}":
        '  given:    {__address__="a:1"}\n  expected: {instance="a:2",job="app",x="y"}\n'
        '  got:      {instance="a:1",job="app"}\n    - instance="a:2"\n    + instance="a:1"\n    - x="y"\n'
        "  relabel_configs:\n    rule 1 (line 9): ",
    f"{{job: app, target: {A}, expect: dropped}}": "  expected: (dropped)\n  got:      {instance=",
    "{job: app, series: go_gc, expect: kept}":
        "  expected: (kept)\n  got:      (the series is dropped)\n  metric_relabel_configs:\n    rule 1 (line 12): "
        'action=drop source_labels=["__name__"] regex="go_.*"\n      -> dropped here\n',
    "{job: app, target: {__address__: 'a:1', __meta_env: test}, series: up, expect: kept}": "(the target is dropped)",
    "{job: app, target: {__address__: 'a/1'}, expect: dropped}":
        'got:      (no target: "a/1" is not a valid hostname)',
    "{job: app, series: 'm{bad=\"yes\"}', expect: dropped}": "got:      (the scrape fails: missing metric name",
    "{job: app, series: 'm{a=\"1\",b=\"1\",c=\"1\",d=\"1\",e=\"1\",f=\"1\"}', expect: kept}":
        "got:      (the scrape fails: label_limit exceeded",
    "{job: app, series: [go_gc, m], expect: [dropped, dropped]}":
        "  given:    m\n  expected: (dropped)\n  got:      m\n",
    "{series: m, expect: unchanged}": '  expected: m\n  got:      m{of="file"}\n    + of="file"\n  rules:\n',
    "{series: m, has: {of: '', x: y}}": '  got:      m{of="file"}\n  has not:\n    + of="file"\n    - x="y"\n',
    "{remote: few, series: m, expect: kept}": "(the endpoint's rules drop it)",
}


def run(tmp_path, text, *flags):
    (tmp_path / "c.yml").write_text(CONFIG)
    (tmp_path / "t.yml").write_text(text)
    return obsagent("test", *flags, "t.yml", cwd=tmp_path)


def file(tests):
    return f"config: c.yml\n{FILE_RULES}tests:\n" + "".join(f"- {test}\n" for test in tests)


def test_what_passes(tmp_path):
    code, out, err = run(tmp_path, file(PASS))
    assert (code, out, err) == (0, f"t.yml: {len(PASS)} tests, 0 failed\n", "")


def test_what_fails_and_why(tmp_path):
    code, out, err = run(tmp_path, file(FAIL))
    assert (code, err) == (1, "")
    told = re.split(r"^t.yml:(\d+): line (\d+): FAILED\n", out, flags=re.M)
    assert told[0] == "" and told[1::3] == told[2::3] == [str(4 + n) for n in range(len(FAIL))]
    for (test, said), text in zip(FAIL.items(), told[3::3]):
        assert said in text, f"{test}\n{text}"
    assert out.endswith(f"t.yml: {len(FAIL)} tests, {len(FAIL)} failed\n")


def test_one_member_of_a_group_is_sent_a_series(tmp_path):
    tests = [f"{{remote: {name}, series: m, expect: kept}}" for name in ("one", "two")]
    code, out, _ = run(tmp_path, file(tests), "--verbose")
    assert (code, out.count(": ok\n"), out.count("(others of the endpoint's group are sent it)")) == (1, 1, 1)


@pytest.mark.parametrize("text, errors", [
    ("tests: []", ["1:1: no tests"]),
    ("", ["1:1: no tests"]),
    ("tests:\n- {series: m}", ["2:3: a test needs expect, has, or both"]),
    ("tests:\n- {expect: kept}", ["2:3: a test needs series, a target, or both"]),
    ("tests:\n- {series: m, expct: kept}", ["2:3: a test needs expect, has, or both",
                                           '2:15: field expct not found in rule_test, did you mean "expect"?']),
    ("tests:\n- {series: 'm{', expect: 'x{a}'}",
     ["2:12: series: \"m{\": column 3: ", "2:26: expect: \"x{a}\" is neither "]),
    ("tests:\n- {series: [m, n], expect: [kept, kept, kept]}", ["2:28: 3 outcomes are expected of 2 series"]),
    ("tests:\n- {job: app, series: m, expect: kept}", ["2:3: job and remote need a config"]),
    ("config: c.yml\ntests:\n- {job: ap, remote: x, series: m, expect: kept}",
     ['3:9: no job "ap" in ', '3:21: no remote_write "x" in ']),
    ("config: none.yml\ntests:\n- {job: ap, series: m, expect: kept}", ["none.yml:1:1: cannot open"]),
    ("tests:\n- {target: {a: b}, series: m, expect: kept}", ["2:12: a target gives its labels to series by "]),
    ("tests:\n- {rules: [{action: nope}], series: m, expect: kept}", ["2:21: unknown relabel action"]),
])
def test_files_that_are_wrong(tmp_path, text, errors):
    code, out, err = run(tmp_path, text)
    lines = err.splitlines()
    assert (code, out, len(lines)) == (1, "", len(errors)), err
    for line, want in zip(lines, errors):
        assert want in line


def test_results_for_a_ci(tmp_path):
    tests = ["{name: 'good & <well>', series: m, has: {of: file}}", "{name: bad, series: m, expect: dropped}"]
    code, out, _ = run(tmp_path, file(tests), "--junit")
    suite = xml.etree.ElementTree.fromstring(out).find("testsuite")
    assert (code, suite.get("name"), suite.get("tests"), suite.get("failures")) == (1, "t.yml", "2", "1")
    good, bad = suite.findall("testcase")
    assert good.get("name") == "good & <well>" and good.find("failure") is None
    assert "expected: (dropped)" in bad.find("failure").text
    code, out, err = run(tmp_path, "tests: []", "--junit")
    failure = xml.etree.ElementTree.fromstring(out).find(".//failure")
    assert code == 1 and "no tests" in failure.text and "no tests" in err


def test_the_example():
    code, out, err = obsagent("test", EXAMPLE / "obsagent_test.yml")
    assert (code, err) == (0, "") and out.endswith(": 8 tests, 0 failed\n")
    assert obsagent("check", EXAMPLE / "obsagent.yml")[0] == 0


def test_the_lines_of_the_readme_work(tmp_path):
    root = EXAMPLE.parents[1]
    section = (root / "README.md").read_text().split("\n## Testing rules\n", 1)[1].split("\n## ", 1)[0]
    lines = re.search(r"```sh\n(.*?)```", section, re.S)[1]
    (tmp_path / "obsagent").symlink_to(pathlib.Path(OBSAGENT).resolve())
    env = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-e", "-c", lines], cwd=root, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    for said in ("8 tests, 0 failed", "= (dropped)", 'to on-call: node_load1{cluster="east",host="db-1",'):
        assert said in done.stdout


def test_usage(tmp_path):
    assert obsagent("test")[::2] == (2, "test needs a file of tests (obsagent test --help)\n")
    both = obsagent("test", EXAMPLE / "obsagent_test.yml", tmp_path / "none.yml")
    assert both[0] == 1 and "8 tests" in both[1] and "none.yml:1:1: cannot open" in both[2]
