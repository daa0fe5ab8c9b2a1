#!/usr/bin/env python3
"""Who may do what, against real servers: certificates, tokens, RBAC, quotas, secrets at rest."""

import base64
import concurrent.futures
import json
import os
import subprocess
import unittest

from cluster import ApiError, ClusterCase, program

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
       "spec": {"containers": [{"name": "c", "image": "busybox"}]}}


class AccessTest(ClusterCase):
    nodes = 0
    schedulers = 0
    controller_managers = 0
    apiservers = 2
    flags = {"apiserver_flags": ["--authorization-mode=Node,RBAC"]}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pki = cls.cluster.pki
        for file, name, groups in (("jane", "jane", ["developers"]), ("nobody", "bob", []),
                                   ("n1", "system:node:n1", ["system:nodes"])):
            cls.pki.client(file, name, groups)
            cls.pki.kubeconfig(file, cls.cluster.server)

    def setUp(self):
        self.ns = self._testMethodName[5:40].replace("_", "-").strip("-")
        self.make("Namespace", "/api/v1/namespaces", {"metadata": {"name": self.ns}})
        self.path = f"/api/v1/namespaces/{self.ns}"
        self.make("ServiceAccount", f"{self.path}/serviceaccounts", {"metadata": {"name": "default"}})

    def make(self, kind, path, body, api_version="v1"):
        return self.cluster.create(path, {"apiVersion": api_version, "kind": kind, **body})

    def k(self, *args, **more):
        return self.cluster.kubectl("-n", self.ns, *args, **more)

    def message(self, method, path, body=None, **more):
        code, data = self.cluster.raw(method, path, body, **more)
        self.assertGreaterEqual(code, 400, data)
        return code, json.loads(data)["message"]

    def bearer(self, token):
        return {"identity": None, "headers": {"Authorization": f"Bearer {token}"}}

    # ---- Who

    def test_anonymous_may_look_at_little(self):
        self.assertEqual(self.cluster.raw("GET", "/version", identity=None)[0], 200)
        self.assertEqual(self.cluster.raw("GET", "/healthz", identity=None)[0], 200)
        self.assertEqual(self.message("GET", "/api/v1/nodes", identity=None),
                         (403, 'nodes is forbidden: User "system:anonymous" cannot list resource "nodes" in API '
                               'group "" at the cluster scope'))
        self.assertEqual(self.message("GET", "/metrics", identity=None),
                         (403, 'forbidden: User "system:anonymous" cannot get path "/metrics"'))
        self.assertEqual(self.message("GET", "/version", **self.bearer("nonsense")), (401, "Unauthorized"))

    def test_certificates_name_users(self):
        done = self.cluster.call("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews",
                                 {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}, identity="jane")
        self.assertEqual(done["status"]["userInfo"]["username"], "jane")
        self.assertEqual(done["status"]["userInfo"]["groups"], ["developers", "system:authenticated"])
        self.assertIn("jane", self.cluster.kubectl("auth", "whoami", version="1.35", identity="jane"))

    def test_tokens_live_as_long_as_their_account(self):
        self.k("create", "serviceaccount", "robot")
        token = self.k("create", "token", "robot", "--duration=10m", version="1.35").strip()
        who = self.cluster.call("POST", "/apis/authentication.k8s.io/v1/tokenreviews",
                                {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
                                 "spec": {"token": token}})["status"]
        self.assertEqual(who["user"]["username"], f"system:serviceaccount:{self.ns}:robot")
        self.assertEqual(self.message("GET", f"{self.path}/pods", **self.bearer(token))[0], 403)
        self.k("create", "rolebinding", "r", "--clusterrole=view", f"--serviceaccount={self.ns}:robot")
        self.wait("the token may list pods",
                  lambda: self.cluster.raw("GET", f"{self.path}/pods", **self.bearer(token))[0] == 200)
        # The other server knows it as well.
        self.wait("everywhere", lambda: self.cluster.raw("GET", f"{self.path}/pods", api=1,
                                                         **self.bearer(token))[0] == 200)
        self.k("delete", "serviceaccount", "robot")
        self.wait("the token is dead",
                  lambda: self.cluster.raw("GET", f"{self.path}/pods", **self.bearer(token))[0] == 401)
        self.k("create", "serviceaccount", "robot")
        self.assertEqual(self.cluster.raw("GET", f"{self.path}/pods", **self.bearer(token))[0], 401)

    # ---- Whether they may

    def can_i(self, *args, version="1.20", identity="jane"):
        done = self.cluster.kubectl("-n", self.ns, "auth", "can-i", *args, version=version, identity=identity, check=False)
        return done.stdout.strip()

    def test_roles_and_bindings(self):
        for version in ("1.20", "1.35"):
            self.assertEqual(self.can_i("create", "deployments", version=version), "no")
        self.k("create", "rolebinding", "devs", "--clusterrole=edit", "--group=developers")
        self.wait("edit", lambda: self.can_i("create", "deployments") == "yes")
        self.assertEqual(self.can_i("create", "deployments", version="1.35"), "yes")
        self.assertEqual(self.can_i("create", "deployments", "--subresource=scale"), "yes"
                         if self.can_i("update", "deployments", "--subresource=scale") == "yes" else "no")
        self.assertEqual(self.can_i("get", "pods", "--subresource=log"), "yes")
        self.assertEqual(self.can_i("create", "roles"), "no")
        self.assertEqual(self.can_i("get", "/healthz"), "yes")
        self.assertEqual(self.can_i("get", "/metrics"), "no")
        self.assertTrue(self.can_i("list", "nodes").startswith("no"))
        listed = self.cluster.kubectl("-n", self.ns, "auth", "can-i", "--list", identity="jane")
        self.assertRegex(listed, r"deployments\.apps\s+\[\]\s+\[\]\s+\[.*create")
        self.assertRegex(listed, r"\[/version\]")
        self.assertEqual(self.can_i("create", "deployments", "--as=jane", "--as-group=developers", identity="admin"), "yes")
        refused = self.cluster.kubectl("get", "pods", "--as=kubernetes-admin", identity="jane", check=False).stderr
        self.assertIn('users "kubernetes-admin" is forbidden: User "jane" cannot impersonate resource "users" in API '
                      'group "" at the cluster scope', refused)

    def test_nobody_gives_away_what_they_lack(self):
        self.k("create", "rolebinding", "a", "--clusterrole=admin", "--user=jane")
        self.wait("admin", lambda: self.can_i("create", "roles") == "yes")
        done = self.k("create", "role", "x", "--verb=get", "--resource=nodes", identity="jane", check=False)
        self.assertIn('user "jane" (groups=["developers" "system:authenticated"]) is attempting to grant RBAC '
                      'permissions not currently held:\n{APIGroups:[""], Resources:["nodes"], Verbs:["get"]}', done.stderr)
        self.assertIn("created", self.k("create", "role", "x", "--verb=get", "--resource=pods", identity="jane"))
        done = self.k("create", "rolebinding", "x", "--clusterrole=cluster-admin", "--user=jane", identity="jane", check=False)
        self.assertIn("not currently held", done.stderr)

    def test_default_roles_are_there_and_come_back(self):
        roles = self.cluster.get("/apis/rbac.authorization.k8s.io/v1/clusterroles")["items"]
        names = {role["metadata"]["name"]: role for role in roles}
        for name in ("cluster-admin", "admin", "edit", "view", "system:discovery", "system:node", "system:kube-scheduler"):
            self.assertIn(name, names)
        self.wait("aggregated rules are written down", lambda: len(self.cluster.get(
            "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin")["rules"] or []) > 20)
        self.cluster.kubectl("delete", "clusterrolebinding", "system:basic-user")
        self.wait("it comes back", lambda: self.cluster.raw(
            "GET", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/system:basic-user")[0] == 200)

    def test_nodes_get_what_their_pods_use(self):
        pod = json.loads(json.dumps(POD))
        pod["spec"].update(nodeName="n1", volumes=[{"name": "v", "secret": {"secretName": "used"}}])
        self.cluster.create(f"{self.path}/pods", pod)
        for name in ("used", "other"):
            self.make("Secret", f"{self.path}/secrets", {"metadata": {"name": name}})
        self.wait("used", lambda: self.cluster.raw("GET", f"{self.path}/secrets/used", identity="n1")[0] == 200)
        code, message = self.message("GET", f"{self.path}/secrets/other", identity="n1")
        self.assertEqual(code, 403)
        self.assertIn("no relationship found between node 'n1' and this object", message)

    def test_nodes_change_what_is_theirs(self):
        node = {"metadata": {"name": "n1", "labels": {"kubernetes.io/hostname": "n1"}}, "status": {"capacity": {"cpu": "4"}}}
        made = self.cluster.call("POST", "/api/v1/nodes", node, identity="n1")
        self.assertEqual(made["status"]["capacity"], {"cpu": "4"})
        self.assertEqual(self.message("POST", "/api/v1/nodes", {"metadata": {"name": "n2"}}, identity="n1"), (
            403, 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'))
        patch = {"content_type": "application/merge-patch+json", "identity": "n1"}
        self.assertEqual(self.message("PATCH", "/api/v1/nodes/n1", {"metadata": {"labels": {
            "node-restriction.kubernetes.io/team": "a"}}}, **patch), (
                403, 'nodes "n1" is forbidden: is not allowed to modify labels: node-restriction.kubernetes.io/team'))
        for name, where in (("mine", "n1"), ("other", "n2")):
            pod = json.loads(json.dumps(POD))
            pod["metadata"]["name"] = name
            pod["spec"]["nodeName"] = where
            self.cluster.create(f"{self.path}/pods", pod)
        status = {"status": {"phase": "Running"}}
        self.assertEqual(self.cluster.raw("PATCH", f"{self.path}/pods/mine/status", status, **patch)[0], 200)
        self.assertEqual(self.message("PATCH", f"{self.path}/pods/other/status", status, **patch), (
            403, 'pods "other" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself'))
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "other"}}
        self.assertEqual(self.message("POST", f"{self.path}/pods/other/eviction", eviction, identity="n1"), (
            403, 'pods "other" is forbidden: node n1 can only evict pods with spec.nodeName set to itself'))
        self.assertEqual(self.message("DELETE", f"{self.path}/pods/other", identity="n1")[0], 403)
        self.assertEqual(self.cluster.raw("DELETE", f"{self.path}/pods/mine?gracePeriodSeconds=0", identity="n1")[0], 200)
        leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
        self.cluster.call("PUT", f"{leases}/n1", {"metadata": {"name": "n1"}}, identity="n1")
        self.assertEqual(self.message("POST", leases, {"metadata": {"name": "n2"}}, identity="n1"), (
            403, 'leases.coordination.k8s.io "n2" is forbidden: can only access node lease with the same name as the '
                 "requesting node"))
        # PUT creates for those who may create.
        self.k("create", "role", "r", "--verb=update,patch", "--resource=limitranges")
        self.k("create", "rolebinding", "r", "--role=r", "--user=bob")
        limits = {"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l"}, "spec": {"limits": []}}
        self.wait("bob may update", lambda: "cannot create" in self.message(
            "PUT", f"{self.path}/limitranges/l", limits, identity="nobody")[1])
        self.assertIn('cannot create resource "limitranges"', self.message(
            "PATCH", f"{self.path}/limitranges/l?fieldManager=m", json.dumps(limits),
            content_type="application/apply-patch+yaml", identity="nobody")[1])

    # ---- Admission

    def test_quotas_hold_against_many_at_once(self):
        self.k("create", "quota", "q", "--hard=pods=5,configmaps=2")

        def create(i):
            pod = json.loads(json.dumps(POD))
            pod["metadata"]["name"] = f"p{i}"
            return self.cluster.raw("POST", f"{self.path}/pods", pod, api=i % 2)

        self.wait("both servers know the quota", lambda: all(
            self.cluster.raw("GET", f"{self.path}/resourcequotas/q?resourceVersion=0", api=i)[0] == 200 for i in (0, 1)))
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            answers = list(pool.map(create, range(40)))
        self.assertEqual(sum(code == 201 for code, _ in answers), 5, [code for code, _ in answers])
        refused = [json.loads(data)["message"] for code, data in answers if code == 403]
        self.assertTrue(any("is forbidden: exceeded quota: q, requested: pods=1, used: pods=5, limited: pods=5" in m
                            for m in refused), refused[:3])
        self.assertEqual(len(self.cluster.get(f"{self.path}/pods")["items"]), 5)
        self.assertEqual(self.cluster.get(f"{self.path}/resourcequotas/q")["status"]["used"]["pods"], "5")
        name = self.cluster.get(f"{self.path}/pods")["items"][0]["metadata"]["name"]
        self.cluster.call("DELETE", f"{self.path}/pods/{name}?gracePeriodSeconds=0")
        self.wait("a place is free", lambda: create(100)[0] == 201)

    def test_pods_get_what_the_cluster_says(self):
        self.make("LimitRange", f"{self.path}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": [
            {"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}, "max": {"cpu": "1"}}]}})

        def defaulted():
            self.cluster.raw("DELETE", f"{self.path}/pods/p?gracePeriodSeconds=0")
            pod = self.cluster.create(f"{self.path}/pods", POD)
            return pod if pod["spec"]["containers"][0].get("resources") else None

        pod = self.wait("the limit range counts", defaulted)
        pod = self.cluster.get(f"{self.path}/pods/p")
        self.assertEqual(pod["spec"]["containers"][0]["resources"], {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}})
        self.assertEqual(pod["spec"]["serviceAccountName"], "default")
        self.assertEqual(pod["spec"]["priority"], 0)
        self.assertTrue(pod["spec"]["volumes"][0]["name"].startswith("kube-api-access-"))
        self.assertEqual(len(pod["spec"]["tolerations"]), 2)
        self.assertEqual(self.message("POST", "/api/v1/namespaces/nowhere/pods", POD),
                         (404, 'namespaces "nowhere" not found'))
        self.assertEqual(self.message("DELETE", "/api/v1/namespaces/kube-system"),
                         (403, 'namespaces "kube-system" is forbidden: this namespace may not be deleted'))

    # ---- Secrets at rest

    def stored(self, key):
        done = subprocess.run([program("kvctl"), "--endpoints", self.cluster.store_endpoints, "get", key, "-w", "json"],
                              capture_output=True, check=True)
        return base64.b64decode(json.loads(done.stdout)["kvs"][0]["value"])

    def test_secrets_lie_encrypted_and_keys_rotate(self):
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"password": "hunter2"}}
        self.cluster.create(f"{self.path}/secrets", secret)
        key = f"/registry/secrets/{self.ns}/s"
        first = self.stored(key)
        self.assertTrue(first.startswith(b"k8s:enc:aesgcm:v1:key1:"), first[:30])
        self.assertNotIn(b"hunter2", first)
        self.assertNotIn(base64.b64encode(b"hunter2"), first)
        config = self.pki.encryption_config
        old = config.read_text()
        new = "      - name: key2\n        secret: " + base64.b64encode(os.urandom(32)).decode() + "\n"
        both = old.replace("      - name: key1\n", new + "      - name: key1\n")
        # Each server learns to read the new key before one writes by it.
        config.write_text(old.replace("  - identity: {}", new + "  - identity: {}"))
        for i in (0, 1):
            self.cluster[f"apiserver-{i}"].stop()
            self.cluster[f"apiserver-{i}"].start()
            self.cluster.wait_api(i)
        config.write_text(both)
        self.cluster["apiserver-0"].stop()
        self.cluster["apiserver-0"].start()
        self.cluster.wait_api(0)
        got = self.cluster.get(f"{self.path}/secrets/s")
        self.assertEqual(base64.b64decode(got["data"]["password"]), b"hunter2")
        self.wait("it is written anew", lambda: self.stored(key).startswith(b"k8s:enc:aesgcm:v1:key2:"))
        self.assertEqual(base64.b64decode(self.cluster.get(f"{self.path}/secrets/s", api=1)["data"]["password"]), b"hunter2")
        for i in (0, 1):
            self.assertNotIn("hunter2", self.cluster[f"apiserver-{i}"].log())


if __name__ == "__main__":
    unittest.main()
