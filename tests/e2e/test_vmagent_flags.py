"""test_vmagent_flags: the container spec of vmagent with the image swapped: its flags do here what they do there."""

import os
import random

import pytest

from harness import (
    Agent,
    Receiver,
    Sink,
    Target,
    free_port,
    http_get,
    named,
    obsagent,
    scrape_config,
    wait_for,
)

BODY = 'm{a="1"} 1\nm{a="2"} 2\ndrop_all 3\ndrop_second 4\n'


def scrape_file(directory, target, extra=""):
    path = directory / "scrape.yml"
    path.write_text("scrape_configs:\n" + scrape_config("app", target.address, "500ms") + extra)
    return path


def start(run, directory, *argv, env=None):
    """The agent with nothing but these flags and an address of its own."""
    port = free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("remoteWrite")} | (env or {})
    argv = [*argv, f"-httpListenAddr=127.0.0.1:{port}", f"-remoteWrite.tmpDataPath={directory}/tmp-data"]
    return run(Agent, directory, None, argv=argv, port=port, env=environment)


def authorizations(receiver):
    return {r.headers.get("Authorization") for r in receiver.requests}


@pytest.mark.sanitized
def test_the_container_spec(run, tmp_path):
    target = run(Target, BODY)
    first, second = run(Sink, tmp_path, "secret-1", None, "one"), run(Sink, tmp_path, "secret-2,", None, "two")
    (tmp_path / "all.yml").write_text("- {source_labels: [__name__], regex: drop_all, action: drop}\n")
    (tmp_path / "second.yml").write_text(
        "- {source_labels: [__name__], regex: drop_second, action: drop}\n- {target_label: env, replacement: by rule}\n"
        "- {if: '{a=\"2\"}', target_label: two, replacement: 'yes'}\n"
    )
    (tmp_path / "token2").write_text("secret-2,\n")
    agent = start(
        run,
        tmp_path,
        f"-promscrape.config={scrape_file(tmp_path, target)}",
        f"-remoteWrite.url={first.url}",
        f"-remoteWrite.url={second.url}",
        "-remoteWrite.bearerToken=secret-1",
        "-remoteWrite.bearerToken=",
        "-remoteWrite.bearerTokenFile=",
        f"-remoteWrite.bearerTokenFile={tmp_path}/token2",
        "-remoteWrite.maxDiskUsagePerURL=1GB,0",
        "-remoteWrite.label=env=prod",
        "-remoteWrite.label=price=$1",
        f"-remoteWrite.relabelConfig={tmp_path}/all.yml",
        f"-remoteWrite.urlRelabelConfig=,{tmp_path}/second.yml",
        "-remoteWrite.forcePromProto=true",
        "-loggerLevel=INFO",
    )
    names = lambda sink: {labels["__name__"] for labels, _, _ in sink.samples()}
    wait_for("both", lambda: {"m", "up"} <= names(first) and {"m", "up"} <= names(second))
    assert "drop_all" not in names(first) | names(second)
    assert "drop_second" in names(first) and "drop_second" not in names(second)
    for sink in (first, second):
        assert all(labels["env"] == "prod" and labels["price"] == "$1" for labels, _, _ in sink.samples())
    assert {labels.get("two") for labels, _, _ in named(second.samples(), "m")} == {None, "yes"}
    assert "two" not in first.samples()[0][0]
    assert (tmp_path / "tmp-data").is_dir()
    shown = http_get(agent.url + "/config")[1]
    assert "secret-" not in shown + agent.output() and "max_bytes" in shown
    for name, labels in agent.metrics():
        if name == "obsagent_samples_buffered":
            agent.assert_balanced(dict(labels)["endpoint"])


def test_one_token_for_all_urls_and_urls_in_one_flag(run, tmp_path):
    target, receivers = run(Target, BODY), [run(Receiver), run(Receiver)]
    start(
        run,
        tmp_path,
        f"-promscrape.config={scrape_file(tmp_path, target)}",
        "-remoteWrite.url=" + ",".join(receiver.url for receiver in receivers),
        "-remoteWrite.bearerToken=shared",
    )
    wait_for("both", lambda: all(receiver.accepted for receiver in receivers))
    assert [authorizations(receiver) for receiver in receivers] == [{"Bearer shared"}] * 2


def test_bearer_token_file_is_read_again(run, tmp_path):
    token = tmp_path / "token"
    token.write_text("old")
    right = "Bearer old"
    target = run(Target, BODY)
    receiver = run(Receiver, lambda samples, headers, number: 204 if headers["Authorization"] == right else 401)
    agent = start(
        run,
        tmp_path,
        f"-promscrape.config={scrape_file(tmp_path, target)}",
        f"-remoteWrite.url={receiver.url}",
        f"-remoteWrite.bearerTokenFile={token}",
    )
    wait_for("samples", lambda: receiver.accepted)
    right = "Bearer new"
    wait_for("the hold", lambda: agent.total("obsagent_remote_state", state="auth_failing") == 1)
    token.write_text("new")
    seen = len(receiver.accepted)
    wait_for("more samples", lambda: len(receiver.accepted) > seen)
    assert agent.total("obsagent_samples_lost_total") == 0


