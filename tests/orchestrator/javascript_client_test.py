"""@kubernetes/client-node against a cluster: clients/examples.mjs."""

import pathlib
import subprocess
import unittest

from clients.fetch import fetch
from cluster import ClusterCase

HERE = pathlib.Path(__file__).resolve().parent


class JavaScriptClient(ClusterCase):
    def test_examples(self):
        folder = fetch()
        done = subprocess.run(["node", str(HERE / "clients" / "examples.mjs"), self.cluster.kubeconfig, str(folder)],
                              capture_output=True, text=True, timeout=120)
        self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), done.stderr)


if __name__ == "__main__":
    unittest.main(verbosity=2)
