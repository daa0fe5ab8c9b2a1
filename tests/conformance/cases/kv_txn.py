"""Transactions: guards, operations, nesting, and what is refused."""

from case import case

OPERANDS = {"VERSION": (1, 2, 3), "CREATE": (0, 1, 2), "MOD": (1, 2, 3), "VALUE": ("1", "2", "3"), "LEASE": (600, 601, 602)}


@case("kv/txn/empty")
def _(t):
    t.txn()
    t.put("a", "1")
    t.txn()
    t.txn([t.compare("a", "VERSION", "EQUAL", 1)])
    t.txn([t.compare("a", "VERSION", "EQUAL", 2)])


def guard_cases(target):
    @case("kv/txn/compare " + target.lower())
    def _(t):
        t.grant(600, 601)
        t.put("a", "1", lease=601)
        t.put("a", "2", lease=601)
        for result in ("EQUAL", "GREATER", "LESS", "NOT_EQUAL"):
            for operand in OPERANDS[target]:
                if target in ("CREATE", "MOD"):
                    operand = t.rev(operand)
                t.txn([t.compare("a", target, result, operand)])

    @case("kv/txn/compare %s of a key that is not there" % target.lower())
    def _(t):
        for result in ("EQUAL", "GREATER", "LESS", "NOT_EQUAL"):
            operands = ("", "x") if target == "VALUE" else (0, 1, -1)
            for operand in operands:
                t.txn([t.compare("none", target, result, operand)])


for name in OPERANDS:
    guard_cases(name)


@case("kv/txn/compare without an operand")
def _(t):
    t.put("a", "1")
    for target in OPERANDS:
        t.txn([t.compare("a", target, "EQUAL", None)])
        t.txn([t.compare("none", target, "EQUAL", None)])
        t.txn([t.compare("a", target, "NOT_EQUAL", None)])


@case("kv/txn/compare with the operand of another target")
def _(t):
    t.put("a", "1")
    c = t.api.Compare(key=b"a", target=0, result=0, value=b"1")
    t.txn([c])
    c = t.api.Compare(key=b"a", target=3, result=0, version=1)
    t.txn([c])


@case("kv/txn/compare target or result unknown")
def _(t):
    t.put("a", "1")
    t.txn([t.api.Compare(key=b"a", target=9, result=0, version=1)])
    t.txn([t.api.Compare(key=b"a", target=0, result=9, version=1)])
    t.txn([t.api.Compare(key=b"a", target=0, result=9, version=7)])


@case("kv/txn/compare over a range")
def _(t):
    for k in ("a", "b", "c"):
        t.put(k, "same")
    t.put("b", "same")
    for result in ("EQUAL", "NOT_EQUAL", "GREATER", "LESS"):
        t.txn([t.compare("a", "VALUE", result, "same", end="d")])
        t.txn([t.compare("a", "VERSION", result, 1, end="d")])
        t.txn([t.compare("a", "VERSION", result, 0, end="d")])
        t.txn([t.compare("x", "VERSION", result, 1, end="z")])
        t.txn([t.compare("x", "VALUE", result, "v", end="z")])
        t.txn([t.compare("a", "CREATE", result, t.rev(2), end=b"\0")])
        t.txn([t.compare("c", "MOD", result, t.rev(3), end=b"\0")])
        t.txn([t.compare("c", "LEASE", result, 0, end="a")])
        t.txn([t.compare(b"\0", "VALUE", result, "same", end=b"\0")])


@case("kv/txn/several guards")
def _(t):
    t.put("a", "1")
    t.put("b", "2")
    yes, no = t.compare("a", "VALUE", "EQUAL", "1"), t.compare("b", "VALUE", "EQUAL", "1")
    t.txn([yes, yes], [t.op_put("r", "both")], [t.op_put("r", "not both")])
    t.txn([yes, no], [t.op_put("r", "both")], [t.op_put("r", "not both")])
    t.txn([no, yes], [t.op_put("r", "both")], [t.op_put("r", "not both")])
    t.range("r")


