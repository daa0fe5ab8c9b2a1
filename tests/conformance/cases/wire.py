"""What is below the API: gRPC itself, HTTP on the same port, and garbage."""

import base64
import json
import re
import socket
import time

import grpc

from case import CALL_SECONDS, case
from masking import OPAQUE

# etcd's own names, which dashboards and alerts are built on.
METRICS = """
etcd_server_has_leader etcd_server_is_leader etcd_server_is_learner etcd_server_id
etcd_server_leader_changes_seen_total etcd_server_proposals_committed_total etcd_server_proposals_applied_total
etcd_server_proposals_pending etcd_server_proposals_failed_total etcd_server_slow_apply_total
etcd_server_slow_read_indexes_total etcd_server_read_indexes_failed_total etcd_server_quota_backend_bytes
etcd_server_heartbeat_send_failures_total etcd_server_version etcd_server_go_version etcd_cluster_version
etcd_disk_wal_fsync_duration_seconds etcd_disk_backend_commit_duration_seconds etcd_disk_backend_snapshot_duration_seconds
etcd_network_client_grpc_received_bytes_total etcd_network_client_grpc_sent_bytes_total
etcd_debugging_mvcc_keys_total etcd_debugging_mvcc_db_total_size_in_bytes etcd_mvcc_db_total_size_in_bytes
etcd_mvcc_db_total_size_in_use_in_bytes etcd_mvcc_put_total etcd_mvcc_delete_total etcd_mvcc_range_total etcd_mvcc_txn_total
etcd_debugging_mvcc_watcher_total etcd_debugging_mvcc_watch_stream_total etcd_debugging_mvcc_slow_watcher_total
etcd_debugging_mvcc_events_total etcd_debugging_mvcc_pending_events_total etcd_debugging_store_expires_total
etcd_debugging_lease_granted_total etcd_debugging_lease_revoked_total etcd_debugging_lease_renewed_total
etcd_snap_db_fsync_duration_seconds
grpc_server_handled_total grpc_server_started_total grpc_server_msg_received_total grpc_server_msg_sent_total
process_cpu_seconds_total process_open_fds process_max_fds process_resident_memory_bytes process_start_time_seconds
process_virtual_memory_bytes
""".split()


def raw_call(t, path, request=b"", metadata=None, compression=None, timeout=CALL_SECONDS):
    call = t.channel().unary_unary(path)
    try:
        return "OK", call(request, timeout=timeout, metadata=metadata, compression=compression)
    except grpc.RpcError as e:
        return e.code().name, e.details()


@case("grpc/unknown service and method")
def _(t):
    for path in ("/etcdserverpb.KV/Nothing", "/etcdserverpb.Nothing/Range", "/nothing.At.All/X", "/etcdserverpb.KV/range",
                 "/KV/Range", "/nonsense", "/"):
        t.record("call of " + path, raw_call(t, path))


@case("grpc/request that is no message")
def _(t):
    for request in (b"\xff", b"\x0a\x7f", b"\x0a\x05ab"):
        code, message = raw_call(t, "/etcdserverpb.KV/Range", request)
        t.note("Range with %r" % request, code)
        code, message = raw_call(t, "/etcdserverpb.KV/Put", request)
        t.note("Put with %r" % request, code)
    t.put("a", "still served")


@case("grpc/health service")
def _(t):
    t.record("overall", raw_call(t, "/grpc.health.v1.Health/Check"))
    t.record("of a service that is not known", raw_call(t, "/grpc.health.v1.Health/Check", b"\x0a\x07nothing"))


@case("grpc/metadata")
def _(t):
    t.put("a", "1", metadata=(("hasleader", "true"),))
    t.range("a", metadata=(("token", "not a token"),))
    t.range("a", metadata=(("authorization", "not a token"),))
    t.range("a", metadata=(("client-api-version", "3.4"), ("x-whatever-bin", b"\0\1\2")))
    t.put("a", "2", metadata=(("x-long", "y" * 3000),))


