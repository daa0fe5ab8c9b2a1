"""Watches through restarts of members, on followers, and with readers that do not read."""

import queue
import threading
import time
import unittest

import grpc

from harness import API, ClusterTest, Load, prefix_end, wait_until


class Watcher:
    """Reads a prefix's events through one member, and resumes through the next when it is lost."""

    def __init__(self, cluster, prefix, first=0, start_revision=1):
        self.cluster = cluster
        self.prefix = prefix.encode()
        self.turn = first
        self.next = start_revision
        self.events = []  # (mod revision, key, type)
        self.splits = []
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while not self._stop.is_set():
            member = self.cluster.members[self.turn % len(self.cluster.members)]
            self.turn += 1
            requests = queue.Queue()
            requests.put(API.rpc.WatchRequest(create_request=API.rpc.WatchCreateRequest(
                key=self.prefix, range_end=prefix_end(self.prefix), start_revision=self.next)))
            try:
                responses = member.stream("Watch", "Watch", iter(requests.get, None), seconds=120)
                self._call = responses
                for response in responses:
                    if response.canceled:
                        self.splits.append(response.cancel_reason)
                        return
                    for event in response.events:
                        if event.kv.mod_revision < self.next:
                            self.splits.append(f"revision {event.kv.mod_revision} after {self.next}")
                        self.events.append((event.kv.mod_revision, event.kv.key, event.type))
                    if response.events:
                        self.next = response.events[-1].kv.mod_revision + 1
            except grpc.RpcError:
                member._close()
                time.sleep(0.05)
            finally:
                requests.put(None)

    def close(self):
        self._stop.set()
        self._call.cancel()
        self.thread.join(10)


class Watches(ClusterTest):
    size = 3

    def test_watchers_on_all_members_see_every_write_once_through_kills(self):
        watchers = [Watcher(self.cluster, "load/", first=i) for i in range(3)]
        with Load(self.cluster, writers=4) as load:
            load.await_progress(200)
            victim = self.cluster.leader()
            victim.kill()
            load.await_progress(200)
            victim.start()
            self.cluster.await_healthy()
            load.await_progress(50)
        acknowledged = {revision: key for key, revision in load.acknowledged}
        last = max(acknowledged)
        for watcher in watchers:
            wait_until("the watcher reached the last write", lambda w=watcher: w.next > last, 20)
            watcher.close()
            revisions = [revision for revision, _, _ in watcher.events]
            self.assertEqual(revisions, sorted(set(revisions)), "out of order or twice")
            self.assertFalse(watcher.splits)
            seen = {revision: key for revision, key, _ in watcher.events}
            missing = [r for r, key in acknowledged.items() if seen.get(r) != key]
            self.assertFalse(missing, "acknowledged writes without an event")
        # What all saw is the same history.
        histories = [[e for e in w.events if e[0] <= last] for w in watchers]
        self.assertEqual(histories[0], histories[1])
        self.assertEqual(histories[0], histories[2])

    def test_a_reader_that_stops_reading_costs_bounded_memory_and_loses_nothing(self):
        member = self.cluster.followers()[0]
        requests = queue.Queue()
        requests.put(API.rpc.WatchRequest(create_request=API.rpc.WatchCreateRequest(
            key=b"slow/", range_end=prefix_end(b"slow/"))))
        responses = member.stream("Watch", "Watch", iter(requests.get, None), seconds=180)
        first = next(responses)
        self.assertTrue(first.created)

        def resident_mb():
            with open(f"/proc/{member.process.pid}/status") as f:
                return next(int(line.split()[1]) for line in f if line.startswith("VmRSS")) / 1024

        before = resident_mb()
        count, size = 4000, 50_000  # 200 MB of events while nobody reads
        leader = self.cluster.leader()
        for i in range(count):
            leader.put(f"slow/{i % 20:02d}", str(i).encode().rjust(size, b"."), seconds=20)
        wait_until("the follower applied them", lambda: member.get("slow/19").kvs[0].version == count // 20)
        # The store's own caches and the log's recent entries grow too; 200 MB of queued events would show.
        growth = resident_mb() - before
        self.assertLess(growth, 160, "memory grew with what the reader has not read")

        seen = 0
        for response in responses:
            for event in response.events:
                self.assertEqual(int(event.kv.value.lstrip(b".")), seen)
                seen += 1
            if seen == count:
                break
        self.assertEqual(seen, count)
        responses.cancel()
        requests.put(None)


if __name__ == "__main__":
    unittest.main(verbosity=2)
