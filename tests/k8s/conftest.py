"""conftest: what the end-to-end tests share, and one cluster for all tests of a run."""

import importlib.util
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import cluster as clusters  # noqa: E402

spec = importlib.util.spec_from_file_location("e2e_conftest", ROOT / "tests" / "e2e" / "conftest.py")
shared = importlib.util.module_from_spec(spec)
spec.loader.exec_module(shared)
run, run_module = shared.run, shared.run_module


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    one = clusters.Cluster(tmp_path_factory.mktemp("cluster"))
    yield one
    one.close()


@pytest.fixture
def own_cluster(tmp_path):
    """For tests that stop it."""
    directory = tmp_path / "cluster"
    directory.mkdir()
    one = clusters.Cluster(directory)
    yield one
    one.close()
