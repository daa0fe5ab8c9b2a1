#!/usr/bin/python3
"""Calls the echo server with gRPC's own client (Debian's python3-grpcio) and
with Python's HTTP client. Usage: interop_test.py ECHO_SERVER_PROGRAM"""
import http.client
import subprocess
import sys
import threading
import time
import unittest

import grpc

PROGRAM = None


class Interop(unittest.TestCase):
    def setUp(self):
        self.server = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.server.stdout.readline())
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}",
            options=[("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)])

    def tearDown(self):
        self.channel.close()
        self.server.stdin.close()
        self.assertEqual(self.server.wait(timeout=20), 0)
        self.server.stdout.close()

    def unary(self, method):
        return self.channel.unary_unary(f"/test.Echo/{method}")

    def code(self, method, body=b"", **kwargs):
        with self.assertRaises(grpc.RpcError) as caught:
            self.unary(method)(body, timeout=20, **kwargs) if "timeout" not in kwargs else \
                self.unary(method)(body, **kwargs)
        return caught.exception.code(), caught.exception.details()

    def test_unary(self):
        for size in (0, 1, 1000, 16384, 100000, 5000000):
            body = bytes(i * 7 % 256 for i in range(min(size, 256))) * (size // 256 + 1)
            body = body[:size]
            self.assertEqual(self.unary("Say")(body, timeout=20), body)
            if size < 200000:
                self.assertEqual(self.unary("Thread")(body, timeout=20), body)

    def test_statuses(self):
        self.assertEqual(self.code("Fail", "grün 100%\n".encode()),
                         (grpc.StatusCode.NOT_FOUND, "grün 100%\n"))
        self.assertEqual(self.code("Nothing"), (grpc.StatusCode.UNIMPLEMENTED,
                                                "unknown method Nothing for service test.Echo"))
        with self.assertRaises(grpc.RpcError) as caught:
            self.channel.unary_unary("/no.Such/Thing")(b"", timeout=20)
        self.assertEqual(caught.exception.details(), "unknown service no.Such")
        self.assertEqual(self.code("Say", b"x" * 9000000)[0], grpc.StatusCode.RESOURCE_EXHAUSTED)
        self.assertEqual(self.code("Never", timeout=0.2)[0], grpc.StatusCode.DEADLINE_EXCEEDED)

    def test_compressed_request_is_refused(self):
        with self.assertRaises(grpc.RpcError) as caught:
            self.unary("Say")(b"x" * 1000, timeout=20, compression=grpc.Compression.Gzip)
        self.assertEqual(caught.exception.code(), grpc.StatusCode.UNIMPLEMENTED)
        self.assertIn("gzip", caught.exception.details())
        self.assertEqual(self.unary("Say")(b"on", timeout=20), b"on")

    def test_chat(self):
        chat = self.channel.stream_stream("/test.Echo/Chat")
        bodies = [b"%d" % i * (i % 100) for i in range(2000)]
        self.assertEqual(list(chat(iter(bodies), timeout=60)), bodies)

    def test_cancelled_chat_leaves_the_connection_usable(self):
        release = threading.Event()

        def requests():
            yield b"one"
            release.wait(20)

        call = self.channel.stream_stream("/test.Echo/Chat")(requests(), timeout=60)
        self.assertEqual(next(call), b"one")
        call.cancel()
        release.set()
        self.assertEqual(self.unary("Say")(b"on", timeout=20), b"on")

    def test_slow_reader_loses_nothing(self):
        blast = self.channel.stream_stream("/test.Echo/Blast")
        total = 0
        for i, message in enumerate(blast(iter([b"500 40000"]), timeout=60)):
            self.assertEqual(message, bytes([ord("a") + i % 26]) * 40000)
            total += 1
            if i % 100 == 0:
                time.sleep(0.05)
        self.assertEqual(total, 500)

    def test_many_calls_at_once(self):
        say = self.unary("Say")
        futures = [say.future(b"%d" % i, timeout=60) for i in range(2000)]
        for i, future in enumerate(futures):
            self.assertEqual(future.result(), b"%d" % i)

    def test_http_with_keep_alive(self):
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        for path in ("/health?serializable=true", "/later"):
            client.request("GET", path, headers={"X-Test": "yes"})
            response = client.getresponse()
            self.assertEqual(response.status, 200)
            self.assertIn(path.split("?")[0], response.read().decode())
        sock = client.sock
        client.request("POST", "/body", body=b"abc")
        self.assertEqual(client.getresponse().read(), b"POST /body ?   abc")
        self.assertIs(client.sock, sock)
        client.request("GET", "/dropped")
        response = client.getresponse()
        self.assertEqual((response.status, bool(response.read())), (500, True))
        client.request("HEAD", "/health")
        response = client.getresponse()
        self.assertEqual((response.status, response.read()), (200, b""))
        client.close()


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main()
