"""Pictures are drawn of whatever there is, nothing at all included: as PNG, of their size, without a warning."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.pictures.freshness import Freshness, draw_freshness
from partner_pipelines.pictures.health import Hour, draw_health

START = datetime(2026, 11, 22, tzinfo=UTC)


def size_of(picture: bytes) -> tuple[int, int]:
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


@pytest.mark.parametrize(
    "found",
    [
        [],
        [Freshness("elm", [], {}, None)],
        [Freshness("elm", [None, None], {"new": 4.0}, 0.1)],
        [Freshness("elm", [0.001, 5.0, 5000.0, None], {"list": 20.0}, None), Freshness("oak", [1.0], {}, 0.0)],
    ],
    ids=["nothing", "no property", "none read", "all kinds"],
)
def test_freshness(tmp_path: Path, found: list[Freshness]) -> None:
    assert size_of(draw_freshness(found, tmp_path)) == (810, 324)


@pytest.mark.parametrize(
    "hours",
    [
        [],
        [Hour(START, 1, 1, None, None, None)],
        [Hour(START + timedelta(hours=n), 9, n, 1.0, 2.0, 3.0) for n in range(9)],
    ],
    ids=["no hour", "one without answer", "nine"],
)
def test_health(tmp_path: Path, hours: list[Hour]) -> None:
    spent = {"elm": [(hour.begins, 0.5) for hour in hours]}
    assert size_of(draw_health(hours, spent, tmp_path)) == (1080, 324)
    assert size_of(draw_health(hours, {}, tmp_path)) == (1080, 324)
