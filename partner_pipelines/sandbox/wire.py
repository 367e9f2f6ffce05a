"""A request that arrived and a response to be sent, as plain values."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

TRANSPORT_KEY = "sandbox.transport"
JSON_TYPE = b"application/json"
HTML_TYPE = b"text/html; charset=utf-8"

Header = tuple[bytes, bytes]


@dataclass(slots=True)
class Request:
    """One request with its whole body, and the connection that it came on."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]
    body: bytes
    arrived_at: float
    transport: asyncio.Transport

    def header(self, name: bytes) -> str:
        """Return one header's value, empty when it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    def query_values(self) -> dict[str, str]:
        """Return the query's parameters; of a repeated one the last, as Django does."""
        return dict(parse_qsl(self.query, keep_blank_values=True)) if self.query else {}


@dataclass(slots=True)
class Response:
    """One answer; Content-Length, Content-Type and Date are added when it is sent."""

    status: int
    body: bytes
    content_type: bytes = JSON_TYPE
    headers: list[Header] = field(default_factory=list)


def reply(status: int, payload: Any, *headers: Header) -> Response:
    """Return a JSON answer."""
    return Response(status, orjson.dumps(payload), headers=list(headers))


def detail(status: int, message: str, *headers: Header) -> Response:
    """Return an error in Django REST Framework's manner."""
    return reply(status, {"detail": message}, *headers)


def page_not_found() -> Response:
    """Return what Django answers for a path that no route knows: HTML, not JSON."""
    return Response(
        404,
        b"<!doctype html>\n<html><head><title>Not Found</title></head><body><h1>Not Found</h1></body></html>\n",
        HTML_TYPE,
    )


def as_bytes(response: Response, headers: list[Header], body: bytes) -> bytes:
    """Return a response as it would stand on the wire, with exactly these headers and this body."""
    try:
        phrase = HTTPStatus(response.status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {response.status} {phrase}".encode()]
    lines += [name + b": " + value for name, value in headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def read_request(scope: Scope, receive: Receive) -> Request | None:
    """Wait for the whole body, then return the request; None when the caller went away before it was whole."""
    headers: dict[bytes, bytes] = dict(scope["headers"])
    body: bytes | None = b""
    if b"content-length" in headers or b"transfer-encoding" in headers:
        body = await _whole_body(receive)
    if body is None:
        return None
    return Request(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=body,
        arrived_at=time.time(),
        transport=scope[TRANSPORT_KEY],
    )


async def _whole_body(receive: Receive) -> bytes | None:
    chunks = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)
