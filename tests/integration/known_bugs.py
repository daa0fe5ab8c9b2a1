"""Tests of bugs that etcd had: what they share.

A test takes a cluster of one member, kvd's or Debian's etcd's, so that it can show both:

    class Bugs(BugTest):
        def test_x(self):                      # against kvd
            self.assertEqual(ends(self.member), "as it should")
            with self.etcd() as etcd:          # and that etcd 3.4.23 has the bug; skipped if it is not installed
                self.assertEqual(ends(etcd), "as it does there")
"""

import contextlib
import os
import queue
import shutil
import threading

import grpc

from harness import API, Cluster, ClusterTest, prefix_end, to_bytes, wait_until

ETCD = "/usr/bin/etcd"


class BugTest(ClusterTest):
    size = 1

    @property
    def member(self):
        return self.cluster.members[0]

    @contextlib.contextmanager
    def etcd(self, flags=()):
        """A member of Debian's etcd; nothing is run where it is not installed."""
        if not os.path.exists(ETCD):
            self.skipTest("Debian's etcd is not installed; kvd alone was tested")
        other = Cluster(1, flags, ETCD).start()
        try:
            yield other.members[0]
        finally:
            other.stop()
            shutil.rmtree(other.directory, ignore_errors=True)

    def refused(self, code, details, action):
        with self.assertRaises(grpc.RpcError) as caught:
            action()
        self.assertEqual((caught.exception.code().name, caught.exception.details()), (code, details))


@contextlib.contextmanager
def defragmenting(member):
    """Defragments over and over meanwhile; a member that is away is asked again."""
    stop = threading.Event()

    def defragment():
        while not stop.is_set():
            try:
                member.call("Maintenance", "Defragment", 5)
            except grpc.RpcError:
                stop.wait(0.02)

    thread = threading.Thread(target=defragment, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(10)


class Watch:
    """A watch stream read by a thread. `log` is everything in the order it came:
    ("created",), ("event", revision, key, type), ("progress", revision), ("canceled", compact revision), ("end", code)."""

    def __init__(self, member, key="", prefix=False, progress=False, seconds=120, paused=False, **create):
        """With `progress`, asks for progress right behind the creation; `paused`: reads nothing before resume()."""
        self.log = []
        self._requests = queue.Queue()
        self._reading = threading.Event()
        key = to_bytes(key)
        self._requests.put(API.rpc.WatchRequest(create_request=API.rpc.WatchCreateRequest(
            key=key, range_end=prefix_end(key) if prefix else b"", **create)))
        if progress:
            self.ask_progress()
        self._call = member.stream("Watch", "Watch", iter(self._requests.get, None), seconds=seconds)
        if not paused:
            self.resume()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def resume(self):
        self._reading.set()

    def ask_progress(self):
        self._requests.put(API.rpc.WatchRequest(progress_request=API.rpc.WatchProgressRequest()))

    def _read(self):
        try:
            for response in self._call:
                if response.created:
                    self.log.append(("created",))
                for e in response.events:
                    self.log.append(("event", e.kv.mod_revision, e.kv.key, "DELETE" if e.type else "PUT"))
                if response.canceled:
                    self.log.append(("canceled", response.compact_revision))
                elif not response.created and not response.events:
                    self.log.append(("progress", response.header.revision))
                self._reading.wait()
            self.log.append(("end", "OK"))
        except grpc.RpcError as error:
            self.log.append(("end", error.code().name))

    def of(self, kind):
        return [entry[1:] for entry in list(self.log) if entry[0] == kind]

    def revisions(self):
        return [revision for revision, _, _ in self.of("event")]

    def await_(self, kind, count=1, seconds=20):
        wait_until(f"{count} of {kind} in {self.log[-5:]}", lambda: len(self.of(kind)) >= count, seconds)
        return self

    def close(self):
        self._reading.set()
        self._call.cancel()
        self._requests.put(None)
        self._thread.join(10)
