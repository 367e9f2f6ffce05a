from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.bodies import (
    Body,
    BodyTooLarge,
    TooManyValues,
    UnreadableEncoding,
    read_bounded,
    unpack_bounded,
)

BOUND = 1000


@pytest.mark.parametrize(
    ("body", "items"),
    [
        (b'[{"id": 1}, {"id": 2}]', 2),
        (b"[]", 0),
        (b'{"count": 250, "next": null, "previous": null, "results": [{"id": 1}, {"id": 2}, {"id": 3}]}', 3),
        (b'{"count": 0, "next": null, "previous": null, "results": []}', 0),
        (b'{"units": [{"id": "U1"}]}', 1),
        (b'{"units": []}', 0),
        (b'{"id": 7, "milestones": [{"id": 1}, {"id": 2}]}', 1),
        (b'{"results": {"id": 7}}', 1),
        (b'{"id": 7}', 1),
        (b"{}", 1),
        (b"7", None),
        (b'"seven"', None),
        (b"null", None),
        (b"", None),
        (b"<html>", None),
        (b'[{"id": 1}, {"id"', None),
        (b"[NaN]", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_items_of_a_body_are_the_rows_of_a_list_or_the_one_object(body: bytes, items: int | None) -> None:
    assert Body(body).count_items() == items


@given(st.lists(st.dictionaries(st.text(), st.integers() | st.none() | st.text())))
def test_what_was_counted_is_there_to_be_taken_once_and_nothing_is_kept(rows: list[dict[str, int | None]]) -> None:
    content = json.dumps(rows).encode()
    body = Body(content)
    assert body.count_items() == body.count_items() == len(rows)
    assert body.take_json() == json.loads(content)
    assert body.content == b""


@pytest.mark.parametrize("row", [b"{}", b"[]", b"0", b'""', b'{"id":1}', b'{"a":[]}'])
def test_more_values_than_rows_of_a_partner_have_are_refused_before_they_take_gigabytes(row: bytes) -> None:
    body = Body(b"[" + b",".join([row] * (4_000_000 // (len(row) + 1))) + b"]")
    tracemalloc.start()
    try:
        assert body.count_items() is None
        with pytest.raises(TooManyValues):
            body.take_json()
        assert tracemalloc.get_traced_memory()[1] < 40_000_000
    finally:
        tracemalloc.stop()


def test_as_many_rows_as_a_whole_account_has_are_taken_from_one_body() -> None:
    row = (
        b'{"id": "DOC_00001", "prospect_id": null, "document_type": "lease_packet", "name": "a, b, c", "size_bytes": 1}'
    )
    assert Body(b"[" + b",".join([row] * 30_000) + b"]").count_items() == 30_000
    assert Body(b"[" + b",".join([b"{}"] * 10_000) + b"]").count_items() == 10_000


def test_a_body_that_is_counted_and_taken_is_parsed_once() -> None:
    body = Body(b'[{"id": 1}]')
    body.count_items()
    body.content = b"not parsed again"
    assert body.take_json() == [{"id": 1}]


def test_a_body_hides_what_it_holds() -> None:
    assert "jane" not in repr(Body(b'{"email": "jane.doe@canary.example"}'))


def test_a_body_of_exactly_the_bound_is_taken() -> None:
    parts: list[bytes] = []
    read_bounded([b"a" * 400, b"b" * 600], parts, max_bytes=BOUND)
    assert b"".join(parts) == b"a" * 400 + b"b" * 600


def test_a_byte_more_is_too_large_and_what_came_is_known() -> None:
    parts: list[bytes] = []
    with pytest.raises(BodyTooLarge):
        read_bounded([b"a" * 400, b"b" * 601], parts, max_bytes=BOUND)
    assert sum(map(len, parts)) == 1001


def test_reading_ends_with_the_chunk_that_goes_over_the_bound() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 100

    parts: list[bytes] = []
    with pytest.raises(BodyTooLarge):
        read_bounded(endless(), parts, max_bytes=BOUND)
    assert len(parts) == 11


def test_what_came_before_an_error_is_kept() -> None:
    def dropped() -> Iterator[bytes]:
        yield b"half"
        raise OSError

    parts: list[bytes] = []
    with pytest.raises(OSError):  # noqa: PT011 - the class is all there is
        read_bounded(dropped(), parts, max_bytes=BOUND)
    assert parts == [b"half"]


@pytest.mark.parametrize("encoding", [None, "identity", " Identity "])
def test_a_body_without_encoding_stays_as_it_is(encoding: str | None) -> None:
    assert unpack_bounded(b"\x1f\x8bwhatever", encoding, max_bytes=BOUND) == b"\x1f\x8bwhatever"


@pytest.mark.parametrize("encoding", ["gzip", "GZip", "x-gzip"])
def test_gzip_is_unpacked(encoding: str) -> None:
    assert unpack_bounded(gzip.compress(b"rows"), encoding, max_bytes=BOUND) == b"rows"


def test_deflate_is_unpacked() -> None:
    assert unpack_bounded(zlib.compress(b"rows"), "deflate", max_bytes=BOUND) == b"rows"


def test_an_empty_body_is_empty_whatever_its_encoding() -> None:
    assert unpack_bounded(b"", "gzip", max_bytes=BOUND) == b""
    assert unpack_bounded(b"", "br", max_bytes=BOUND) == b""


@pytest.mark.parametrize("size", [BOUND - 1, BOUND])
def test_a_packed_body_up_to_the_bound_is_taken_whole(size: int) -> None:
    assert unpack_bounded(gzip.compress(b"x" * size), "gzip", max_bytes=BOUND) == b"x" * size


def test_a_packed_body_a_byte_over_the_bound_is_too_large() -> None:
    with pytest.raises(BodyTooLarge):
        unpack_bounded(gzip.compress(b"x" * (BOUND + 1)), "gzip", max_bytes=BOUND)


def test_a_bomb_costs_no_more_memory_than_the_bound() -> None:
    bomb = gzip.compress(b"\0" * 200_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(BodyTooLarge):
            unpack_bounded(bomb, "gzip", max_bytes=1_000_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (b"no gzip at all", "gzip"),
        (gzip.compress(b"x" * 900)[:-1], "gzip"),
        (gzip.compress(b"x" * 900)[:-9] + b"\0" * 9, "gzip"),
        (b"plain", "br"),
        (b"plain", "gzip, gzip"),
        (gzip.compress(gzip.compress(b"x")), "gzip, gzip"),
    ],
    ids=["not-packed", "truncated", "wrong-checksum", "brotli", "a-list", "packed-twice"],
)
def test_what_does_not_unpack_is_an_error_never_a_part(body: bytes, encoding: str) -> None:
    with pytest.raises(UnreadableEncoding):
        unpack_bounded(body, encoding, max_bytes=BOUND)


def test_bytes_after_the_end_are_an_error_because_they_may_be_the_rest_of_the_list() -> None:
    with pytest.raises(UnreadableEncoding):
        unpack_bounded(gzip.compress(b'[{"id": 1}]') + gzip.compress(b'[{"id": 2}]'), "gzip", max_bytes=BOUND)


@given(st.binary(max_size=2000), st.sampled_from(["gzip", "deflate"]))
def test_hostile_bytes_are_unpacked_within_the_bound_or_refused(body: bytes, encoding: str) -> None:
    try:
        unpacked = unpack_bounded(body, encoding, max_bytes=BOUND)
    except (BodyTooLarge, UnreadableEncoding):
        return
    assert len(unpacked) <= BOUND
