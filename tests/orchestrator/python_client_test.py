"""Debian's python3-kubernetes against a cluster, as its users call it."""

import threading
import unittest

from kubernetes import client, config, watch
from kubernetes.client.rest import ApiException

from cluster import ClusterCase


class PythonClient(ClusterCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.api_client = config.new_client_from_config(cls.cluster.kubeconfig)
        cls.core = client.CoreV1Api(cls.api_client)
        cls.apps = client.AppsV1Api(cls.api_client)
        cls.batch = client.BatchV1Api(cls.api_client)
        cls.core.create_namespace({"metadata": {"name": "py"}})

    def refused(self, code, reason, call, *args, **more):
        with self.assertRaises(ApiException) as caught:
            call(*args, **more)
        self.assertEqual(caught.exception.status, code)
        self.assertIn(f'"reason":"{reason}"', caught.exception.body.replace('": "', '":"'))
        return caught.exception

    def test_typed_objects_travel_both_ways(self):
        made = self.core.create_namespaced_secret("py", client.V1Secret(
            metadata=client.V1ObjectMeta(name="key", labels={"a": "b"}), string_data={"password": "s3cret"}))
        self.assertEqual(made.data, {"password": "czNjcmV0"})
        self.assertEqual(made.type, "Opaque")
        self.assertIsNotNone(made.metadata.creation_timestamp)
        found = self.core.list_namespaced_secret("py", label_selector="a=b", field_selector="type=Opaque")
        self.assertEqual([s.metadata.uid for s in found.items], [made.metadata.uid])
        self.core.delete_namespaced_secret("key", "py")
        self.refused(404, "NotFound", self.core.read_namespaced_secret, "key", "py")

    def test_the_two_writers_of_one_version_conflict(self):
        self.core.create_namespaced_config_map("py", {"metadata": {"name": "both"}, "data": {"n": "0"}})
        one = self.core.read_namespaced_config_map("both", "py")
        other = self.core.read_namespaced_config_map("both", "py")
        one.data["n"] = "1"
        self.core.replace_namespaced_config_map("both", "py", one)
        other.data["n"] = "2"
        self.refused(409, "Conflict", self.core.replace_namespaced_config_map, "both", "py", other)
        patched = self.core.patch_namespaced_config_map("both", "py", {"data": {"m": "3"}})
        self.assertEqual(patched.data, {"n": "1", "m": "3"})

    def test_watch_from_a_list_sees_each_change_once(self):
        version = self.core.list_namespaced_config_map("py").metadata.resource_version
        seen = []

        def follow():
            for event in watch.Watch().stream(self.core.list_namespaced_config_map, "py", resource_version=version,
                                              label_selector="watched=yes", timeout_seconds=20):
                seen.append((event["type"], event["object"].metadata.name))
                if len(seen) == 4:
                    return

        thread = threading.Thread(target=follow, daemon=True)
        thread.start()
        for name in ("w1", "w2"):
            self.core.create_namespaced_config_map("py", {"metadata": {"name": name, "labels": {"watched": "yes"}}})
        self.core.create_namespaced_config_map("py", {"metadata": {"name": "w3"}})
        # What leaves the selector is deleted to this watcher.
        self.core.patch_namespaced_config_map("w1", "py", {"metadata": {"labels": {"watched": None}}})
        self.core.delete_namespaced_config_map("w2", "py")
        thread.join(20)
        self.assertEqual(seen, [("ADDED", "w1"), ("ADDED", "w2"), ("DELETED", "w1"), ("DELETED", "w2")])

    def test_pages_are_of_one_revision(self):
        for i in range(25):
            self.core.create_namespaced_service_account("py", {"metadata": {"name": f"p{i:02d}"}})
        first = self.core.list_namespaced_service_account("py", limit=10)
        self.core.delete_namespaced_service_account("p20", "py")
        names, page, pages = [], first, 1
        while True:
            names += [s.metadata.name for s in page.items]
            self.assertEqual(page.metadata.resource_version, first.metadata.resource_version)
            if not page.metadata._continue:
                break
            page = self.core.list_namespaced_service_account("py", limit=10, _continue=page.metadata._continue)
            pages += 1
        self.assertEqual([n for n in names if n.startswith("p")], [f"p{i:02d}" for i in range(25)])
        self.assertEqual(pages, 3)

    def test_a_deployment_comes_up_and_its_pods_go_with_it(self):
        self.apps.create_namespaced_deployment("py", {
            "metadata": {"name": "web"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}},
                     "template": {"metadata": {"labels": {"app": "web"}},
                                  "spec": {"containers": [{"name": "c", "image": "nginx:1"}]}}}})
        self.wait("three replicas are ready",
                  lambda: self.apps.read_namespaced_deployment_status("web", "py").status.ready_replicas == 3)
        self.apps.patch_namespaced_deployment_scale("web", "py", {"spec": {"replicas": 1}})
        self.wait("one is left", lambda: len(self.core.list_namespaced_pod("py", label_selector="app=web").items) == 1)
        self.apps.delete_namespaced_deployment("web", "py", propagation_policy="Foreground")
        self.wait("its pod is gone", lambda: not self.core.list_namespaced_pod("py", label_selector="app=web").items)

    def test_a_job_completes(self):
        self.batch.create_namespaced_job("py", {
            "metadata": {"name": "sum"},
            "spec": {"completions": 3, "parallelism": 2, "template": {
                "metadata": {"annotations": {"keel.io/hollow-run-seconds": "0.2"}},
                "spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox"}]}}}})
        self.wait("the job is complete", lambda: self.batch.read_namespaced_job_status("sum", "py").status.succeeded == 3)

    def test_bad_input_is_refused_with_kubernetes_reasons(self):
        bad = self.refused(422, "Invalid", self.core.create_namespaced_config_map, "py", {"metadata": {"name": "No_Good"}})
        self.assertIn("metadata.name", bad.body)
        self.refused(404, "NotFound", self.core.create_namespaced_config_map, "nowhere", {"metadata": {"name": "a"}})
        self.refused(422, "Invalid", self.apps.create_namespaced_deployment, "py", {
            "metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}},
                                                "template": {"metadata": {"labels": {"a": "c"}}, "spec": {
                                                    "containers": [{"name": "c", "image": "i"}]}}}})
        self.refused(400, "BadRequest", self.core.list_namespaced_pod, "py", label_selector="a in (b")


if __name__ == "__main__":
    unittest.main(verbosity=2)
