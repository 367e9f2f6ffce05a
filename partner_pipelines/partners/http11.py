"""HTTP/1.1 as this client speaks it (RFC 9112): a request's head, an answer's head, where its body ends. No sockets.

Strict: what could be read in two ways (two lengths, an unknown transfer coding, a bare line feed) is no answer. A
general library costs six times as much a call: a third of all that a first sync spends (docs/design.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

Field = tuple[bytes, bytes]
Receive = Callable[[], bytes]
"""Gives some bytes of the stream; none at its end."""

MAX_HEAD_BYTES = 64 * 1024
MAX_INTERIM_ANSWERS = 100

_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_LENGTH = re.compile(rb"[0-9]{1,18}")
_NO_BODY = {101, 204, 304}


class ProtocolError(Exception):
    """Bytes that are no HTTP/1.1. Its sentence never quotes them."""


@dataclass(frozen=True, slots=True)
class Head:
    """An answer's status and fields. `length`: of the body in bytes; None: chunked, or up to the end of the stream."""

    status: int
    fields: list[Field]
    length: int | None
    is_chunked: bool
    keeps_open: bool


def request_head(method: str, target: bytes, fields: Sequence[Field]) -> bytes:
    """The bytes before the body. Raises ProtocolError for a field that would become two."""
    lines = [b"%s %s HTTP/1.1" % (method.encode("ascii"), target), *(b"%s: %s" % field for field in fields)]
    head = b"\r\n".join((*lines, b"", b""))
    ends = len(lines) + 1
    if head.count(b"\r") != ends or head.count(b"\n") != ends or b"\0" in head or b" " in target:
        raise ProtocolError("an address or a header that HTTP cannot carry")
    return head


class AnswerReader:
    """Reads answers, one after the other, from one connection."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._buffer = b""

    @property
    def is_empty(self) -> bool:
        """Nothing has come that belongs to no answer."""
        return not self._buffer

    def head(self) -> Head:
        """The final answer's head; interim ones (1xx, RFC 9110 15.2) are passed over. Raises ProtocolError."""
        for _ in range(MAX_INTERIM_ANSWERS):
            head = _parse_head(self._until(b"\r\n\r\n"))
            if head.status >= 200 or head.status == 101:
                return head
        raise ProtocolError("interim answers without end")

    def body(self, head: Head) -> Iterator[bytes]:
        """The body in pieces, up to its end and no further. Raises ProtocolError when it is cut short."""
        if head.is_chunked:
            return self._chunks()
        return self._rest() if head.length is None else self._exactly(head.length)

    def _rest(self) -> Iterator[bytes]:
        while part := self._take() or self._receive():
            yield part

    def _exactly(self, length: int) -> Iterator[bytes]:
        left = length
        while left:
            part = self._some(left)
            left -= len(part)
            yield part

    def _chunks(self) -> Iterator[bytes]:
        while length := self._chunk_length():
            yield from self._exactly(length)
            if b"".join(self._exactly(2)) != b"\r\n":
                raise ProtocolError("a chunk is longer than it says")
        for _ in range(MAX_HEAD_BYTES):  # trailer fields say nothing that is needed here
            if not self._until(b"\r\n"):
                return
        raise ProtocolError("trailer fields without end")

    def _chunk_length(self) -> int:
        line = _CHUNK_LINE.fullmatch(self._until(b"\r\n"))
        if line is None:
            raise ProtocolError("a chunk's length is none")
        return int(line[1], 16)

    def _until(self, mark: bytes) -> bytes:
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > MAX_HEAD_BYTES:
                raise ProtocolError("a head or a line without end")
            searched = max(0, len(self._buffer) - len(mark) + 1)
            self._buffer += self._more()
        found, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return found

    def _some(self, limit: int) -> bytes:
        part = self._take() or self._more()
        if len(part) > limit:
            part, self._buffer = part[:limit], part[limit:]
        return part

    def _take(self) -> bytes:
        part, self._buffer = self._buffer, b""
        return part

    def _more(self) -> bytes:
        part = self._receive()
        if not part:
            raise ProtocolError("the server hung up before the answer's end")
        return part


def _parse_head(head: bytes) -> Head:
    lines = head.split(b"\r\n")
    status_line = _STATUS_LINE.fullmatch(lines[0])
    found = [_FIELD_LINE.fullmatch(line) for line in lines[1:]]
    if status_line is None or not all(found):
        raise ProtocolError("no HTTP/1.1 head")
    fields = [(field[1], field[2].rstrip(b" \t")) for field in found if field is not None]
    status = int(status_line[2])
    coding = _values(fields, b"transfer-encoding")
    is_chunked = _is_chunked(coding)
    length = _length(status, fields, is_coded=is_chunked)
    return Head(status, fields, length, is_chunked, _keeps_open(status_line[1], status, fields, is_chunked, length))


def _keeps_open(version: bytes, status: int, fields: Sequence[Field], is_chunked: bool, length: int | None) -> bool:
    """Whether another answer may follow on the connection."""
    words = {word.strip().lower() for value in _values(fields, b"connection") for word in value.split(b",")}
    ends = is_chunked or length is not None
    return ends and version == b"1" and b"close" not in words and status != 101


def _is_chunked(coding: list[bytes]) -> bool:
    if coding and [value.lower() for value in coding] != [b"chunked"]:
        raise ProtocolError("a transfer coding that was not asked for")
    return bool(coding)


def _length(status: int, fields: Sequence[Field], *, is_coded: bool) -> int | None:
    """RFC 9112 6.3. A length beside a transfer coding is what smuggling is made of."""
    stated = set(_values(fields, b"content-length"))
    if len(stated) > 1 or (stated and is_coded) or not all(map(_LENGTH.fullmatch, stated)):
        raise ProtocolError("two lengths, or one that is none")
    if status in _NO_BODY:
        return 0
    return int(stated.pop()) if stated else None


def _values(fields: Sequence[Field], name: bytes) -> list[bytes]:
    return [value for found, value in fields if found.lower() == name]
