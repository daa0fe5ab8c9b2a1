#!/usr/bin/env python3
"""keel-scheduler on a real API server and store: nodes and pods made by kubectl and by calls, and what
`kubectl describe` says of those that fit nowhere."""

import json
import ssl
import time
import unittest

from cluster import ClusterCase


def node(name, cpu="4", labels=None, taints=()):
    return {"apiVersion": "v1", "kind": "Node",
            "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
            "spec": {"taints": [dict(zip(("key", "value", "effect"), t)) for t in taints]},
            "status": {"allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
                       "capacity": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
                       "conditions": [{"type": "Ready", "status": "True"}]}}


def pod(name, cpu="100m", labels=None, **spec):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {}},
            "spec": {"containers": [{"name": "c", "image": "pause", "resources": {"requests": {"cpu": cpu}}}], **spec}}


ANTI = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
    {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"app": "alone"}}}]}}


class SchedulerTest(ClusterCase):
    controller_managers = 0
    schedulers = 2
    nodes = 0

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        for name in ("default", "kube-system"):
            code, _ = cls.cluster.raw("POST", "/api/v1/namespaces",
                                       {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
            assert code in (201, 409), code
        # What the controller manager would make, without which no pod is admitted.
        code, _ = cls.cluster.raw("POST", "/api/v1/namespaces/default/serviceaccounts",
                                  {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        assert code in (201, 409), code

    def setUp(self):
        self.made_pods, self.made_nodes = [], []

    def tearDown(self):
        for name in self.made_pods:
            self.cluster.raw("DELETE", f"/api/v1/namespaces/default/pods/{name}?gracePeriodSeconds=0")
        for name in self.made_nodes:
            self.cluster.raw("DELETE", f"/api/v1/nodes/{name}")

    def add_node(self, name, **more):
        made = node(name, **more)
        self.cluster.create("/api/v1/nodes", made)
        # Status is written by its own path, as kubelets do.
        self.cluster.raw("PATCH", f"/api/v1/nodes/{name}/status", {"status": made["status"]},
                         content_type="application/merge-patch+json")
        self.made_nodes.append(name)

    def add_pod(self, name, **more):
        # Without a node agent nothing would end a grace period.
        self.cluster.create("/api/v1/namespaces/default/pods", pod(name, terminationGracePeriodSeconds=0, **more))
        self.made_pods.append(name)

    def pod(self, name):
        return self.cluster.get(f"/api/v1/namespaces/default/pods/{name}")

    def node_of(self, name):
        return self.pod(name)["spec"].get("nodeName", "")

    def wait_bound(self, name, seconds=30):
        self.wait(f"{name} is bound", lambda: self.node_of(name), seconds)
        return self.node_of(name)

    def condition(self, name):
        return next((c for c in self.pod(name).get("status", {}).get("conditions", [])
                     if c["type"] == "PodScheduled"), {})

    def wait_reason(self, name, text):
        self.wait(f"{name}: {text}", lambda: text in self.condition(name).get("message", ""))

    def test_binds_and_shows_it(self):
        self.add_node("n1")
        self.add_node("n2")
        for i in range(4):
            self.add_pod(f"p{i}")
        placed = [self.wait_bound(f"p{i}") for i in range(4)]
        self.assertEqual(sorted(placed), ["n1", "n1", "n2", "n2"])
        self.assertEqual(self.condition("p0").get("status"), "True")
        self.wait("the event", lambda: f"Successfully assigned default/p0 to {placed[0]}"
                  in self.cluster.kubectl("describe", "pod", "p0"))
        self.assertIn("default-scheduler", self.cluster.kubectl("describe", "pod", "p0"))

    def test_describe_says_why_a_pod_waits(self):
        self.add_node("small", cpu="1")
        self.add_node("kept", taints=[("k", "v", "NoSchedule")])
        self.add_node("cordoned")
        self.cluster.kubectl("cordon", "cordoned")
        self.add_pod("big", cpu="2")
        self.wait_reason("big", "0/3 nodes are available: 1 Insufficient cpu, 1 node(s) had untolerated taint "
                                "{k: v}, 1 node(s) were unschedulable.")
        self.assertEqual(self.condition("big")["reason"], "Unschedulable")
        self.wait("the event", lambda: "FailedScheduling" in self.cluster.kubectl("describe", "pod", "big"))
        self.assertIn("1 node(s) were unschedulable", self.cluster.kubectl("describe", "pod", "big"))
        self.cluster.kubectl("uncordon", "cordoned")
        self.assertEqual(self.wait_bound("big"), "cordoned")

    def test_keeps_pods_apart(self):
        for i in range(3):
            self.add_node(f"a{i}")
        for i in range(4):
            self.add_pod(f"alone{i}", labels={"app": "alone"}, affinity=ANTI)
        self.wait("three are bound", lambda: sum(bool(self.node_of(f"alone{i}")) for i in range(4)) == 3)
        waiting = next(f"alone{i}" for i in range(4) if not self.node_of(f"alone{i}"))
        self.wait_reason(waiting, "0/3 nodes are available: 3 node(s) didn't match pod anti-affinity rules.")
        self.add_node("a3")
        self.assertEqual(self.wait_bound(waiting), "a3")

    def test_preempts(self):
        for name, value in (("high", 1000), ("low", 1)):
            self.cluster.raw("POST", "/apis/scheduling.k8s.io/v1/priorityclasses",
                             {"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
                              "metadata": {"name": name}, "value": value})
        self.add_node("n1", cpu="1")
        self.add_pod("victim", cpu="1", priorityClassName="low")
        self.wait_bound("victim")
        if self.pod("victim")["spec"].get("priority") != 1:
            self.skipTest("the API server does not resolve priority classes yet")
        self.add_pod("important", cpu="1", priorityClassName="high")
        self.assertEqual(self.wait_bound("important"), "n1")
        self.assertEqual(self.cluster.raw("GET", "/api/v1/namespaces/default/pods/victim")[0], 404)

    def test_another_takes_over(self):
        self.add_node("n1")
        self.add_pod("before")
        self.wait_bound("before")
        holder = self.cluster.get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler")
        identity = holder["spec"]["holderIdentity"]
        leader = next(name for name in ("scheduler-0", "scheduler-1")
                      if f"_{self.cluster[name].pid}_" in identity)
        self.cluster[leader].stop()  # gives the lease up
        self.add_pod("after")
        self.wait_bound("after", 30)
        self.cluster[leader].start()

    def test_shows_metrics(self):
        self.add_node("n1")
        self.add_pod("m")
        self.wait_bound("m")
        texts = []
        for i in range(2):
            # The certificate signs itself: nothing vouches for it.
            code, text = self.cluster.ask_daemon(f"scheduler-{i}", "/metrics", verify=False)
            self.assertEqual(code, 200)
            texts.append(text.decode())
            with self.assertRaises(ssl.SSLCertVerificationError):
                self.cluster.ask_daemon(f"scheduler-{i}", "/metrics")
        self.assertTrue(any('scheduler_cache_size{type="nodes"} 1' in text for text in texts), texts)

    def test_shows_metrics_to_those_who_may_see_them(self):
        def ask(path, identity=None, token=None):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            code, body = self.cluster.ask_daemon("scheduler-0", path, identity, headers, verify=False)
            return code, body if code == 200 else json.loads(body)["message"]
        self.assertEqual(ask("/healthz"), (200, b"ok"))
        self.assertEqual(ask("/metrics"), (403, 'forbidden: User "system:anonymous" cannot get path "/metrics"'))
        self.assertEqual(ask("/metrics", identity="controller-manager")[0], 403)
        self.assertEqual(ask("/metrics", token="guessed"), (401, "Unauthorized"))
        self.cluster.kubectl("create", "serviceaccount", "prometheus")
        token = self.cluster.create("/api/v1/namespaces/default/serviceaccounts/prometheus/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}})["status"]["token"]
        self.assertEqual(ask("/metrics", token=token)[0], 403)
        self.cluster.kubectl("create", "clusterrolebinding", "prometheus", "--clusterrole=system:monitoring",
                             "--serviceaccount=default:prometheus")
        self.wait("the token opens the metrics", lambda: ask("/metrics", token=token)[0] == 200)

    def test_a_burst_is_bound_without_overcommit(self):
        for i in range(10):
            self.add_node(f"b{i}", cpu="2")
        started = time.time()
        for i in range(110):
            self.add_pod(f"burst{i}", cpu="200m")
        bound = {}

        def all_bound():
            pods = self.cluster.get("/api/v1/namespaces/default/pods")["items"]
            bound.clear()
            for item in pods:
                if item["spec"].get("nodeName"):
                    bound.setdefault(item["spec"]["nodeName"], []).append(item["metadata"]["name"])
            return sum(map(len, bound.values())) >= 100
        self.wait("100 are bound", all_bound, 60)
        self.assertTrue(all(len(names) <= 10 for names in bound.values()), json.dumps(bound))
        print(f"100 pods made and bound in {time.time() - started:.1f} s")


if __name__ == "__main__":
    unittest.main()
