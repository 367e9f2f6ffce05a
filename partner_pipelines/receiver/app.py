"""The ASGI app. A delivery is acknowledged when it is on the disk, and not before.

A 4xx makes the partner try again as a 5xx does, so what is signed is taken whatever it says: what cannot be used is
sorted out later, by those who can ask. Source: openmoove_partner_api.md, "Webhook Security", "Retry Policy".
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

import orjson

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.receiver.health import Health
from partner_pipelines.receiver.refusals import Refusals
from partner_pipelines.receiver.routes import ROUTES, Route
from partner_pipelines.receiver.storing import Storing
from partner_pipelines.state.inbox import Delivery

LARGEST_BODY = 256 * 1024
BODY_SECONDS = 10.0
_DRAINED = 4 * 1024 * 1024  # of a body that is too large: who still sends does not hear why he is refused
_KEPT_HEADERS = ("content-type", "user-agent", "date", "x-request-id")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Secrets = Callable[[], Mapping[str, tuple[str, ...]]]


class _Answer(Exception):  # noqa: N818 - it ends the work with an answer; it is no error of the program
    """What is answered instead of 202."""

    def __init__(self, status: HTTPStatus, detail: str, *headers: tuple[bytes, bytes]) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = headers


_CLOSE = (b"connection", b"close")


class Receiver:
    """Takes deliveries. `secrets` gives the accepted ones by connection and may raise SettingsError."""

    def __init__(self, storing: Storing, secrets: Secrets, health: Health, refusals: Refusals) -> None:
        self._storing = storing
        self._secrets = secrets
        self._health = health
        self._refusals = refusals

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return
        try:
            await _send(send, *(await self._answer(scope, receive)))
        except _Disconnected:
            return
        except _Answer as answer:
            await _send(send, answer.status, {"detail": answer.detail}, answer.headers)

    async def _answer(self, scope: Scope, receive: Receive) -> tuple[HTTPStatus, Mapping[str, object]]:
        if scope["path"] == "/healthz":
            _check_method(scope, "GET", "HEAD")
            fault = self._health.fault
            status = HTTPStatus.SERVICE_UNAVAILABLE if fault else HTTPStatus.OK
            return status, {"ok": fault is None, **({"detail": fault} if fault else {})}
        route = ROUTES.get(scope["path"])
        if route is None:
            raise _Answer(HTTPStatus.NOT_FOUND, f"there is {', '.join(ROUTES)} and /healthz")
        _check_method(scope, "POST")
        await self._take(route, scope, receive)
        return HTTPStatus.ACCEPTED, {"accepted": True}

    async def _take(self, route: Route, scope: Scope, receive: Receive) -> None:
        if _values(scope, "content-encoding"):
            raise _Answer(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "no content encoding is taken", _CLOSE)
        try:
            body = await _read_body(scope, receive)
        except _Answer as answer:
            if answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                self._refusals.note(route.partner, _source(scope), "too_large")
            raise
        connection = self._signer(route, scope, body)
        try:
            await self._storing.store(Delivery(connection, _kept(scope, route), body, datetime.now(UTC)))
        except PartnerPipelinesError:
            self._health.look_again()
            raise _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "deliveries cannot be stored now: try again") from None

    def _signer(self, route: Route, scope: Scope, body: bytes) -> str:
        try:
            secrets = self._secrets()
        except PartnerPipelinesError:
            secrets = {}
        if not secrets:
            raise _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "no secret is configured: try again later")
        signatures = _values(scope, route.signature_header)
        found = route.signers(signatures, body, secrets)
        if not found:
            self._refusals.note(route.partner, _source(scope), route.fault(signatures))
            raise _Answer(HTTPStatus.UNAUTHORIZED, f"{route.signature_header}: no signature of ours")
        if len(found) > 1:
            raise _Answer(HTTPStatus.SERVICE_UNAVAILABLE, "two connections share a secret: try again later")
        (connection,) = found
        return connection


class _Disconnected(Exception):  # noqa: N818 - as _Answer
    """The sender has gone."""


async def _read_body(scope: Scope, receive: Receive) -> bytes:
    """The raw bytes; bounded in size, whatever Content-Length says, and in time."""
    too_large = _Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a body has at most {LARGEST_BODY:,} bytes", _CLOSE)
    if any(
        not value.isdigit() or len(value) > 12 or int(value) > _DRAINED for value in _values(scope, "content-length")
    ):
        raise too_large
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in _parts(receive):
                size += len(part)
                if size > _DRAINED:
                    break
                if size <= LARGEST_BODY:
                    parts.append(part)
    except TimeoutError:
        raise _Answer(HTTPStatus.REQUEST_TIMEOUT, f"the body did not come in {BODY_SECONDS:.0f} s", _CLOSE) from None
    if size > LARGEST_BODY:
        raise too_large
    return b"".join(parts)


async def _parts(receive: Receive) -> Any:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Disconnected
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


def _check_method(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        allow = (b"allow", ", ".join(allowed).encode())
        raise _Answer(HTTPStatus.METHOD_NOT_ALLOWED, f"only {' and '.join(allowed)}", allow)


def _values(scope: Scope, name: str) -> list[bytes]:
    wanted = name.encode()
    return [value for header, value in scope["headers"] if header == wanted]


def _kept(scope: Scope, route: Route) -> dict[str, str]:
    """Headers that say something about the delivery; proxies add others, credentials among them."""
    names = (*_KEPT_HEADERS, route.signature_header)
    return {name: values[0].decode("latin-1") for name in names if (values := _values(scope, name))}


def _source(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


async def _send(
    send: Send, status: HTTPStatus, content: Mapping[str, object], headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    body = orjson.dumps(content)
    described = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": int(status), "headers": described})
    await send({"type": "http.response.body", "body": body})
