"""What clients that ask for a leader ("hasleader" in the metadata) are told without one."""

import os
import threading
import time
import unittest

import grpc

from harness import API, ClusterTest, short_channel, wait_until

ASKS = (("hasleader", "true"),)


def lease_requests(lease, stop):
    while not stop.is_set():
        yield API.rpc.LeaseKeepAliveRequest(ID=lease)
        stop.wait(0.2)


def one(request, stop):
    yield request
    stop.wait(60)


class Stream:
    """Reads a stream, but for `first` messages only until read_on is set."""

    def __init__(self, channel, service, method, requests, metadata, first=None):
        m = API.methods[(service, method)]
        kinds = {(True, True): channel.stream_stream, (False, True): channel.unary_stream}
        stub = kinds[(m.client_streams, m.server_streams)](
            m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString)
        self.call = stub(requests, timeout=60, metadata=metadata)
        self.count = 0
        self.error = None
        self.ended = threading.Event()
        self.read_on = threading.Event()
        if first is None:
            self.read_on.set()

        def read():
            try:
                for _ in self.call:
                    self.count += 1
                    if self.count == first:
                        self.read_on.wait(60)
            except grpc.RpcError as error:
                self.error = error
            self.ended.set()
        self.thread = threading.Thread(target=read, daemon=True)
        self.thread.start()


class HasLeader(ClusterTest):
    size = 3

    def open_streams(self, channel, metadata, lease, stop):
        rpc = API.rpc
        watch = rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"k"))
        observe = API.modules["v3election"].LeaderRequest(name=b"e")
        return {
            "watch": Stream(channel, "Watch", "Watch", one(watch, stop), metadata),
            "keepalive": Stream(channel, "Lease", "LeaseKeepAlive", lease_requests(lease, stop), metadata),
            "observe": Stream(channel, "Election", "Observe", observe, metadata),
            "snapshot": Stream(channel, "Maintenance", "Snapshot", rpc.SnapshotRequest(), metadata, first=1),
        }

    def test_streams_end_and_calls_fail(self):
        survivor = self.cluster.followers()[0]
        for i in range(64):  # more than a client that does not read is sent
            survivor.put(f"big/{i:02d}", os.urandom(256 << 10))
        lease = survivor.call("Lease", "LeaseGrant", TTL=60).ID
        survivor.call("Election", "Campaign", name=b"e", lease=lease, value=b"me")
        stop = threading.Event()
        asking_channel, other_channel = short_channel(survivor.client), short_channel(survivor.client)
        asking = self.open_streams(asking_channel, ASKS, lease, stop)
        others = self.open_streams(other_channel, (), lease, stop)
        for streams in (asking, others):
            for name, stream in streams.items():
                wait_until(f"a message on {name}", lambda stream=stream: stream.count > 0)
        before = asking["keepalive"].count
        wait_until("it goes on", lambda: asking["keepalive"].count > before + 2)

        paused = [m for m in self.cluster.members if m is not survivor]
        for m in paused:
            m.pause()
        begin = time.monotonic()
        try:
            for name in ("watch", "keepalive", "observe"):
                self.assertTrue(asking[name].ended.wait(20), name)
                self.assertEqual(asking[name].error.code(), grpc.StatusCode.UNAVAILABLE, name)
                self.assertEqual(asking[name].error.details(), "etcdserver: no leader", name)
            # Three election timeouts without one, after it was lost.
            self.assertGreater(time.monotonic() - begin, 1.5)
            asking["snapshot"].read_on.set()
            self.assertTrue(asking["snapshot"].ended.wait(20))
            self.assertEqual(asking["snapshot"].error.details(), "etcdserver: no leader")
            self.assertEqual(asking["snapshot"].error.code(), grpc.StatusCode.UNAVAILABLE)

            # At once, whatever is asked.
            for service, method, fields in (
                    ("KV", "Put", {"key": b"k", "value": b"v"}),
                    ("KV", "Range", {"key": b"k", "serializable": True}),
                    ("Lease", "LeaseGrant", {"TTL": 10}),
                    ("Cluster", "MemberList", {}),
                    ("Lock", "Lock", {"name": b"l", "lease": lease})):
                m = API.methods[(service, method)]
                stub = asking_channel.unary_unary(m.path, request_serializer=m.request.SerializeToString,
                                                  response_deserializer=m.response.FromString)
                with self.assertRaises(grpc.RpcError, msg=method) as caught:
                    stub(m.request(**fields), timeout=5, metadata=ASKS)
                self.assertEqual(caught.exception.code(), grpc.StatusCode.UNAVAILABLE, method)
                self.assertEqual(caught.exception.details(), "etcdserver: no leader", method)
            again = self.open_streams(asking_channel, ASKS, lease, stop)
            for name, stream in again.items():
                stream.read_on.set()
                self.assertTrue(stream.ended.wait(5), name)
                self.assertEqual(stream.error.details(), "etcdserver: no leader", name)

            # Who did not ask waits on.
            for name, stream in others.items():
                if name != "keepalive":  # its renewals need the leader, and say so in time
                    self.assertFalse(stream.ended.is_set(), f"{name}: {stream.error}")
            others["snapshot"].read_on.set()
            self.assertTrue(others["snapshot"].ended.wait(20))
            self.assertIsNone(others["snapshot"].error)
        finally:
            for m in paused:
                m.resume()
        self.cluster.await_healthy()
        survivor.put("k", "v")
        wait_until("the watch went on", lambda: others["watch"].count >= 2)
        # Streams of later on live again.
        lively = self.open_streams(asking_channel, ASKS, lease, stop)
        for name, stream in lively.items():
            wait_until(f"a message on {name}", lambda stream=stream: stream.count > 0)
            self.assertFalse(stream.ended.is_set(), name)
        stop.set()
        asking_channel.close()
        other_channel.close()


class HasLeaderAtTheStart(ClusterTest):
    size = 1

    def test_a_stream_waits_for_the_first_leader(self):
        # etcd serves nobody before it knows a leader; a watch that comes back after a restart lives on.
        member = self.cluster.members[0]
        member.kill()
        member.start()
        rpc = API.rpc
        stop = threading.Event()
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with short_channel(member.client) as channel:
                watch = Stream(channel, "Watch", "Watch",
                               one(rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"k")), stop), ASKS)
                while not watch.count and not watch.ended.is_set():
                    time.sleep(0.002)
                if watch.count:
                    break
                # Not reached yet is all that may be said.
                self.assertNotEqual(watch.error.details(), "etcdserver: no leader")
        else:
            self.fail("no watch was created")
        stop.set()


if __name__ == "__main__":
    unittest.main(verbosity=2)
