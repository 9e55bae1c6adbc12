"""test_reload: a new configuration while everything runs: when it is read, what it changes, and what it must not."""

import os
import threading

import pytest

from harness import (
    REPORT_SERIES,
    STALE,
    Agent,
    Receiver,
    Target,
    by_series,
    check_once_and_in_order,
    http_get,
    named,
    scrape_config,
    wait_for,
    write_atomically,
)

INTERVAL = "500ms"


def config(jobs, endpoints, external=None):
    """jobs: {name: target or (target, YAML)}, endpoints: {name: URL or (URL, YAML)}, both in order."""
    text = f"global: {{external_labels: {{{external}}}}}\n" if external else ""
    text += "scrape_configs:\n"
    for name, target in jobs.items():
        target, extra = target if isinstance(target, tuple) else (target, "")
        text += scrape_config(name, target.address, INTERVAL, extra)
    text += "remote_write:\n"
    for name, url in endpoints.items():
        url, extra = url if isinstance(url, tuple) else (url, "")
        text += f"- name: {name}\n  url: {url}\n  queue_config: {{min_backoff: 50ms, max_backoff: 200ms}}\n{extra}"
    return text


def counting(number):
    return f"counter_total {number}\nconstant 1\n"


def counts(receiver, job):
    return [v for labels, _, v in named(receiver.snapshot(), "counter_total") if labels["job"] == job]


def check_all_counts(receiver, job, target):
    """What the target has been asked arrives, each once."""
    last = len(target.requests) - 1
    wait_for("everything", lambda: set(range(last)) <= set(counts(receiver, job)))
    check_once_and_in_order(receiver.snapshot())


@pytest.fixture
def pair(run):
    return run(Target, counting), run(Receiver)


# ---- when ----


def test_sighup_takes_the_new_file(run, tmp_path, pair):
    target, receiver = pair
    agent = run(Agent, tmp_path, config({"one": target}, {"main": receiver.url}))
    wait_for("the first job", lambda: counts(receiver, "one"))
    hash_before = [labels for (name, labels), _ in agent.metrics().items() if name == "obsagent_config_hash_info"]
    agent.reconfigure(config({"one": target, "two": target}, {"main": receiver.url}))
    wait_for("the second job", lambda: counts(receiver, "two"))
    assert agent.total("obsagent_config_reloads_total", result="success") == 1
    assert agent.total("obsagent_config_last_reload_successful") == 1
    hash_after = [labels for (name, labels), _ in agent.metrics().items() if name == "obsagent_config_hash_info"]
    assert len(hash_after) == 1 and hash_after != hash_before


def test_reloading_by_http_must_be_enabled(run, tmp_path, pair):
    target, receiver = pair
    agent = run(Agent, tmp_path, config({"one": target}, {"main": receiver.url}))
    agent.config_path.write_text(config({"two": target}, {"main": receiver.url}))
    for method in ("POST", "PUT"):
        assert http_get(agent.url + "/-/reload", method=method)[0] == 403
    assert http_get(agent.url + "/-/reload")[0] == 405
    assert agent.total("obsagent_config_reloads_total") == 0
    assert {t["labels"]["job"] for t in agent.targets()} == {"one"}


def test_reloading_by_http(run, tmp_path, pair):
    target, receiver = pair
    agent = run(Agent, tmp_path, config({"one": target}, {"main": receiver.url}), "--web.enable-lifecycle")
    for job, method in (("two", "POST"), ("three", "PUT")):
        agent.config_path.write_text(config({job: target}, {"main": receiver.url}))
        assert http_get(agent.url + "/-/reload", method=method)[0] == 200
        wait_for(job, lambda: {t["labels"]["job"] for t in agent.targets()} == {job})
    agent.config_path.write_text("scrape_configs:\n- job_nam: x\n")
    status, body = http_get(agent.url + "/-/reload", method="POST")
    assert status == 500 and "failed to reload config" in body and "job_nam" in body
    assert {t["labels"]["job"] for t in agent.targets()} == {"three"}


