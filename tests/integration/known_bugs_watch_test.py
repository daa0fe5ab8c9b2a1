"""Watches: bugs of etcd that its later change logs mend, each shown not to be here.

Named after the change; docs/known-bugs.md lists them with what etcd 3.4.23 does.
"""

import pathlib
import subprocess
import threading
import time
import unittest

import grpc

from harness import KVD, ClusterTest, wait_until
from known_bugs import BugTest, Watch, defragmenting

KVCTL = str(pathlib.Path(KVD).with_name("kvctl"))


def delete_events_at_the_compaction_revision(member):
    """What a watch from the compaction revision on, which deleted a key, is told."""
    member.put("tomb", "1")
    deleted = member.call("KV", "DeleteRange", key=b"tomb").header.revision
    member.call("KV", "Compact", revision=deleted, physical=True)
    watch = Watch(member, "tomb", start_revision=deleted).await_("created")
    later = member.put("tomb", "2").header.revision
    watch.await_("event")
    wait_until("the later write", lambda: later in watch.revisions())
    watch.close()
    return deleted, [(revision - deleted, kind) for revision, _, kind in watch.of("event")]


class WatchBugs(BugTest):
    flags = ("--experimental-watch-progress-notify-interval", "300ms")

    def test_15695_progress_is_never_ahead_of_the_events(self):
        """A progress response was sent at once, with the store's revision, to a watcher that still had
        older events to come: a client that resumed from it lost them."""
        def out_of_order(member):
            first = member.put("history", "0").header.revision
            for i in range(5):
                last = member.put("history", str(i)).header.revision
            watch = Watch(member, "history", progress=True, start_revision=first).await_("event", 6).await_("progress")
            watch.close()
            said = watch.of("progress")[0][0]
            after = watch.log[watch.log.index(("progress", said)):]
            self.assertGreaterEqual(said, last)
            return [entry for entry in after if entry[0] == "event" and entry[1] <= said]

        for _ in range(5):
            self.assertEqual(out_of_order(self.member), [])
        with self.etcd(self.flags) as etcd:
            self.assertTrue(any(out_of_order(etcd) for _ in range(5)), "etcd 3.4.23 has mended it?")

    def test_17567_who_sees_no_event_is_told_of_progress(self):
        """A watcher that began in the past and met no event was never notified of progress, in the releases with the first mending of 15695."""
        first = self.member.put("elsewhere", "1").header.revision
        self.member.put("elsewhere", "2")
        watch = Watch(self.member, "nothing-here", progress_notify=True, start_revision=first).await_("progress", 2)
        watch.close()
        self.assertEqual(watch.of("event"), [])
        self.assertTrue(all(revision >= first + 1 for revision, in watch.of("progress")))

    def test_20229_a_watch_of_the_future_hears_nothing_of_before(self):
        """A watcher of a revision to come was notified of progress at revisions before it; a client that
        resumed from one of them got events from before its start."""
        def told(member):
            start = member.put("future", "0").header.revision + 5
            watch = Watch(member, "future", progress_notify=True, start_revision=start).await_("created")
            time.sleep(1)  # three notifications' time
            for i in range(7):
                member.put("future", str(i))
            watch.await_("event", 3)
            watch.close()
            self.assertEqual([r - start for r in watch.revisions()], [0, 1, 2])
            return [r for r, in watch.of("progress") if r < start - 1]

        self.assertEqual(told(self.member), [])
        with self.etcd(self.flags) as etcd:
            self.assertNotEqual(told(etcd), [], "etcd 3.4.23 has mended it?")

    def test_18274_a_deletion_at_the_compaction_revision_is_kept(self):
        """Compaction at the revision that deleted a key took the deletion away, which a watch from that
        revision on then never saw."""
        self.assertEqual(delete_events_at_the_compaction_revision(self.member)[1], [(0, "DELETE"), (1, "PUT")])
        with self.etcd() as etcd:
            self.assertEqual(delete_events_at_the_compaction_revision(etcd)[1], [(1, "PUT")])

    def test_19188_and_is_found_after_a_restart(self):
        """With its predecessors compacted before, a deletion was not found again by a member that restarted."""
        self.member.put("tomb", "1")
        before = self.member.put("tomb", "2").header.revision
        deleted = self.member.call("KV", "DeleteRange", key=b"tomb").header.revision
        self.member.call("KV", "Compact", revision=before, physical=True)
        self.member.call("KV", "Compact", revision=deleted, physical=True)
        self.member.kill()
        self.member.start()
        self.cluster.await_healthy()
        watch = Watch(self.member, "tomb", start_revision=deleted).await_("event")
        watch.close()
        self.assertEqual(watch.of("event"), [(deleted, b"tomb", "DELETE")])
        self.assertIsNone(self.member.value("tomb"))

    def test_17612_a_slow_reader_loses_no_event_to_compaction(self):
        """A watcher that had fallen behind a compaction went on after it, without a word of what was gone."""
        watch = Watch(self.member, "slow/", prefix=True, paused=True).await_("created")
        first = None
        for i in range(800):
            revision = self.member.put(f"slow/{i % 7}", b"x" * 20_000).header.revision
            first = first or revision
            if i % 200 == 199:
                self.member.call("KV", "Compact", revision=revision)
        last = self.member.put("slow/end", "1").header.revision
        watch.resume()
        wait_until("it ends or says that it is canceled",
                   lambda: watch.of("canceled") or last in watch.revisions(), 30)
        watch.close()
        seen = watch.revisions()
        self.assertEqual(seen, list(range(first, first + len(seen))), "a gap, or twice the same")
        if watch.of("canceled"):
            self.assertGreater(watch.of("canceled")[0][0], seen[-1] if seen else 0)
        else:
            self.assertEqual(seen[-1], last)

    def test_15402_watchers_do_not_starve_behind_large_reads_of_their_connection(self):
        """Under many large reads on one connection, its watch streams got their turn only after seconds."""
        for i in range(200):
            self.member.put(f"big/{i:03d}", b"x" * 10_000)
        watch = Watch(self.member, "tick").await_("created")
        stop = threading.Event()

        def read():
            while not stop.is_set():
                self.member.get(b"big/", range_end=b"big0", seconds=60)

        readers = [threading.Thread(target=read, daemon=True) for _ in range(8)]
        for r in readers:
            r.start()
        waits = []
        try:
            for i in range(20):
                revision = self.member.put("tick", str(i), seconds=30).header.revision
                written = time.monotonic()
                wait_until("the event", lambda: revision in watch.revisions(), 30)
                waits.append(time.monotonic() - written)
        finally:
            stop.set()
            for r in readers:
                r.join(60)
            watch.close()
        self.assertLess(sorted(waits)[len(waits) // 2], 2.0, waits)

    def test_15274_a_client_that_resumes_repeats_nothing(self):
        """A client that resumed its watch after its member had restarted was sent events twice."""
        out = pathlib.Path(self.cluster.directory, "watch.out")
        with open(out, "wb") as file:
            client = subprocess.Popen([KVCTL, "--endpoints", self.member.client, "watch", "--prefix", "p/"],
                                      stdout=file, stdin=subprocess.DEVNULL)

        def probed():
            self.member.put("p/probe", "1")
            return b"probe" in out.read_bytes()

        try:
            wait_until("the client watches", probed)
            for round_ in range(3):
                for i in range(10):
                    self.member.put(f"p/{round_}-{i}", "x")
                if round_ < 2:
                    self.member.kill()
                    self.member.start()
                    self.cluster.await_healthy()
            wait_until("the last write", lambda: b"p/2-9" in out.read_bytes(), 60)
        finally:
            client.kill()
            client.wait()
        lines = [x for x in out.read_text().splitlines() if x.startswith("p/") and "probe" not in x]
        self.assertEqual(lines, [f"p/{r}-{i}" for r in range(3) for i in range(10)])


class WatchesThroughSnapshots(ClusterTest):
    size = 3
    flags = ("--snapshot-count", "100", "--experimental-snapshot-catchup-entries", "10")

    def test_15520_20291_20553_a_snapshot_takes_no_watcher_back(self):
        """When a member that was cut off took the leader's snapshot, its watchers got old events again
        (15520), those of a future revision got earlier ones (20291); and a defragmentation at that moment
        could damage its data (20553)."""
        member = self.cluster.followers()[0]
        others = [m for m in self.cluster.members if m is not member]
        first = others[0].put("w/0", "x").header.revision
        wait_until("the member has it", lambda: member.value("w/0", serializable=True))
        present = Watch(member, "w/", prefix=True, start_revision=first).await_("event")
        future = Watch(member, "w/", prefix=True, start_revision=first + 1500).await_("created")
        member.pause()
        for i in range(1, 1400):
            others[i % 2].put(f"w/{i % 50}", b"x" * 300, seconds=20)
        member.resume()
        last = first + 1599
        with defragmenting(member):
            for i in range(1400, 1600):
                others[i % 2].put(f"w/{i % 50}", b"x" * 300, seconds=20)
            for watch in (present, future):
                wait_until("the last event", lambda w=watch: last in w.revisions() or w.of("canceled"), 60)
        self.assertRegex(member.log(), "(?i)snapshot")
        self.assertEqual(present.revisions(), list(range(first, last + 1)))
        self.assertEqual(future.revisions(), list(range(first + 1500, last + 1)))
        for watch in (present, future):
            self.assertEqual(watch.of("canceled"), [])
            watch.close()
        self.cluster.await_equal()


if __name__ == "__main__":
    unittest.main(verbosity=2)
