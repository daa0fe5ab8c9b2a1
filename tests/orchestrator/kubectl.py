"""What people do with kubectl, as cases that any version of it must pass: see kubectl_120_test.py and
kubectl_135_test.py. Each case works in a namespace of its own."""

import json
import os
import re
import subprocess
import threading
import time

from cluster import ClusterCase, kubectl_program

WEB = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  labels: {app: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: nginx
        image: nginx:1.26
        ports: [{containerPort: 80, name: http}]
        resources: {requests: {cpu: 100m, memory: 64Mi}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: http}]
"""


def columns(table):
    """The rows of a table of kubectl as lists of words between two or more spaces."""
    return [re.split(r"\s{2,}", line.rstrip()) for line in table.splitlines() if line.strip()]


class KubectlCases(ClusterCase):
    version = None
    nodes = 3

    def setUp(self):
        self.ns = re.sub("[^a-z0-9]+", "-", self._testMethodName[5:45].lower()).strip("-")
        self.cluster.kubectl("create", "namespace", self.ns, version=self.version)

    def k(self, *args, **more):
        return self.cluster.kubectl("-n", self.ns, *args, version=self.version, **more)

    def refused(self, *args, **more):
        done = self.k(*args, check=False, **more)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def field(self, what, path):
        return self.k("get", what, "-o", f"jsonpath={{{path}}}")

    def apply(self, text, *args):
        return self.k("apply", *args, "-f", "-", input=text)

    def roll_out(self, what="deployment/web"):
        return self.k("rollout", "status", what, "--timeout=60s", timeout=80)

    # ---- apply and friends

    def test_apply_creates_configures_and_leaves_alone(self):
        self.assertEqual(self.apply(WEB), "deployment.apps/web created\nservice/web created\n")
        self.assertEqual(self.apply(WEB), "deployment.apps/web unchanged\nservice/web unchanged\n")
        changed = WEB.replace("replicas: 2", "replicas: 3").replace("labels: {app: web}\nspec", "labels: {tier: front}\nspec")
        self.assertEqual(self.apply(changed), "deployment.apps/web configured\nservice/web unchanged\n")
        self.assertEqual(self.field("deployment/web", ".spec.replicas"), "3")
        labels = json.loads(self.k("get", "deployment/web", "-o", "json"))["metadata"]["labels"]
        self.assertEqual(labels, {"tier": "front"})
        self.roll_out()
        # A container that is added is merged by its name; one that is taken away goes.
        two = changed.replace("        resources:", "        env: [{name: A, value: b}]\n        resources:").replace(
            "      - name: nginx", "      - {name: side, image: busybox}\n      - name: nginx")
        self.apply(two)
        self.assertEqual(self.field("deployment/web", ".spec.template.spec.containers[*].name"), "side nginx")
        self.apply(changed)
        self.assertEqual(self.field("deployment/web", ".spec.template.spec.containers[*].name"), "nginx")
        self.assertEqual(self.field("deployment/web", ".spec.template.spec.containers[0].env"), "")

    def test_server_side_apply_owns_fields(self):
        text = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: "1", b: "2"}\n'
        self.assertIn("serverside-applied", self.apply(text, "--server-side", "--field-manager=one"))
        conflict = self.refused("apply", "--server-side", "--field-manager=two", "-f", "-", input=text.replace('"1"', '"9"'))
        self.assertIn('conflict with "one"', conflict)
        self.assertIn(".data.a", conflict)
        self.apply(text.replace('"1"', '"9"'), "--server-side", "--field-manager=two", "--force-conflicts")
        self.assertEqual(self.field("configmap/m", ".data.a"), "9")
        # What its only owner does not name any more goes; what the other owns stays.
        self.apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata: {a: "9"}\n', "--server-side", "--field-manager=two")
        self.assertEqual(json.loads(self.k("get", "cm/m", "-o", "json"))["data"], {"a": "9", "b": "2"})
        self.apply('apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\n', "--server-side", "--field-manager=one")
        self.assertEqual(json.loads(self.k("get", "cm/m", "-o", "json"))["data"], {"a": "9"})

    def test_diff_and_dry_run_change_nothing(self):
        self.apply(WEB)
        done = self.k("diff", "-f", "-", input=WEB.replace("nginx:1.26", "nginx:1.27"), check=False)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stdout, r"(?m)^-\s+- image: nginx:1.26|^-\s+image: nginx:1.26")
        self.assertRegex(done.stdout, r"(?m)^\+\s+(- )?image: nginx:1.27")
        self.assertEqual(self.k("diff", "-f", "-", input=WEB, check=False).returncode, 0)
        self.assertIn("(server dry run)", self.apply(WEB.replace("nginx:1.26", "nginx:1.27"), "--dry-run=server"))
        self.assertEqual(self.field("deployment/web", ".spec.template.spec.containers[0].image"), "nginx:1.26")
        self.assertIn("created (server dry run)", self.k("create", "configmap", "none", "--dry-run=server"))
        self.assertIn("NotFound", self.refused("get", "configmap/none"))

    def test_edit_replace_and_set(self):
        self.k("create", "configmap", "m", "--from-literal=a=1")
        editor = os.path.join(self.cluster.folder, "editor.sh")
        with open(editor, "w") as file:
            file.write("#!/bin/sh\nsed -i 's/a: \"1\"/a: \"2\"/' \"$1\"\n")
        os.chmod(editor, 0o755)
        before = os.environ.get("KUBE_EDITOR")
        os.environ["KUBE_EDITOR"] = editor
        try:
            self.assertIn("edited", self.k("edit", "configmap/m"))
        finally:
            os.environ.pop("KUBE_EDITOR") if before is None else os.environ.update(KUBE_EDITOR=before)
        self.assertEqual(self.field("configmap/m", ".data.a"), "2")
        live = json.loads(self.k("get", "cm/m", "-o", "json"))
        live["data"]["a"] = "3"
        self.k("replace", "-f", "-", input=json.dumps(live))
        self.assertIn("Conflict", self.refused("replace", "-f", "-", input=json.dumps(live)))
        self.apply(WEB)
        self.k("set", "image", "deployment/web", "nginx=nginx:1.28")
        self.k("set", "env", "deployment/web", "MODE=fast")
        self.k("set", "resources", "deployment/web", "--limits=cpu=200m,memory=128Mi")
        spec = json.loads(self.k("get", "deployment/web", "-o", "json"))["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((spec["image"], spec["env"], spec["resources"]["limits"]),
                         ("nginx:1.28", [{"name": "MODE", "value": "fast"}], {"cpu": "200m", "memory": "128Mi"}))

    def test_all_patch_types(self):
        self.apply(WEB)
        self.k("patch", "deployment/web", "-p", '{"spec":{"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:2"}]}}}}')
        container = json.loads(self.k("get", "deployment/web", "-o", "json"))["spec"]["template"]["spec"]["containers"][0]
        self.assertEqual((container["image"], container["ports"][0]["containerPort"]), ("nginx:2", 80))
        self.k("patch", "deployment/web", "--type=merge", "-p", '{"metadata":{"labels":{"app":null,"x":"y"}}}')
        self.k("patch", "deployment/web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":5}]')
        self.assertEqual(self.field("deployment/web", ".spec.replicas"), "5")
        self.assertEqual(json.loads(self.k("get", "deployment/web", "-o", "json"))["metadata"]["labels"], {"x": "y"})
        self.refused("patch", "deployment/web", "--type=json", "-p", '[{"op":"test","path":"/spec/replicas","value":4}]')
        self.refused("patch", "deployment/web", "-p", '{"spec":{"replicas":"many"}}')
        self.assertEqual(self.field("deployment/web", ".spec.replicas"), "5")

    def test_label_and_annotate(self):
        self.k("create", "configmap", "m")
        self.assertIn("labeled", self.k("label", "configmap/m", "a=b", "c=d"))
        self.assertIn("already has a value", self.refused("label", "configmap/m", "a=z"))
        self.k("label", "configmap/m", "a=z", "--overwrite")
        self.k("label", "configmap/m", "c-")
        self.k("annotate", "configmap/m", "note=hello there")
        meta = json.loads(self.k("get", "configmap/m", "-o", "json"))["metadata"]
        self.assertEqual((meta["labels"], meta["annotations"]["note"]), ({"a": "z"}, "hello there"))
        self.assertEqual(self.k("get", "cm", "-l", "a in (y, z),!c", "-o", "name"), "configmap/m\n")
        self.assertEqual(self.k("get", "cm", "-l", "a=b", "-o", "name"), "")
        self.assertRegex(self.refused("label", "configmap/m", "bad key=1"), "(?i)invalid|name part")

    # ---- workloads

    def test_rollout_undo_and_history(self):
        self.apply(WEB)
        self.assertIn('deployment "web" successfully rolled out', self.roll_out())
        self.k("set", "image", "deployment/web", "nginx=nginx:1.27")
        self.assertIn("successfully rolled out", self.roll_out())
        history = self.k("rollout", "history", "deployment/web")
        self.assertEqual([row[0] for row in columns(history)[2:]], ["1", "2"])
        self.assertIn("nginx:1.26", self.k("rollout", "history", "deployment/web", "--revision=1"))
        self.k("rollout", "undo", "deployment/web")
        self.roll_out()
        self.assertEqual(self.field("deployment/web", ".spec.template.spec.containers[0].image"), "nginx:1.26")
        self.assertEqual([row[0] for row in columns(self.k("rollout", "history", "deployment/web"))[2:]], ["2", "3"])
        self.k("rollout", "pause", "deployment/web")
        self.k("set", "image", "deployment/web", "nginx=nginx:9")
        time.sleep(1)
        self.assertEqual(self.k("get", "pods", "-o", "jsonpath={.items[*].spec.containers[*].image}"), "nginx:1.26 nginx:1.26")
        self.k("rollout", "resume", "deployment/web")
        self.roll_out()
        self.k("rollout", "restart", "deployment/web")
        self.roll_out()
        self.assertIn("kubectl.kubernetes.io/restartedAt", self.k("get", "deployment/web", "-o", "json"))

    def test_scale_expose_and_autoscale(self):
        self.k("create", "deployment", "web", "--image=nginx")
        self.assertIn("scaled", self.k("scale", "deployment/web", "--replicas=4"))
        self.roll_out()
        self.assertIn("Expected replicas to be 3", self.refused("scale", "deployment/web", "--current-replicas=3", "--replicas=1"))
        self.k("expose", "deployment/web", "--port=80", "--target-port=8080")
        self.assertEqual(self.field("service/web", ".spec.ports[0].targetPort"), "8080")
        self.assertRegex(self.field("service/web", ".spec.clusterIP"), r"^\d+\.\d+\.\d+\.\d+$")
        self.wait("the service has four endpoints", lambda: len(
            self.k("get", "endpoints/web", "-o", "jsonpath={.subsets[*].addresses[*].ip}").split()) == 4)
        self.k("autoscale", "deployment/web", "--min=2", "--max=6", "--cpu-percent=80" if self.version == "1.20" else "--cpu=80%")
        row = columns(self.k("get", "hpa"))[1]
        self.assertEqual(row[:2], ["web", "Deployment/web"])
        self.assertEqual(row[3:5], ["2", "6"])
        self.k("patch", "hpa/web", "--type=merge", "-p", '{"spec": {"minReplicas": 5}}')
        self.wait("the least is kept to", lambda: self.field("deployment/web", ".spec.replicas") == "5")
        self.wait("it says that it can scale", lambda: self.field(
            "hpa.v2.autoscaling/web", ".status.conditions[?(@.type=='AbleToScale')].status") == "True")

    def test_run_jobs_and_cron_jobs(self):
        self.k("run", "one", "--image=busybox", "--restart=Never")
        self.wait("the pod runs", lambda: self.field("pod/one", ".status.phase") in ("Running", "Succeeded"))
        self.k("create", "job", "sum", "--image=busybox")
        self.k("wait", "--for=condition=complete", "job/sum", "--timeout=60s", timeout=80)
        self.assertRegex(self.k("get", "jobs"), r"sum\s+(Complete\s+)?1/1")
        if self.version != "1.20":  # Which writes batch/v1beta1, gone since Kubernetes 1.25.
            self.k("create", "cronjob", "tick", "--image=busybox", "--schedule=*/5 * * * *")
            self.assertRegex(self.k("get", "cronjobs"), r"tick\s+\*/5 \* \* \* \*")
            self.k("create", "job", "now", "--from=cronjob/tick")
            self.assertEqual(self.field("job/now", ".metadata.ownerReferences[0].name"), "tick")

    # ---- looking

    def test_get_in_all_its_forms(self):
        self.apply(WEB)
        self.roll_out()
        self.assertEqual(columns(self.k("get", "deployments"))[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"])
        self.assertEqual(columns(self.k("get", "deployments"))[1][:4], ["web", "2/2", "2", "2"])
        pods = columns(self.k("get", "pods"))
        self.assertEqual(pods[0], ["NAME", "READY", "STATUS", "RESTARTS", "AGE"])
        self.assertEqual([row[1:4] for row in pods[1:]], [["1/1", "Running", "0"]] * 2)
        self.assertEqual(columns(self.k("get", "pods", "-o", "wide"))[0],
                         ["NAME", "READY", "STATUS", "RESTARTS", "AGE", "IP", "NODE", "NOMINATED NODE", "READINESS GATES"])
        self.assertEqual(columns(self.k("get", "service/web"))[0],
                         ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"])
        self.assertEqual(columns(self.k("get", "rs"))[0], ["NAME", "DESIRED", "CURRENT", "READY", "AGE"])
        self.assertEqual(columns(self.k("get", "nodes"))[0], ["NAME", "STATUS", "ROLES", "AGE", "VERSION"])
        self.assertIn("app: web", self.k("get", "deployment/web", "-o", "yaml"))
        self.assertEqual(self.k("get", "pods", "-o", "custom-columns=N:.metadata.name,I:.spec.containers[0].image").splitlines()[0].split(),
                         ["N", "I"])
        everything = self.k("get", "all")
        for name in ("pod/web-", "service/web", "deployment.apps/web", "replicaset.apps/web-"):
            self.assertIn(name, everything)
        self.assertEqual(len(self.k("get", "pods", "--field-selector=status.phase=Running", "-o", "name").splitlines()), 2)
        self.assertEqual(self.k("get", "pods", "--field-selector=status.phase!=Running", "-o", "name"), "")
        self.assertIn('deployments.apps "nope" not found', self.refused("get", "deployment", "nope"))
        self.assertIn("the server doesn't have a resource type", self.refused("get", "nonsense"))
        self.assertIn("No resources found", self.k("get", "jobs", check=False).stderr)
        self.assertGreater(len(columns(self.k("get", "pods", "-A", "--sort-by=.metadata.creationTimestamp"))), 2)
        self.assertEqual(len(columns(self.k("get", "pods", "--chunk-size=1"))), 3)
        self.assertIn("pod-template-hash", self.k("get", "pods", "--show-labels"))

    def test_describe_tells_events_and_reasons(self):
        self.apply(WEB)
        self.roll_out()
        deployment = self.k("describe", "deployment/web")
        self.assertRegex(deployment, r"2 desired \| 2 updated \| 2 total \| 2 available \| 0 unavailable")
        self.assertIn("ScalingReplicaSet", deployment)
        pod = self.k("describe", "pods", "-l", "app=web")
        self.assertRegex(pod, r"Normal\s+Scheduled\s.*Successfully assigned")
        self.assertRegex(pod, r"Ready\s+True")
        self.assertIn("kubernetes.io/hostname", self.k("describe", "nodes"))
        self.assertRegex(self.k("describe", "service/web"), r"Endpoints:\s+\d+\.\d+\.\d+\.\d+:80,")
        self.k("run", "huge", "--image=x", "--overrides", json.dumps(
            {"spec": {"containers": [{"name": "huge", "image": "x", "resources": {"requests": {"cpu": "1000"}}}]}}))
        self.wait("the pod that does not fit says why", lambda: re.search(
            r"FailedScheduling.*0/3 nodes are available: .*Insufficient cpu", self.k("describe", "pod/huge")))

    def test_events_in_both_groups_and_pod_templates(self):
        self.k("run", "quick", "--image=x")
        self.wait("it is placed", lambda: "Scheduled" in self.k("get", "events"))
        self.assertRegex(self.k("get", "events.events.k8s.io"), r"LAST SEEN\s+TYPE\s+REASON\s+OBJECT\s+MESSAGE\n(.*\n)*"
                                                                r".*Scheduled\s+pod/quick\s+Successfully assigned")
        self.assertIn("quick", self.k("get", "events.v1.events.k8s.io", "-o", "jsonpath={.items[*].regarding.name}"))
        if self.version == "1.35":
            self.assertRegex(self.k("events", "--for=pod/quick"), r"Scheduled\s+Pod/quick")
        self.apply("""
