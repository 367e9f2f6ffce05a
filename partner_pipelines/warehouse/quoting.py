"""Names, texts and stamps as SQL has them."""

from __future__ import annotations

from collections.abc import Iterable


def quoted(name: str) -> str:
    """An identifier; `schema.table` as its two parts."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in name.split("."))


def literal(text: str) -> str:
    """A text of the specs as SQL."""
    return "'" + text.replace("'", "''") + "'"


def proven(stamp: str) -> str:
    """A stored stamp as far as it proves something (sql/proven.sql). Parameter: $latest."""
    return f"proven({stamp}, $latest)"


def commas(parts: Iterable[str]) -> str:
    """A list, an item a line."""
    return ",\n    ".join(parts)
