"""test_main_job: node exporter and agent -> nginx that checks the token -> VictoriaMetrics, beside vmagent."""

import json
import textwrap
import urllib.parse

import pytest

import harness
from harness import Agent, Process, free_port, http_get, peer, peer_env, wait_for

TOKEN = "s3cret-token"

# What vmagent writes besides what Prometheus writes, and the other way round.
VMAGENT_ONLY = {
    "scrape_response_size_bytes",
    "scrape_timeout_seconds",
    "scrape_series_current",
    "scrape_series_limit",
    "scrape_samples_limit",
}
# Values that differ from one scrape to the next by nature; their series are compared, their values are not.
VOLATILE = ("scrape_duration_seconds", "scrape_series_added", "up")


@pytest.fixture
def stack(run, tmp_path):
    """nginx in front of VictoriaMetrics, and a node exporter."""

    class Stack:
        pass

    s = Stack()
    s.vm_port, s.nginx_port, s.node_port = free_port(), free_port(), free_port()
    run(
        Process,
        [
            peer("usr/bin/victoria-metrics"),
            f"-storageDataPath={tmp_path}/vm",
            f"-httpListenAddr=127.0.0.1:{s.vm_port}",
            "-retentionPeriod=1",
            "-search.latencyOffset=0s",
            "-memory.allowedBytes=128MB",
        ],
        tmp_path / "vm.log",
    )
    s.token = tmp_path / "token"
    nginx_conf = tmp_path / "nginx.conf"
    nginx_conf.write_text(textwrap.dedent(f"""
        daemon off; master_process off; worker_processes 1;
        pid {tmp_path}/nginx.pid; error_log {tmp_path}/nginx-error.log;
        events {{ worker_connections 256; }}
        http {{
          access_log {tmp_path}/nginx-access.log;
          client_body_temp_path {tmp_path}/ngx1; proxy_temp_path {tmp_path}/ngx2; fastcgi_temp_path {tmp_path}/ngx3;
          uwsgi_temp_path {tmp_path}/ngx4; scgi_temp_path {tmp_path}/ngx5; client_max_body_size 32m;
          map $http_authorization $allowed {{ default 0; "Bearer {TOKEN}" 1; }}
          server {{
            listen 127.0.0.1:{s.nginx_port};
            location /api/v1/write {{
              if ($allowed = 0) {{ return 401; }}
              proxy_pass http://127.0.0.1:{s.vm_port};
            }}
          }}
        }}
        """))
    run(Process, [peer("usr/sbin/nginx"), "-p", tmp_path, "-c", nginx_conf], tmp_path / "nginx.log", env=peer_env())
    run(
        Process,
        [peer("usr/bin/prometheus-node-exporter"), f"--web.listen-address=127.0.0.1:{s.node_port}"],
        tmp_path / "node.log",
    )
    s.write_url = f"http://127.0.0.1:{s.nginx_port}/api/v1/write"
    for port in (s.vm_port, s.nginx_port, s.node_port):
        wait_for(f"port {port}", lambda p=port: harness.can_connect(p))
    return s


def vm_series(stack, selector):
    """{labels without agent: [values]} of everything stored that matches."""
    http_get(f"http://127.0.0.1:{stack.vm_port}/internal/force_flush")
    query = urllib.parse.quote(selector)
    status, body = http_get(f"http://127.0.0.1:{stack.vm_port}/api/v1/export?match[]={query}")
    assert status == 200, body
    out = {}
    for line in body.splitlines():
        entry = json.loads(line)
        labels = {k: v for k, v in entry["metric"].items() if k != "agent"}
        out[frozenset(labels.items())] = entry["values"]
    return out


def config(stack, port, agent, interval="2s"):
    return f"""
global:
  scrape_interval: {interval}
  scrape_timeout: {interval}
  external_labels: {{agent: {agent}}}
scrape_configs:
- job_name: node
  static_configs:
  - targets: ['127.0.0.1:{stack.node_port}']
    labels: {{zone: a}}
- job_name: obsagent
  static_configs:
  - targets: ['127.0.0.1:{port}']
remote_write:
- name: main
  url: {stack.write_url}
  authorization: {{credentials_file: {stack.token}}}
  queue_config: {{max_backoff: 1s}}
"""


