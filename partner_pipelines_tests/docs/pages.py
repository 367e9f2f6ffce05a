"""What the pages say, taken apart: code blocks, commands, options, variables, links."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "data" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAM = ".venv/bin/partner-pipelines"

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return [text for found, text in _BLOCK.findall(page.read_text()) if found == language]


def commands(page: Path) -> list[str]:
    """The command lines of a page's `sh` blocks; one that is quoted over several lines is one."""
    lines: list[str] = []
    for block in blocks(page, "sh"):
        waiting = ""
        for line in block.splitlines():
            waiting = f"{waiting}\n{line}" if waiting else line
            if _is_whole(waiting):
                lines.append(waiting)
                waiting = ""
        assert not waiting, f"{page.name}: a quotation without end: {waiting}"
    return lines


def _is_whole(line: str) -> bool:
    try:
        shlex.split(line)
    except ValueError:
        return False
    return True


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def code_spans(page: Path) -> list[str]:
    """What stands between single backticks."""
    return re.findall(r"`([^`\n]+)`", _BLOCK.sub("", page.read_text()))


def links(page: Path) -> list[str]:
    return re.findall(r"\]\(([^)]+)\)", page.read_text())


def variables(page: Path) -> set[str]:
    """The settings that a page names."""
    return set(re.findall(r"\b(?:PARTNER|RESMAN|OPENMOOVE)_[A-Z_]*[A-Z]\b", page.read_text()))
