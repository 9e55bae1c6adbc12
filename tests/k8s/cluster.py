"""cluster: a real etcd and a real kube-apiserver on loopback (built by build-apiserver.sh), and a small client."""

import http.client
import json
import os
import pathlib
import ssl
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "e2e"))

import harness  # noqa: E402

BIN = pathlib.Path(os.environ.get("K8S_BIN", ROOT / "build" / "k8s" / "bin"))

# token: (user, groups). What they may do is said in RIGHTS.
TOKENS = {
    "token-of-the-admin": ("admin", "system:masters"),
    "token-of-the-agent": ("agent", ""),
    "token-of-the-narrow": ("narrow", ""),
    "token-of-the-stranger": ("stranger", ""),
}
ADMIN = "token-of-the-admin"

EVERYTHING = [
    {"apiGroups": [""], "resources": ["pods", "nodes", "services", "endpoints", "namespaces"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]},
    {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses"]},
    {"apiGroups": ["apps"], "resources": ["replicasets"]},
    {"apiGroups": ["batch"], "resources": ["jobs"]},
]
READ = {"verbs": ["get", "list", "watch"]}

PATHS = {
    "Namespace": "/api/v1/namespaces",
    "Node": "/api/v1/nodes",
    "Pod": "/api/v1/namespaces/{}/pods",
    "Service": "/api/v1/namespaces/{}/services",
    "Endpoints": "/api/v1/namespaces/{}/endpoints",
    "EndpointSlice": "/apis/discovery.k8s.io/v1beta1/namespaces/{}/endpointslices",
    "Ingress": "/apis/networking.k8s.io/v1/namespaces/{}/ingresses",
    "ReplicaSet": "/apis/apps/v1/namespaces/{}/replicasets",
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "Role": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/namespaces/{}/rolebindings",
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
}


class ApiError(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status}: {body[:500]}")
        self.status = status


class Client:
    """Talks to one API server over one connection per thread. Objects are plain dicts; where they go follows from their
    kind. A `status` is written through the subresource, as its owner in a cluster does."""

    def __init__(self, host, port, context=None, token=None):
        self.where = (host, port)
        self.context = context
        self.token = token
        self.local = threading.local()

    def connection(self, fresh):
        if fresh or not getattr(self.local, "connection", None):
            self.local.connection = (
                http.client.HTTPSConnection(*self.where, timeout=30, context=self.context)
                if self.context
                else http.client.HTTPConnection(*self.where, timeout=30)
            )
        return self.local.connection

    def ask(self, method, path, body=None, kind="application/json"):
        """(status, text)."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        if body is not None:
            headers["Content-Type"] = kind
        data = None if body is None else json.dumps(body)
        for attempt in (0, 1):
            connection = self.connection(attempt > 0)
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode()
            except (OSError, http.client.HTTPException):
                if attempt:
                    self.local.connection = None
                    raise

    def do(self, method, path, body=None, kind="application/json"):
        status, text = self.ask(method, path, body, kind)
        if status >= 300:
            raise ApiError(status, text)
        return json.loads(text)

    @staticmethod
    def path(kind, namespace, name=None):
        return PATHS[kind].format(namespace) + (f"/{name}" if name else "")

    def create(self, thing):
        meta = thing["metadata"]
        kind, namespace = thing["kind"], meta.get("namespace")
        made = self.do("POST", self.path(kind, namespace), thing)
        if "status" in thing:
            made = self.patch(kind, namespace, meta["name"], {"status": thing["status"]}, "/status")
        return made

    def patch(self, kind, namespace, name, change, subresource=""):
        path = self.path(kind, namespace, name) + subresource
        return self.do("PATCH", path, change, "application/merge-patch+json")

    def delete(self, kind, namespace, name):
        return self.do("DELETE", self.path(kind, namespace, name), {"gracePeriodSeconds": 0})

    def get(self, kind, namespace, name):
        return self.do("GET", self.path(kind, namespace, name))

    def namespace(self, name, labels=None, annotations=None):
        meta = {"name": name, "labels": labels or {}, "annotations": annotations or {}}
        return self.create({"kind": "Namespace", "apiVersion": "v1", "metadata": meta})


def make_keys(directory):
    """Certificates of the server and of a client who is the user `agent`, and a key for service accounts."""
    harness.make_certificates(directory)

    def openssl(*argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, cwd=directory, capture_output=True)

    openssl("genrsa", "-out", "accounts.key", 2048)
    openssl("rsa", "-in", "accounts.key", "-pubout", "-out", "accounts.pub")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=agent",
            "-keyout", "agent.key", "-out", "agent.csr")
    (directory / "use").write_text("extendedKeyUsage=clientAuth\n")
    openssl("x509", "-req", "-days", 2, "-in", "agent.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-extfile", "use", "-out", "agent.pem")


class Cluster:
    """etcd and an API server; `client` is the administrator's. Files for an agent: `ca`, `token(user)`, `kubeconfig()`.
    """

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.etcd = self.server = None
        self.etcd_port = harness.free_port()
        self.port = harness.free_port()
        make_keys(self.directory)
        lines = [f'{token},{user},{user},"{groups}"' for token, (user, groups) in TOKENS.items()]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n")
        for token, (user, _) in TOKENS.items():
            (self.directory / f"{user}.token").write_text(token)
        self.context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        self.client = Client("127.0.0.1", self.port, self.context, ADMIN)
        try:
            self.start_etcd()
            self.start()
            self.grant()
        except BaseException:
            self.close()
            raise

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    @property
    def ca(self):
        return self.directory / "ca.pem"

    def token(self, user):
        return self.directory / f"{user}.token"

    def as_user(self, user):
        token = next(t for t, (u, _) in TOKENS.items() if u == user)
        return Client("127.0.0.1", self.port, self.context, token)

    def start_etcd(self):
        peer = harness.free_port()
        self.etcd = harness.Process(
            [
                BIN / "etcd",
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{self.etcd_port}",
                f"--advertise-client-urls=http://127.0.0.1:{self.etcd_port}",
                f"--listen-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
                f"--initial-cluster=default=http://127.0.0.1:{peer}",
                "--unsafe-no-fsync",
            ],
            self.directory / "etcd.log",
        )
        self.wait_health(self.etcd, lambda: "true" in harness.http_get(self.etcd_url("/health"))[1])

    def etcd_url(self, path):
        return f"http://127.0.0.1:{self.etcd_port}{path}"

    def wait_health(self, process, healthy):
        def check():
            assert process.alive(), f"{process.child.args[0]} ended:\n{process.output()[-3000:]}"
            return healthy()

        harness.wait_for(f"{process.child.args[0]} to be healthy", check, timeout=90, interval=0.1)

    def start(self, port=None):
        """Starts the API server; on another port than usual nobody else sees it."""
        port = port or self.port
        client = Client("127.0.0.1", port, self.context, ADMIN)
        keys = self.directory
        self.server = harness.Process(
            [
                BIN / "kube-apiserver",
                f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                f"--secure-port={port}",
                "--insecure-port=0",
                f"--cert-dir={keys}",
                f"--tls-cert-file={keys / 'server.pem'}",
                f"--tls-private-key-file={keys / 'server.key'}",
                f"--client-ca-file={keys / 'ca.pem'}",
                f"--token-auth-file={keys / 'tokens.csv'}",
                "--authorization-mode=RBAC",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-account-key-file={keys / 'accounts.pub'}",
                f"--service-account-signing-key-file={keys / 'accounts.key'}",
                "--service-cluster-ip-range=10.96.0.0/16",
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
                "--max-requests-inflight=0",
                "--max-mutating-requests-inflight=0",
                "--enable-priority-and-fairness=false",
            ],
            keys / "apiserver.log",
        )

        def healthy():
            try:
                return client.ask("GET", "/readyz")[0] == 200
            except OSError:
                return False

        self.wait_health(self.server, healthy)
        return client

    def stop(self):
        self.server.kill9()

    def grant(self):
        """agent reads everything, narrow only pods in the namespace `narrow`, stranger nothing."""
        rbac = "rbac.authorization.k8s.io"

        def bind(kind, role, user, namespace=None):
            meta = {"name": user, **({"namespace": namespace} if namespace else {})}
            self.client.create({
                "kind": kind + "Binding", "apiVersion": f"{rbac}/v1", "metadata": meta,
                "roleRef": {"apiGroup": rbac, "kind": kind, "name": role},
                "subjects": [{"kind": "User", "name": user, "apiGroup": rbac}],
            })

        rules = [{**rule, **READ} for rule in EVERYTHING]
        meta = {"name": "agent"}
        self.client.create({"kind": "ClusterRole", "apiVersion": f"{rbac}/v1", "metadata": meta, "rules": rules})
        bind("ClusterRole", "agent", "agent")
        self.client.namespace("narrow")
        meta = {"name": "narrow", "namespace": "narrow"}
        rules = [{"apiGroups": [""], "resources": ["pods"], **READ}]
        self.client.create({"kind": "Role", "apiVersion": f"{rbac}/v1", "metadata": meta, "rules": rules})
        bind("Role", "narrow", "narrow", "narrow")

    def compact(self):
        """Makes etcd forget all revisions but the newest; returns that."""
        def ask(path, body):
            connection = http.client.HTTPConnection("127.0.0.1", self.etcd_port, timeout=10)
            connection.request("POST", path, json.dumps(body))
            return json.loads(connection.getresponse().read())

        newest = ask("/v3/kv/range", {"key": "Lw=="})["header"]["revision"]
        ask("/v3/kv/compaction", {"revision": newest, "physical": True})
        return int(newest)

    def sd(self, role, user="agent", **more):
        """One entry of kubernetes_sd_configs, as text of JSON, which is YAML."""
        return json.dumps({
            "role": role,
            "api_server": self.url,
            "authorization": {"credentials_file": str(self.token(user))},
            "tls_config": {"ca_file": str(self.ca)},
            **more,
        })

    def kubeconfig(self, name, user):
        """A kubeconfig whose only user is given by `user`; its path."""
        path = self.directory / name
        path.write_text(json.dumps({
            "kind": "Config",
            "apiVersion": "v1",
            "current-context": "here",
            "contexts": [{"name": "there", "context": {"cluster": "gone", "user": "me"}},
                         {"name": "here", "context": {"cluster": "mine", "user": "me"}}],
            "clusters": [{"name": "gone", "cluster": {"server": "https://127.0.0.1:1"}},
                         {"name": "mine", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": "me", "user": user}],
        }))
        return path

    def close(self):
        for process in (self.server, self.etcd):
            if process and process.alive():
                process.kill9()


def main():
    """For people: a cluster until Enter is pressed."""
    import tempfile

    with tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        cluster = Cluster(directory)
        print(f"up after {time.monotonic() - started:.1f} s: {cluster.url}, files in {directory}; Enter ends it")
        try:
            sys.stdin.readline()
        finally:
            cluster.close()


if __name__ == "__main__":
    main()
