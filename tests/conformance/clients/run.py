#!/usr/bin/python3
"""Starts a cluster, runs a client library's examples against it, and stops it.

    tests/conformance/clients/run.py --server build/release/bin/kvd python
    tests/conformance/clients/run.py --server /usr/bin/etcd npm

Exits with what the examples exit with, or with 77 if the client library
cannot be had on this machine.
"""

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from api import Api  # noqa: E402
from cluster import Cluster  # noqa: E402

NOT_INSTALLED = 77


def python_command(_):
    # Found, not imported: its descriptors and ours cannot live in one process.
    if importlib.util.find_spec("etcd3") is None:
        print("skipped: etcd3 is not installed (Debian: python3-etcd3)")
        return None
    return [sys.executable, os.path.join(HERE, "python_examples.py")]


def npm_command(modules):
    """Installs the locked packages under `modules`, once."""
    if not shutil.which("npm") or not shutil.which("node"):
        print("skipped: npm is not installed (Debian: npm)")
        return None
    os.makedirs(modules, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc", "examples.js"):
        shutil.copy(os.path.join(HERE, "npm", name), modules)
    if not os.path.exists(os.path.join(modules, "node_modules", "etcd3")):
        done = subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=modules, capture_output=True, text=True, timeout=300)
        if done.returncode:
            print("skipped: npm ci failed: " + done.stderr.strip()[-500:])
            return None
    return ["node", os.path.join(modules, "examples.js")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("client", choices=["python", "npm"])
    parser.add_argument("--server", required=True, help="kvd, or anything with etcd's flags")
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--modules", default=os.path.join(HERE, "npm"), help="where the npm packages are installed")
    args = parser.parse_args()
    command = python_command(args) if args.client == "python" else npm_command(args.modules)
    if command is None:
        return NOT_INSTALLED
    directory = tempfile.mkdtemp(prefix="conformance-api-")
    cluster = Cluster(Api(directory), args.server, args.members, ["--heartbeat-interval", "200", "--election-timeout", "2000"])
    try:
        cluster.start()
        return subprocess.run(command + [",".join(m.client for m in cluster.members)], timeout=280).returncode
    finally:
        if not cluster.alive():
            print("a member is not running any more:\n" + "\n".join(cluster.tail(m) for m in cluster.members if not m.alive()))
        cluster.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
