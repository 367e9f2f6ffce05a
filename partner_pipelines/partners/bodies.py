"""Bodies, read and unpacked under a bound of bytes.

A server may announce any length, or send gzip that unpacks a thousandfold: the bound holds.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable

GZIP_OR_ZLIB = 47  # zlib's word for "find out which of the two headers it is"


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