@case("grpc/compression")
def _(t):
    code, message = raw_call(t, "/etcdserverpb.KV/Range", t.api.RangeRequest(key=b"a" * 500).SerializeToString(), compression=grpc.Compression.Gzip)
    t.note("a gzipped request", code)
    t.put("a", "still served")


@case("grpc/deadline")
def _(t):
    watching = t.channel().stream_stream("/etcdserverpb.Watch/Watch")
    request = t.api.WatchRequest(create_request=t.api.WatchCreateRequest(key=b"a")).SerializeToString()

    def requests():
        yield request
        time.sleep(2)

    began = time.monotonic()
    try:
        for _ in watching(requests(), timeout=0.5):
            pass
    except grpc.RpcError:
        pass  # whether the client's clock or the server's ends it is chance, and so is the code
    t.note("a stream past its deadline ends", time.monotonic() - began < 1.5)
    t.put("a", "still served")


@case("grpc/many calls at once")
def _(t):
    put = t.channel().unary_unary("/etcdserverpb.KV/Put")
    calls = [put.future(t.api.PutRequest(key=b"k%d" % (i % 50), value=b"%d" % i).SerializeToString(), timeout=60) for i in range(500)]
    codes = {c.code().name for c in calls if c.exception() is None or True}
    t.note("codes of 500 puts", sorted(codes))
    t.range(b"\0", b"\0", count_only=True)


def json_words(text):
    """A small JSON object with its versions masked."""
    return [re.sub(r"\d+\.\d+\.\d+", "<version>", x) for x in text.splitlines()]


@case("http/health")
def _(t):
    t.http("GET", "/health")
    t.http("GET", "/health?serializable=true")
    t.http("HEAD", "/health")
    t.http("POST", "/health")
    t.http("PUT", "/health")


@case("http/version")
def _(t):
    t.http("GET", "/version", masked=json_words)
    t.http("POST", "/version", masked=json_words)
    t.http("GET", "/version/", masked=json_words)


@case("http/metrics")
def _(t):
    t.put("a", "1")
    connection = t.http_connection()
    connection.request("GET", "/metrics")
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    t.note("status", answer.status)
    t.note("content type", answer.getheader("Content-Type"))
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M))
    for name in METRICS:
        t.note("metric " + name, types.get(name, "not there"))
    t.http("POST", "/metrics", show_body=False)


@case("http/unknown paths")
def _(t):
    for path in ("/", "/nothing", "/healthz", "/v2/keys", "/v2/keys/a", "/v3/nothing", "/etcdserverpb.KV/Range"):
        t.http("GET", path)
    t.http("POST", "/nothing", body="x=1")
    t.http("DELETE", "/nothing")


@case("http/debug")
def _(t):
    t.http("GET", "/debug/vars", show_body=False)
    t.http("GET", "/debug/pprof/", show_body=False)


def gateway_words(t):
    """The gateway's JSON, a line a field, with revisions and what differs from run to run masked.

    An error's text stands twice in etcd 3.4 (error, message) and etcd 3.6 adds details."""
    def lines(value, path=""):
        if isinstance(value, dict):
            return [x for k in value if k != "details" for x in lines(value[k], path + "." + k)]
        if isinstance(value, list):
            return [x for n, v in enumerate(value) for x in lines(v, "%s[%d]" % (path, n))]
        name = path.rsplit(".", 1)[-1]
        if name == "rev" or name.endswith("revision"):
            value = t.masks.revision(int(value))
        elif name.lower() in OPAQUE or name == "version" and "." in str(value):
            value = "<%s>" % OPAQUE.get(name.lower(), "version")
        return ["%s = %s" % (path, t.masks.text(str(value)))]

    def masked(text):
        try:
            return sorted(lines(json.loads(text)))
        except ValueError:
            return text.splitlines()

    return masked


