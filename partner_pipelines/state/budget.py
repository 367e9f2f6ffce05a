"""The request ledger: one per connection and base address, for all processes of the machine.

All limits hold at once as sliding windows, as the partner counts. We do not know when a request arrives there, only
that it is between `take` and `settle`; so it holds a place in every window from `take` until the window's length after
`settle`. A request nobody settled counts as if it had arrived at its deadline, or when its process was found dead.
The clock is the kernel's time since boot, which nobody can step; after another boot the ledger counts as spent.
"""

from __future__ import annotations

import fcntl
import math
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.models.rate_limit import RateLimit
from partner_pipelines.state.budget_file import (
    MAX_BLOCK_SECONDS,
    MAX_IN_FLIGHT,
    NEVER,
    LedgerFile,
    UnusableLedgerError,
    new_content,
    ring_capacity,
)
from partner_pipelines.state.files import make_directory, state_errors, write_synced
from partner_pipelines.state.process import ProcessIdentity, boot_id, current_process, seconds_since_boot

KEPT = 20
"""Places of the longest window that only first-class requests (writes, webhook follow-ups) may take, so that a long
first sync never makes them wait an hour. Only where a window has more than twice as many: of a small one they would
leave the ordinary work nothing."""

URGENT_SECONDS = 1.0
"""How long ordinary requests stand back after a first-class one found no place: its holder tries again every 0.5 s."""

ANSWER_AGE_SECONDS = 30.0
"""How old the partner's count may be when we read it: what left our windows since then is still in its own."""


def kept_places(limit: RateLimit, limits: Sequence[RateLimit]) -> int:
    """How many places of this one of the limits are for first-class requests only."""
    longest = max(each.seconds for each in limits)
    return KEPT if limit.seconds == longest and limit.count > 2 * KEPT else 0


