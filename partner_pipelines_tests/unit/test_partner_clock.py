"""How far a partner's clock is ahead, out of dates that name seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from partner_pipelines.sync.partner_clock import PartnerClock

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("ahead", [-3600.0, -0.4, 0.0, 0.3, 7200.25])
def test_the_bounds_hold_the_distance_and_come_close(ahead: float) -> None:
    clock = PartnerClock()
    for number in range(100):
        began = AT + timedelta(seconds=number * 1.037)
        answered = began + timedelta(seconds=0.01 + ahead)
        clock.note(
            began, began + timedelta(seconds=0.02), format_datetime(answered.replace(microsecond=0), usegmt=True)
        )
    assert clock.bounds is not None
    assert clock.bounds.at_least <= ahead <= clock.bounds.at_most
    assert clock.bounds.at_most - clock.bounds.at_least < 0.1


@pytest.mark.parametrize("date", [None, "", "soon", "Sun, 01 Mar 2026 12:00:00"])
def test_without_a_date_nothing_is_learnt(date: str | None) -> None:
    clock = PartnerClock()
    clock.note(AT, AT, date)
    assert clock.bounds is None


def test_after_a_step_the_last_word_counts() -> None:
    clock = PartnerClock()
    for ahead in (0, 3600):
        clock.note(AT, AT, format_datetime(AT + timedelta(seconds=ahead), usegmt=True))
    assert clock.bounds is not None
    assert (clock.bounds.at_least, clock.bounds.at_most) == (3600, 3601)
