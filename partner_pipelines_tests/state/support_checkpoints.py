"""A trail with checkpoints for tests, as a data directory has it, and what is made of it by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from partner_pipelines.settings import load_settings
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces, Checkpoints
from partner_pipelines.state.audit_signed import read_signed
from partner_pipelines.state.audit_signing import SigningKey
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
    return verify(places.segments, partial(read_signed, places.directory, places.keys, places.copy, places.lock))


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


def rehash(lines: list[bytes]) -> bytes:
    """A segment whose chain is right whatever its lines say. By the format's page, not by the code under test."""
    previous, made = b"0" * 64, b""
    for line in lines:
        body = line.partition(b',"hash":"')[0]
        previous = hashlib.sha256(previous + body).hexdigest().encode()
        made += body + b',"hash":"' + previous + b'"}\n'
    return made


def resign(lines: list[bytes], key_of: Callable[[dict[str, Any]], SigningKey]) -> bytes:
    """Checkpoints that hang together whatever they say, each signed by the key that is chosen for it."""
    previous, made = "0" * 64, b""
    for line in lines:
        facts = json.loads(line)
        key = key_of(facts)
        facts |= {"previous": previous, "key": key.fingerprint}
        del facts["signature"]
        body = json.dumps(facts, separators=(",", ":")).encode()[:-1]
        signed = body + b',"signature":"' + key.sign(body) + b'"}\n'
        previous = hashlib.sha256(signed).hexdigest()
        made += signed
    return made
