"""Answers that are not what the contract says: a typed error within deadline and bound of memory, or right rows."""

from __future__ import annotations

import base64
import gzip
import itertools
import json
import time
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest

from partner_pipelines.errors import (
    APIConnectionError,
    APIError,
    APIResponseError,
    AuthenticationError,
    BodyTooLargeError,
    RedirectRefusedError,
    ServerError,
)
from partner_pipelines.partners.exchange import WireLimits
from partner_pipelines.partners.resman.operations import LEADS, UNITS
from partner_pipelines_tests.wire.bench import Bench, SandboxBench
from partner_pipelines_tests.wire.raw_server import Part, RawServer, answer

MEGABYTE = 1_000_000
SMALL = WireLimits(max_body_bytes=MEGABYTE)


def asked_detail(bench: SandboxBench, property_id: int = 12) -> APIError:
    with pytest.raises(APIError) as caught:
        bench.good_openmoove().get_detail(property_id, "new")
    return caught.value


NO_ROWS: dict[str, bytes] = {
    "html": b"<!doctype html><html><body>Just a moment...</body></html>",
    "empty": b"",
    "bad UTF-8": b'{"id": 12, "address": "\xff\xfe"}',
    "NaN": b'{"id": 12, "uprn": NaN}',
    "deep nesting": b'{"id": 12, "extra": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "100,000 digits": b'{"id": 12, "uprn": ' + b"9" * 100_000 + b"}",
    "half": b'{"id": 12, "address": "1 Exam',
    "another property": b'{"id": 13}',
    "an array": b'[{"id": 12}]',
    "null": b"null",
}


@pytest.mark.parametrize("body", NO_ROWS.values(), ids=NO_ROWS)
def test_a_200_that_holds_no_property_is_an_error_and_is_asked_once(bench: SandboxBench, body: bytes) -> None:
    bench.sandbox.fault("status", status=200, path="/detail/$", body_base64=base64.b64encode(body).decode())
    error = asked_detail(bench)
    assert type(error) is APIResponseError
    assert error.facts.request_id == bench.log[0]["request_id"]
    assert bench.logged_statuses == [200]


def test_a_property_whose_id_changes_its_type_and_stands_twice_is_still_that_property(bench: SandboxBench) -> None:
    body = '{"id": 11, "address": "old", "id": "12", "address": "1 Example Street"}'
    bench.sandbox.fault("status", status=200, path="/detail/$", body=body)
    rows, _ = bench.good_openmoove().get_detail(12, "new")
    assert [(row.id, row.address) for row in rows.items] == [(12, "1 Example Street")]


def test_a_bad_row_among_good_ones_is_rejected_alone(bench: SandboxBench) -> None:
    body: list[Any] = [{"id": 1}, {"id": True}, {"id": "2"}, {"name": "no id"}, None]
    bench.sandbox.fault("status", status=200, path="/milestones/$", body=body)
    rows, _ = bench.good_openmoove().get_milestones(12, "new")
    assert [row.id for row in rows.items] == [1, 2]
    assert len(rows.rejected) == 3


def test_a_packed_answer_is_unpacked_and_counted_as_it_came(bench: SandboxBench) -> None:
    packed = gzip.compress(json.dumps({"id": 12, "address": "A" * 5000}).encode())
    body = base64.b64encode(packed).decode()
    bench.sandbox.fault("status", status=200, path="/detail/$", body_base64=body, content_encoding="gzip")
    rows, _ = bench.good_openmoove().get_detail(12, "new")
    assert rows.items[0].address == "A" * 5000
    assert bench.trail.last.bytes == len(packed) < 200


def peak_of(work: Any) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_gzip_bomb_is_too_large_and_costs_no_memory(bench: SandboxBench) -> None:
    bomb = base64.b64encode(gzip.compress(b" " * 200 * MEGABYTE)).decode()
    bench.sandbox.fault("status", status=200, path="/detail/$", body_base64=bomb, content_encoding="gzip", times=None)
    bench.limits = SMALL
    client = bench.good_openmoove()

    def ask() -> None:
        with pytest.raises(BodyTooLargeError, match="larger than 1,000,000 bytes"):
            client.get_detail(12, "new")

    assert peak_of(ask) < 8 * MEGABYTE
    assert bench.trail.words == ["server_error"]
    assert bench.trail.last.error is not None
    assert bench.trail.last.error.startswith("BodyTooLargeError: ")


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "in-chunks"])
def test_a_body_of_200_megabytes_is_left_after_the_bound(announced: bool) -> None:
    block = b"x" * 100_000

    def script(_: int) -> Iterator[Part]:
        if announced:
            yield b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n"
            yield from itertools.repeat(block, 2000)
        else:
            yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            yield from itertools.repeat(b"186a0\r\n" + block + b"\r\n", 2000)

    with RawServer(script) as server:
        bench = Bench(server.origin, limits=SMALL)
        errors: list[APIError] = []
        assert peak_of(lambda: errors.append(bench.refusal())) < 8 * MEGABYTE
        assert server.sent < 50 * MEGABYTE
    assert type(errors[0]) is BodyTooLargeError
    assert MEGABYTE < bench.trail.last.bytes < 2 * MEGABYTE
    assert bench.trail.words == ["server_error"]


