"""What every test that starts processes on loopback needs.

    sys.path.insert(0, str(ROOT / "tests" / "support"))
    from loopback import free_ports, wait_until
"""

import socket
import time


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]
    finally:
        for s in sockets:
            s.close()


def wait_until(what, condition, seconds=20.0):
    """Returns the first true value of condition(); fails naming `what` otherwise."""
    give_up = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > give_up:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.03)
