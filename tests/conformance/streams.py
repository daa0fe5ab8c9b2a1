"""Bidirectional streams within a case: watch and lease keep-alive.

    w = Watching(t)
    w.create(key="a")
    w.settle(created=1)
    t.put("a", "1")
    w.settle(events=1)
    w.record()

Responses of different watchers may arrive in any order, and a server is free
to put several revisions into one response, so `record` writes down, for each
watcher, the sequence of what it was told with neighbouring events joined; and,
apart from it, whether any revision was split where it must not be.
"""

import queue
import re
import signal
import subprocess
import threading
import time

import grpc

from case import CTL_ENVIRONMENT, raw

SETTLE_SECONDS = 10
QUIET_SECONDS = 0.25


class Stream:
    """A stream whose responses are gathered by a thread of its own."""

    def __init__(self, t, service, method, member=0, metadata=None):
        self.t = t
        self.requests = queue.Queue()
        self.responses = []
        self.end = None
        self.changed = threading.Condition()
        m = t.api.methods[(service, method)]
        open_stream = t.channel(member).stream_stream(
            m.path, request_serializer=m.request.SerializeToString, response_deserializer=m.response.FromString
        )
        self.name = (service, method)
        self.call = open_stream(iter(self.requests.get, None), metadata=metadata, timeout=120)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        try:
            for response in self.call:
                self.t.touched.outcome(*self.name, "OK")
                with self.changed:
                    self.responses.append(response)
                    self.changed.notify_all()
            end = ("OK", "")
        except grpc.RpcError as e:
            end = (e.code().name, e.details())
            self.t.touched.outcome(*self.name, end[0])
        with self.changed:
            self.end = end
            self.changed.notify_all()

    def send(self, request):
        self.t.touched.request(request)
        self.requests.put(request)

    def half_close(self):
        self.requests.put(None)

    def wait(self, predicate, seconds=SETTLE_SECONDS):
        """Waits until predicate() holds or the time is up; says whether it held."""
        with self.changed:
            return self.changed.wait_for(predicate, seconds)

    def quiet(self, seconds=QUIET_SECONDS):
        """Leaves time for responses that should not come."""
        with self.changed:
            count = -1
            while count != len(self.responses):
                count = len(self.responses)
                self.changed.wait_for(lambda: len(self.responses) != count, seconds)

    def close(self):
        self.half_close()
        self.call.cancel()
        self.reader.join(5)


class Watching(Stream):
    """A watch stream."""

    def __init__(self, t, member=0, metadata=None):
        super().__init__(t, "Watch", "Watch", member, metadata)
        self.recorded = 0

    def create(self, key="", end=b"", filters=(), **fields):
        api = self.t.api
        filters = [api.WatchCreateRequest.FilterType.Value(f) for f in filters]
        self.send(api.WatchRequest(create_request=api.WatchCreateRequest(
            key=raw(key), range_end=raw(end), filters=filters, **fields)))

    def cancel(self, watch_id):
        self.send(self.t.api.WatchRequest(cancel_request=self.t.api.WatchCancelRequest(watch_id=watch_id)))

    def progress(self):
        self.send(self.t.api.WatchRequest(progress_request=self.t.api.WatchProgressRequest()))

    def count(self, what):
        if what == "events":
            return sum(len(r.events) for r in self.responses)
        if what == "responses":
            return len(self.responses)
        return sum(1 for r in self.responses if getattr(r, what))

    def settle(self, **totals):
        """Waits until so many events, created, canceled, ... have come in all."""
        self.wait(lambda: self.end is not None or all(self.count(k) >= n for k, n in totals.items()))
        self.quiet()

    def record(self, label="watch stream", headers=False):
        """Records what came since the last record. With `headers`, response by
        response and with the header's revision, where that is not a matter of timing."""
        with self.changed:
            fresh = self.responses[self.recorded:]
            self.recorded = len(self.responses)
            end = self.end
        masks = self.t.masks
        lines = []
        for watch_id in sorted({r.watch_id for r in fresh}):
            joined = 0
            for r in (r for r in fresh if r.watch_id == watch_id):
                head = "watcher %d: " % watch_id
                rest = type(r)()
                rest.CopyFrom(r)
                rest.ClearField("events")
                rest.ClearField("watch_id")
                plain = bool(r.events) and not (r.created or r.canceled)
                if plain and not headers:
                    rest.ClearField("header")
                    rest.ClearField("fragment")
                else:
                    joined = 0
                    rest.header.ClearField("raft_term")
                lines += [head + x for x in masks.message(rest)]
                if headers:
                    lines.append(head + "%d events" % len(r.events))
                for e in r.events:
                    shown = " ".join(x.replace(" = ", "=") for x in masks.message(e))
                    lines.append(head + "event %d: %s" % (joined, shown if shown.startswith("type") else "type=PUT " + shown))
                    joined += 1
        lines += self._invariants(fresh)
        if end:
            lines.append("end: code = %s message = %s" % (end[0], masks.text(end[1] or "")))
        self.t.record(label, lines)

    @staticmethod
    def _invariants(responses):
        lines = []
        last = {}
        for i, r in enumerate(responses):
            if not r.events:
                continue
            revisions = [e.kv.mod_revision for e in r.events]
            if revisions != sorted(revisions):
                lines.append("violation: revisions out of order")
            before = last.get(r.watch_id)
            if before is not None and not before[1]:
                if revisions[0] == before[0]:
                    lines.append("violation: a revision is split over responses")
                if revisions[0] < before[0]:
                    lines.append("violation: a revision came late")
            if r.header.revision < revisions[-1]:
                lines.append("violation: header revision below that of an event")
            last[r.watch_id] = (revisions[-1], r.fragment)
        return lines


