"""A data directory that everybody may read becomes the group's, and stays so while more is published."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from partner_pipelines.warehouse.group import open_to_group
from partner_pipelines.warehouse.publish import publish
from partner_pipelines_tests.warehouse.support import Yard, a_unit

GROUP = 12321 if os.geteuid() == 0 else os.getegid()


def modes(yard: Yard) -> dict[str, tuple[int, int]]:
    """Group and mode of what the group passes on its way, and of the stamp beside it."""
    ways = ("", "environment.json", "warehouse", "warehouse/published")
    found = {way: (yard.data.root / way).stat() for way in ways}
    return {way: (status.st_gid, stat.S_IMODE(status.st_mode)) for way, status in found.items()}


def test_what_was_open_to_everybody_is_the_groups_and_stays_so(yard: Yard) -> None:
    publish(yard.warehouse)
    before = modes(yard)
    assert {mode for _, mode in before.values()} == {0o755, 0o644}
    reports = yard.data.weekly_report.parent
    reports.mkdir(0o755)
    strange = yard.data.root / "somebody's"
    strange.mkdir(0o755)
    owner = before["environment.json"][0]
    for number in (1, 2):
        open_to_group(yard.data, GROUP)
        yard.merge(yard.resman(number, "resman.units", a_unit(number)))
        version = publish(yard.warehouse)
        assert modes(yard) == {
            "": (GROUP, 0o710),
            "environment.json": (owner, 0o600),
            "warehouse": (GROUP, 0o710),
            "warehouse/published": (GROUP, 0o750),
        }
        assert stat.S_IMODE(version.stat().st_mode) == 0o444
        assert stat.S_IMODE(strange.stat().st_mode) == 0o700
        assert (reports.stat().st_gid, stat.S_IMODE(reports.stat().st_mode)) == (GROUP, 0o750)


def test_a_new_data_directory_is_the_groups_from_the_start(tmp_path: Path) -> None:
    yard = Yard(tmp_path / "new")
    open_to_group(yard.data, GROUP)
    assert [path.name for path in yard.data.published.parent.iterdir()] == []
    assert modes(yard)["warehouse/published"] == (GROUP, 0o750)
    assert not yard.data.weekly_report.parent.exists()
