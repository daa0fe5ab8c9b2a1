"""Members come and go while the cluster serves."""

import os
import time
import unittest

import grpc

from harness import ClusterTest, Load, Member, free_ports, wait_until


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
        first.await_removed()
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

    def test_a_member_is_added_under_load(self):
        new = self.newcomer("m4")
        with Load(self.cluster) as load:
            load.await_progress(100)
            self.cluster.leader().call("Cluster", "MemberAdd", 10, peerURLs=["http://" + new.peer])
            self.cluster.members.append(new)
            new.start()
            self.cluster.await_healthy()
            load.await_progress(100)
        load.check_nothing_missing()
        self.cluster.await_equal()

    def test_a_voter_that_has_not_heard_of_a_newcomer_votes_for_it(self):
        """Only the newcomer's log is long enough to lead, and it needs the vote of one
        that does not know it: whoever is to answer must learn how to."""
        behind = self.cluster.followers()[0]
        old = [m for m in self.cluster.members if m is not behind]
        new = self.newcomer("m4")
        behind.kill()
        self.add(new)
        new.start()
        self.cluster.await_healthy([*old, new])
        leader = self.cluster.leader()
        if leader is new:  # on a busy machine
            new.call("Maintenance", "MoveLeader", 10, targetID=self.listed(new)[old[0].name].ID)
            leader = self.cluster.leader()
        other = next(m for m in old if m is not leader)
        for i in range(20):  # So that the change is committed by what is on the other's disk, too.
            leader.put(f"known/{i}", "x")
        other.kill()
        with self.assertRaises(grpc.RpcError):  # On the leader's disk and the newcomer's only.
            leader.put("k", "on two of four", seconds=1)
        leader.kill()
        other.start()
        behind.start()
        self.cluster.await_healthy([other, behind, new])
        self.assertEqual(behind.value("k"), b"on two of four")
        leader.start()
        self.cluster.await_healthy()
        self.cluster.await_equal()

    def test_a_new_member_restarted_before_it_has_caught_up(self):
        """By then nobody is left of those that its first start was told of by flags."""
        self.fill()
        for i, old in enumerate(self.cluster.members[:3]):
            new = self.newcomer(f"n{i}")
            self.add(new)
            new.start()
            self.cluster.await_healthy()
            wait_until("its name is known", lambda new=new: new.name in self.listed(new))
            new.call("Cluster", "MemberRemove", 10, ID=self.listed(new)[old.name].ID)
            old.await_removed()
            self.cluster.members.remove(old)
            self.cluster.await_healthy()
        late = self.newcomer("late")
        self.add(late)
        # It listens where nobody looks for it: it learns who it is, and nothing else.
        (elsewhere,) = free_ports(1)
        late.start(extra=["--listen-peer-urls", f"http://127.0.0.1:{elsewhere}"])
        wait_until("it knows who it is",
                   lambda: os.path.exists(os.path.join(late.data_dir, "member", "identity")))
        late.kill()
        late.start()
        self.cluster.await_healthy()
        self.assertEqual(len(late.keys("before/")), 200)
        self.cluster.await_equal()

    def test_who_was_down_when_it_was_removed_is_told(self):
        gone = self.cluster.followers()[0]
        identity = gone.status().header.member_id
        gone.kill()
        self.cluster.members.remove(gone)
        # Two of three remain: the change is theirs alone, and the log forgets it.
        self.cluster.leader().call("Cluster", "MemberRemove", 10, ID=identity)
        self.cluster.await_healthy()
        gone.start()
        gone.await_removed()
        # Whoever answers was started since, too.
        for m in self.cluster.members:
            m.kill()
            m.start()
        self.cluster.await_healthy()
        before = len(gone.log())
        gone.start()
        gone.await_removed()
        self.assertIn("was removed at index=", gone.log()[before:])
        self.cluster.await_equal()

    def test_who_was_cut_off_when_it_was_removed_is_told(self):
        gone = self.cluster.followers()[0]
        identity = gone.status().header.member_id
        gone.pause()
        self.cluster.members.remove(gone)
        self.cluster.leader().call("Cluster", "MemberRemove", 10, ID=identity)
        self.cluster.await_healthy()
        time.sleep(1.5)  # longer than it is listened to on the connections that it has
        gone.resume()
        gone.await_removed()

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