@pytest.mark.parametrize(
    ("head", "body", "kind"),
    [
        ("Content-Length: 10", b"{}", APIConnectionError),
        ("Content-Length: -1", b"{}", APIConnectionError),
        ("Content-Length: 2\r\nContent-Length: 3", b"{}", APIConnectionError),
        ("Content-Length: 99999999999999999999", b"{}", APIConnectionError),
        ("Transfer-Encoding: chunked", b"zz\r\n{}\r\n", APIConnectionError),
        ("Transfer-Encoding: chunked", b"2\r\n{}\r\n", APIConnectionError),
        ("Transfer-Encoding: gzip, chunked", b"2\r\n{}\r\n0\r\n\r\n", APIConnectionError),
        ("Content-Length: 2\r\nContent-Encoding: br", b"{}", APIResponseError),
        ("Content-Length: 2\r\nContent-Encoding: gzip", b"{}", APIResponseError),
        ("X-Long: " + "x" * 1_000_000, b"{}", APIConnectionError),
        ("\r\n".join(f"X-{number}: y" for number in range(100_000)), b"{}", APIConnectionError),
        ("X-Bad: a\x00b", b"{}", APIConnectionError),
        (" X-Folded-From-The-Start: y", b"{}", APIConnectionError),
    ],
    ids=lambda value: str(value)[:30] if isinstance(value, str) else "",
)
def test_an_answer_whose_head_lies_is_an_error(head: str, body: bytes, kind: type[APIError]) -> None:
    with RawServer(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode("latin-1") + body) as server:
        bench = Bench(server.origin)
        assert type(bench.refusal()) is kind
    assert set(bench.trail.words) == {"network_error" if kind is APIConnectionError else "server_error"}


def test_a_body_longer_than_announced_ends_where_it_was_announced() -> None:
    with RawServer(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}{"more": 1}') as server:
        assert Bench(server.origin).ask().body.content == b"{}"


@pytest.mark.parametrize("noise", [b"\x15\x03\x01", b"SSH-2.0-OpenSSH\r\n", b"\r\n" * 1000, b""])
def test_what_is_no_http_is_an_error(noise: bytes) -> None:
    with RawServer(noise) as server:
        assert type(Bench(server.origin).refusal()) is APIConnectionError


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("101 Switching Protocols\r\nUpgrade: nonsense\r\nConnection: upgrade", APIError),
        ("206 Partial Content", APIResponseError),
        ("304 Not Modified", RedirectRefusedError),
        ("300 Multiple Choices", RedirectRefusedError),
    ],
)
def test_a_status_that_brings_no_whole_answer_is_an_error(status: str, kind: type[APIError]) -> None:
    with RawServer(answer(b"{}", status)) as server:
        bench = Bench(server.origin)
        error = bench.refusal(deadline_seconds=1)
    assert isinstance(error, kind)
    assert "ok" not in bench.trail.words


def test_early_hints_before_the_answer_are_no_answer() -> None:
    hints = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </evil>\r\n\r\n"
    with RawServer(hints + answer(b"{}")) as server:
        assert Bench(server.origin).ask().status == 200


def test_a_204_where_a_property_was_asked_for_is_an_error_not_an_empty_property(bench: SandboxBench) -> None:
    bench.sandbox.fault("status", status=204, path="/detail/$")
    assert type(asked_detail(bench)) is APIResponseError


@pytest.mark.parametrize(
    ("status", "kind"), [("401 Unauthorized", AuthenticationError), ("503 Service Unavailable", ServerError)]
)
@pytest.mark.parametrize("how", ["bomb", "too long", "not packed", "cut"])
def test_the_status_of_an_error_counts_whatever_becomes_of_its_body(
    status: str, kind: type[APIError], how: str
) -> None:
    bomb = gzip.compress(b" " * 20 * MEGABYTE)
    whole = {
        "bomb": answer(bomb, status, "Content-Encoding: gzip"),
        "too long": answer(b"x" * 2 * MEGABYTE, status),
        "not packed": answer(b"x", status, "Content-Encoding: gzip"),
        "cut": answer(b"x" * 100, status)[:-50],
    }[how]
    with RawServer(whole) as server:
        bench = Bench(server.origin, limits=SMALL)
        assert type(bench.refusal()) is kind
    assert bench.trail.last.error is not None


