"""A landed file that the disk has damaged: said once, set aside, asked for again; everything else goes on."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.landing import Landing
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.drift import sample_drift
from partner_pipelines.sync.house import open_house
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.expected import differences, sandbox_tables
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.webhooks import UPDATED, apply, body, receive

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from partner_pipelines.state.landing import LandedAnswer


def damage(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:200] + b"\xff" + content[201:])


@pytest.fixture
def disk_that_damages_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lands first of each connection is damaged at once."""
    damaged: set[str] = set()
    put = Landing.put

    def put_and_damage(self: Landing, connection: str, answers: Sequence[LandedAnswer]) -> Path:
        path = put(self, connection, answers)
        if connection not in damaged:
            damaged.add(connection)
            damage(path)
        return path

    monkeypatch.setattr(Landing, "put", put_and_damage)


def test_what_a_killed_sync_landed_and_the_disk_damaged_is_asked_for_again(program: Program) -> None:
    program.sandbox.settings(latency_ms=10)
    child = program.child("properties")
    directory = program.data.landing / "openmoove"
    wait_until(lambda: len(list(directory.glob("2*.jsonl"))) >= 3, 60)
    child.kill()
    child.communicate()
    landed = sorted(directory.glob("2*.jsonl"))
    program.sandbox.settings(latency_ms=0)
    damage(landed[0])
    landed[-1].write_bytes(b"")

    said = program.sync()
    aside = directory / "damaged"
    assert said.tables["openmoove.milestones"].failed == {
        "openmoove": f"2 landed files were damaged on the disk and are set aside in {aside}: "
        "what they held is asked for again; look at the disk, then remove them"
    }
    assert sorted(path.name for path in aside.iterdir()) == [landed[0].name, landed[-1].name]
    assert {stat.S_IMODE(path.stat().st_mode) for path in aside.iterdir()} == {0o600}
    assert all(result.failed == {} for name, result in said.tables.items() if name.startswith("resman."))
    assert differences(program, sandbox_tables(program)) == []
    again = program.sync()
    assert all(result.failed == {} for result in again.tables.values())
    assert again.asked("detail") == []


@pytest.mark.usefixtures("disk_that_damages_the_first")
def test_a_list_that_lost_a_page_on_the_disk_is_no_complete_list_and_stays_due(program: Program) -> None:
    said = program.sync("properties", "units")
    assert "damaged" in said.tables["openmoove.properties"].failed["openmoove"]
    assert "damaged" in said.tables["resman.units"].failed["resman"]
    assert program.column("SELECT count(*) FROM resman.units") == [0]
    assert program.query("FROM internal.listings") == []
    again = program.sync("properties", "units")
    assert all(result.failed == {} for result in again.tables.values())
    assert "/partners/properties/" in " ".join(again.paths)
    assert differences(program, sandbox_tables(program, "units")) == []


def test_damage_that_webhooks_meet_is_the_failure_of_the_connections_next_sync(program: Program) -> None:
    program.sync("units")
    (directory := program.data.landing / "resman").mkdir(parents=True, exist_ok=True)
    (directory / "20260101T000000000000Z-1-abcdef01-00000000.jsonl").write_bytes(b'{"schema":1,half')
    receive(program, body(UPDATED, 1, datetime.now(UTC)))
    apply(program)
    said = program.sync("units").tables["resman.units"].failed
    assert said["resman"].startswith(
        f"1 landed files were damaged on the disk and are set aside in {directory}/damaged"
    )
    assert program.sync("units").tables["resman.units"].failed == {}


def test_damage_that_the_daily_sample_meets_is_the_failure_of_the_next_sync(
    program: Program, request: pytest.FixtureRequest
) -> None:
    program.sync("properties")
    request.getfixturevalue("disk_that_damages_the_first")
    with Warehouse(program.data).writing() as database:
        database.execute("UPDATE openmoove.properties SET detail_fetched_at = now() - INTERVAL 2 HOUR")
    with open_house(program.settings(), run_id="drift", stop=StopSignal()) as house:
        assert sample_drift(house).compared
    said = program.sync("properties").tables["openmoove.properties"].failed
    assert "1 landed files were damaged" in said["openmoove"]
