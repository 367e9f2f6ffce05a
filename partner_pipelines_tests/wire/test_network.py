"""Connections that fail: which attempts come again, that time is bounded, and that no library's error gets out."""

from __future__ import annotations

import inspect
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from functools import partial
from types import ModuleType
from typing import Any

import httpx
import pytest

from partner_pipelines.errors import APIConnectionError, APIError, APITimeoutError
from partner_pipelines.partners.caller import Operation
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.openmoove.credentials import ApiKeyCredentials
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.wire.bench import Bench, SandboxBench
from partner_pipelines_tests.wire.raw_server import Part, RawServer, Script, answer
from partner_pipelines_tests.wire.test_error_classes import CLIENT, create_client

DROPS = ["drop_before_effect", "drop_after_effect", "drop_mid_body", "malformed"]
CANARY = "canary-jane-doe"


@pytest.mark.parametrize("kind", DROPS)
def test_a_read_whose_connection_fails_is_tried_again(bench: SandboxBench, kind: str) -> None:
    bench.sandbox.fault(kind, path="/detail/$", times=2)
    rows, _ = bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert rows.items
    assert bench.trail.words == ["network_error", "network_error", "ok"]
    assert bench.agrees()


@pytest.mark.parametrize("kind", DROPS)
def test_a_read_whose_connection_always_fails_is_an_error_after_four_attempts(bench: SandboxBench, kind: str) -> None:
    bench.sandbox.fault(kind, path="/detail/$", times=None)
    with pytest.raises(APIConnectionError, match="no whole answer") as caught:
        bench.good_openmoove().get_detail(bench.property_id(), "new")
    assert bench.trail.words == ["network_error"] * 4
    assert caught.value.__cause__ is None
    assert bench.agrees()


@pytest.mark.parametrize("kind", ["drop_before_effect", "drop_after_effect", "drop_mid_body", "effect_later"])
def test_a_write_whose_connection_fails_is_never_sent_twice(bench: SandboxBench, kind: str) -> None:
    before = len(bench.sandbox.rows("openmoove_properties"))
    params: dict[str, Any] = {"seconds": 0.1} if kind == "effect_later" else {}
    bench.sandbox.fault(kind, path="/clients/$", times=None, **params)
    with pytest.raises(APIConnectionError):
        create_client(bench)
    assert len(bench.log) == 1
    assert bench.trail.words == ["network_error"]
    if kind != "drop_before_effect":
        wait_until(lambda: len(bench.sandbox.rows("openmoove_properties")) == before + 1)


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_write_that_the_server_fails_at_is_never_sent_twice(bench: SandboxBench, status: int) -> None:
    bench.sandbox.fault("status", status=status, path="/clients/$", times=None)
    with pytest.raises(APIError):
        create_client(bench)
    assert bench.logged_statuses == [status]


def test_a_write_that_was_refused_for_its_rate_is_sent_again(bench: SandboxBench) -> None:
    before = len(bench.sandbox.rows("openmoove_properties"))
    bench.sandbox.fault("status", status=429, path="/clients/$")
    create_client(bench)
    assert bench.logged_statuses == [429, 201]
    assert len(bench.sandbox.rows("openmoove_properties")) == before + 1


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        origin = f"http://127.0.0.1:{taken.getsockname()[1]}"
    bench = Bench(origin)
    error = bench.refusal()
    assert type(error) is APIConnectionError
    assert str(error) == (
        f"ask: no whole answer from {origin}: nobody listens there (ConnectionRefusedError): "
        "check OPENMOOVE_BASE_URL (base_url in a file of connections)"
    )
    assert bench.trail.words == ["network_error"] * 4
    assert bench.trail.statuses == [None] * 4


def test_a_host_name_that_no_resolver_takes() -> None:
    error = Bench("http://" + "a" * 64 + ".localhost").refusal()
    assert type(error) is APIConnectionError
    place = f"no whole answer from http://{'a' * 64}.localhost"
    assert f"{place}: the host's name is none (UnicodeError): check OPENMOOVE_BASE_URL" in str(error)


def forever(*parts: Part) -> Iterator[Part]:
    while True:
        yield from parts


def drip(head: bytes, drop: bytes) -> Iterator[Part]:
    yield head
    yield from forever(drop, 0.05)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
