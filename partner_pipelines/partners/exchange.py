"""One request over the wire and its whole answer, within bounds of time and bytes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    APITimeoutError,
    BodyTooLargeError,
)
from partner_pipelines.partners.attempt import Attempt
from partner_pipelines.partners.bodies import (
    ERROR_BYTES,
    BodyTooLarge,
    UnreadableEncoding,
    read_bounded,
    unpack_bounded,
)
from partner_pipelines.partners.no_answer import BROKEN, TOO_LATE, why_no_answer
from partner_pipelines.partners.wire import SENT


@dataclass(frozen=True, slots=True)
class WireLimits:
    """Timeouts in seconds, the body's bound in bytes."""

    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    write_seconds: float = 30.0
    pool_seconds: float = 30.0
    max_body_bytes: int = 32 * 1024 * 1024

    def timeouts(self, left: float) -> dict[str, float]:
        """The timeouts for the wire, none of them longer than what is left of the deadline."""
        return {
            "connect": min(self.connect_seconds, left),
            "read": min(self.read_seconds, left),
            "write": min(self.write_seconds, left),
            "pool": min(self.pool_seconds, left),
        }


class Exchange:
    """One request and its whole answer; knows how far it came when it failed."""

    def __init__(self, wire: httpx.BaseTransport, limits: WireLimits, attempt: Attempt, request_id: str) -> None:
        self._wire = wire
        self._max_bytes = min(limits.max_body_bytes, attempt.max_body_bytes)
        self._name = attempt.operation
        self._facts = attempt.facts(request_id)
        self._url: httpx.URL
        self._extensions: dict[str, object]
        self._parts: list[bytes] = []
        self.status: int | None = None
        self.lost_body: str | None = None

    @property
    def wire_bytes(self) -> int:
        """How many bytes of the body came, packed as they were."""
        return sum(map(len, self._parts))

    @property
    def _was_sent(self) -> bool:
        return SENT in self._extensions

    def run(self, request: httpx.Request) -> tuple[httpx.Response, bytes]:
        """The answer and its body, unpacked. Raises APIConnectionError, APIResponseError and their kin."""
        self._url = request.url
        self._extensions = request.extensions
        with self._named_errors():
            response = self._wire.handle_request(request)
            self.status = response.status_code
            if self.status < 400:
                return response, self._body(response)
        self._max_bytes = min(self._max_bytes, ERROR_BYTES)
        try:
            with self._named_errors():
                return response, self._body(response)
        except APIError as error:
            # The status says what to do next (429: when to come back); its body is a courtesy.
            self.lost_body = f"{type(error).__name__}: {error.message}"
            return response, b""

    def _body(self, response: httpx.Response) -> bytes:
        bound = self._max_bytes
        stream = response.stream
        assert isinstance(stream, httpx.SyncByteStream)
        try:
            read_bounded(stream, self._parts, max_bytes=bound)
        finally:
            stream.close()
        return unpack_bounded(b"".join(self._parts), response.headers.get("content-encoding"), max_bytes=bound)

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        """No library's error leaves under its own name, nor with its own words: they may quote bytes of the answer."""
        name = self._name
        try:
            yield
        except TOO_LATE as error:
            raise APITimeoutError(self._why(error), self._facts, was_sent=self._was_sent) from None
        except BROKEN as error:
            raise APIConnectionError(self._why(error), self._facts, was_sent=self._was_sent) from None
        except BodyTooLarge:
            sentence = f"the body is larger than {self._max_bytes:,} bytes"
            raise BodyTooLargeError(f"{name}: {sentence}", self._facts) from None
        except UnreadableEncoding:
            raise APIResponseError(f"{name}: the body's encoding cannot be unpacked", self._facts) from None

    def _why(self, error: Exception) -> str:
        return why_no_answer(error, self._url, self._facts.partner, self._name)
