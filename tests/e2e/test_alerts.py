"""test_alerts: deploy/alerts.yml: well-formed, each alert firing when it must and silent when it must, and the agent's
own metrics making a real Prometheus fire them."""

import json
import pathlib
import re
import subprocess

import harness
from harness import Agent, Process, Receiver, Target, free_port, http_get, peer, remote_write, scrape_config, wait_for
from test_clock import FAKETIME, FakedAgent

RULES = pathlib.Path(harness.ROOT) / "deploy" / "alerts.yml"


def promtool(*argv):
    result = subprocess.run([peer("usr/bin/promtool"), *map(str, argv)], capture_output=True, text=True, timeout=120,
                            env=harness.peer_env())
    assert result.returncode == 0, result.stdout + result.stderr


def test_lint():
    promtool("check", "rules", RULES)


# ---- by made-up series ----

LOST = 'obsagent_samples_lost_total{instance="a",endpoint="e",exported_job="j",reason="%s"}'
STATE = 'obsagent_remote_state{instance="a",endpoint="e",state="%s"}'

# alert: (series and their values, one a minute; minutes at which it fires; minutes at which it does not)
CASES = {
    **{
        alert: ({LOST % reason: "_x20 7x60"}, [21, 34], [19, 36])
        for alert, reason in {
            "ObsagentBufferOverflow": "overflow", "ObsagentSamplesTooOld": "too_old",
            "ObsagentSamplesRejected": "rejected", "ObsagentSeriesTooLarge": "too_large",
            "ObsagentBufferCorrupt": "corrupt", "ObsagentSeriesSetAside": "dead",
            "ObsagentLostWithoutDisk": "disk", "ObsagentHistogramsNotSent": "not_sent",
        }.items()
    },
    "ObsagentCredentialsRefused": ({STATE % "auth_failing": "0x9 1x9 0x9"}, [13, 18], [9, 11, 21]),
    "ObsagentUrlWrong": ({STATE % "wrong_url": "0x9 1x9 0x9"}, [13, 18], [9, 11, 21]),
    "ObsagentEndpointFailing": ({STATE % "retrying": "0x9 1x30 0x9"}, [26, 39], [20, 42]),
    "ObsagentDeliveryLate": (
        {'obsagent_remote_highest_timestamp_seconds{instance="a",endpoint="e"}': "0+60x10 600x60",
         'obsagent_samples_buffered{instance="a",endpoint="e"}': "0x10 5x40 0x20"}, [32, 49], [29, 52]),
    "ObsagentSamplesNotWritten": (
        {'obsagent_remote_unwritten_samples_total{instance="a",endpoint="e"}': "0x10 3x40"}, [12, 24], [9, 28]),
    "ObsagentBufferFills": (
        {'obsagent_queue_disk_bytes{instance="a"}': "10x10 90x20 10x9",
         'obsagent_queue_disk_max_bytes{instance="a"}': "100x60"}, [17, 30], [13, 33]),
    "ObsagentBufferFullSoon": (
        {'obsagent_queue_disk_bytes{instance="a"}': "100x40 100+10x60 700x60",
         'obsagent_queue_disk_max_bytes{instance="a"}': "2000x200"}, [90], [40, 160]),
    "ObsagentBacklogOld": (
        {'obsagent_queue_oldest_age_seconds{instance="a",endpoint="e"}': "0x5 3000x9 4000x20 0x9"},
        [22, 34], [17, 38]),
    "ObsagentDiskFails": ({'obsagent_queue_disk_ok{instance="a"}': "1x9 0x9 1x9"}, [12, 18], [10, 21]),
    "ObsagentSamplesHeld": ({'obsagent_samples_held{instance="a"}': "0x9 4x20 0x9"}, [16, 29], [12, 32]),
    "ObsagentDown": (
        {'up{instance="a",job="x"}': "1x20 0x9 1x9", 'obsagent_build_info{instance="a",job="x"}': "1x20 _x20",
         'up{instance="b",job="x"}': "0x60"}, [27], [19, 24, 33]),
    "ObsagentRestarts": ({'obsagent_start_time_seconds{instance="a"}': "1x9 2 3 4 5x60"}, [14, 60], [10, 75]),
    "ObsagentReloadFailed": (
        {'obsagent_config_last_reload_successful{instance="a"}': "1x9 0x20 1x9"}, [16, 29], [12, 32]),
    "ObsagentTargetsDown": (
        {'obsagent_job_targets{instance="a",exported_job="j",state="down"}': "0x9 2x20 0x9"}, [21, 29], [15, 32]),
    "ObsagentDiscoveryFails": (
        {'obsagent_discovery_up{instance="a",exported_job="j",kind="k",number="0"}': "1x9 0x20 1x9"}, [21, 29],
        [15, 32]),
    "ObsagentScrapesSkipped": ({'obsagent_scrapes_skipped_total{instance="a"}': "0x9 0+1x30 30x30"}, [25], [15, 60]),
    "ObsagentSeriesLimited": (
        {'obsagent_series_limited{instance="a",exported_job="j",label="id"}': "0x9 5x20 0x9"}, [21, 29], [15, 32]),
    "ObsagentClockWrong": (
        {'obsagent_clock_skew_seconds{instance="a",endpoint="e"}': "-20x9 -40x20 1x9"}, [21, 29], [15, 32]),
}


