"""`audit verify`: the trail of a demo proved, and a change found."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from partner_pipelines import __version__
from partner_pipelines.state.audit_trail import AuditTrail
from partner_pipelines_tests.cli.finished_demo import FinishedDemo
from partner_pipelines_tests.cli.program import Program, only_line


def test_a_whole_trail_is_proved(reader: Program) -> None:
    finished = reader.run("audit", "verify", "--json")
    assert finished.returncode == 0
    signed, sentence, facts = finished.stdout.splitlines()
    assert "all records are signed" in signed
    assert re.search(r"records in (1 segment|\d+ segments): all chains hold$", sentence)
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
    assert bundle["headers"]["User-Agent"] == f"partner-pipelines/{__version__}"
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


@pytest.fixture
def copied(demo: FinishedDemo, program: Program) -> Program:
    """A data directory with a trail, not a demo's any more: its checkpoints are copied."""
    shutil.copytree(demo.data, program.place, symlinks=True)
    stamp = program.place / "environment.json"
    stamp.write_text(json.dumps(json.loads(stamp.read_text()) | {"demo": False}))
    return program


def verify(program: Program, *words: str, **variables: str) -> tuple[int, dict[str, Any], str]:
    finished = program.run("audit", "verify", "--json", *words, **variables)
    return finished.returncode, json.loads(finished.stdout.splitlines()[-1]), finished.stderr


def write_event(program: Program) -> None:
    trail = AuditTrail(program.place / "audit" / "segments", version="0")
    trail.record_event("scope", {})
    trail.close()


def test_the_demos_process_has_signed_all_of_its_trail(demo: FinishedDemo, reader: Program) -> None:
    status, facts, _ = verify(reader)
    assert (status, facts["unsigned_records"], facts["problems"]) == (0, 0, [])
    assert facts["checkpoints"]["copied"] is None
    assert (demo.data / "state" / "keys" / "audit-signing.pem").stat().st_mode & 0o777 == 0o600


