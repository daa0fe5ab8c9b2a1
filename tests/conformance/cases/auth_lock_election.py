"""Auth while it is off, and the Lock and Election services."""

import threading
import time

import grpc

from case import case


@case("auth/off", users=True)
def _(t):
    t.call("Auth", "AuthDisable")
    t.call("Auth", "Authenticate", name="root", password="x")
    t.call("Auth", "UserList")
    t.call("Auth", "RoleList")
    t.call("Auth", "UserGet", name="nobody")
    t.call("Auth", "RoleGet", role="nothing")
    t.call("Auth", "UserDelete", name="nobody")
    t.call("Auth", "RoleDelete", role="nothing")
    t.call("Auth", "UserAdd", name="", password="x")
    t.call("Auth", "UserChangePassword", name="nobody", password="x")
    t.call("Auth", "UserGrantRole", user="nobody", role="nothing")
    t.call("Auth", "UserRevokeRole", name="nobody", role="nothing")
    t.call("Auth", "AuthEnable")


@case("auth/a user and a role are made", users=True)
def _(t):
    t.call("Auth", "UserAdd", name="somebody", password="x")
    t.call("Auth", "RoleAdd", name="something")
    t.call("Auth", "UserDelete", name="somebody")
    t.call("Auth", "RoleDelete", role="something")


def owner_key(t, key):
    """name/lease in hexadecimal, with the lease masked."""
    return t.masks.text(key.decode().replace("/", " / "))


@case("lock/lock and unlock")
def _(t):
    t.grant(100, 1001)
    held = t.unrecorded("Lock", "Lock", name="mutex", lease=1001)
    t.note("lock", held.code + " " + (held.message or owner_key(t, held.response.key)))
    if held.response:
        t.range("mutex", "muteY")
        t.call("Lock", "Unlock", key=held.response.key)
        t.range("mutex", "muteY")


@case("lock/waits for its turn")
def _(t):
    t.grant(100, 1002)
    t.grant(100, 1003)
    first = t.unrecorded("Lock", "Lock", name="mutex", lease=1002)
    t.note("first", first.code + " " + (first.message or ""))
    got = []
    waiting = threading.Thread(target=lambda: got.append(t.unrecorded("Lock", "Lock", name="mutex", lease=1003)))
    waiting.start()
    waiting.join(0.5)
    t.note("second meanwhile", "waits" if not got else got[0].code)
    if first.response:
        t.unrecorded("Lock", "Unlock", key=first.response.key)
    waiting.join(10)
    t.note("second afterwards", got[0].code if got else "still waits")


@case("lock/the same lease again")
def _(t):
    t.grant(100, 1005)
    first = t.unrecorded("Lock", "Lock", name="mutex", lease=1005)
    again = t.unrecorded("Lock", "Lock", name="mutex", lease=1005)
    t.note("again", again.code + " " + (again.message or owner_key(t, again.response.key)))
    t.note("one key", first.response is not None and again.response is not None
           and first.response.key == again.response.key)
    t.range("mutex", "muteY", count_only=True)


@case("lock/who gives up leaves the line")
def _(t):
    t.grant(100, 1006)
    t.grant(100, 1007)
    t.grant(100, 1008)
    first = t.unrecorded("Lock", "Lock", name="mutex", lease=1006)
    gave_up = t.unrecorded("Lock", "Lock", name="mutex", lease=1007, timeout=1)
    t.note("gave up", gave_up.code)
    got = []
    third = threading.Thread(target=lambda: got.append(t.unrecorded("Lock", "Lock", name="mutex", lease=1008)))
    third.start()
    third.join(1)
    t.range("mutex", "muteY", count_only=True)
    t.unrecorded("Lock", "Unlock", key=first.response.key)
    third.join(10)
    t.note("third", got[0].code if got else "still waits")


@case("lock/ends with the lease")
def _(t):
    t.grant(100, 1009)
    t.grant(100, 1010)
    t.unrecorded("Lock", "Lock", name="mutex", lease=1009)
    got = []
    second = threading.Thread(target=lambda: got.append(t.unrecorded("Lock", "Lock", name="mutex", lease=1010)))
    second.start()
    second.join(0.5)
    t.call("Lease", "LeaseRevoke", ID=1009)
    second.join(10)
    t.note("second", got[0].code if got else "still waits")
    t.call("Lease", "LeaseRevoke", ID=1010)
    t.range("mutex", "muteY", count_only=True)


