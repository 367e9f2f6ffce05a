"""The SQL files of this room, by name."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files


@lru_cache(maxsize=100)
def sql(name: str) -> str:
    """The text of `warehouse/sql/NAME.sql`."""
    return files("partner_pipelines.warehouse").joinpath("sql", f"{name}.sql").read_text(encoding="utf-8")
