"""The etcd v3 API for Python, generated at run time from kvstore/api/*.proto.

`Api` holds the message classes and knows every method of every service;
`short_channel` opens a connection that is shared with nobody.
"""

import importlib
import os
import subprocess
import sys

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc  # noqa: E402

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROTOS = ["kv", "auth", "rpc", "v3lock", "v3election"]


class Method:
    """One RPC: its path and the classes of its request and response."""

    def __init__(self, path, request, response, client_streams, server_streams):
        self.path = path
        self.request = request
        self.response = response
        self.client_streams = client_streams
        self.server_streams = server_streams


class Api:
    """REQUIRES: `directory` is writable and outlives the process's use of the API."""

    def __init__(self, directory):
        names = ["kvstore/api/%s.proto" % p for p in PROTOS]
        subprocess.run(
            [sys.executable, "-m", "grpc_tools.protoc", "-I" + REPOSITORY, "--python_out=" + directory] + names,
            check=True,
            cwd=REPOSITORY,
        )
        if directory not in sys.path:
            sys.path.insert(0, directory)
        self.modules = {p: importlib.import_module("kvstore.api.%s_pb2" % p) for p in PROTOS}
        self.rpc = self.modules["rpc"]
        self.kv = self.modules["kv"]
        self.methods = {}
        for module in self.modules.values():
            for service in module.DESCRIPTOR.services_by_name.values():
                for method in service.methods:
                    self.methods[(service.name, method.name)] = Method(
                        "/%s/%s" % (service.full_name, method.name),
                        self._message_class(method.input_type),
                        self._message_class(method.output_type),
                        *self._streams(service, method),
                    )

    def _message_class(self, descriptor):
        stem = descriptor.file.name.rsplit("/", 1)[1][: -len(".proto")]
        return getattr(self.modules[stem], descriptor.name)

    @staticmethod
    def _streams(service, method):
        # Not exposed by method descriptors of this protobuf; the serialized form has them.
        from google.protobuf import descriptor_pb2

        proto = descriptor_pb2.ServiceDescriptorProto()
        service.CopyToProto(proto)
        for m in proto.method:
            if m.name == method.name:
                return m.client_streaming, m.server_streaming
        raise KeyError(method.name)

    def __getattr__(self, name):
        return getattr(self.__dict__["rpc"], name)


CHANNEL_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_http_proxy", 0),
]


def short_channel(address):
    return grpc.insecure_channel(address, options=CHANNEL_OPTIONS)
