"""keel up, down, status and kubeconfig, as people use them."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import unittest

from cluster import program, kubectl_program
from loopback import wait_until


def free_base():
    """A port from which all that `keel up` uses are likely free."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    return port if port < 64000 else port - 2000


class KeelUpTest(unittest.TestCase):
    def setUp(self):
        self.keel = program("keel")
        for name in ("kvd", "keel-apiserver", "keel-controller-manager", "keel-scheduler", "keel-node"):
            program(name)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="keel-up-"))
        self.data = self.folder / "data"
        self.port = free_base()
        self.good = False

    def tearDown(self):
        if self.data.exists():
            self.run_keel("down")
            if self._outcome.result.failures or self._outcome.result.errors:
                for log in sorted((self.data / "logs").glob("*.log")):
                    print(f"---- {log.name}\n", log.read_text(errors="replace")[-2000:])
        shutil.rmtree(self.folder, ignore_errors=True)

    def run_keel(self, command, *more, timeout=150):
        return subprocess.run([self.keel, command, "--data", str(self.data), *more], capture_output=True, text=True,
                              timeout=timeout, cwd=self.folder)

    def up(self, *more):
        done = self.run_keel("up", "--detach", "--port", str(self.port), *more)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def state(self):
        return json.loads((self.data / "state.json").read_text())

    def kubectl(self, *args):
        config = self.run_keel("kubeconfig", "--path").stdout.strip()
        return subprocess.run([kubectl_program(), "--kubeconfig", config, f"--cache-dir={self.folder}/cache", *args],
                              capture_output=True, text=True, timeout=30, env={**os.environ, "HOME": str(self.folder)})

    def test_up_status_kill_down_and_up_again(self):
        said = self.up("--nodes=2", "--members=1")
        self.assertIn("2 nodes are Ready", said)
        self.assertIn("export KUBECONFIG=", said)
        nodes = self.kubectl("get", "nodes", "--no-headers").stdout.splitlines()
        self.assertEqual([line.split()[:2] for line in nodes], [["hollow-0", "Ready"], ["hollow-1", "Ready"]])
        self.assertEqual(self.kubectl("create", "configmap", "kept", "--from-literal=a=b").returncode, 0)

        status = self.run_keel("status")
        self.assertEqual(status.returncode, 0)
        self.assertIn("apiserver", status.stdout)
        self.assertNotIn("stopped", status.stdout)

        again = self.run_keel("up", "--port", str(self.port), "--members=1")
        self.assertEqual(again.returncode, 1)
        self.assertIn("runs on", again.stderr)

        for victim in ("apiserver", "store", "node"):
            before = next(d for d in self.state()["daemons"] if d["name"] == victim)
            os.kill(before["pid"], signal.SIGKILL)

            def back():
                now = next(d for d in self.state()["daemons"] if d["name"] == victim)
                return now["pid"] not in (0, before["pid"]) and now["restarts"] == before["restarts"] + 1
            wait_until(f"{victim} is started again", back, 20)
        wait_until("the API server answers again", lambda: self.kubectl("get", "nodes").returncode == 0, 30)
        self.assertIn("died: signal 9", (self.data / "logs" / "keel.log").read_text())

        pids = [d["pid"] for d in self.state()["daemons"]] + [self.state()["keel"]]
        down = self.run_keel("down")
        self.assertEqual(down.returncode, 0, down.stderr)
        for pid in pids:
            self.assertFalse(pid and os.path.exists(f"/proc/{pid}/exe") and
                             os.path.basename(os.path.realpath(f"/proc/{pid}/exe")).startswith(("keel", "kvd")))
        self.assertEqual(self.run_keel("status").returncode, 3)

        other = self.run_keel("up", "--members=3", "--port", str(self.port))
        self.assertEqual(other.returncode, 1)
        self.assertIn("--members=1", other.stderr)
        self.up("--nodes=2", "--members=1")
        self.assertIn("kept", self.kubectl("get", "configmaps").stdout)

    def test_several_instances_of_each(self):
        self.up("--members=3", "--apiservers=2", "--controller-managers=2", "--schedulers=2", "--nodes=3")
        self.assertEqual(len(self.state()["daemons"]), 3 + 2 + 2 + 2 + 1)
        first = next(d for d in self.state()["daemons"] if d["name"] == "scheduler-1")
        os.kill(first["pid"], signal.SIGKILL)
        self.assertEqual(self.kubectl("create", "deployment", "web", "--image=nginx").returncode, 0)
        wait_until("the deployment is up", lambda: self.kubectl(
            "get", "deployment", "web", "-o", "jsonpath={.status.readyReplicas}").stdout == "1", 60)

    def test_ports_in_use_are_named(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            port = s.getsockname()[1]
            done = self.run_keel("up", "--port", str(port))
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{port} (apiserver)", done.stderr)
        self.assertFalse(self.data.exists())

    def test_what_makes_no_sense_is_refused(self):
        for flags in (["--members=2"], ["--apiservers=0"], ["--port=80"], ["--nodes=x"], ["--unknown"]):
            done = self.run_keel("up", *flags)
            self.assertEqual(done.returncode, 2, flags)
            self.assertTrue(done.stderr or done.stdout)
        for command in ("down", "status", "kubeconfig"):
            done = self.run_keel(command)
            self.assertEqual(done.returncode, 1)
            self.assertIn("no cluster was made here", done.stderr)

    def test_ctrl_c_stops_all(self):
        process = subprocess.Popen([self.keel, "up", "--data", str(self.data), "--port", str(self.port), "--members=1"],
                                   stdout=subprocess.PIPE, text=True)
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "Ctrl-C stops it" in line:
                break
        pids = [d["pid"] for d in self.state()["daemons"]]
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(60), 0, "".join(lines))
        process.stdout.close()
        for pid in pids:
            self.assertFalse(os.path.exists(f"/proc/{pid}"))


if __name__ == "__main__":
    unittest.main()
