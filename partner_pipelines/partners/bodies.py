"""Bodies, read and unpacked under a bound of bytes and a deadline.

A server may announce any length, send gzip that unpacks a thousandfold, or drip a byte a second: the bounds hold.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable

GZIP_OR_ZLIB = 47  # zlib's word for "find out which of the two headers it is"


class BodyTooLarge(Exception):  # noqa: N818 - a signal to the transport, which raises the error with the call's facts
    """More bytes than the bound."""


class DeadlineOver(Exception):  # noqa: N818 - as above
    """The body did not end in time."""


class UnreadableEncoding(Exception):  # noqa: N818 - as above
    """A Content-Encoding that was not asked for, or that does not unpack."""


def read_bounded(chunks: Iterable[bytes], *, max_bytes: int, deadline: float) -> bytes:
    """The whole body as it came over the wire. `deadline` is a time of `time.monotonic()`."""
    parts: list[bytes] = []
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > max_bytes:
            raise BodyTooLarge
        if time.monotonic() > deadline:
            raise DeadlineOver
        parts.append(chunk)
    return b"".join(parts)


def unpack_bounded(body: bytes, encoding: str | None, *, max_bytes: int) -> bytes:
    """The body without its Content-Encoding. Only identity, gzip and deflate are understood, as asked for."""
    word = (encoding or "identity").strip().lower()
    if word == "identity":
        return body
    if word not in {"gzip", "x-gzip", "deflate"}:
        raise UnreadableEncoding
    unpacker = zlib.decompressobj(GZIP_OR_ZLIB)
    try:
        unpacked = unpacker.decompress(body, max_bytes)
    except zlib.error as error:
        raise UnreadableEncoding from error
    if unpacker.unconsumed_tail:
        raise BodyTooLarge
    if not unpacker.eof:
        raise UnreadableEncoding
    return unpacked
