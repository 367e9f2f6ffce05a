"""docs/operate.md and deploy/ say what is: every file of a data directory, what a backup has, which commands run."""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
import subprocess
from contextlib import closing
from functools import cache
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from partner_pipelines.cli.app import app
from partner_pipelines.receiver.app import LARGEST_BODY
from partner_pipelines.receiver.routes import ROUTES
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.backup import make_backup
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import DEADLINE_SECONDS, Program, wait_until
from partner_pipelines_tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs" / "operate.md"
UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
PROXIES = [ROOT / "deploy" / "proxy" / name for name in ("nginx.conf", "Caddyfile")]
HOME = "/opt/partner-pipelines"
DATA = "/var/lib/partner-pipelines"
UNITS_ALONE = 'key:"resman/units"'


@cache
def rows() -> list[tuple[str, str]]:
    """(path with `*` and `**`, what the page says of backups), in the page's order."""
    table = PAGE.read_text().partition("## Every file")[2]
    found = re.findall(r"^\| (`.*?) \| .* \| (\w[\w ]*) \|$", table, re.MULTILINE)
    return [(path, kept) for paths, kept in found for path in re.findall(r"`([^`]+)`", paths)]


def pattern(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\*\*/|\*\*|\*)", path)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*"}
    return re.compile("".join(words.get(part, re.escape(part)) for part in parts))


def row_of(name: str) -> tuple[str, str] | None:
    """The first row that describes a file."""
    return next(((path, kept) for path, kept in rows() if pattern(path).fullmatch(name)), None)


def files(directory: Path) -> set[str]:
    found = (path for path in directory.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(directory).as_posix() for path in found}


def test_every_file_of_a_data_directory_is_described(demo: FinishedDemo) -> None:
    undescribed = {name for name in files(demo.data) if row_of(name) is None and not _is_a_mark(name)}
    assert undescribed == set()
    assert {"state/vault/vault.sqlite", "warehouse/working.duckdb", "dagster/history/runs.db"} <= files(demo.data)
    above = {f"demo/{name}" for name in files(demo.data)} | {"demo.lock"}
    assert {name for name in above if row_of(name) is None} == set()


def _is_a_mark(name: str) -> bool:
    """Empty files that locks stand on, under names that begin with a dot."""
    return name.rpartition("/")[2].startswith(".")


def test_the_page_says_of_each_file_whether_a_backup_has_it(demo: FinishedDemo, tmp_path: Path) -> None:
    data = DataDirectory(shutil.copytree(demo.data, tmp_path / "data", symlinks=True))
    _add_what_a_demo_has_not(data)
    there = files(data.root)
    copied = files(make_backup(data, tmp_path / "backups").path)
    said = {name: row[1] for name in there if (row := row_of(name)) is not None}
    assert {name for name, kept in said.items() if kept == "yes"} == {
        name for name in copied if said[name] != "the latest"
    }
    latest = {name for name in copied if said[name] == "the latest"}
    assert latest == {f"warehouse/published/{data.published.readlink()}"}


def _add_what_a_demo_has_not(data: DataDirectory) -> None:
    """A file for each row that no file matches."""
    there = files(data.root)
    for path, _ in rows():
        if not any(pattern(path).fullmatch(name) for name in there) and "sqlite" not in path:
            *above, name = path.replace("**/", "").replace("**", "*").split("/")
            file = data.root.joinpath(*(part.replace("*", "directory") for part in above), name.replace("*", "file"))
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()


def test_a_backup_is_restored_by_the_pages_own_lines(copy: Program, tmp_path: Path) -> None:
    """`systemctl` and `sudo` left out; a sync runs while the backup is made, and one after it was restored."""
    backups = tmp_path / "backups"
    with copy.started("sync", "--select", UNITS_ALONE) as sync:
        runs = copy.place / "state" / "runs"
        wait_until(lambda: list(runs.glob("[!.]*")) != [], "the sync has begun", DEADLINE_SECONDS)
        made = copy.run("backup", str(backups), "--keep", "7")
        assert made.returncode == 0, made.stderr
        assert sync.wait(DEADLINE_SECONDS) == 0
    (backup,) = backups.glob("[!.]*")
    places = {DATA: str(copy.place), "/var/backups/partner-pipelines/TIME": str(backup)}
    for line in _restore_lines():
        words = [_here(word, places) for word in shlex.split(line)]
        subprocess.run(words, check=True, env=copy.environ, cwd=copy.home, capture_output=True)
    _check_dagsters_databases(copy.place)
    again = copy.run("sync", "--select", UNITS_ALONE)
    assert again.returncode == 0, again.stderr


def _here(word: str, places: dict[str, str]) -> str:
    """The page's place, or what stands beside it, as a place of this test."""
    return next((word.replace(place, here) for place, here in places.items() if word.startswith(place)), word)


def _restore_lines() -> list[str]:
    (block,) = [text for text in blocks(PAGE, "console") if "cp -a" in text]
    lines = [line.lstrip("#$ ").removeprefix("sudo -u partner ") for line in block.splitlines()]
    lines = [line.replace(".venv/bin/partner-pipelines", _program()) for line in lines if "systemctl" not in line]
    assert [line.split()[0] for line in lines] == ["mv", "cp", _program()]
    return lines


def _program() -> str:
    found = shutil.which("partner-pipelines") or str(ROOT / ".venv" / "bin" / "partner-pipelines")
    assert Path(found).exists()
    return found


def _check_dagsters_databases(place: Path) -> None:
    databases = list((place / "dagster").rglob("*.db"))
    assert len(databases) > 3
    for path in databases:
        with closing(sqlite3.connect(path)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_every_unit_runs_a_command_that_is_there(service: Path) -> None:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    # A minus means that the unit goes on when the command fails: systemd.service(5)
    commands = re.findall(r"^ExecStart=-?(.*)$", service.read_text(), re.MULTILINE)
    assert commands
    for command in commands:
        program, name, *words = shlex.split(command)
        assert program == f"{HOME}/.venv/bin/partner-pipelines"
        options = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= options


def test_the_page_names_every_unit_and_no_other() -> None:
    there = {path.name for path in UNITS.iterdir() if path.is_file()}
    named = set(re.findall(r"partner-pipelines-\w+\.(?:service|timer)", PAGE.read_text()))
    assert named <= there
    # a timer stands for the service that it starts
    assert {
        name for name in there if name.endswith(".service") and name.replace("service", "timer") not in there
    } <= named
    assert {name for name in there if name.endswith(".timer")} <= named
    assert set(re.findall(r"partner-pipelines-up\.service --port (\d+)", PAGE.read_text())) == set()


@pytest.mark.parametrize("proxy", PROXIES, ids=lambda path: path.name)
def test_the_proxies_lead_to_where_the_programs_listen(proxy: Path) -> None:
    text = proxy.read_text()
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    ports = {name: str(_default(group, name, "port")) for name in ("up", "receiver")}
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", text)) == set(ports.values())
    assert set(re.findall(r"/webhooks/\w+", text)) == set(ROUTES)
    (size,) = re.findall(r"(?:client_max_body_size|max_size) (\d+)[kK]", text)
    assert int(size) * 1024 == LARGEST_BODY
    assert "/report_asset_" in text
    for service, port in (("up", ports["up"]), ("receiver", ports["receiver"])):
        assert f"{service} --port {port}" in (UNITS / f"partner-pipelines-{service}.service").read_text()


def _default(group: TyperGroup, command: str, option: str) -> object:
    (found,) = [parameter.default for parameter in group.commands[command].params if parameter.name == option]
    return found
