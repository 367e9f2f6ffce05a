"""How far a partner's clock is ahead of ours, by the `Date` of its answers (RFC 9110 6.6.1)."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

import httpx

from partner_pipelines.clock import now
from partner_pipelines.partners.openmoove.news import ClockBounds

_SECOND = timedelta(seconds=1)


class PartnerClock:
    """Each answer bounds the distance; together they bound it closely. For any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bounds: ClockBounds | None = None

    @property
    def bounds(self) -> ClockBounds | None:
        """What is known so far; None before the first answer with a date."""
        return self._bounds

    def note(self, began_at: datetime, ended_at: datetime, date: str | None) -> None:
        """An answer to a request came in this span of our time, dated by the partner to the second."""
        try:
            dated = _read_date(date or "")
            found = ClockBounds((dated - ended_at).total_seconds(), (dated + _SECOND - began_at).total_seconds())
        except (ValueError, TypeError, OverflowError):
            return  # no date, or none that says its zone: nothing is learnt
        with self._lock:
            self._bounds = _narrowed(self._bounds, found)


@lru_cache(maxsize=4)
def _read_date(date: str) -> datetime:
    """Hundreds of answers a second say the same. Raises as parsedate_to_datetime."""
    return parsedate_to_datetime(date)


def _narrowed(before: ClockBounds | None, found: ClockBounds) -> ClockBounds:
    if before is None:
        return found
    both = ClockBounds(max(before.at_least, found.at_least), min(before.at_most, found.at_most))
    return both if both.at_least <= both.at_most else found  # one of the clocks was stepped: the last word counts


class Clocked(httpx.BaseTransport):
    """A transport that looks at the clock while it passes requests on."""

    def __init__(self, transport: httpx.BaseTransport, clock: PartnerClock) -> None:
        self._transport = transport
        self._clock = clock

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """As the transport below."""
        began_at = now()
        response = self._transport.handle_request(request)
        self._clock.note(began_at, now(), response.headers.get("Date"))
        return response
