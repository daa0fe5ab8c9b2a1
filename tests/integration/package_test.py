"""The Debian package: built, unpacked into a folder, looked at, and its kvd run from there under a
supervisor that waits for READY as systemd does. And `cmake --install` into a prefix.

KEEL_BUILD is the build folder (set by ctest).
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from harness import KVD, ClusterTest, wait_until
from loopback import free_ports

BUILD = pathlib.Path(os.environ.get("KEEL_BUILD", pathlib.Path(KVD).parents[1]))


def run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout + done.stderr


class Supervisor:
    """The receiving end of sd_notify(3); `name` is a path, or @abstract."""

    def __init__(self, name):
        self.name = name
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name[0] == "@" else name)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        while True:
            try:
                self.heard += self.socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self.heard

    def close(self):
        self.socket.close()


class Notify(ClusterTest):
    """READY only when the member can serve, STOPPING when it is told to stop."""

    size = 3
    start = False

    def test_ready_waits_for_a_majority(self):
        supervisors = []
        for number, member in enumerate(self.cluster.members):
            name = (f"@keel-{os.getpid()}-{number}" if number else
                    os.path.join(self.cluster.directory, "notify"))
            supervisors.append(Supervisor(name))
        first = self.cluster.members[0]
        os.environ["NOTIFY_SOCKET"] = supervisors[0].name
        try:
            first.start()
            time.sleep(2)
            self.assertEqual(supervisors[0].listen(), ["STATUS=starting"])  # alone it serves nobody
            for supervisor, member in list(zip(supervisors, self.cluster.members))[1:]:
                os.environ["NOTIFY_SOCKET"] = supervisor.name
                member.start()
        finally:
            del os.environ["NOTIFY_SOCKET"]
        for supervisor, member in zip(supervisors, self.cluster.members):
            wait_until(f"{member.name} says READY", lambda s=supervisor: "READY=1" in s.listen(), 20)
            member.put("ready/" + member.name, "x", seconds=1.0)  # at once
            self.assertNotIn("STOPPING=1", supervisor.heard)
        for supervisor, member in zip(supervisors, self.cluster.members):
            self.assertEqual(member.terminate(), 0)
            self.assertIn("STOPPING=1", supervisor.listen())
            supervisor.close()


class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="keel-package-")
        cls.path = pathlib.Path(cls.folder.name)
        # Quick instead of small: what is tested is what is inside.
        run("cpack", "-G", "DEB", "-B", cls.path, "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip", cwd=BUILD)
        cls.package = next(cls.path.glob("kvd_*.deb"))
        cls.root = cls.path / "root"
        run("dpkg-deb", "-x", cls.package, cls.root)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def test_control(self):
        def field(name):
            return run("dpkg-deb", "-f", self.package, name).strip()
        self.assertEqual(field("Package"), "kvd")
        for library in ("libprotobuf", "libssl", "libnghttp2", "libc6", "adduser"):
            self.assertIn(library, field("Depends"))
        control = self.path / "control"
        run("dpkg-deb", "-e", self.package, control)
        self.assertEqual((control / "conffiles").read_text(), "/etc/default/kvd\n")
        for script in ("postinst", "prerm", "postrm"):
            run("sh", "-n", control / script)
            self.assertEqual((control / script).stat().st_mode & 0o777, 0o755)
        # Nothing of the user's but what the list says, and nothing that another user could change.
        listing = run("dpkg-deb", "-c", self.package)
        for line in listing.splitlines():
            self.assertRegex(line, r"^[-d]r[-w]xr-xr-x root/root|^-rw-r--r-- root/root", line)

    def test_installing_makes_the_user_and_starts_nothing(self):
        control, stubs = self.path / "scripts", self.path / "stubs"
        run("dpkg-deb", "-e", self.package, control)
        stubs.mkdir()
        for name in ("adduser", "systemctl", "deb-systemd-invoke", "deb-systemd-helper"):
            (stubs / name).write_text(f'#!/bin/sh\necho {name} "$@" >>{self.path}/calls\n')
        (stubs / "getent").write_text("#!/bin/sh\nexit 2\n")  # no such user yet
        for stub in stubs.iterdir():
            stub.chmod(0o755)

        def calls(script, *arguments):
            (self.path / "calls").write_text("")
            run("sh", control / script, *arguments, env={"PATH": f"{stubs}:/usr/bin:/bin"})
            return (self.path / "calls").read_text()
        done = calls("postinst", "configure", "")
        self.assertRegex(done, r"^adduser .*--system --group --home /var/lib/kvd .* kvd\n")
        self.assertNotIn("start", done)
        calls("prerm", "remove")
        calls("postrm", "purge")

    def test_manual_pages_have_no_warnings(self):
        for page in ("man8/kvd.8.gz", "man1/kvctl.1.gz"):
            path = self.root / "usr/share/man" / page
            done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", path],
                                  capture_output=True, text=True, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"})
            self.assertEqual((done.returncode, done.stderr), (0, ""))
        text = run("man", "-l", self.root / "usr/share/man/man8/kvd.8.gz",
                   env={**os.environ, "MANPAGER": "cat", "MAN_KEEP_FORMATTING": "", "MANWIDTH": "80"})
        self.assertIn("--listen-client-urls", text)
        text = run("man", "-l", self.root / "usr/share/man/man1/kvctl.1.gz",
                   env={**os.environ, "MANPAGER": "cat", "MANWIDTH": "80"})
        self.assertIn("kvctl member add", text)

    def test_completion_is_a_script(self):
        run("bash", "-n", self.root / "usr/share/bash-completion/completions/kvctl")

    def test_the_unit_is_one(self):
        unit = self.root / "usr/lib/systemd/system/kvd.service"
        text = unit.read_text()
        for line in ("Type=notify", "User=kvd", "StateDirectory=kvd", "LimitNOFILE=65536",
                     "ProtectSystem=strict", "NoNewPrivileges=yes", "Restart=on-failure",
                     "ExecStart=/usr/bin/kvd $DAEMON_ARGS", "EnvironmentFile=-/etc/default/kvd"):
            self.assertIn(line + "\n", text)
        if shutil.which("systemd-analyze") is None:
            self.skipTest("systemd-analyze is not here")
        # Its program must exist for it; that of the folder does.
        copy = self.path / "kvd.service"
        copy.write_text(text.replace("/usr/bin/kvd", str(self.root / "usr/bin/kvd")))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", copy], capture_output=True, text=True)
        about = [line for line in done.stderr.splitlines() if "kvd" in line]
        self.assertEqual(about, [], done.stderr)

    def test_the_program_serves_and_the_example_is_a_config_file(self):
        client, peer = free_ports(2)
        supervisor = Supervisor(str(self.path / "notify"))
        kvd, kvctl = self.root / "usr/bin/kvd", self.root / "usr/bin/kvctl"
        log = open(self.path / "log", "w+")
        # As the unit runs it: settings from the environment.
        process = subprocess.Popen([kvd], stderr=log, cwd=self.path, env={
            "NOTIFY_SOCKET": supervisor.name, "ETCD_DATA_DIR": str(self.path / "data"),
            "ETCD_LISTEN_CLIENT_URLS": f"http://127.0.0.1:{client}",
            "ETCD_ADVERTISE_CLIENT_URLS": f"http://127.0.0.1:{client}",
            "ETCD_LISTEN_PEER_URLS": f"http://127.0.0.1:{peer}",
            "ETCD_INITIAL_ADVERTISE_PEER_URLS": f"http://127.0.0.1:{peer}",
            "ETCD_INITIAL_CLUSTER": f"default=http://127.0.0.1:{peer}"})
        try:
            wait_until("READY", lambda: "READY=1" in supervisor.listen(), 20)
            endpoint = ["--endpoints", f"127.0.0.1:{client}"]
            self.assertEqual(run(kvctl, *endpoint, "put", "a", "b"), "OK\n")
            self.assertEqual(run(kvctl, *endpoint, "get", "a"), "a\nb\n")
        finally:
            process.send_signal(signal.SIGTERM)
            self.assertEqual(process.wait(20), 0)
            log.close()
            supervisor.close()
        example = self.root / "usr/share/doc/kvd/examples/kvd.yml"
        changed = self.path / "kvd.yml"  # so that it ends before it starts
        changed.write_text(re.sub("/(etc|var/lib)/kvd", str(self.path / "none"), example.read_text()))
        done = subprocess.run([kvd, "--config-file", changed], capture_output=True, text=True, timeout=20)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("server.crt", done.stderr.splitlines()[-1])  # all keys were read

    def test_every_setting_of_the_default_file_is_a_flag(self):
        text = (self.root / "etc/default/kvd").read_text()
        names = [flag for flag in re.findall("ETCD_([A-Z_]+)=", text)]
        self.assertGreater(len(names), 5)
        flags = run(self.root / "usr/bin/kvd", "--help")
        for name in names:
            self.assertIn("--" + name.lower().replace("_", "-"), flags)

    def test_install_into_a_prefix(self):
        prefix = self.path / "prefix"
        run("cmake", "--install", BUILD, "--prefix", prefix, "--component", "kvd")
        self.assertIn(f"ExecStart={prefix}/bin/kvd", (prefix / "lib/systemd/system/kvd.service").read_text())
        self.assertIn(f"EnvironmentFile=-{prefix}/etc/default/kvd",
                      (prefix / "lib/systemd/system/kvd.service").read_text())
        self.assertIn("etcd Version", run(prefix / "bin/kvd", "--version"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
