#!/usr/bin/env python3
"""keel-controller-manager on a real API server and store: rollouts as kubectl sees them, cascades of
deletions, the end of a namespace, endpoints, and a leader that is killed in the middle of its work.

There are no nodes: a thread plays the node agents and makes pods ready, or ends those that go."""

import datetime
import json
import threading
import time
import unittest

from cluster import ClusterCase

MERGE = "application/merge-patch+json"


class Agents(threading.Thread):
    """Makes pods ready but those with the image `broken`, and lets deleted ones go."""

    def __init__(self, cluster):
        super().__init__(daemon=True)
        self.cluster, self.stopped, self.count = cluster, threading.Event(), 0

    def run(self):
        while not self.stopped.wait(0.1):
            try:
                for pod in self.cluster.get("/api/v1/pods")["items"]:
                    self.tend(pod)
            except Exception:  # a server that is being killed; the next round comes
                pass

    def tend(self, pod):
        meta = pod["metadata"]
        path = f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}"
        if meta.get("deletionTimestamp"):
            self.cluster.raw("DELETE", path + "?gracePeriodSeconds=0")
            return
        conditions = pod.get("status", {}).get("conditions", [])
        if any(c["type"] == "Ready" and c["status"] == "True" for c in conditions):
            return
        if pod["spec"]["containers"][0]["image"] == "broken":
            return
        self.count += 1
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.cluster.raw("PATCH", path + "/status", {"status": {
            "phase": "Running", "podIP": f"10.1.{self.count // 250}.{self.count % 250 + 1}",
            "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": now}]}}, content_type=MERGE)


