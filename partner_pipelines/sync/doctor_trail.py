"""`doctor` on the proof of the trail: as much of `audit verify` as takes a second or two, and the key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from partner_pipelines.counted import counted
from partner_pipelines.errors import SettingsError, StateError
from partner_pipelines.settings import Settings
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces
from partner_pipelines.state.audit_segment import list_segments
from partner_pipelines.state.audit_signed import Signed, read_signed
from partner_pipelines.state.audit_verify import Problem, verify, verify_segment
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import state_errors
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green
from partner_pipelines.sync.process_trail import checkpoint_places

WHOLE_BYTES = 64 * 1024 * 1024
"""Read in a second or two: 200,000 records. Of a longer trail so much is read from its end, in whole segments."""


def check_trail(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    """What is wrong with it, the first of each kind. Raises NewerSchemaError; StateError: it cannot be read."""
    places = checkpoint_places(settings, data)
    segments = list_segments(places.segments)
    newest = _newest(segments)
    problems, signed, says = _whole(places) if newest == segments else _newest_alone(places, segments, newest)
    if problems:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        yield found("trail_bad", f"{first.segment} line {first.line}: {first.what}{more}")
    for note in signed.notes:
        yield found("trail_note", note)
    if not problems and not signed.notes:
        yield green("trail", says)


def _newest(segments: list[Path]) -> list[Path]:
    """The last ones, as many as are read in a short time, but one at least."""
    left, chosen = WHOLE_BYTES, 0
    with state_errors("read", segments[0].parent if segments else Path()):
        for path in reversed(segments):
            left -= path.stat().st_size if path.exists() else 0
            if left < 0 and chosen:
                break
            chosen += 1
    return segments[len(segments) - chosen :]


def _whole(places: CheckpointPlaces) -> tuple[list[Problem], Signed, str]:
    report = verify(places.segments, partial(read_signed, places.directory, places.keys, places.copy, places.lock))
    assert report.signed is not None
    torn = f", {len(report.torn_tails)} ended in a crash" if report.torn_tails else ""
    says = f"the whole of it holds: {counted(report.records, 'record')} in {counted(report.segments, 'segment')}{torn}"
    return report.problems, report.signed, f"{says}; {report.unsigned:,} are not signed yet"


def _newest_alone(
    places: CheckpointPlaces, segments: list[Path], newest: list[Path]
) -> tuple[list[Problem], Signed, str]:
    """All checkpoints, every segment's presence, and the newest segments' records."""
    signed = read_signed(places.directory, places.keys, places.copy, places.lock)
    problems = [Problem(bad.place, bad.line, bad.what) for bad in signed.problems]
    there = {path.stem for path in segments}
    problems += [
        Problem(name, 1, f"the segment is gone; {claim.where} signed {claim.records} records of it")
        for name, claim in sorted(signed.proof.standing.items())
        if name not in there
    ]
    proofs = [verify_segment(path, tuple(signed.proof.claims.get(path.stem, ()))) for path in newest]
    problems += [proof.problem for proof in proofs if proof is not None and proof.problem is not None]
    records = sum(proof.records for proof in proofs if proof is not None)
    says = f"checkpoints and the newest {len(newest):,} of {len(segments):,} segments hold ({records:,} records)"
    return problems, signed, f"{says}; `partner-pipelines audit verify` reads all"


def check_signing_key(settings: Settings, data: DataDirectory) -> Iterator[Finding]:
    """Whether it can be read, and whether who changes the trail could sign it again."""
    keys = checkpoint_places(settings, data).keys
    try:
        key = keys.load()
    except (SettingsError, StateError) as error:
        yield found("key_unusable", str(error))
        return
    if settings.audit_key is None:
        yield found("key_beside", f"{data.signing_key} signs the trail beside it")
    elif key is None:
        yield found("key_unusable", "PARTNER_AUDIT_KEY names no key")
    else:
        yield green("signing key", f"PARTNER_AUDIT_KEY, {key.fingerprint[:16]}")
