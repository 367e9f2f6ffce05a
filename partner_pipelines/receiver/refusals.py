"""Deliveries that were refused, counted a minute, source and reason: a security event, in the trail."""

from __future__ import annotations

import ipaddress
from collections import Counter
from datetime import UTC, datetime

from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines.state.audit_trail import AuditTrail

EVENT = "webhook_refused"
SOURCES_A_MINUTE = 1_000
"""From then on, sources count together: whoever has many addresses shall not fill the trail."""

_OTHERS = "others"


class Refusals:
    """Counts in memory and writes now and then: a SIGKILL costs what came since `flush`."""

    def __init__(self, trail: AuditTrail) -> None:
        self._trail = trail
        self._counts: Counter[tuple[datetime, str, str, str]] = Counter()

    def note(self, partner: str, source: str, reason: str) -> None:
        """One more."""
        minute = datetime.now(UTC).replace(second=0, microsecond=0)
        key = (minute, partner, _address(source), reason)
        if key not in self._counts and len(self._counts) >= SOURCES_A_MINUTE:
            key = (minute, partner, _OTHERS, reason)
        self._counts[key] += 1

    def flush(self) -> None:
        """What was counted is in the trail; what cannot be written is kept for the next time."""
        while self._counts:
            key, count = self._counts.popitem()
            minute, partner, source, reason = key
            facts = {"minute": minute, "partner": partner, "source": source, "reason": reason, "count": count}
            try:
                self._trail.record_event(EVENT, facts)
            except AuditUnavailableError:
                self._counts[key] += count
                return


def _address(source: str) -> str:
    """The address, if it is one: a proxy's header may hold anything."""
    try:
        return str(ipaddress.ip_address(source))
    except ValueError:
        return "unknown"