TOO_SLOW: dict[str, Script] = {
    "says nothing": lambda _: [60.0],
    "drips its head": lambda _: drip(HEAD, b"X-Again: 1\r\n"),
    "drips its body": lambda _: drip(HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
    "drips its chunks": lambda _: drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "hints for ever": lambda _: drip(b"", b"HTTP/1.1 103 Early Hints\r\n\r\n"),
}


@pytest.mark.parametrize("how", TOO_SLOW)
def test_the_deadline_holds_against_a_server_that(how: str) -> None:
    with RawServer(TOO_SLOW[how]) as server:
        bench = Bench(server.origin)
        began = time.monotonic()
        error = bench.refusal(deadline_seconds=0.6)
        assert time.monotonic() - began < 5
    assert type(error) is APITimeoutError
    assert bench.trail.words[0] == "network_error"


def test_a_server_whose_hints_never_end_is_given_up() -> None:
    with RawServer(lambda _: forever(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100)) as server:
        error = Bench(server.origin).refusal()
    assert str(error) == f"ask: no whole answer from {server.origin} (interim answers without end)"


def test_a_read_timeout_shorter_than_the_deadline_leaves_time_for_another_attempt() -> None:
    with RawServer(lambda number: [30.0] if number == 1 else [answer(b"{}")]) as server:
        bench = Bench(server.origin, limits=WireLimits(read_seconds=0.2))
        assert bench.ask().body.content == b"{}"
    assert bench.trail.words == ["network_error", "ok"]


def test_the_deadlines_of_threads_do_not_mix() -> None:
    with RawServer(lambda _: [0.5, answer(b"{}")]) as server:
        bench = Bench(server.origin)
        errors: list[APIError] = []
        hasty = threading.Thread(target=lambda: errors.append(bench.refusal(deadline_seconds=0.2)))
        hasty.start()
        assert bench.ask(deadline_seconds=20).status == 200
        hasty.join()
    assert [type(error) for error in errors] == [APITimeoutError]


def test_sixteen_threads_share_one_wire_and_no_request_id(bench: SandboxBench) -> None:
    client, property_id = bench.good_openmoove(), bench.property_id()

    def work() -> None:
        for _ in range(20):
            assert client.get_detail(property_id, "new")[0].items

    threads = [threading.Thread(target=work) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    logged = bench.log
    assert len(logged) == len({entry["request_id"] for entry in logged}) == 320
    assert {entry["request_id"] for entry in logged} == set(bench.trail.outcomes)


def closed(server: RawServer, connections: int) -> bool:
    return server.closed == connections


def test_a_connection_that_the_server_closed_meanwhile_is_not_used() -> None:
    """Each answer is the last one on its connection: a write that met it would be in doubt for nothing."""
    with RawServer(answer(b"{}", "201 Created")) as server:
        bench = Bench(server.origin)
        for number in range(1, 4):
            wait_until(partial(closed, server, number - 1))
            bench.ask(method="POST", body=b"{}")
    assert bench.trail.words == ["ok"] * 3


def exceptions_of(module: ModuleType) -> list[type[Exception]]:
    members = [value for _, value in inspect.getmembers(module, inspect.isclass)]
    return [value for value in members if issubclass(value, Exception) and not issubclass(value, Warning)]


def make(kind: type[Exception]) -> Exception:
    request = httpx.Request("GET", "http://127.0.0.1/")
    arguments: dict[Any, tuple[tuple[Any, ...], dict[str, Any]]] = {
        httpx.HTTPStatusError: ((CANARY,), {"request": request, "response": httpx.Response(500, request=request)}),
        httpx.ResponseNotRead: ((), {}),
        httpx.RequestNotRead: ((), {}),
        httpx.StreamClosed: ((), {}),
        httpx.StreamConsumed: ((), {}),
    }
    positional, named = arguments.get(kind, ((CANARY,), {}))
    return kind(*positional, **named)


class FailingStream(httpx.SyncByteStream):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        yield b'{"half":'
        raise self._error


class FailingWire(httpx.BaseTransport):
    def __init__(self, error: Exception, *, in_body: bool) -> None:
        self._error = error
        self._in_body = in_body

    def handle_request(self, request: httpx.Request) -> httpx.Response:  # noqa: ARG002 - the port's shape
        if self._in_body:
            return httpx.Response(200, stream=FailingStream(self._error))
        raise self._error


LIBRARIES = [*exceptions_of(httpx), socket.gaierror, socket.herror, ssl.SSLError, TimeoutError, OSError, UnicodeError]


def test_the_walk_finds_the_libraries_exceptions() -> None:
    assert {httpx.ReadTimeout, httpx.InvalidURL, httpx.StreamConsumed, socket.gaierror} <= {*LIBRARIES}
    assert len(LIBRARIES) > 25


@pytest.mark.parametrize("in_body", [False, True], ids=["head", "body"])
@pytest.mark.parametrize("kind", LIBRARIES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_no_exception_of_a_library_leaves_under_its_own_name_or_with_its_own_words(
    kind: type[Exception], in_body: bool
) -> None:
    bench = Bench("http://127.0.0.1:1", wire=FailingWire(make(kind), in_body=in_body))
    error = bench.refusal()
    expected = APITimeoutError if "Timeout" in kind.__name__ else APIConnectionError
    assert type(error) is expected
    assert CANARY not in f"{error!r}"
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert bench.trail.words == ["network_error"] * 4
    assert bench.trail.last.status == (200 if in_body else None)
    assert bench.trail.last.bytes == (8 if in_body else 0)
    assert bench.trail.last.error == f"{expected.__name__}: {error}"


def test_what_was_sent_on_a_write_is_what_was_given(bench: SandboxBench) -> None:
    with RawServer(answer(b"{}", "201 Created")) as server:
        other = Bench(server.origin)
        body = json.dumps(CLIENT).encode()
        operation = Operation("create_client", "POST", server.origin + "/clients/", body=body)
        other.caller(ApiKeyCredentials(lambda: "om_é")).perform(operation)
    lines = server.requests[0].split(b"\r\n\r\n")[0].split(b"\r\n")
    headers = {line.partition(b": ")[0].lower(): line.partition(b": ")[2] for line in lines[1:]}
    assert lines[0] == b"POST /clients/ HTTP/1.1"
    assert headers[b"content-type"] == b"application/json"
    assert headers[b"x-api-key"] == "om_é".encode("latin-1")
    assert headers[b"x-request-id"].decode() in other.trail.intents
    assert headers[b"content-length"] == str(len(body)).encode()
    assert headers[b"accept-encoding"] == b"gzip"
    assert bench.log == []
