"""`audit`: the trail proved, or its first bad record named; the key that signs it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import typer

from partner_pipelines.cli.places import data_to_read, existing_data, place_settings
from partner_pipelines.counted import counted
from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces
from partner_pipelines.state.audit_rotation import rotate_key
from partner_pipelines.state.audit_signed import Signed, read_signed
from partner_pipelines.state.audit_signing import VerifyKey, read_key_file, read_public_key
from partner_pipelines.state.audit_verify import VerifyReport, verify
from partner_pipelines.sync.process_trail import checkpoint_places

_SETTINGS = ("PARTNER_DATA_DIR", "PARTNER_ENV", "PARTNER_AUDIT_KEY", "PARTNER_AUDIT_COPY")


def run_verify(copy: Path | None, key: Path | None, *, as_json: bool) -> bool:
    """Prints what was found; True when nothing is wrong. A torn tail is a crash's trace and not wrong."""
    places = checkpoint_places(place_settings(*_SETTINGS), data_to_read())
    keys = places.keys if key is None else _trusted(key)
    if copy is not None and not copy.is_dir():
        raise UsageError(f"{copy} is no directory: --copy names the second place of checkpoints")
    report = verify(places.segments, partial(read_signed, places.directory, keys, copy or places.copy, places.lock))
    if not report.segments and not report.problems:
        raise UsageError(
            f"{places.segments} holds no trail: nothing was called yet, or PARTNER_DATA_DIR is another place"
        )
    for note in report.signed.notes if report.signed else ():
        typer.echo(f"partner-pipelines: {note}", err=True)
    for line in _sentences(report):
        typer.echo(line)
    if as_json:
        typer.echo(json.dumps(_facts(report)))
    return not report.problems


def _trusted(file: Path) -> VerifyKey:
    try:
        return read_public_key(file)
    except StateError as error:  # a wrong word of the command line, nothing of ours
        raise UsageError(f"--key: {error}") from error


def run_key(*, as_json: bool) -> None:
    """Prints the public key. Raises UsageError while there is none."""
    key = _existing_places().keys.load()
    if key is None:
        raise UsageError("there is no key yet: it is made with the first checkpoint, or PARTNER_AUDIT_KEY gives one")
    typer.echo(key.public.pem, nl=False)
    if as_json:
        typer.echo(json.dumps({"fingerprint": key.fingerprint, "public_key": key.public.pem}))


def run_rotate_key(to: Path | None, *, as_json: bool) -> None:
    """Rotates, and says what is left to do. Raises UsageError, StateError."""
    new = None if to is None else read_key_file(to)
    if to is not None and new is None:
        raise UsageError(f"{to} is not there")
    rotation = rotate_key(_existing_places(), new)
    typer.echo(f"Checkpoints were signed by the key {rotation.old}")
    typer.echo(f"and are from now on by the key {rotation.new}")
    if to is not None:
        typer.echo(f"Now make it the key in use: PARTNER_AUDIT_KEY=file:{to.absolute()}; until then nothing is signed")
    if as_json:
        typer.echo(json.dumps({"success": True, "old": rotation.old, "new": rotation.new}))


def _existing_places() -> CheckpointPlaces:
    settings = place_settings(*_SETTINGS)
    return checkpoint_places(settings, existing_data(settings))


def _sentences(report: VerifyReport) -> list[str]:
    lines = [f"{problem.segment} line {problem.line}: {problem.what}" for problem in report.problems]
    lines += [
        f"{tail.segment} line {tail.line}: incomplete; {'its writer lives' if tail.living else 'its process died'}"
        for tail in report.torn_tails
    ]
    if report.purged:
        records, segments = counted(_purged_records(report), "record"), counted(len(report.purged), "segment")
        lines.append(f"purged, on record: {records} in {segments}")
    if report.signed:
        lines += _signed_sentences(report.signed, None if report.problems else report.unsigned)
    verdict = f"{len(report.problems)} bad" if report.problems else "all chains hold"
    return [*lines, f"{counted(report.records, 'record')} in {counted(report.segments, 'segment')}: {verdict}"]


def _signed_sentences(signed: Signed, unsigned: int | None) -> list[str]:
    """`unsigned` is None where something is bad: how much is signed says nothing then."""
    proof = signed.proof
    lines = []
    if proof.torn is not None:
        lines.append(f"{proof.torn.place} line {proof.torn.line}: incomplete; its process died")
    if proof.last is None:
        return [*lines, "nothing is signed yet"]
    copied = "no copy" if signed.copied is None else f"{signed.copied:,} in the copy"
    checkpoints = (
        f"{counted(proof.checkpoints, 'checkpoint')} ({copied}), "
        f"the last of {proof.last.at} by the key {proof.last.key[:16]}"
    )
    return [*lines, checkpoints if unsigned is None else f"{checkpoints}: {_of_unsigned(unsigned)}"]


def _of_unsigned(unsigned: int) -> str:
    return f"all but {counted(unsigned, 'record')} are signed" if unsigned else "all records are signed"


def _facts(report: VerifyReport) -> dict[str, object]:
    return {
        "success": not report.problems,
        "segments": report.segments,
        "records": report.records,
        "purged": {"segments": len(report.purged), "records": _purged_records(report)},
        "problems": [{"segment": p.segment, "line": p.line, "what": p.what} for p in report.problems],
        "torn_tails": [{"segment": t.segment, "line": t.line, "living": t.living} for t in report.torn_tails],
        "unsigned_records": report.unsigned,
        "checkpoints": _checkpoint_facts(report.signed) if report.signed else None,
    }


def _checkpoint_facts(signed: Signed) -> dict[str, object]:
    last = signed.proof.last
    return {
        "number": signed.proof.checkpoints,
        "last_at": last.at if last else None,
        "key": last.key if last else None,
        "copied": signed.copied,
        "notes": signed.notes,
    }


def _purged_records(report: VerifyReport) -> int:
    return sum(segment.records for segment in report.purged.values())
