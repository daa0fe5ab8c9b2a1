"""The lock server: one holder at a time, through the loss of its leader."""

import time
import unittest

from trio import MEMBERS, Client, TrioTest, wait_until


class LockServer(TrioTest):
    ttl_seconds = 60

    def command(self, member):
        return [self.program, "--id", str(member), "--peers", self.peers,
                "--port", str(self.ports[member]), "--dir", self.data(member),
                "--ttl", str(self.ttl_seconds)]

    def lock(self, member, lock, owner):
        """Asking again keeps the place in line. The token."""
        answer = self.ask_until(member, f"lock {lock} {owner}")
        self.assertRegex(answer, r"^granted \d+$")
        return int(answer.split()[1])


class LockServerTest(LockServer):
    def test_one_holder_at_a_time_through_the_loss_of_the_leader(self):
        first = self.lock(1, "door", "alice")
        self.assertEqual(self.ask_until(2, "holder door"), f"alice {first}")
        waiting = Client(self.ports[2], seconds=30)
        waiting.send("lock door bob")
        self.assertEqual(self.ask_until(3, "renew door alice"), "renewed")
        self.assertEqual(self.ask(3, "unlock door carol"), "error: not yours")
        self.assertEqual(self.ask_until(1, "unlock door alice"), "released")
        answer = waiting.receive()
        waiting.close()
        self.assertRegex(answer, r"^granted \d+$")
        second = int(answer.split()[1])
        self.assertGreater(second, first)

        leader = self.leader()
        self.kill(leader)
        other = next(member for member in MEMBERS if member != leader)
        self.assertEqual(self.ask_until(other, "renew door bob"), "renewed")
        self.assertEqual(self.ask_until(other, "holder door"), f"bob {second}")
        self.start(leader)
        self.assertEqual(self.ask_until(leader, "holder door"), f"bob {second}")

    def test_locks_survive_the_restart_of_everything(self):
        token = self.lock(1, "door", "alice")
        for member in MEMBERS:
            self.kill(member)
        for member in MEMBERS:
            self.start(member)
        self.assertEqual(self.ask_until(3, "holder door"), f"alice {token}")

    def test_nonsense_is_refused(self):
        for line in ("", "lock", "lock door", "holder", "holder door alice", "steal door alice",
                     "lock door alice twice"):
            self.assertRegex(wait_until("an answer", lambda: self.ask(1, line)), "^error: say")


class ExpiryTest(LockServer):
    ttl_seconds = 2

    def test_a_lock_that_is_not_renewed_goes_to_the_next_in_line_and_not_early(self):
        self.ask_until(1, "holder door")
        before = time.monotonic()
        first = self.lock(1, "door", "alice")
        waiting = Client(self.ports[3], seconds=30)
        waiting.send("lock door bob")
        answer = waiting.receive()
        waited = time.monotonic() - before
        waiting.close()
        self.assertGreater(int(answer.split()[1]), first)
        self.assertGreaterEqual(waited, self.ttl_seconds)
        self.assertEqual(self.ask(2, "renew door alice"), "error: not yours")


if __name__ == "__main__":
    unittest.main(verbosity=2)
