"""Partners that repeat in their answers what they were sent, and a person's data with it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import quote, urlencode

from partner_pipelines_tests.hostile.proxy import Request, parse_request
from partner_pipelines_tests.leaks.canaries import PEOPLE
from partner_pipelines_tests.wire.raw_server import Part, RawServer, answer

PERSON = PEOPLE["person who is named by errors alone"]
TOKEN = "zq6token-of.another~one_1234567890"


def echo(request: Request, status: str, *, wrong: bytes = b"") -> bytes:
    """All of the request in headers and body; `wrong` goes before the body, so that it is no JSON."""
    sent = {name: value for name, value in request.headers.items() if name.lower() in {"authorization", "x-api-key"}}
    asked = {**sent, "body": request.body.decode("latin-1"), "person": PERSON}
    words = " ".join(asked.values())
    body = {
        "error": words,
        "error_description": words,
        "detail": words,
        "field_errors": {words: [words], "email": [words], PERSON: [words]},
        "asked": asked,
        "scope": words,
    }
    plain = words.encode("ascii", "replace").decode().replace('"', "'")
    headers = [
        f"Location: /elsewhere?{quote(words)}",
        f'WWW-Authenticate: Bearer error="{plain}", error_description="{plain}", scope="{plain}"',
        f"Set-Cookie: session={quote(words)}",
        f"X-Echo: {quote(words)}",
        f"X-RateLimit-Reset: {plain}",
        f"Retry-After: {plain if '429' not in status else 0}",
        f"Content-Language: {plain}",
    ]
    return answer(wrong + json.dumps(body).encode(), status, *headers)


class EchoingPartner(RawServer):
    """A ResMan account whose token endpoint gives TOKEN, and whose lists go wrong, each in its own way."""

    def __init__(self, elsewhere: str, *, gives_tokens: bool) -> None:
        super().__init__(b"")
        self._elsewhere = elsewhere
        self._gives_tokens = gives_tokens

    def parts(self, request: bytes) -> Iterable[Part]:
        asked = parse_request(request, self.origin)
        if "/oauth2/token" in asked.target:
            return [self._token(asked)]
        wrong = {
            "units": lambda: echo(asked, "403 Forbidden"),
            "leads": lambda: echo(asked, "200 OK", wrong=b"["),
            "employees": lambda: echo(asked, "500 Oops"),
            "documents": lambda: self._documents(asked),
        }
        kind = asked.target.partition("/api/")[2].partition("?")[0]
        return [wrong[kind]()]

    def _documents(self, asked: Request) -> bytes:
        """A `next` that repeats all that it can, and leads to a redirect."""
        if "page=2" in asked.target:
            return answer(b"", "302 Found", f"Location: {self._elsewhere}/api/documents")
        told = urlencode({"page": "2", "token": asked.headers["Authorization"], "person": PERSON, PERSON: "1"})
        page = {"count": 1, "next": f"/api/documents?{told}", "previous": None, "results": [{"id": "DOC_Z1"}]}
        return answer(json.dumps(page).encode())

    def _token(self, asked: Request) -> bytes:
        if not self._gives_tokens:
            return echo(asked, "401 Unauthorized")
        granted = f"units leads employees documents {PERSON} {asked.body.decode('latin-1')} {TOKEN}"
        token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600, "scope": granted}
        return answer(json.dumps(token).encode(), "200 OK", "Cache-Control: no-store")
