"""The questions of docs/queries.md and their SQL."""

from __future__ import annotations

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "queries.md"
_QUESTION = re.compile(r"^## (\d+)\. ([^\n]+)\n\n```sql\n(.*?)```", re.MULTILINE | re.DOTALL)


def queries() -> dict[int, str]:
    """The SQL of each question, by its number."""
    return {int(number): sql for number, _, sql in _QUESTION.findall(PAGE.read_text())}