@case("lock/without a lease one is granted")
def _(t):
    held = t.unrecorded("Lock", "Lock", name="mutex")
    t.note("lock", held.code)
    kvs = t.unrecorded("KV", "Range", key=b"mutex/", range_end=b"mutex0").response.kvs
    t.note("keys", len(kvs))
    life = t.unrecorded("Lease", "LeaseTimeToLive", ID=kvs[0].lease).response
    t.note("time to live", life.grantedTTL)
    t.note("unlock", t.unrecorded("Lock", "Unlock", key=held.response.key).code)
    t.range("mutex", "muteY", count_only=True)


@case("lock/refused")
def _(t):
    t.call("Lock", "Lock", name="mutex", lease=12345)
    t.call("Lock", "Unlock", key="none")
    t.call("Lock", "Unlock")


@case("election/campaign, proclaim, resign")
def _(t):
    t.grant(100, 1004)
    t.call("Election", "Leader", name="office")
    won = t.call("Election", "Campaign", name="office", lease=1004, value="me")
    t.call("Election", "Leader", name="office")
    if won.response:
        leader = won.response.leader
        module = t.api.modules["v3election"]
        t.call("Election", "Proclaim", request=module.ProclaimRequest(leader=leader, value=b"still me"))
        t.call("Election", "Leader", name="office")
        t.call("Election", "Resign", request=module.ResignRequest(leader=leader))
        t.call("Election", "Leader", name="office")
        t.call("Election", "Proclaim", request=module.ProclaimRequest(leader=leader, value=b"no longer"))
        t.call("Election", "Resign", request=module.ResignRequest(leader=leader))
    t.call("Election", "Proclaim")
    t.call("Election", "Resign")
    t.call("Election", "Campaign", name="office", lease=12345, value="me")


@case("election/the next one leads when the first resigns")
def _(t):
    t.grant(100, 1011)
    t.grant(100, 1012)
    first = t.unrecorded("Election", "Campaign", name="office", lease=1011, value="one")
    got = []
    second = threading.Thread(
        target=lambda: got.append(t.unrecorded("Election", "Campaign", name="office", lease=1012, value="two")))
    second.start()
    second.join(0.5)
    t.note("second meanwhile", "waits" if not got else got[0].code)
    t.call("Election", "Leader", name="office")
    # Campaigning again with what leads already replaces the value.
    t.call("Election", "Campaign", name="office", lease=1011, value="one more")
    t.call("Election", "Leader", name="office")
    t.unrecorded("Election", "Resign",
                 request=t.api.modules["v3election"].ResignRequest(leader=first.response.leader))
    second.join(10)
    t.note("second afterwards", got[0].code if got else "still waits")
    t.call("Election", "Leader", name="office")


@case("election/observe")
def _(t):
    t.grant(100, 1013)
    t.grant(100, 1014)
    module = t.api.modules["v3election"]
    method = t.api.methods[("Election", "Observe")]
    observe = t.channel().unary_stream(
        method.path, request_serializer=method.request.SerializeToString,
        response_deserializer=method.response.FromString)
    call = observe(module.LeaderRequest(name=b"office"), timeout=60)
    seen = []

    def read():
        try:
            for response in call:
                t.touched.outcome("Election", "Observe", "OK")
                seen.append(response.kv.value.decode())
        except grpc.RpcError:
            pass

    reader = threading.Thread(target=read, daemon=True)
    reader.start()

    def settle(count):
        give_up = time.monotonic() + 10
        while len(seen) < count and time.monotonic() < give_up:
            time.sleep(0.02)

    time.sleep(0.3)
    first = t.unrecorded("Election", "Campaign", name="office", lease=1013, value="one").response.leader
    settle(1)
    t.unrecorded("Election", "Proclaim", request=module.ProclaimRequest(leader=first, value=b"uno"))
    settle(2)
    second = threading.Thread(
        target=lambda: t.unrecorded("Election", "Campaign", name="office", lease=1014, value="two"))
    second.start()
    second.join(0.3)
    t.unrecorded("Election", "Resign", request=module.ResignRequest(leader=first))
    second.join(10)
    settle(3)
    call.cancel()
    reader.join(5)
    t.note("seen", " ".join(seen))