def start_vmagent(run, stack, tmp_path):
    scrape = tmp_path / "vmagent.yml"
    scrape.write_text(f"""
global:
  scrape_interval: 2s
  scrape_timeout: 2s
  external_labels: {{agent: vmagent}}
scrape_configs:
- job_name: node
  honor_timestamps: true
  static_configs:
  - targets: ['127.0.0.1:{stack.node_port}']
    labels: {{zone: a}}
""")
    return run(
        Process,
        [
            peer("usr/bin/vmagent"),
            f"-promscrape.config={scrape}",
            f"-remoteWrite.url={stack.write_url}",
            f"-remoteWrite.bearerToken={TOKEN}",
            f"-remoteWrite.tmpDataPath={tmp_path}/vmagent-data",
            f"-httpListenAddr=127.0.0.1:{free_port()}",
        ],
        tmp_path / "vmagent.log",
    )


def test_the_same_series_as_vmagent(run, stack, tmp_path):
    stack.token.write_text(TOKEN + "\n")
    port = free_port()
    run(Agent, tmp_path, config(stack, port, "obsagent"), port=port)
    start_vmagent(run, stack, tmp_path)

    def both():
        ours = vm_series(stack, '{agent="obsagent",job="node"}')
        theirs = vm_series(stack, '{agent="vmagent",job="node"}')
        return ours and theirs and max(map(len, ours.values())) >= 3 and max(map(len, theirs.values())) >= 3

    wait_for("three scrapes of both agents", both, timeout=60, interval=0.5)
    ours = vm_series(stack, '{agent="obsagent",job="node"}')
    theirs = vm_series(stack, '{agent="vmagent",job="node"}')
    name = lambda labels: dict(labels)["__name__"]
    expected = {labels for labels in theirs if name(labels) not in VMAGENT_ONLY}
    # Series that a node exporter shows only sometimes may be in one of the two alone.
    seen = lambda labels: sorted((len(ours.get(labels, [])), len(theirs.get(labels, []))))
    sometimes = {labels for labels in set(ours) ^ expected if seen(labels) == [0, 1]}
    assert set(ours) - sometimes == expected - sometimes
    assert len(expected) > 200
    # Constant series must have the same value; the rest is told apart by never changing on either side.
    compared = 0
    for labels in set(ours) & expected:
        if name(labels) in VOLATILE or len(set(ours[labels])) > 1 or len(set(theirs[labels])) > 1:
            continue
        if name(labels).startswith(("node_", "process_", "go_info")) and ours[labels][0] == theirs[labels][0]:
            compared += 1
    assert compared > 150
    own = vm_series(stack, '{agent="obsagent",job="obsagent"}')
    assert any(name(labels) == "obsagent_build_info" for labels in own)


def test_a_wrong_token_holds_everything_until_corrected(run, stack, tmp_path):
    stack.token.write_text("wrong\n")
    port = free_port()
    agent = run(Agent, tmp_path, config(stack, port, "held", "1s"), port=port)
    wait_for("refused requests", lambda: agent.total("obsagent_remote_requests_total", status="4xx") >= 2)
    wait_for("five scrapes of each", lambda: agent.total("obsagent_scrapes_total") >= 14)
    assert vm_series(stack, '{agent="held"}') == {}
    books = agent.assert_balanced("main")
    assert books["delivered"] == 0 and books["lost"] == 0 and books["buffered"] > 1000
    assert agent.total("obsagent_remote_state", state="auth_failing") == 1
    assert "auth_failing" in http_get(agent.url + "/-/ready")[1]

    stack.token.write_text(TOKEN + "\n")
    wait_for("the buffer to drain", lambda: agent.total("obsagent_samples_buffered") == 0, timeout=30)
    books = agent.assert_balanced("main")
    assert books["lost"] == 0
    ups = vm_series(stack, 'up{agent="held",job="node"}')
    assert sum(len(v) for v in ups.values()) >= 5
