"""bench/profile: how samples are read, counted and drawn, and what it says when perf is missing."""

import os
import subprocess
import sys
import xml.etree.ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path.insert(0, HERE)

from comparison import report, stacks  # noqa: E402

SCRIPT = """kv-apply
\t    7f10 __memmove_avx (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    5501 rocksdb::DBImpl::Get(rocksdb::ReadOptions const&, rocksdb::Slice const&)+0x11 (/x/bin/kvd)
\t    5502 keel::kvstore::(anonymous namespace)::Machine::Apply(std::span<keel::raft::Entry const>) (/x/bin/kvd)

kv-apply
\tffffffff81 do_syscall_64 ([kernel.kallsyms])
\t    7f11 write (/usr/lib/x86_64-linux-gnu/libc.so.6)
\t    5502 keel::kvstore::(anonymous namespace)::Machine::Apply(std::span<keel::raft::Entry const>) (/x/bin/kvd)

kv-io
\t    7f12 mi_malloc (/usr/lib/x86_64-linux-gnu/libmimalloc.so.2.0)

kv-io
\t    7f13 [unknown] (/usr/lib/x86_64-linux-gnu/libnghttp2.so.14 (deleted))
"""


def test_samples_are_read_root_first():
    samples = stacks.parse(SCRIPT)
    assert [thread for thread, _ in samples] == ["kv-apply", "kv-apply", "kv-io", "kv-io"], samples
    assert samples[0][1][0][0].startswith("keel::kvstore::") and samples[0][1][-1][0] == "__memmove_avx"
    assert samples[1][1][-1] == ("do_syscall_64", "[kernel.kallsyms]")


def test_a_sample_counts_for_its_innermost_frame():
    components, threads = stacks.shares(stacks.parse(SCRIPT))
    assert components == {"libc": 25, "kernel": 25, "allocator": 25, "nghttp2": 25}, components
    assert threads == {"kv-apply": 50, "kv-io": 50}, threads


def test_components_go_by_library_and_namespace():
    for symbol, dso, owner in (("rocksdb::MemTable::Add(…)", "/x/kvd", "RocksDB"),
                               ("keel::rpc::internal::Http2Connection::Flush()", "/x/kvd", "rpc"),
                               ("std::_Function_handler<void (), keel::raft::Log::Log(rocksdb::X)>::_M_invoke", "/x/kvd", "raft"),
                               ("keel::raft::proto::Message::Clear()", "/x/kvd", "Protobuf"),
                               ("operator new(unsigned long)", "/x/kvd", "allocator"),
                               ("__vdso_clock_gettime", "[vdso]", "other"), ("anything", "[guest.kernel]", "kernel"),
                               ("boost::asio::detail::scheduler::run", "/x/kvd", "other")):
        assert stacks.component(symbol, dso) == owner, (symbol, stacks.component(symbol, dso))
        assert owner in stacks.COMPONENTS


def test_names_are_short():
    assert stacks.plain("keel::kvstore::(anonymous namespace)::Machine::Apply(std::span<int const>)") == (
        "kvstore::Machine::Apply")
    assert stacks.plain("void std::sort<int*>(int*, int*)") == "std::sort"
    assert stacks.plain("do_syscall_64") == "do_syscall_64"


def test_flame_graph_is_as_wide_as_the_samples():
    text = stacks.flame(stacks.parse(SCRIPT), "a < b")
    root = xml.etree.ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    widths = {group.find(f"{space}title").text: float(group.find(f"{space}rect").get("width"))
              for group in root.iter(f"{space}g")}
    assert "kvstore::Machine::Apply 50.0 %" in widths, widths
    assert abs(widths["all 100.0 %"] / widths["kvstore::Machine::Apply 50.0 %"] - 2) < 0.01, widths


def test_table_has_a_column_for_each_workload():
    components, threads = stacks.shares(stacks.parse(SCRIPT))
    text = stacks.table({"put": {"components": components, "threads": threads},
                         "watch": {"components": {"watch": 100.0}, "threads": {"kv-io": 100.0}}})
    assert "| put | watch |" in text and "| kernel | 25.0 | 0.0 |" in text and "| thread `kv-io` | 50.0 | 100.0 |" in text, text


def test_says_when_perf_is_missing():
    done = subprocess.run([sys.executable, f"{HERE}/profile", "put"], capture_output=True, text=True,
                          env={"PATH": "/nonexistent"})
    assert done.returncode == 1 and "perf is not installed: apt-get install linux-perf" in done.stderr, done.stderr


def test_document_has_a_place():
    with open(f"{HERE}/../docs/performance.md") as file:
        report.put_into(file.read(), "", "profile")


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
print("passed")
