"""conftest: ends every process that a test started, also when it failed."""

import pytest

import harness


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
