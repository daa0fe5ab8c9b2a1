"""Members come and go while the cluster serves."""

import time
import unittest

import grpc

from harness import ClusterTest, Member, free_ports, wait_until


class Members(ClusterTest):
    size = 3

    def newcomer(self, name):
        client, peer = free_ports(2)
        member = Member(self.cluster, name, client, peer)
        member.initial_state = "existing"
        return member

    def add(self, member, learner=False):
        through = self.cluster.leader()
        response = through.call("Cluster", "MemberAdd", 10, peerURLs=["http://" + member.peer], isLearner=learner)
        self.cluster.members.append(member)
        return response.member.ID

    def listed(self, through):
        return {m.name: m for m in through.call("Cluster", "MemberList", 5, linearizable=True).members}

    def fill(self, count=200):
        for i in range(count):
            self.cluster.members[i % 3].put(f"before/{i:03d}", "x" * 100)

    def test_a_new_member_joins_and_the_old_ones_can_leave(self):
        self.fill()
        new = self.newcomer("m4")
        identity = self.add(new)
        new.start()
        self.cluster.await_healthy()
        self.assertEqual(len(new.keys("before/")), 200)
        self.cluster.await_equal()
        self.assertEqual(new.status().header.member_id, identity)
        wait_until("its name is known", lambda: "m4" in self.listed(self.cluster.members[0]))

        # It restarts by what is on its disk.
        self.assertEqual(new.terminate(), 0)
        new.start()
        self.cluster.await_healthy()

        first = self.cluster.members[0]
        gone = self.listed(new)["m1"].ID
        new.call("Cluster", "MemberRemove", 10, ID=gone)
        wait_until("the removed member stops", lambda: not first.alive())
        self.assertIn("removed", first.log())
        self.cluster.members.remove(first)
        self.cluster.await_healthy()
        new.put("after", "1")
        self.assertEqual(self.cluster.members[0].value("after"), b"1")
        self.assertNotIn("m1", self.listed(new))
        self.cluster.await_equal()

    def test_a_learner_serves_nothing_linearizable_until_it_is_promoted(self):
        self.fill(50)
        learner = self.newcomer("learner")
        identity = self.add(learner, learner=True)
        learner.start()
        wait_until("the learner holds everything",
                   lambda: len(self.serializable_keys(learner)) == 50)
        with self.assertRaises(grpc.RpcError) as caught:
            learner.put("k", "v")
        self.assertEqual(caught.exception.details(), "etcdserver: rpc not supported for learner")
        self.assertTrue(learner.status().isLearner)

        def promoted():
            try:
                self.cluster.members[0].call("Cluster", "MemberPromote", 10, ID=identity)
                return True
            except grpc.RpcError as error:
                self.assertIn("in sync with leader", error.details())
                return False
        wait_until("the learner may be promoted", promoted)
        self.cluster.await_healthy()
        learner.put("k", "v")
        self.assertEqual(self.cluster.members[0].value("k"), b"v")

    def serializable_keys(self, member):
        try:
            return member.keys("before/", serializable=True)
        except grpc.RpcError:
            member._close()  # A fresh connection next time: no back-off of the old one.
            return ()

    def test_who_was_not_added_cannot_join(self):
        stranger = self.newcomer("stranger")
        self.cluster.members.append(stranger)
        stranger.start()
        self.assertEqual(stranger.process.wait(20), 1)
        self.assertIn("add it first", stranger.log())
        self.cluster.members.remove(stranger)

    def test_changes_that_are_refused(self):
        leader = self.cluster.leader()

        def refused(text, method, **fields):
            with self.assertRaises(grpc.RpcError) as caught:
                leader.call("Cluster", method, 5, **fields)
            self.assertEqual(caught.exception.details(), "etcdserver: " + text)

        refused("Peer URLs already exists", "MemberAdd", peerURLs=["http://" + leader.peer])
        refused("given member URLs are invalid", "MemberAdd", peerURLs=["nonsense"])
        refused("member not found", "MemberRemove", ID=12345)
        refused("can only promote a learner member", "MemberPromote", ID=leader.status().header.member_id)
        self.cluster.followers()[0].kill()
        time.sleep(3.5)  # five election timeouts: until it counts as down
        (peer,) = free_ports(1)
        refused("unhealthy cluster", "MemberAdd", peerURLs=[f"http://127.0.0.1:{peer}"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
