"""What operators do to a cluster that serves: give space back, replace members, stop and go on."""

import os
import time
import unittest

import grpc

from harness import ClusterTest, Load, Member, free_ports, prefix_end, wait_until


class Space(ClusterTest):
    size = 1

    def test_what_deletes_and_compaction_free_comes_back_by_itself(self):
        m = self.cluster.members[0]
        for i in range(150):
            for version in range(2):
                m.put(f"big/{i:04d}", bytes([65 + version]) + i.to_bytes(2, "big") + os.urandom(100_000))
        full = wait_until("the size is known", lambda: (m.status().dbSize > 25_000_000) and m.status().dbSize)
        m.call("KV", "DeleteRange", 10, key=b"big/", range_end=prefix_end(b"big/"))
        m.call("KV", "Compact", 20, revision=m.get("x").header.revision)
        # No call asks for it.
        wait_until(f"the size falls from {full}; it is {m.status().dbSize}",
                   lambda: m.status().dbSize < full / 5, 60)
        self.assertEqual(m.call("Maintenance", "Defragment", 5).ByteSize(), 0)


class Quota(ClusterTest):
    size = 1
    flags = ("--quota-backend-bytes", "3000000")

    def test_a_restart_with_more_lets_writes_go_on(self):
        m = self.cluster.members[0]
        with self.assertRaises(grpc.RpcError) as caught:
            for i in range(100):
                m.put(f"k{i}", os.urandom(100_000))
                time.sleep(0.02)
        self.assertEqual(caught.exception.details(), "etcdserver: mvcc: database space exceeded")
        wait_until("the alarm", lambda: len(m.call("Maintenance", "Alarm", action=0).alarms) == 1)
        self.assertEqual(m.terminate(), 0)
        self.cluster.flags = ["--quota-backend-bytes", "100000000"]
        m.start()
        self.cluster.await_healthy()
        wait_until("the alarm is lowered", lambda: not m.call("Maintenance", "Alarm", action=0).alarms)
        m.put("more", "x")
        self.assertEqual(m.status().dbSizeQuota, 100000000)


class Replacement(ClusterTest):
    size = 3
    flags = ("--max-learners", "2")

    def newcomer(self, name):
        client, peer = free_ports(2)
        member = Member(self.cluster, name, client, peer)
        member.initial_state = "existing"
        return member

    def test_every_member_is_replaced_under_load(self):
        with Load(self.cluster) as load:
            for i, old in enumerate(list(self.cluster.members)):
                new = self.newcomer(f"n{i}")
                leader = self.cluster.leader()
                identity = leader.call("Cluster", "MemberAdd", 10, peerURLs=["http://" + new.peer],
                                       isLearner=True).member.ID
                new.start(extra=["--initial-cluster",
                                 f"{self.cluster.initial_cluster()},{new.name}=http://{new.peer}"])

                def promoted():
                    try:
                        self.cluster.leader().call("Cluster", "MemberPromote", 10, ID=identity)
                        return True
                    except grpc.RpcError as error:
                        assert "can only promote a learner" in error.details(), error.details()
                        return False
                wait_until("it has caught up", promoted, 30)
                # Writers turn to it from now on, and no more to the one that goes.
                self.cluster.members.append(new)
                self.cluster.await_healthy([new])
                self.cluster.members.remove(old)
                leader = self.cluster.leader(among=[old, *self.cluster.members])
                gone = old.status().header.member_id
                if leader is old:
                    old.call("Maintenance", "MoveLeader", 10, targetID=identity)
                    leader = self.cluster.leader(among=self.cluster.members)

                def removed():
                    try:
                        leader.call("Cluster", "MemberRemove", 10, ID=gone)
                        return True
                    except grpc.RpcError as error:
                        # Until the newcomer has published its name it does not count as started.
                        assert "not enough started members" in error.details(), error.details()
                        return False
                wait_until("the newcomer counts", removed)
                old.await_removed()
                load.await_progress(100)
        load.check_nothing_missing()
        self.cluster.await_equal()
        # Each writer may have had a request under way in a member that stopped.
        codes = {code for code, _ in load.failures}
        self.assertLessEqual(len(load.failures), 3 * 8, load.failures)
        self.assertLessEqual(codes, {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}, load.failures)

    def test_two_learners_at_once_and_not_three(self):
        leader = self.cluster.leader()
        learners = [self.newcomer(f"l{i}") for i in range(2)]
        for m in learners:
            leader.call("Cluster", "MemberAdd", 10, peerURLs=["http://" + m.peer], isLearner=True)
            self.cluster.members.append(m)
            m.start()
        (peer,) = free_ports(1)
        with self.assertRaises(grpc.RpcError) as caught:
            leader.call("Cluster", "MemberAdd", 10, peerURLs=[f"http://127.0.0.1:{peer}"], isLearner=True)
        self.assertEqual(caught.exception.details(), "etcdserver: too many learner members in cluster")
        leader.put("a", "1")
        for m in learners:
            def serves(m=m):
                try:
                    return m.value("a", serializable=True) == b"1"
                except grpc.RpcError:
                    m._close()
                    return False
            wait_until(f"{m.name} holds the data", serves)
            with self.assertRaises(grpc.RpcError) as caught:
                m.get("a")
            self.assertEqual(caught.exception.details(), "etcdserver: rpc not supported for learner")


if __name__ == "__main__":
    unittest.main(verbosity=2)
