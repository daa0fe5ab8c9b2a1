"""Store, leases, users, members: bugs of etcd that its later change logs mend, each shown not to be here.

Named after the change; docs/known-bugs.md lists them with what etcd 3.4.23 does.
"""

import os
import pathlib
import queue
import socket
import threading
import time
import unittest

import grpc

from harness import API, ClusterTest, Member, free_ports, wait_until
from known_bugs import BugTest, defragmenting

OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE


def keep_alive_once(member, lease):
    """The TTL that one keep-alive is answered with."""
    requests = queue.Queue()
    requests.put(API.rpc.LeaseKeepAliveRequest(ID=lease))
    call = member.stream("Lease", "LeaseKeepAlive", iter(requests.get, None), seconds=5)
    try:
        return next(call).TTL
    finally:
        requests.put(None)
        call.cancel()


def op_put(key, value=b""):
    return API.rpc.RequestOp(request_put=API.rpc.PutRequest(key=key, value=value))


def op_range(key, end=b"", **fields):
    return API.rpc.RequestOp(request_range=API.rpc.RangeRequest(key=key, range_end=end, **fields))


class Leases(ClusterTest):
    size = 3

    def test_17425_a_leader_of_yesterday_ends_no_lease(self):
        """A leader that had been paused past its term ended leases that had been renewed with its successor."""
        old = self.cluster.leader()
        others = [m for m in self.cluster.members if m is not old]
        lease = others[0].call("Lease", "LeaseGrant", TTL=4).ID
        others[0].put("held", "x", lease=lease)
        stop, renewed = threading.Event(), []

        def keep():
            while not stop.wait(0.3):
                try:
                    renewed.append(keep_alive_once(others[0], lease))
                except grpc.RpcError:
                    others[0]._close()

        keeper = threading.Thread(target=keep, daemon=True)
        keeper.start()
        try:
            old.pause()
            self.cluster.leader(among=others)
            time.sleep(6)  # longer than the lease: the old leader wakes up to find it expired
            old.resume()
            count = len(renewed)
            wait_until("it is renewed further", lambda: len(renewed) > count + 8, 30)
        finally:
            old.resume()
            stop.set()
            keeper.join(10)
        self.assertEqual(set(renewed), {4})
        self.assertEqual(old.value("held"), b"x")

    def test_20590_a_revoked_lease_is_not_renewed(self):
        """A renewal that met a revocation was answered with success, and the client went on in the belief that it held it."""
        members = self.cluster.members
        for i in range(60):
            lease = members[i % 3].call("Lease", "LeaseGrant", TTL=60).ID
            self.assertEqual(keep_alive_once(members[(i + 1) % 3], lease), 60)
            members[i % 3].call("Lease", "LeaseRevoke", ID=lease)
            self.assertEqual(keep_alive_once(members[(i + 2) % 3], lease), 0)

    def test_17642_a_change_of_leader_makes_no_lease_look_gone(self):
        """Asked for while the leader changed, a living lease's time to live was answered wrongly."""
        lease = self.cluster.members[0].call("Lease", "LeaseGrant", TTL=600).ID
        stop, answers, failures = threading.Event(), [], []

        def ask(member):
            while not stop.is_set():
                try:
                    answers.append(member.call("Lease", "LeaseTimeToLive", ID=lease).TTL)
                except grpc.RpcError as error:
                    failures.append(error.details())
                    time.sleep(0.02)

        threads = [threading.Thread(target=ask, args=(m,), daemon=True) for m in self.cluster.members]
        for t in threads:
            t.start()
        for _ in range(8):
            leader = self.cluster.leader()
            target = self.cluster.members[(self.cluster.members.index(leader) + 1) % 3]
            leader.call("Maintenance", "MoveLeader", targetID=target.status().header.member_id)
            wait_until("answers go on", lambda n=len(answers): len(answers) > n + 20)
        stop.set()
        for t in threads:
            t.join(10)
        self.assertTrue(all(500 < ttl <= 600 for ttl in answers), sorted(set(answers))[:5])


