"""`doctor` comes to its end whatever a check does, and reads of a long trail what takes a short time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from partner_pipelines.partners.tls_look import NoCertificate, look_at_certificate
from partner_pipelines.settings import load_settings
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync import doctor_trail
from partner_pipelines.sync.doctor import Visit, examine
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.process_trail import end_trail
from partner_pipelines_tests.state.support_checkpoints import checkpoint, write_segment

NOBODY = {
    "RESMAN_BASE_URL": "http://127.0.0.1:1",
    "RESMAN_CLIENT_ID": "id",
    "RESMAN_CLIENT_SECRET": "secret",
    "OPENMOOVE_BASE_URL": "http://127.0.0.1:1/",
    "OPENMOOVE_API_KEY": "key",
}
SECRET = "zq1-words-of-nobody"


def examined(
    data: DataDirectory, switched_off: Callable[[DataDirectory], Sequence[str]], *, seconds: float = 60, **more: str
) -> list[Finding]:
    environ = {"PARTNER_DATA_DIR": str(data.root), **more}
    data.dagster.mkdir(parents=True, exist_ok=True)
    try:
        return list(examine(Visit(load_settings(environ), environ, switched_off, StopSignal(), seconds)))
    finally:
        end_trail(data.segments)


def of(findings: Sequence[Finding], name: str) -> Finding:
    (finding,) = (each for each in findings if each.name == name)
    return finding


def test_a_check_that_hangs_is_told_and_the_others_are_made(tmp_path: Path) -> None:
    over = threading.Event()

    def hangs(_: DataDirectory) -> Sequence[str]:
        over.wait(120)
        return ()

    try:
        findings = examined(DataDirectory(tmp_path / "data"), hangs, seconds=3)
    finally:
        over.set()
    assert of(findings, "schedules").state == "red"
    assert of(findings, "schedules").says == "no end within 3 s"
    assert of(findings, "disk").state != "red"


def test_of_an_error_that_nobody_expects_the_class_is_told_and_not_its_words(tmp_path: Path) -> None:
    def breaks(_: DataDirectory) -> Sequence[str]:
        raise RuntimeError(SECRET)

    findings = examined(DataDirectory(tmp_path / "data"), breaks, RESMAN_SCOPEZ="x")
    assert of(findings, "schedules").says == "RuntimeError"
    assert SECRET not in str(findings)
    assert [f.says for f in findings if f.name == "settings"][-1].startswith("RESMAN_SCOPEZ is no setting")


def test_where_nobody_listens_the_address_and_the_setting_are_named(tmp_path: Path) -> None:
    findings = examined(DataDirectory(tmp_path / "data"), lambda _: ["leads_every_15_minutes"], seconds=60, **NOBODY)
    assert of(findings, "resman: token endpoint").state == "red"
    assert "nobody listens there" in of(findings, "resman: token endpoint").says
    assert "RESMAN_TOKEN_URL" in of(findings, "resman: token endpoint").says
    assert "OPENMOOVE_BASE_URL" in of(findings, "openmoove: endpoint").says
    assert of(findings, "openmoove: endpoint").remedy.startswith("check the base address, then DNS")
    assert of(findings, "openmoove: receiver").state == "yellow"
    assert of(findings, "schedules").state == "yellow"
    assert "leads_every_15_minutes" in of(findings, "schedules").says


@pytest.fixture
def long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDirectory:
    """A trail of which the newest segments alone are read."""
    data = DataDirectory(tmp_path / "data")
    for _ in range(3):
        write_segment(data, 3)
    checkpoint(data)
    newest = max(data.segments.iterdir())
    monkeypatch.setattr(doctor_trail, "WHOLE_BYTES", newest.stat().st_size)
    return data


def trail_of(data: DataDirectory) -> Finding:
    settings = load_settings({"PARTNER_DATA_DIR": str(data.root)})
    (finding,) = doctor_trail.check_trail(settings, data)
    return finding


def test_of_a_long_trail_the_newest_segments_are_read_and_that_is_said(long: DataDirectory) -> None:
    assert trail_of(long).state == "green"
    assert "the newest 1 of 3 segments hold (9 records)" in trail_of(long).says
    assert "`partner-pipelines audit verify` reads all" in trail_of(long).says


def test_of_a_long_trail_a_missing_segment_and_a_change_in_the_newest_are_found(long: DataDirectory) -> None:
    oldest, *_, newest = sorted(long.segments.iterdir())
    content = oldest.read_bytes()
    oldest.unlink()
    assert trail_of(long).state == "red"
    assert trail_of(long).says.startswith(f"{oldest.stem} line 1: the segment is gone")
    oldest.write_bytes(content)
    lines = newest.read_bytes().split(b"\n")
    newest.write_bytes(b"\n".join([*lines[:3], lines[3].replace(b"200", b"201"), *lines[4:]]))
    assert trail_of(long).says.startswith(f"{newest.stem} line 4: its hash does not follow")


def test_a_server_that_never_ends_its_handshake_is_told_within_the_time_that_it_has() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        shown = look_at_certificate(url, None, seconds=0.2, partner="openmoove", operation="TLS")
    assert isinstance(shown, NoCertificate)
    assert not shown.is_refused
    assert "in time" in shown.why