def encoded(text):
    return base64.b64encode(text.encode()).decode()


# One member: the order in which several are listed is that of their ids.
@case("http/json gateway", sizes=(1,))
def _(t):
    words = gateway_words(t)

    def post(path, body, **more):
        t.http("POST", "/v3/" + path, body=body if isinstance(body, str) else json.dumps(body), masked=words, **more)

    a, b = encoded("a"), encoded("b")
    post("kv/put", {"key": a, "value": encoded("1")})
    post("kv/put", {"key": a, "value": encoded("2"), "prev_kv": True})
    post("kv/put", {"key": b, "value": encoded("3"), "prevKv": True})
    post("kv/put", {})
    post("kv/put", "")
    post("kv/put", {"key": a, "no_such_field": 1})
    post("kv/range", {"key": a})
    post("kv/range", {"key": a, "range_end": encoded("z"), "sort_order": "DESCEND", "sortTarget": 1, "limit": "5"})
    post("kv/range", {"key": a, "range_end": encoded("z"), "limit": 1, "keys_only": True})
    post("kv/range", {"key": a, "revision": "99999"})
    post("kv/txn", {
        "compare": [{"key": a, "target": "VALUE", "result": "EQUAL", "value": encoded("2")}],
        "success": [{"requestPut": {"key": a, "value": encoded("4")}}, {"request_range": {"key": a}}],
        "failure": [{"request_delete_range": {"key": a}}]})
    post("kv/deleterange", {"key": b, "prev_kv": True})
    post("kv/compaction", {"revision": 99999})
    post("lease/grant", {"TTL": 100, "ID": 77})
    post("lease/timetolive", {"ID": 77})
    post("kv/lease/timetolive", {"ID": "77", "keys": True})
    post("lease/leases", {})
    post("kv/lease/leases", "")
    post("lease/revoke", {"ID": 77})
    post("kv/lease/revoke", {"ID": 77})
    post("cluster/member/list", {})
    post("maintenance/alarm", {"action": "GET"})
    post("auth/enable", {})
    post("lease/grant", {"TTL": 100, "ID": 78})
    post("lock/lock", {"name": encoded("l"), "lease": 78})
    post("lock/unlock", {"key": encoded("l/4e")})
    post("election/leader", {"name": encoded("l")})
    post("nothing", {})
    for method in ("GET", "PUT", "DELETE", "OPTIONS"):
        t.http(method, "/v3/kv/put", masked=words)


def json_lines(t, path, body, lines, chunked=False):
    """The status, the content type, and the first lines of a stream's answer, or all of one that ends."""
    connection = t.http_connection()
    words = gateway_words(t)
    # In one piece: etcd's server drops what it has not read of a body when it begins to answer.
    sent = "".join("%x\r\n%s\r\n" % (len(x), x) for x in [*body, ""]) if chunked else "".join(body)
    connection.request("POST", "/v3/" + path, body=sent.encode(),
                       headers={**t.http_headers("/v3/" + path), **({"Transfer-Encoding": "chunked"} if chunked else {})})
    answer = connection.getresponse()
    shown = ["status = %d" % answer.status, "content-type = %s" % answer.getheader("Content-Type")]
    for n in range(lines):
        line = answer.readline().decode()
        if not line:
            shown.append("the end")
            break
        # The code of newer releases stands beside the older names.
        shown += ["%d %s" % (n, x) for x in words(line) if not x.startswith(".error.code")]
    connection.close()
    t.record("stream " + path, shown)