@pytest.mark.sanitized
def test_a_bad_file_keeps_the_old_generation_and_says_so(run, tmp_path, pair):
    target, receiver = pair
    good = config({"one": target}, {"main": receiver.url})
    agent = run(Agent, tmp_path, good)
    shown = http_get(agent.url + "/config")[1]
    agent.reconfigure(good + "  no_such_field: 1\n- {name: main, url: 'ftp://x'}\nrule_files: [a]\n")
    assert agent.total("obsagent_config_last_reload_successful") == 0
    assert agent.total("obsagent_config_reloads_total", result="failure") == 1
    assert http_get(agent.url + "/config")[1] == shown
    assert http_get(agent.url + "/-/ready")[0] == 200
    lines = good.count("\n")
    errors = [line for line in agent.output().splitlines() if "level=error" in line]
    for line, column, word in ((lines + 1, 3, "no_such_field"), (lines + 3, 1, "rule_files")):
        assert any(f"{agent.config_path}:{line}:{column}: " in e and word in e for e in errors), errors
    assert any("the old one stays in force" in e for e in errors)
    seen = len(target.requests)
    check_all_counts(receiver, "one", target)
    wait_for("scrapes to go on", lambda: len(target.requests) > seen + 2)

    agent.config_path.unlink()
    attempts = agent.total("obsagent_config_reloads_total")
    agent.signal(1)
    wait_for("the attempt", lambda: agent.total("obsagent_config_reloads_total") == attempts + 1)
    assert agent.total("obsagent_config_last_reload_successful") == 0

    agent.reconfigure(good)
    assert agent.total("obsagent_config_last_reload_successful") == 1
    check_all_counts(receiver, "one", target)
    assert not [s for s in receiver.snapshot() if s[2] == STALE]


AUTO = ("--config.auto-reload", "--config.auto-reload-interval=200ms")


def test_auto_reload_looks_at_contents(run, tmp_path, pair):
    target, receiver = pair
    (tmp_path / "jobs").mkdir()
    part = "scrape_configs:\n" + scrape_config("part", target.address, INTERVAL)
    main = config({"one": target}, {"main": receiver.url}) + "scrape_config_files: [jobs/*.yml]\n"
    agent = run(Agent, tmp_path, main, *AUTO)
    os.utime(agent.config_path)
    jobs = lambda: {t["labels"]["job"] for t in agent.targets()}
    wait_for("a scrape", lambda: counts(receiver, "one"))
    assert agent.total("obsagent_config_reloads_total") == 0, "nothing but the time has changed"

    write_atomically(tmp_path / "jobs" / "a.yml", part)
    wait_for("a new file of the pattern", lambda: jobs() == {"one", "part"})
    write_atomically(tmp_path / "jobs" / "a.yml", part.replace("part", "other"))
    wait_for("a changed file of the pattern", lambda: jobs() == {"one", "other"})
    (tmp_path / "jobs" / "a.yml").unlink()
    wait_for("a file less", lambda: jobs() == {"one"})
    wait_for("three counted", lambda: agent.total("obsagent_config_reloads_total", result="success") == 3)

    write_atomically(agent.config_path, "scrape_configs: 7\n")
    wait_for("the failure", lambda: agent.total("obsagent_config_last_reload_successful") == 0)
    write_atomically(agent.config_path, main + "# and a comment\n")
    wait_for("success", lambda: agent.total("obsagent_config_last_reload_successful") == 1)
    assert jobs() == {"one"}


def mount(directory, version, files):
    """What a ConfigMap mount does: a new directory, then the link ..data points to it."""
    new = directory / f"..{version}"
    new.mkdir(parents=True)
    for name, text in files.items():
        (new / name).write_text(text)
    link = directory / "..data_tmp"
    link.symlink_to(new.name)
    link.rename(directory / "..data")
    for name in files:
        if not (directory / name).is_symlink():
            (directory / name).symlink_to(f"..data/{name}")