class Store(ClusterTest):
    size = 3

    def test_18667_a_read_of_the_past_inside_a_transaction_parts_no_members(self):
        """A transaction that reads a compacted revision was refused by the member that the client asked and
        applied by the others, which leave such reads out."""
        stop, done, refused = threading.Event(), [], []
        self.cluster.members[0].put("past", "0")

        def compact():
            while not stop.is_set():
                revision = self.cluster.members[0].put("past", "x").header.revision
                try:
                    self.cluster.members[0].call("KV", "Compact", revision=revision - 1)
                except grpc.RpcError as error:
                    self.assertEqual(error.code(), OUT_OF_RANGE)

        def write(number):
            member = self.cluster.members[number]
            revision = member.get("past").header.revision
            while not stop.is_set():
                try:
                    response = member.call("KV", "Txn", success=[op_put(b"count"), op_range(b"past", revision=revision)])
                    done.append(response.header.revision)
                except grpc.RpcError as error:
                    refused.append(error.code())
                    revision = member.get("past").header.revision

        threads = [threading.Thread(target=compact, daemon=True)]
        threads += [threading.Thread(target=write, args=(n,), daemon=True) for n in (1, 2)]
        for t in threads:
            t.start()
        wait_until("both have happened often", lambda: len(done) > 100 and len(refused) > 30, 60)
        stop.set()
        for t in threads:
            t.join(20)
        self.assertEqual(set(refused), {OUT_OF_RANGE})
        self.cluster.await_equal()
        self.assertEqual(self.cluster.members[0].get("count").kvs[0].version, len(done))

    def test_14110_18679_a_transaction_is_all_or_nothing_though_its_client_gives_up(self):
        """A member whose client had gone in the middle of a transaction stopped, with half of it written."""
        for i in range(300):
            self.cluster.members[0].put(f"big/{i:03d}", b"x" * 2000)
        gave_up = answered = 0
        patience = 0.010  # seconds; moves to where about half of the clients give up, however fast the machine is
        for i in range(3000):
            if gave_up >= 40 and answered >= 40:
                break
            member = self.cluster.members[i % 3]
            try:
                member.call("KV", "Txn", patience,
                            success=[op_put(b"x/%d" % i), op_range(b"big/", b"big0"), op_put(b"y/%d" % i)])
                answered += 1
                patience *= 0.9
            except grpc.RpcError as error:
                self.assertEqual(error.code(), grpc.StatusCode.DEADLINE_EXCEEDED)
                gave_up += 1
                patience *= 1.1
        self.assertGreaterEqual(min(gave_up, answered), 40)
        self.cluster.await_equal()
        for member in self.cluster.members:
            self.assertTrue(member.alive())
            x, y = member.keys("x/"), member.keys("y/")
            self.assertEqual({k[2:] for k in x}, {k[2:] for k in y})

    def test_14733_a_crash_within_a_defragmentation_takes_no_revision_back(self):
        """A member killed while it defragmented came back with a lower revision than the others, for ever."""
        for round_ in range(3):
            member = self.cluster.members[round_]
            with defragmenting(member):
                for i in range(200):
                    revision = member.put(f"k{i % 20}", b"x" * 1000).header.revision
                member.kill()
            member.start()
            self.cluster.await_healthy()
            self.assertEqual(member.get("k0").header.revision, revision)
            self.cluster.await_equal()

    def test_21385_20418_linearizable_reads_are_never_old(self):
        """A member answered a linearizable read with an index confirmed for an earlier leader, or an earlier
        read, when the leader changed or had been paused."""
        acknowledged, stop, wrong, reads = [0], threading.Event(), [], [0, 0, 0]

        def write():
            # A write without an answer may happen later, but not behind one that was acknowledged: each
            # compares with the version before it.
            rpc, number, turn, version = API.rpc, 1, 0, 0
            read = rpc.RequestOp(request_range=rpc.RangeRequest(key=b"counter"))
            while not stop.is_set():
                member = self.cluster.members[turn % 3]
                put = rpc.RequestOp(request_put=rpc.PutRequest(key=b"counter", value=b"%d" % number))
                same = rpc.Compare(key=b"counter", target=rpc.Compare.MOD, mod_revision=version)
                try:
                    answer = member.call("KV", "Txn", 1, compare=[same], success=[put], failure=[read])
                except grpc.RpcError:
                    turn += 1
                else:
                    if answer.succeeded:
                        version, acknowledged[0] = answer.header.revision, number
                    else:
                        version = answer.responses[0].response_range.kvs[0].mod_revision
                number += 1

        def read(index):
            while not stop.is_set():
                least = acknowledged[0]
                try:
                    value = self.cluster.members[index].value("counter", seconds=2)
                except grpc.RpcError:
                    continue
                reads[index] += 1
                if int(value or 0) < least:
                    wrong.append((index, least, value))

        threads = [threading.Thread(target=write, daemon=True)]
        threads += [threading.Thread(target=read, args=(i,), daemon=True) for i in (0, 1, 2)]
        for t in threads:
            t.start()
        try:
            for i in range(6):
                leader = self.cluster.leader()
                others = [m for m in self.cluster.members if m is not leader]
                if i % 2:
                    leader.call("Maintenance", "MoveLeader", targetID=others[0].status().header.member_id)
                else:
                    leader.pause()
                    try:
                        self.cluster.leader(among=others)
                        number = acknowledged[0]
                        wait_until("writes go on", lambda: acknowledged[0] > number, 20)
                    finally:
                        leader.resume()
                seen = list(reads)
                wait_until("each member reads on", lambda: all(a > b + 5 for a, b in zip(reads, seen)), 30)
        finally:
            stop.set()
            for t in threads:
                t.join(20)
        self.assertEqual(wrong, [])


