"""A person is erased: from the vault, the outbox, dead letters and dropped files; tables keep tokens that fit nobody.

Source: resman_handshake.md, "Privacy Considerations". docs/privacy.md says what this reaches and what it cannot.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from partner_pipelines.clock import now
from partner_pipelines.errors import UsageError
from partner_pipelines.partners.writes.checks import RefusedValueError, email
from partner_pipelines.state.addresses import addresses_in, normal_email
from partner_pipelines.state.dead_letters import DeadLetter, DeadLetters
from partner_pipelines.state.erased import Erasure
from partner_pipelines.state.files import state_errors
from partner_pipelines.state.outbox import Item, Outbox
from partner_pipelines.state.webhook_envelope import EnvelopeError, read_envelope
from partner_pipelines.sync.erase_files import Cleared, clear_files
from partner_pipelines.sync.house import House
from partner_pipelines.sync.webhooks import apply_webhooks
from partner_pipelines.warehouse.publish import publish
from partner_pipelines.warehouse.tables import WRITTEN
from partner_pipelines.warehouse.webhooks import end_dead_letters


@dataclass(frozen=True, slots=True)
class ErasureReport:
    """What went. `subject` is a keyed hash of the address: the proof names it, and nobody can read it back.

    `persons`: rows of the partners' that held the address, each with all its personal `values`.
    """

    subject: str
    persons: int
    values: int
    writes: int
    dead_letters: int
    files: int
    first_time: bool


def erase_person(house: House, address: str, *, dry_run: bool = False) -> tuple[ErasureReport, list[Cleared]]:
    """Nothing of the person with this address is in the data directory, and no later sync, webhook or push brings it.

    Beside the report, the files that lost lines. Called again, it goes on where it was broken off. With `dry_run`
    nothing goes: the report says what would, as far as it does not wait in the webhook inbox still.
    Raises UsageError for what is no address, StateError.
    """
    wanted, outbox = _normal(address), Outbox(house.data.outbox)
    # The outbox first: whose items the person's writes are, only the vault can tell
    items = _items(house.vault.erase(wanted, dry_run=True))
    writes = outbox.erase(wanted, items, dry_run=dry_run)
    erasure = house.vault.erase(wanted, dry_run=dry_run)
    if not dry_run:
        apply_webhooks(house)  # what waits: now the memory of the erased keeps it out
        writes += outbox.erase(wanted, items)  # what was queued meanwhile
    letters = _drop_letters(house, wanted, dry_run=dry_run)
    files = clear_files(house.data.outbox, wanted, dry_run=dry_run)
    report = ErasureReport(
        erasure.subject, len(erasure.persons), erasure.values, writes, letters, len(files), erasure.first_time
    )
    if not dry_run:
        house.journal("erasure", {**asdict(report), "at": now()})
    return report, files


def allow_again(house: House, address: str) -> str | None:
    """What comes of this person from now on is kept: the subject of their erasure, None where there was none.

    What was erased stays gone, until a partner shows it again. Raises UsageError for what is no address, StateError.
    """
    wanted = _normal(address)
    if not house.vault.erased_among([wanted]):
        return None
    subject = house.vault.subject(wanted)
    house.journal("erasure_ended", {"subject": subject, "at": now()})
    house.vault.allow(wanted)
    return subject


def _items(erasure: Erasure) -> frozenset[Item]:
    """The person's rows as items that can be written."""
    kinds = {table: kind for kind, table in WRITTEN.items()}
    return frozenset((connection, kinds[table], key) for connection, table, key in erasure.persons if table in kinds)


def _normal(address: str) -> str:
    try:
        return normal_email(email(address))
    except RefusedValueError:
        raise UsageError("what was given with --email is no e-mail address") from None


def _drop_letters(house: House, wanted: str, *, dry_run: bool) -> int:
    letters = DeadLetters(house.data.webhooks)
    found = [letter for letter in letters.all() if _names(letter, wanted)]
    if dry_run:
        return len(found)
    if found:
        with house.warehouse.writing() as database:
            end_dead_letters(database, [letter.id for letter in found], "dropped")
        publish(house.warehouse)
    for letter in found:
        letters.drop(letter)
    return len(found)


def _names(letter: DeadLetter, wanted: str) -> bool:
    """The letter's body, or the file itself where it is no envelope, holds the address."""
    with state_errors("read", letter.path):
        content = letter.path.read_bytes()
    try:
        body = read_envelope(content).body
    except EnvelopeError:
        body = b""
    return any(wanted in addresses_in(part.decode("utf-8", "replace")) for part in (content, body))
