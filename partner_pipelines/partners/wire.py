"""The wire itself: HTTP/1.1 over httpcore, TLS 1.2 and above, every read and write within the attempt's deadline.

httpx's own transport gives each read the same timeout: a server that sends a byte of a header now and then holds it for
hours. Here the time that is left bounds each of them. No proxy is taken from the environment; nothing is retried.
"""

from __future__ import annotations

import logging
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import httpcore
import httpx


def build_wire(ca_bundle: Path | None, *, connections: int = 32) -> Wire:
    """A wire that trusts the system's certificate authorities and those in `ca_bundle`."""
    pool = httpcore.ConnectionPool(
        ssl_context=_tls(ca_bundle),
        max_connections=connections,
        max_keepalive_connections=connections,
        keepalive_expiry=5.0,
        network_backend=_TimedBackend(),
    )
    return Wire(pool)


@lru_cache(maxsize=8)
def _tls(ca_bundle: Path | None) -> ssl.SSLContext:
    """Made once in a process: to load the system's certificates takes longer than many a sync's requests."""
    # Not create_default_context: that one writes the session keys wherever SSLKEYLOGFILE says.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_default_certs()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_bundle is not None:
        context.load_verify_locations(cafile=ca_bundle)
    return context


class Wire(httpx.BaseTransport):
    """Sends a request and returns its answer with the body still to be read, by the thread that sent it.

    Raises httpcore's exceptions, not httpx's. `request.extensions["deadline"]` is a time of `time.monotonic()`.
    """

    def __init__(self, pool: httpcore.ConnectionPool) -> None:
        _keep_out_of_logs()
        self._pool = pool

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head; its stream reads the rest."""
        _thread.deadline = request.extensions["deadline"]
        url = request.url
        answer = self._pool.handle_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer))

    def close(self) -> None:
        """Closes the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


_thread = threading.local()


def _within(timeout: float | None) -> float:
    """The timeout, cut to what is left of the deadline that this thread works under."""
    left: float = _thread.deadline - time.monotonic()
    if left <= 0:
        raise httpcore.TimeoutException
    return left if timeout is None else min(timeout, left)


class _TimedStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _within(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _within(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        return _TimedStream(self._stream.start_tls(ssl_context, server_hostname, _within(timeout)))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _TimedBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _within(timeout)
        return _TimedStream(self._backend.connect_tcp(host, port, timeout, local_address, socket_options))


def _keep_out_of_logs() -> None:
    # At DEBUG httpcore logs the answers' headers and quotes bytes of malformed ones; a level would not hold against
    # whoever configures logging later.
    for name in ("httpcore.connection", "httpcore.http11"):
        logging.getLogger(name).addFilter(_refuse)


def _refuse(_record: logging.LogRecord) -> bool:
    return False