@case("kv/txn/empty key")
def _(t):
    t.txn([t.compare("", "VERSION", "EQUAL", 0)])
    t.txn(success=[t.op_put("", "1")])
    t.txn(failure=[t.op_put("", "1")])
    t.txn(success=[t.op_range("")])
    t.txn(success=[t.op_delete("")])
    t.txn(success=[t.op_txn(success=[t.op_put("", "1")])])
    t.txn(success=[t.op_txn([t.compare("", "VERSION", "EQUAL", 0)])])


@case("kv/txn/operation without a request")
def _(t):
    t.txn(success=[t.api.RequestOp()])
    t.txn(success=[t.op_put("a", "1"), t.api.RequestOp()])
    t.range("a")


@case("kv/txn/all operations at one revision")
def _(t):
    t.put("d", "old")
    t.txn(success=[t.op_put("a", "1"), t.op_put("b", "2"), t.op_delete("d", prev_kv=True), t.op_range("a", "z")])
    t.range("a", "z")
    t.range("a", "z", revision=t.rev(1))
    t.range("a", "z", revision=t.rev(2))


@case("kv/txn/sees its own writes")
def _(t):
    t.put("a", "old")
    t.txn(success=[
        t.op_range("a"), t.op_put("a", "new", prev_kv=True), t.op_range("a"), t.op_range("a", revision=t.rev(1)),
        t.op_delete("x", "y"), t.op_range(b"\0", b"\0"),
    ])
    t.range("a")


@case("kv/txn/reads only")
def _(t):
    t.put("a", "1")
    t.put("a", "2")
    t.txn(success=[t.op_range("a"), t.op_range("a", revision=t.rev(1)), t.op_range("none")])
    t.txn(success=[t.op_range("a", revision=t.rev(3))])
    t.txn(success=[t.op_range("a", revision=t.rev(100))])
    t.txn(success=[t.op_range("a", serializable=True)])
    t.txn(success=[t.op_range("a", "z", limit=1, sort_order=2, count_only=True)])
    t.put("a", "3")
    t.compact(t.rev(3))
    t.txn(success=[t.op_range("a", revision=t.rev(2))])
    t.txn(success=[t.op_put("b", "not written"), t.op_range("a", revision=t.rev(2))])
    t.range("b")
    t.txn(success=[t.op_put("b", "not written"), t.op_range("a", revision=t.rev(50))])
    t.range("b")


@case("kv/txn/revision of a read within a writing transaction")
def _(t):
    t.put("a", "1")
    t.txn(success=[t.op_put("b", "1"), t.op_range("a", revision=t.rev(1))])
    t.txn(success=[t.op_put("b", "2"), t.op_range("b", revision=t.rev(2))])
    t.txn(success=[t.op_put("b", "3"), t.op_range("b", revision=t.rev(4))])
    t.txn(success=[t.op_put("b", "4"), t.op_range("b", revision=t.rev(6))])
    t.range("b")


@case("kv/txn/duplicate keys")
def _(t):
    t.txn(success=[t.op_put("a", "1"), t.op_put("a", "2")])
    t.txn(failure=[t.op_put("a", "1"), t.op_put("a", "2")])
    t.txn(success=[t.op_put("a", "1")], failure=[t.op_put("a", "2")])
    t.txn(success=[t.op_put("a", "1"), t.op_delete("a")])
    t.txn(success=[t.op_delete("a"), t.op_put("a", "1")])
    t.txn(success=[t.op_delete("a", "c"), t.op_put("b", "1")])
    t.txn(success=[t.op_put("b", "1"), t.op_delete("a", "c")])
    t.txn(success=[t.op_put("c", "1"), t.op_delete("a", "c")])
    t.txn(success=[t.op_delete("a"), t.op_delete("a")])
    t.txn(success=[t.op_delete("a", "c"), t.op_delete("b", "d")])
    t.txn(success=[t.op_range("a"), t.op_range("a"), t.op_put("a", "1")])
    t.range(b"\0", b"\0")


@case("kv/txn/a put and a delete of all keys from one on")
def _(t):
    t.txn(success=[t.op_put("z", "1"), t.op_delete("a", b"\0")])
    t.txn(success=[t.op_delete(b"\0", b"\0"), t.op_put("z", "1")])


