#!/usr/bin/python3
"""Plain HTTP on the client port: health checks, metrics, and what Prometheus makes of them."""

import http.client
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from harness import ClusterTest, wait_until

# What the alerts and the dashboard of etcd's mixin (contrib/mixin) are made of, but for
# grpc_server_handling_seconds, which etcd has under --metrics=extensive only.
DASHBOARDS = """
etcd_server_has_leader etcd_server_leader_changes_seen_total etcd_server_proposals_committed_total
etcd_server_proposals_applied_total etcd_server_proposals_pending etcd_server_proposals_failed_total
etcd_disk_wal_fsync_duration_seconds_bucket etcd_disk_backend_commit_duration_seconds_bucket
etcd_network_peer_round_trip_time_seconds_bucket etcd_network_peer_sent_bytes_total
etcd_network_peer_received_bytes_total etcd_network_peer_sent_failures_total
etcd_network_client_grpc_received_bytes_total etcd_network_client_grpc_sent_bytes_total
etcd_mvcc_db_total_size_in_bytes etcd_mvcc_db_total_size_in_use_in_bytes etcd_server_quota_backend_bytes
grpc_server_started_total grpc_server_handled_total process_resident_memory_bytes
""".split()

RULES = """
groups:
- name: etcd
  rules:
  - alert: etcdNoLeader
    expr: etcd_server_has_leader == 0
  - alert: etcdHighFsyncDurations
    expr: histogram_quantile(0.99, rate(etcd_disk_wal_fsync_duration_seconds_bucket[5m])) > 0.5
  - alert: etcdHighCommitDurations
    expr: histogram_quantile(0.99, rate(etcd_disk_backend_commit_duration_seconds_bucket[5m])) > 0.25
  - alert: etcdMemberCommunicationSlow
    expr: histogram_quantile(0.99, rate(etcd_network_peer_round_trip_time_seconds_bucket[5m])) > 0.15
  - alert: etcdDatabaseQuotaLowSpace
    expr: (etcd_mvcc_db_total_size_in_bytes / etcd_server_quota_backend_bytes) * 100 > 95
"""


def get(member, path, method="GET"):
    host, port = member.client.split(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=20)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def samples(text):
    """name{labels} -> value."""
    found = {}
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


def total(found, name, label=""):
    return sum(v for k, v in found.items() if re.split("[{]", k)[0] == name and label in k)


