"""Rate limits as a server holds them: sliding windows over what was admitted, all of which hold at once."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` admitted requests in any `seconds`."""

    count: int
    seconds: float


Windows = tuple[Window, ...]

DOCUMENTED: Windows = (Window(1000, 3600), Window(100, 60))


def parse_windows(text: str) -> Windows:
    """Return the limits that `off`, `on` or `COUNT/SECONDS,…` names.

    Raises:
        ValueError: the text is none of these, or a number is not positive.
    """
    if text.strip() in ("", "off"):
        return ()
    if text.strip() == "on":
        return DOCUMENTED
    return tuple(_parse_window(part) for part in text.split(","))


def _parse_window(part: str) -> Window:
    count, slash, seconds = part.strip().partition("/")
    try:
        window = Window(int(count), float(seconds))
    except ValueError:
        window = Window(0, 0)
    if not slash or window.count <= 0 or not 0 < window.seconds < math.inf:
        raise ValueError(f"rate limits are off, on or COUNT/SECONDS,… (like 1000/3600,100/60), not {part.strip()!r}")
    return window


def format_windows(windows: Windows) -> str:
    """Return limits in the form that OPENMOOVE_RATE_LIMITS takes: empty when there are none."""
    return ",".join(f"{window.count}/{window.seconds:.12g}" for window in windows)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request was let in, and what the longest window looks like after it."""

    admitted: bool
    wait_seconds: float
    limit: int
    remaining: int
    reset_at: float


class Limiter:
    """Sliding windows per caller. What is refused does not count."""

    def __init__(self, windows: Windows) -> None:
        self._windows = sorted(windows, key=lambda window: window.seconds)
        self._admitted: dict[str, list[deque[float]]] = {}

    def admit(self, caller: str, now: float) -> Verdict | None:
        """Count one request of a caller and say whether it is let in; None when there are no limits."""
        if not self._windows:
            return None
        seen = self._admitted.get(caller)
        if seen is None:
            seen = self._admitted[caller] = [deque() for _ in self._windows]
        wait = 0.0
        for window, times in zip(self._windows, seen, strict=True):
            while times and times[0] <= now - window.seconds:
                times.popleft()
            if len(times) >= window.count:
                wait = max(wait, times[0] + window.seconds - now)
        if not wait:
            for times in seen:
                times.append(now)
        longest, times = self._windows[-1], seen[-1]
        reset_at = (times[0] if times else now) + longest.seconds
        return Verdict(not wait, wait, longest.count, longest.count - len(times), reset_at)
