"""`audit verify`: the trail of a demo proved, and a change found."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program, only_line


def test_a_whole_trail_is_proved(reader: Program) -> None:
    finished = reader.run("audit", "verify", "--json")
    assert finished.returncode == 0
    signed, sentence, facts = finished.stdout.splitlines()
    assert "all but 0 records are signed" in signed
    assert sentence.endswith("segments: all chains hold")
    known = {"success", "segments", "records", "purged", "problems", "torn_tails", "unsigned_records", "checkpoints"}
    assert set(json.loads(facts)) == known
    assert json.loads(facts)["checkpoints"]["number"] >= 1


def test_a_changed_byte_is_named_and_status_1(demo: FinishedDemo, program: Program) -> None:
    shutil.copytree(demo.data / "audit", program.place / "audit")
    segment = max((program.place / "audit" / "segments").iterdir(), key=lambda file: file.stat().st_size)
    lines = segment.read_bytes().split(b"\n")
    lines[4] = lines[4].replace(b"200", b"201").replace(b"GET", b"PUT")
    segment.write_bytes(b"\n".join(lines))
    finished = program.run("audit", "verify", "--json")
    assert finished.returncode == 1
    facts = json.loads(finished.stdout.splitlines()[-1])
    assert facts["success"] is False
    assert [(problem["segment"], problem["line"]) for problem in facts["problems"]] == [(segment.stem, 5)]


def test_no_trail_at_all_is_not_called_a_whole_one(program: Program) -> None:
    finished = program.run("audit", "verify")
    assert finished.returncode == 2
    assert str(Path("audit") / "segments") in only_line(finished)
    assert not program.place.exists()
