"""A server of bytes on loopback, for what no HTTP library would send. It keeps what it was sent."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Self

Part = bytes | float
Script = Callable[[int], Iterable[Part]]
"""From a request's number (from 1) to what is sent: bytes, or a pause in seconds. The connection is closed after it."""


class RawServer:
    """Serves until the `with` block ends. `requests`: heads and bodies; `sent`: bytes; `closed`: connections."""

    def __init__(self, script: Script | bytes, context: ssl.SSLContext | None = None) -> None:
        self._script: Script = (lambda _: [script]) if isinstance(script, bytes) else script
        self._context = context
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.requests: list[bytes] = []
        self.sent = 0
        self.closed = 0
        self.origin = f"http{'s' if context else ''}://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._spawn(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing.set()
        self._socket.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()
        self._socket.close()

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            connection.settimeout(5)
            self._spawn(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self._context is None:
                self._talk(connection)
            else:
                with self._context.wrap_socket(connection, server_side=True) as secured:
                    self._talk(secured)
        self.closed += 1

    def _talk(self, connection: socket.socket) -> None:
        request = _read_request(connection)
        if not request:
            return
        self.requests.append(request)
        for part in self.parts(request):
            if isinstance(part, bytes):
                connection.sendall(part)
                self.sent += len(part)
            elif self._closing.wait(part):
                return

    def parts(self, request: bytes) -> Iterable[Part]:  # noqa: ARG002 - for servers that answer by what they are asked
        """What is sent for a request; it is the last of `requests`, where one comes after the other."""
        return self._script(len(self.requests))


def _read_request(connection: socket.socket) -> bytes:
    """Head and body, which may come in several pieces; nothing when the client hung up before its end."""
    request = b""
    while b"\r\n\r\n" not in request or len(request) < _length(request):
        received = connection.recv(65536)
        if not received:
            return b""
        request += received
    return request


def _length(request: bytes) -> int:
    head = request.partition(b"\r\n\r\n")[0]
    stated = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return len(head) + 4 + (int(stated[1]) if stated else 0)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer, as a well-meaning server sends it, which says that it closes the connection."""
    sized = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Connection: close")
    lines = [f"HTTP/1.1 {status}", *sized, *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
