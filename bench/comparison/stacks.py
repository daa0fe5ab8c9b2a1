"""Samples of perf: parsed, counted by component, drawn as a flame graph."""

import html
import re

# In the order of the table.
COMPONENTS = ("kernel", "RocksDB", "allocator", "kvstore", "watch", "raft", "rpc", "nghttp2", "Protobuf", "libc", "other")
COLOURS = {"kernel": "#e07b53", "RocksDB": "#6a9fd8", "allocator": "#d8c15a", "kvstore": "#7cb87c", "watch": "#5fb3a1",
           "raft": "#a58ad0", "rpc": "#d58ab0", "nghttp2": "#c9a27c", "Protobuf": "#b0b86a", "libc": "#b5b5b5",
           "other": "#d4d4d4"}
LIBRARIES = (("libmimalloc", "allocator"), ("libjemalloc", "allocator"), ("librocksdb", "RocksDB"), ("libnghttp2", "nghttp2"),
             ("libprotobuf", "Protobuf"), ("libc.so", "libc"), ("libc-", "libc"), ("libstdc++", "libc"), ("libm.so", "libc"))
NAMESPACES = (("rocksdb::", "RocksDB"), ("keel::kvstore::", "kvstore"), ("keel::kv::", "Protobuf"),
              ("keel::watch::", "watch"), ("keel::raft::proto::", "Protobuf"), ("keel::raft::", "raft"),
              ("keel::rpc::", "rpc"), ("etcdserverpb::", "Protobuf"), ("mvccpb::", "Protobuf"),
              ("google::protobuf::", "Protobuf"))
ALLOCATING = re.compile(r"^(_int_malloc|_int_free|malloc|calloc|realloc|free|cfree|operator (new|delete)|mi_|_mi_)")


def component(symbol, dso):
    """Whose a frame is. A template or a lambda is that of the first of ours that its name shows."""
    if dso.startswith("[") and "vdso" not in dso:
        return "kernel"
    if ALLOCATING.match(symbol):
        return "allocator"
    for part, name in LIBRARIES:
        if part in dso:
            return name
    found = [(symbol.find(part), name) for part, name in NAMESPACES if part in symbol]
    return min(found)[1] if found else "other"


def plain(symbol):
    """A C++ name without arguments and template arguments, as short as it says what it is."""
    symbol = symbol.replace("(anonymous namespace)::", "").replace("operator()", "call").replace("operator<", "less")
    out, depth = [], 0
    for c in symbol:
        if c in "<(":
            depth += 1
        elif c in ">)":
            depth = max(0, depth - 1)
        elif depth == 0:
            out.append(c)
    text = "".join(out).replace("absl::debian3::", "absl::").replace("keel::", "").replace(" const", "").strip()
    words = text.split(" ")
    return words[-1] if len(words) > 1 and "::" in words[-1] else text or symbol


FRAME = re.compile(r"^\s+[0-9a-f]+ (?P<symbol>.*?)(?:\+0x[0-9a-f]+)? \((?P<dso>[^()]*(?:\([^()]*\))?)\)$")


def parse(text):
    """Of `perf script -F comm,ip,sym,dso`: a list of (thread, [(symbol, dso), ...]), the root first."""
    samples = []
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
        if not lines:
            continue
        frames = [(m["symbol"], m["dso"]) for m in map(FRAME.match, lines[1:]) if m]
        if frames:
            samples.append((lines[0].strip(), frames[::-1]))
    return samples


def shares(samples):
    """Percent of the samples by component of the innermost frame, and by thread."""
    components, threads = {}, {}
    for thread, frames in samples:
        components[component(*frames[-1])] = components.get(component(*frames[-1]), 0) + 1
        threads[thread] = threads.get(thread, 0) + 1

    def percent(counts):
        return {name: 100 * n / len(samples) for name, n in sorted(counts.items(), key=lambda item: -item[1])}
    return percent(components), percent(threads)


def tree(samples):
    """Merged stacks: {"count", "component", "children": {name: …}}; the first level is the threads."""
    root = {"count": 0, "component": "other", "children": {}}
    for thread, frames in samples:
        root["count"] += 1
        node = root
        for name, owner in [(thread, "other")] + [(plain(symbol), component(symbol, dso)) for symbol, dso in frames]:
            node = node["children"].setdefault(name, {"count": 0, "component": owner, "children": {}})
            node["count"] += 1
    return root


def flame(samples, title, width=1240, row=16, least_percent=0.15):
    """The flame graph: roots below, callees above; a frame's width is its share of the samples."""
    root = tree(samples)
    placed = []

    def place(node, name, left, depth):
        share = node["count"] / root["count"]
        if share * 100 < least_percent or depth > 70:
            return
        placed.append((name, node, left, depth, share))
        for child_name, child in sorted(node["children"].items()):
            place(child, child_name, left, depth + 1)
            left += child["count"] / root["count"]

    place(root, "all", 0.0, 0)
    deepest = max(depth for _, _, _, depth, _ in placed)
    top, legend = 34, 26
    height = top + (deepest + 1) * row + legend
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
           f'font-family="monospace" font-size="11">', f'<rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="10" y="20" font-size="14" font-family="sans-serif">{html.escape(title)}</text>']
    inner = width - 20
    for name, node, left, depth, share in placed:
        x, y = 10 + left * inner, top + (deepest - depth) * row
        wide = share * inner
        letters = int((wide - 4) / 6.7)
        text = name if len(name) <= letters else name[:max(0, letters - 2)] + ".." if letters > 4 else ""
        out.append(f'<g><title>{html.escape(name)} {share * 100:.1f} %</title><rect x="{x:.1f}" y="{y}" '
                   f'width="{max(wide - 0.4, 0.3):.1f}" height="{row - 1}" fill="{COLOURS[node["component"]]}"/>'
                   + (f'<text x="{x + 2:.1f}" y="{y + 11.5}">{html.escape(text)}</text>' if text else "") + "</g>")
    at = 10
    for name in COMPONENTS:
        out.append(f'<rect x="{at}" y="{height - 17}" width="11" height="11" fill="{COLOURS[name]}"/>'
                   f'<text x="{at + 15}" y="{height - 8}">{name}</text>')
        at += 30 + 7 * len(name)
    return "\n".join(out) + "\n</svg>\n"


def table(profiles):
    """Markdown of {workload: {"components": …, "threads": …}}: percent, a column for each workload."""
    names = [name for name in ("put", "get", "watch") if name in profiles]
    lines = ["| percent of the members' processor time | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for what in COMPONENTS:
        lines.append(f"| {what} | " + " | ".join(f"{profiles[n]['components'].get(what, 0):.1f}" for n in names) + " |")
    threads = sorted({t for n in names for t in profiles[n]["threads"]},
                     key=lambda t: -max(profiles[n]["threads"].get(t, 0) for n in names))
    for thread in threads:
        if max(profiles[n]["threads"].get(thread, 0) for n in names) >= 1:
            lines.append(f"| thread `{thread}` | "
                         + " | ".join(f"{profiles[n]['threads'].get(thread, 0):.1f}" for n in names) + " |")
    return "\n".join(lines)
