"""Bodies, read and unpacked under a bound of bytes, their JSON parsed once.

A server may announce any length, or send gzip that unpacks a thousandfold: the bound holds. As Python objects JSON is
many times as large, `[{},{},…]` a hundred times: so there is a bound of values too, and one of rows.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

ERROR_BYTES = 64 * 1024
"""The body of an error is a courtesy; a page of HTML fits."""
FEW_VALUES = 250_000
BYTES_A_VALUE = 8
"""The partners' rows have 20 bytes a value and more."""
FEW_ROWS = 10_000
BYTES_A_ROW = 64
"""The shortest rows have 150 bytes."""

GZIP_OR_ZLIB = 47  # zlib's word for "find out which of the two headers it is"


class TooManyValues(ValueError):  # noqa: N818 - a signal to the deciphering, which raises the call's error
    """More values or rows than there can be in a body of this length."""


class Body:
    """An answer's body, unpacked. The trail's count and the deciphering share one parse of its JSON.

    What is parsed is handed out once, and nothing of the body is kept then: an answer is held until it is landed.
    """

    __slots__ = ("_parsed", "content")

    def __init__(self, content: bytes) -> None:
        self.content = content
        self._parsed: tuple[Any, ...] = ()

    def take_json(self) -> Any:
        """Its JSON value, once. Raises ValueError for what is none; NaN and infinities are none (RFC 8259 6).

        Raises TooManyValues, a ValueError too, for what would take gigabytes.
        """
        value = self._parse()
        self.content, self._parsed = b"", ()
        return value

    def count_items(self) -> int | None:
        """How many items it holds: the rows of a list in any of its three shapes, 1 for any other object, else None."""
        try:
            return _count_items(self._parse())
        except ValueError:
            return None

    def _parse(self) -> Any:
        if not self._parsed:
            size = len(self.content)
            if size > FEW_VALUES and _most_values(self.content) > max(FEW_VALUES, size // BYTES_A_VALUE):
                raise TooManyValues
            value = from_json(self.content, allow_inf_nan=False)
            if (_count_items(value) or 0) > max(FEW_ROWS, size // BYTES_A_ROW):
                raise TooManyValues
            self._parsed = (value,)
        return self._parsed[0]


def _most_values(content: bytes) -> int:
    """No fewer values than the JSON text has: what stands in strings counts too."""
    return content.count(b",") + content.count(b"[") + content.count(b"{")


def _count_items(value: Any) -> int | None:
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
