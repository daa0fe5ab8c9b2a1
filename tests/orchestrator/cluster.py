"""A whole cluster on free loopback ports, for tests: store, API server, controller manager,
scheduler, hollow nodes; each can be killed and started again.

    class Some(ClusterCase):
        nodes = 3                                        # what to start; see ClusterCase
        def test_x(self):
            self.cluster.kubectl("apply", "-f", "-", input=YAML)
            self.cluster.kubectl("get", "pods", version="1.35")
            self.cluster["apiserver-0"].kill()           # SIGKILL; stop() is SIGTERM
            self.cluster["apiserver-0"].start()
            pods = self.cluster.get("/api/v1/pods")["items"]

    with Cluster(members=3, controller_managers=2, schedulers=2, nodes=100) as cluster: ...

    cluster.py [--members 3] [--nodes 3] ...     starts one and keeps it up until Ctrl-C

When a test fails, the ends of all logs are printed and the folder is kept. Programs come from
KEEL_BIN (default: build/release/bin of the tree); what a program is asked to start without existing
skips the test. KEEL_APISERVER_FLAGS adds to the API servers' flags. KEEL_KUBECTL120,
KEEL_KUBECTL135 and KEEL_HELM name clients; otherwise clients/fetch.py fetches them.
"""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.dont_write_bytecode = True

from clients.fetch import debian_kubectl, fetch  # noqa: E402
from daemon import Daemon  # noqa: E402
from loopback import free_ports, wait_until  # noqa: E402
from pki import Pki  # noqa: E402

BIN = pathlib.Path(os.environ.get("KEEL_BIN", ROOT / "build" / "release" / "bin"))


def program(name):
    path = BIN / name
    if not path.exists():
        raise unittest.SkipTest(f"{name} is not built ({path})")
    return str(path)


def kubectl_program(version="1.20"):
    if version == "1.20":
        return os.environ.get("KEEL_KUBECTL120") or str(debian_kubectl())
    return os.environ.get("KEEL_KUBECTL135") or str(fetch() / "bin" / "kubectl")


def helm_program():
    return os.environ.get("KEEL_HELM") or str(fetch() / "bin" / "helm")


class ApiError(RuntimeError):
    def __init__(self, code, body):
        super().__init__(f"{code}: {body[:500]}")
        self.code, self.body = code, body


