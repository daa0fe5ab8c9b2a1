"""Three processes of an example and clients that speak lines to them.

    class CounterTest(TrioTest):
        def command(self, member): return [PROGRAM, ...]

        def test_x(self):
            self.ask(1, "add 5")

The program under test is $KEEL_EXAMPLE (set by ctest). Data are in a folder of
the test's own; only processes started here are signalled, by their id.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))

from loopback import free_ports, wait_until  # noqa: E402

MEMBERS = (1, 2, 3)


class Client:
    """One connection; requests are answered in order."""

    def __init__(self, port, seconds=10):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=seconds)
        self.file = self.socket.makefile("r")

    def send(self, line):
        self.socket.sendall((line + "\n").encode())

    def receive(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("closed")
        return line.rstrip("\n")

    def ask(self, line):
        self.send(line)
        return self.receive()

    def close(self):
        self.file.close()
        self.socket.close()


class TrioTest(unittest.TestCase):
    def setUp(self):
        self.program = os.environ["KEEL_EXAMPLE"]
        self.directory = tempfile.mkdtemp(prefix="keel-example-")
        ports = free_ports(6)
        self.peers = ",".join(f"127.0.0.1:{port}" for port in ports[:3])
        self.ports = dict(zip(MEMBERS, ports[3:]))
        self.processes = {}
        for member in MEMBERS:
            self.start(member)

    def tearDown(self):
        for process in self.processes.values():
            process.kill()
            process.wait()
        if all(error is None for _, error in getattr(self._outcome, "errors", [])):
            shutil.rmtree(self.directory)
        else:
            print("kept:", self.directory)

    def data(self, member):
        return str(pathlib.Path(self.directory) / str(member))

    def log(self, member):
        return pathlib.Path(self.directory) / f"{member}.log"

    def start(self, member):
        with open(self.log(member), "ab") as log:
            self.processes[member] = subprocess.Popen(
                self.command(member), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill(self, member):
        process = self.processes.pop(member)
        process.kill()
        process.wait()

    def terminate(self, member):
        """SIGTERM: it stops in order."""
        process = self.processes.pop(member)
        process.terminate()
        self.assertEqual(process.wait(20), 0, self.log(member).read_text())

    def leader(self):
        """Whoever said last that it leads, of those that run."""
        def look():
            found = []
            for member in self.processes:
                for line in self.log(member).read_text().splitlines():
                    if "role=" in line:
                        term = int(line.rsplit("term=", 1)[1])
                        found.append((term, "role=leader" in line, member))
            newest = max(found, default=(0, False, 0))
            return newest[2] if newest[1] else None
        return wait_until("a leader", look)

    def ask(self, member, line):
        """One request on a connection of its own; None without an answer."""
        try:
            client = Client(self.ports[member])
            try:
                return client.ask(line)
            finally:
                client.close()
        except (ConnectionError, socket.timeout):
            return None

    def ask_until(self, member, line, seconds=30):
        """Repeats a request that may be repeated until it is no error; the answer."""
        def once():
            answer = self.ask(member, line)
            return answer if answer is not None and not answer.startswith("error") else None
        return wait_until(f"{member} answers {line!r}", once, seconds)
