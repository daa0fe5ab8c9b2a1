#!/usr/bin/env python3
"""A HorizontalPodAutoscaler on a whole cluster: it grows a Deployment by what its pods are said to
use, up to its most, and keeps to its least."""

import unittest

from cluster import ClusterCase

CPU = '{"spec": {"template": {"metadata": {"annotations": {"keel.io/hollow-cpu": "%s"}}}}}'


class Autoscaler(ClusterCase):
    nodes = 2
    flags = {"controller_manager_flags": ["--horizontal-pod-autoscaler-sync-period=1s",
                                          "--horizontal-pod-autoscaler-downscale-stabilization=5s"]}

    def k(self, *args):
        return self.cluster.kubectl(*args)

    def ready(self):
        return self.k("get", "deployment/web", "-o", "jsonpath={.status.readyReplicas}")

    def reason(self, condition):
        return self.k("get", "hpa.v2.autoscaling/web", "-o",
                      "jsonpath={.status.conditions[?(@.type=='%s')].reason}" % condition)

    def test_it_follows_load(self):
        self.k("create", "deployment", "web", "--image=nginx")
        self.k("set", "resources", "deployment/web", "--requests=cpu=100m")
        self.k("patch", "deployment/web", "-p", CPU % "80m")
        self.k("autoscale", "deployment/web", "--min=2", "--max=5", "--cpu-percent=80")
        self.wait("the least", lambda: self.ready() == "2")
        self.wait("a metric", lambda: self.reason("ScalingActive") == "ValidMetricFound")
        self.assertEqual(self.k("get", "hpa.v2.autoscaling/web", "-o",
                                "jsonpath={.status.currentMetrics[0].resource.current.averageUtilization}"), "80")
        self.k("patch", "deployment/web", "-p", CPU % "150m")
        self.wait("the most", lambda: self.ready() == "5", 60)
        self.wait("it says why it stops there", lambda: self.reason("ScalingLimited") == "TooManyReplicas")
        self.k("patch", "deployment/web", "-p", CPU % "5m")
        self.wait("the least again", lambda: self.ready() == "2", 60)
        self.assertIn("New size: 2; reason: All metrics below target", self.k("describe", "hpa/web"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
