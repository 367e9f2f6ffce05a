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
    sentence, facts = finished.stdout.splitlines()
    assert sentence.endswith("segments: all chains hold")
    assert set(json.loads(facts)) == {"success", "segments", "records", "purged", "problems", "torn_tails"}


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


def test_one_call_is_shown_as_a_support_bundle_with_its_attempts_and_what_was_not_kept(
    reader: Program, demo: FinishedDemo
) -> None:
    query = "SELECT request_id, url FROM audit.api_calls WHERE operation = 'list_leads' ORDER BY started_at LIMIT 1"
    (row,) = json.loads(reader.run("query", "--format", "json", query).stdout)
    shown = reader.run("audit", "show", row["request_id"])
    assert shown.returncode == 0
    assert f"endpoint: GET {row['url']}" in shown.stdout.splitlines()
    bundle = json.loads(reader.run("audit", "show", row["request_id"], "--json").stdout)
    assert (bundle["request_id"], bundle["answer"]["status"]) == (row["request_id"], 200)
    assert bundle["headers"]["Authorization"] == "(not kept)"
    assert bundle["attempts"] == [f"1. {row['request_id']}: 200"]
    assert "secrets are never written down" in bundle["not_kept"][0]
    # A token request's body holds the client's secret
    query = "SELECT request_id FROM audit.api_calls WHERE operation = 'request_token' LIMIT 1"
    (row,) = json.loads(reader.run("query", "--format", "json", query).stdout)
    text = reader.run("audit", "show", row["request_id"]).stdout
    assert "payload: not kept" in text.splitlines()
    assert demo.data.name not in text


def test_a_call_that_is_not_there_is_one_line(reader: Program) -> None:
    for request_id in ("nonsense", "../../state/x-1", "20261122T000000Z-1-abc-99", "0", ""):
        finished = reader.run("audit", "show", request_id)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert "audit.api_calls has the ids" in only_line(finished)
