"""Debian 12's kubectl (1.20) against a cluster: the cases of kubectl.py."""

import unittest

from kubectl import KubectlCases


class Kubectl120(KubectlCases):
    version = "1.20"


del KubectlCases
if __name__ == "__main__":
    unittest.main(verbosity=2)