class KeepingAlive(Stream):
    """A lease keep-alive stream."""

    def __init__(self, t, member=0):
        super().__init__(t, "Lease", "LeaseKeepAlive", member)
        self.recorded = 0

    def ask(self, lease_id):
        """Sends one keep-alive and waits for its answer."""
        count = len(self.responses)
        self.send(self.t.api.LeaseKeepAliveRequest(ID=lease_id))
        self.wait(lambda: self.end is not None or len(self.responses) > count)

    def record(self, label="keep-alive stream"):
        fresh = self.responses[self.recorded:]
        self.recorded = len(self.responses)
        lines = []
        for i, r in enumerate(fresh):
            lines += ["answer %d: %s" % (i, x) for x in self.t.masks.message(r)]
        if self.end:
            lines.append("end: code = %s message = %s" % self.end)
        self.t.record(label, lines)


class ControlWatch:
    """`etcdctl watch` (or another verb that runs until told to stop) as a process."""

    def __init__(self, t, *args, stdin=None):
        self.t = t
        self.args = args
        self.process = subprocess.Popen(
            t.ctl_command(args, t.endpoints()), env=CTL_ENVIRONMENT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        self.output = []
        self.changed = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        if stdin is not None:
            self.process.stdin.write(stdin.encode())
            self.process.stdin.flush()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.output.append(line)
                self.changed.notify_all()

    def settle(self, lines):
        """Waits until so many lines have been printed in all."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.output) >= lines, SETTLE_SECONDS)
        time.sleep(QUIET_SECONDS)

    def await_watcher(self, key):
        """Returns once the watcher has been seen to receive: writes a probe key until it shows."""
        give_up = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < give_up:
            with self.changed:
                if self.output:
                    break
            self.t.unrecorded("KV", "Put", key=key, value=b"probe")
            time.sleep(0.1)
        time.sleep(QUIET_SECONDS)
        self.t.unrecorded("KV", "DeleteRange", key=key)
        time.sleep(QUIET_SECONDS)
        with self.changed:
            self.output.clear()
        # Revisions count from here, however many probes it took.
        self.t.masks.base_revision = self.t.unrecorded("KV", "Range", key=key).response.header.revision

    def finish(self, interrupt=True):
        if interrupt and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        try:
            code = self.process.wait(SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "none: it had to be killed (%d)" % self.process.wait()
        self.reader.join(5)
        err = self.process.stderr.read()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            pipe.close()
        self.t.touched.command(self.args, 0 if code == -2 else code)
        lines = self.t.printed(code, b"".join(self.output), err)
        self.t.record(self.t.ctl_label(self.args), [re.sub(r"^exit = -2$", "exit = by the interrupt", x) for x in lines])
