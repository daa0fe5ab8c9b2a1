"""Auth while it is off, and the Lock and Election services."""

import threading

from case import case


@case("auth/off")
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


@case("auth/a user and a role are made")
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
