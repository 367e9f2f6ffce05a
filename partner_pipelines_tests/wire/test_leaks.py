"""Secrets and people's data: in no error, no repr, no log at DEBUG, no intent, no outcome, whatever goes wrong."""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

import pytest

from partner_pipelines.errors import PartnerPipelinesError
from partner_pipelines.partners.caller import Operation
from partner_pipelines.partners.resman.credentials import BearerCredentials
from partner_pipelines.partners.resman.operations import LEADS
from partner_pipelines_tests.wire.bench import Bench, MemoryTokens, SandboxBench
from partner_pipelines_tests.wire.raw_server import RawServer, answer

KEY = "om_canary key+1é"
SECRET = "canary:secret+2 é%"
TOKEN = "canary-token-3.A~b"
PERSON = ("jane.doe@canary.example", "+15550104711", "Canarína O'Doe")


def forms(value: str) -> Iterable[str]:
    raw = value.encode()
    yield from (value, quote(value), quote_plus(value), raw.hex(), base64.b64encode(raw).decode())
    yield json.dumps(value)[1:-1]
    yield repr(value.encode("latin-1"))[2:-1]
    yield base64.b64encode(f"canary-client:{quote_plus(value)}".encode()).decode()


CANARIES = [form for value in (KEY, SECRET, TOKEN, *PERSON) for form in forms(value)]


def person() -> bytes:
    email, phone, name = PERSON
    return json.dumps({"id": "L1", "email": email, "phone": phone, "first_name": name, "budget": email}).encode()


def echo() -> list[str]:
    """Headers of a server that repeats what it was sent."""
    return [
        f"Location: https://canary.example/?token={TOKEN}&email={PERSON[0]}",
        f"Set-Cookie: session={TOKEN}; key={KEY}",
        f'WWW-Authenticate: Bearer error="{TOKEN}", scope="{PERSON[0]}", realm="{KEY}"',
        f"X-Echo: {SECRET} {PERSON[1]}",
        f"Retry-After: {TOKEN}",
    ]


BODY = person() + b" ]"
ANSWERS: dict[str, bytes] = {
    "a good row": answer(person(), "200 OK", *echo()),
    "a row that does not validate": answer(person().replace(b'"L1"', b"[]"), "200 OK", *echo()),
    "no JSON": answer(BODY, "200 OK", *echo()),
    "no HTTP": BODY,
    "a bad header": b"HTTP/1.1 200 OK\r\nX-Bad " + PERSON[0].encode() + b": \x00\r\n\r\n",
    "a bad status line": b"HTTP/1.1 2OO " + TOKEN.encode() + b"\r\n\r\n",
    "cut": answer(BODY, "200 OK", *echo())[:-5],
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + PERSON[0].encode() + b"\r\n",
    "not packed": answer(BODY, "200 OK", "Content-Encoding: gzip"),
    "a redirect": answer(b"", "302 Found", *echo()),
    **{f"status {status}": answer(BODY, f"{status} Whatever {TOKEN}", *echo()) for status in (206, 429, 503, 404)},
    **{
        f"field errors {status}": answer(
            json.dumps({"email": [PERSON[0]], PERSON[0]: ["taken"], "error": TOKEN, "detail": KEY}).encode(),
            f"{status} Bad",
            *echo(),
        )
        for status in (400, 401, 403, 422)
    },
}


def seen_in(text: str) -> list[str]:
    return [canary for canary in CANARIES if canary in text]


def shown(error: BaseException | None) -> str:
    """All that a program prints of an error, and what it carries."""
    if error is None:
        return ""
    lines = traceback.format_exception(error)
    carried = [repr(value) for value in vars(error).values()]
    return "\n".join([*lines, repr(error), str(error), *carried])


def outcome_of(work: Callable[[], object]) -> PartnerPipelinesError | None:
    try:
        work()
    except PartnerPipelinesError as error:
        return error
    return None


def told(bench: Bench) -> str:
    return f"{bench.trail.intents!r} {bench.trail.outcomes!r}"


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore", "httpcore.connection", "httpcore.http11", "partner_pipelines"):
        caplog.set_level(logging.DEBUG, logger=name)
    return caplog


def test_the_search_finds_what_is_planted() -> None:
    for value in (KEY, SECRET, TOKEN, *PERSON):
        for planted in (value, quote_plus(value), base64.b64encode(value.encode()).decode(), value.encode().hex()):
            assert seen_in(f"before {planted} after")


@pytest.mark.parametrize("how", ANSWERS)
def test_nothing_leaks_from_a_call_of_openmoove(how: str, everything_logged: pytest.LogCaptureFixture) -> None:
    with RawServer(ANSWERS[how]) as server:
        bench = Bench(server.origin)
        client = bench.openmoove(lambda: KEY)
        error = outcome_of(lambda: client.get_milestones(12, "new"))
        assert b"X-API-KEY: " + KEY.encode("latin-1") in server.requests[0]
    assert error is not None
    assert seen_in(shown(error)) == []
    assert seen_in(told(bench)) == []
    assert seen_in(everything_logged.text) == []
    assert everything_logged.records == []


@pytest.mark.parametrize("how", ANSWERS)
def test_nothing_leaks_from_a_call_of_resman(how: str, everything_logged: pytest.LogCaptureFixture) -> None:
    token = json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60}).encode()
    with RawServer(lambda number: [answer(token) if number == 1 else ANSWERS[how]]) as server:
        bench = Bench(server.origin)
        tokens = MemoryTokens(bench.requester("canary-client", SECRET, how="client_secret_basic"))
        client = bench.resman(BearerCredentials(tokens))
        found: list[object] = []
        error = outcome_of(lambda: found.append(client.get(LEADS, "L1")))
        assert b"Authorization: Bearer " + TOKEN.encode() in server.requests[1]
    assert (error is None) == (how == "a good row")
    assert seen_in(shown(error)) == []
    assert seen_in(repr(found)) == []
    assert seen_in(f"{tokens.token!r}") == []
    assert seen_in(told(bench)) == []
    assert everything_logged.records == []


@pytest.mark.parametrize("way", ["client_secret_post", "client_secret_basic"])
@pytest.mark.parametrize("how", ANSWERS)
def test_nothing_leaks_from_a_token_request(how: str, way: str, everything_logged: pytest.LogCaptureFixture) -> None:
    with RawServer(ANSWERS[how]) as server:
        bench = Bench(server.origin)
        requester = bench.requester("canary-client", SECRET, how=way)
        error = outcome_of(requester.request)
    assert error is not None
    assert seen_in(shown(error)) == []
    assert seen_in(told(bench)) == []
    assert everything_logged.records == []


def test_a_refused_write_shows_nothing_of_what_was_sent(
    bench: SandboxBench, everything_logged: pytest.LogCaptureFixture
) -> None:
    operation = Operation("create_client", "POST", f"{bench.origin}/api/partners/clients/", body=person())
    caller = bench.good_openmoove()._caller
    error = outcome_of(lambda: caller.perform(operation))
    assert error is not None
    assert seen_in(shown(error) + repr(operation) + told(bench)) == []
    httpcores = [record for record in everything_logged.records if record.name.startswith("http")]
    assert [record.getMessage() for record in httpcores if "POST" in record.getMessage()] == []
