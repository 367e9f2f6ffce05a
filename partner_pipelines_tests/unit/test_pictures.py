"""Pictures are drawn of whatever there is, nothing at all included: as PNG, of their size, without a warning."""

from __future__ import annotations

import struct
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from partner_pipelines.pictures.bars import MOST, Bar, BarChart, top_and_others
from partner_pipelines.pictures.drawing import DARK, LIGHT, Theme
from partner_pipelines.pictures.freshness import Freshness, draw_freshness
from partner_pipelines.pictures.health import Hour, draw_health
from partner_pipelines.pictures.rents import RentChart, RentLine

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


HOSTILE = [
    "$x_{$",
    "</text><script>",
    "_hidden",
    "a\nb\x1b[31m",
    "\u202eelif",
    "\u4e2d\u6587 \U0001f3e0",
    "x" * 500,
    "",
    "\\$\\frac$",
]
BARS = {
    "no bar": ([], ()),
    "one": ([Bar("Elm Park", (3,), "3 of 9")], ()),
    "all of length nothing": ([Bar("Elm Park", (0,), "0"), Bar("Oak Lane", (0,), "0")], ()),
    "hostile names": ([Bar(name, (2, 3), name[:20]) for name in HOSTILE], HOSTILE[:2]),
    "as many as fit": ([Bar(f"Property {n}", (n, 0.5), f"{n:,}") for n in range(MOST)], ("on time", "late")),
}


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
@pytest.mark.parametrize(("bars", "legend"), BARS.values(), ids=BARS)
def test_bars(tmp_path: Path, bars: list[Bar], legend: tuple[str, ...], theme: Theme) -> None:
    picture = BarChart("How many", bars, "nothing to count", legend).draw(tmp_path, theme)
    width, height = size_of(picture)
    assert width == 810
    assert height > 30 * max(len(bars), 1)
    assert len(picture) < 60_000


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [RentLine("Elm Park", [(date(2026, 11, 22), 1450.0)])],
        [RentLine("from before and later", [(date(2024, 2, 29), 1.0), (date(2026, 12, 24), 9e9)])],
        [
            RentLine(name, [(date(2026, 9, 1 + n), 1000.0 + n), (date(2026, 11, 1), 1100.0)])
            for n, name in enumerate(HOSTILE)
        ],
    ],
    ids=["no line", "one day", "years", "hostile names"],
)
def test_rents(tmp_path: Path, lines: list[RentLine]) -> None:
    chart = RentChart("Rents", lines, date(2026, 11, 22), "no rent is known")
    for theme in (LIGHT, DARK):
        width, height = size_of(chart.draw(tmp_path, theme))
        assert width == 810
        assert height > 400


def test_of_hundreds_the_first_have_a_row_each_and_the_others_one_together() -> None:
    rows = [(f"p{n}", n) for n in range(500, 0, -1)]
    first = top_and_others(rows, lambda rest: (f"others ({len(rest)})", sum(count for _, count in rest)))
    assert len(first) == MOST == 12
    assert first[:2] == [("p500", 500), ("p499", 499)]
    assert first[-1] == ("others (489)", 489 * 490 // 2)
    assert top_and_others(rows[:MOST], lambda rest: rest[0]) == rows[:MOST]


def test_who_does_not_see_a_picture_is_told_its_figures() -> None:
    bars = [Bar(f"p{n}", (n,), str(n)) for n in range(8)]
    assert BarChart("Free", bars, "").alt == "Free: p0 0; p1 1; p2 2; p3 3; p4 4; p5 5; and 2 more"
    assert BarChart("Free", [], "no unit is known").alt == "Free: no unit is known"
    line = RentLine("Elm", [(date(2026, 1, 1), 1.0), (date(2026, 2, 1), 1234.4)])
    assert RentChart("Rent", [line], date(2026, 3, 1), "").alt == "Rent, on 01 March 2026: Elm 1,234"
