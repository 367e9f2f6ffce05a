from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from partner_pipelines.clock import now


class SteppedClock(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> SteppedClock:
        return cls(1999, 1, 1, tzinfo=tz)


def test_now_is_aware_utc_and_close_to_the_wall_clock() -> None:
    moment = now()
    assert moment.utcoffset() == timedelta(0)
    assert abs(moment - datetime.now(UTC)) < timedelta(minutes=1)


def test_now_never_goes_back() -> None:
    moments = [now() for _ in range(1000)]
    assert moments == sorted(moments)


def test_a_step_of_the_wall_clock_moves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    before = now()
    monkeypatch.setattr("partner_pipelines.clock.datetime", SteppedClock)
    assert before <= now() < before + timedelta(minutes=1)
