#!/usr/bin/env python3
"""The API server alone, over its own wire: what lists, watches, writes and their refusals promise."""

import http.client
import json
import socket
import ssl
import threading
import unittest

from cluster import ApiError, Cluster

PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"


def pod(name, **labels):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]}}


def config_map(name, **data):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


class ApiServerTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(nodes=0, controller_managers=0, schedulers=0,
                              apiserver_flags=["--disable-admission-plugins", "ServiceAccount"])
        cls.addClassCleanup(cls.cluster.remove)
        cls.addClassCleanup(cls.cluster.stop)

    def call(self, *words, **more):
        return self.cluster.call(*words, **more)

    def refused(self, code, reason, *words, **more):
        with self.assertRaises(ApiError) as caught:
            self.call(*words, **more)
        status = json.loads(caught.exception.body)
        self.assertEqual((status["code"], status["reason"]), (code, reason), status)
        return status

    def watch(self, path, count, headers=None):
        """The first `count` events."""
        context = ssl.create_default_context(cafile=str(self.cluster.pki.ca))
        context.load_cert_chain(self.cluster.pki.folder / "admin.pem", self.cluster.pki.folder / "admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_ports[0], timeout=20, context=context)
        self.addCleanup(connection.close)
        connection.request("GET", path, headers=headers or {})
        answer = connection.getresponse()
        self.assertEqual(answer.status, 200)
        return [json.loads(answer.readline()) for _ in range(count)]

    def test_objects_have_lives(self):
        made = self.call("POST", MAPS, config_map("life", a="1"))
        self.assertRegex(made["metadata"]["uid"], "^[0-9a-f]{8}-[0-9a-f]{4}-4")
        self.assertEqual(self.call("GET", MAPS + "/life"), made)
        self.refused(409, "AlreadyExists", "POST", MAPS, config_map("life"))
        made["data"]["a"] = "2"
        changed = self.call("PUT", MAPS + "/life", made)
        self.assertGreater(int(changed["metadata"]["resourceVersion"]), int(made["metadata"]["resourceVersion"]))
        self.refused(409, "Conflict", "PUT", MAPS + "/life", made | {"data": {"a": "3"}})
        same = self.call("PUT", MAPS + "/life", changed)
        self.assertEqual(same["metadata"]["resourceVersion"], changed["metadata"]["resourceVersion"])
        self.refused(409, "Conflict", "DELETE", MAPS + "/life", {"preconditions": {"uid": "x"}})
        self.assertEqual(self.call("DELETE", MAPS + "/life")["status"], "Success")
        status = self.refused(404, "NotFound", "GET", MAPS + "/life")
        self.assertEqual(status["message"], 'configmaps "life" not found')

    def test_only_nodes_bring_a_status(self):
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        made = self.call("POST", "/api/v1/nodes", {"metadata": {"name": "brings"}, "status": {
            "capacity": {"cpu": "2"}} | ready})
        self.assertEqual(made["status"]["capacity"], {"cpu": "2"})
        self.call("PUT", "/api/v1/nodes/brings", made | {"status": {"capacity": {"cpu": "9"}}})
        self.assertEqual(self.call("GET", "/api/v1/nodes/brings")["status"], made["status"])
        made = self.call("POST", PODS, pod("brings") | {"status": {"phase": "Running"} | ready})
        self.assertEqual((made["status"]["phase"], made["status"].get("conditions")), ("Pending", None))
        made = self.call("POST", "/api/v1/namespaces", {"metadata": {"name": "brings"}, "status": {"phase": "Terminating"}})
        self.assertEqual(made["status"]["phase"], "Active")

    def test_put_creates_what_kubernetes_lets_it(self):
        base = "/api/v1/namespaces/default"
        port = {"spec": {"ports": [{"port": 80}]}}
        creates = [(f"{base}/endpoints", {}), (f"{base}/limitranges", {"spec": {"limits": []}}), (f"{base}/services", port),
                   ("/apis/coordination.k8s.io/v1/namespaces/default/leases", {}),
                   ("/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles", {}),
                   ("/apis/rbac.authorization.k8s.io/v1/clusterroles", {})]
        for path, body in creates:
            body = {"metadata": {"name": "by-put"}} | body
            code, text = self.cluster.raw("PUT", f"{path}/by-put?dryRun=All", body)
            self.assertEqual(code, 201, text)
            self.refused(404, "NotFound", "GET", f"{path}/by-put")
            code, text = self.cluster.raw("PUT", f"{path}/by-put", body)
            self.assertEqual(code, 201, text)
            made = json.loads(text)
            self.assertEqual(self.call("GET", f"{path}/by-put"), made)
            self.assertEqual(self.cluster.raw("PUT", f"{path}/by-put", made)[0], 200)
            self.call("DELETE", f"{path}/by-put")
            self.assertIn("Precondition failed: UID", self.refused(409, "Conflict", "PUT", f"{path}/by-put", made)["message"])
        for path, body in [(MAPS, {}), (PODS, pod("by-put")), (f"{base}/secrets", {}), (f"{base}/serviceaccounts", {}),
                           ("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", {"addressType": "IPv4", "endpoints": []})]:
            self.refused(404, "NotFound", "PUT", f"{path}/by-put", {"metadata": {"name": "by-put"}} | body)
        # Nor does a subresource make what it is part of.
        self.refused(404, "NotFound", "PUT", f"{base}/services/by-put/status", {"metadata": {"name": "by-put"}} | port)

    def test_some_kinds_are_updated_with_their_version_only(self):
        leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
        budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        budget = {"metadata": {"name": "versioned"}, "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"a": "b"}}}}
        for path, body, named in [(leases, {"metadata": {"name": "versioned"}}, "Lease.coordination.k8s.io"),
                                  (budgets, budget, "PodDisruptionBudget.policy")]:
            made = self.call("POST", path, body)
            status = self.refused(422, "Invalid", "PUT", f"{path}/versioned", body)
            self.assertEqual(status["message"], f'{named} "versioned" is invalid: metadata.resourceVersion: '
                                                "Invalid value: 0x0: must be specified for an update")
            self.call("PUT", f"{path}/versioned", made)
            # A patch need not name it.
            self.call("PATCH", f"{path}/versioned", {"metadata": {"labels": {"x": "y"}}},
                      content_type="application/merge-patch+json")
        self.call("POST", MAPS, config_map("unversioned", a="1"))
        self.call("PUT", MAPS + "/unversioned", config_map("unversioned", a="2"))

    def test_generated_names_and_dry_run(self):
        for _ in range(3):
            made = self.call("POST", MAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "g-"}})
            self.assertRegex(made["metadata"]["name"], "^g-[a-z0-9]{5}$")
        self.call("POST", MAPS + "?dryRun=All", config_map("dry"))
        self.refused(404, "NotFound", "GET", MAPS + "/dry")

    def test_fields_are_checked(self):
        bad = config_map("fields") | {"spec": {"foo": 1}}
        status = self.refused(400, "BadRequest", "POST", MAPS + "?fieldValidation=Strict", bad)
        self.assertIn('strict decoding error: unknown field "spec"', status["message"])
        code, _ = self.cluster.raw("POST", MAPS + "?fieldValidation=Warn", bad)
        self.assertEqual(code, 201)
        self.refused(422, "Invalid", "POST", MAPS, config_map("Not_A_Name"))
        self.refused(400, "BadRequest", "POST", MAPS, "{", content_type="application/json")
        self.refused(415, "UnsupportedMediaType", "POST", MAPS, "x", content_type="text/plain")
        self.refused(406, "NotAcceptable", "GET", MAPS, headers={"Accept": "text/html"})
        self.refused(404, "NotFound", "GET", "/api/v1/nonsense")

    def test_bodies_have_a_limit(self):
        context = ssl.create_default_context(cafile=str(self.cluster.pki.ca))
        context.load_cert_chain(self.cluster.pki.folder / "admin.pem", self.cluster.pki.folder / "admin.key")
        connection = http.client.HTTPSConnection("127.0.0.1", self.cluster.api_ports[0], timeout=20, context=context)
        self.addCleanup(connection.close)
        connection.putrequest("POST", MAPS)
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(3 * 1024 * 1024 + 1))
        connection.endheaders()
        answer = connection.getresponse()
        status = json.loads(answer.read())
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (413, "application/json"))
        self.assertEqual((status["kind"], status["code"], status["reason"], status["message"]), (
            "Status", 413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"))

    def test_pages_are_of_one_revision(self):
        for i in range(25):
            self.call("POST", MAPS, config_map(f"page-{i:02}") | {"metadata": {"name": f"page-{i:02}", "labels": {"t": "p"}}})
        first = self.call("GET", MAPS + "?limit=10")
        self.assertGreaterEqual(first["metadata"]["remainingItemCount"], 15)
        self.call("POST", MAPS, config_map("page-001"))  # between the pages: must not be seen
        names, page = [m["metadata"]["name"] for m in first["items"]], first
        while page["metadata"].get("continue"):
            page = self.call("GET", MAPS + "?limit=10&continue=" + page["metadata"]["continue"])
            self.assertEqual(page["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"])
            names += [m["metadata"]["name"] for m in page["items"]]
        self.assertEqual(names, sorted(set(names)))
        self.assertNotIn("page-001", names)
        self.assertEqual(len([n for n in names if n.startswith("page-")]), 25)
        chosen = self.call("GET", MAPS + "?labelSelector=t%3Dp&limit=7")
        self.assertEqual(len(chosen["items"]), 7)
        self.assertNotIn("remainingItemCount", chosen["metadata"])

    def test_watches_see_every_change_in_order(self):
        since = self.call("GET", PODS)["metadata"]["resourceVersion"]
        self.call("POST", PODS, pod("w", app="a"))
        self.call("PATCH", PODS + "/w", {"metadata": {"labels": {"app": "b"}}},
                  content_type="application/merge-patch+json")
        self.call("DELETE", PODS + "/w")
        events = self.watch(f"{PODS}?watch=1&resourceVersion={since}", 3)
        self.assertEqual([e["type"] for e in events], ["ADDED", "MODIFIED", "DELETED"])
        revisions = [int(e["object"]["metadata"]["resourceVersion"]) for e in events]
        self.assertEqual(revisions, sorted(set(revisions)))
        # For who selects app=a it went with the second change.
        events = self.watch(f"{PODS}?watch=1&resourceVersion={since}&labelSelector=app%3Da", 2)
        self.assertEqual([e["type"] for e in events], ["ADDED", "DELETED"])

    def test_tables_in_watches_tell_their_columns_once(self):
        since = self.call("GET", MAPS)["metadata"]["resourceVersion"]
        for i in range(3):
            self.call("POST", MAPS, config_map(f"table-{i}", a="1"))
        events = self.watch(f"{MAPS}?watch=1&resourceVersion={since}", 3,
                            {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})
        tables = [event["object"] for event in events]
        self.assertEqual([column["name"] for column in tables[0]["columnDefinitions"]], ["Name", "Data", "Age"])
        self.assertEqual([table["columnDefinitions"] for table in tables[1:]], [None, None])
        self.assertEqual([table["rows"][0]["cells"][0] for table in tables], ["table-0", "table-1", "table-2"])

    def test_events_have_two_shapes(self):
        core, other = "/api/v1/namespaces/default/events", "/apis/events.k8s.io/v1/namespaces/default/events"
        new = {"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "new"}, "note": "hello",
               "eventTime": "2026-11-23T10:00:00.000001Z", "regarding": {"kind": "Pod", "name": "p", "namespace": "default"},
               "reportingController": "c", "reportingInstance": "c-1", "action": "Act", "reason": "R", "type": "Normal"}
        made = self.call("POST", other, new)
        self.assertEqual((made["note"], made["apiVersion"]), ("hello", "events.k8s.io/v1"))
        seen = self.call("GET", core + "/new")
        self.assertEqual((seen["message"], seen["involvedObject"]["name"], seen["reportingComponent"], seen["apiVersion"]),
                         ("hello", "p", "c", "v1"))
        self.assertEqual(seen["metadata"], made["metadata"])
        self.call("POST", core, {"metadata": {"name": "old"}, "message": "bye", "reason": "R", "count": 2,
                                 "involvedObject": {"kind": "Pod", "name": "q", "namespace": "default"},
                                 "source": {"component": "k"}, "lastTimestamp": "2026-11-23T10:00:00Z"})
        seen = self.call("GET", other + "/old")
        self.assertEqual((seen["note"], seen["regarding"]["name"], seen["deprecatedCount"], seen["deprecatedSource"]),
                         ("bye", "q", 2, {"component": "k"}))
        self.assertNotIn("message", seen)
        chosen = self.call("GET", other + "?fieldSelector=regarding.name%3Dq")["items"]
        self.assertEqual([event["metadata"]["name"] for event in chosen], ["old"])
        self.refused(400, "BadRequest", "GET", other + "?fieldSelector=involvedObject.name%3Dq")
        patched = self.call("PATCH", other + "/new", {"series": {"count": 2, "lastObservedTime": "2026-11-23T10:01:00.000000Z"}},
                            content_type="application/merge-patch+json")
        self.assertEqual(self.call("GET", core + "/new")["series"], patched["series"])
        events = self.watch(f"{other}?watch=1&resourceVersion={made['metadata']['resourceVersion']}", 2)
        self.assertEqual([(event["type"], event["object"]["note"]) for event in events], [("ADDED", "bye"), ("MODIFIED", "hello")])
        self.refused(422, "Invalid", "POST", other, new | {"metadata": {"name": "bad"}, "deprecatedCount": 1})
        self.assertIn("pod/q", self.cluster.kubectl("get", "events.events.k8s.io"))
        self.call("DELETE", other + "/new")
        self.refused(404, "NotFound", "GET", core + "/new")

    def test_watch_lists_end_with_a_bookmark(self):
        self.call("POST", PODS, pod("initial"))
        events = self.watch(f"{PODS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&"
                            "allowWatchBookmarks=true&fieldSelector=metadata.name%3Dinitial", 2)
        self.assertEqual([e["type"] for e in events], ["ADDED", "BOOKMARK"])
        self.assertEqual(events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true")

    def test_watches_go_over_web_sockets_too(self):
        made = self.call("POST", MAPS, config_map("socket", n="0"))
        context = ssl.create_default_context(cafile=str(self.cluster.pki.ca))
        context.load_cert_chain(self.cluster.pki.folder / "admin.pem", self.cluster.pki.folder / "admin.key")
        raw = socket.create_connection(("127.0.0.1", self.cluster.api_ports[0]), timeout=20)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as connection:
            connection.sendall((
                f"GET {MAPS}?watch=1&fieldSelector=metadata.name%3Dsocket&timeoutSeconds=3"
                f"&resourceVersion={made['metadata']['resourceVersion']} HTTP/1.1\r\nHost: x\r\n"
                "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode())
            with connection.makefile("rb") as answers:
                self.assertIn(b" 101 ", answers.readline())
                while answers.readline().strip():
                    pass
                for i in range(1, 4):
                    self.call("PUT", MAPS + "/socket", config_map("socket", n=str(i)))
                self.call("DELETE", MAPS + "/socket")

                def frame():
                    """Opcode and payload; a server sends no masks (RFC 6455, section 5.1)."""
                    first, length = answers.read(2)
                    if length == 126:
                        length = int.from_bytes(answers.read(2), "big")
                    return first, answers.read(length)

                seen = []
                for _ in range(4):
                    first, payload = frame()
                    self.assertEqual(first, 0x81)  # whole, text
                    event = json.loads(payload)
                    seen.append((event["type"], event["object"]["data"]["n"]))
                self.assertEqual(seen, [("MODIFIED", "1"), ("MODIFIED", "2"), ("MODIFIED", "3"), ("DELETED", "3")])
                # The time is over: a normal end.
                self.assertEqual(frame(), (0x88, (1000).to_bytes(2, "big")))

    def test_a_pod_is_bound_once(self):
        self.call("POST", PODS, pod("bound"))
        results = []

        def bind(node):
            body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "bound"},
                    "target": {"kind": "Node", "name": node}}
            results.append(self.cluster.raw("POST", PODS + "/bound/binding", body)[0])

        threads = [threading.Thread(target=bind, args=(f"n{i}",)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(results), [201] + [409] * 7)
        # It runs somewhere now, so it is given time to end.
        gone = self.call("DELETE", PODS + "/bound")
        self.assertEqual(gone["metadata"]["deletionGracePeriodSeconds"], 30)
        self.call("DELETE", PODS + "/bound?gracePeriodSeconds=0")
        self.refused(404, "NotFound", "GET", PODS + "/bound")

    def test_addresses_of_services_differ(self):
        made = [self.call("POST", "/api/v1/namespaces/default/services",
                          {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"s{i}"},
                           "spec": {"type": "NodePort", "ports": [{"port": 80}]}}) for i in range(5)]
        self.assertEqual(len({s["spec"]["clusterIP"] for s in made}), 5)
        self.assertEqual(len({s["spec"]["ports"][0]["nodePort"] for s in made}), 5)
        taken = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "again"},
                 "spec": {"clusterIP": made[0]["spec"]["clusterIP"], "ports": [{"port": 80}]}}
        self.refused(422, "Invalid", "POST", "/api/v1/namespaces/default/services", taken)
        self.call("DELETE", "/api/v1/namespaces/default/services/s0")
        self.call("POST", "/api/v1/namespaces/default/services", taken)

    def test_kinds_come_and_go(self):
        self.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "toys.example.com"},
            "spec": {"group": "example.com", "scope": "Namespaced",
                     "names": {"plural": "toys", "singular": "toy", "kind": "Toy", "listKind": "ToyList"},
                     "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {
                         "type": "object", "properties": {"spec": {"type": "object", "properties": {
                             "size": {"type": "integer", "default": 3}, "red": {"type": "integer"},
                             "blue": {"type": "integer"}}, "oneOf": [{"not": {"required": ["red"]}},
                                                                     {"required": ["red", "blue"]},
                                                                     {"not": {"required": ["green"]},
                                                                      "required": ["red", "blue"]}]}}}}}]}})
        self.cluster.kubectl("wait", "--for=condition=Established", "crd/toys.example.com", "--timeout=10s")
        toys = "/apis/example.com/v1/namespaces/default/toys"
        toy = {"apiVersion": "example.com/v1", "kind": "Toy", "metadata": {"name": "bear"}, "spec": {}}
        self.assertEqual(self.call("POST", toys, toy)["spec"]["size"], 3)
        self.refused(422, "Invalid", "POST", toys,
                     toy | {"metadata": {"name": "bad"}, "spec": {"size": "big"}})
        self.assertIn("must be specified for an update",
                      self.refused(422, "Invalid", "PUT", toys + "/bear", toy)["message"])
        self.refused(404, "NotFound", "PUT", toys + "/none", toy | {"metadata": {"name": "none"}})
        status = self.refused(422, "Invalid", "POST", toys, toy | {"metadata": {"name": "both"}, "spec": {"red": 1, "blue": 1}})
        self.assertEqual(status["message"], 'Toy.example.com "both" is invalid: <nil>: Invalid value: "": "spec" must validate '
                                            "one and only one schema (oneOf). Found 2 valid alternatives")
        self.cluster.kubectl("delete", "crd", "toys.example.com", "--timeout=20s")
        self.refused(404, "NotFound", "GET", toys)

    def test_usage_is_of_ready_pods_on_nodes_that_are_known(self):
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": "use"}})
        pods, figures = "/api/v1/namespaces/use/pods", "/apis/metrics.k8s.io/v1beta1"
        for node, runtime in (("m1", "hollow"), ("m2", "hollow"), ("m3", "other")):
            self.call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {
                "name": node, "labels": {"node.keel.io/runtime": runtime}}})
        ready = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}

        def run(name, node, app="a", status=ready, cpu="10m"):
            self.call("POST", pods, {"apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": name, "labels": {"app": app}, "annotations": {"keel.io/hollow-cpu": cpu}},
                "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i", "resources": {
                    "requests": {"memory": "64Mi"}}}]}})
            self.call("PATCH", f"{pods}/{name}/status", status,
                      content_type="application/merge-patch+json")

        # More than one turn of the loop goes through.
        for i in range(220):
            run(f"a{i:03}", "m1")
        run("b", "m2", app="b", cpu="1500m")
        run("elsewhere", "m3", app="b")
        run("unready", "m2", app="b", status={"status": {"phase": "Running"}})
        self.call("POST", pods, pod("pending", app="b"))

        of_b = self.call("GET", f"{figures}/namespaces/use/pods?labelSelector=app%3Db")
        self.assertEqual((of_b["kind"], of_b["apiVersion"]), ("PodMetricsList", "metrics.k8s.io/v1beta1"))
        self.assertEqual([item["metadata"]["name"] for item in of_b["items"]], ["b"])
        b = self.call("GET", f"{figures}/namespaces/use/pods/b")
        self.assertEqual(b["containers"], [{"name": "c", "usage": {"cpu": "1500m", "memory": "32Mi"}}])
        self.assertEqual((b["kind"], b["window"], b["metadata"]["labels"]), ("PodMetrics", "30s", {"app": "b"}))
        everything = [item["metadata"]["name"] for item in self.call("GET", f"{figures}/pods")["items"]]
        self.assertEqual(everything, [f"a{i:03}" for i in range(220)] + ["b"])
        nodes = {item["metadata"]["name"]: item["usage"] for item in self.call("GET", f"{figures}/nodes")["items"]}
        self.assertEqual(nodes, {"m1": {"cpu": "2220m", "memory": "7Gi"},
                                 "m2": {"cpu": "1520m", "memory": "160Mi"}})
        self.assertEqual(self.call("GET", f"{figures}/nodes/m2")["usage"], nodes["m2"])
        self.assertEqual(self.call("GET", f"{figures}/nodes/m1")["usage"], nodes["m1"])
        for missing in ("namespaces/use/pods/unready", "namespaces/use/pods/elsewhere", "nodes/m3", "nodes/none"):
            self.refused(404, "NotFound", "GET", f"{figures}/{missing}")
        self.refused(405, "MethodNotAllowed", "DELETE", f"{figures}/nodes/m1")
        self.refused(405, "MethodNotAllowed", "GET", f"{figures}/nodes?watch=1")
        offered = self.call("GET", figures)["resources"]
        self.assertEqual([(r["name"], r["kind"], r["namespaced"], r["verbs"]) for r in offered],
                         [("nodes", "NodeMetrics", False, ["get", "list"]),
                          ("pods", "PodMetrics", True, ["get", "list"])])

    def test_health_and_discovery(self):
        for path in ("/healthz", "/livez", "/readyz", "/readyz/etcd"):
            self.assertEqual(self.cluster.raw("GET", path), (200, b"ok"))
        groups = self.call("GET", "/apis", headers={
            "Accept": "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"})
        self.assertIn("apps", [group["metadata"]["name"] for group in groups["items"]])
        self.assertIn(b"apiserver_request_total{", self.cluster.raw("GET", "/metrics")[1])
        self.assertEqual(self.call("GET", "/version")["gitVersion"], "v1.35.0+keel")


if __name__ == "__main__":
    unittest.main()
