"""Every daemon is killed twice, at any moment, while a deployment rolls from image to image: in the
end everything is as wanted, no pod was ever bound to two nodes, and nothing is left over.

    KEEL_CHAOS_PODS=100 KEEL_CHAOS_SEED=7 chaos_test.py         smaller (1,000 by default), or as it was

What pods were bound to is read from the store's whole history, at the end: no watch can miss it.
"""

import json
import os
import random
import time
import unittest

import etcd3

from cluster import ApiError, ClusterCase, wait_until

PODS = int(os.environ.get("KEEL_CHAOS_PODS", "1000"))
SEED = int(os.environ.get("KEEL_CHAOS_SEED", str(random.randrange(1 << 30))))
DEPLOYMENT = "/apis/apps/v1/namespaces/default/deployments/web"
SELECTOR = "?labelSelector=app%3Dweb"


def deployment(image):
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
            "spec": {"replicas": PODS, "revisionHistoryLimit": 3,
                     "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}},
                                  "spec": {"terminationGracePeriodSeconds": 1,
                                           "containers": [{"name": "c", "image": image}]}}}}


class ChaosTest(ClusterCase):
    members = 3
    apiservers = 2
    controller_managers = 2
    schedulers = 2
    nodes = 10 + PODS // 50
    flags = {"apiserver_flags": ["--etcd-compaction-interval=0"], "node_flags": ["--max-pods=250"]}

    def ask(self, what, method, path, body=None, seconds=60, **more):
        """Through whichever API server answers; only what a repetition cannot spoil is asked."""
        def tried():
            for api in (0, 1):
                try:
                    return (self.cluster.call(method, path, body, api=api, timeout=5, **more),)
                except (OSError, ApiError) as problem:
                    if isinstance(problem, ApiError) and problem.code < 500 and problem.code != 429:
                        raise
            return None
        return wait_until(what, tried, seconds)[0]

    def set_image(self, image):
        patch = {"spec": {"template": {"spec": {"containers": [{"name": "c", "image": image}]}}}}
        self.ask(f"set image {image}", "PATCH", DEPLOYMENT, patch,
                 content_type="application/strategic-merge-patch+json")

    def rolled_out(self):
        found = self.ask("read the deployment", "GET", DEPLOYMENT)
        status = found.get("status", {})
        return (status.get("observedGeneration") == found["metadata"]["generation"] and
                all(status.get(count) == PODS for count in ("replicas", "updatedReplicas", "readyReplicas",
                                                            "availableReplicas")))

    def test_every_daemon_dies_twice_during_rolling_updates(self):
        print(f"seed {SEED}, {PODS} pods", flush=True)
        chance = random.Random(SEED)
        self.ask("make the service", "POST", "/api/v1/namespaces/default/services",
                 {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
                  "spec": {"selector": {"app": "web"}, "ports": [{"port": 80}]}})
        self.ask("make the deployment", "POST", "/apis/apps/v1/namespaces/default/deployments", deployment("web:0"))
        wait_until("the first rollout", self.rolled_out, 60 + PODS / 5)

        images = 0
        for _ in range(2):
            victims = list(self.cluster.daemons)
            chance.shuffle(victims)
            for name in victims:
                if self.rolled_out():
                    images += 1
                    self.set_image(f"web:{images}")
                time.sleep(chance.uniform(0, 1))
                daemon = self.cluster[name]
                daemon.kill()
                time.sleep(chance.uniform(0, 1))
                daemon.start()
                if name.startswith("kvd"):
                    self.cluster.wait_store(int(name[-1]))  # The store survives one member, not two.
        self.set_image("web:last")
        wait_until("the last rollout", self.rolled_out, 120 + PODS / 5)
        self.check_end()
        self.check_history()

    def check_end(self):
        def settled():
            pods = self.ask("list pods", "GET", "/api/v1/namespaces/default/pods" + SELECTOR)["items"]
            return len(pods) == PODS and pods
        pods = wait_until("only the pods that are wanted are left", settled, 60)
        for pod in pods:
            self.assertEqual(pod["status"]["phase"], "Running")
            self.assertEqual(pod["spec"]["containers"][0]["image"], "web:last")
            self.assertNotIn("deletionTimestamp", pod["metadata"])
        sets = self.ask("list replica sets", "GET", "/apis/apps/v1/namespaces/default/replicasets" + SELECTOR)["items"]
        self.assertEqual(sorted(s["spec"]["replicas"] for s in sets), [0] * (len(sets) - 1) + [PODS])
        uids = {s["metadata"]["uid"] for s in sets if s["spec"]["replicas"]}
        self.assertEqual({o["uid"] for pod in pods for o in pod["metadata"]["ownerReferences"]}, uids)
        wait_until("old replica sets go", lambda: len(self.ask(
            "list replica sets", "GET", "/apis/apps/v1/namespaces/default/replicasets" + SELECTOR)["items"]) <= 4, 60)
        addresses = {pod["status"]["podIP"] for pod in pods}
        self.assertEqual(len(addresses), PODS, "two pods have one address")

        def endpoints():
            subsets = self.ask("read endpoints", "GET", "/api/v1/namespaces/default/endpoints/web").get("subsets", [])
            return {a["ip"] for s in subsets for a in s.get("addresses", [])} == addresses
        wait_until("the service's endpoints are the pods", endpoints, 60)
        wait_until("all nodes are Ready", lambda: self.cluster.ready_nodes() == self.nodes, 60)

    def check_history(self):
        client = etcd3.client(port=self.cluster.store_ports[0])  # Its thread ends with the process.
        values = list(client.get_prefix("/registry/pods/", keys_only=True))
        last = max(meta.mod_revision for _, meta in values)
        events, cancel = client.watch_prefix("/registry/pods/", start_revision=1, prev_kv=True)
        bound, phases, bindings = {}, {}, 0
        for event in events:
            if event.value:
                pod = json.loads(event.value)
                uid, node = pod["metadata"]["uid"], pod["spec"].get("nodeName")
                before = bound.setdefault(uid, node)
                if before is None and node is not None:
                    bound[uid] = node
                    bindings += 1
                else:
                    self.assertEqual(before, node, f"pod {uid} was bound twice")
                phase = pod.get("status", {}).get("phase")
                self.assertFalse(phases.get(uid) in ("Failed", "Succeeded") and phase in ("Pending", "Running"),
                                 f"pod {uid} came back from its end")
                phases[uid] = phase
            if event.mod_revision >= last:
                break
        cancel()
        self.assertGreaterEqual(bindings, PODS)
        print(f"{len(bound)} pods, {bindings} bindings, none twice", flush=True)


if __name__ == "__main__":
    unittest.main()
