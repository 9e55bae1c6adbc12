"""test_image: the container image without a container engine: its root laid out by deploy/image-root.sh, and
the Dockerfile's command run in it by deploy/image-run.sh, as a stranger to the machine, on a root that is read-only."""

import errno
import json
import os
import pathlib
import re
import subprocess

import pytest

import harness
from harness import ROOT, Process, Sink, Target, free_port, http_get, make_certificates, named, wait_for

DEPLOY = ROOT / "deploy"
USER = 65532
MEGABYTES = 40  # far below what a distribution's smallest image has


def dockerfile():
    """{instruction: its last argument}; RUN is the last one of the first stage."""
    text = re.sub(r"\\\n", " ", (DEPLOY / "Dockerfile").read_text())
    return dict(re.findall(r"^([A-Z]+) +(.*)$", text, re.M))


@pytest.fixture(scope="module")
def image(tmp_path_factory, pytestconfig):
    root = tmp_path_factory.mktemp("image") / "root"
    script = re.search(r"deploy/image-root\.sh", dockerfile()["RUN"])[0]
    result = subprocess.run([ROOT / script, harness.OBSAGENT, root], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        print(f"\nthe image: {result.stdout.split(': ')[1]}", end="")
    assert int(re.search(r": (\d+) MB,", result.stdout)[1]) <= MEGABYTES
    return root


def elf_files(root):
    return [p for p in root.rglob("*") if p.is_file() and p.open("rb").read(4) == b"\x7fELF"]


def test_every_library_is_there(image):
    """What each file needs, and what the C library opens by itself to look up names, is where the loader looks."""
    files = elf_files(image)
    listed = subprocess.run(["readelf", "-dlW", *files], capture_output=True, text=True, check=True).stdout
    needed = set(re.findall(r"\(NEEDED\).*\[(.*)\]", listed)) | {"libnss_dns.so.2", "libnss_files.so.2"}
    interpreters = set(re.findall(r"interpreter: (\S+)\]", listed))
    places = {p.name for p in files if p.parent.name in ("lib", "lib64") or p.parent.parent.name in ("lib", "lib64")}
    assert len(needed) > 10 and needed - places == set()
    assert interpreters and all((image / i.lstrip("/")).exists() for i in interpreters)
    assert (image / "usr/bin/obsagent") in files and b".debug_info" not in (image / "usr/bin/obsagent").read_bytes()


def test_nothing_else_is_there(image):
    found = {str(p.relative_to(image)) for p in image.rglob("*") if p.is_file() and ".so" not in p.name}
    settings = {"etc/ssl/certs/ca-certificates.crt", "etc/passwd", "etc/group", "etc/nsswitch.conf"}
    assert found == {"usr/bin/obsagent"} | settings
    assert (image / "etc/passwd").read_text().split(":")[2:4] == [str(USER), str(USER)]


def can_change_root():
    return os.getuid() == 0 and subprocess.run(["unshare", "--mount", "mount", "--bind", "/", "/mnt"]).returncode == 0


def status_of(pid):
    return dict(line.split(":\t", 1) for line in open(f"/proc/{pid}/status").read().splitlines())


def write_error(path):
    """What the file system says to root, whom no permission stops."""
    try:
        path.write_text("x")
    except OSError as error:
        return error.errno
    return 0


@pytest.mark.skipif(not can_change_root(), reason="NOT RUN: the image, which needs root and mount namespaces")
def test_runs_confined(run, tmp_path, image):
    """User, entry point and arguments are the Dockerfile's. Names are looked up, certificates believed that the root
    has, the buffer is the only place that is written to."""
    certificates = make_certificates(tmp_path)
    bundle = image / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_text(bundle.read_text() + (certificates / "ca.pem").read_text())
    target = run(Target, "m 1\n", tls=(certificates / "server.pem", certificates / "server.key"))
    sink = run(Sink, tmp_path)
    port = free_port()
    config, data = tmp_path / "config", tmp_path / "data"
    config.mkdir()
    data.mkdir()
    os.chown(data, USER, USER)
    (config / "obsagent.yml").write_text(f"""
scrape_configs:
- job_name: tls
  scheme: https
  scrape_interval: 200ms
  static_configs: [{{targets: ['127.0.0.1:{target.port}']}}]
remote_write:
- {{name: sink, url: 'http://localhost:{sink.port}/api/v1/write'}}
""")
    os.chmod(tmp_path, 0o755)
    docker = dockerfile()
    assert docker["USER"] == f"{USER}:{USER}" and json.loads(docker["VOLUME"]) == ["/var/lib/obsagent"]
    command = json.loads(docker["ENTRYPOINT"]) + json.loads(docker["CMD"]) + [f"--web.listen-address=127.0.0.1:{port}"]
    argv = [DEPLOY / "image-run.sh", image, config, data, *command]
    agent = run(Process, argv, tmp_path / "agent.log", env={"PATH": os.environ["PATH"]})

    def delivered():
        assert agent.alive(), agent.output()
        return [value for _, _, value in named(sink.samples(), "m")]

    assert wait_for("samples of a TLS target, sent to a host with a name", delivered)[0] == 1
    status = status_of(agent.child.pid)
    assert status["Uid"].split() == status["Gid"].split() == [str(USER)] * 4
    assert status["NoNewPrivs"] == "1" and int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["Groups"].strip() == ""
    root = pathlib.Path(f"/proc/{agent.child.pid}/root")
    for place in ("tmp/x", "usr/bin/x", "etc/obsagent/x", "x"):
        assert write_error(root / place) == errno.EROFS, place
    assert write_error(root / "var/lib/obsagent/x") == 0
    assert http_get(f"http://127.0.0.1:{port}/-/ready")[0] == 200
    agent.signal(15)
    assert agent.child.wait(20) == 0, agent.output()
    assert {p.stat().st_uid for p in data.rglob("*") if p.name != "x"} == {USER}
