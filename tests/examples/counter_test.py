"""The counter: counts, survives its leader, comes back."""

import unittest

from trio import MEMBERS, TrioTest, wait_until


class CounterTest(TrioTest):
    def command(self, member):
        return [self.program, str(member), self.peers, str(self.ports[member]), self.data(member)]

    def add(self, member, number):
        """Adds exactly once: asked again only when it was certainly refused."""
        def once():
            answer = self.ask(member, f"add {number}")
            self.assertIsNotNone(answer)
            self.assertNotIn("no answer in time", answer)
            return None if answer.startswith("error") else answer
        return int(wait_until(f"{member} adds", once))

    def test_counts_through_every_member_and_survives_its_leader(self):
        self.ask_until(1, "get")
        for count, member in enumerate(MEMBERS, 1):
            self.assertEqual(self.add(member, 5), 5 * count)
            self.assertEqual(self.ask_until(1, "get"), str(5 * count))
        self.assertTrue(self.ask(2, "subtract").startswith("error"))

        leader = self.leader()
        self.kill(leader)
        others = [member for member in MEMBERS if member != leader]
        wait_until("another leader", lambda: self.ask_until(others[0], "get") == "15")
        self.assertEqual(self.add(others[0], -20), -5)
        self.assertEqual(self.ask_until(others[1], "get"), "-5")

        self.start(leader)
        self.assertEqual(self.ask_until(leader, "get"), "-5")
        self.assertEqual(self.add(leader, 1), -4)

    def test_all_members_stop_in_order_and_come_back(self):
        self.ask_until(1, "get")
        self.assertEqual(self.add(1, 41), 41)
        for member in MEMBERS:
            self.terminate(member)
        for member in MEMBERS:
            self.start(member)
        for member in MEMBERS:
            self.assertEqual(self.ask_until(member, "get"), "41")
        for member in MEMBERS:
            self.kill(member)
        for member in MEMBERS:
            self.start(member)
        self.ask_until(2, "get")
        self.assertEqual(self.add(2, 1), 42)


if __name__ == "__main__":
    unittest.main(verbosity=2)
