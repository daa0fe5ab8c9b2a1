"""Range with each of its options, alone and together."""

from case import case, prefix_end

TARGETS = ["KEY", "VERSION", "CREATE", "MOD", "VALUE"]


def fill(t):
    """Keys whose order differs by every sort target. Ends at revision R+10."""
    t.put("k/c", "1")
    t.put("k/a", "5")
    t.put("k/e", "3")
    t.put("k/b", "4")
    t.put("k/d", "2")
    t.put("k/c", "9")
    t.put("k/c", "6")
    t.put("k/a", "7")
    t.put("l", "outside")
    t.put("k/e", "3")


def number(t, kind, name):
    return t.api.RangeRequest.DESCRIPTOR.enum_types_by_name[kind].values_by_name[name].number


@case("kv/range/one key")
def _(t):
    t.range("a")
    t.put("a", "1")
    t.range("a")
    t.put("a", "2")
    t.range("a")
    t.range("a", "b")
    t.range("b")
    t.range("a\0")


@case("kv/range/bytes of every kind")
def _(t):
    every = bytes(range(256))
    t.put(b"\0", b"\0")
    t.put(b"\xff\xff", every)
    t.put(every, b"")
    t.put("ключ", "значение")
    t.range(b"\0")
    t.range(b"\xff\xff")
    t.range(every)
    t.range("ключ")
    t.range(b"\0", b"\0")
    t.range(b"\xff", b"\0")
    t.range(b"\xff", b"\xff\xff\xff")


@case("kv/range/ends")
def _(t):
    fill(t)
    t.range("k/a", "k/c")
    t.range("k/a", "k/c\0")
    t.prefix("k/")
    t.range("k/c", b"\0")
    t.range(b"\0", b"\0")
    t.range("k/b\0", "k/d")
    t.range("m", b"\0")
    t.prefix("nothing")


@case("kv/range/turned around")
def _(t):
    fill(t)
    t.range("k/c", "k/a")
    t.range("k/c", "k/c")
    t.range("k/c", "k/a", count_only=True)
    t.delete("k/c", "k/a")
    t.range("k/c", "k/a", limit=2, sort_order=1)


@case("kv/range/empty key")
def _(t):
    t.put("a", "1")
    t.range("")
    t.range("", "b")
    t.range("", b"\0")
    t.range("", "", serializable=True)


@case("kv/range/limit")
def _(t):
    fill(t)
    for limit in (0, 1, 2, 4, 5, 6, 1000, -1):
        t.prefix("k/", limit=limit)
    t.range("k/a", limit=1)
    t.range("none", limit=1)
    t.prefix("k/", limit=2, sort_order=2)
    t.prefix("k/", limit=2, keys_only=True)
    t.prefix("k/", limit=2, count_only=True)


@case("kv/range/sort")
def _(t):
    fill(t)
    for target in TARGETS:
        for order in ("NONE", "ASCEND", "DESCEND"):
            t.prefix("k/", sort_target=number(t, "SortTarget", target), sort_order=number(t, "SortOrder", order), keys_only=True)


@case("kv/range/sort with limit")
def _(t):
    fill(t)
    for target in TARGETS:
        for order in ("NONE", "ASCEND", "DESCEND"):
            t.prefix("k/", sort_target=number(t, "SortTarget", target), sort_order=number(t, "SortOrder", order), limit=2)


@case("kv/range/sort with a filter and limit")
def _(t):
    fill(t)
    t.prefix("k/", sort_target=3, sort_order=2, min_mod_revision=t.rev(4), limit=2)
    t.prefix("k/", sort_target=1, sort_order=2, max_create_revision=t.rev(3), limit=1)
    t.prefix("k/", sort_target=4, sort_order=1, min_create_revision=t.rev(2), max_mod_revision=t.rev(8), limit=3)


@case("kv/range/keys only and count only")
def _(t):
    fill(t)
    t.prefix("k/", keys_only=True)
    t.prefix("k/", count_only=True)
    t.prefix("k/", keys_only=True, count_only=True)
    t.range("k/a", keys_only=True)
    t.range("k/a", count_only=True)
    t.range("none", count_only=True)
    t.prefix("k/", count_only=True, revision=t.rev(3))
    t.prefix("k/", keys_only=True, sort_order=2, sort_target=4)


