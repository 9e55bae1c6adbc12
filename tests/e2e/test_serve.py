"""The made-up target: what it says is good, and what goes wrong with it goes wrong as it was told to."""

import json
import signal
import time
import urllib.request

import pytest

from harness import OBSAGENT, Process, can_connect, free_port, http_get, obsagent, parse_text, wait_for


@pytest.fixture(name="serve")
def fixture_serve(tmp_path, run):
    def start(*flags):
        port = free_port()
        argv = [OBSAGENT, "serve", f"--listen=127.0.0.1:{port}", *flags]
        process = run(Process, argv, tmp_path / f"serve-{port}.log")
        process.url = f"http://127.0.0.1:{port}/metrics"
        wait_for("the target to listen", lambda: can_connect(port))
        return process

    return start


@pytest.mark.sanitized
def test_same_seed_same_body(serve):
    """Two targets of the same seed say the same, request by request; the tester finds nothing wrong with it."""
    flags = ["--series=500", "--churn=10%", "--churn-period=15s", "--step=15s", "--seed=5", "--format=text"]
    one, two = serve(*flags), serve(*flags)
    bodies = [[http_get(t.url)[1] for _ in range(3)] for t in (one, two)]
    assert bodies[0] == bodies[1]
    assert [len(parse_text(b)) for b in bodies[0]] == [500, 500, 500]
    assert len({b for b in bodies[0]}) == 3
    code, out, _ = obsagent("scrape", "--json", one.url)
    assert code == 0 and json.loads(out)["series"] == 500
    code, out, _ = obsagent("scrape", "--lint=all", one.url)
    assert (code, out) == (0, "")
    assert http_get(one.url.replace("/metrics", "/"))[0] == 404
    assert one.stop() == 0


def test_faults_and_delay(serve):
    """Each kind of fault is seen as what it is; of a share of faults, about that many come, the same ones each time."""
    for kind, wanted in [("status", "500"), ("cut", ""), ("garbage", "\n1:")]:
        target = serve("--error-rate=1", f"--error-kind={kind}", "--series=100")
        code, out, err = obsagent("scrape", target.url)
        assert code == 1 and wanted in out + err, (kind, out, err)
        target.stop()
    some = serve("--error-rate=30%", "--series=1", "--latency=30ms", "--latency-spread=1ms")
    before = time.monotonic()
    answers = [http_get(some.url)[0] for _ in range(40)]
    assert time.monotonic() - before >= 40 * 0.03
    assert 3 <= answers.count(500) <= 25 and set(answers) == {200, 500}


@pytest.mark.sanitized
def test_hang_ends_with_the_target(serve):
    """A request that is never answered does not keep SIGTERM from ending it."""
    target = serve("--error-rate=1", "--error-kind=hang")
    assert http_get(target.url, timeout=0.3)[0] == 0
    target.signal(signal.SIGTERM)
    assert target.child.wait(15) == 0


@pytest.mark.sanitized
def test_native_histograms_in_protobuf(serve):
    target = serve("--native-histograms", "--series=480")
    accept = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
    request = urllib.request.Request(target.url, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.headers["Content-Type"].startswith("application/vnd.google.protobuf")
        assert b"synth_latency_00_seconds" in response.read()


@pytest.mark.parametrize(
    "flag",
    ["--churn=2", "--error-rate=x", "--error-kind=fire", "--format=json", "--path=metrics", "--churn-period=0s", "x"],
)
def test_wrong_usage(flag):
    code, out, err = obsagent("serve", flag)
    assert (code, out) == (2, "") and err
