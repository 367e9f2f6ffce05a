"""A ledger's file: one that cannot be believed counts as spent; one of other limits keeps what was sent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from partner_pipelines.errors import NewerSchemaError, StateError
from partner_pipelines.state.budget import Slot
from partner_pipelines.state.process import boot_id
from partner_pipelines_tests.state.support_ledger import MARGIN, FakeClock, open_ledger, send, wait_of


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget" / "elm-park.ledger"


# A file that cannot be believed


def _other_boot(content: bytes) -> bytes:
    return content.replace(boot_id().encode(), b"0" * 36)


def _older(content: bytes) -> bytes:
    return content[:8] + b"\0" + content[9:]


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "emptied": ("cut short", lambda content: content[:0]),
    "header cut": ("cut short", lambda content: content[:50]),
    "ring cut": ("cut short", lambda content: content[:-8]),
    "longer": ("added", lambda content: content + b"x"),
    "foreign": ("not a ledger", lambda content: b"x" * len(content)),
    "zeros": ("not a ledger", lambda content: bytes(len(content))),
    "older": ("version 0", _older),
    "other boot": ("booted", _other_boot),
    "nonsense sizes": ("not a ledger", lambda content: content[:12] + bytes(20) + content[32:]),
    "not numbers": ("not come yet", lambda content: content[:-8192] + b"\xff" * 8192),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_file_that_cannot_be_believed_counts_as_spent(path: Path, clock: FakeClock, what: str) -> None:
    ledger = open_ledger(path, clock)
    assert send(ledger, 3) == 3
    assert ledger.reset_reason is None
    reason, damage = DAMAGE[what]
    path.write_bytes(damage(path.read_bytes()))
    clock.now += 10
    for opened in (ledger, open_ledger(path, clock)):
        assert wait_of(opened) == pytest.approx(3600 + MARGIN)
    assert reason in str(ledger.reset_reason)
    clock.now += 3600 + MARGIN
    assert send(ledger, 99) == 10


def test_a_newer_versions_ledger_is_refused_and_left_alone(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    assert send(ledger, 1) == 1
    newer = path.read_bytes()[:8] + b"\x02" + path.read_bytes()[9:]
    path.write_bytes(newer)
    with pytest.raises(NewerSchemaError, match=r"was written by a newer version .*schema 2, this one knows 1"):
        ledger.take(deadline_seconds=60.0)
    assert path.read_bytes() == newer


def test_times_of_a_clock_that_was_ahead_count_as_spent(path: Path, clock: FakeClock) -> None:
    assert send(open_ledger(path, clock), 3) == 3
    clock.now -= 3600
    ledger = open_ledger(path, clock)
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN)
    assert "not come yet" in str(ledger.reset_reason)


def test_a_file_removed_while_it_is_used_counts_as_spent(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock)
    slot = ledger.take(deadline_seconds=60.0)
    assert isinstance(slot, Slot)
    path.unlink()
    ledger.settle(slot)
    assert wait_of(ledger) == pytest.approx(3600 + MARGIN)
    assert "removed" in str(ledger.reset_reason)


def test_a_slot_of_an_earlier_file_settles_nobody_elses(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "1/60")
    earlier = ledger.take(deadline_seconds=60.0)
    assert isinstance(earlier, Slot)
    path.unlink()
    other = open_ledger(path, clock, "1/60")
    assert isinstance(other.take(deadline_seconds=60.0), Slot)
    ledger.settle(earlier)
    clock.now += 59
    assert wait_of(other) == pytest.approx(60 + MARGIN)


def test_a_ledger_that_cannot_be_written_is_one_clear_line(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "budget").write_text("a file")
    with pytest.raises(StateError, match=r"cannot use the request ledger .*ledger: Not a directory"):
        open_ledger(tmp_path / "budget" / "x.ledger", clock).take(deadline_seconds=1.0)


# Other limits


def test_what_was_sent_counts_under_other_limits(path: Path, clock: FakeClock) -> None:
    assert send(open_ledger(path, clock, "30/60"), 99) == 30
    clock.now += 100
    assert send(open_ledger(path, clock, "35/3600"), 99) == 5
    assert send(open_ledger(path, clock, "30/60"), 99) == 25


def test_a_deadline_found_over_late_does_not_hide_what_was_settled_after_it(path: Path, clock: FakeClock) -> None:
    ledger = open_ledger(path, clock, "2/60")
    assert isinstance(ledger.take(deadline_seconds=5.0), Slot)
    settled = ledger.take(deadline_seconds=100.0)
    assert isinstance(settled, Slot)
    clock.now += 10
    ledger.settle(settled)
    assert wait_of(ledger) > 0
    clock.now += 56
    assert wait_of(open_ledger(path, clock, "1/60")) == pytest.approx(4 + MARGIN)


def test_a_ledger_that_remembers_less_than_the_new_window_doubts(path: Path, clock: FakeClock) -> None:
    """1,024 times are remembered; who sent 1,030 may have sent any number before them."""
    assert send(open_ledger(path, clock, "1000/1"), 6) == 6
    clock.now += 2
    for _ in range(2):
        assert send(open_ledger(path, clock, "1000/1"), 512, first_class=True) == 512
        clock.now += 2
    ledger = open_ledger(path, clock, "3000/3600")
    assert wait_of(ledger) > 3000
    assert ledger.reset_reason is None


def test_a_larger_file_keeps_what_is_in_flight(path: Path, clock: FakeClock) -> None:
    small = open_ledger(path, clock, "1000/60")
    slots = [small.take(deadline_seconds=60.0) for _ in range(7)]
    large = open_ledger(path, clock, "2000/60")
    assert send(large, 3000, first_class=True) == 2000 - 7
    for slot in slots:
        assert isinstance(slot, Slot)
        large.settle(slot)
    clock.now += 60 + MARGIN
    assert send(large, 3000, first_class=True) == 2000
