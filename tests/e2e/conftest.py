"""conftest: ends every process that a test started, also when it failed."""

import pytest

import harness


# About how many seconds a test of a file takes, where it is not the usual.
USUAL_SECONDS = 0.7
SLOW_FILES = {
    "test_alerts.py": 9,
    "test_browser.py": 0.6,
    "test_chaos.py": 14,
    "test_clock.py": 5,
    "test_credentials.py": 5,
    "test_deploy.py": 0.05,
    "test_deploy_node.py": 4,
    "test_disk.py": 10,
    "test_drain.py": 12,
    "test_endpoints.py": 4,
    "test_kubelet.py": 1.6,
    "test_kubernetes.py": 1.3,
    "test_main_job.py": 10,
    "test_obs.py": 0.2,
    "test_outage.py": 17,
    "test_protocols.py": 4,
    "test_reload.py": 2,
    "test_secrets.py": 1,
    "test_size.py": 6,
}


def pytest_addoption(parser):
    parser.addoption("--part", default="1/1", help="i/n: only the i-th of n parts, files kept together")


def pytest_collection_modifyitems(config, items):
    """Files are dealt out, the heaviest first, each to the part that has least so far."""
    part, parts = map(int, config.getoption("--part").split("/"))
    weights = {}
    for item in items:
        weights[item.path.name] = weights.get(item.path.name, 0) + SLOW_FILES.get(item.path.name, USUAL_SECONDS)
    loads, mine = [0] * parts, set()
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        lightest = loads.index(min(loads))
        loads[lightest] += weights[name]
        if lightest == part - 1:
            mine.add(name)
    config.hook.pytest_deselected(items=[item for item in items if item.path.name not in mine])
    items[:] = [item for item in items if item.path.name in mine]


def stop_all(things):
    problems = []
    for thing in reversed(things):
        try:
            thing.end() if isinstance(thing, harness.Process) else thing.close()
        except AssertionError as problem:
            problems.append(str(problem))
    assert not problems, "\n".join(problems)


def runner(things):
    def start(kind, *args, **kwargs):
        thing = kind(*args, **kwargs)
        things.append(thing)
        return thing

    return start


@pytest.fixture
def run():
    """run(Class, ...) starts something and sees to its end, last first."""
    things = []
    yield runner(things)
    stop_all(things)


@pytest.fixture(scope="module")
def run_module():
    """The same for what all tests of a file share."""
    things = []
    yield runner(things)
    stop_all(things)
