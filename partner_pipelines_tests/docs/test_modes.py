"""Who may read what: every file and directory of a finished demo has the mode that docs/design.md gives it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.docs.pages import ROOT

PRIVATE_DIRECTORY = 0o700
PUBLIC_DIRECTORIES = {".", "warehouse", "warehouse/published", "reports"}
SHUT = "dagster"

_ROW = re.compile(r"^\| ((?:`[^`]+`(?:, )?)+) \|.*\| (0\d{3}) \|$", re.MULTILINE)
_CAPITALS = re.compile(r"[A-Z]{2,}(?:_[A-Z]+)*")


def modes() -> list[tuple[re.Pattern[str], int]]:
    """The page's table: what a path looks like, and the mode of the files there; the most telling first."""
    table = (ROOT / "docs" / "design.md").read_text().partition("## What is where")[2].partition("\n## ")[0]
    found = {}
    for paths, mode in _ROW.findall(table):
        for path in re.findall(r"`([^`]+)`", paths):
            found[path] = int(mode, 8)
    assert len(found) >= 12
    return [(_pattern(path), found[path]) for path in sorted(found, key=len, reverse=True)]


def _pattern(path: str) -> re.Pattern[str]:
    words = "[^/]+".join(map(re.escape, _CAPITALS.split(path)))
    return re.compile(f"{words}.*" if path.endswith("/") else words)


def entries(directory: Path) -> Iterator[Path]:
    """Everything below, but for what is below Dagster's own directory."""
    for entry in sorted(directory.iterdir()):
        yield entry
        if entry.is_dir() and entry.name != SHUT:
            yield from entries(entry)


def wrong_modes(place: Path) -> list[str]:
    """Each file and directory whose mode is not the page's."""
    table = modes()
    found = []
    for entry in (place, *entries(place)):
        name = entry.relative_to(place).as_posix()
        mode = stat.S_IMODE(entry.lstat().st_mode)
        if entry.is_symlink():
            continue  # a link has no mode of its own
        if entry.is_dir():
            expected = 0o755 if name in PUBLIC_DIRECTORIES else PRIVATE_DIRECTORY
        else:
            expected = next((mode for pattern, mode in table if pattern.fullmatch(name)), -1)
        if mode != expected:
            found.append(f"{name} is {mode:o}, the page says {expected:o}")
    return found


def test_every_mode_is_as_the_page_says(demo: FinishedDemo) -> None:
    names = [entry.name for entry in entries(demo.data)]
    assert {"working.duckdb", "vault.sqlite", "environment.json", "current.duckdb", SHUT} <= set(names)
    assert wrong_modes(demo.data) == []


def test_the_search_finds_a_mode_that_is_not_the_pages(tmp_path: Path) -> None:
    (tmp_path / "warehouse").mkdir(0o755)
    (tmp_path / "warehouse" / "working.duckdb.wal").touch(0o644)
    (tmp_path / "state").mkdir(0o755)
    (tmp_path / "stray").touch(0o600)
    tmp_path.chmod(0o755)
    for path in ("state", "warehouse", "warehouse/working.duckdb.wal"):
        (tmp_path / path).chmod(0o644 if path.endswith("wal") else 0o755)
    assert wrong_modes(tmp_path) == [
        "state is 755, the page says 700",
        "stray is 600, the page says -1",
        "warehouse/working.duckdb.wal is 644, the page says 600",
    ]
