"""Files of writes that other tools drop into `outbox/KIND/`: written elsewhere, then renamed, as any drop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from partner_pipelines.clock import now
from partner_pipelines.errors import UsageError
from partner_pipelines.state.files import locked, make_directory, state_errors
from partner_pipelines.state.outbox_files import make_places, waiting_files
from partner_pipelines.sync.house import House
from partner_pipelines.sync.write_drafts import BadLine, Drafting
from partner_pipelines.sync.write_files import WHOLE_LINE, BadLines, check_file, check_name, read_lines
from partner_pipelines.sync.write_queue import QueueReport, queue_lines

DONE = "done"
"""The directory of `outbox/` where files go that were taken, with their bad lines beside them."""


def take_drops(house: House) -> QueueReport:
    """Every file that waited is in the outbox, its bad lines named beside it, in `outbox/done/KIND/`.

    A process that dies in between leaves the file: its lines are known the next time. Raises StateError.
    """
    total = QueueReport()
    make_places(house.data.outbox)
    for kind, path in list(waiting_files(house.data.outbox)):
        with locked(house.data.outbox / "drops.lock"):
            if path.exists():
                report = _take_drop(house, kind, path)
                _add(total, report)
                _move(house.data.outbox, kind, path, is_kept=not report.erased)
    return total


def take_file(house: House, kind: str, path: Path, source: str) -> QueueReport:
    """The file's good lines are in the outbox, its bad ones named beside it. Raises UsageError, StateError."""
    check_name(path)
    drafting = Drafting(house.settings, kind, house.data.key("personal"), source)
    check_file(path, drafting)
    with _bad_lines(path) as bad:
        return queue_lines(house, drafting, read_lines(path), bad.add)


def _take_drop(house: House, kind: str, path: Path) -> QueueReport:
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


def _move(outbox: Path, kind: str, path: Path, *, is_kept: bool) -> None:
    """The file and what names its bad lines; a file that names a person who was erased is not kept."""
    place = make_directory(outbox / DONE / kind)
    stamp = f"{now():%Y%m%dT%H%M%S%f}"
    bad = path.with_name(f"{path.name}.rejected.csv")
    with state_errors("move", path):
        if bad.exists():
            bad.rename(place / f"{stamp}-{bad.name}")
        if is_kept:
            path.chmod(0o600)
            path.rename(place / f"{stamp}-{path.name}")
        else:
            path.unlink()


def _add(total: QueueReport, one: QueueReport) -> None:
    total.ids.extend(one.ids)
    total.unchanged += one.unchanged
    total.rejected += one.rejected
    total.lines += one.lines


def forget_files(outbox: Path, before: float) -> int:
    """Files that were taken before this time (seconds since 1970) are gone; how many. Raises StateError."""
    gone = 0
    with state_errors("remove", outbox / DONE):
        for path in (outbox / DONE).glob("*/*"):
            if path.is_file() and path.stat().st_ctime < before:
                path.unlink(missing_ok=True)
                gone += 1
    return gone
