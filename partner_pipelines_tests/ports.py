"""Ports for servers that are told which one to take."""

from __future__ import annotations

import secrets
import socket
from contextlib import suppress

_CHOICE = range(20_000, 32_000)
"""Below those that the kernel gives to outgoing connections: none of hundreds gets it in the meantime."""


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    while True:
        port = secrets.choice(_CHOICE)
        with socket.socket() as probe, suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return port