apiVersion: v1
kind: PodTemplate
metadata: {name: shape}
template:
  metadata: {labels: {app: shape}}
  spec: {containers: [{name: c, image: nginx:1.26}]}
""")
        self.assertEqual(columns(self.k("get", "podtemplates")), [["NAME", "CONTAINERS", "IMAGES", "POD LABELS"],
                                                                  ["shape", "c", "nginx:1.26", "app=shape"]])
        self.k("label", "podtemplate", "shape", "x=y")
        self.assertIn("template", self.k("explain", "podtemplate"))

    def test_explain(self):
        self.assertRegex(self.k("explain", "deployment.spec.strategy.rollingUpdate.maxSurge"), "(?i)maxSurge")
        pod = self.k("explain", "pod.spec.containers")
        self.assertIn("image", pod)
        self.assertIn("VERSION:", self.k("explain", "hpa"))
        self.assertIn("does not exist", self.refused("explain", "pod.spec.nonsense"))
        self.assertIn("jobTemplate", self.k("explain", "cronjob", "--recursive"))

    def test_watch_prints_changes(self):
        self.k("create", "configmap", "first")
        command = [kubectl_program(self.version), "--kubeconfig", self.cluster.kubeconfig, "-n", self.ns, "get", "cm", "-w", "-o", "name"]
        watcher = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "HOME": str(self.cluster.folder)})
        lines = []
        thread = threading.Thread(target=lambda: lines.extend(line.strip() for line in watcher.stdout), daemon=True)
        thread.start()
        try:
            self.wait("the list", lambda: "configmap/first" in lines)
            self.k("create", "configmap", "second")
            self.wait("the new one", lambda: "configmap/second" in lines)
            before = len(lines)
            self.k("delete", "configmap", "second")
            self.wait("its end", lambda: len(lines) > before)
        finally:
            watcher.kill()
            watcher.wait()
            thread.join()
            watcher.stdout.close()

    # ---- deleting

    def test_delete_with_each_cascade(self):
        self.apply(WEB)
        self.roll_out()
        self.k("delete", "deployment/web", "--cascade=orphan")
        time.sleep(1)
        self.assertEqual(len(self.k("get", "rs", "-o", "name").splitlines()), 1)
        self.assertEqual(self.field("rs", ".items[0].metadata.ownerReferences"), "")
        self.k("delete", "rs", "--all")
        self.wait("the pods are collected", lambda: self.k("get", "pods", "-o", "name") == "")
        self.apply(WEB)
        self.roll_out()
        self.k("delete", "deployment/web", "--cascade=foreground", timeout=60)
        self.assertEqual(self.k("get", "rs,pods", "-o", "name"), "")

    def test_deleting_a_namespace_takes_all_in_it(self):
        self.apply(WEB)
        self.k("create", "secret", "generic", "s", "--from-literal=a=b")
        self.k("delete", "namespace", self.ns, "--timeout=60s", timeout=80)
        for what in ("deployments", "pods", "secrets", "services"):
            self.assertEqual(self.k("get", what, "-o", "name"), "")
        self.assertIn("not found", self.refused("create", "configmap", "late"))

    def test_wait_for_conditions_and_deletion(self):
        self.k("run", "p", "--image=nginx")
        self.assertIn("condition met", self.k("wait", "--for=condition=Ready", "pod/p", "--timeout=30s"))
        self.k("delete", "pod/p", "--wait=false")
        self.k("wait", "--for=delete", "pod/p", "--timeout=30s", check=False)
        self.wait("it is gone", lambda: self.k("get", "pods", "-o", "name") == "")

    # ---- the cluster

    def test_api_resources_and_versions(self):
        resources = self.k("api-resources")
        for line in (r"pods\s+po\s+(v1\s+)?", r"deployments\s+deploy\s+apps", r"horizontalpodautoscalers\s+hpa\s+autoscaling",
                     r"customresourcedefinitions\s+crd,crds\s+apiextensions", r"ingresses\s+ing\s+networking"):
            self.assertRegex(resources, line)
        self.assertLessEqual({"v1", "apps/v1", "batch/v1", "autoscaling/v2", "rbac.authorization.k8s.io/v1"},
                             set(self.k("api-versions").split()))
        self.assertIn("v1.35", self.k("version"))
        self.assertIn("is running at", self.k("cluster-info"))
        self.assertEqual(self.k("get", "--raw", "/healthz"), "ok")

    def test_auth_can_i(self):
        self.assertEqual(self.k("auth", "can-i", "create", "pods"), "yes\n")
        self.assertEqual(self.k("auth", "can-i", "delete", "nodes", "--as=jane", check=False).stdout, "no\n")
        self.k("create", "role", "reader", "--verb=get,list,watch", "--resource=pods,configmaps")
        self.k("create", "rolebinding", "jane", "--role=reader", "--user=jane")
        self.assertEqual(self.k("auth", "can-i", "list", "pods", "--as=jane"), "yes\n")
        self.assertEqual(self.k("auth", "can-i", "create", "pods", "--as=jane", check=False).stdout, "no\n")
        self.assertRegex(self.k("auth", "can-i", "--list", "--as=jane"), r"pods\s+\[\]\s+\[\]\s+\[get list watch\]")
        self.assertRegex(self.refused("get", "secrets", "--as=jane"),
                         r'secrets is forbidden: User "jane" cannot list resource "secrets" in API group "" in the namespace')
        self.k("create", "serviceaccount", "robot")
        self.k("create", "rolebinding", "robot", "--clusterrole=edit", f"--serviceaccount={self.ns}:robot")
        self.assertEqual(self.k("auth", "can-i", "create", "deployments.apps", f"--as=system:serviceaccount:{self.ns}:robot"), "yes\n")
        if self.version != "1.20":
            token = self.k("create", "token", "robot").strip()
            answer = self.cluster.raw("GET", f"/api/v1/namespaces/{self.ns}/pods", identity=None,
                                      headers={"Authorization": f"Bearer {token}"})
            self.assertEqual(answer[0], 200)
            self.assertIn("robot", self.k("auth", "whoami", f"--as=system:serviceaccount:{self.ns}:robot"))

    def test_top(self):
        self.apply(WEB)
        self.roll_out()
        self.wait("usage is there", lambda: self.k("top", "pods", check=False).returncode == 0, 60)
        self.assertEqual(columns(self.k("top", "pods"))[0], ["NAME", "CPU(cores)", "MEMORY(bytes)"])
        self.assertEqual(len(columns(self.k("top", "nodes"))), 4)

    def test_the_autoscaler_follows_what_pods_use(self):
        self.apply(WEB)
        self.roll_out()
        self.k("autoscale", "deployment/web", "--min=2", "--max=6", "--cpu-percent=80" if self.version == "1.20" else "--cpu=80%")
        self.wait("what is used is known", lambda: re.search(r"\b50%/80%", self.k("get", "hpa")), 40)
        self.k("patch", "deployment/web", "--type=merge", "-p", json.dumps(
            {"spec": {"template": {"metadata": {"annotations": {"keel.io/hollow-cpu": "200m"}}}}}))
        self.wait("the most are wanted", lambda: self.field("deployment/web", ".spec.replicas") == "6", 90)
        self.assertIn("SuccessfulRescale", self.k("get", "events"))

    def test_cordon_drain_and_taint(self):
        self.apply(WEB.replace("replicas: 2", "replicas: 6"))
        self.roll_out()
        node = self.k("get", "pods", "-o", "jsonpath={.items[0].spec.nodeName}")
        try:
            self.assertIn("cordoned", self.k("cordon", node))
            self.assertRegex(self.k("get", "node", node), "Ready,SchedulingDisabled")
            self.k("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=60s", timeout=80)
            self.roll_out()
            self.assertNotIn(node, self.k("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split())
        finally:
            self.k("uncordon", node)
        self.k("taint", "node", node, "team=a:NoExecute")
        try:
            self.k("scale", "deployment/web", "--replicas=8")
            self.roll_out()
            self.assertNotIn(node, self.k("get", "pods", "-o", "jsonpath={.items[*].spec.nodeName}").split())
        finally:
            self.k("taint", "node", node, "team-")
        # A budget holds a drain back.
        self.apply("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: all}\n"
                   "spec: {minAvailable: 100%, selector: {matchLabels: {app: web}}}\n")
        self.wait("the budget is counted", lambda: self.field("pdb/all", ".status.expectedPods") == "8")
        other = self.k("get", "pods", "-o", "jsonpath={.items[0].spec.nodeName}")
        try:
            self.assertRegex(self.refused("drain", other, "--ignore-daemonsets", "--timeout=4s", timeout=60),
                             "Cannot evict pod|disruption budget")
        finally:
            self.k("uncordon", other)

    # ---- bad input

    def test_bad_input_is_refused_and_changes_nothing(self):
        self.assertRegex(self.refused("create", "configmap", "No_Good"), r"(?i)Invalid value: \"No_Good\".*lowercase RFC 1123")
        wrong = WEB.replace("replicas: 2", "replicaz: 2")
        self.assertRegex(self.refused("apply", "-f", "-", input=wrong), r"replicaz")
        self.assertRegex(self.refused("apply", "-f", "-", input=WEB.replace("{matchLabels: {app: web}}", "{matchLabels: {app: other}}")),
                         r"`selector` does not match template `labels`")
        self.assertEqual(self.k("get", "deployments", "-o", "name"), "")
        self.apply(WEB)
        self.assertRegex(self.refused("patch", "deployment/web", "--type=merge", "-p", '{"spec":{"selector":{"matchLabels":{"a":"b"}}}}'),
                         r"field is immutable")
        self.assertRegex(self.refused("create", "deployment", "web", "--image=x"), r"AlreadyExists|already exists")
        self.assertIn("no matches for kind", self.refused("apply", "-f", "-", input="apiVersion: v9\nkind: Thing\nmetadata: {name: x}\n"))
        self.assertRegex(self.refused("get", "pods", "-l", "a in (b"), "(?i)unable to parse|parse")
        self.assertRegex(self.refused("get", "pods", "--field-selector=nonsense=1"), "field label not supported")
        self.assertIn("BadRequest", self.refused("create", "-f", "-", "--validate=false",
                                                 input='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":3}'))

    def test_custom_resources(self):
        self.k("apply", "-f", "-", input=f"""
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {{name: boats.v{self.version.replace('.', '')}.example.com}}
spec:
  group: v{self.version.replace('.', '')}.example.com
  scope: Namespaced
  names: {{plural: boats, singular: boat, kind: Boat, shortNames: [bt]}}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {{status: {{}}, scale: {{specReplicasPath: .spec.crew, statusReplicasPath: .status.crew}}}}
    additionalPrinterColumns: [{{name: Crew, type: integer, jsonPath: .spec.crew}}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [crew]
            properties: {{crew: {{type: integer, minimum: 1}}, sail: {{type: string, default: lateen, enum: [lateen, square]}}}}
          status: {{type: object, properties: {{crew: {{type: integer}}}}}}
""")
        crd = f"crd/boats.v{self.version.replace('.', '')}.example.com"
        self.k("wait", "--for=condition=established", crd, "--timeout=20s")
        boat = f"apiVersion: v{self.version.replace('.', '')}.example.com/v1\nkind: Boat\nmetadata: {{name: argo}}\nspec: {{crew: 50}}\n"
        self.wait("the kind is known", lambda: self.k("apply", "-f", "-", input=boat, check=False).returncode == 0)
        self.assertEqual(self.field("boat/argo", ".spec.sail"), "lateen")
        self.assertEqual(columns(self.k("get", "bt"))[0], ["NAME", "CREW"])
        self.assertRegex(self.refused("patch", "boat/argo", "--type=merge", "-p", '{"spec":{"crew":0}}'), "greater than or equal to 1")
        self.assertRegex(self.refused("patch", "boat/argo", "--type=merge", "-p", '{"spec":{"sail":"jib"}}'), "Unsupported value")
        self.k("scale", "boat/argo", "--replicas=7")
        self.assertEqual(self.field("boat/argo", ".spec.crew"), "7")
        self.k("delete", crd)
        self.wait("the kind is gone", lambda: self.k("get", "boats", check=False).returncode != 0)

    def test_old_replication_controllers(self):
        self.apply("apiVersion: v1\nkind: ReplicationController\nmetadata: {name: old}\nspec:\n  replicas: 2\n"
                   "  selector: {app: old}\n  template:\n    metadata: {labels: {app: old}}\n"
                   "    spec: {containers: [{name: c, image: nginx}]}\n")
        self.wait("both are ready", lambda: self.field("rc/old", ".status.readyReplicas") == "2")
        self.assertEqual(columns(self.k("get", "rc"))[1][:4], ["old", "2", "2", "2"])
        self.k("delete", "rc/old")
        self.wait("the pods go with it", lambda: self.k("get", "pods", "-o", "name") == "")

    def test_logs_and_exec_say_what_is_missing(self):
        self.k("run", "p", "--image=nginx")
        self.k("wait", "--for=condition=Ready", "pod/p", "--timeout=30s")
        self.assertRegex(self.refused("logs", "p"), "(?i)error")
        self.assertRegex(self.refused("exec", "p", "--", "true"), "(?i)error")