class Cluster:
    """What to start is given by number. `nodes` hollow nodes run in one keel-node; 0: none.
    `apiserver_flags` and the like are added to the command lines."""

    def __init__(self, members=1, apiservers=1, controller_managers=1, schedulers=1, nodes=3, folder=None,
                 kvd_flags=(), apiserver_flags=(), controller_manager_flags=(), scheduler_flags=(), node_flags=(),
                 start=True):
        self.own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="keel-cluster-"))
        self.daemons = {}
        self.nodes = nodes
        ports = free_ports(2 * members + apiservers + controller_managers + schedulers + 1)
        self.store_ports, peers = ports[:members], ports[members:2 * members]
        self.api_ports = ports[2 * members:2 * members + apiservers]
        rest = ports[2 * members + apiservers:]
        self.server = f"https://127.0.0.1:{self.api_ports[0] if self.api_ports else 0}"
        self.pki = Pki(self.folder / "pki")
        configs = {}
        for identity in ("admin", "controller-manager", "scheduler", "node"):
            configs[identity] = self.pki.kubeconfig(identity, self.server)
        self.kubeconfig = str(configs["admin"])

        kvd = program("kvd")
        initial = ",".join(f"m{i}=http://127.0.0.1:{peers[i]}" for i in range(members))
        for i in range(members):
            client, peer = f"http://127.0.0.1:{self.store_ports[i]}", f"http://127.0.0.1:{peers[i]}"
            self._add(f"kvd-{i}", [
                kvd, "--name", f"m{i}", "--data-dir", self.folder / f"m{i}", "--listen-client-urls", client,
                "--advertise-client-urls", client, "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
                "--initial-cluster", initial, "--max-txn-ops", "1024", *kvd_flags])
        self.store_endpoints = ",".join(f"http://127.0.0.1:{port}" for port in self.store_ports)
        for i in range(apiservers):
            self._add(f"apiserver-{i}", [
                program("keel-apiserver"), "--etcd-servers", self.store_endpoints, "--bind-address", "127.0.0.1",
                "--secure-port", self.api_ports[i], "--tls-cert-file", self.pki.server_cert,
                "--tls-private-key-file", self.pki.server_key, "--client-ca-file", self.pki.ca,
                "--authorization-mode", "Node,RBAC",
                "--service-account-issuer", "https://kubernetes.default.svc",
                "--service-account-key-file", self.pki.account_public_key,
                "--service-account-signing-key-file", self.pki.account_key,
                "--encryption-provider-config", self.pki.encryption_config, *apiserver_flags,
                *os.environ.get("KEEL_APISERVER_FLAGS", "").split()])
        master = ["--master", ",".join(f"https://127.0.0.1:{port}" for port in self.api_ports)] if apiservers > 1 else []
        for i in range(controller_managers):
            self._add(f"controller-manager-{i}", [
                program("keel-controller-manager"), "--kubeconfig", configs["controller-manager"],
                "--bind-address", "127.0.0.1", "--secure-port", rest[i], "--client-ca-file", self.pki.ca,
                "--tls-cert-file", self.pki.server_cert, "--tls-private-key-file", self.pki.server_key,
                "--root-ca-file", self.pki.ca, *master, *controller_manager_flags])
        for i in range(schedulers):
            self._add(f"scheduler-{i}", [
                program("keel-scheduler"), "--kubeconfig", configs["scheduler"], "--bind-address", "127.0.0.1",
                "--secure-port", rest[controller_managers + i], "--client-ca-file", self.pki.ca, *master,
                *scheduler_flags])
        if nodes:
            self._add("node", [program("keel-node"), "--runtime=hollow", f"--nodes={nodes}",
                               "--kubeconfig", configs["node"], *master, *node_flags])
        if start:
            try:
                self.start()
            except BaseException:
                self.print_logs()
                self.stop(check=False)
                raise

    def _add(self, name, command):
        self.daemons[name] = Daemon(name, command, self.folder)

    def __getitem__(self, name):
        return self.daemons[name]

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None and not issubclass(kind, unittest.SkipTest):
            self.print_logs()
        self.stop(check=kind is None)
        if kind is None:
            self.remove()

    # ---- Life

    def start(self, seconds=60):
        for name, daemon in self.daemons.items():
            if name.startswith("kvd"):
                daemon.start()
        for i in range(len(self.store_ports)):
            self.wait_store(i, seconds)
        for name, daemon in self.daemons.items():
            if name.startswith("apiserver"):
                daemon.start()
        for i in range(len(self.api_ports)):
            self.wait_api(i, seconds)
        for name, daemon in self.daemons.items():
            if not daemon.running():
                daemon.start()
        if self.nodes:
            wait_until(f"{self.nodes} nodes are Ready", lambda: self.ready_nodes() == self.nodes, seconds)

    def check_running(self, daemon):
        if not daemon.running():
            raise AssertionError(f"{daemon.name} ended with {daemon.process.returncode}:\n{daemon.log()[-2000:]}")

    def wait_store(self, i, seconds=60):
        def healthy():
            self.check_running(self.daemons[f"kvd-{i}"])
            connection = http.client.HTTPConnection("127.0.0.1", self.store_ports[i], timeout=2)
            try:
                connection.request("GET", "/health")
                return b"true" in connection.getresponse().read()
            except OSError:
                return False
            finally:
                connection.close()
        wait_until(f"store member {i} is healthy", healthy, seconds)

    def wait_api(self, i, seconds=60):
        def ready():
            self.check_running(self.daemons[f"apiserver-{i}"])
            try:
                return self.raw("GET", "/readyz", api=i)[0] == 200
            except (OSError, http.client.HTTPException):
                return False
        wait_until(f"API server {i} is ready", ready, seconds)

    def ready_nodes(self):
        try:
            nodes = self.get("/api/v1/nodes")["items"]
        except (OSError, ApiError):
            return -1
        return sum(any(c["type"] == "Ready" and c["status"] == "True" for c in node.get("status", {}).get("conditions", []))
                   for node in nodes)

    def stop(self, check=True):
        """In the opposite order. With `check`, a daemon that ended by itself or badly fails."""
        problems = []
        for daemon in reversed(list(self.daemons.values())):
            if daemon.process is None:
                continue
            ended = not daemon.running()
            try:
                code = daemon.stop()
                if code != 0 and not (ended and code == -signal.SIGKILL):
                    problems.append(f"{daemon.name} ended with {code}")
            except AssertionError as problem:
                problems.append(str(problem))
        if check and problems:
            self.print_logs()
            raise AssertionError("; ".join(problems))

    def remove(self):
        if self.own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def print_logs(self, lines=30):
        for daemon in self.daemons.values():
            end = daemon.log().splitlines()[-lines:]
            print(f"---- {daemon.name} (of {daemon.log_path})", *end, sep="\n  ", file=sys.stderr)

    # ---- Calls

    def raw(self, method, path, body=None, content_type="application/json", headers=None, api=0, identity="admin",
            timeout=30):
        """Code and body, as bytes. `identity`: a certificate of the Pki; None: anonymous."""
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            sent["Content-Type"] = content_type
            body = body if isinstance(body, (bytes, str)) else json.dumps(body)
        return self._request(self.api_ports[api], self.tls(identity), method, path, body, sent, timeout)

    def ask_daemon(self, name, path, identity="admin", headers=None, verify=True):
        """Code and body of a GET from a daemon's --secure-port. `verify`: its certificate is the Pki's."""
        command = self.daemons[name].command
        port = int(command[command.index("--secure-port") + 1])
        return self._request(port, self.tls(identity, verify), "GET", path, None, headers or {}, timeout=30)

    def tls(self, identity, verify=True):
        context = ssl.create_default_context(cafile=str(self.pki.ca))
        if not verify:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if identity:
            context.load_cert_chain(self.pki.folder / f"{identity}.pem", self.pki.folder / f"{identity}.key")
        return context

    @staticmethod
    def _request(port, context, method, path, body, headers, timeout):
        connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=context)
        try:
            connection.request(method, path, body=body, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def call(self, method, path, body=None, **more):
        """The answer's object; ApiError for what is not 2xx."""
        code, data = self.raw(method, path, body, **more)
        if code // 100 != 2:
            raise ApiError(code, data.decode(errors="replace"))
        return json.loads(data) if data else None

    def get(self, path, **more):
        return self.call("GET", path, **more)

    def create(self, path, body, **more):
        return self.call("POST", path, body, **more)

    def kubectl(self, *args, input=None, version="1.20", check=True, timeout=60, identity="admin"):
        """Standard output; with check=False, the CompletedProcess."""
        config = self.kubeconfig if identity == "admin" else str(self.pki.folder / f"{identity}.kubeconfig")
        done = subprocess.run([kubectl_program(version), "--kubeconfig", config,
                               f"--cache-dir={self.folder}/kubectl-{version}", *map(str, args)],
                              input=input, capture_output=True, text=True, timeout=timeout,
                              env={**os.environ, "HOME": str(self.folder)})
        if not check:
            return done
        if done.returncode != 0:
            raise AssertionError(f"kubectl {' '.join(map(str, args))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout


class ClusterCase(unittest.TestCase):
    """One cluster for all tests of a class, as the class's attributes say."""

    members = 1
    apiservers = 1
    controller_managers = 1
    schedulers = 1
    nodes = 3
    flags = {}  # {"apiserver_flags": [...], ...}

    @classmethod
    def setUpClass(cls):
        cls.failed = False
        cls.cluster = Cluster(members=cls.members, apiservers=cls.apiservers,
                              controller_managers=cls.controller_managers, schedulers=cls.schedulers, nodes=cls.nodes,
                              **cls.flags)

    @classmethod
    def tearDownClass(cls):
        if cls.failed:
            cls.cluster.print_logs()
            print(f"kept: {cls.cluster.folder}", file=sys.stderr)
        cls.cluster.stop(check=not cls.failed)
        if not cls.failed:
            cls.cluster.remove()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors) if result is not None else 0
        done = super().run(result)
        if result is not None and len(result.failures) + len(result.errors) > before:
            type(self).failed = True
        return done

    def wait(self, what, condition, seconds=30.0):
        return wait_until(what, condition, seconds)


def main():
    parser = argparse.ArgumentParser(description="Starts a cluster and keeps it up until Ctrl-C.")
    for name, number in (("members", 1), ("apiservers", 1), ("controller-managers", 1), ("schedulers", 1), ("nodes", 3)):
        parser.add_argument(f"--{name}", type=int, default=number)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    cluster = Cluster(**vars(options))
    try:
        print(f"up: export KUBECONFIG={cluster.kubeconfig}\nlogs: {cluster.folder}/*.log", flush=True)
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        pass
    finally:
        cluster.stop(check=False)
        cluster.remove()


if __name__ == "__main__":
    main()
