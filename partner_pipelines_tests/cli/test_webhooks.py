"""`webhooks`: dead letters are listed, tried again, dropped; and what the receiver takes reaches a sync."""

from __future__ import annotations

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from partner_pipelines.settings import load_settings
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.files import locked
from partner_pipelines.state.inbox import Inbox
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.webhooks import apply_webhooks
from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.receiver.process import event, signature
from partner_pipelines_tests.sandbox_process import wait_until

SECRETS = "whsec-current"


@pytest.fixture
def dead(program: Program) -> Program:
    """Two dead letters: one that is no JSON, one that nobody signed."""
    data = open_data_directory(program.place, "sandbox")
    inbox = Inbox(data.webhooks, data.key("webhooks"))
    inbox.make()
    inbox.put("openmoove", {}, b"ada.canary@example.com", datetime.now(UTC))
    _drop(inbox.directory / "drop.json", event(5))
    _apply(program)
    return program


def _drop(path: Path, body: bytes, **headers: str) -> None:
    content = {
        "headers": headers,
        "body_base64": base64.b64encode(body).decode(),
        "received_at": "2026-01-01T00:00:00Z",
    }
    path.write_text(json.dumps(content))


def _apply(program: Program) -> None:
    variables = {"PARTNER_DATA_DIR": str(program.place), "OPENMOOVE_WEBHOOK_SECRETS": SECRETS}
    with open_house(load_settings(variables), run_id=None, stop=StopSignal()) as house:
        apply_webhooks(house)


def _listed(program: Program) -> dict[str, str]:
    finished = program.run("webhooks", "list", "--json")
    assert finished.returncode == 0, finished.stderr
    assert "canary" not in finished.stdout
    return {one["reason"]: one["id"] for one in json.loads(finished.stdout.splitlines()[-1])["dead_letters"]}


def _states(program: Program) -> dict[str, int]:
    finished = program.run(
        "query", "--format", "json", "SELECT state, count(*) AS n FROM audit.webhook_deliveries GROUP BY ALL"
    )
    return {row["state"]: row["n"] for row in json.loads(finished.stdout)}


def test_dead_letters_are_listed_replayed_and_dropped(dead: Program) -> None:
    listed = _listed(dead)
    assert set(listed) == {"not_json", "unsigned"}
    twice = dead.run("webhooks", "drop", listed["not_json"], listed["not_json"])
    assert (twice.returncode, twice.stdout) == (0, "1 dropped\n")
    _sign_what_is_dead(dead)
    assert dead.run("webhooks", "replay", "--all").returncode == 0
    assert _listed(dead) == {}
    assert _states(dead) == {"dropped": 1, "replayed": 1}
    _apply(dead)
    assert _states(dead) == {"dropped": 1, "replayed": 1, "waiting": 1}


def test_a_replay_that_is_killed_while_it_waits_for_the_warehouse_leaves_letters_that_can_be_worked_off(
    dead: Program,
) -> None:
    lock = dead.place / "warehouse" / "writer.lock"
    with locked(lock), dead.started("webhooks", "replay", "--all") as replay:
        wait_until(lambda: _has_open(replay.pid, lock), 60)
        replay.kill()
        replay.wait()
    assert _states(dead) == {"dead_lettered": 2}
    assert set(_listed(dead)) == {"not_json", "unsigned"}
    assert dead.run("webhooks", "drop", "--all").returncode == 0
    assert _states(dead) == {"dropped": 2}


def test_a_replay_that_is_killed_once_the_table_says_so_loses_no_letter(dead: Program) -> None:
    link = dead.place / "warehouse" / "published" / "current.duckdb"
    before = link.readlink()
    with dead.started("webhooks", "replay", "--all") as replay:
        wait_until(lambda: link.readlink() != before, 60)
        replay.kill()
        replay.wait()
    assert _states(dead) == {"replayed": 2}
    letters = [path for place in ("dead_letter", "inbox") for path in (dead.place / "webhooks" / place).iterdir()]
    assert len(letters) == 2
    assert dead.run("webhooks", "replay", "--all").returncode == 0
    assert _listed(dead) == {}
    assert len(list((dead.place / "webhooks" / "inbox").iterdir())) == 2


def _has_open(pid: int, path: Path) -> bool:
    with suppress(FileNotFoundError):  # a descriptor that was closed meanwhile
        return any(entry.resolve() == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _sign_what_is_dead(program: Program) -> None:
    (letter,) = (program.place / "webhooks" / "dead_letter").iterdir()
    _drop(letter, event(5), **{"X-OpenMoove-Signature": signature(event(5), SECRETS)})


@pytest.mark.parametrize("words", [("replay",), ("drop",), ("drop", "--all", "nope"), ("replay", "nope")])
def test_what_is_to_be_done_must_be_said(dead: Program, words: tuple[str, ...]) -> None:
    finished = dead.run("webhooks", *words)
    assert finished.returncode == 2
    assert "webhooks list" in only_line(finished)
    assert len(_listed(dead)) == 2


def test_with_no_dead_letters_there_is_nothing_to_list(program: Program) -> None:
    finished = program.run("webhooks", "list")
    assert (finished.returncode, finished.stdout) == (0, "No dead letters.\n")
    assert not program.place.exists()