@case("kv/range/bounds on revisions")
def _(t):
    fill(t)
    for field in ("min_mod_revision", "max_mod_revision", "min_create_revision", "max_create_revision"):
        for offset in (0, 1, 4, 7, 10, 11):
            t.prefix("k/", keys_only=True, **{field: t.rev(offset)})
    t.prefix("k/", min_mod_revision=t.rev(5), max_mod_revision=t.rev(8))
    t.prefix("k/", min_mod_revision=t.rev(8), max_mod_revision=t.rev(5))
    t.prefix("k/", min_create_revision=t.rev(2), max_mod_revision=t.rev(8))
    t.prefix("k/", min_mod_revision=-1)


@case("kv/range/bounds with limit and count")
def _(t):
    fill(t)
    t.prefix("k/", min_mod_revision=t.rev(5), limit=1)
    t.prefix("k/", max_mod_revision=t.rev(5), limit=1)
    t.prefix("k/", min_mod_revision=t.rev(9), limit=2)
    t.prefix("k/", min_mod_revision=t.rev(5), count_only=True)
    t.prefix("k/", max_create_revision=t.rev(2), limit=2, keys_only=True)
    t.range("k/a", min_mod_revision=t.rev(9))
    t.range("k/a", max_mod_revision=t.rev(7))


@case("kv/range/past revisions")
def _(t):
    fill(t)
    for offset in range(1, 11):
        t.prefix("k/", revision=t.rev(offset))
    t.delete("k/a")
    t.range("k/a", revision=t.rev(10))
    t.range("k/a", revision=t.rev(11))
    t.put("k/a", "again")
    t.range("k/a")
    t.range("k/a", revision=t.rev(11))
    t.range("k/a", revision=0)
    t.range("k/a", revision=-1)


@case("kv/range/future revision")
def _(t):
    t.put("a", "1")
    t.range("a", revision=t.rev(2))
    t.range("a", revision=t.rev(1000))
    t.range("a", revision=1 << 62)
    t.range("a", revision=t.rev(2), serializable=True)
    t.range("none", revision=t.rev(2), count_only=True)


@case("kv/range/compacted revision")
def _(t):
    for i in range(5):
        t.put("a", str(i))
    t.compact(t.rev(3))
    t.range("a", revision=t.rev(2))
    t.range("a", revision=t.rev(3))
    t.range("a", revision=t.rev(4))
    t.range("a", revision=t.rev(2), count_only=True)
    t.range("a", revision=1)
    t.range("a", revision=t.rev(2), serializable=True)
    t.range("a")


@case("kv/range/serializable")
def _(t):
    fill(t)
    t.prefix("k/", serializable=True)
    t.range("k/a", serializable=True)
    t.range("k/a", serializable=True, revision=t.rev(3))
    t.range("none", serializable=True)


@case("kv/range/every member", sizes=(3,))
def _(t):
    fill(t)
    for m in range(3):
        t.prefix("k/", member=m)
        t.put("from", str(m), member=m)
        t.range("from", member=(m + 1) % 3)
        t.delete("from", member=(m + 2) % 3)
        t.prefix("k/", member=m, revision=t.rev(4), sort_order=2, sort_target=3)


@case("kv/range/paging")
def _(t):
    for i in range(23):
        t.unrecorded("KV", "Put", key=b"p/%02d" % i, value=b"%d" % i)
    key = b"p/"
    while True:
        page = t.range(key, prefix_end("p/"), limit=5, keys_only=True, revision=t.rev(23))
        if not page.response or not page.response.more:
            break
        key = page.response.kvs[-1].key + b"\0"


@case("kv/range/large answers")
def _(t):
    value = b"v" * 50000
    for i in range(100):
        t.unrecorded("KV", "Put", key=b"big/%03d" % i, value=value)
    answer = t.unrecorded("KV", "Range", key=b"big/", range_end=b"big0")
    t.note("five megabytes in one answer", "%s %d keys, all whole: %s" % (
        answer.code, len(answer.response.kvs), all(kv.value == value for kv in answer.response.kvs)))
    t.prefix("big/", limit=3)
    t.prefix("big/", count_only=True)


@case("kv/range/unknown fields are ignored")
def _(t):
    t.put("a", "1")
    request = t.api.RangeRequest.FromString(t.api.RangeRequest(key=b"a").SerializeToString() + b"\xf2\x3f\x03abc")
    t.call("KV", "Range", request=request)
