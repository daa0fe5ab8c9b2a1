"""The examples in examples/guestbook do what their README says."""

import base64
import unittest

from cluster import ROOT, ClusterCase

EXAMPLES = ROOT / "examples" / "guestbook"


class GuestbookTest(ClusterCase):
    def ready(self, resource, count):
        objects = self.cluster.get(f"{resource}")["items"]
        return len(objects) == count and all(
            o["status"].get("readyReplicas", 0) == o["spec"].get("replicas", 1) for o in objects)

    def addresses(self, namespace, service):
        subsets = self.cluster.get(f"/api/v1/namespaces/{namespace}/endpoints/{service}").get("subsets", [])
        return sum(len(s.get("addresses", [])) for s in subsets)

    def test_classic(self):
        kubectl = self.cluster.kubectl
        kubectl("create", "namespace", "classic")
        kubectl("apply", "-n", "classic", "-f", EXAMPLES / "classic")
        self.wait("all replication controllers are ready",
                  lambda: self.ready("/api/v1/namespaces/classic/replicationcontrollers", 3))
        self.wait("three front ends behind the service", lambda: self.addresses("classic", "frontend") == 3)
        kubectl("scale", "rc", "frontend", "--replicas=5", "-n", "classic")
        self.wait("five front ends behind the service", lambda: self.addresses("classic", "frontend") == 5)
        kubectl("delete", "pod", "-l", "tier=frontend", "-n", "classic", "--wait=false")
        self.wait("the front ends are replaced", lambda: self.addresses("classic", "frontend") == 5)
        kubectl("label", "pod", "-l", "role=replica", "role-", "-n", "classic")
        self.wait("two replicas that were let go, two that replaced them", lambda: len(
            self.cluster.get("/api/v1/namespaces/classic/pods?labelSelector=tier%3Dbackend")["items"]) == 5)
        password = kubectl("get", "secret", "redis", "-n", "classic", "-o", "jsonpath={.data.password}")
        self.assertEqual(base64.b64decode(password), b"not-for-production")
        kubectl("delete", "namespace", "classic", "--wait=false")
        self.wait("the namespace is gone with all that was in it", lambda: "classic" not in kubectl("get", "namespaces"))
        self.assertEqual(self.cluster.get("/api/v1/namespaces/classic/pods")["items"], [])

    def test_modern(self):
        kubectl = self.cluster.kubectl
        # The namespace's file comes first by its name.
        kubectl("apply", "-f", EXAMPLES / "modern")
        kubectl("rollout", "status", "deployment/frontend", "-n", "guestbook", "--timeout=60s")
        kubectl("rollout", "status", "statefulset/redis", "-n", "guestbook", "--timeout=60s")
        kubectl("set", "image", "deployment/frontend", "php-redis=gcr.io/google-samples/gb-frontend:v6", "-n",
                "guestbook")
        kubectl("rollout", "status", "deployment/frontend", "-n", "guestbook", "--timeout=60s")
        kubectl("rollout", "undo", "deployment/frontend", "-n", "guestbook")
        kubectl("rollout", "status", "deployment/frontend", "-n", "guestbook", "--timeout=60s")
        image = kubectl("get", "deployment", "frontend", "-n", "guestbook", "-o",
                        "jsonpath={.spec.template.spec.containers[0].image}")
        self.assertEqual(image, "gcr.io/google-samples/gb-frontend:v5")


if __name__ == "__main__":
    unittest.main()