class HttpTest(ClusterTest):
    size = 3

    def test_checks_answer_as_etcd_s(self):
        for member in self.cluster.members:
            self.assertEqual(get(member, "/livez"), (200, "ok\n"))
            self.assertEqual(get(member, "/readyz"), (200, "ok\n"))
            self.assertEqual(get(member, "/livez?verbose"), (200, "[+]serializable_read ok\nok\n"))
            self.assertEqual(get(member, "/readyz?verbose"), (
                200, "[+]data_corruption ok\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\nok\n"))
            self.assertEqual(get(member, "/readyz?verbose&exclude=linearizable_read&exclude=nothing"), (
                200, "[+]data_corruption ok\n[+]serializable_read ok\n[+]non_learner ok\nok\n"))
            self.assertEqual(get(member, "/readyz/non_learner?verbose"), (200, "[+]non_learner ok\nok\n"))
            self.assertEqual(get(member, "/livez/serializable_read"), (200, "ok\n"))
            self.assertEqual(get(member, "/livez/linearizable_read")[0], 404)
            self.assertEqual(get(member, "/readyz/nothing")[0], 404)
            self.assertEqual(get(member, "/readyz/")[0], 404)
            self.assertEqual(get(member, "/readyz", "POST")[0], 405)

    def test_a_member_without_a_quorum_lives_and_is_not_ready(self):
        left, *others = self.cluster.members
        for other in others:
            other.kill()
        wait_until("the expected answer", lambda: get(left, "/health")[0] == 503, 30)
        self.assertEqual(get(left, "/health?serializable=true"), (200, '{"health":"true","reason":""}'))
        self.assertEqual(get(left, "/livez"), (200, "ok\n"))
        status, body = get(left, "/readyz")
        self.assertEqual(status, 503)
        self.assertRegex(body, r"^\[\+\]data_corruption ok\n\[\+\]serializable_read ok\n"
                               r"\[-\]linearizable_read failed: etcdserver: .*\n\[\+\]non_learner ok\n\n$")
        self.assertEqual(get(left, "/readyz?exclude=linearizable_read"), (200, "ok\n"))
        found = samples(get(left, "/metrics")[1])
        self.assertEqual(found["etcd_server_has_leader"], 0)
        self.assertGreaterEqual(found['etcd_server_healthchecks_total{name="linearizable_read",status="error",type="readyz"}'], 1)
        self.assertGreaterEqual(found["etcd_server_health_failures"], 1)
        self.assertGreaterEqual(found["etcd_server_health_success"], 1)

    def test_an_alarm_shows_in_health(self):
        member = self.cluster.members[0]
        member.call("Maintenance", "Alarm", action=1, alarm=1)
        wait_until("the expected answer", lambda: get(member, "/health") == (503, '{"health":"false","reason":"ALARM NOSPACE"}'), 10)
        self.assertEqual(get(member, "/health?exclude=NOSPACE"), (200, '{"health":"true","reason":""}'))
        self.assertEqual(get(member, "/readyz"), (200, "ok\n"))
        member.call("Maintenance", "Alarm", action=2, alarm=1)
        wait_until("the expected answer", lambda: get(member, "/health")[0] == 200, 10)

    def test_figures_are_there_and_move(self):
        leader = self.cluster.leader()
        before = samples(get(leader, "/metrics")[1])
        for i in range(50):
            leader.put(b"k%d" % i, b"v")
        time.sleep(1.5)  # peers' round trips are looked at once a second
        text = get(leader, "/metrics")[1]
        after = samples(text)
        for name in DASHBOARDS:
            self.assertTrue(any(re.split("[{]", k)[0] == name for k in after), name)
        for name, least in (("etcd_mvcc_put_total", 50), ("etcd_server_proposals_committed_total", 50),
                            ("etcd_server_proposals_applied_total", 50),
                            ("etcd_disk_backend_commit_duration_seconds_count", 1),
                            ("etcd_disk_wal_fsync_duration_seconds_count", 1),
                            ("etcd_network_peer_sent_bytes_total", 5000),
                            ("etcd_network_peer_received_bytes_total", 500),
                            ("etcd_network_client_grpc_received_bytes_total", 500),
                            ("etcd_network_client_grpc_sent_bytes_total", 500)):
            self.assertGreaterEqual(total(after, name) - total(before, name), least, name)
        self.assertEqual(total(after, "grpc_server_handled_total", 'grpc_method="Put"') -
                         total(before, "grpc_server_handled_total", 'grpc_method="Put"'), 50)
        self.assertEqual(sum(1 for k in after if k.startswith("etcd_network_peer_round_trip_time_seconds_count")), 2)
        self.assertGreater(total(after, "etcd_network_peer_round_trip_time_seconds_sum"), 0)
        self.assertEqual(after["etcd_server_has_leader"], 1)
        self.assertEqual(after["etcd_server_is_leader"], 1)
        self.assertLess(len(text.splitlines()), 1000)

    @unittest.skipUnless(shutil.which("promtool"), "Debian's prometheus is not installed")
    def test_prometheus_takes_them(self):
        text = get(self.cluster.leader(), "/metrics")[1]
        # etcd's own names break some of the linter's rules; what is no exposition at all is an error.
        checked = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
        self.assertNotIn("error", checked.stderr.replace("error_", ""), checked.stderr)
        self.assertIn(checked.returncode, (0, 3), checked.stderr)

    @unittest.skipUnless(shutil.which("prometheus"), "Debian's prometheus is not installed")
    def test_prometheus_scrapes_the_cluster_and_its_rules_evaluate(self):
        from loopback import free_ports
        (port,) = free_ports(1)
        with tempfile.TemporaryDirectory() as directory:
            with open(os.path.join(directory, "rules.yml"), "w", encoding="utf-8") as f:
                f.write(RULES)
            targets = ", ".join("'%s'" % m.client for m in self.cluster.members)
            config = os.path.join(directory, "prometheus.yml")
            with open(config, "w", encoding="utf-8") as f:
                f.write("global: {scrape_interval: 1s, evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
                        "scrape_configs: [{job_name: etcd, static_configs: [{targets: [%s]}]}]\n" % targets)
            process = subprocess.Popen(
                ["prometheus", "--config.file=" + config, "--storage.tsdb.path=" + os.path.join(directory, "data"),
                 "--web.listen-address=127.0.0.1:%d" % port], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                def ask(path):
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                    try:
                        connection.request("GET", path)
                        return json.loads(connection.getresponse().read())["data"]
                    except (OSError, ValueError):
                        return None
                    finally:
                        connection.close()

                def value(query):
                    data = ask("/api/v1/query?query=" + query)
                    return [float(r["value"][1]) for r in data["result"]] if data else []

                wait_until("the expected answer", lambda: value("etcd_server_has_leader") == [1.0, 1.0, 1.0], 40)
                wait_until("the expected answer", lambda: len(value("rate(etcd_disk_wal_fsync_duration_seconds_count[10s])")) == 3, 20)
                rules = [r for g in ask("/api/v1/rules")["groups"] for r in g["rules"]]
                self.assertEqual(len(rules), 5)
                self.assertEqual([(r["name"], r["health"], r.get("lastError")) for r in rules if r["health"] != "ok"], [])
                self.assertEqual([r["name"] for r in rules if r["state"] != "inactive"], [])
            finally:
                process.terminate()
                process.wait(10)


class FastClockTest(ClusterTest):
    """Heartbeats of 10 ms, elections of 100 ms, and logs as etcd's JSON lines."""

    flags = ("--heartbeat-interval", "10", "--election-timeout", "100", "--logger", "zap", "--log-format", "json",
             "--log-outputs", "stderr")

    def test_a_leader_s_death_is_soon_over(self):
        leader = self.cluster.leader()
        leader.put(b"a", b"1")
        leader.kill()
        began = time.monotonic()
        left = [m for m in self.cluster.members if m is not leader]

        def written():
            try:
                return left[0].put(b"a", b"2", 1.0)
            except Exception:  # no leader yet
                return None

        wait_until("a write behind the election", written, 20)
        self.assertLess(time.monotonic() - began, 10)

    def test_lines_are_json_and_say_that_it_is_ready(self):
        member = self.cluster.members[0]
        wait_until("the ready line", lambda: "ready to serve client requests" in member.log(), 10)
        lines = [json.loads(line) for line in member.log().splitlines() if line]
        for line in lines:
            self.assertIn(line["level"], ("debug", "info", "warn", "error", "fatal"))
            self.assertRegex(line["ts"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        messages = [line["msg"] for line in lines]
        for message in ("published local member to cluster through raft", "ready to serve client requests",
                        "serving client traffic insecurely; this is strongly discouraged!"):
            self.assertIn(message, messages)


if __name__ == "__main__":
    unittest.main()
