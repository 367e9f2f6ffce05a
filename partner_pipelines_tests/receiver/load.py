"""A partner who delivers as fast as the receiver takes it, on many connections, and knows what was acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from partner_pipelines_tests.receiver.process import PATH, SECRET, signature


@dataclass
class Delivered:
    """What was acknowledged, and how long each took."""

    acknowledged: set[bytes] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, body: bytes, status: int, seconds: float) -> None:
        self.seconds.append(seconds)
        self.statuses.append(status)
        if status == 202:
            self.acknowledged.add(body)

    @property
    def p99(self) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * 0.99)]


def deliver(
    url: str, bodies: Iterable[bytes], *, connections: int, stop: Callable[[], bool] = lambda: False
) -> Delivered:
    """Delivers the bodies once each; a connection that breaks is opened anew, its delivery not repeated."""
    partner = _Partner(url, bodies, stop)
    asyncio.run(partner.deliver_all(connections))
    return partner.found


class _Partner:
    def __init__(self, url: str, bodies: Iterable[bytes], stop: Callable[[], bool]) -> None:
        self.found = Delivered()
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._address = (host, int(port))
        self._waiting = iter(bodies)
        self._stop = stop

    async def deliver_all(self, connections: int) -> None:
        await asyncio.gather(*(self._deliver_many() for _ in range(connections)))

    async def _deliver_many(self) -> None:
        for body in self._waiting:
            if self._stop():
                return
            with suppress(OSError, asyncio.IncompleteReadError):  # then it is not acknowledged
                await self._on_one_connection(body)

    async def _on_one_connection(self, first: bytes) -> None:
        """This delivery and the next ones, until it breaks."""
        reader, writer = await asyncio.open_connection(*self._address)
        body: bytes | None = first
        try:
            while body is not None and not self._stop():
                began = time.monotonic()
                self.found.add(body, await _post(reader, writer, body), time.monotonic() - began)
                body = next(self._waiting, None)
        finally:
            writer.close()


async def _post(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, body: bytes) -> int:
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: receiver\r\nX-OpenMoove-Signature: {signature(body, SECRET)}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    answer = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.partition(b":")[2]) for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")
    )
    await reader.readexactly(length)
    return int(answer.split()[1])
