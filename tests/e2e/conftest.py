"""conftest: ends every process that a test started, also when it failed."""

import pytest

import harness


@pytest.fixture
def started(monkeypatch):
    """Everything started through this list is stopped at the end, last first."""
    things = []
    yield things
    for thing in reversed(things):
        if isinstance(thing, harness.Process):
            if thing.alive():
                thing.kill9()
        else:
            thing.close()


@pytest.fixture
def run(started):
    """run(Class, ...) starts something and sees to its end."""

    def start(kind, *args, **kwargs):
        thing = kind(*args, **kwargs)
        started.append(thing)
        return thing

    return start
