"""Leases through restarts and changes of leader."""

import queue
import threading
import time
import unittest

import grpc

from harness import API, ClusterTest, wait_until


class KeepAlive:
    """Keeps a lease alive through one member until closed."""

    def __init__(self, member, lease, every=0.4):
        self.requests = queue.Queue()
        self.ttls = []
        self._stop = threading.Event()

        def feed():
            while not self._stop.is_set():
                yield API.rpc.LeaseKeepAliveRequest(ID=lease)
                self._stop.wait(every)

        def read():
            try:
                for response in member.stream("Lease", "LeaseKeepAlive", feed(), seconds=60):
                    self.ttls.append(response.TTL)
            except grpc.RpcError:
                pass

        self.thread = threading.Thread(target=read, daemon=True)
        self.thread.start()

    def close(self):
        self._stop.set()
        self.thread.join(10)


class Leases(ClusterTest):
    size = 3

    def grant(self, member, ttl, lease=0):
        return member.call("Lease", "LeaseGrant", TTL=ttl, ID=lease)

    def time_to_live(self, member, lease):
        return member.call("Lease", "LeaseTimeToLive", ID=lease, keys=True)

    def test_expiry_deletes_the_keys_on_every_member(self):
        a, b, c = self.cluster.members
        lease = self.grant(a, 2).ID
        b.put("leased/1", "x", lease=lease)
        b.put("leased/2", "x", lease=lease)
        b.put("free", "x")
        start = time.monotonic()
        self.assertEqual(sorted(self.time_to_live(c, lease).keys), [b"leased/1", b"leased/2"])
        wait_until("the keys are gone", lambda: not a.keys("leased/"), 15)
        self.assertGreater(time.monotonic() - start, 1.0, "expired early")
        for member in self.cluster.members:
            wait_until("gone here too", lambda m=member: not m.keys("leased/", serializable=True), 5)
            self.assertEqual(member.value("free"), b"x")
            self.assertEqual(self.time_to_live(member, lease).TTL, -1)
        self.cluster.await_equal()

    def test_keep_alive_through_a_follower_holds_a_lease(self):
        follower = self.cluster.followers()[0]
        lease = self.grant(follower, 2).ID
        follower.put("held", "x", lease=lease)
        keeper = KeepAlive(follower, lease)
        try:
            time.sleep(6)
            self.assertEqual(follower.value("held"), b"x")
            self.assertTrue(keeper.ttls and all(ttl == 2 for ttl in keeper.ttls), keeper.ttls)
        finally:
            keeper.close()
        wait_until("it expires once nobody holds it", lambda: follower.value("held") is None, 15)

    def test_lease_survives_a_change_of_leader_and_still_expires(self):
        leader = self.cluster.leader()
        follower = self.cluster.followers()[0]
        lease = self.grant(follower, 5, lease=7001).ID
        self.assertEqual(lease, 7001)
        follower.put("k", "x", lease=lease)
        leader.kill()
        self.cluster.leader()
        ttl = self.time_to_live(follower, lease)
        self.assertEqual(ttl.grantedTTL, 5)
        self.assertGreater(ttl.TTL, 0)
        self.assertEqual(follower.value("k"), b"x")
        wait_until("expired under the new leader", lambda: follower.value("k") is None, 25)

    def test_lease_survives_a_restart_of_all_members(self):
        lease = self.grant(self.cluster.members[0], 60).ID
        self.cluster.members[1].put("k", "x", lease=lease)
        for member in self.cluster.members:
            member.kill()
        for member in self.cluster.members:
            member.start()
        self.cluster.await_healthy()
        for member in self.cluster.members:
            answer = self.time_to_live(member, lease)
            self.assertEqual((answer.grantedTTL, list(answer.keys)), (60, [b"k"]))
            self.assertGreater(answer.TTL, 40)
            self.assertEqual([x.ID for x in member.call("Lease", "LeaseLeases").leases], [lease])

    def test_revoke_deletes_at_once_and_unknown_leases_are_refused(self):
        a, b, _ = self.cluster.members
        lease = self.grant(a, 600).ID
        a.put("r1", "x", lease=lease)
        a.put("r2", "x", lease=lease)
        before = a.get("x").header.revision
        b.call("Lease", "LeaseRevoke", ID=lease)
        self.assertIsNone(b.value("r1"))
        self.assertIsNone(b.value("r2"))
        self.assertEqual(b.get("x").header.revision, before + 1, "one revision for all keys of a lease")
        for action in (lambda: b.call("Lease", "LeaseRevoke", ID=lease), lambda: b.put("r3", "x", lease=lease)):
            with self.assertRaises(grpc.RpcError) as caught:
                action()
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
            self.assertEqual(caught.exception.details(), "etcdserver: requested lease not found")


if __name__ == "__main__":
    unittest.main(verbosity=2)
