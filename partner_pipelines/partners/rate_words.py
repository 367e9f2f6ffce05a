"""What an answer's headers say about limits and waiting. Nonsense says nothing: it never raises.

A Retry-After beyond a week is taken for a week: whoever says so is not to be asked soon.

Source: RFC 9110 10.2.3 (Retry-After: seconds or a date); openmoove_partner_api.md, "Rate Limit Headers"
(X-RateLimit-Reset is a Unix time). Times are taken against the answer's own Date, so that a wrong clock here or there
does not matter.
"""

from __future__ import annotations

import math
import time
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from partner_pipelines.partners.ports import RateWords

_NAMES = {b"retry-after", b"x-ratelimit-remaining", b"x-ratelimit-reset"}
LONGEST_BELIEVED_SECONDS = 7 * 24 * 3600.0


def read_rate_words(headers: httpx.Headers) -> RateWords:
    """The partner's words, None where they are missing or nonsense."""
    if not any(name.lower() in _NAMES for name, _ in headers.raw):
        return RateWords()
    partner_now = _unix_time(headers.get("date")) or time.time()
    return RateWords(
        limit=_count(headers.get("x-ratelimit-limit")),
        remaining=_count(headers.get("x-ratelimit-remaining")),
        reset_after_seconds=_until(_number(headers.get("x-ratelimit-reset")), partner_now),
        retry_after_seconds=_retry_after(headers.get("retry-after"), partner_now),
    )


def _retry_after(text: str | None, partner_now: float) -> float | None:
    seconds = _number(text)
    if seconds is None:
        moment = _unix_time(text)
        if moment is None:
            return None
        seconds = max(moment - partner_now, 0.0)
    return min(seconds, LONGEST_BELIEVED_SECONDS) if seconds >= 0 else None


def _until(moment: float | None, partner_now: float) -> float | None:
    if moment is None:
        return None
    seconds = moment - partner_now
    # No clamp here: a time in milliseconds is a moment in a far century
    return max(seconds, 0.0) if seconds <= LONGEST_BELIEVED_SECONDS else None


def _count(text: str | None) -> int | None:
    number = _number(text)
    return int(number) if number is not None and 0 <= number < 10**9 else None


def _number(text: str | None) -> float | None:
    if text is None or not text.isascii():
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _unix_time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
        # HTTP's dates are UTC, those of the old forms too, which do not say so (RFC 9110 5.6.7)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
