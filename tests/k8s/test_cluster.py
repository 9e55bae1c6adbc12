"""test_cluster: is the cluster that the other tests use what they take it for?"""

import pytest

import kube_objects as objects

EVERYWHERE, NARROW = "/api/v1/pods", "/api/v1/namespaces/narrow/pods"


@pytest.mark.parametrize("user,path,status", [
    ("admin", EVERYWHERE, 200),
    ("agent", EVERYWHERE, 200),
    ("agent", "/api/v1/secrets", 403),
    ("narrow", EVERYWHERE, 403),
    ("narrow", NARROW, 200),
    ("stranger", NARROW, 403),
])
def test_rights(cluster, user, path, status):
    assert cluster.as_user(user).ask("GET", path)[0] == status


def test_nobody_without_a_token(cluster):
    client = cluster.as_user("admin")
    client.token = "wrong"
    assert client.ask("GET", EVERYWHERE)[0] == 401


def test_objects_are_kept(own_cluster):
    """Made, with their status, and still there after the API server came again and etcd forgot how they came."""
    client = own_cluster.client
    client.namespace("kept")
    app = objects.container("app", (80, "http"))
    client.create(objects.pod("web", "kept", [app], status=objects.running("10.0.0.1")))
    own_cluster.stop()
    own_cluster.start()
    version = own_cluster.compact()
    assert client.get("Pod", "kept", "web")["status"]["podIP"] == "10.0.0.1"
    assert client.ask("GET", "/api/v1/pods?watch=1&resourceVersion=1&timeoutSeconds=5")[0] in (200, 410)
    assert version > 1
