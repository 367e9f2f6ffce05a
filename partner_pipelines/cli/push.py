"""`push`: a file's lines to the outbox, the outbox to the partners, and what became of it."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

import typer

from partner_pipelines.cli.places import refuse_newer_data
from partner_pipelines.cli.sandboxes import environment_with_sandbox
from partner_pipelines.counted import counted
from partner_pipelines.errors import StoppedError, UsageError
from partner_pipelines.settings import load_settings
from partner_pipelines.state.outbox import Outbox, State
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import House, open_house
from partner_pipelines.sync.write_drafts import BadLine, Drafting
from partner_pipelines.sync.write_examples import EXAMPLES
from partner_pipelines.sync.write_files import BadLines, check_file, check_name, read_lines
from partner_pipelines.sync.write_forecast import Forecast
from partner_pipelines.sync.write_queue import QueueReport, queue_lines, states_of
from partner_pipelines.sync.write_table import show_writes
from partner_pipelines.sync.writes import Progress, WritesReport, work_off

_SHOWN = 20
COUNTED: tuple[State, ...] = ("created", "updated", "unchanged", "rejected", "unknown", "queued")


def run_push(
    kind: str, file: Path | None, connection: str | None, *, dry_run: bool, settle: bool, as_json: bool
) -> bool:
    """Pushes the file; True when every line was taken. Raises UsageError, StateError, StoppedError."""
    if file is None:
        raise UsageError("name the file: partner-pipelines push KIND FILE; --example prints one")
    check_name(file)
    with opened() as house:
        drafting = Drafting(house.settings, kind, house.data.key("personal"), "push", connection)
        check_file(file, drafting)
        if dry_run:
            return _foretell(house, drafting, file, as_json=as_json)
        return _push(house, drafting, file, settle=settle, as_json=as_json)


@contextmanager
def opened() -> Iterator[House]:
    """A house over the settings, and over a sandbox where they want one."""
    refuse_newer_data()
    stop = StopSignal()
    with stop.on_signals(), environment_with_sandbox(stop) as environ:
        settings = load_settings(environ)
        settings.require_any_connection()
        with open_house(settings, run_id=None, stop=stop) as house:
            yield house


def _foretell(house: House, drafting: Drafting, file: Path, *, as_json: bool) -> bool:
    with closing(Forecast(house)) as forecast:
        report = queue_lines(house, drafting, read_lines(file), _print_bad, _progress("checked"), dry=forecast)
    counts = {state: forecast.counts[state] for state in COUNTED}
    counts["rejected"] += report.rejected
    typer.echo(f"{counted(report.lines, 'line')} would be: {_words(counts)}; nothing was sent")
    if as_json:
        typer.echo(json.dumps({"success": not counts["rejected"], "dry_run": True, **counts}))
    return not counts["rejected"]


def _push(house: House, drafting: Drafting, file: Path, *, settle: bool, as_json: bool) -> bool:
    bad, outbox = BadLines(file), Outbox(house.data.outbox)

    def tell(line: BadLine) -> None:
        if bad.count < _SHOWN:
            _print_bad(line)
        bad.add(line)

    try:
        queued = _queue(house, drafting, file, tell)
        report = _work(house, outbox, queued, file)
        while settle and _is_uncertain(outbox, queued):
            house.stop.wait(1)
            work_off(house)
        show_writes(house)
        counts = _counts(outbox, queued)
        _add_refused(outbox, queued, bad)
    finally:
        bad.close()
    left_to_a_person = sum(not write.is_natural for write in outbox.in_state("unknown") if write.id in set(queued.ids))
    success = not (counts["rejected"] or report.failed or left_to_a_person)
    _print(drafting.form.kind, queued, counts, report, bad)
    if left_to_a_person:
        typer.echo(
            f"{left_to_a_person:,} of them only a person can settle: `outbox list` says which, docs/writes.md how"
        )
    if as_json:
        typer.echo(json.dumps({"success": success, **counts, "failed": report.failed, "held": report.held}))
    return success


def _queue(house: House, drafting: Drafting, file: Path, tell: Callable[[BadLine], None]) -> QueueReport:
    """Queues. Whoever stops it hears how far it came."""
    lines = 0
    show = _progress("queued")

    def told(count: int) -> None:
        nonlocal lines
        lines = count
        show(count)

    try:
        return queue_lines(house, drafting, read_lines(file), tell, told)
    except StoppedError:
        _tell_what_waits(f"the good ones of the first {counted(lines, 'line')}", file)
        raise


def _work(house: House, outbox: Outbox, queued: QueueReport, file: Path) -> WritesReport:
    """Sends. Whoever stops it hears what waits, and for what."""
    try:
        return work_off(house, _progress_of_states())
    except StoppedError:
        _tell_what_waits(counted(states_of(outbox, queued.ids)["queued"], "line"), file)
        raise


def _tell_what_waits(what: str, file: Path) -> None:
    typer.echo(
        f"In the outbox: {what} of {file.name}. The next push, `sync` or `up` sends what waits; "
        f"`partner-pipelines outbox settle --dropped --file {shlex.quote(file.name)}` takes it back.",
        err=True,
    )


def _counts(outbox: Outbox, queued: QueueReport) -> dict[State, int]:
    states = states_of(outbox, queued.ids)
    counts = {state: states[state] for state in COUNTED}
    counts["queued"] += states["sending"]
    counts["unchanged"] += queued.unchanged
    counts["rejected"] += queued.rejected
    return counts


def _is_uncertain(outbox: Outbox, queued: QueueReport) -> bool:
    ids = set(queued.ids)
    return any(write.id in ids and write.is_natural for write in outbox.in_state("unknown"))


def _add_refused(outbox: Outbox, queued: QueueReport, bad: BadLines) -> None:
    """What the partner has refused stands beside what we have: line, field, its words."""
    ids = set(queued.ids)
    for write in outbox.in_state("rejected"):
        if write.id in ids:
            errors = {name: list(words) for name, words in (write.field_errors or {}).items()}
            bad.add(BadLine(write.line or 0, errors or {"(line)": [write.reason or "rejected"]}))


def _print(kind: str, queued: QueueReport, counts: Mapping[State, int], report: WritesReport, bad: BadLines) -> None:
    typer.echo(f"{counted(queued.lines, 'line')}: {_words(counts)}")
    if bad.count:
        typer.echo(f"rejected lines, with field and reason: {bad.path}")
    if counts["unknown"]:
        typer.echo(
            "unknown: they may have had their effect. Where the partner can be asked, `outbox settle` or a sync does"
        )
    others = [place for place in report.held if ": " in place and not place.endswith(f": {kind}")]
    for place, reason in {**report.held, **report.failed}.items():
        if place not in others:
            typer.echo(f"{'FAILED' if place in report.failed else 'waits'}: {place}: {reason}")
    if others:
        typer.echo(f"writes of other kinds wait too ({', '.join(others)}): `outbox list`")


def _print_bad(bad: BadLine) -> None:
    for name, reasons in sorted(bad.errors.items()):
        typer.echo(f"line {bad.number}: {name}: {' '.join(reasons)}")


def _words(counts: Mapping[State, int]) -> str:
    return ", ".join(f"{counts[state]:,} {state}" for state in COUNTED if counts[state]) or "nothing"


def _progress(what: str) -> Callable[[int], None]:
    is_shown = sys.stderr.isatty()

    def tell(count: int) -> None:
        end = "\r" if is_shown else "\n"
        if is_shown or count % 10_000 == 0:
            print(f"{count:,} lines {what} …", file=sys.stderr, end=end, flush=True)  # noqa: T201 - a command's progress

    return tell


def _progress_of_states() -> Progress:
    last = 0

    def tell(states: Mapping[State, int]) -> None:
        nonlocal last
        total = sum(states.values())
        if total // 1_000 > last // 1_000:
            typer.echo(f"{total:,} worked off …", err=True)
        last = total

    return tell


def print_example(kind: str) -> None:
    """Prints a CSV of this kind that the sandbox takes."""
    rows = EXAMPLES[kind]
    writer = csv.DictWriter(sys.stdout, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
