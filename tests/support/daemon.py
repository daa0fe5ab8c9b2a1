"""One process of a test, with its log.

    daemon = Daemon("kvd-0", [KVD, "--name", "m0", ...], folder).start()    # logs to folder/kvd-0.log
    daemon.kill()                                                           # SIGKILL; stop() is SIGTERM
    daemon.start()
"""

import os
import pathlib
import signal
import subprocess


class Daemon:
    """One process; its log is appended to over restarts."""

    def __init__(self, name, command, folder):
        self.name, self.command = name, [str(word) for word in command]
        self.log_path = pathlib.Path(folder, name + ".log")
        self.process = None

    def start(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ETCD")}
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env=environment)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """SIGKILL, and waits for the end."""
        if self.running():
            self.process.kill()
        self.process.wait()

    def stop(self, seconds=15):
        """SIGTERM; the exit code. What does not stop in time is killed, which fails."""
        if self.process is None:
            return 0
        if self.running():
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not stop within {seconds} s of SIGTERM") from None

    def memory_kib(self):
        """PSS: pages that several processes map count in parts."""
        with open(f"/proc/{self.pid}/smaps_rollup") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""
