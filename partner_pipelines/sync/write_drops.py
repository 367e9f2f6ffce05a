"""Files of writes that other tools drop into `outbox/KIND/`: written elsewhere, then renamed, as any drop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.state.drops import DONE, TakenDrop, begun_drops, put_away, take, taking
from partner_pipelines.state.files import state_errors
from partner_pipelines.state.outbox_files import make_places, waiting_files
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_drafts import BadLine, Drafting
from partner_pipelines.sync.write_files import WHOLE_LINE, BadLines, check_file, check_name, read_lines
from partner_pipelines.sync.write_queue import QueueReport, queue_lines


@dataclass
class DropsReport:
    """What taking drops came to: `rejected` bad lines and files, and a sentence a file that could not be taken."""

    rejected: int = 0
    left: list[str] = field(default_factory=list)


def take_drops(house: House) -> DropsReport:
    """Every file that waited is in the outbox, its bad lines named beside it, in `outbox/done/KIND/`.

    A process that dies in between leaves the file: its lines are known the next time. One that cannot be taken stays
    where it is, and stops no other. Raises StateError.
    """
    outbox, report = house.data.outbox, DropsReport()
    make_places(outbox)
    for drop in begun_drops(outbox):
        with taking(outbox), _alone(drop.kind, report):
            if drop.directory.exists():
                _take_drop(house, drop, report)
    for kind, path in list(waiting_files(outbox)):
        with taking(outbox), _alone(kind, report):
            taken = take(outbox, kind, path)
            if taken is not None:
                _take_drop(house, taken, report)
    return report


@contextmanager
def _alone(kind: str, report: DropsReport) -> Iterator[None]:
    """What goes wrong with one drop is told, without its name, and is that drop's alone."""
    try:
        yield
    except StateError as error:
        reason = getattr(error.__cause__, "strerror", None) or str(error)
        report.left.append(f"a file that was dropped into {kind} could not be taken, it is tried again: {reason}")


def take_file(house: House, kind: str, path: Path, source: str) -> QueueReport:
    """The file's good lines are in the outbox, its bad ones named beside it. Raises UsageError, StateError."""
    check_name(path)
    drafting = Drafting(house.settings, kind, house.data.key("personal"), source)
    check_file(path, drafting)
    with _bad_lines(path) as bad:
        return queue_lines(house, drafting, read_lines(path), bad.add)


def _take_drop(house: House, drop: TakenDrop, report: DropsReport) -> None:
    path = drop.file()
    queued = QueueReport() if path is None else _queue_drop(house, drop.kind, path)
    put_away(house.data.outbox, drop, is_kept=not queued.erased)  # what names an erased person is not kept
    report.rejected += queued.rejected


def _queue_drop(house: House, kind: str, path: Path) -> QueueReport:
    """A drop has nobody who waits for an answer: of one that cannot be read, the file of bad lines says why."""
    try:
        return take_file(house, kind, path, "drop")
    except UsageError as error:
        with _bad_lines(path) as bad:
            bad.add(BadLine(0, {WHOLE_LINE: [str(error).replace(str(path), "the file")]}))
        return QueueReport(rejected=1)


@contextmanager
def _bad_lines(path: Path) -> Iterator[BadLines]:
    bad = BadLines(path)
    try:
        yield bad
    finally:
        bad.close()


def forget_files(outbox: Path, before: float) -> int:
    """Files that were taken before this time (seconds since 1970) are gone; how many. Raises StateError."""
    gone = 0
    with state_errors("remove", outbox / DONE):
        for path in (outbox / DONE).glob("*/*"):
            if path.is_file() and path.stat().st_ctime < before:
                path.unlink(missing_ok=True)
                gone += 1
    return gone