def test_every_alert_has_cases():
    assert set(re.findall(r"alert: (\w+)", RULES.read_text())) == set(CASES)


def test_when_they_fire(tmp_path):
    groups = []
    for alert, (series, fires, silent) in CASES.items():
        expressions = [
            {"expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
             "eval_time": f"{minute}m", "exp_samples": [{"labels": "{}", "value": value}]}
            for value, minutes in ((1, fires), (0, silent)) for minute in minutes
        ]
        groups.append({"interval": "1m", "name": alert, "promql_expr_test": expressions,
                       "input_series": [{"series": name, "values": values} for name, values in series.items()]})
    tests = tmp_path / "tests.yml"  # JSON is YAML
    tests.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": groups}))
    promtool("test", "rules", tests)


# ---- by real agents ----


def quick_rules(path):
    """The same rules with short patience: what is under test here is that the metrics are there and mean it."""
    text = RULES.read_text()
    text = re.sub(r"for: \w+", "for: 0s", text)
    text = re.sub(r"offset 15m", "offset 20s", text)
    text = re.sub(r"\[(15m|10m|1h)\]", "[20s]", text)
    text = text.replace("> 3600", "> 3").replace("> 600 and", "> 5 and").replace("changes(", "0 * changes(")
    path.write_text(text)
    return path


def refuses(status, condition=lambda labels: True):
    def answer(samples, headers, number):
        return status if any(condition(labels) for labels, _, _ in samples) else 204

    return answer


class Bed:
    """Agents by name, and what each must make fire."""

    def __init__(self, run, directory):
        self.run, self.directory, self.expected, self.ports = run, directory, {}, {}
        body = "".join(f'm{{id="{i}"}} {i}\n' for i in range(5))
        self.target = run(Target, body)

    def agent(self, name, alerts, answer=None, remote="", job="", flags=(), url=None, kind=Agent, extra=(), body=None):
        directory = self.directory / name
        directory.mkdir()
        target = self.run(Target, body) if body else self.target
        url = url or self.run(Receiver, answer).url
        backoff = "min_backoff: 1ms, max_backoff: 2ms" if name == "dead" else "min_backoff: 100ms, max_backoff: 1s"
        config = "global: {scrape_interval: 1s, scrape_timeout: 1s}\n" + remote_write(url, "main", remote)
        config = config.replace("min_backoff: 100ms, max_backoff: 1s", backoff)
        config += "scrape_configs:\n" + scrape_config("app", target.address, extra=job)
        agent = self.run(kind, directory, config, *flags, *extra)
        self.expected[name] = set(alerts)
        self.ports[name] = agent.port
        return agent


def dead_url():
    return f"http://127.0.0.1:{free_port()}/api/v1/write"


BUCKETS = '# TYPE h histogram\nh_bucket{le="1"} 1\nh_bucket{le="+Inf"} 2\nh_sum 2\nh_count 2\n'