def sustained_per_hour(limits: Sequence[RateLimit]) -> float | None:
    """How many ordinary requests an hour takes in the long run; None where there is no limit."""
    rates = [(limit.count - kept_places(limit, limits)) / limit.seconds * 3600 for limit in limits]
    return min(rates, default=None)


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to send one request, until its deadline."""

    serial: int


class Ledger:
    """The request ledger in the file `path`. Thread-safe, fork-safe; `take` never waits for a place.

    Limits may differ between openings: what was sent counts under the new ones. `reset_reason` says why this object
    replaced a file by one that counts as spent (cut short, foreign, another version, another boot), None if it did not.

    Every method raises StateError when the file cannot be used, NewerSchemaError when a newer version of this program
    wrote it: then nothing may be sent.
    """

    def __init__(
        self,
        path: Path,
        limits: Sequence[RateLimit],
        *,
        margin_seconds: float = 0.1,
        clock: Callable[[], float] = seconds_since_boot,
    ) -> None:
        self.reset_reason: str | None = None
        self._path = path
        self._limits = tuple(limits)
        self._longest = max((limit.seconds for limit in limits), default=0.0)
        self._capacity = ring_capacity(max((limit.count for limit in limits), default=1))
        self._margin = margin_seconds
        self._clock = clock
        self._seen = False

    def take(self, *, deadline_seconds: float, first_class: bool = False) -> Slot | float:
        """One try: a slot for a request that is over within `deadline_seconds`, else the seconds to the next chance."""
        with self._locked() as file:
            now = self._clock()
            self._retire_overdue(file, now)
            wait = self._wait(file, now, first_class)
            if wait <= 0:
                return Slot(file.add(now + deadline_seconds, current_process()))
            self._retire_dead(file, now)
            if first_class:
                file.urgent_until = now + URGENT_SECONDS
                file.write_header()
            return wait

    def settle(self, slot: Slot) -> None:
        """The outcome of the slot's request is known, so it has arrived if it ever will."""
        with self._locked() as file:
            file.retire(slot.serial, self._clock())

    def left(self) -> int:
        """How many ordinary requests the longest window would take now, whatever the shorter ones say."""
        with self._locked() as file:
            now = self._clock()
            self._retire_overdue(file, now)
            if file.blocked_until > now:
                return 0
            longest = [limit for limit in self._limits if limit.seconds == self._longest]
            return max(0, min((self._places_left(file, limit, now) for limit in longest), default=0))

    def _places_left(self, file: LedgerFile, limit: RateLimit, now: float) -> int:
        used = file.count_since(now - limit.seconds - self._margin) + len(file.in_flight)
        return limit.count - kept_places(limit, self._limits) - used

    def learn(
        self,
        *,
        remaining: int | None = None,
        limit: int | None = None,
        reset_after_seconds: float | None = None,
        retry_after_seconds: float | None = None,
    ) -> None:
        """The partner's word lowers ours, never raises it; nonsense changes nothing.

        Args:
            remaining: how many requests it would still take: fewer than we think means that somebody else uses the key.
            limit: of how many; says which window it speaks of, the longest when it matches none.
            reset_after_seconds: when it will take requests again, looked at when none remain.
            retry_after_seconds: nothing leaves before that time, whatever the windows say.
        """
        block = retry_after_seconds
        if block is None and remaining == 0:
            block = reset_after_seconds
        with self._locked() as file:
            now = self._clock()
            if block is not None and 0 < block < math.inf:
                until = now + min(block, MAX_BLOCK_SECONDS - self._margin) + self._margin
                file.blocked_until = max(file.blocked_until, until)
                file.write_header()
            if remaining is not None and remaining >= 0 and self._limits:
                self._count_others(file, now, self._window_of(limit), remaining)

    def _wait(self, file: LedgerFile, now: float, first_class: bool) -> float:
        waits = [0.0, file.blocked_until - now]
        if not first_class:
            waits.append(file.urgent_until - now)
        if len(file.in_flight) == MAX_IN_FLIGHT:
            waits.append(min(deadline for _, deadline, *_ in file.in_flight) - now)
        for limit in self._limits:
            free = limit.count - len(file.in_flight)
            if not first_class:
                free -= kept_places(limit, self._limits)
            # With no place but those of requests in flight, the first of them may be settled now at the earliest.
            occupied_from = file.newest(free) if free > 0 else now
            waits.append(occupied_from + limit.seconds + self._margin - now)
        return max(waits)

    def _retire_overdue(self, file: LedgerFile, now: float) -> None:
        overdue = sorted((deadline, serial) for serial, deadline, *_ in file.in_flight if deadline < now)
        for deadline, serial in overdue:
            file.retire(serial, deadline)

    def _retire_dead(self, file: LedgerFile, now: float) -> None:
        holders = {ProcessIdentity(*identity) for _, _, *identity in file.in_flight}
        dead = {holder for holder in holders if holder.is_known_dead()}
        for serial, _, *identity in list(file.in_flight):
            if dead and ProcessIdentity(*identity) in dead:
                file.retire(serial, now)

    def _window_of(self, limit: int | None) -> RateLimit:
        named = (window for window in self._limits if window.count == limit)
        return next(named, max(self._limits, key=lambda window: window.seconds))

    def _count_others(self, file: LedgerFile, now: float, window: RateLimit, remaining: int) -> None:
        in_ring = window.count - remaining - len(file.in_flight)
        if in_ring > 0:
            since = now - window.seconds - self._margin - ANSWER_AGE_SECONDS
            others = in_ring - file.count_since(since)
            file.push([now] * others)

    @contextmanager
    def _locked(self) -> Iterator[LedgerFile]:
        # Opened each time: a lock belongs to the open file, so threads and forked children exclude each other too, and
        # a file that somebody replaced is noticed.
        with state_errors("use the request ledger", self._path):
            descriptor, file = self._open()
            try:
                yield file
            finally:
                os.close(descriptor)

    def _open(self) -> tuple[int, LedgerFile]:
        while True:
            try:
                descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                self._create()
                continue
            try:
                file = self._usable(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            if file is not None:
                self._seen = True
                return descriptor, file
            os.close(descriptor)

    def _usable(self, descriptor: int) -> LedgerFile | None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if not self._is_current(descriptor):  # replaced while we waited for the lock
            return None
        boot = boot_id()
        try:
            file = LedgerFile(descriptor, self._path)
            file.check(boot, self._clock())
        except UnusableLedgerError as error:
            self.reset_reason = str(error)
            self._replace(new_content(boot, self._capacity, self._clock()))
            return None
        if file.capacity < self._capacity:
            self._replace(file.grown(self._capacity))
            return None
        return file

    def _is_current(self, descriptor: int) -> bool:
        with suppress(FileNotFoundError):
            return os.path.samestat(self._path.stat(), os.fstat(descriptor))
        return False

    def _create(self) -> None:
        time = NEVER
        if self._seen:
            self.reset_reason, time = "it was removed while it was used", self._clock()
        make_directory(self._path.parent)
        with self._temporary(new_content(boot_id(), self._capacity, time)) as made, suppress(FileExistsError):
            self._path.hardlink_to(made)  # a rename would replace what another process made meanwhile

    def _replace(self, content: bytes) -> None:
        with self._temporary(content) as made:
            made.replace(self._path)

    @contextmanager
    def _temporary(self, content: bytes) -> Iterator[Path]:
        made = self._path.with_name(f".{self._path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        try:
            write_synced(made, content)
            yield made
        finally:
            made.unlink(missing_ok=True)
