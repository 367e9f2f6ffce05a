"""The way of one request: arrive, be logged, be counted, go wrong if it must, be answered."""

from __future__ import annotations

import asyncio
import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Protocol

from partner_pipelines.sandbox import control
from partner_pipelines.sandbox.breakage import Breakage
from partner_pipelines.sandbox.oauth_endpoints import METADATA
from partner_pipelines.sandbox.openmoove import OpenMoove
from partner_pipelines.sandbox.resman import ResMan
from partner_pipelines.sandbox.wire import page_not_found, read_request

if TYPE_CHECKING:
    from partner_pipelines.sandbox.journal import Entry
    from partner_pipelines.sandbox.limits import Verdict
    from partner_pipelines.sandbox.state import SandboxState
    from partner_pipelines.sandbox.wire import Header, Receive, Request, Response, Scope, Send


class Partner(Protocol):
    """What the app needs of a partner's API."""

    name: str

    def hint(self, request: Request) -> str | None:
        """Say who calls, for the log, without giving a secret away."""

    def admit(self, request: Request) -> tuple[Verdict | None, Response | None]:
        """Count the request; the second is the 429 if it is not let in."""

    def limit_headers(self, verdict: Verdict) -> list[Header]:
        """Return the headers that tell a caller what is left to it."""

    def expire_token(self, request: Request) -> None:
        """Let the token that the request brings be expired."""

    def template(self, path: str) -> str:
        """Return the path with its ids left out, for counting."""

    def answer(self, request: Request) -> Response:
        """Do what is asked and answer it."""


class App:
    """The ASGI application over both partners and the control endpoint."""

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._openmoove = OpenMoove(state)
        self._resman = ResMan(state)
        self._date = (0, b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        request = await read_request(scope, receive)
        if request is None:
            return
        if request.path.startswith(control.PREFIX):
            await self._send(control.answer(self._state, request), send)
            return
        if not await self._serve(request, send):
            # uvicorn takes a response that never began for a crash, unless the connection is gone.
            while (await receive())["type"] != "http.disconnect":
                pass

    async def _serve(self, request: Request, send: Send) -> bool:
        """Answer a partner request; False when its connection was closed instead."""
        partner = self._partner(request.path)
        if partner is None:
            entry = self._state.journal.arrived(request, None, None)
            template, response = "(unknown)", page_not_found()
        else:
            entry = self._state.journal.arrived(request, partner.name, partner.hint(request))
            template, answered = partner.template(request.path), await self._ask(partner, request, entry)
            if answered is None:
                self._state.journal.finished(entry, template, None)
                return False
            response = answered
        self._state.journal.finished(entry, template, response.status)
        await self._send(response, send)
        return True

    async def _ask(self, partner: Partner, request: Request, entry: Entry) -> Response | None:
        """Count the request as it arrives, wait as long as the network would, then answer."""
        verdict, refusal = partner.admit(request)
        extra = partner.limit_headers(verdict) if verdict else []
        entry["throttled"] = refusal is not None
        if self._state.settings.latency_ms:
            await asyncio.sleep(self._state.settings.latency_ms / 1000)
        response = refusal or await self._answer(partner, request, entry, extra)
        return _add(response, extra) if response and extra else response

    async def _answer(self, partner: Partner, request: Request, entry: Entry, extra: list[Header]) -> Response | None:
        picked = self._state.faults.pick(request, partner.name) if self._state.faults.rules else None
        if picked is None:
            return partner.answer(request)
        entry["fault"], fault = picked
        return await Breakage(
            fault,
            request,
            handle=partner.answer,
            expire=partner.expire_token,
            dress=lambda response: self._dress(_add(response, extra)),
        ).carry_out()

    def _partner(self, path: str) -> Partner | None:
        if path.startswith(("/api/partners", "/api/v1/partners")):
            return self._openmoove
        return self._resman if path.startswith(("/api/", "/oauth2/", METADATA)) else None

    def _dress(self, response: Response) -> list[Header]:
        headers = [
            (b"date", self._http_date()),
            (b"content-type", response.content_type),
            (b"content-length", str(len(response.body)).encode()),
        ]
        if response.headers:
            given = {name for name, _ in response.headers}
            headers = [header for header in headers if header[0] not in given] + response.headers
        return headers

    def _http_date(self) -> bytes:
        now = int(time.time() + self._state.settings.date_offset_seconds)
        if self._date[0] != now:
            self._date = (now, formatdate(now, usegmt=True).encode())
        return self._date[1]

    async def _send(self, response: Response, send: Send) -> None:
        await send({"type": "http.response.start", "status": response.status, "headers": self._dress(response)})
        await send({"type": "http.response.body", "body": response.body})


def _add(response: Response, headers: list[Header]) -> Response:
    """Add headers; those that a fault has given already stay as they are."""
    given = {name for name, _ in response.headers}
    response.headers += [header for header in headers if header[0] not in given]
    return response