def start_agents(bed):
    one = lambda labels: labels.get("id") == "3"
    quick = "  metadata_config: {send: false}\n"
    bed.agent("healthy", [])
    bed.agent("rejected", ["ObsagentSamplesRejected"], refuses(400, one))
    bed.agent("auth", ["ObsagentCredentialsRefused"], refuses(401))
    bed.agent("url", ["ObsagentUrlWrong"], refuses(404))
    bed.agent("too_large", ["ObsagentSeriesTooLarge"], refuses(413, one))
    bed.agent("overflow", ["ObsagentBufferOverflow", "ObsagentEndpointFailing"], url=dead_url(),
              remote=quick + "  max_bytes: 1B\n")
    full = ["ObsagentBufferFills", "ObsagentBufferOverflow", "ObsagentEndpointFailing"]
    bed.agent("full", full, url=dead_url(), flags=("--storage.max-bytes=4KB",))
    bed.agent("too_old", ["ObsagentSamplesTooOld", "ObsagentEndpointFailing"], url=dead_url(),
              remote=quick + "  max_age: 1s\n")
    bed.agent("old", ["ObsagentBacklogOld", "ObsagentEndpointFailing"], url=dead_url())
    bed.agent("disk", ["ObsagentDiskFails"], flags=("--storage.path=/dev/null/nowhere",))
    convert = "  convert_classic_histograms_to_nhcb: true\n"
    bed.agent("not_sent", ["ObsagentHistogramsNotSent"], job=convert, body=BUCKETS)
    bed.agent("limited", ["ObsagentSeriesLimited"], job="  series_limit: 2\n")
    bed.agent("dead", ["ObsagentSeriesSetAside"], refuses(500, one))
    bed.agent("down", ["ObsagentTargetsDown"], job=f"  proxy_url: http://127.0.0.1:{free_port()}\n")
    bed.agent("discovery", ["ObsagentDiscoveryFails"],
              job=f"  http_sd_configs: [{{url: http://127.0.0.1:{free_port()}/}}]\n")
    late = bed.run(Receiver)
    late.clock_ahead = 100
    bed.agent("clock", ["ObsagentClockWrong"], url=late.url)
    reload = bed.agent("reload", ["ObsagentReloadFailed"])
    reload.reconfigure("scrape_configs: 7\n")
    if FAKETIME:
        as_wrong = bed.run(Receiver)
        as_wrong.clock_ahead = -50 * 365 * 86400
        alerts = ["ObsagentSamplesHeld", "ObsagentClockWrong"]
        bed.agent("held", alerts, url=as_wrong.url, kind=FakedAgent, extra=("-50y",))
    return bed.agent("gone", ["ObsagentDown"])


def start_corrupt(bed):
    """A backlog, then a flipped byte in it, then the receiver."""
    port, directory = free_port(), bed.directory
    url = f"http://127.0.0.1:{port}/api/v1/write"
    config = remote_write(url) + "scrape_configs:\n" + scrape_config("app", bed.target.address)
    first = bed.run(Agent, directory, config, name="corrupt")
    wait_for("a segment", lambda: [p for p in first.storage.glob("seg-*") if p.stat().st_size > 400])
    first.stop()
    segment = sorted(first.storage.glob("seg-*"))[0]
    data = bytearray(segment.read_bytes())
    data[-20] ^= 0x40
    segment.write_bytes(data)
    bed.run(Receiver, None, port)
    bed.ports["corrupt"] = bed.run(Agent, directory, config, name="corrupt").port
    bed.expected["corrupt"] = {"ObsagentBufferCorrupt"}


def firing(port):
    status, body = http_get(f"http://127.0.0.1:{port}/api/v1/alerts")
    alerts = json.loads(body)["data"]["alerts"] if status == 200 else []
    found = {}
    for alert in alerts:
        if alert["state"] == "firing":
            found.setdefault(alert["labels"]["instance"], set()).add(alert["labels"]["alertname"])
    return found


# What such an agent may fire besides, sooner or later, because it is behind.
BESIDE = {"ObsagentDeliveryLate", "ObsagentBacklogOld", "ObsagentBufferFullSoon", "ObsagentScrapesSkipped"}


def test_real_agents_make_them_fire(run, tmp_path):
    bed = Bed(run, tmp_path)
    gone = start_agents(bed)
    start_corrupt(bed)
    port = free_port()
    quick_rules(tmp_path / "rules.yml")
    line = "  - targets: ['127.0.0.1:{0}']\n    labels: {{instance: {1}}}\n"
    jobs = "".join(line.format(agent_port, name) for name, agent_port in bed.ports.items())
    (tmp_path / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
        f"scrape_configs:\n- job_name: obsagent\n  static_configs:\n{jobs}"
    )
    argv = [peer("usr/bin/prometheus"), f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{port}",
            "--query.lookback-delta=5s"]
    run(Process, argv, tmp_path / "prometheus.log", env=harness.peer_env())
    wait_for("prometheus", lambda: harness.can_connect(port))
    seen = {}

    def all_seen():
        for name, alerts in firing(port).items():
            seen.setdefault(name, set()).update(alerts)
        return all(alerts <= seen.get(name, set()) for name, alerts in bed.expected.items() if name != "gone")

    try:
        wait_for("the alerts", all_seen, timeout=60, interval=0.5)
    except AssertionError:
        missing = {n: a - seen.get(n, set()) for n, a in bed.expected.items() if a - seen.get(n, set())}
        raise AssertionError(f"not fired: {missing}")
    gone.kill9()
    wait_for("the one that is gone", lambda: "ObsagentDown" in firing(port).get("gone", set()), timeout=60)
    for name, alerts in seen.items():
        more = alerts - bed.expected[name] - (BESIDE if name != "healthy" else set())
        assert not more, f"{name} fired {more}"
