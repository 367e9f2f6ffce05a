"""What pyproject.toml asks for is used, and the lock file holds it."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
# What no file imports, and why it is asked for all the same
NOT_IMPORTED = {
    "python-dotenv": "its module is called dotenv",
    "pillow": "its module is called PIL",
    "pandas": "for those who read the warehouse: `.df()`",
    "pytz": "DuckDB returns TIMESTAMPTZ through it",
}


def _name(requirement: str) -> str:
    match = re.match(r"[\w.-]+", requirement)
    assert match is not None
    return match[0]


@pytest.mark.parametrize("name", [_name(each) for each in PROJECT["dependencies"] if _name(each) not in NOT_IMPORTED])
def test_every_dependency_is_used_by_the_program(name: str) -> None:
    module = name.replace("-", "_")
    uses = re.compile(rf"^\s*(?:import|from) {module}\b|\"{module}\"", re.MULTILINE)
    assert any(uses.search(path.read_text()) for path in (ROOT / "partner_pipelines").rglob("*.py"))


def test_the_lock_file_pins_every_dependency_by_hash_and_names_no_index() -> None:
    pinned = set(re.findall(r"^([\w.-]+)(?:\[[\w,]+\])?==", LOCK, re.MULTILINE))
    asked = {_name(each) for each in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])}
    assert asked <= pinned
    assert "://" not in LOCK
    for block in re.split(r"\n(?=\w)", LOCK):
        assert "--hash=sha256:" in block, block.partition("\n")[0]