def hpack_string(data):
    return bytes([len(data)]) + data


def with_raw_header(address, name, value):
    """Sends Range with a header field that no gRPC library would send."""
    head = b"\x83\x86" + b"\x04" + hpack_string(b"/etcdserverpb.KV/Range") + b"\x01" + hpack_string(b"localhost")
    for field, content in ((b"content-type", b"application/grpc"), (b"te", b"trailers"), (name, value)):
        head += b"\x00" + hpack_string(field) + hpack_string(content)
    message = API.rpc.RangeRequest(key=b"a").SerializeToString()
    body = b"\0" + len(message).to_bytes(4, "big") + message

    def frame(kind, flags, stream, payload):
        return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

    host, port = address.split(":")
    with socket.create_connection((host, int(port)), timeout=3) as s:
        s.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0, b"") + frame(1, 4, 1, head) + frame(0, 1, 1, body))
        try:
            while s.recv(65536):
                pass
        except OSError:
            pass


class Requests(BugTest):
    def survives(self, member, action, dies):
        """The member goes on serving after `action`, or, if it `dies`, does not."""
        try:
            action(member)
        except grpc.RpcError:
            pass
        if dies:
            wait_until("it stops", lambda: not member.alive(), 10)
        else:
            member.put("still", "served")

    def test_13555_an_unknown_sort_target_is_refused(self):
        """A range sorted by something that there is not stopped the server."""
        def sort(member):
            member.get("a", sort_target=9, sort_order=1)
        self.refused("INVALID_ARGUMENT", "etcdserver: invalid sort option", lambda: sort(self.member))
        self.survives(self.member, sort, dies=False)
        with self.etcd() as etcd:
            self.survives(etcd, sort, dies=True)

    def test_13560_a_version_header_that_is_no_text_does_no_harm(self):
        """A client-api-version that is no UTF-8 stopped the server, which keeps a counter by that name."""
        def send(member):
            with_raw_header(member.client, b"client-api-version", b"\xff\xfe3.4")
        self.survives(self.member, send, dies=False)
        with self.etcd() as etcd:
            self.survives(etcd, send, dies=True)

    def test_13086_15620_permissions_of_nothing_are_refused(self):
        """A permission that was not given stopped the server; one for an empty range was taken."""
        self.member.call("Auth", "RoleAdd", name="r")
        permission = API.modules["auth"].Permission
        for perm in (None, permission(permType=2, key=b"b", range_end=b"a"), permission(permType=2, key=b"b", range_end=b"b"),
                     permission(permType=2, key=b"")):
            with self.assertRaises(grpc.RpcError) as caught:
                self.member.call("Auth", "RoleGrantPermission", name="r", **({"perm": perm} if perm else {}))
            self.assertEqual(caught.exception.code(), grpc.StatusCode.INVALID_ARGUMENT, perm)
        self.assertEqual(len(self.member.call("Auth", "RoleGet", role="r").perm), 0)
        with self.etcd() as etcd:
            etcd.call("Auth", "RoleAdd", name="r")
            etcd.call("Auth", "RoleGrantPermission", name="r", perm=permission(permType=2, key=b"b", range_end=b"a"))
            self.assertEqual(len(etcd.call("Auth", "RoleGet", role="r").perm), 1)
            self.survives(etcd, lambda member: member.call("Auth", "RoleGrantPermission", name="r"), dies=True)

    def test_13084_an_alarm_of_no_kind_is_not_raised(self):
        """An alarm without a kind was kept, and stood among the others."""
        def alarms(member):
            member.call("Maintenance", "Alarm", action=1, memberID=7)
            return len(member.call("Maintenance", "Alarm").alarms)

        self.assertEqual(alarms(self.member), 0)
        with self.etcd() as etcd:
            self.assertEqual(alarms(etcd), 1)

    def test_11943_15653_no_password_is_written_anywhere(self):
        """The log of proposals, and what was shown for debugging, had passwords in plain text (CVE-2021-28235)."""
        def traces(member):
            words = [b"secret-one-4711", b"secret-two-4712"]
            member.call("Auth", "UserAdd", name="root", password=words[0].decode())
            member.call("Auth", "RoleAdd", name="root")
            member.call("Auth", "UserGrantRole", user="root", role="root")
            member.call("Auth", "AuthEnable")
            member.call("Auth", "Authenticate", 20, name="root", password=words[0].decode())
            member.terminate()
            found = []
            for folder, _, files in os.walk(member.cluster.directory):
                for name in files:
                    data = pathlib.Path(folder, name).read_bytes()
                    found += [name for word in words if word in data]
            return found

        self.assertEqual(traces(self.member), [])
        with self.etcd() as etcd:
            self.assertNotEqual(traces(etcd), [], "etcd 3.4.23 has mended it?")

    def test_15097_a_learner_that_never_started_is_not_promoted(self):
        """Asked at the moment of its addition, a learner that nobody had heard of was made a voter."""
        port, = free_ports(1)
        added = self.member.call("Cluster", "MemberAdd", peerURLs=[f"http://127.0.0.1:{port}"], isLearner=True)
        for _ in range(20):
            self.refused("FAILED_PRECONDITION", "etcdserver: can only promote a learner member which is in sync with leader",
                         lambda: self.member.call("Cluster", "MemberPromote", ID=added.member.ID))
        self.assertTrue([m for m in self.member.call("Cluster", "MemberList").members if m.isLearner])

    def test_19557_a_promotion_outlives_a_restart(self):
        """A promoted learner was a learner again in one of the places that membership was kept in (3.5.1 to 3.5.20)."""
        ports = free_ports(2)
        learner = Member(self.cluster, "late", *ports)
        learner.initial_state = "existing"
        identity = self.member.call("Cluster", "MemberAdd", peerURLs=["http://" + learner.peer], isLearner=True).member.ID
        self.cluster.members.append(learner)
        learner.start()

        def promoted():
            try:
                return self.member.call("Cluster", "MemberPromote", ID=identity)
            except grpc.RpcError:
                return None
        wait_until("it is promoted", promoted, 30)
        for member in self.cluster.members:
            member.kill()
        for member in self.cluster.members:
            member.start()
        self.cluster.await_healthy()
        for member in self.cluster.members:
            listed = member.call("Cluster", "MemberList").members
            self.assertEqual([m.isLearner for m in listed], [False, False])
            self.assertFalse(member.status().isLearner)


if __name__ == "__main__":
    unittest.main(verbosity=2)
