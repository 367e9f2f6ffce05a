"""`report`: one file that needs nothing but itself, and says what the published file says."""

from __future__ import annotations

import base64
import re
import shutil
import stat
import struct
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from partner_pipelines.state.vault import Vault
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program, only_line
from partner_pipelines_tests.cli.reported import HOSTILE_PROPERTY, Page, Reported, reported
from partner_pipelines_tests.modes import MODES_HOLD

NEW_YORK = ZoneInfo("America/New_York")
PNG = "data:image/png;base64,"


@pytest.fixture(scope="module")
def report(demo: FinishedDemo, tmp_path_factory: pytest.TempPathFactory) -> Reported:
    return reported(demo.data, tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report: Reported) -> Page:
    return Page(report.html)


def test_the_command_says_where_it_is_and_of_when(report: Reported) -> None:
    path = report.data.weekly_report
    assert report.said.splitlines()[0] == str(path)
    told = report.told
    assert (told["success"], told["path"], told["bytes"]) == (True, str(path), path.stat().st_size)
    ((newest,),) = report.ask("SELECT max(fetched_at) FROM openmoove.milestones")
    assert datetime.fromisoformat(told["as_of"]) >= newest
    assert [stat.S_IMODE(place.stat().st_mode) for place in (path, path.parent)] == [0o644, 0o755]
    assert list(path.parent.iterdir()) == [path]


def test_it_asks_nothing_of_anybody(report: Reported, page: Page) -> None:
    assert re.findall(r"https?:|//[a-z]|@import|url\(", re.sub(rf"{PNG}[\w+/=]+", "", report.html)) == []
    assert {"script", "link", "iframe", "object", "form", "base"} & {tag for tag, _ in page.tags} == set()
    addresses = [attrs[name] or "" for _, attrs in page.tags for name in ("src", "srcset", "href") if name in attrs]
    assert len(addresses) == 12, "six pictures, light and dark"
    for address in addresses:
        assert address.startswith(PNG)
        picture = base64.b64decode(address.removeprefix(PNG), validate=True)
        assert struct.unpack(">I", picture[16:20]) == (810,)
    assert len(set(addresses)) == 12
    assert len(report.html) < 700_000


def test_every_picture_has_its_words(page: Page) -> None:
    alts = [attrs["alt"] or "" for tag, attrs in page.tags if tag == "img"]
    begins = ["Average asking rent", "Vacancy by", "Lead funnel", "Sales by", "Days that", "Overdue milestones by"]
    assert [alt.startswith(begin) for alt, begin in zip(alts, begins, strict=True)] == [True] * 6


def test_hostile_names_are_text(report: Reported, page: Page) -> None:
    """The parser makes no tag of them, and gives them back as they are."""
    assert "<script" not in report.html
    assert "onerror" not in {name for _, attrs in page.tags for name in attrs}
    ((firm,),) = report.ask(
        "SELECT DISTINCT responsible_firm FROM marts.overdue_milestones WHERE responsible_role = 'conveyancer'"
    )
    assert firm.startswith("<script>")
    assert [row[0] for row in page.rows["overdue"]].count(firm) == 1
    assert {row[0] for row in page.rows["longest"][1:]} == {HOSTILE_PROPERTY}
    assert any(HOSTILE_PROPERTY in (attrs.get("alt") or "") for _, attrs in page.tags)


def test_its_key_figures_are_those_of_the_published_file(report: Reported, page: Page) -> None:
    """Counted from the partners' tables, not from the marts."""
    ((units, free, rent),) = report.ask(
        "SELECT count(*), count(*) FILTER (available), median(market_rent) FROM resman.units WHERE deleted_at IS NULL"
    )
    ((leads, leased),) = report.ask(
        "SELECT count(*), count(*) FILTER (status = 'leased') FROM resman.leads WHERE deleted_at IS NULL"
    )
    late = "NOT m.completed AND m.due_date < now()"
    ((overdue, sales_late),) = report.ask(
        f"SELECT count(*), count(DISTINCT m.property_id) FROM openmoove.milestones AS m JOIN openmoove.properties AS p "
        f"ON p.id = m.property_id WHERE {late} AND m.deleted_at IS NULL AND p.deleted_at IS NULL"
    )
    ((sales,),) = report.ask(
        "SELECT count(DISTINCT m.property_id) FROM openmoove.milestones AS m JOIN openmoove.properties AS p "
        "ON p.id = m.property_id WHERE NOT m.completed AND m.deleted_at IS NULL AND p.deleted_at IS NULL"
    )
    assert overdue > 0
    told = dict(page.rows["figures"])
    assert told["Units"] == f"{units:,}"
    assert told["Free to let"] == f"{free:,} ({100 * free / units:.1f} %)"
    assert told["Median asking rent, US dollars a month"] == f"{rent:,.0f}"
    assert told["Leads"] == f"{leads:,}"
    assert told["Leads that have leased"] == f"{leased:,} ({100 * leased / leads:.1f} %)"
    assert (told["Open sales"], told["Overdue milestones"]) == (f"{sales:,}", f"{overdue:,}")
    assert told["Sales with something overdue"] == f"{sales_late:,}"


