"""The wire itself: connections, TLS 1.2 and above, every wait within the attempt's deadline.

Each read and write gets what is left of the deadline, so a server that sends a byte now and then holds nobody for
hours. No proxy is taken from the environment, no redirect followed, nothing retried, nothing logged.
"""

from __future__ import annotations

import select
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import httpx

from partner_pipelines.partners.http11 import AnswerReader, Head, request_head

KEPT_SECONDS = 5.0
"""How long a connection is kept for the next request; servers close idle ones soon after."""

SENT = "partner_sent"
"""An extension of requests of which something may have left: without it the partner has surely seen nothing."""

TARGET = "target"
"""httpx's extension for what stands in the request line instead of the URL's path and query."""

_PIECE_BYTES = 64 * 1024
Origin = tuple[str, str, int]  # scheme, host, port


def build_wire(ca_bundle: Path | None, *, connections: int = 32) -> Wire:
    """A wire that trusts the system's certificate authorities and those in `ca_bundle`."""
    return Wire(tls_context(ca_bundle), connections)


@lru_cache(maxsize=8)
def tls_context(ca_bundle: Path | None) -> ssl.SSLContext:
    """Whom we trust, by TLS 1.2 and above.

    Made once in a process: to load the system's certificates takes longer than many a sync's requests.
    """
    # Not create_default_context: that one writes the session keys wherever SSLKEYLOGFILE says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    return context


class Wire(httpx.BaseTransport):
    """Sends a request and returns its answer with the body still to be read, by the thread that sent it.

    `request.extensions` hold `deadline`, a time of `time.monotonic()`, and `timeout`, seconds for connect, read, write
    and pool. Raises TimeoutError, OSError, UnicodeError (a host that no resolver takes), http11.ProtocolError.
    """

    def __init__(self, tls: ssl.SSLContext, connections: int) -> None:
        self._tls = tls
        self._slots = threading.BoundedSemaphore(connections)
        self._idle: defaultdict[Origin, list[_Connection]] = defaultdict(list)
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head; its stream reads the rest."""
        time_left = _TimeLeft(request.extensions["deadline"], request.extensions["timeout"])
        url = request.url
        origin = (url.scheme, url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80))
        head = request_head(request.method, request.extensions.get(TARGET) or url.raw_path, request.headers.raw)
        if not self._slots.acquire(timeout=time_left.of("pool")):
            raise TimeoutError("no connection was free")
        connection = None
        try:
            connection = self._kept(origin) or _Connection(origin, self._connect(origin, time_left))
            request.extensions[SENT] = True
            answer = connection.ask(head + request.content, time_left)
        except BaseException:
            self._release(connection, reusable=False)
            raise
        response = httpx.Response(answer.status, headers=answer.fields, stream=_Body(self, connection, answer))
        response.headers.encoding = "latin-1"  # RFC 9110 5.5; httpx would try three for each answer
        return response

    def close(self) -> None:
        """Closes the connections that are kept."""
        with self._lock:
            kept, self._idle = self._idle, defaultdict(list)
        for connections in kept.values():
            for connection in connections:
                connection.close()

    def _release(self, connection: _Connection | None, *, reusable: bool) -> None:
        try:
            if connection is not None and reusable:
                connection.used_at = time.monotonic()
                with self._lock:
                    self._idle[connection.origin].append(connection)
            elif connection is not None:
                connection.close()
        finally:
            self._slots.release()

    def _kept(self, origin: Origin) -> _Connection | None:
        while True:
            with self._lock:
                kept = self._idle[origin]
                if not kept:
                    return None
                connection = kept.pop()  # the last used: the others grow old and go
            if connection.is_usable():
                return connection
            connection.close()

    def _connect(self, origin: Origin, time_left: _TimeLeft) -> socket.socket:
        scheme, host, port = origin
        connected = socket.create_connection((host, port), timeout=time_left.of("connect"))
        try:
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                connected.settimeout(time_left.of("connect"))
                return self._tls.wrap_socket(connected, server_hostname=host)
        except BaseException:
            connected.close()
            raise
        return connected


class _TimeLeft:
    """How long each wait of one attempt may take."""

    __slots__ = ("_deadline", "_timeouts")

    def __init__(self, deadline: float, timeouts: Mapping[str, float]) -> None:
        self._deadline = deadline
        self._timeouts = timeouts

    def of(self, what: str) -> float:
        """Seconds, more than 0. Raises TimeoutError when the deadline is over."""
        left = min(self._deadline - time.monotonic(), self._timeouts[what])
        if left <= 0:
            raise TimeoutError("the deadline is over")
        return left


class _Connection:
    """One connection, used by one thread at a time."""

    def __init__(self, origin: Origin, connected: socket.socket) -> None:
        self.origin = origin
        self.used_at = 0.0
        self.reader = AnswerReader(self._receive)
        self._socket = connected
        self._time_left: _TimeLeft

    def ask(self, request: bytes, time_left: _TimeLeft) -> Head:
        """Sends the request; returns the answer's head."""
        self._time_left = time_left
        self._socket.settimeout(time_left.of("write"))
        self._socket.sendall(request)  # the timeout bounds all of it
        return self.reader.head()

    def is_usable(self) -> bool:
        """Not too old, and the server has neither closed it nor said anything unasked."""
        if time.monotonic() - self.used_at > KEPT_SECONDS:
            return False
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._socket.close()

    def _receive(self) -> bytes:
        self._socket.settimeout(self._time_left.of("read"))
        return self._socket.recv(_PIECE_BYTES)


class _Body(httpx.SyncByteStream):
    """Reads the body once; the connection is kept when it was read to its end, else closed."""

    def __init__(self, wire: Wire, connection: _Connection, head: Head) -> None:
        self._wire = wire
        self._connection: _Connection | None = connection
        self._head = head
        self._is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        assert self._connection is not None
        yield from self._connection.reader.body(self._head)
        self._is_whole = True

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            reusable = self._is_whole and self._head.keeps_open and connection.reader.is_empty
            self._wire._release(connection, reusable=reusable)  # noqa: SLF001 - the wire's own other half
