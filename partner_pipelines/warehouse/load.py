"""Landed answers go into the tables: each file once, each row's latest news, whatever order they come in.

A killed process leaves either a file that is not merged, or one that `internal.landed` names: it is only removed then.

Processes that merge at once take turns. What a turn costs whatever is merged (the database opened, checkpointed,
closed) is most of a small one, so who has it merges in the same transaction what others wait for, and tells them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.files import state_errors
from partner_pipelines.state.landing import Landing
from partner_pipelines.state.merge_asks import MergeAsk, asking, others_asks
from partner_pipelines.state.versions import refuse_newer_landed
from partner_pipelines.warehouse.connection import Session, Warehouse
from partner_pipelines.warehouse.merging import MergeResult, TableChanges, merge_files
from partner_pipelines.warehouse.parameters import Value, moments
from partner_pipelines.warehouse.schema import changes

_BYTES_AT_ONCE = 4 * 1024 * 1024
"""How much is merged in one transaction: it bounds the memory. About 1,000 properties with all their rows."""


@dataclass(frozen=True, slots=True)
class _Other:
    """What somebody else waits for."""

    ask: MergeAsk
    files: Sequence[Path]


def merge_landed(
    warehouse: Warehouse,
    landing: Landing,
    run_started_at: datetime,
    *,
    connection: str | None = None,
    sets_aside: bool = False,
) -> MergeResult:
    """All that waits (of one connection, or of all) is in the tables afterwards, and its files are gone.

    The others go on without files that are damaged.

    Args:
        warehouse: Its lock is taken; processes that merge at once take turns.
        landing: Where the answers wait.
        run_started_at: Rows that came or changed since then are not counted as `updated` again.
        connection: None for all of them.
        sets_aside: Damaged files wait no longer, and the result names them: the caller tells of them. Else they wait
            for a merge that does.

    Raises:
        NewerSchemaError: a newer version of this program landed one of them.
        StateError: a file, the disk, DuckDB; what was merged before stays merged.
    """
    if not landing.waiting(connection):
        return MergeResult()
    with ExitStack() as stack:
        ask = None
        if connection is not None:
            ask = stack.enter_context(asking(warehouse.data.merging, connection, run_started_at))
        stack.enter_context(warehouse.locked())
        result = _told(warehouse, ask)
        if result.files and not landing.waiting(connection):
            return result
        return result + _Turn(warehouse, landing, run_started_at, connection, ask, sets_aside=sets_aside).run()


def _told(warehouse: Warehouse, ask: MergeAsk | None) -> MergeResult:
    """What another process has merged for us."""
    answer = ask.read_answer() if ask is not None else None
    if answer is None:
        return MergeResult()
    warehouse.others_have_committed(answer["changes"])
    return MergeResult({name: TableChanges(**counts) for name, counts in answer["tables"].items()}, answer["files"])


class _Turn:
    """One process's turn at the warehouse, whose lock it holds."""

    def __init__(
        self,
        warehouse: Warehouse,
        landing: Landing,
        run_started_at: datetime,
        connection: str | None,
        ask: MergeAsk | None,
        *,
        sets_aside: bool,
    ) -> None:
        self._warehouse = warehouse
        self._landing = landing
        self._run_started_at = run_started_at
        self._connection = connection
        self._ask = ask
        self._sets_aside = sets_aside

    def run(self) -> MergeResult:
        landing = self._landing
        with self._warehouse.opened() as session:
            landing.clean()
            waiting = self._unmerged(session)
            mine = [path for path in waiting if self._connection in (None, path.parent.name)]
            damaged = [path for path in mine if not landing.is_whole(path)]
            result = MergeResult()
            portions = _portions(path for path in mine if path not in damaged)
            for place, files in enumerate(portions, start=1):
                others = self._others(files, waiting) if place == len(portions) else []
                result += self._merge(session, files, others)
                if place < len(portions):
                    session.checkpoint()  # until then what is committed is held in memory
        if not self._sets_aside:
            return result
        # Last, so that after an error they still wait: whoever sets them aside says so
        return result + MergeResult(damaged=tuple(landing.set_aside(path) for path in damaged))

    def _unmerged(self, session: Session) -> list[Path]:
        """What waits and is not merged. Removes what an earlier process merged and did not live to remove."""
        found = session.database.execute("SELECT file_name FROM internal.landed").fetchall()
        merged = {name for (name,) in found}
        waiting = self._landing.waiting()
        refuse_newer_landed(waiting)
        self._landing.remove(path for path in waiting if path.name in merged)
        return [path for path in waiting if path.name not in merged]

    def _others(self, files: Sequence[Path], waiting: Sequence[Path]) -> list[_Other]:
        """What others wait for, as far as it fits into the transaction: each whole or not at all."""
        if self._ask is None:
            return []
        found: list[_Other] = []
        size = sum(map(_size, files))
        taken = {self._connection}
        for ask in others_asks(self._warehouse.data.merging, self._ask):
            theirs = [path for path in waiting if path.parent.name == ask.connection]
            if ask.connection in taken or not theirs or not all(map(self._landing.is_whole, theirs)):
                continue
            size += sum(map(_size, theirs))
            if size > _BYTES_AT_ONCE:
                break
            taken.add(ask.connection)
            found.append(_Other(ask, theirs))
        return found

    def _merge(self, session: Session, files: Sequence[Path], others: Sequence[_Other]) -> MergeResult:
        every = [*files, *(path for other in others for path in other.files)]
        try:
            with session.transaction() as database:
                found = merge_files(database, every, self._common(others))
        except StateError:
            if not others:
                raise
            return self._merge(session, files, [])  # what is wrong may be theirs
        self._landing.remove(every)
        for other in others:
            counted = found.get(other.ask.connection, MergeResult())
            tables = {name: asdict(counts) for name, counts in counted.tables.items()}
            answer = {"changes": changes(session.database), "tables": tables, "files": len(other.files)}
            with suppress(StateError):  # who finds no answer looks himself
                other.ask.answer(answer)
        told = {other.ask.connection for other in others}
        mine = (counted for connection, counted in found.items() if connection not in told)
        return sum(mine, MergeResult(files=len(files)))

    def _common(self, others: Sequence[_Other]) -> dict[str, Value]:
        begins = {other.ask.connection: other.ask.run_started_at for other in others}
        if self._connection is not None:
            begins[self._connection] = self._run_started_at
        return {
            "content_key": self._warehouse.data.key("content").hex(),
            "run": min((self._run_started_at, *begins.values())),
            "connections": list(begins),
            "runs": [begin.isoformat() for begin in begins.values()],
            **moments(),
        }


def _size(path: Path) -> int:
    with state_errors("read", path):
        return path.stat().st_size


def _portions(files: Iterable[Path]) -> list[list[Path]]:
    portions: list[list[Path]] = []
    room = 0
    for path in files:
        size = _size(path)
        if not portions or size > room:
            portions.append([])
            room = _BYTES_AT_ONCE
        portions[-1].append(path)
        room -= size
    return portions