@case("http/json gateway, streams", sizes=(1,))
def _(t):
    a, create = encoded("a"), lambda **x: json.dumps({"create_request": x})
    t.put("a", "1")
    t.put("b", "2")
    t.delete("a")
    here = t.rev(1)
    json_lines(t, "watch", [create(key=a, start_revision=here)], 2)
    json_lines(t, "watch", [create(key=a, range_end=encoded("z"), start_revision=here, prev_kv=True, filters=["NODELETE"])], 2)
    json_lines(t, "watch", [create(key=a), create(key=encoded("x"), watch_id=7),
                            json.dumps({"cancel_request": {"watch_id": 7}})], 3)
    json_lines(t, "watch", [create(key=a), "\n ", create(key=a), create(key=a)], 3, chunked=True)
    t.call("KV", "Compact", revision=here + 1)
    json_lines(t, "watch", [create(key=a, start_revision=here)], 2)
    t.call("Lease", "LeaseGrant", ID=77, TTL=100)
    json_lines(t, "lease/keepalive", ['{"ID":77}'], 2)
    json_lines(t, "lease/keepalive", ['{"ID":"77"}', '{"ID":78}', '{"ID":77}'], 4)
    json_lines(t, "lease/keepalive", ['{"ID":77}', '{"ID":78}'], 3, chunked=True)
    t.http("POST", "/v3/lease/grant", body='{"TTL":100,"ID":79}', masked=gateway_words(t))
    t.http("POST", "/v3/election/campaign", body=json.dumps({"name": encoded("e"), "lease": 79, "value": a}), masked=gateway_words(t))
    json_lines(t, "election/observe", [json.dumps({"name": encoded("e")})], 1)
    t.http("GET", "/v3/watch")


@case("http/json gateway, malformed")
def _(t):
    for body in ("{bad", '{"key":"Zm9v!"}', '{"key":5}', '{"limit":"x"}', "[]", '"a"'):
        t.http("POST", "/v3/kv/range", body=body, masked=lambda text: ["code = %s" % json.loads(text).get("code")])


@case("http/kept open")
def _(t):
    connection = t.http_connection()
    statuses = []
    for path in ("/health", "/version", "/nothing", "/health"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
    connection.close()
    t.note("four requests on one connection", statuses)


def send_bytes(t, data, wait=3, alpn="http/1.1"):
    """What comes back for the bytes, and whether the server closes."""
    s = t.socket(wait, alpn)
    received, closed = b"", False
    try:
        s.sendall(data)
        while True:
            part = s.recv(65536)
            if not part:
                closed = True
                break
            received += part
    except socket.timeout:
        pass
    except OSError:
        closed = True
    finally:
        s.close()
    return received, closed


@case("wire/garbage")
def _(t):
    for name, data in (("random", bytes((i * 197 + 31) % 256 for i in range(4000))), ("text", b"hello there, server\r\n\r\n" * 50)):
        received, closed = send_bytes(t, data)
        t.note("%s: is the connection closed" % name, closed)
    # Here etcd waits for more, which is nothing to follow; it must only stay up.
    for data in (b"\0" * 1000, bytes.fromhex("1603010200010001fc0303") + b"\1" * 600):
        send_bytes(t, data, wait=0.5)
    t.put("a", "still served")


@case("wire/http2 preface and then garbage")
def _(t):
    received, closed = send_bytes(t, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff" * 500, alpn="h2")
    t.note("is the connection closed", closed)
    t.put("a", "still served")


@case("wire/half a preface")
def _(t):
    s = t.socket(CALL_SECONDS, "h2")
    s.sendall(b"PRI * HTTP/2.0\r\n")
    t.put("a", "served meanwhile")
    s.close()
    t.put("a", "and after")


@case("wire/http 1.0 and malformed requests")
def _(t):
    received, closed = send_bytes(t, b"GET /health HTTP/1.0\r\n\r\n")
    t.note("HTTP/1.0", "%s, closed %s" % (received[8:13], closed))
    received, closed = send_bytes(t, b"GET /health\r\n\r\n")
    t.note("no version: is the connection closed", closed)
    received, closed = send_bytes(t, b"GET /health HTTP/1.1\r\n\r\n")
    t.note("no host", "%s, closed %s" % (received[8:13], closed))