def test_max_disk_usage_per_url_is_kept_and_what_it_costs_is_told(run, tmp_path):
    target = run(Target, lambda number: "".join(f'm{{i="{i}"}} {random.random()}\n' for i in range(6000)))
    dead = f"http://127.0.0.1:{free_port()}/"
    agent = start(
        run,
        tmp_path,
        f"-promscrape.config={scrape_file(tmp_path, target)}",
        f"-remoteWrite.url={dead}",
        "-remoteWrite.maxDiskUsagePerURL=400000",
    )
    held = []

    def overflown():
        held.append(agent.total("obsagent_queue_bytes"))
        return agent.total("obsagent_samples_lost_total", reason="overflow") > 0

    wait_for("an overflow", overflown, timeout=40)
    assert max(held) > 200000
    looks = []  # a block that has just come may stand above it for a moment
    wait_for("more looks", lambda: looks.append(agent.total("obsagent_queue_bytes")) or len(looks) >= 15)
    assert sorted(looks)[len(looks) // 2] <= 400000
    (endpoint,) = {dict(labels)["endpoint"] for name, labels in agent.metrics() if name == "obsagent_queue_bytes"}
    agent.assert_balanced(endpoint)


def test_flags_from_the_environment(run, tmp_path):
    target, receiver = run(Target, BODY), run(Receiver)
    other = run(Receiver)
    env = {
        "promscrape_config": str(scrape_file(tmp_path, target)),
        "remoteWrite_url": receiver.url,
        "remoteWrite_bearerToken": "from-env",
        "remoteWrite_label": "a=b,c=d",
        "loggerLevel": "ERROR",
    }
    agent = start(run, tmp_path, "-envflag.enable", env=env)
    wait_for("samples", lambda: receiver.accepted)
    assert authorizations(receiver) == {"Bearer from-env"}
    labels = receiver.accepted[0][0]
    assert (labels["a"], labels["c"]) == ("b", "d")
    assert "level=info" not in agent.output() and "level=warn" not in agent.output()
    agent.stop()

    # the command line wins; with a prefix, names without it mean nothing; without -envflag.enable all of it is unread
    prefixed = {f"VM_{name}": value for name, value in env.items()} | {"remoteWrite_label": "x=y"}
    flags = ("-envflag.enable=true", "-envflag.prefix=VM_", f"-remoteWrite.url={other.url}")
    start(run, tmp_path, *flags, env=prefixed)
    wait_for("samples", lambda: other.accepted)
    labels = other.accepted[0][0]
    assert labels["a"] == "b" and "x" not in labels
    code, _, err = obsagent("run", env=dict(os.environ, **env))
    assert code == 2 and "--config.file" in err


def test_environment_variables_in_the_scrape_configuration(run, tmp_path):
    target, receiver = run(Target, BODY), run(Receiver)
    extra = "global: {external_labels: {pod: '%{POD_NAME}', dollars: '${POD_NAME}-$$x'}}\n"
    start(
        run,
        tmp_path,
        f"-promscrape.config={scrape_file(tmp_path, target, extra)}",
        f"-remoteWrite.url={receiver.url}",
        env={"POD_NAME": "pod-7"},
    )
    wait_for("samples", lambda: receiver.accepted)
    labels = receiver.accepted[0][0]
    assert (labels["pod"], labels["dollars"]) == ("pod-7", "pod-7-$x")


@pytest.mark.sanitized
def test_dry_run(run, tmp_path):
    target = run(Target, BODY)
    flags = ("-dryRun", f"-remoteWrite.tmpDataPath={tmp_path}/data", "-httpListenAddr=127.0.0.1:1")
    good = scrape_file(tmp_path, target)
    url = "-remoteWrite.url=http://127.0.0.1:1/"
    assert obsagent(f"-promscrape.config={good}", url, *flags)[0] == 0
    bad = tmp_path / "bad.yml"
    bad.write_text("scrape_configs:\n- job_nam: x\n")
    code, _, err = obsagent(f"-promscrape.config={bad}", url, *flags)
    assert code == 1 and f"{bad}:2:3: " in err
    rules = tmp_path / "rules.yml"
    rules.write_text("- {action: nope}\n")
    for flag in ("relabelConfig", "urlRelabelConfig"):
        code, _, err = obsagent(f"-promscrape.config={good}", url, f"-remoteWrite.{flag}={rules}", *flags)
        assert code == 1 and f"{rules}:1:" in err and "nope" in err
    for broken in ("-remoteWrite.url=nowhere", "-remoteWrite.maxDiskUsagePerURL=much", "-remoteWrite.label=novalue"):
        code, _, err = obsagent(f"-promscrape.config={good}", url, broken, *flags)
        assert code in (1, 2) and err, broken
    assert not (tmp_path / "data").exists() and target.requests == []
