"""`outbox list|settle|resend`: works off uncertain writes. What a write says is not printed, only what became of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC

import typer

from partner_pipelines.cli.places import data_to_read
from partner_pipelines.cli.push import COUNTED, opened
from partner_pipelines.errors import UsageError
from partner_pipelines.state.outbox import Outbox, Settled, State, Write
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_queue import PIECE
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import WritesReport, work_off

_LISTED: tuple[State, ...] = ("queued", "sending", "unknown", "rejected")
_OPEN_TO_WORD: tuple[State, ...] = ("unknown", "queued")
_WAITING: tuple[State, ...] = ("queued",)
_DONE: tuple[State, ...] = ("created", "updated", "unchanged")


def run_list(*, everything: bool, as_json: bool) -> None:
    """Prints each write: number, kind, connection, state, since when, why."""
    outbox = Outbox(data_to_read().outbox)
    writes = [write for state in (*_LISTED, *(_DONE if everything else ())) for write in outbox.in_state(state)]
    writes.sort(key=lambda write: write.id)
    for write in writes:
        at = (write.finished_at or write.uncertain_at or write.queued_at).astimezone(UTC)
        reason = f"  {write.reason}" if write.reason else ""
        partner_id = f"  {write.partner_id}" if write.partner_id else ""
        typer.echo(
            f"{write.id:>8}  {write.kind:<11}  {write.connection:<12}  {write.state:<9}  "
            f"{at:%Y-%m-%d %H:%M:%S} UTC{partner_id}{reason}"
        )
        origin = [part for part in (write.label, f"line {write.line}" if write.line else None) if part]
        asked = f"; the last request: {write.request_ids[-1]}" if write.request_ids else ""
        if origin or asked:
            typer.echo(f"{'':>10}{', '.join(origin) or 'a row of a program'}{asked}")
        for name, words in (write.field_errors or {}).items():
            typer.echo(f"{'':>10}{name}: {' '.join(words)}")
    if not writes:
        typer.echo("Nothing waits, is uncertain or was rejected.")
    if as_json:
        typer.echo(json.dumps({"success": True, "writes": [_facts(write) for write in writes]}))


def run_settle(ids: Sequence[int], *, created: bool, partner_id: str | None, dropped: bool, as_json: bool) -> bool:
    """Asks the partners, or takes a person's word. Raises UsageError."""
    if created and dropped:
        raise UsageError("--created and --dropped exclude each other")
    if partner_id is not None and not (created and len(ids) == 1):
        raise UsageError("--partner-id goes with --created and one write")
    if bool(ids) != (created or dropped):
        raise UsageError("say of the writes that you name what became of them: --created or --dropped; or name none")
    with opened() as house:
        if not ids:
            return _work(house, as_json=as_json)
        outbox = Outbox(house.data.outbox)
        writes = _chosen(outbox, ids, _OPEN_TO_WORD)
        _journal(house, "settle", writes, "created" if created else "rejected")
        # Nothing else is sent by it: what waits beside them may be a person's to settle too (after a restore)
        outbox.settle([_said(write, partner_id, created=created) for write in writes], only_from=_OPEN_TO_WORD)
        show_writes(house)
        typer.echo(f"{len(writes):,} settled as {'there' if created else 'not sent'}; in the outbox now:")
        return _tell(house, WritesReport(), as_json=as_json)


def run_drop_file(name: str, ids: Sequence[int], *, created: bool, dropped: bool, as_json: bool) -> bool:
    """What still waits of one file is not sent. Raises UsageError."""
    if created or ids or not dropped:
        raise UsageError("--file goes with --dropped alone: it names what is not to be sent")
    with opened() as house:
        outbox = Outbox(house.data.outbox)
        writes = [write for write in outbox.in_state("queued") if _is_of(write, name)]
        if not writes:
            raise UsageError(f"nothing of {name!r} waits: `outbox list` names what does, with the file that it is of")
        settled = 0
        for piece in _pieces(writes):
            _journal(house, "settle", piece, "rejected")
            # Of these somebody may have sent some meanwhile
            settled += len(outbox.settle([_said(write, None, created=False) for write in piece], only_from=_WAITING))
        show_writes(house)
        typer.echo(f"{settled:,} settled as not sent; in the outbox now:")
        return _tell(house, WritesReport(), as_json=as_json)


def _is_of(write: Write, name: str) -> bool:
    """The label is the file's name, and the sender's reference after it."""
    return write.label is not None and (write.label == name or write.label.startswith(f"{name}, "))


def _pieces(writes: Sequence[Write]) -> Iterator[Sequence[Write]]:
    return (writes[start : start + PIECE] for start in range(0, len(writes), PIECE))


def _said(write: Write, partner_id: str | None, *, created: bool) -> Settled:
    if not created:
        reason = "settled by a person: it had no effect and is not sent"
        return Settled(write.id, "rejected", write.action, partner_id, reason=reason)
    state: State = "updated" if write.action == "update" else "created"
    return Settled(write.id, state, write.action or "create", partner_id)


def run_resend(ids: Sequence[int], *, as_json: bool) -> bool:
    """Queues and sends again. Raises UsageError."""
    if not ids:
        raise UsageError("name the writes by their numbers (`outbox list` has them)")
    with opened() as house:
        outbox = Outbox(house.data.outbox)
        writes = _chosen(outbox, ids, ("unknown", "rejected"))
        erased = [write.id for write in writes if write.payload is None]
        if erased:
            raise UsageError(f"write {erased[0]} was erased after PARTNER_OUTBOX_KEEP_DAYS: push it anew")
        _journal(house, "resend", writes, "queued")
        outbox.settle([Settled(write.id, "queued") for write in writes], seen=writes)
        return _work(house, as_json=as_json)


def _chosen(outbox: Outbox, ids: Sequence[int], states: Sequence[State]) -> list[Write]:
    writes = {write.id: write for write in outbox.find(ids)}
    for outbox_id in ids:
        if outbox_id not in writes:
            raise UsageError(f"there is no write {outbox_id}: `outbox list` has them")
        if writes[outbox_id].state not in states:
            raise UsageError(f"write {outbox_id} is {writes[outbox_id].state}, not {' or '.join(states)}")
    return list(writes.values())


def _journal(house: House, deed: str, writes: Sequence[Write], state: State) -> None:
    """A person's word is on record before it counts."""
    house.journal("outbox", {"deed": deed, "outbox_ids": [write.id for write in writes], "state": state})


def _work(house: House, *, as_json: bool) -> bool:
    report = work_off(house)
    show_writes(house)
    return _tell(house, report, as_json=as_json)


def _tell(house: House, report: WritesReport, *, as_json: bool) -> bool:
    counts = Counter[State]()
    for (_, _, state), count in Outbox(house.data.outbox).counts().items():
        counts[state] += count
    typer.echo(", ".join(f"{count:,} {state}" for state, count in counts.items()) or "The outbox is empty.")
    for place, reason in {**report.held, **report.failed}.items():
        typer.echo(f"{'FAILED' if place in report.failed else 'waits'}: {place}: {reason}")
    if as_json:
        typer.echo(json.dumps({"success": not report.failed, **{state: counts[state] for state in COUNTED}}))
    return not report.failed


def _facts(write: Write) -> dict[str, object]:
    return {
        "outbox_id": write.id,
        "kind": write.kind,
        "connection": write.connection,
        "state": write.state,
        "partner_id": write.partner_id,
        "reason": write.reason,
        "field_errors": write.field_errors,
        "request_ids": list(write.request_ids),
        "line": write.line,
        "label": write.label,
    }
