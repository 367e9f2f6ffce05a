"""`webhooks list|replay|drop`: works off dead letters. What a delivery says is never printed, only why it is one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime

import typer

from partner_pipelines.cli.places import data_to_read, place_settings
from partner_pipelines.errors import UsageError
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.dead_letters import DeadLetter, DeadLetters
from partner_pipelines.state.webhook_envelope import EnvelopeError, read_envelope
from partner_pipelines.warehouse.connection import Warehouse
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.webhooks import end_dead_letters

_MEANINGS = {
    "not_json": "the body is no JSON",
    "not_an_event": "the body is no event in the documented form",
    "unknown_event": "an event that this version does not know",
    "no_property": "the event names no property",
    "unsigned": "no signature; PARTNER_WEBHOOKS_ALLOW_UNSIGNED=true takes such drops",
    "wrong_signature": "no accepted secret signed it",
    "no_connection": "unsigned, and it cannot be told whose it is",
    "not_a_drop": "the file is not in the form of a drop",
    "too_large": "the file is too large",
    "unreadable": "the file cannot be read",
}


def run_list(*, as_json: bool) -> None:
    """Prints each dead letter: id, when it came, why it is here."""
    letters = DeadLetters(data_to_read().webhooks).all()
    for letter in letters:
        typer.echo(f"{letter.id}  {_received(letter):<20}  {letter.reason}: {_MEANINGS.get(letter.reason, '')}")
    if not letters:
        typer.echo("No dead letters.")
    if as_json:
        facts = [{"id": one.id, "reason": one.reason, "received_at": _received(one) or None} for one in letters]
        typer.echo(json.dumps({"success": True, "dead_letters": facts}))


def run_replay(ids: Sequence[str], *, everything: bool) -> None:
    """Moves dead letters back into the inbox: the next sync, or `up`, applies them."""
    data, letters = _chosen(ids, everything=everything)
    _tell(data, letters, "replayed")
    for letter in letters:
        DeadLetters(data.webhooks).replay(letter)
    typer.echo(f"{len(letters)} replayed: they wait in the inbox for the next sync")


def run_drop(ids: Sequence[str], *, everything: bool) -> None:
    """Removes dead letters for good."""
    data, letters = _chosen(ids, everything=everything)
    _tell(data, letters, "dropped")
    for letter in letters:
        DeadLetters(data.webhooks).drop(letter)
    typer.echo(f"{len(letters)} dropped")


def _chosen(ids: Sequence[str], *, everything: bool) -> tuple[DataDirectory, list[DeadLetter]]:
    if bool(ids) == everything:
        raise UsageError("name the dead letters by their ids (`webhooks list` has them), or say --all")
    settings = place_settings()
    data = open_data_directory(settings.data_dir, settings.environment)
    letters = DeadLetters(data.webhooks)
    return data, letters.all() if everything else letters.find(ids)


def _tell(data: DataDirectory, letters: Sequence[DeadLetter], state: str) -> None:
    """audit.webhook_deliveries says what became of them. First of all: who is killed after it leaves them listed."""
    if not letters:
        return
    warehouse = Warehouse(data)
    with warehouse.writing() as database:
        end_dead_letters(database, [letter.id for letter in letters], state)
    publish(warehouse)


def _received(letter: DeadLetter) -> str:
    try:
        at: datetime = read_envelope(letter.path.read_bytes()).received_at
    except (EnvelopeError, OSError):
        return ""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
