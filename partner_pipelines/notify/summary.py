"""One message for many incidents that came, or went, together."""

from __future__ import annotations

from collections.abc import Sequence

from partner_pipelines.notify.incidents import Incident

_NAMED = 20


def summary(incidents: Sequence[Incident], *, over: bool) -> tuple[str, str]:
    """Title and body."""
    count = f"{len(incidents)} more alert{'s' if len(incidents) != 1 else ''}"
    if over:
        return f"over: {count}", "\n".join((*_lines(incidents), "These were told in one message and are over."))
    todo = (
        "They came at once, so they are told in one message; look for one cause first. What to do: docs/recovery.md. "
        "`partner-pipelines sync` and Dagster's UI show each; each is an event `notification` of the audit trail."
    )
    return f"… and {count}, see below", "\n".join((*_lines(incidents), todo))


def _lines(incidents: Sequence[Incident]) -> list[str]:
    ordered = sorted(incidents, key=lambda each: (each.since, each.title))
    lines = [f"- {each.title} (since {each.since})" for each in ordered[:_NAMED]]
    left = len(ordered) - _NAMED
    return [*lines, f"- … and {left} others"] if left > 0 else lines
