"""Addresses at which no server answers, each in a way of its own."""

import socket
from contextlib import contextmanager


@contextmanager
def refused():
    """Nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"


@contextmanager
def dropped():
    """Packets are lost, as on the way to an address that is not routed: the queue of connections is full."""
    with socket.socket() as full, socket.socket() as one, socket.socket() as two:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for waiting in (one, two):
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        yield f"http://127.0.0.1:{full.getsockname()[1]}"


@contextmanager
def silent():
    """Connections are made, and nothing is ever answered."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def unknown():
    """No such name."""
    yield "http://no-such-host.invalid"


NOWHERE = {"refused": refused, "dropped": dropped, "silent": silent, "unknown": unknown}
