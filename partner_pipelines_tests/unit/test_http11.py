"""HTTP/1.1's bytes: what is an answer, where its body ends, and what is refused. Expected values: RFC 9112's rules."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.http11 import MAX_HEAD_BYTES, AnswerReader, Head, ProtocolError, request_head

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: Chunked\r\n\r\n"
HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"


def read(stream: bytes, pieces: int = 1 << 20) -> tuple[Head, bytes, AnswerReader]:
    """The first answer of a stream that comes `pieces` bytes at a time."""
    parts = iter([stream[at : at + pieces] for at in range(0, len(stream), pieces)])
    reader = AnswerReader(lambda: next(parts, b""))
    head = reader.head()
    return head, b"".join(reader.body(head)), reader


BODIES: list[tuple[str, bytes, bytes, bool]] = [
    ("a length", OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True),
    ("a length said twice alike", OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", b"hello", True),
    ("no body at all", OK + b"Content-Length: 0\r\n\r\n", b"", True),
    ("chunks", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", b"hello", True),
    ("chunks and a trailer", CHUNKED + b"A\r\n0123456789\r\n0\r\nX: y\r\n\r\n", b"0123456789", True),
    ("the stream's end", OK + b"\r\nhello", b"hello", False),
    ("204", b"HTTP/1.1 204 No Content\r\n\r\n", b"", True),
    ("304, which has a length and no body", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b"", True),
    ("close", OK + b"Connection: Close\r\nContent-Length: 1\r\n\r\nx", b"x", False),
    ("HTTP/1.0", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", b"x", False),
    ("a hint before it", HINT + OK + b"Content-Length: 1\r\n\r\nx", b"x", True),
    ("no reason phrase", b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", b"x", True),
]  # fmt: skip


@pytest.mark.parametrize("pieces", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("stream", "body", "keeps_open"), [case[1:] for case in BODIES], ids=[case[0] for case in BODIES]
)
def test_the_body_ends_where_it_says(stream: bytes, body: bytes, keeps_open: bool, pieces: int) -> None:
    head, found, reader = read(stream, pieces)
    assert found == body
    assert head.keeps_open is keeps_open
    assert reader.is_empty


REFUSED = {
    "nothing": b"",
    "half a head": OK + b"Content-Len",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "HTTP/2": b"HTTP/2 200\r\n\r\n",
    "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "a bare line feed": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n\r\n\r\n",
    "a folded header": OK + b"X: a\r\n b\r\n\r\n",
    "a blank before the colon": OK + b"X : a\r\n\r\n",
    "a header without a colon": OK + b"nonsense\r\n\r\n",
    "a control character": OK + b"X: a\x00b\r\n\r\n",
    "two lengths": OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    "two lengths in one": OK + b"Content-Length: 5, 5\r\n\r\nhello",
    "a negative length": OK + b"Content-Length: -5\r\n\r\nhello",
    "a length with a sign": OK + b"Content-Length: +5\r\n\r\nhello",
    "a length and chunks": OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a cut body": OK + b"Content-Length: 6\r\n\r\nhello",
    "a cut chunk": OK + b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello",
    "chunks without an end": OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "a chunk longer than it says": OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\nhello\r\n0\r\n\r\n",
    "a chunk's length that Python would take": OK + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "a head without end": OK + b"X: " + b"a" * (MAX_HEAD_BYTES + 10),
    "a chunk's line without end": OK + b"Transfer-Encoding: chunked\r\n\r\n5;" + b"a" * (MAX_HEAD_BYTES + 10),
    "hints without end": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 1000,
}


@pytest.mark.parametrize("pieces", [997, 1 << 20])
@pytest.mark.parametrize("stream", REFUSED.values(), ids=REFUSED)
def test_what_is_no_answer_is_refused(stream: bytes, pieces: int) -> None:
    with pytest.raises(ProtocolError):
        read(stream, pieces)


def test_what_comes_after_the_answer_is_seen() -> None:
    """Such a connection must not be used again: the rest would be taken for the next answer."""
    assert not read(OK + b"Content-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n")[2].is_empty


@given(st.binary(max_size=300), st.integers(1, 50), st.lists(st.integers(1, 40), max_size=8))
def test_chunks_are_put_together_however_they_are_cut(body: bytes, pieces: int, sizes: Sequence[int]) -> None:
    chunks, at = [], 0
    for size in [*sizes, len(body) + 1]:
        if chunk := body[at : at + size]:
            chunks.append(b"%X\r\n%s\r\n" % (len(chunk), chunk))
        at += size
    _, found, _ = read(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"".join(chunks) + b"0\r\n\r\n", pieces)
    assert found == body


@given(st.binary(max_size=200), st.integers(1, 20))
def test_any_bytes_give_an_answer_or_a_refusal_that_quotes_nothing(stream: bytes, pieces: int) -> None:
    said = ""
    try:
        read(OK + stream, pieces)
    except ProtocolError as error:
        said = str(error)
    assert re.fullmatch("[A-Za-z0-9/.,' ]*", said)


def test_a_requests_head_is_as_the_standard_has_it() -> None:
    found = request_head("GET", b"/api/units?page=2", [(b"Host", b"127.0.0.1:80"), (b"X-API-KEY", b"k\xe9y")])
    assert found == b"GET /api/units?page=2 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nX-API-KEY: k\xe9y\r\n\r\n"


@pytest.mark.parametrize(
    ("target", "value"), [(b"/", b"a\r\nX: b"), (b"/", b"a\nb"), (b"/", b"a\rb"), (b"/", b"\0"), (b"/a b", b"c")]
)
def test_a_head_that_would_say_more_than_it_was_given_is_refused(target: bytes, value: bytes) -> None:
    with pytest.raises(ProtocolError):
        request_head("GET", target, [(b"X-API-KEY", value)])
