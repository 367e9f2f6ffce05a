"""uvicorn's HTTP protocol with an end to its patience: it waits for ever for a request's head, of any length.

A sender who drips bytes then holds a connection and its memory for as long as he likes.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_SECONDS = 10.0
LARGEST_HEAD = 32 * 1024
LARGEST_REQUEST = 8 * 1024 * 1024
"""Bytes on the wire: chunks of one byte each, or trailers without end, are more than the body that they carry."""


class Impatient(HttpToolsProtocol):
    """Cuts off who does not come to the point."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None
        self._in_request = False
        self._bytes = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The head of the first request has to come now."""
        super().connection_made(cast("asyncio.Transport", transport))
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Counts what a head, or a request, costs."""
        if not self._in_request and self._deadline is None:
            self._wait_for_head()
        self._bytes += len(data)
        super().data_received(data)
        if self._bytes > (LARGEST_REQUEST if self._in_request else LARGEST_HEAD):
            self.transport.close()

    def on_headers_complete(self) -> None:
        """The head has come; the app bounds the body's time."""
        self._stop_waiting()
        self._in_request = True
        self._bytes = 0
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """The next request may come; uvicorn closes a connection on which none does."""
        self._in_request = False
        self._bytes = 0
        super().on_response_complete()

    def _wait_for_head(self) -> None:
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()
