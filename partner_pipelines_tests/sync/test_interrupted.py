"""Work that cannot go on: it says why, keeps what came, asks nothing without a trail, and can be mended."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines.errors import AuditUnavailableError, PartnerPipelinesError, StateError, StoppedError
from partner_pipelines.state.audit_verify import verify
from partner_pipelines.state.stop import StopSignal
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.expected import differences, openmoove_tables
from partner_pipelines_tests.sync.program import Program, intents, read_trail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from partner_pipelines_tests.sandbox_process import SandboxProcess
    from partner_pipelines_tests.sync.conftest import Sandboxes

AT_MOST_AGAIN = 50


@pytest.fixture
def sandbox(sandboxes: Sandboxes) -> Iterator[SandboxProcess]:
    """One that takes its time, so that there is a middle."""
    sandbox = sandboxes.take("--properties", "60", "--latency-ms", "10")
    yield sandbox
    sandboxes.give_back(sandbox)


class Running:
    """A sync in a thread."""

    def __init__(self, program: Program, *what: str) -> None:
        self.stop = StopSignal()
        self.error: BaseException | None = None
        self._program = program
        self._what = what
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def wait_for_requests(self, count: int) -> None:
        """Until the sandbox has seen so many."""
        stats = self._program.sandbox
        wait_until(lambda: len(stats.log()) >= count, 30)

    def wait(self, deadline_seconds: float = 60) -> BaseException | None:
        """How it ended."""
        self._thread.join(deadline_seconds)
        assert not self._thread.is_alive(), "it does not end"
        return self.error

    def _run(self) -> None:
        try:
            self._program.sync(*self._what, stop=self.stop)
        except PartnerPipelinesError as error:
            self.error = error


def answers(sandbox: SandboxProcess) -> list[str]:
    """The paths of all details and milestones that the sandbox has given."""
    return [
        entry["path"]
        for entry in sandbox.log()
        if entry["status"] == 200 and entry["path"].endswith(("/detail/", "/milestones/"))
    ]


def asked_again(sandbox: SandboxProcess) -> int:
    """How many answers of properties the sandbox has given more than once."""
    given = answers(sandbox)
    return len(given) - len(set(given))


def check_completes(program: Program) -> None:
    """The next sync completes, and re-asks no more than may have been lost."""
    program.sandbox.settings(latency_ms=0)
    synced = program.sync("properties", "calls")
    assert all(result.failed == {} for result in synced.tables.values())
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []
    assert asked_again(program.sandbox) <= AT_MOST_AGAIN


def check_audit(program: Program) -> None:
    """Every request is there; what is there besides (an intent, then no way to go on) is `unknown`."""
    logged = {entry["request_id"] for entry in program.sandbox.log()}
    assert logged <= set(program.column("SELECT request_id FROM audit.api_calls"))
    assert logged >= set(program.column("SELECT request_id FROM audit.api_calls WHERE outcome <> 'unknown'"))


def test_a_stop_ends_the_sync_soon_and_what_was_landed_stays(program: Program) -> None:
    running = Running(program, "properties")
    running.wait_for_requests(60)
    running.stop.request("the test said so")
    began = time.monotonic()
    error = running.wait()
    assert isinstance(error, StoppedError)
    assert str(error) == "stopped: the test said so"
    assert time.monotonic() - began < 10
    assert len(answers(program.sandbox)) < 120
    program.sandbox.settings(latency_ms=0)
    program.sync("properties")
    # Nothing that came before the stop was lost: only what was cut off is asked for now
    assert len(answers(program.sandbox)) == 120
    assert asked_again(program.sandbox) == 0
    assert differences(program, openmoove_tables(program.sandbox.rows("openmoove_properties"))) == []


def test_a_stop_before_the_first_request_asks_nothing(program: Program) -> None:
    stop = StopSignal()
    stop.request("already")
    with pytest.raises(StoppedError):
        program.sync("properties", stop=stop)
    assert program.sandbox.log() == []


def test_a_stop_while_the_partner_makes_us_wait_ends_the_wait(program: Program) -> None:
    program.sandbox.fault("status", path="/api/units", status=429, headers={"Retry-After": "50"})
    running = Running(program, "units")
    running.wait_for_requests(2)
    running.stop.request("enough")
    began = time.monotonic()
    assert isinstance(running.wait(), StoppedError)
    assert time.monotonic() - began < 10


def test_an_audit_directory_that_is_taken_away_stops_all_calls(program: Program, tmp_path: Path) -> None:
    running = Running(program, "properties")
    running.wait_for_requests(40)
    (program.data.root / "audit").rename(tmp_path / "taken")
    error = running.wait()
    assert isinstance(error, AuditUnavailableError)
    assert "audit trail" in str(error)
    asked = {entry["request_id"] for entry in program.sandbox.log()}
    assert asked <= intents(read_trail(tmp_path / "taken" / "segments")).keys()
    # Nobody makes a new one silently: this process asks nothing until it is mended
    with pytest.raises(AuditUnavailableError):
        program.sync("properties")
    assert len(program.sandbox.log()) == len(asked)
    (tmp_path / "taken").rename(program.data.root / "audit")
    check_completes(program)
    check_audit(program)
    assert verify(program.data.segments).problems == []


def replaced(path: Path) -> Callable[[], None]:
    """The directory is a file from now on, as no writer can live with; returns the way back."""
    aside = path.with_name(f"{path.name}-aside")
    path.rename(aside)
    path.write_text("in the way")

    def mend() -> None:
        path.unlink()
        aside.rename(path)

    return mend


@pytest.mark.parametrize("place", ["state/landing/openmoove", "state/vault", "audit/segments"])
def test_a_directory_that_cannot_be_written_any_more_is_a_clear_error_and_nothing_is_lost(
    program: Program, place: str
) -> None:
    running = Running(program, "properties")
    running.wait_for_requests(40)
    mend = replaced(program.data.root / place)
    error = running.wait()
    assert isinstance(error, StateError)
    assert place in str(error)
    mend()
    check_completes(program)
    check_audit(program)


def test_a_state_error_of_the_landing_is_not_hidden_by_a_partners_error(program: Program) -> None:
    (program.data.root / "state").mkdir(exist_ok=True)
    (program.data.root / "state" / "landing").write_text("in the way")
    program.sandbox.fault("status", path="/api/units", status=400, skip=1)
    with pytest.raises(StateError, match="landing"):
        program.sync("units")


def test_a_warehouse_that_cannot_be_opened_is_a_clear_error_and_what_came_is_merged_later(program: Program) -> None:
    running = Running(program, "properties")
    running.wait_for_requests(40)
    mend = replaced(program.data.warehouse)
    error = running.wait()
    assert isinstance(error, StateError)
    assert "warehouse" in str(error)
    mend()
    check_completes(program)
    assert asked_again(program.sandbox) == 0


def test_children_under_a_full_disk_say_so_and_the_next_sync_completes(program: Program) -> None:
    # Files of this process may not grow over 300 kB: the database, the trail, the landing, whichever is first
    ended = program.child("properties", env={"SYNC_FILE_SIZE": "300000"})
    out, complaints = ended.communicate(timeout=60)
    assert ended.returncode == 1, out + complaints
    assert complaints == ""
    assert out.removeprefix("ready\n").startswith(("StateError: ", "AuditUnavailableError: ", "WarehouseError: "))
    logged = {entry["request_id"] for entry in program.sandbox.log()}
    assert logged <= intents(program.trail()).keys()
    check_completes(program)


def test_a_child_that_is_told_to_end_ends_with_the_word_of_it(program: Program) -> None:
    child: Any = program.child("properties")
    wait_until(lambda: len(program.sandbox.log()) > 20, 30)
    child.terminate()
    out, complaints = child.communicate(timeout=30)
    assert (out, complaints, child.returncode) == ("ready\nStoppedError: stopped: SIGTERM came\n", "", 1)
    check_completes(program)
    # It closed its segment: no call of it is unknown
    assert program.column("SELECT count(*) FROM audit.api_calls WHERE outcome = 'unknown'") == [0]
