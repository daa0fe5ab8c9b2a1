#!/usr/bin/env python3
"""Fails on an include that points against the direction of dependencies.

Each folder names what it may include, as folders or single headers; a folder
may always include itself. The longest matching rule counts, so raft/core can
be stricter than raft. See docs/ARCHITECTURE.md.

    tests/layering/layering.py [ROOT]      check the tree
    tests/layering/layering.py --selftest  check the checker
"""

import pathlib
import re
import sys
import tempfile

ALLOWED = {
    "base": [],
    # The pure core: the standard library, Abseil, and five leaf headers, the first
    # for its tests.
    "raft/core": ["base/allocations.h", "base/check.h", "base/mutation.h", "base/status.h", "base/strings.h"],
    "raft": ["base"],
    "rpc": ["base"],
    "kvstore/api": [],
    "kvstore/feed.h": [],
    "kvstore": ["base", "raft", "rpc"],
    # The program that joins all the parts of the store.
    "kvstore/kvd": ["base", "raft", "rpc", "kvstore", "watch"],
    # Clients speak to any etcd: they know the wire, not the server.
    "kvstore/client": ["base", "rpc", "kvstore/api"],
    # kvctl also makes data directories, beside any server.
    "kvstore/kvctl": ["base", "rpc", "kvstore/api", "kvstore/client", "kvstore/recovery"],
    "watch": ["base", "rpc", "kvstore/api", "kvstore/feed.h"],
    # What objects are: pure.
    "orchestrator/api": ["base/check.h", "base/status.h", "base/strings.h"],
    "orchestrator/kinds": ["base/check.h", "base/status.h", "base/strings.h", "orchestrator/api"],
    # The store's only client among the daemons; the others are the API server's.
    "orchestrator/apiserver": ["base", "rpc", "kvstore/api", "kvstore/client", "orchestrator/api",
                               "orchestrator/kinds"],
    "orchestrator/client": ["base", "orchestrator/api"],
    "orchestrator/daemon": ["base", "rpc", "orchestrator/api", "orchestrator/client"],
    "orchestrator": ["base", "rpc", "orchestrator/api", "orchestrator/client", "orchestrator/daemon"],
    "bench": ["base", "raft", "rpc", "kvstore", "watch", "orchestrator"],
    "examples": ["base", "raft", "rpc", "kvstore", "watch"],
    "tests": ["base", "raft", "rpc", "kvstore", "watch", "orchestrator", "bench"],
}

# Programs: nobody includes what is in their folders.
PROGRAMS = {"kvstore/kvd", "kvstore/kvctl"}

# What the pure core may take from the system: no I/O, clock, thread or randomness.
CORE_FORBIDDEN_SYSTEM = re.compile(
    r"^(thread|mutex|shared_mutex|condition_variable|future|chrono|random|fstream|iostream|filesystem|"
    r"atomic|ctime|time\.h|unistd\.h|sys/.*|boost/.*|rocksdb/.*|google/.*|spdlog/.*|absl/time/.*|"
    r"absl/synchronization/.*|absl/random/.*)$")

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')


def matches(path, prefix):
    return path == prefix or path.startswith(prefix + "/")


def rule_of(path):
    rules = [rule for rule in ALLOWED if matches(path, rule)]
    return max(rules, key=len) if rules else None


def check(root):
    tops = {rule.split("/")[0] for rule in ALLOWED}
    problems, files = [], 0
    for top in sorted(tops):
        for file in sorted((root / top).rglob("*")):
            if file.suffix not in (".h", ".cc", ".cpp", ".hpp"):
                continue
            path = file.relative_to(root).as_posix()
            rule = rule_of(path)
            files += 1
            # A test may use what its part's users would use to drive it.
            is_test = file.stem.endswith(("_test", "_benchmark")) or "/testing/" in path
            for number, line in enumerate(file.read_text(errors="replace").splitlines(), 1):
                found = INCLUDE.match(line)
                if not found:
                    continue
                target = found.group(2)
                if target.split("/")[0] not in tops:
                    if rule == "raft/core" and not is_test and CORE_FORBIDDEN_SYSTEM.match(target):
                        problems.append(f"{path}:{number}: the pure core includes <{target}>")
                    continue
                inside = matches(target, rule) and (rule_of(target) == rule or rule_of(target) not in PROGRAMS)
                if not inside and not any(matches(target, ok) for ok in ALLOWED[rule]):
                    problems.append(f"{path}:{number}: {rule} may not include {target}")
    return problems, files


def selftest():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        cases = {
            "base/a.h": ('#include "raft/core/raft.h"', True),
            "base/b.h": ('#include "base/check.h"', False),
            "raft/core/a.cc": ("#include <thread>", True),
            "raft/core/b.cc": ('#include "base/log.h"', True),
            "raft/core/c.cc": ('#include "absl/status/status.h"', False),
            "raft/log/a.cc": ('#include "rpc/server.h"', True),
            "kvstore/server/a.cc": ('#include "watch/hub.h"', True),
            "kvstore/kvd/a.cc": ('#include "watch/hub.h"', False),
            "watch/a.cc": ('#include "kvstore/mvcc/store.h"', True),
            "watch/b.cc": ('#include "kvstore/feed.h"', False),
            "raft/log/b.cc": ('#include "raft/core/types.h"', False),
            "kvstore/server/b.cc": ('#include "kvstore/kvd/flags.h"', True),
            "orchestrator/apiserver/a.cc": ('#include "kvstore/server/server.h"', True),
            "orchestrator/node/a.cc": ('#include "kvstore/client/client.h"', True),
            "orchestrator/node/b.cc": ('#include "orchestrator/client/api_client.h"', False),
        }
        for path, (text, _) in cases.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text + "\n")
        problems, _ = check(root)
        for path, (_, wrong) in cases.items():
            caught = any(problem.startswith(path + ":") for problem in problems)
            if caught != wrong:
                sys.exit(f"selftest: {path} should {'' if wrong else 'not '}be refused")
    print("selftest: ok")


def main():
    if sys.argv[1:] == ["--selftest"]:
        return selftest()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    problems, files = check(root)
    print("\n".join(problems) or f"{files} files, every include follows the layers")
    if problems or files < 10:
        sys.exit(1)


if __name__ == "__main__":
    main()