@case("kv/txn/duplicate keys in nested transactions")
def _(t):
    t.txn(success=[t.op_put("a", "1"), t.op_txn(success=[t.op_put("a", "2")])])
    t.txn(success=[t.op_put("a", "1"), t.op_txn(failure=[t.op_put("a", "2")])])
    t.txn(success=[t.op_txn(success=[t.op_put("a", "1")], failure=[t.op_put("a", "2")])])
    t.txn(success=[t.op_txn(success=[t.op_put("a", "1")]), t.op_txn(success=[t.op_put("a", "2")])])
    t.txn(success=[t.op_txn(success=[t.op_put("b", "1")]), t.op_txn(success=[t.op_put("c", "2")])])
    t.txn(success=[t.op_put("b", "1"), t.op_txn(success=[t.op_delete("a", "c")])])
    t.txn(success=[t.op_delete("a", "c"), t.op_txn(success=[t.op_put("b", "2")])])
    t.txn(success=[t.op_txn(success=[t.op_put("b", "1")]), t.op_delete("a", "c")])
    t.txn(success=[t.op_txn(success=[t.op_delete("a", "c")]), t.op_txn(success=[t.op_put("b", "2")])])
    t.range(b"\0", b"\0")


@case("kv/txn/nested")
def _(t):
    t.put("a", "1")
    t.txn(
        [t.compare("a", "VALUE", "EQUAL", "1")],
        [t.op_put("b", "outer"),
         t.op_txn([t.compare("b", "VALUE", "EQUAL", "outer")], [t.op_put("c", "saw it"), t.op_range("b")], [t.op_put("c", "did not")]),
         t.op_txn([t.compare("c", "VERSION", "GREATER", 0)], [t.op_delete("none")], [t.op_put("d", "1")]),
         t.op_txn()],
        [t.op_txn(success=[t.op_put("e", "1")])],
    )
    t.range(b"\0", b"\0")
    t.txn(success=[t.op_txn(success=[t.op_txn(success=[t.op_txn(success=[t.op_put("deep", "1")])])])])
    t.txn(success=[t.op_txn(failure=[t.op_put("never", "1")])])
    t.range(b"\0", b"\0")


@case("kv/txn/guards of nested transactions are taken before any write")
def _(t):
    t.put("a", "1")
    t.txn(success=[t.op_put("a", "2"), t.op_txn([t.compare("a", "VALUE", "EQUAL", "1")], [t.op_put("r", "before")], [t.op_put("r", "after")])])
    t.range("r")
    t.txn(success=[t.op_delete("a"), t.op_txn([t.compare("a", "VERSION", "EQUAL", 0)], [t.op_put("r", "after")], [t.op_put("r", "before")])])
    t.range("r")


@case("kv/txn/too many operations")
def _(t):
    t.txn(success=[t.op_put("k%03d" % i, "1") for i in range(128)])
    t.txn(success=[t.op_put("k%03d" % i, "1") for i in range(129)])
    t.txn(failure=[t.op_put("k%03d" % i, "1") for i in range(129)])
    t.txn([t.compare("k%03d" % i, "VERSION", "GREATER", 0) for i in range(128)])
    t.txn([t.compare("k%03d" % i, "VERSION", "GREATER", 0) for i in range(129)])
    t.txn(success=[t.op_txn(success=[t.op_put("k%03d" % i, "1") for i in range(129)])])
    t.txn(success=[t.op_txn(success=[t.op_put("a%03d" % i, "1") for i in range(100)]),
                   t.op_txn(success=[t.op_put("b%03d" % i, "1") for i in range(100)])])
    t.range(b"\0", b"\0", count_only=True)


@case("kv/txn/limit of the server's own", flags=["--max-txn-ops", "2"])
def _(t):
    t.txn(success=[t.op_put("a", "1"), t.op_put("b", "1")])
    t.txn(success=[t.op_put("a", "1"), t.op_put("b", "1"), t.op_put("c", "1")])
    t.txn([t.compare("a", "VERSION", "GREATER", 0)] * 3)
    t.txn(success=[t.op_range("a")] * 3)
    t.txn(success=[t.op_txn(success=[t.op_put("a", "1"), t.op_put("b", "1")]), t.op_put("c", "1")])


