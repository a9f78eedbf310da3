"""Ports on 127.0.0.1 that stay with a part for its life."""

import random
import socket
import time
from collections import deque

from streams.embedded.errors import EmbeddedError, PortTaken

HOST = "127.0.0.1"
# Below the range from which systems take the local ports of outgoing connections (32768 and up on Linux, 49152 on
# others): a client that keeps calling a killed broker can then never be given the broker's own port.
_PORTS = range(20_000, 32_000)
_TRIES = 200
# What this process has chosen lately: the parts of a stack choose before any of them listens.
_chosen: deque[int] = deque(maxlen=1_000)


def free_port(rng: random.Random | None = None) -> int:
    """Choose a port on which nothing listens now, and none that was chosen here lately; others may take it later."""
    chooser = rng or random.SystemRandom()
    for port in chooser.sample(_PORTS, _TRIES):
        if port not in _chosen and is_free(port):
            _chosen.append(port)
            return port
    raise EmbeddedError(f"no free port found in {_TRIES} tries between {_PORTS.start} and {_PORTS.stop}")


def is_free(port: int) -> bool:
    """Tell whether a server could bind the port on 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def require_free(*ports: int, within_s: float = 2.0) -> None:
    """Refuse a port that another program holds, before a child dies of it.

    Waits a little first: the children of a supervisor that was killed a moment ago may still be on their way out.

    Raises:
        PortTaken: the first of the ports that cannot be bound.
    """
    deadline = time.monotonic() + within_s
    for port in ports:
        while not is_free(port):
            if time.monotonic() > deadline:
                raise PortTaken(port)
            time.sleep(0.05)


def accepts_connections(port: int, timeout_s: float = 0.5) -> bool:
    """Tell whether something listens on the port."""
    try:
        socket.create_connection((HOST, port), timeout_s).close()
    except OSError:
        return False
    return True
