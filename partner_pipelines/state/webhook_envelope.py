"""What a file of the inbox holds, as interface.md says it: headers, body, when it came; the receiver adds its receipt.

Any tool may write one. Nothing in it is believed but what a signature or the receipt proves.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson


class EnvelopeError(ValueError):
    """The file is not in the form; it says nothing of the content."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """A delivery as it came. Header names are in lower case; `connection` and `receipt` are None in others' drops."""

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: datetime
    connection: str | None = None
    receipt: str | None = field(default=None, repr=False)


def write_envelope(envelope: Envelope) -> bytes:
    """The file's bytes."""
    return orjson.dumps(
        {
            "headers": dict(envelope.headers),
            "body_base64": base64.b64encode(envelope.body).decode(),
            "received_at": envelope.received_at,
            "connection": envelope.connection,
            "receipt": envelope.receipt,
        },
        option=orjson.OPT_APPEND_NEWLINE,
    )


def read_envelope(content: bytes) -> Envelope:
    """The delivery that a file holds. Raises EnvelopeError."""
    try:
        found = orjson.loads(content)
        return Envelope(
            _headers(found["headers"]),
            base64.b64decode(found["body_base64"], validate=True),
            _time(found["received_at"]),
            _text_or_none(found.get("connection")),
            _text_or_none(found.get("receipt")),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise EnvelopeError(f"not a webhook's file: {type(error).__name__}") from None


def _headers(found: Any) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in found.items():
        lowered = name.lower()
        if lowered in headers or not isinstance(value, str):
            raise ValueError(name)
        headers[lowered] = value
    return headers


def _time(found: Any) -> datetime:
    if not isinstance(found, str):
        raise TypeError
    time = datetime.fromisoformat(found)
    return (time if time.tzinfo is not None else time.replace(tzinfo=UTC)).astimezone(UTC)


def _text_or_none(found: Any) -> str | None:
    if found is not None and not isinstance(found, str):
        raise TypeError
    return found