@case("kv/txn/too large")
def _(t):
    t.txn(success=[t.op_put("k%d" % i, b"x" * 500000) for i in range(4)])
    t.range(b"\0", b"\0", count_only=True)
    t.txn(success=[t.op_put("k%d" % i, b"x" * 500000) for i in range(3)])
    t.range(b"\0", b"\0", count_only=True)


@case("kv/txn/put options")
def _(t):
    t.txn(success=[t.op_put("a", "1", lease=777)])
    t.txn(success=[t.op_put("b", "1"), t.op_put("a", "1", lease=777)])
    t.range("b")
    t.txn(success=[t.op_put("a", "", ignore_value=True)])
    t.txn(success=[t.op_put("a", "", ignore_lease=True)])
    t.txn(success=[t.op_put("a", "1", ignore_value=True)])
    t.txn(success=[t.op_put("a", "", lease=5, ignore_lease=True)])
    t.grant(600, 603)
    t.txn(success=[t.op_put("a", "1", lease=603, prev_kv=True), t.op_put("b", "2", prev_kv=True)])
    t.txn(success=[t.op_put("a", "", ignore_value=True), t.op_put("b", "x", ignore_lease=True, prev_kv=True)])
    t.range("a", "c")
    t.txn(failure=[t.op_put("z", "", ignore_value=True)])
    t.txn(failure=[t.op_put("z", "1", lease=778)])


@case("kv/txn/unknown lease in the branch not taken")
def _(t):
    t.txn(success=[t.op_put("a", "1")], failure=[t.op_put("b", "1", lease=779)])
    t.txn([t.compare("a", "VERSION", "EQUAL", 99)], [t.op_put("b", "1", lease=779)], [t.op_put("a", "2")])
    t.txn(success=[t.op_txn([t.compare("a", "VERSION", "EQUAL", 99)], [t.op_put("b", "1", lease=779)], [t.op_put("c", "2")])])
    t.txn(success=[t.op_txn(success=[t.op_put("b", "1", lease=779)])])
    t.range(b"\0", b"\0")


@case("kv/txn/deletes")
def _(t):
    t.txn(success=[t.op_put(k, k) for k in "abcde"])
    t.txn(success=[t.op_delete("a"), t.op_delete("none"), t.op_delete("b", "d", prev_kv=True)])
    t.txn(success=[t.op_delete("a"), t.op_delete("b")])
    t.range(b"\0", b"\0")
    t.txn(success=[t.op_delete(b"\0", b"\0")])
    t.range(b"\0", b"\0")


@case("kv/txn/range options")
def _(t):
    for i, k in enumerate("abcde"):
        t.put(k, str(9 - i))
    t.txn(success=[
        t.op_range("a", "f", limit=2), t.op_range("a", "f", count_only=True), t.op_range("a", "f", keys_only=True, limit=1),
        t.op_range("a", "f", sort_order=1, sort_target=4), t.op_range("a", "f", min_mod_revision=t.rev(3)),
        t.op_range("a", "f", revision=t.rev(2)), t.op_range("f", "a"), t.op_range("c", b"\0"),
    ])


@case("kv/txn/compare and swap")
def _(t):
    t.txn([t.compare("lock", "CREATE", "EQUAL", 0)], [t.op_put("lock", "me")], [t.op_range("lock")])
    t.txn([t.compare("lock", "CREATE", "EQUAL", 0)], [t.op_put("lock", "you")], [t.op_range("lock")])
    t.txn([t.compare("lock", "MOD", "EQUAL", t.rev(1))], [t.op_delete("lock")], [t.op_range("lock")])
    t.txn([t.compare("lock", "CREATE", "EQUAL", 0)], [t.op_put("lock", "you")], [t.op_range("lock")])


@case("kv/txn/through every member", sizes=(3,))
def _(t):
    for m in range(3):
        t.txn([t.compare("n", "VERSION", "EQUAL", m)], [t.op_put("n", str(m)), t.op_range("n")], [t.op_range("n")], member=m)
        t.txn(success=[t.op_range("n")], member=(m + 1) % 3)
        t.txn(success=[t.op_put("x", "1"), t.op_put("x", "2")], member=m)
