"""A trail with checkpoints for tests, as a data directory has it, and what is made of it by hand."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from partner_pipelines.settings import load_settings
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces, Checkpoints
from partner_pipelines.state.audit_signed import read_signed
from partner_pipelines.state.audit_verify import VerifyReport, verify
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.process_trail import checkpoint_places
from partner_pipelines_tests.state.support_trail import intent, open_trail, outcome


def places_of(data: DataDirectory, copy: Path | None = None) -> CheckpointPlaces:
    environ = {"PARTNER_DATA_DIR": str(data.root)} | ({"PARTNER_AUDIT_COPY": str(copy)} if copy else {})
    return checkpoint_places(load_settings(environ), data)


def checkpoints_of(data: DataDirectory, copy: Path | None = None) -> Checkpoints:
    return Checkpoints(places_of(data, copy))


def checkpoint(data: DataDirectory, copy: Path | None = None) -> None:
    """As a process does it at its end."""
    checkpoints = checkpoints_of(data, copy)
    assert checkpoints.write()
    assert checkpoints.copy()


def verified(data: DataDirectory, copy: Path | None = None) -> VerifyReport:
    places = places_of(data, copy)
    return verify(places.segments, partial(read_signed, places.directory, places.keys, places.copy))


def found(data: DataDirectory, copy: Path | None = None) -> list[tuple[str, int]]:
    """Each problem's place and line."""
    return [(problem.segment, problem.line) for problem in verified(data, copy).problems]


def write_segment(data: DataDirectory, calls: int = 2) -> Path:
    before = set(data.segments.glob("*"))
    trail = open_trail(data.segments)
    for _ in range(calls):
        trail.record_outcome(trail.record_intent(intent()), outcome())
    trail.close()
    (file,) = set(data.segments.glob("*")) - before
    return file
