"""How many requests a partner takes in which time."""

from __future__ import annotations

from dataclasses import dataclass

MAX_COUNT = 1_000_000
MAX_SECONDS = 31 * 24 * 3600


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most `count` requests in any `seconds`, wherever they begin: a sliding window."""

    count: int
    seconds: float

    def __str__(self) -> str:
        return f"{self.count}/{self.seconds:.12g}"


def parse_rate_limits(text: str) -> tuple[RateLimit, ...]:
    """The limits of a comma list of COUNT/SECONDS, all of which hold at once; empty = none.

    Raises:
        ValueError: a part is not COUNT/SECONDS, or its numbers are none that a limit can have.
    """
    return tuple(_parse(part.strip()) for part in text.split(",")) if text.strip() else ()


def _parse(part: str) -> RateLimit:
    count, _, seconds = part.partition("/")
    try:
        limit = RateLimit(int(count), float(seconds))
    except ValueError:
        limit = RateLimit(0, 0)
    # Written so that NaN, which compares with nothing, is refused too.
    if not (1 <= limit.count <= MAX_COUNT and 0 < limit.seconds <= MAX_SECONDS):
        raise ValueError(f"{part!r} is not COUNT/SECONDS (1 to {MAX_COUNT} requests in up to {MAX_SECONDS} seconds)")
    return limit
