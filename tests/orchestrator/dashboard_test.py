"""The dashboard in headless Chromium, against a cluster that changes under it.

    KEEL_SCREENSHOT=docs/dashboard.png dashboard_test.py      also keeps a picture of it
"""

import os
import shutil
import unittest

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from cluster import ClusterCase
from kubectl import WEB


class Dashboard(ClusterCase):
    members = 3
    nodes = 12

    @classmethod
    def setUpClass(cls):
        driver = shutil.which("chromedriver")
        if not driver:
            raise unittest.SkipTest("chromium-driver is not installed")
        super().setUpClass()
        options = Options()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                         "--window-size=1500,1150"):
            options.add_argument(argument)
        options.accept_insecure_certs = True
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        cls.browser = webdriver.Chrome(service=Service(driver), options=options)
        cls.cluster.kubectl("create", "serviceaccount", "looker", "-n", "default")
        cls.cluster.kubectl("create", "clusterrolebinding", "looker", "--clusterrole=cluster-admin",
                            "--serviceaccount=default:looker")
        cls.token = cls.cluster.create("/api/v1/namespaces/default/serviceaccounts/looker/token",
                                       {"spec": {}})["status"]["token"]

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "browser"):
            cls.browser.quit()
        super().tearDownClass()

    def text(self, selector):
        try:
            return [e.text for e in self.browser.find_elements(By.CSS_SELECTOR, selector)]
        except StaleElementReferenceException:
            return []

    def open(self, fragment):
        self.browser.get("about:blank")
        self.browser.get(f"{self.cluster.server}/dashboard/{fragment}")

    def test_1_who_shows_no_token_is_asked_for_one(self):
        self.open("")
        self.wait("the form", lambda: len(self.text(".sign-in input")) == 1)
        field = self.browser.find_element(By.CSS_SELECTOR, ".sign-in input")
        field.send_keys(self.token)
        self.browser.find_element(By.CSS_SELECTOR, ".sign-in button").click()
        self.wait("the cluster", lambda: self.text("#nodes-ready") == ["12/12"])
        self.assertNotIn(self.token, self.browser.current_url)

    def test_2_the_cluster_is_shown_as_it_changes(self):
        self.open(f"#token={self.token}")
        self.wait("all is listed", lambda: self.browser.execute_script(
            "return document.querySelector('.page')?.dataset.synced") == "yes")
        self.assertNotIn(self.token, self.browser.current_url)
        self.wait("three members", lambda: len(self.text(".member")) == 3)
        self.wait("one leader", lambda: sorted(self.text(".member .role")) == ["follower", "follower", "leader"])
        self.cluster.kubectl("apply", "-f", "-", input=WEB.replace("replicas: 2", "replicas: 24"))
        self.wait("its pods run", lambda: self.text("#pods-running") == ["24/24"])
        self.assertIn("24/24", self.text(".tree .row .ready")[0])
        self.browser.find_element(By.CSS_SELECTOR, ".tree .row").click()
        self.wait("the replica set below", lambda: any("ReplicaSet" in t for t in self.text(".tree ul .row")))
        self.wait("events", lambda: any("ScalingReplicaSet" in t for t in self.text(".events tr")))
        picture = os.environ.get("KEEL_SCREENSHOT")
        if picture:
            self.cluster.kubectl("create", "deployment", "api", "--image=example/api:2", "--replicas=40")
            self.cluster.kubectl("create", "job", "sum", "--image=busybox")
            self.wait("more pods run", lambda: len(self.text(".tree > li")) >= 3)
            self.cluster.kubectl("cordon", self.cluster.get("/api/v1/nodes")["items"][2]["metadata"]["name"])
            self.wait("they run", lambda: self.text("#pods-running")[0].startswith("6"))
            self.browser.save_screenshot(os.path.abspath(picture))
        self.cluster.kubectl("scale", "deployment/web", "--replicas=3")
        self.wait("the others are gone", lambda: "3/3" in " ".join(self.text(".tree .row .ready")))

    def test_3_a_member_that_is_down_is_seen(self):
        self.open(f"#token={self.token}")
        self.cluster["kvd-2"].kill()
        self.wait("it is down", lambda: self.text(".member .role").count("down") == 1)
        self.cluster["kvd-2"].start()
        self.wait("it is back", lambda: "down" not in self.text(".member .role") and len(self.text(".member")) == 3)

    def test_4_nothing_went_wrong_in_the_page(self):
        severe = [entry for entry in self.browser.get_log("browser")
                  if entry["level"] == "SEVERE" and " 401 " not in entry["message"] and " 403 " not in entry["message"]]
        self.assertEqual(severe, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