class ControllersTest(ClusterCase):
    controller_managers = 2
    schedulers = 0
    nodes = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.agents = Agents(cls.cluster)
        cls.agents.start()

    @classmethod
    def tearDownClass(cls):
        cls.agents.stopped.set()
        cls.agents.join(10)
        super().tearDownClass()

    def setUp(self):
        self.wait("the default service account", lambda: self.items("serviceaccounts", "default"), 60)

    def items(self, plural, ns="default", group=""):
        base = f"/apis/{group}/v1" if group else "/api/v1"
        return self.cluster.get(f"{base}/namespaces/{ns}/{plural}")["items"]

    def names(self, plural, **more):
        return sorted(item["metadata"]["name"] for item in self.items(plural, **more))

    def kubectl(self, *arguments):
        return self.cluster.kubectl(*arguments)

    def deploy(self, name, replicas=2, image="a"):
        self.kubectl("create", "deployment", name, f"--image={image}", f"--replicas={replicas}")
        self.addCleanup(self.cluster.raw, "DELETE",
                        f"/apis/apps/v1/namespaces/default/deployments/{name}?propagationPolicy=Background")
        self.rolled_out(name)

    def rolled_out(self, name):
        self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=60s")

    def pods_of(self, app):
        return [pod for pod in self.items("pods") if pod["metadata"]["labels"].get("app") == app]

    def test_rollout_history_and_undo(self):
        self.deploy("web", 3)
        self.kubectl("scale", "deployment/web", "--replicas=5")
        self.rolled_out("web")
        self.assertEqual(len(self.pods_of("web")), 5)
        self.kubectl("set", "image", "deployment/web", "*=b")
        self.rolled_out("web")
        self.wait("old pods are gone", lambda: {p["spec"]["containers"][0]["image"] for p in self.pods_of("web")} == {"b"})
        history = str(self.kubectl("rollout", "history", "deployment/web"))
        self.assertIn("1 ", history)
        self.assertIn("2 ", history)
        self.kubectl("rollout", "undo", "deployment/web")
        self.rolled_out("web")
        deployment = self.cluster.get("/apis/apps/v1/namespaces/default/deployments/web")
        self.assertEqual(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "3")
        self.assertEqual(len([s for s in self.items("replicasets", group="apps")
                              if s["metadata"]["labels"].get("app") == "web"]), 2)
        described = str(self.kubectl("describe", "deployment", "web"))
        self.assertIn("ScalingReplicaSet", described)
        self.assertIn("NewReplicaSetAvailable", described)

    def test_broken_image_keeps_old_pods(self):
        self.deploy("steady", 4)
        self.kubectl("set", "image", "deployment/steady", "*=broken")
        time.sleep(3)
        ready = [p for p in self.pods_of("steady") if p["spec"]["containers"][0]["image"] == "a"]
        self.assertEqual(len(ready), 3)
        self.kubectl("rollout", "undo", "deployment/steady")
        self.rolled_out("steady")

    def test_cascades(self):
        self.deploy("back")
        self.kubectl("delete", "deployment", "back")
        self.wait("background deletion", lambda: not self.pods_of("back"))
        self.deploy("front")
        code, _ = self.cluster.raw("DELETE",
                                   "/apis/apps/v1/namespaces/default/deployments/front?propagationPolicy=Foreground")
        self.assertIn(code, (200, 202))
        self.wait("foreground deletion", lambda: "front" not in self.names("deployments", group="apps"))
        self.assertEqual(self.pods_of("front"), [], "the owner went before its pods")
        self.deploy("free")
        code, _ = self.cluster.raw("DELETE",
                                   "/apis/apps/v1/namespaces/default/deployments/free?propagationPolicy=Orphan")
        self.assertIn(code, (200, 202))
        self.wait("orphaned", lambda: "free" not in self.names("deployments", group="apps"))
        sets = [s for s in self.items("replicasets", group="apps") if s["metadata"]["labels"].get("app") == "free"]
        self.assertEqual(len(sets), 1)
        self.assertFalse(sets[0]["metadata"].get("ownerReferences"))
        self.assertEqual(len(self.pods_of("free")), 2)
        self.kubectl("delete", "replicaset", sets[0]["metadata"]["name"])
        self.wait("pods went with their set", lambda: not self.pods_of("free"))

    def test_namespace_goes_with_its_content(self):
        self.kubectl("create", "namespace", "short")
        self.wait("its account", lambda: self.items("serviceaccounts", "short"))
        self.kubectl("-n", "short", "create", "configmap", "x", "--from-literal=a=b")
        self.kubectl("-n", "short", "create", "deployment", "y", "--image=a", "--replicas=3")
        self.kubectl("delete", "namespace", "short", "--timeout=60s")
        self.assertEqual(self.items("pods", "short"), [])
        self.assertEqual(self.items("configmaps", "short"), [])

    def test_quotas_follow_what_there_is(self):
        self.kubectl("create", "namespace", "counted")
        self.addCleanup(self.cluster.raw, "DELETE", "/api/v1/namespaces/counted")
        self.wait("its account", lambda: self.items("serviceaccounts", "counted"))
        self.kubectl("-n", "counted", "create", "configmap", "x", "--from-literal=a=b")
        self.kubectl("-n", "counted", "create", "quota", "q", "--hard=pods=5,configmaps=3,count/deployments.apps=9,requests.cpu=10")

        def used():
            return self.cluster.get("/api/v1/namespaces/counted/resourcequotas/q").get("status", {}).get("used")

        # Each namespace has the configmap of the root CA too, where the controllers know one.
        maps = str(len(self.items("configmaps", "counted")))
        self.wait("what was there is counted", lambda: used() == {
            "pods": "0", "configmaps": maps, "count/deployments.apps": "0", "requests.cpu": "0"})
        self.kubectl("-n", "counted", "create", "deployment", "web", "--image=a", "--replicas=0")
        self.kubectl("-n", "counted", "set", "resources", "deployment/web", "--requests=cpu=250m")
        # More than there is room for, again and again, while others end: never more than five.
        for replicas in (9, 2, 9, 1, 9):
            self.kubectl("-n", "counted", "scale", "deployment/web", f"--replicas={replicas}")
            wanted = min(replicas, 5)
            most = 0

            def settled():
                nonlocal most
                count = len(self.items("pods", "counted"))
                most = max(most, count)
                return count == wanted

            self.wait(f"{wanted} pods", settled, 60)
            self.assertLessEqual(most, 5)
            cpu = {1: "250m", 2: "500m", 5: "1250m"}[wanted]
            self.wait("they are counted", lambda: (used()["pods"], used()["requests.cpu"]) == (str(wanted), cpu))
        self.kubectl("-n", "counted", "delete", "deployment/web", "configmap/x")
        self.wait("what went is not counted", lambda: used() == {
            "pods": "0", "configmaps": str(int(maps) - 1), "count/deployments.apps": "0", "requests.cpu": "0"}, 60)

    def test_endpoints_follow_pods(self):
        self.deploy("served", 3)
        self.kubectl("expose", "deployment", "served", "--port=80")
        self.addCleanup(self.cluster.raw, "DELETE", "/api/v1/namespaces/default/services/served")

        def addresses():
            found = [e for e in self.items("endpoints") if e["metadata"]["name"] == "served"]
            return sum(len(s.get("addresses", [])) for e in found for s in e.get("subsets", []) or [])

        def in_slices():
            return sum(len(s.get("endpoints") or []) for s in self.items("endpointslices", group="discovery.k8s.io")
                       if s["metadata"]["labels"]["kubernetes.io/service-name"] == "served")

        self.wait("three addresses", lambda: (addresses(), in_slices()) == (3, 3))
        self.kubectl("scale", "deployment/served", "--replicas=1")
        self.wait("one address", lambda: (addresses(), in_slices()) == (1, 1))

    def test_another_manager_takes_over(self):
        self.deploy("long", 10)
        holder = lambda: self.cluster.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/"
                                          "kube-controller-manager")["spec"]["holderIdentity"]
        before = holder()
        managers = [self.cluster[f"controller-manager-{i}"] for i in range(2)]
        self.kubectl("set", "image", "deployment/long", "*=b")
        for manager in managers:
            manager.kill()
        managers[1].start()
        self.rolled_out("long")
        self.wait("ten pods, all new", lambda: [p["spec"]["containers"][0]["image"] for p in self.pods_of("long")] == ["b"] * 10)
        self.assertNotEqual(holder(), before)
        managers[0].start()

    def test_metrics_come_over_tls_with_the_certificate_that_was_given(self):
        def leaders():
            texts = [self.cluster.ask_daemon(f"controller-manager-{i}", "/metrics")[1] for i in range(2)]
            return sum(b'leader_election_master_status{name="kube-controller-manager"} 1' in text for text in texts)
        self.wait("one leads", lambda: leaders() == 1)


if __name__ == "__main__":
    unittest.main()