def test_auto_reload_of_a_kubernetes_mount(run, tmp_path, pair):
    target, receiver = pair
    etc = tmp_path / "etc"
    files = lambda job, zone: {
        "obsagent.yml": "scrape_configs:\n"
        f"- job_name: {job}\n  scrape_interval: {INTERVAL}\n  scrape_timeout: {INTERVAL}\n"
        "  file_sd_configs: [{files: [targets.yml]}]\n"
        f"remote_write: [{{name: main, url: '{receiver.url}'}}]\n",
        "targets.yml": f"- {{targets: ['{target.address}'], labels: {{zone: {zone}}}}}\n",
    }
    mount(etc, "v1", files("one", "a"))
    agent = run(Agent, tmp_path, None, *AUTO, f"--config.file={etc}/obsagent.yml")
    seen = lambda: {(t["labels"]["job"], t["labels"]["zone"]) for t in agent.targets()}
    wait_for("the first version", lambda: seen() == {("one", "a")})
    mount(etc, "v2", files("two", "a"))
    wait_for("the second version", lambda: seen() == {("two", "a")})
    reloads = agent.total("obsagent_config_reloads_total")
    mount(etc, "v3", files("two", "b"))
    wait_for("new targets without a reload", lambda: seen() == {("two", "b")})
    assert agent.total("obsagent_config_reloads_total") == reloads