def test_what_a_sync_did_is_signed_and_copied_when_it_has_ended(copied: Program, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    finished = copied.run("sync", "--select", 'key:"resman/units"', PARTNER_AUDIT_COPY=str(place))
    assert finished.returncode == 0, finished.stderr
    status, facts, complaints = verify(copied, PARTNER_AUDIT_COPY=str(place))
    assert (status, facts["unsigned_records"], complaints) == (0, 0, "")
    assert facts["checkpoints"]["copied"] == facts["checkpoints"]["number"] > 0


def test_a_copy_that_fails_is_told_by_verify_on_standard_error_and_fails_no_run(
    copied: Program, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere"
    nowhere.symlink_to("/proc/nowhere/at/all")
    finished = copied.run("sync", "--select", 'key:"resman/units"', PARTNER_AUDIT_COPY=str(nowhere))
    assert finished.returncode == 0, finished.stderr
    status, facts, complaints = verify(copied, PARTNER_AUDIT_COPY=str(nowhere))
    assert (status, facts["problems"]) == (0, [])
    assert complaints.count("\n") == 1
    assert str(nowhere) in complaints
    assert any("checkpoint_copy_failed" in path.read_text() for path in copied.place.glob("audit/segments/*"))


def test_a_restored_backup_verifies_and_with_the_copy_is_named_as_a_roll_back(copied: Program, tmp_path: Path) -> None:
    place, backups = tmp_path / "copy", tmp_path / "backups"
    assert copied.run("backup", str(backups)).returncode == 0
    write_event(copied)
    units = ("sync", "--select", 'key:"resman/units"')
    assert copied.run(*units, PARTNER_AUDIT_COPY=str(place)).returncode == 0
    assert verify(copied, "--copy", str(place))[0] == 0
    shutil.rmtree(copied.place)
    (backup,) = backups.glob("[!.]*")
    backup.rename(copied.place)
    assert verify(copied)[:1] == (0,)
    status, facts, _ = verify(copied, "--copy", str(place))
    assert status == 1
    assert "rolled back, or restored from a backup" in facts["problems"][0]["what"]
    place.rename(tmp_path / "copy.before")
    assert copied.run(*units, PARTNER_AUDIT_COPY=str(place)).returncode == 0
    assert verify(copied, PARTNER_AUDIT_COPY=str(place))[0] == 0


def test_the_public_key_is_printed_and_trusted_until_it_is_another_one(copied: Program, tmp_path: Path) -> None:
    exported = copied.run("audit", "key")
    assert exported.stdout.startswith("-----BEGIN PUBLIC KEY-----\n")
    kept = tmp_path / "public.pem"
    kept.write_text(exported.stdout)
    assert verify(copied, "--key", str(kept))[0] == 0
    rotated = copied.run("audit", "rotate-key", "--json")
    assert rotated.returncode == 0, rotated.stderr
    assert json.loads(rotated.stdout.splitlines()[-1])["new"] == verify(copied)[1]["checkpoints"]["key"]
    status, facts, _ = verify(copied, "--key", str(kept))
    assert status == 1
    assert "the key in use is" in facts["problems"][0]["what"]
    kept.write_text(copied.run("audit", "key").stdout)
    assert verify(copied, "--key", str(kept))[0] == 0


def test_a_key_of_ones_own_takes_over_and_signs_from_then_on(copied: Program, tmp_path: Path) -> None:
    own = tmp_path / "own.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(own)], check=True)
    rotated = copied.run("audit", "rotate-key", "--to", str(own))
    assert f"PARTNER_AUDIT_KEY=file:{own}" in rotated.stdout
    assert verify(copied)[0] == 1
    for key in (f"file:{own}", "env:MY_OWN_KEY"):
        write_event(copied)
        variables = {"PARTNER_AUDIT_KEY": key, "MY_OWN_KEY": own.read_text()}
        assert copied.run("sync", "--select", 'key:"resman/units"', **variables).returncode == 0
        status, facts, _ = verify(copied, **variables)
        assert (status, facts["unsigned_records"]) == (0, 0)


def test_what_verify_cannot_compare_with_is_bad_usage_and_no_finding(reader: Program, tmp_path: Path) -> None:
    rsa = tmp_path / "rsa.pem"
    making = ["openssl", "genpkey", "-algorithm", "RSA", "-out", str(rsa), "-quiet"]
    subprocess.run(making, check=True, capture_output=True)
    for words in (["--key", "nofile"], ["--key", str(rsa)], ["--copy", "nodir"], ["--copy", str(rsa)]):
        finished = reader.run("audit", "verify", *words)
        assert (finished.returncode, finished.stdout) == (2, "")
        assert words[1] in only_line(finished)


def test_a_removed_segment_is_bad_and_nobody_calls_the_rest_signed(demo: FinishedDemo, program: Program) -> None:
    shutil.copytree(demo.data, program.place, symlinks=True)
    for segment in (program.place / "audit" / "segments").iterdir():
        segment.unlink()
    finished = program.run("audit", "verify")
    assert finished.returncode == 1
    assert finished.stdout.splitlines()[-1].startswith("0 records in 0 segments: ")
    assert "are signed" not in finished.stdout


@pytest.mark.parametrize("words", [["key"], ["rotate-key"], ["rotate-key", "--to", "/nowhere.pem"]], ids=" ".join)
def test_what_cannot_be_done_with_a_key_is_one_line(program: Program, words: list[str]) -> None:
    finished = program.run("audit", *words)
    assert finished.returncode == 2
    assert only_line(finished)
    bad = program.run("audit", *words, PARTNER_AUDIT_KEY="no key")
    assert bad.returncode == 2
    assert "nowhere" in only_line(bad) or "PARTNER_AUDIT_KEY (value not shown)" in only_line(bad)
