"""Bodies, read and unpacked under a bound of bytes, their JSON parsed once.

A server may announce any length, or send gzip that unpacks a thousandfold: the bound holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

GZIP_OR_ZLIB = 47  # zlib's word for "find out which of the two headers it is"


class Body:
    """An answer's body, unpacked. The trail's count and the deciphering share one parse of its JSON.

    What is parsed is handed out once and not kept: an answer is held until it is landed, and as Python objects its JSON
    is many times as large.
    """

    __slots__ = ("_parsed", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._parsed: tuple[Any, ...] = ()

    def take_json(self) -> Any:
        """Its JSON value. Raises ValueError for what is none; NaN and infinities are none (RFC 8259 6)."""
        parsed, self._parsed = self._parsed, ()
        return parsed[0] if parsed else from_json(self.content, allow_inf_nan=False)

    def count_items(self) -> int | None:
        """How many items it holds: the rows of a list in any of its three shapes, 1 for any other object, else None."""
        try:
            value = self.take_json()
        except ValueError:
            return None
        self._parsed = (value,)
        if isinstance(value, dict):
            wrapped = next(iter(value.values())) if len(value) == 1 else None
            rows = value.get("results", wrapped)
            return len(rows) if isinstance(rows, list) else 1
        return len(value) if isinstance(value, list) else None


class BodyTooLarge(Exception):  # noqa: N818 - a signal to the transport, which raises the error with the call's facts
    """More bytes than the bound."""


class UnreadableEncoding(Exception):  # noqa: N818 - as above
    """A Content-Encoding that was not asked for, or that does not unpack."""


def read_bounded(chunks: Iterable[bytes], parts: list[bytes], *, max_bytes: int) -> None:
    """Adds the chunks to `parts`, so that what came before an error is there. Raises BodyTooLarge."""
    total = 0
    for chunk in chunks:
        parts.append(chunk)
        total += len(chunk)
        if total > max_bytes:
            raise BodyTooLarge


def unpack_bounded(body: bytes, encoding: str | None, *, max_bytes: int) -> bytes:
    """The body without its Content-Encoding. Only identity, gzip and deflate are understood, as asked for."""
    word = (encoding or "identity").strip().lower()
    if word == "identity" or not body:
        return body
    if word not in {"gzip", "x-gzip", "deflate"}:
        raise UnreadableEncoding
    unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(body, max_bytes + 1)
    except zlib.error as error:
        raise UnreadableEncoding from error
    if len(unpacked) > max_bytes:
        raise BodyTooLarge
    # What follows the end would be dropped without a word: a second gzip member is the rest of the body.
    if not unpacker.eof or unpacker.unused_data:
        raise UnreadableEncoding
    return unpacked
