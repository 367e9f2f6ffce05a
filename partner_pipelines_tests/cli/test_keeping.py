"""`backup` and `purge`: what they say, and what a mistake gets. What they do is tested below them."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program, only_line


@pytest.fixture
def copy(demo: FinishedDemo, program: Program) -> Program:
    """A data directory that a test may change."""
    shutil.copytree(demo.data, program.place, symlinks=True)
    return program


@pytest.mark.parametrize("words", [("purge",), ("backup", "backups")])
def test_where_nothing_was_synced_there_is_nothing_to_keep(program: Program, words: tuple[str, ...]) -> None:
    finished = program.run(*words)
    assert finished.returncode == 2
    assert "is no data directory: nothing was synced yet" in only_line(finished)
    assert not program.place.exists()
    assert list(program.home.iterdir()) == []


def test_a_purge_says_what_goes_before_it_goes(copy: Program) -> None:
    segments = sorted((copy.place / "audit" / "segments").glob("*.jsonl"))
    old = time.time() - 100 * 86_400
    for segment in segments:
        os.utime(segment, (old, old))
    files = "1 segment" if len(segments) == 1 else f"{len(segments)} segments"
    records = sum(len(segment.read_bytes().splitlines()) for segment in segments)
    said = []
    for words in (("--dry-run",), ()):
        finished = copy.run("purge", "--json", *words, PARTNER_AUDIT_KEEP_DAYS="90", PARTNER_RUNS_KEEP_DAYS="forever")
        assert finished.returncode == 0, finished.stderr
        facts = json.loads(finished.stdout.splitlines()[-1])
        assert (facts["segments"], facts["records"], facts["runs"], facts["kept"]) == (len(segments), records, 0, {})
        said.append(finished.stdout)
    assert f"Trail kept 90 days: {files} of {records:,} records would go" in said[0]
    assert f"{files} of {records:,} records are gone" in said[1]
    verified = copy.run("audit", "verify", "--json")
    assert verified.returncode == 0
    assert f"purged, on record: {records:,} records in {files}" in verified.stdout
    assert json.loads(verified.stdout.splitlines()[-1])["purged"] == {"segments": len(segments), "records": records}


def test_who_erases_an_unknown_address_hears_that_nothing_was_known_of_it(copy: Program) -> None:
    known = copy.run(
        "query", "SELECT email FROM resman.leads WHERE email IS NOT NULL LIMIT 1", "--full", "--format", "csv"
    )
    address = known.stdout.splitlines()[1]
    first = copy.run("erase", "--email", "zq.nobody@example.com")
    again = copy.run("erase", "--email", "zq.nobody@example.com")
    somebody = copy.run("erase", "--email", address)
    assert [done.returncode for done in (first, again, somebody)] == [0, 0, 0]
    says = "nothing was known of this address; from now on nothing of it is stored"
    assert [says in done.stdout for done in (first, again, somebody)] == [True, False, False]
    assert "zq.nobody" not in first.stdout


def test_an_erasure_can_be_looked_at_before_and_ended_afterwards(copy: Program) -> None:
    known = copy.run(
        "query", "SELECT email FROM resman.leads WHERE email IS NOT NULL LIMIT 1", "--full", "--format", "csv"
    )
    erase = ("erase", "--email", known.stdout.splitlines()[1])
    looked = copy.run(*erase, "--dry-run", "--json")
    done = copy.run(*erase, "--json")
    counts = done.stdout.splitlines()[0].removeprefix("erased: ")
    assert looked.stdout.splitlines()[:2] == [f"would erase: {counts}", "nothing was changed"]
    facts = [json.loads(finished.stdout.splitlines()[-1]) for finished in (looked, done)]
    assert facts[0] | {"dry_run": False} == facts[1]
    assert facts[1]["values"] > 0
    again = copy.run(*erase, "--allow-again", "--json")
    assert f"the erasure of {facts[1]['subject']} has ended" in again.stdout
    assert json.loads(again.stdout.splitlines()[-1]) == {"success": True, "subject": facts[1]["subject"]}
    assert "this address was not erased" in copy.run(*erase, "--allow-again").stdout
    both = copy.run(*erase, "--allow-again", "--dry-run")
    assert both.returncode == 2
    assert "--allow-again takes nothing away" in only_line(both)


def test_a_backup_says_where_it_is_and_can_be_looked_at(copy: Program, tmp_path: Path) -> None:
    finished = copy.run("backup", str(tmp_path / "backups"), "--keep", "1", "--json")
    assert finished.returncode == 0, finished.stderr
    facts = json.loads(finished.stdout.splitlines()[-1])
    (place,) = (tmp_path / "backups").glob("[!.]*")
    assert facts["path"] == str(place)
    assert f"{place}: {facts['files']:,} files" in finished.stdout
    count = ("query", "--format", "csv", "SELECT count(*) FROM openmoove.properties")
    assert Program(copy.home, place).run(*count).stdout == copy.run(*count).stdout


def test_a_place_in_the_data_directory_or_that_cannot_be_made_is_one_line(copy: Program) -> None:
    inside = copy.run("backup", str(copy.place / "backups"))
    assert inside.returncode == 2
    assert "lies in the data directory itself" in only_line(inside)
    nowhere = copy.run("backup", "/proc/backups")
    assert nowhere.returncode == 1
    assert "cannot make the directory /proc/backups" in only_line(nowhere)
    file = copy.home / "file"
    file.write_text("mine")
    for place in (file, file / "below"):
        refused = copy.run("backup", str(place))
        assert refused.returncode == 2
        assert only_line(refused).startswith(f"cannot back up to {place}: ")
        assert "is a file; name a directory" in only_line(refused)
    none = copy.run("backup", str(copy.home), "--keep", "0")
    assert none.returncode == 2
    assert "--keep" in only_line(none)