def test_what_is_overdue_adds_up_and_the_longest_comes_first(report: Reported, page: Page) -> None:
    ((overdue,),) = report.ask("SELECT count(*) FROM marts.overdue_milestones")
    head, *firms = page.rows["overdue"]
    assert head == ["Firm", "Role", "Milestones", "Sales", "Oldest"]
    assert sum(int(row[2].replace(",", "")) for row in firms) == overdue
    _, *longest = page.rows["longest"]
    late = [float(row[3].removesuffix(" d").replace(",", "")) for row in longest]
    assert all(before >= after for before, after in pairwise(late))
    ((oldest,),) = report.ask("SELECT min(due_date) FROM marts.overdue_milestones")
    assert longest[0][2] == f"{oldest.astimezone(NEW_YORK):%d %b %Y %H:%M %Z}"


def test_it_says_how_the_partners_do_and_how_old_everything_is(report: Reported, page: Page) -> None:
    calls = dict(report.ask("SELECT connection, count(*) FROM audit.api_calls GROUP BY ALL"))
    assert {row[0]: row[2] for row in page.rows["health"][1:]} == {name: f"{count:,}" for name, count in calls.items()}
    assert [row[0] for row in page.rows["sales"][1:]] == ["openmoove"]
    read = {row[0]: (row[2], row[3]) for row in page.rows["tables"][1:]}
    for table in ("resman.units", "openmoove.milestones"):
        ((rows, newest),) = report.ask(f"SELECT count(*) FILTER (deleted_at IS NULL), max(fetched_at) FROM {table}")
        assert read[table] == (f"{rows:,}", f"{newest.astimezone(NEW_YORK):%d %b %Y %H:%M %Z}")
    made = datetime.strptime(re.findall(r"Made (.*?) E[SD]T", page.text)[0], "%d %b %Y %H:%M")  # noqa: DTZ007 - New York's
    assert abs(datetime.now(NEW_YORK).replace(tzinfo=None) - made) < timedelta(hours=2)


def test_nobody_is_in_it(report: Reported) -> None:
    """No value of the vault, and no token of one."""
    seen = re.sub(rf"{PNG}[\w+/=]+", "", report.html)
    # A single word may be a firm's too: "Harmon & Partners"
    known = {row.value or "" for row in Vault(report.data.vault).read_all()}
    values = {value for value in known if len(value) > 5 and not value.isalpha()}
    assert len(values) > 100
    assert [value for value in values if value in seen] == []
    assert re.findall(r"\b(?:name|email|phone)_[0-9a-f]{8,}", seen) == []


def test_before_the_first_sync_it_is_one_line(program: Program) -> None:
    finished = program.run("report", "--json")
    assert finished.returncode == 2
    assert only_line(finished) == f"nothing is published yet in {program.place}: run partner-pipelines sync"
    assert not program.place.exists()


def test_a_directory_that_may_not_be_written_is_one_line_and_nothing_of_the_drawings(
    demo: FinishedDemo, passable: Program
) -> None:
    shutil.copytree(demo.data / "warehouse", passable.place / "warehouse", symlinks=True)
    passable.place.chmod(0o555)
    finished = passable.run("report", before=MODES_HOLD)
    passable.place.chmod(0o755)
    assert finished.returncode == 1
    assert "Permission denied" in only_line(finished)
    assert len(finished.stderr.splitlines()) == 1
    assert not (passable.place / "reports").exists()