@pytest.mark.sanitized
def test_many_reloads_at_once(run, tmp_path, pair):
    target, receiver = pair
    agent = run(
        Agent,
        tmp_path,
        config({"one": target}, {"main": receiver.url}),
        "--web.enable-lifecycle",
        "--config.auto-reload",
        "--config.auto-reload-interval=10ms",
    )
    wait_for("a scrape", lambda: counts(receiver, "one"))

    def post():
        for _ in range(10):
            http_get(agent.url + "/-/reload", method="POST")

    threads = [threading.Thread(target=post) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(20):
        jobs = {"one": target} | {f"more{i}": target for i in range(number % 3)}
        endpoints = {"main": (receiver.url, f"  remote_timeout: {number + 1}s\n")}
        write_atomically(agent.config_path, config(jobs, endpoints))
        agent.signal(1)
        http_get(agent.url + "/metrics")
    for thread in threads:
        thread.join()
    agent.reconfigure(config({"one": target}, {"main": receiver.url}))
    seen = len(counts(receiver, "one"))
    wait_for("samples", lambda: len(counts(receiver, "one")) > seen + 2)
    check_once_and_in_order(receiver.snapshot())
    assert agent.assert_balanced("main")["lost"] == 0


# ---- endpoints ----


@pytest.mark.sanitized
def test_edited_and_reordered_endpoints_lose_nothing(run, tmp_path, pair):
    target, receiver = pair
    other = run(Receiver)
    failing = run(Receiver, lambda samples, headers, number: 503)
    agent = run(Agent, tmp_path, config({"one": target}, {"a": failing.url, "b": other.url}))
    wait_for("a backlog", lambda: agent.total("obsagent_samples_buffered", endpoint="a") > 20 and counts(other, "one"))
    # the other order, and another URL for a
    agent.reconfigure(config({"one": target}, {"b": (other.url, "  remote_timeout: 7s\n"), "a": receiver.url}))
    for endpoint, at in (("a", receiver), ("b", other)):
        check_all_counts(at, "one", target)
        assert min(counts(at, "one")) == 0
        assert agent.assert_balanced(endpoint)["lost"] == 0


def test_a_renamed_endpoint_keeps_what_it_has_not_delivered(run, tmp_path, pair):
    target, receiver = pair
    failing = run(Receiver, lambda samples, headers, number: 503)
    agent = run(Agent, tmp_path, config({"one": target}, {"old": failing.url}))
    wait_for("a backlog", lambda: agent.total("obsagent_samples_buffered", endpoint="old") > 20)
    agent.reconfigure(config({"one": target}, {"new": receiver.url}))
    wait_for("samples under the new name", lambda: len(counts(receiver, "one")) > 2)
    books = agent.assert_balanced("new")
    assert books["lost"] == 0 and books["absent"] > 0, "what came before is not its business, and is told"
    first_new = min(counts(receiver, "one"))

    # the old name again, beside the new one: it still has its backlog, up to the day it was taken away
    again = run(Receiver)
    agent.reconfigure(config({"one": target}, {"new": receiver.url, "old": again.url}))
    wait_for("the backlog", lambda: set(range(int(first_new))) <= set(counts(again, "one")))
    check_once_and_in_order(again.snapshot())
    for endpoint in ("new", "old"):
        books = agent.assert_balanced(endpoint)
        assert books["lost"] == 0 and books["absent"] > 0


def test_external_labels_change_for_what_is_sent_from_then_on(run, tmp_path, pair):
    target, receiver = pair
    agent = run(Agent, tmp_path, config({"one": target}, {"main": receiver.url}, "site: a"))
    wait_for("samples", lambda: len(counts(receiver, "one")) > 2)
    agent.reconfigure(config({"one": target}, {"main": receiver.url}, "site: b"))
    wait_for("the new label", lambda: receiver.snapshot()[-1][0]["site"] == "b")
    check_all_counts(receiver, "one", target)
    sites = [labels["site"] for labels, _, _ in named(receiver.snapshot(), "counter_total")]
    assert sites == sorted(sites)


# ---- targets ----


@pytest.mark.sanitized
def test_unchanged_targets_notice_nothing(run, tmp_path, pair):
    target, receiver = pair
    more = run(Target, counting)
    endpoints = {"main": receiver.url}
    ups = lambda: [t for labels, t, _ in named(receiver.snapshot(), "up") if labels["job"] == "one"]
    agent = run(Agent, tmp_path, config({"one": target}, endpoints))
    wait_for("scrapes", lambda: len(ups()) >= 4)
    untouched = ups()
    for jobs in ({"zero": more, "one": target}, {"one": target}, {"one": target, "two": (more, "  sample_limit: 7\n")}):
        agent.reconfigure(config(jobs, endpoints))
    before = ups()
    wait_for("more scrapes", lambda: len(ups()) >= len(before) + 4)
    check_all_counts(receiver, "one", target)
    samples = [s for s in receiver.snapshot() if s[0]["job"] == "one"]
    assert not [s for s in samples if s[2] == STALE]
    assert [v for _, _, v in named(samples, "scrape_series_added")][0] == 2
    assert set(v for _, _, v in named(samples, "scrape_series_added")[1:]) == {0}
    # A busy machine may delay some scrapes, but a schedule that began anew would shift all that follow or add one.
    shifts = [(b - a + 250) % 500 - 250 for a in untouched for b in ups()[len(before) :]]
    assert min(map(abs, shifts)) < 30, "the schedule goes on as it was"
    assert len(ups()) <= (ups()[-1] - ups()[0] + 250) // 500 + 1


def test_a_removed_job_ends_with_stale_markers(run, tmp_path, pair):
    target, receiver = pair
    gone = run(Target, counting)
    agent = run(Agent, tmp_path, config({"one": target, "gone": gone}, {"main": receiver.url}))
    wait_for("samples of both", lambda: counts(receiver, "one") and counts(receiver, "gone"))
    agent.reconfigure(config({"one": target}, {"main": receiver.url}))
    names = REPORT_SERIES | {"counter_total", "constant"}
    stale = lambda job: {s[0]["__name__"] for s in receiver.snapshot() if s[0]["job"] == job and s[2] == STALE}
    wait_for("the markers", lambda: stale("gone") == names)
    for labels, points in by_series(receiver.snapshot()).items():
        if ("job", "gone") in labels:
            assert [v for _, v in points].count(STALE) == 1 and points[-1][1] == STALE
    check_once_and_in_order(receiver.snapshot())
    assert not stale("one")
    assert agent.assert_balanced("main")["lost"] == 0


def test_changed_rules_end_only_what_they_drop(run, tmp_path, pair):
    target, receiver = pair
    agent = run(Agent, tmp_path, config({"one": target}, {"main": receiver.url}))
    wait_for("samples", lambda: len(counts(receiver, "one")) > 2)
    rules = "  metric_relabel_configs: [{source_labels: [__name__], regex: constant, action: drop}]\n"
    agent.reconfigure(config({"one": (target, rules)}, {"main": receiver.url}))
    of = lambda name: [v for _, _, v in named(receiver.snapshot(), name)]
    wait_for("the end of one", lambda: of("constant")[-1] == STALE)
    seen = len(of("counter_total"))
    wait_for("the other to go on", lambda: len(of("counter_total")) > seen + 3)
    check_once_and_in_order(receiver.snapshot())
    assert of("constant").count(STALE) == 1
    # The settings of the job have changed, so its series may end a moment before they start again, but none may miss.
    values = [v for v in of("counter_total") if v != STALE]
    assert values == list(range(len(values)))
