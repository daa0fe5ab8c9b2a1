#!/usr/bin/python3
"""What gRPC's own tools ask a server (health, reflection), and ranges as streams."""

import importlib.util
import subprocess
import sys
import tempfile
import threading
import unittest

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from harness import API, ROOT, ClusterTest, short_channel, wait_until

SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"


def reflection_messages():
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I" + str(ROOT), "--python_out=" + directory,
                        "kvstore/server/reflection.proto"], check=True, cwd=ROOT)
        sys.path.insert(0, directory)
        # The generated packages of the API hide this one's folders: by its path.
        spec = importlib.util.spec_from_file_location("reflection_pb2", directory + "/kvstore/server/reflection_pb2.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        sys.path.remove(directory)
        return module


class GrpcTest(ClusterTest):
    size = 3

    def test_health_follows_the_leader(self):
        member, *others = self.cluster.members
        with short_channel(member.client) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check")
            watch = channel.unary_stream("/grpc.health.v1.Health/Watch")
            self.assertEqual(check(b"", timeout=5), SERVING)
            self.assertEqual(channel.unary_unary("/grpc.health.v1.Health/List")(b"", timeout=5)[-2:], SERVING)
            with self.assertRaises(grpc.RpcError) as refused:
                check(b"\x0a\x01x", timeout=5)
            self.assertEqual(refused.exception.code(), grpc.StatusCode.NOT_FOUND)
            unknown = watch(b"\x0a\x01x", timeout=60)
            self.assertEqual(next(unknown), SERVICE_UNKNOWN)
            seen = []
            stream = watch(b"", timeout=60)

            def follow():
                try:
                    for answer in stream:
                        seen.append(answer)
                except grpc.RpcError:
                    pass

            reader = threading.Thread(target=follow)
            reader.start()
            wait_until("the first status", lambda: seen == [SERVING], 10)
            for other in others:
                other.kill()
            wait_until("the loss of the leader", lambda: seen == [SERVING, NOT_SERVING], 30)
            self.assertEqual(check(b"", timeout=5), NOT_SERVING)
            stream.cancel()
            unknown.cancel()
            reader.join()

    def test_reflection_describes_the_api(self):
        messages = reflection_messages()
        for version in ("v1", "v1alpha"):
            with short_channel(self.cluster.members[0].client) as channel:
                call = channel.stream_stream(
                    "/grpc.reflection.%s.ServerReflection/ServerReflectionInfo" % version,
                    request_serializer=messages.Request.SerializeToString, response_deserializer=messages.Response.FromString)
                answers = list(call(iter([
                    messages.Request(list_services="*"),
                    messages.Request(file_containing_symbol="etcdserverpb.KV"),
                    messages.Request(file_containing_symbol="v3electionpb.Election.Observe"),
                    messages.Request(file_by_filename="no/such.proto"),
                ]), timeout=10))
            services = [s.name for s in answers[0].list_services_response.service]
            for name in ("etcdserverpb.KV", "etcdserverpb.Watch", "v3lockpb.Lock", "grpc.health.v1.Health"):
                self.assertIn(name, services)
            self.assertEqual(answers[3].error_response.error_code, 5)
            pool = descriptor_pool.DescriptorPool()
            files = {}
            for answer in answers[1:3]:
                for data in answer.file_descriptor_response.file_descriptor_proto:
                    file = descriptor_pb2.FileDescriptorProto.FromString(data)
                    files[file.name] = file

            def add(file):
                for dependency in file.dependency:
                    if dependency in files:
                        add(files.pop(dependency))
                pool.Add(file)

            while files:
                add(files.pop(next(iter(files))))
            self.assertEqual([m.name for m in pool.FindServiceByName("etcdserverpb.KV").methods][0], "Range")
            self.assertEqual(pool.FindMessageTypeByName("etcdserverpb.PutRequest").fields_by_name["key"].number, 1)

    def test_a_streamed_range_merges_to_the_range(self):
        member = self.cluster.members[0]
        for i in range(300):
            member.put(b"r/%04d" % i, b"v" * (20_000 if i % 3 == 0 else 10))
        member.put(b"s", b"beyond")
        stream_method = API.methods[("KV", "RangeStream")]
        with short_channel(member.client) as channel:
            stream = channel.unary_stream(stream_method.path, request_serializer=stream_method.request.SerializeToString,
                                          response_deserializer=stream_method.response.FromString)
            requests = [
                dict(key=b"r/", range_end=b"r0"),
                dict(key=b"r/", range_end=b"r0", limit=7),
                dict(key=b"r/", range_end=b"r0", limit=150),
                dict(key=b"r/", range_end=b"r0", limit=300),
                dict(key=b"r/", range_end=b"r0", limit=1000, keys_only=True),
                dict(key=b"r/", range_end=b"r0", count_only=True),
                dict(key=b"r/", range_end=b"r0", count_only=True, limit=3),
                dict(key=b"\0", range_end=b"\0", serializable=True),
                dict(key=b"r/0007"), dict(key=b"nothing"), dict(key=b"x", range_end=b"z"),
                dict(key=b"r/", range_end=b"r0", min_mod_revision=200),
                dict(key=b"r/", range_end=b"r0", revision=100),
                dict(key=b"r/", range_end=b"r0", sort_order=1),
            ]
            for fields in requests:
                whole = member.call("KV", "Range", 10.0, **fields)
                merged = API.rpc.RangeResponse()
                pieces = list(stream(stream_method.request(**fields), timeout=20))
                for piece in pieces:
                    merged.MergeFrom(piece.range_response)
                self.assertEqual(merged.SerializeToString(), whole.SerializeToString(), fields)
                for piece in pieces[:-1]:
                    self.assertFalse(piece.range_response.HasField("header"))
                    self.assertLess(piece.ByteSize(), 4 << 20)
            self.assertGreater(len(list(stream(stream_method.request(**requests[0]), timeout=20))), 1)
            for fields, code in ((dict(key=b"a", sort_order=2), "UNIMPLEMENTED"), (dict(key=b"a", sort_target=3), "UNIMPLEMENTED"),
                                 (dict(key=b""), "INVALID_ARGUMENT"), (dict(key=b"a", revision=10 ** 9), "OUT_OF_RANGE")):
                with self.assertRaises(grpc.RpcError) as refused:
                    list(stream(stream_method.request(**fields), timeout=20))
                self.assertEqual(refused.exception.code().name, code, fields)


if __name__ == "__main__":
    unittest.main()
