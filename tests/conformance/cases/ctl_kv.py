"""etcdctl: put, get, del, txn, compaction, and what they print."""

from case import case

FORMATS = ("simple", "fields", "json")
WRITERS = FORMATS + ("table", "protobuf", "nonsense")


@case("ctl/put")
def _(t):
    t.ctl("put", "a", "1")
    t.ctl("put", "a", "2", "--prev-kv")
    t.ctl("put", "new", "1", "--prev-kv")
    t.ctl("put", "a", stdin="from stdin\n")
    t.ctl("put", "dash", "--", "-1")
    t.ctl("put", "empty", "")
    t.ctl("put", "a", "--ignore-value")
    t.ctl("put", "none", "--ignore-value")
    t.ctl("put", "none", "x", "--ignore-lease")
    t.ctl("put", "a", "x", "--lease=3039")
    t.ctl("put", "a", "x", "--lease=xyz")
    t.ctl("get", "", "--prefix")


@case("ctl/put with a lease")
def _(t):
    t.grant(600, 0x1234)
    t.ctl("put", "a", "1", "--lease=1234")
    t.ctl("get", "a", "-w", "json")
    t.ctl("put", "a", "2", "--ignore-lease")
    t.ctl("put", "a", "--ignore-value", "--lease=1234", "--prev-kv", "-w", "fields")
    t.ctl("get", "a", "-w", "fields")


@case("ctl/put formats")
def _(t):
    for w in WRITERS[:4]:
        t.ctl("put", "a", "1", "--prev-kv", "-w", w)


@case("ctl/put misused")
def _(t):
    t.ctl("put")
    t.ctl("put", "")
    t.ctl("put", "", "1")
    t.ctl("put", "a", "1", "2")
    t.ctl("put", "a", "1", "--ignore-value")


@case("ctl/get")
def _(t):
    for k, v in (("a", "1"), ("b", "5"), ("c", "3"), ("d", "4"), ("e", "2"), ("a", "9")):
        t.unrecorded("KV", "Put", key=k, value=v)
    for args in (["a"], ["none"], ["a", "c"], ["c", "a"], ["", "--prefix"], ["", "--from-key"], ["c", "--from-key"],
                 ["a", "--prefix", "--from-key"], ["a", "z", "--prefix"], ["a", "z", "--from-key"],
                 ["a", "z", "--limit=2"], ["a", "z", "--keys-only"], ["a", "z", "--print-value-only"],
                 ["a", "z", "--limit=2", "-w", "fields"],
                 ["a", "--consistency=s"], ["a", "--consistency=l"], ["a", "--consistency=x"],
                 ["a", "--hex"], ["a", "--hex", "--print-value-only"], ["a", "--hex", "--keys-only"],
                 ["a", "--rev=0"], ["a", "--rev=%d" % t.rev(1)], ["b", "--rev=%d" % t.rev(1)], ["a", "z", "--rev=%d" % t.rev(3)],
                 ["a", "--rev=%d" % t.rev(100)], ["a", "--limit=-1"], []):
        t.ctl("get", *args)


@case("ctl/get sorted")
def _(t):
    for k, v in (("b", "5"), ("a", "1"), ("c", "3"), ("d", "4"), ("e", "2"), ("a", "9"), ("c", "3"), ("c", "3")):
        t.unrecorded("KV", "Put", key=k, value=v)
    for target in ("CREATE", "KEY", "MODIFY", "VALUE", "VERSION", "nonsense"):
        for order in ("ASCEND", "DESCEND"):
            t.ctl("get", "a", "z", "--sort-by=" + target, "--order=" + order)
    t.ctl("get", "a", "z", "--sort-by=VALUE", "--limit=2")
    t.ctl("get", "a", "z", "--order=sideways")


@case("ctl/get formats")
def _(t):
    t.ctl("put", "a", "1")
    t.ctl("put", "b", "line\nbreak\x01")
    for w in FORMATS + ("table", "nonsense"):
        t.ctl("get", "a", "z", "-w", w)
        t.ctl("get", "none", "-w", w)
    t.ctl("get", "a", "z", "-w", "json", "--hex")
    t.ctl("get", "a", "z", "-w", "fields", "--hex")
    t.ctl("get", "a", "z", "--hex")


