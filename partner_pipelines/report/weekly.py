"""The weekly report: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from partner_pipelines.clock import now
from partner_pipelines.pictures.drawing import DARK, LIGHT
from partner_pipelines.report import tables
from partner_pipelines.report.charts import CHARTS, Chart, Rows
from partner_pipelines.report.words import moment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import make_directory, state_errors, write_atomically
from partner_pipelines.warehouse.group import open_to_group
from partner_pipelines.warehouse.reading import published

_PUBLIC_FILE, _PUBLIC_DIRECTORY = 0o644, 0o755
_TEMPLATE = Path(__file__).with_name("weekly.html")


@dataclass(frozen=True, slots=True)
class Report:
    """A report that is written. `as_of`: when a row in it was read last; None where there is none."""

    path: Path
    bytes: int
    as_of: datetime | None


@dataclass(frozen=True, slots=True)
class _Told:
    """What one published file says."""

    charts: list[Chart]
    shown: list[tables.Table]
    as_of: list[tables.AsOf]


@dataclass(frozen=True, slots=True)
class _Picture:
    """For the template: data: addresses for light and dark, the size in dots, and the words for who does not see it."""

    light: str
    dark: str
    width: int
    height: int
    alt: str


def write_report(data: DataDirectory, timezone: str, group: int | None = None) -> Report:
    """`reports/weekly.html` says what the published file says now; a reader meets the old one or the new one.

    Args:
        data: The data directory.
        timezone: Of the times in it.
        group: Who may read it besides the owner; None for everybody.

    Raises:
        UsageError: nothing is published yet.
        StateError: it cannot be read or written.
    """
    zone = ZoneInfo(timezone)
    told = _look(data, zone)
    content = _page(told, zone, data.dagster / "matplotlib").encode()
    path = data.weekly_report
    make_directory(path.parent, _PUBLIC_DIRECTORY)
    write_atomically(path, content, _PUBLIC_FILE)
    with state_errors("open to readers", path):
        path.chmod(_PUBLIC_FILE)  # whatever the umask
    if group is not None:
        open_to_group(data, group)
    return Report(path, len(content), max((one.read_at for one in told.as_of), default=None))


def _look(data: DataDirectory, zone: ZoneInfo) -> _Told:
    with published(data) as database:

        def ask(query: str) -> Rows:
            return database.execute(query).fetchall()

        found = tables.as_of(ask)
        return _Told(
            [chart(ask) for chart in CHARTS.values()],
            [
                tables.key_figures(ask),
                tables.overdue_by_firm(ask),
                tables.longest_overdue(ask, zone),
                tables.partner_health(ask, zone),
                tables.openmoove_freshness(ask, zone),
                tables.tables_as_of(found, zone),
            ],
            found,
        )


def _page(told: _Told, zone: ZoneInfo, cache: Path) -> str:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    figures, *others = told.shown
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        made_at=moment(now(), zone),
        newest=moment(told.as_of[-1].read_at if told.as_of else None, zone),
        oldest=told.as_of[0] if told.as_of else None,
        oldest_at=moment(told.as_of[0].read_at if told.as_of else None, zone),
        figures=figures,
        pictures=[_drawn(chart, cache) for chart in told.charts],
        tables=others,
    )


def _drawn(chart: Chart, cache: Path) -> _Picture:
    light = chart.draw(cache, LIGHT)
    width, height = struct.unpack(">II", light[16:24])  # PNG, "IHDR Image header"
    return _Picture(_address(light), _address(chart.draw(cache, DARK)), width, height, chart.alt)


def _address(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}"
