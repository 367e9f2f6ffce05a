"""Values as people read them, and a partner's text made harmless to look at."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

NONE = "\N{EN DASH}"
NO_FIRM = "no firm named"


def text(value: object) -> str:
    """On one line, without what steers a terminal or turns the direction of writing. The template escapes it."""
    line = "" if value is None else " ".join(str(value).split())
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in line) or NONE


def number(value: float | None, places: int = 0) -> str:
    """1,234."""
    return NONE if value is None else f"{value:,.{places}f}"


def percent(share: float | None) -> str:
    """A share, 0 to 1, as 12.3 %."""
    return NONE if share is None else f"{100 * share:.1f} %"


def days(value: float | None) -> str:
    """4.2 d, 31 d."""
    return NONE if value is None else f"{value:,.{0 if value >= 10 else 1}f} d"


def moment(value: datetime | str | None, zone: ZoneInfo) -> str:
    """22 Nov 2026 18:04 GMT, in the zone. A time that is no datetime in UTC comes from DuckDB as text, and stays so."""
    if isinstance(value, str):
        return text(value)
    return NONE if value is None else f"{value.astimezone(zone):%d %b %Y %H:%M %Z}"
