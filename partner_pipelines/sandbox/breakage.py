"""How a request goes wrong: the bytes that a fault puts on the wire, or withholds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from partner_pipelines.sandbox.wire import Response, as_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from partner_pipelines.sandbox.faults import Fault
    from partner_pipelines.sandbox.wire import Header, Request

NOT_HTTP = b"\x15\x03\x01\x00\x02\x02\x46 this is not HTTP\r\n\r\n"
DRIP_STEPS = 20

# Sends wholly and properly; None says that the connection was closed instead and nothing is left to send.
Broken = Response | None


class Breakage:
    """Carries out one fault on one request."""

    def __init__(
        self,
        fault: Fault,
        request: Request,
        *,
        handle: Callable[[Request], Response],
        expire: Callable[[Request], None],
        dress: Callable[[Response], list[Header]],
    ) -> None:
        self._fault = fault
        self._request = request
        self._handle = handle
        self._expire = expire
        self._dress = dress

    async def carry_out(self) -> Broken:
        """Return the answer to send, or None when the connection is closing without one."""
        return await getattr(self, f"_{self._fault.kind}")()  # type: ignore[no-any-return]  # KINDS names these methods

    async def _status(self) -> Broken:
        await asyncio.sleep(self._fault.seconds)
        return self._given(Response(int(self._fault.params["status"]), b""))

    async def _body(self) -> Broken:
        answered = self._handle(self._request)
        await asyncio.sleep(self._fault.seconds)
        return self._given(answered)

    async def _delay(self) -> Response:
        await asyncio.sleep(self._fault.seconds)
        return self._handle(self._request)

    async def _expire_token(self) -> Response:
        self._expire(self._request)
        return self._handle(self._request)

    async def _drop_before_effect(self) -> None:
        await asyncio.sleep(self._fault.seconds)
        self._close(b"")

    async def _drop_after_effect(self) -> None:
        self._handle(self._request)
        await asyncio.sleep(self._fault.seconds)
        self._close(b"")

    async def _effect_later(self) -> None:
        asyncio.get_running_loop().call_later(self._fault.seconds, self._handle, self._request)
        self._close(b"")

    async def _malformed(self) -> None:
        given = self._fault.body()
        self._close(NOT_HTTP if given is None else given)

    async def _drop_mid_body(self) -> None:
        answered = self._handle(self._request)
        self._close(self._half(answered, len(answered.body)))

    async def _truncate(self) -> None:
        """Half a body under a Content-Length that says it is whole, or under the one that was given."""
        answered = self._handle(self._request)
        self._close(self._half(answered, int(self._fault.params.get("content_length", len(answered.body) // 2))))

    async def _drip(self) -> None:
        """A whole answer in small pieces, each in time for a read timeout, together too slow for a deadline."""
        answered = self._handle(self._request)
        whole = as_bytes(answered, self._dress(answered), answered.body)
        size = len(whole) // DRIP_STEPS + 1
        for start in range(0, len(whole), size):
            self._request.transport.write(whole[start : start + size])
            await asyncio.sleep(self._fault.seconds / DRIP_STEPS)
        self._close(b"")

    def _half(self, answered: Response, announced: int) -> bytes:
        headers = [(b"content-length", str(announced).encode()), *_without_length(self._dress(answered))]
        return as_bytes(answered, headers, answered.body[: len(answered.body) // 2])

    def _given(self, answered: Response) -> Broken:
        """Put what the fault says over an answer."""
        params = self._fault.params
        body = self._fault.body()
        answered.status = int(params.get("status", answered.status))
        answered.body = answered.body if body is None else body
        answered.content_type = params.get("content_type", answered.content_type.decode()).encode()
        given = [(str(name).lower().encode(), str(value).encode()) for name, value in params.get("headers", {}).items()]
        names = {name for name, _ in given}
        answered.headers = [header for header in answered.headers if header[0] not in names] + given
        if "content_encoding" in params:
            answered.headers.append((b"content-encoding", params["content_encoding"].encode()))
        if "content_length" not in params:
            return answered
        announced = (b"content-length", str(params["content_length"]).encode())
        self._close(as_bytes(answered, [announced, *_without_length(self._dress(answered))], answered.body))
        return None

    def _close(self, last_words: bytes) -> None:
        if last_words:
            self._request.transport.write(last_words)
        self._request.transport.close()


def _without_length(headers: list[Header]) -> list[Header]:
    return [header for header in headers if header[0] != b"content-length"]
