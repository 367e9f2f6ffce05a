"""What is drawn of the marts' answers: the right rows in the right order, whatever they hold and however many."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest

from partner_pipelines.pictures.bars import BarChart
from partner_pipelines.pictures.rents import RentChart
from partner_pipelines.report.charts import CHARTS, Ask, Rows

START = date(2026, 9, 1)
NO_LEADS = [(None,) * 9]


def answers(**found: Rows) -> Ask:
    """By a word that the query has."""

    def ask(query: str) -> Rows:
        return next((rows for word, rows in found.items() if word in query), [])

    return ask


def bars(mart: str, **found: Rows) -> BarChart:
    chart = CHARTS[f"marts.{mart}"](answers(**found))
    assert isinstance(chart, BarChart)
    return chart


def rents(rows: Rows) -> RentChart:
    chart = CHARTS["marts.rent_history"](answers(rent_history=rows))
    assert isinstance(chart, RentChart)
    return chart


@pytest.mark.parametrize("mart", CHARTS)
def test_where_there_is_no_row_it_says_so(mart: str, tmp_path: Path) -> None:
    found: dict[str, Rows] = {"lead_funnel": NO_LEADS, "finished_at IS NOT NULL": [(0,)]}
    chart = CHARTS[mart](answers(**found))
    assert chart.alt.split(": ")[-1] == chart.nothing
    assert chart.draw(tmp_path)


def test_of_hundreds_of_properties_the_largest_have_a_line_each_and_the_others_their_mean() -> None:
    rows = [
        (f"c/{n:03}", f"Property {n}", 200 - n, START + timedelta(days=day), 1000.0 + n + day, 200 - n)
        for n, day in itertools.product(range(200), (0, 7))
    ]
    chart = rents(rows)
    assert [line.label for line in chart.lines] == [*(f"Property {n}" for n in range(5)), "others (195)"]
    assert chart.lines[0].steps == [(START, 1000.0), (START + timedelta(days=7), 1007.0)]
    # The mean of 1000 + n over 200 - n units each
    mean = sum((1000 + n) * (200 - n) for n in range(5, 200)) / sum(200 - n for n in range(5, 200))
    assert [day for day, _ in chart.lines[-1].steps] == [START, START + timedelta(days=7)]
    assert [rent for _, rent in chart.lines[-1].steps] == pytest.approx([mean, mean + 7])


def test_the_mean_of_several_holds_what_did_not_change_that_day() -> None:
    first = [(f"c/{n}", f"P{n}", 9, START, 1.0, 9) for n in range(5)]
    later = START + timedelta(days=3)
    others = [("c/x", "X", 2, START, 100.0, 2), ("c/x", "X", 2, later, 0.0, 0), ("c/y", "Y", 1, later, 400.0, 1)]
    assert rents([*first, *others]).lines[-1].steps == [(START, 100.0), (later, 400.0)]


def test_vacancy_has_its_figures_and_the_others_theirs_together() -> None:
    chart = bars("unit_availability", vacancy=[], unit_availability=[(f"P{n}", 1, 4 + n) for n in range(100)])
    assert len(chart.bars) == 12
    assert (chart.bars[0].label, chart.bars[0].parts, chart.bars[0].words) == ("P0", (25.0,), "25.0 %, 1 of 4")
    units = sum(4 + n for n in range(11, 100))
    assert (chart.bars[-1].label, chart.bars[-1].words) == ("others (89)", f"{8900 / units:.1f} %, 89 of {units}")


def test_the_funnel_counts_each_status_and_the_unknown_ones_only_if_there_are_any() -> None:
    chart = bars("lead_funnel", lead_funnel=[(10, 4, 3, 2, 0, 0, 1, 0, 0)])
    told = {bar.label: bar.words for bar in chart.bars}
    assert chart.title == "Lead funnel: where 10 leads stand"
    assert list(told) == ["new", "contacted", "qualified", "tour scheduled", "application", "leased", "lost"]
    assert (told["new"], told["tour scheduled"], told["leased"]) == ("4, 40.0 %", "0, 0.0 %", "1, 10.0 %")
    assert bars("lead_funnel", lead_funnel=[(1, 0, 0, 0, 0, 0, 0, 0, 1)]).bars[-1].words == "1, 100.0 %"


def test_sales_are_counted_by_step_and_the_finished_ones_last() -> None:
    asked: Mapping[str, Rows] = {
        "IS NOT NULL": [(7,)],
        "finished_at IS NULL": [("Instruction", 3, 2), ("Exchange", 0, 1)],
    }
    chart = CHARTS["marts.transaction_progress"](answers(**asked))
    assert isinstance(chart, BarChart)
    assert [(bar.label, bar.parts, bar.words) for bar in chart.bars] == [
        ("Instruction", (3, 2), "5, 2 overdue"),
        ("Exchange", (0, 1), "1, 1 overdue"),
        ("finished", (7, 0), "7"),
    ]


def test_a_milestones_bar_goes_to_the_median_and_on_to_the_90th_percentile() -> None:
    (bar,) = bars("milestone_durations", milestone_steps=[("Searches", 9.5, 21.25)]).bars
    assert (bar.parts, bar.words) == ((9.5, 11.75), "9.5 d, 21 d")


def test_of_many_conveyancers_the_others_have_a_figure_but_no_length() -> None:
    chart = bars("overdue_milestones", overdue_milestones=[(f"Firm {n}", 50 - n, 10.0 + n) for n in range(40)])
    assert (chart.bars[0].label, chart.bars[0].words) == ("Firm 0", "50, oldest 10 d")
    assert len(chart.bars) == 12
    rest = sum(50 - n for n in range(11, 40))
    assert (chart.bars[-1].label, chart.bars[-1].parts) == ("others (29)", (0,))
    assert chart.bars[-1].words == f"{rest}, oldest 49 d"
    assert bars("overdue_milestones", overdue_milestones=[(None, 1, 2.0)]).bars[0].label == "no firm named"
