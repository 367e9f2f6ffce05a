"""The outbox is worked off: what was left uncertain is settled, what waits is sent, each with one effect.

docs/design.md, "A write's way", says why it is done in this order.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from partner_pipelines.errors import (
    APIError,
    ConnectionRevokedError,
    PermissionDeniedError,
    SettingsError,
)
from partner_pipelines.partners.writes.forms import FORMS
from partner_pipelines.settings import Connection, ResManConnection
from partner_pipelines.state.outbox import LEASE_SECONDS, Outbox, Settled, State, Write
from partner_pipelines.state.process import seconds_since_boot
from partner_pipelines.sync.house import House
from partner_pipelines.sync.tally import COME_LATER
from partner_pipelines.sync.write_sending import HELD_SECONDS, HoldError, Sender
from partner_pipelines.sync.write_settling import recover_abandoned, settle_by_trail, settle_unknown

AT_ONCE = 20
"""How many writes a thread claims at once: each claim costs five syncs of the disk."""
MOST_UNCERTAIN = 50
"""So many writes in a row without an answer, and a connection gets no more: what is uncertain has to be asked about."""
_MOST_THREADS = 8
Progress = Callable[[Mapping[State, int]], None]


@dataclass
class WritesReport:
    """What became of the writes that were touched, by state; what is left, and why, by connection."""

    states: Counter[State] = field(default_factory=Counter)
    held: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    requests: dict[str, int] = field(default_factory=dict)


def outbox_of(house: House) -> Outbox:
    """The outbox of the house's data directory."""
    return Outbox(house.data.outbox)


def work_off(house: House, progress: Progress | None = None) -> WritesReport:
    """What waits is sent, what has rested is settled, over all connections. One that fails leaves the others going.

    Raises StateError, AuditUnavailableError, StoppedError; what was sent by then is in the outbox.
    """
    outbox, report = outbox_of(house), WritesReport()
    recover_abandoned(house, outbox)
    for connection in house.settings.connections:
        before = house.recorder.attempts(connection.name)
        _Turn(house, outbox, connection, report, progress).run()
        made = house.recorder.attempts(connection.name) - before
        if made:
            report.requests[connection.name] = made
    _hold_others(house, outbox)
    return report


def _hold_others(house: House, outbox: Outbox) -> None:
    """Writes of a connection that the settings do not have any more wait: nobody can send them."""
    there = {connection.name for connection in house.settings.connections}
    for name in {connection for connection, _, _ in outbox.counts()} - there:
        outbox.hold(name, None, HELD_SECONDS)


class _Turn:
    """One connection's turn."""

    def __init__(
        self, house: House, outbox: Outbox, connection: Connection, report: WritesReport, progress: Progress | None
    ) -> None:
        self._house = house
        self._outbox = outbox
        self._connection = connection
        self._report = report
        self._progress = progress
        self._lock = threading.Lock()
        self._kinds = _kinds(connection)
        self._all_kinds = frozenset(form.kind for form in FORMS.values() if form.partner == connection.partner)
        self._ended = False
        self._uncertain = 0

    def run(self) -> None:
        name = self._connection.name
        try:
            settle_unknown(self._house, self._outbox, self._connection, self._count, self._hold)
            self._send_all()
        except (APIError, SettingsError) as error:
            self._report.failed.setdefault(name, str(error))
            self._ended = True
        held = self._all_kinds if self._ended else self._all_kinds - self._kinds
        if held:
            self._outbox.hold(name, held, HELD_SECONDS)

    def _send_all(self) -> None:
        """Threads claim in turn: the first alone, so that one write costs no more than one thread."""
        first = self._claim()
        if not first:
            return
        threads = min(_MOST_THREADS, self._house.settings.concurrency) if len(first) == AT_ONCE else 1
        with ThreadPoolExecutor(threads, "writes") as pool:
            for done in [pool.submit(self._work, claimed) for claimed in (first, *[[]] * (threads - 1))]:
                done.result()

    def _work(self, claimed: Sequence[Write]) -> None:
        claimed = claimed or self._claim()
        while claimed:
            self._send(claimed)
            claimed = self._claim()

    def _claim(self) -> list[Write]:
        if self._ended or not self._kinds:
            return []
        return self._outbox.claim(self._connection.name, self._kinds, AT_ONCE)

    def _send(self, claimed: Sequence[Write]) -> None:
        """Whatever happens, every claimed write has a state afterwards: those that were not begun are queued again."""
        left = list(claimed)
        settled: list[Settled] = []
        begun: Write | None = None
        # What is begun late might be sent when its lease is over, and somebody else has taken it up
        until = seconds_since_boot() + LEASE_SECONDS / 2
        try:
            sender = Sender(self._house, self._connection, self._outbox, claimed)
            while left and not self._ended and left[0].kind in self._kinds and seconds_since_boot() < until:
                self._house.stop.wait(0)
                begun = left.pop(0)
                settled.append(self._one(sender, begun))
                begun = None
        except BaseException:
            self._ended = True
            raise
        finally:
            self._outbox.settle([*settled, *(Settled(write.id, "queued") for write in left)], seen=claimed)
            if begun is not None:  # its end is the trail's to tell
                settle_by_trail(self._house, self._outbox, [begun])
            self._count(one.state for one in settled)

    def _one(self, sender: Sender, write: Write) -> Settled:
        try:
            settled = sender.send(write)
        except HoldError as held:
            self._hold(held.error, write.kind)
            return held.settled
        with self._lock:
            self._uncertain = self._uncertain + 1 if settled.state == "unknown" else 0
            if self._uncertain >= MOST_UNCERTAIN:
                self._ended = True
                self._report.held[self._connection.name] = (
                    f"{MOST_UNCERTAIN} writes in a row ended without an answer: the others wait for the next time"
                )
        return settled

    def _hold(self, error: APIError, kind: str) -> None:
        """Nothing more of this kind, or of this connection, can be sent now: it waits."""
        name = self._connection.name
        with self._lock:
            if isinstance(error, PermissionDeniedError) and isinstance(self._connection, ResManConnection):
                self._kinds = self._kinds - {kind}
                self._report.held[f"{name}: {kind}"] = str(error)
            else:
                self._ended = True
                (
                    self._report.held
                    if isinstance(error, (*COME_LATER, ConnectionRevokedError))
                    else self._report.failed
                )[name] = str(error)

    def _count(self, states: Iterable[State]) -> None:
        with self._lock:
            self._report.states.update(states)
            if self._progress is not None:
                self._progress(self._report.states)


def _kinds(connection: Connection) -> frozenset[str]:
    """What may be written through the connection."""
    kinds = frozenset(form.kind for form in FORMS.values() if form.partner == connection.partner)
    if isinstance(connection, ResManConnection):
        return kinds & {*connection.scopes, *connection.optional_scopes}
    return kinds