def test_a_redirect_is_not_followed_and_its_target_receives_nothing(bench: SandboxBench) -> None:
    with RawServer(answer(b"{}")) as elsewhere:
        for status in (301, 302, 307, 308):
            bench.sandbox.fault(
                "status", status=status, path="/detail/$", headers={"Location": elsewhere.origin + "/x"}
            )
            assert type(asked_detail(bench)) is RedirectRefusedError
        assert elsewhere.requests == []
    assert bench.logged_statuses == [301, 302, 307, 308]
    assert bench.trail.words == ["server_error"] * 4


def test_a_redirect_of_the_token_request_is_not_followed_either(bench: SandboxBench) -> None:
    with RawServer(answer(b"{}")) as elsewhere:
        bench.sandbox.fault("status", status=307, path="/oauth2/token", headers={"Location": elsewhere.origin})
        with pytest.raises(RedirectRefusedError):
            bench.good_requester().request()
        assert elsewhere.requests == []


def page(next_url: str | None, count: int = 3) -> dict[str, Any]:
    return {"count": count, "next": next_url, "previous": None, "results": [{"id": 1}]}


def test_a_next_on_another_host_receives_nothing_and_the_rows_before_it_came(bench: SandboxBench) -> None:
    with RawServer(answer(json.dumps(page(None)).encode())) as elsewhere:
        port = elsewhere.origin.rpartition(":")[2]
        leads_away = [
            f"{elsewhere.origin}/api/partners/properties/?page=2",
            f"//127.0.0.1:{port}/api/partners/properties/?page=2",
            f"http://{bench.origin.partition('//')[2]}@127.0.0.1:{port}/api/partners/properties/?page=2",
            f"http://localhost:{port}/api/partners/properties/?page=2",
            f"{bench.origin}\\@127.0.0.1:{port}/api/partners/properties/?page=2",
            f"https://{bench.origin.partition('//')[2]}/api/partners/properties/?page=2",
        ]
        for next_url in leads_away:
            bench.sandbox.fault("status", status=200, path="/properties/$", body=page(next_url))
            pages = bench.good_openmoove().list_pages()
            assert [row.id for row in next(pages)[0].rows.items] == [1]
            with pytest.raises(RedirectRefusedError):
                next(pages)
        assert elsewhere.requests == []
    assert len(bench.log) == len(leads_away)


def test_a_list_that_never_ends_is_an_error_soon() -> None:
    def script(number: int) -> Iterator[Part]:
        rows = [{"id": number * 100 + row} for row in range(100)]
        body = {"count": 300, "next": f"?page={number + 1}", "previous": None, "results": rows}
        yield answer(json.dumps(body).encode(), "200 OK", "Connection: close")

    with RawServer(script) as server:
        bench = Bench(server.origin)
        began = time.monotonic()
        with pytest.raises(APIResponseError, match="no end"):
            list(bench.openmoove(lambda: "om_key").list_pages())
        assert time.monotonic() - began < 10
        assert len(server.requests) < 30


@pytest.mark.parametrize("shape", ["drf", "array", "wrapped"])
def test_each_of_resmans_list_shapes_gives_every_row(bench: SandboxBench, shape: str) -> None:
    bench.sandbox.settings(list_shape={"leads": shape})
    rows = [row for listed in bench.good_resman().list_pages(LEADS, {}) for row in listed.page.rows.items]
    assert {row.id for row in rows} == {str(row["id"]) for row in bench.sandbox.rows("resman_leads")}
    assert len(rows) == len({row.id for row in rows})


@pytest.mark.parametrize(
    "body", [{"data": []}, {"results": []}, {}, None, {"leads": [], "next": "?page=2"}, "leads"], ids=json.dumps
)
def test_any_other_shape_is_an_error_never_zero_rows(bench: SandboxBench, body: Any) -> None:
    bench.sandbox.fault("status", status=200, path="/api/leads", body=json.dumps(body))
    with pytest.raises(APIResponseError, match="no list in a known shape"):
        list(bench.good_resman().list_pages(LEADS, {}))


def test_filters_that_the_server_ignores_are_kept_all_the_same(bench: SandboxBench) -> None:
    units = bench.sandbox.rows("resman_units")
    wanted: dict[str, str | bool] = {"available": True, "property_id": str(units[0]["property_id"])}
    expected = {unit["id"] for unit in units if all(unit[name] == value for name, value in wanted.items())}
    for ignore in (False, True):
        bench.sandbox.settings(ignore_filters=ignore)
        pages = bench.good_resman().list_pages(UNITS, wanted)
        assert {row.id for listed in pages for row in listed.page.rows.items} == expected
    assert 0 < len(expected) < len(units)
