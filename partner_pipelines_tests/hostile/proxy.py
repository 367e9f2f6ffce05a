"""Stands between the program and a sandbox: hands requests on, but for those that it answers in a hostile way.

with HostileProxy(sandbox.base_url) as proxy:
    proxy.spoil("/api/units", lambda request: [answer(b"<html>")])
    … run the program with proxy.env(sandbox.env) …
"""

from __future__ import annotations

import http.client
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from partner_pipelines_tests.wire.raw_server import Part, RawServer

_DEADLINE_SECONDS = 60
_OF_A_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-length"}


@dataclass(frozen=True)
class Request:
    """What a client asked. `number` counts the requests that the same answer was given to, from 1."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    origin: str
    number: int = 1


Answer = Callable[[Request], Iterable[Part] | None]
"""None hands the request on."""


class HostileProxy(RawServer):
    """One answer a connection, like every RawServer; what nobody spoils is the sandbox's."""

    def __init__(self, upstream: str) -> None:
        super().__init__(b"")
        self._upstream = urlsplit(upstream).netloc
        self._spoiled: list[tuple[re.Pattern[str], Answer]] = []
        self.asked: dict[str, int] = {}

    def spoil(self, path: str, answer: Answer | bytes) -> None:
        """Requests whose target matches the pattern get this answer. The first pattern that matches decides."""
        given: Answer = (lambda _: [answer]) if isinstance(answer, bytes) else answer
        self._spoiled.append((re.compile(path), given))

    def mend(self) -> None:
        """From now on every request is handed on."""
        self._spoiled.clear()

    def env(self, sandbox_env: Mapping[str, str]) -> dict[str, str]:
        """The sandbox's variables, with this server in its place."""
        return {name: value.replace(f"http://{self._upstream}", self.origin) for name, value in sandbox_env.items()}

    def parts(self, request: bytes) -> Iterable[Part]:
        asked = parse_request(request, self.origin)
        for pattern, give in self._spoiled:
            if pattern.search(asked.target):
                number = self.asked[pattern.pattern] = self.asked.get(pattern.pattern, 0) + 1
                given = give(replace(asked, number=number))
                return [self._handed_on(asked)] if given is None else given
        return [self._handed_on(asked)]

    def _handed_on(self, request: Request) -> bytes:
        connection = http.client.HTTPConnection(self._upstream, timeout=_DEADLINE_SECONDS)
        try:
            connection.request(request.method, request.target, request.body or None, dict(request.headers))
            answered = connection.getresponse()
            body = answered.read()
        finally:
            connection.close()
        kept = [f"{name}: {value}" for name, value in answered.getheaders() if name.lower() not in _OF_A_CONNECTION]
        lines = [f"HTTP/1.1 {answered.status} {answered.reason}", *kept, f"Content-Length: {len(body)}"]
        return "\r\n".join([*lines, "Connection: close"]).encode("latin-1") + b"\r\n\r\n" + body


def parse_request(request: bytes, origin: str) -> Request:
    """What RawServer has read; `origin` is the server that was asked."""
    head, _, body = request.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ")
    return Request(
        method, target, {name: value for name, _, value in (line.partition(": ") for line in lines)}, body, origin
    )
