"""helm 4 against a cluster: the life of a release of examples/charts/web."""

import json
import os
import subprocess
import unittest

from cluster import ROOT, ClusterCase, helm_program

CHART = str(ROOT / "examples" / "charts" / "web")


class Helm(ClusterCase):
    nodes = 3

    def helm(self, *args, check=True):
        folder = str(self.cluster.folder)
        done = subprocess.run([helm_program(), "--kubeconfig", self.cluster.kubeconfig, "-n", "shop", *args],
                              capture_output=True, text=True, timeout=180,
                              env={**os.environ, "HOME": folder, "HELM_CACHE_HOME": folder + "/helm-cache",
                                   "HELM_CONFIG_HOME": folder + "/helm-config", "HELM_DATA_HOME": folder + "/helm-data"})
        if check and done.returncode != 0:
            raise AssertionError(f"helm {' '.join(args)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout if check else done

    def k(self, *args, **more):
        return self.cluster.kubectl("-n", "shop", *args, **more)

    def revisions(self):
        return [(r["revision"], r["status"]) for r in json.loads(self.helm("history", "front", "-o", "json"))]

    def test_a_release_lives_and_ends(self):
        out = self.helm("install", "front", CHART, "--create-namespace", "--wait", "--timeout", "90s")
        self.assertIn("STATUS: deployed", out)
        self.wait("the autoscaler's least is ready",
                  lambda: self.k("get", "deployment/front-web", "-o", "jsonpath={.status.readyReplicas}") == "2")
        self.assertEqual(self.k("get", "jobs", "-o", "name"), "", "the hook's job is deleted when it has succeeded")
        password = self.k("get", "secret/front-web", "-o", "jsonpath={.data.password}")
        self.assertEqual([r["name"] for r in json.loads(self.helm("list", "-o", "json"))], ["front"])

        self.helm("upgrade", "front", CHART, "--set", "greeting=good day", "--set", "image.tag=1.27",
                  "--set", "ingress.enabled=false", "--wait", "--timeout", "90s")
        self.assertEqual(self.k("get", "deployment/front-web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"), "nginx:1.27")
        self.assertEqual(self.k("get", "cm/front-web", "-o", "jsonpath={.data.greeting}"), "good day")
        self.assertEqual(self.k("get", "ingress", "-o", "name"), "")
        self.assertEqual(self.k("get", "secret/front-web", "-o", "jsonpath={.data.password}"), password)

        self.helm("rollback", "front", "1", "--wait", "--timeout", "90s")
        self.assertEqual(self.k("get", "deployment/front-web", "-o", "jsonpath={.spec.template.spec.containers[0].image}"), "nginx:1.26")
        self.assertEqual(self.k("get", "ingress", "-o", "name"), "ingress.networking.k8s.io/front-web\n")
        self.assertEqual(self.revisions(), [(1, "superseded"), (2, "superseded"), (3, "deployed")])

        self.assertIn("Succeeded", self.helm("test", "front", "--timeout", "60s"))

        # What the API refuses fails the upgrade; the release says so and can be taken back.
        failed = self.helm("upgrade", "front", CHART, "--set", "image.repository=UPPER CASE?", "--set", "service.port=99999",
                           "--timeout", "20s", check=False)
        self.assertNotEqual(failed.returncode, 0)
        self.assertRegex(failed.stderr, r"must be between 1 and 65535|99999")
        self.assertEqual(self.revisions()[-1][1], "failed")
        self.helm("rollback", "front", "3", "--wait", "--timeout", "90s")

        self.helm("uninstall", "front", "--wait", "--timeout", "60s")
        for what in ("deployments", "services", "secrets", "configmaps", "hpa", "ingress", "serviceaccounts"):
            self.assertNotIn("front", self.k("get", what, "-o", "name"), what)
        self.wait("the pods are gone", lambda: "front-web-" not in self.k(
            "get", "pods", "-l", "app.kubernetes.io/instance=front,pod-template-hash", "-o", "name"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