@case("ctl/get of a compacted revision")
def _(t):
    for i in range(4):
        t.unrecorded("KV", "Put", key="a", value=str(i))
    t.ctl("compaction", str(t.rev(3)))
    t.ctl("get", "a", "--rev=%d" % t.rev(1))
    t.ctl("get", "a", "--rev=%d" % t.rev(3))


@case("ctl/del")
def _(t):
    for k in ("a", "b", "c", "d", "p/1", "p/2"):
        t.unrecorded("KV", "Put", key=k, value=k)
    t.ctl("del", "a")
    t.ctl("del", "a")
    t.ctl("del", "b", "d", "--prev-kv")
    t.ctl("del", "p/", "--prefix", "-w", "fields", "--prev-kv")
    t.ctl("put", "x", "1")
    t.ctl("del", "x", "-w", "json", "--prev-kv")
    t.ctl("del", "", "--from-key")
    t.ctl("del", "", "--prefix")
    t.ctl("del", "a", "--prefix", "--from-key")
    t.ctl("del", "a", "-w", "table")
    t.ctl("del")
    t.ctl("del", "a", "b", "c")


@case("ctl/txn")
def _(t):
    t.ctl("put", "a", "1")
    t.ctl("txn", stdin='value("a") = "1"\n\nput b "2"\nget a\n\nput b "3"\n\n')
    t.ctl("txn", stdin='value("a") = "x"\n\nput b "2"\n\nput b "3"\ndel a --prev-kv\n\n')
    t.ctl("get", "", "--prefix")
    t.ctl("txn", stdin='version("b") > "1"\ncreate("b") > "0"\nmod("b") != "0"\n\nget b\n\n\n')
    t.ctl("txn", stdin="\n\n\n")
    t.ctl("txn", stdin='\nget "" --prefix\n\n\n')


@case("ctl/txn formats")
def _(t):
    for w in FORMATS + ("table",):
        t.ctl("txn", "-w", w, stdin='version("a") = "0"\n\nput a "1"\nget a\ndel z\n\nget a\n\n')
        t.ctl("txn", "-w", w, "--hex", stdin='version("a") = "0"\n\nput a "1"\n\nget a\n\n')
        t.unrecorded("KV", "DeleteRange", key="a")


@case("ctl/txn interactive")
def _(t):
    t.ctl("txn", "-i", stdin='version("a") = "0"\n\nput a "1"\n\nget a\n\n')
    t.ctl("txn", "-i", stdin='version("a") = "0"\n\nput a "1"\n\nget a\n\n')


@case("ctl/txn misused")
def _(t):
    t.ctl("txn", stdin='nonsense\n\n\n\n')
    t.ctl("txn", stdin='value(a) ~ "1"\n\n\n\n')
    t.ctl("txn", stdin='version("a") = "x"\n\n\n\n')
    t.ctl("txn", stdin='\nfly a\n\n\n')
    t.ctl("txn", stdin='\nput a 1\nput a 2\n\n\n')
    t.ctl("txn", "extra", stdin="\n\n\n")


@case("ctl/compaction")
def _(t):
    for i in range(5):
        t.unrecorded("KV", "Put", key="a", value=str(i))
    t.ctl("compaction", str(t.rev(2)))
    t.ctl("compaction", str(t.rev(2)))
    t.ctl("compaction", str(t.rev(100)))
    t.ctl("compaction", str(t.rev(4)), "--physical")
    t.ctl("compaction", "x")
    t.ctl("compaction")
    t.ctl("compaction", str(t.rev(1)), "-w", "json")


@case("ctl/no server")
def _(t):
    t.ctl("get", "a", "--command-timeout=1s", "--dial-timeout=500ms", endpoints="127.0.0.1:1")
    t.ctl("endpoint", "health", "--command-timeout=1s", "--dial-timeout=500ms", endpoints="127.0.0.1:1")
    t.ctl("endpoint", "status", "--command-timeout=1s", "--dial-timeout=500ms", endpoints="127.0.0.1:1")


@case("ctl/one of two endpoints is down")
def _(t):
    t.ctl("endpoint", "health", "--command-timeout=3s", "--dial-timeout=500ms", endpoints=t.endpoints() + ",127.0.0.1:1")
    t.ctl("put", "a", "1", endpoints="127.0.0.1:1," + t.endpoints())
