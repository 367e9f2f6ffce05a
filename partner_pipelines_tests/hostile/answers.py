"""What a hostile, broken or hijacked partner may answer, by name: bytes as they go over the wire."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

from partner_pipelines_tests.hostile.proxy import Request
from partner_pipelines_tests.wire.raw_server import Part, answer

MEGABYTE = 1_000_000
TWO_HUNDRED_MEGABYTES = 200 * MEGABYTE
HTML = b"<!doctype html><html><body>Just a moment...</body></html>"

Wrap = Callable[[bytes], bytes]
"""Puts the JSON of one row into what the partner answers: a list of it, a page of it, the row alone."""
Hostile = Callable[[Wrap], Iterable[Part]]


def whole(row: bytes) -> Hostile:
    """A well-formed HTTP answer around this text in the place of a row."""
    return lambda wrap: [answer(wrap(row))]


def packed(content: bytes) -> bytes:
    return answer(gzip.compress(content, 1), "200 OK", "Content-Encoding: gzip")


def many(row: bytes, size: int) -> bytes:
    """A JSON array of so many equal rows that it has about `size` bytes."""
    return b"[" + b",".join([row] * (size // (len(row) + 1))) + b"]"


@cache
def gzip_bomb() -> bytes:
    """Two hundred megabytes of blanks in two hundred kilobytes, made without them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    blanks = b" " * MEGABYTE
    body = b"".join(packer.compress(blanks) for _ in range(TWO_HUNDRED_MEGABYTES // MEGABYTE)) + packer.flush()
    return answer(body, "200 OK", "Content-Encoding: gzip")


def bomb(_: Wrap) -> Iterable[Part]:
    return [gzip_bomb()]


def huge(_: Wrap) -> Iterator[Part]:
    """Two hundred megabytes that nobody has announced."""
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    block = b"186a0\r\n" + b"x" * 100_000 + b"\r\n"
    yield from itertools.repeat(block, TWO_HUNDRED_MEGABYTES // 100_000)


def truncated(wrap: Wrap) -> Iterable[Part]:
    return [answer(wrap(b'{"id": 12}') + b" " * 100)[:-60]]


def announced_too_short(wrap: Wrap) -> Iterable[Part]:
    body = wrap(b'{"id": 12}')
    return [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (len(body) - 3) + body]


def dripping(wrap: Wrap) -> Iterator[Part]:
    """A byte now and then: each read is in time, the whole never is."""
    whole_answer = answer(wrap(b'{"id": 12}') + b" " * 10_000)
    for byte in whole_answer:
        yield bytes([byte])
        yield 0.05


NEVER_ROWS: dict[str, Hostile] = {
    "a truncated body": truncated,
    "a length that is too short": announced_too_short,
    "a gzip bomb": bomb,
    "200 MB": huge,
    "HTML": lambda _: [answer(HTML, "200 OK", "Content-Type: text/html")],
    "nothing": lambda _: [answer(b"")],
    "bad UTF-8": whole(b'{"id": 12, "address": "\xff\xfe", "status": "\xc0\xaf"}'),
    "NaN": whole(b'{"id": 12, "uprn": NaN, "market_rent": NaN}'),
    "Infinity": whole(b'{"id": 12, "uprn": -Infinity}'),
    "deep nesting": whole(b'{"id": 12, "x": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "a number of 100,000 digits": whole(b'{"id": 12, "uprn": ' + b"9" * 100_000 + b"}"),
    "an id of 100,000 digits": whole(b'{"id": ' + b"9" * 100_000 + b"}"),
    "another JSON value": lambda _: [answer(b"12")],
}
STILL_ROWS: dict[str, Hostile] = {
    "equal names twice": whole(b'{"id": 11, "address": "old", "id": 12, "address": "1 New Street"}'),
    "an id that is text": whole(b'{"id": "12", "address": "1 New Street"}'),
    "some nesting": whole(b'{"id": 12, "x": ' + b"[" * 90 + b"]" * 90 + b"}"),
    "a number that no column holds": whole(b'{"id": 12, "fraction": 1e308, "big": 99999999999999999999999}'),
}


Page = Callable[[Request], Iterable[Part]]


def endless(count: int | None, row: Callable[[str], Any] = lambda key: {"id": key}, rows: int = 100) -> Page:
    """A list of new rows on every page, each with a `next`; `count` is what it says of itself."""

    def page(request: Request) -> Iterable[Part]:
        path = request.target.partition("?")[0]
        body = {
            "count": count,
            "next": f"{request.origin}{path}?page={request.number + 1}",
            "previous": None,
            "results": [row(f"{request.number}{place:03}") for place in range(rows)],
        }
        return [answer(json.dumps(body).encode())]

    return page


def page_of(next_url: Callable[[Request], str], rows: Iterable[Any] = ({"id": 1},)) -> Page:
    """A page whose `next` is this, whatever was asked for."""
    body = {"count": 300, "previous": None, "results": list(rows)}
    return lambda request: [answer(json.dumps({**body, "next": next_url(request)}).encode())]
