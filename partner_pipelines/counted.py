"""Counts as sentences say them: `1 row`, `2,000 rows`."""

from __future__ import annotations


def counted(count: int, one: str, many: str | None = None) -> str:
    """The count with its noun; `many` where the noun takes more than an s."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"
