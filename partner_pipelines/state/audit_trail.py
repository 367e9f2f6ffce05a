"""The audit trail's writer: each call has its intent in a file before it leaves, and its outcome after it.

`write()` survives SIGKILL. What power loss can take is bounded by the reservation, which is synced before the first
request of a batch leaves. The format stands in docs/audit-format.md.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields
from operator import attrgetter
from pathlib import Path
from typing import TypeVar

from partner_pipelines.clock import now
from partner_pipelines.errors import AuditUnavailableError
from partner_pipelines.models.call import CallIntent, CallOutcome
from partner_pipelines.state.audit_segment import MAX_UNSENT, Segment
from partner_pipelines.state.files import PRIVATE_DIRECTORY, sync_directory

INTENT_FIELDS = tuple(field.name for field in fields(CallIntent))
OUTCOME_FIELDS = tuple(field.name for field in fields(CallOutcome))

_intent_values = attrgetter(*INTENT_FIELDS)
_outcome_values = attrgetter(*OUTCOME_FIELDS)

T = TypeVar("T")


class _Numbered(Segment):
    """A segment and its requests' numbers: up to `reserved` they are on the disk, up to `sent` they are used."""

    def __init__(self, path: Path, descriptor: int) -> None:
        super().__init__(path, descriptor)
        self.reserved = 0
        self.sent = 0
        self.waiting: set[int] = set()

    def reserve(self, count: int) -> None:
        wanted = self.sent + min(count, MAX_UNSENT)
        if wanted > self.reserved:
            self.append_visibly({"kind": "reserved", "first": self.reserved + 1, "last": wanted}, synced=True)
            self.reserved = wanted

    def record_intent(self, intent: CallIntent) -> str:
        if self.sent == self.reserved:
            self.reserve(MAX_UNSENT)
        number = self.sent + 1
        self.append_visibly(
            {"kind": "intent", "n": number, **dict(zip(INTENT_FIELDS, _intent_values(intent), strict=True))}
        )
        self.sent = number
        self.waiting.add(number)
        return f"{self.name}-{number}"


class AuditTrail:
    """The trail of this process: thread-safe; a forked child gets a segment of its own.

    The segment is opened by the first record. After an error the next record tries again, in a new segment when the
    old one's end is not known: the outcomes that still waited there become `unknown`. The directory is made when the
    first segment is opened and never again, so that a trail somebody removed stays an error until it is put back.
    """

    def __init__(self, segments: Path, *, version: str) -> None:
        self._directory = segments
        self._version = version
        self._lock = threading.Lock()
        self._segment: _Numbered | None = None
        self._directory_made = False
        _trails.add(self)

    def reserve(self, count: int = MAX_UNSENT) -> None:
        """At least `count` numbers (50 at most) are reserved on the disk; nothing is done when enough are left.

        Raises:
            AuditUnavailableError: the trail cannot be written, so nothing may be sent.
        """
        with self._lock:
            self._write(lambda segment: segment.reserve(count))

    def record_intent(self, intent: CallIntent) -> str:
        """The intent is in the trail, so the request may leave. Returns its id, `SEGMENT-N`.

        Raises:
            AuditUnavailableError: the trail cannot be written, so the request must not leave.
        """
        with self._lock:
            return self._write(lambda segment: segment.record_intent(intent))

    def record_outcome(self, request_id: str, outcome: CallOutcome) -> None:
        """The outcome is in the trail.

        Raises:
            AuditUnavailableError: it is not, and the call will be `unknown` there.
            ValueError: the request has its outcome already.
        """
        name, _, number = request_id.rpartition("-")
        values = zip(OUTCOME_FIELDS, _outcome_values(outcome), strict=True)
        record = {"kind": "outcome", "n": int(number), **dict(values)}
        with self._lock:
            self._take_from_waiting(name, int(number))
            self._write(lambda segment: segment.append(record))

    def record_event(self, event: str, facts: Mapping[str, object]) -> None:
        """The event is in the trail. `facts` hold no secret and no person's data.

        Raises:
            AuditUnavailableError: the trail cannot be written.
        """
        record = {"kind": "event", "event": event, "at": now(), "facts": facts}
        with self._lock:
            self._write(lambda segment: segment.append_visibly(record))

    def close(self) -> None:
        """The segment says that its process ended cleanly, is on the disk, and is unlocked. A second call does nothing.

        Raises:
            AuditUnavailableError: the last record cannot be written; the segment is unlocked all the same.
        """
        record = {"kind": "closed", "at": now()}
        with self._lock:
            if self._segment is None:
                return
            try:
                self._write(lambda segment: segment.append_visibly(record, synced=True))
            finally:
                self._let_go()

    def _write(self, work: Callable[[_Numbered], T]) -> T:
        try:
            segment = self._segment or self._open()
            # Taken away until the work is done: an interrupt between a write and the count of it would else leave a
            # segment whose next line breaks the chain.
            self._segment = None
            try:
                result = work(segment)
                self._segment = segment
            except OSError:
                self._segment = segment if segment.is_whole else None
                raise
            finally:
                if self._segment is None:
                    segment.release()
        except OSError as error:
            raise AuditUnavailableError(
                f"cannot write the audit trail in {self._directory}: {error.strerror or error}; "
                "no call is made without it: mend that (room, permissions, the directory itself), then run again"
            ) from error
        return result

    def _open(self) -> _Numbered:
        if not self._directory_made:
            _make_synced(self._directory)
            self._directory_made = True
        return _Numbered.create(self._directory, self._version)

    def _take_from_waiting(self, name: str, number: int) -> None:
        if self._segment is None or self._segment.name != name:
            raise AuditUnavailableError(
                f"cannot write the outcome of {name}-{number} to the audit trail in {self._directory}: its segment was "
                "given up after an error, and the call will be unknown there: run `partner-pipelines audit verify`"
            )
        try:
            self._segment.waiting.remove(number)
        except KeyError:
            raise ValueError(f"{name}-{number} is not waiting for an outcome") from None

    def _let_go(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.release()

    def _forget(self) -> None:
        """In a forked child: the segment is the parent's, and an open copy of it would keep it locked after its end."""
        self._lock = threading.Lock()
        self._let_go()


def _make_synced(directory: Path) -> None:
    missing = [path for path in (directory, *directory.parents) if not path.exists()]
    for path in reversed(missing):
        path.mkdir(mode=PRIVATE_DIRECTORY, exist_ok=True)
        sync_directory(path.parent)


_trails: weakref.WeakSet[AuditTrail] = weakref.WeakSet()


def _forget_all() -> None:
    for trail in list(_trails):
        trail._forget()  # noqa: SLF001 -- the hook belongs to the class; nobody else may call it


os.register_at_fork(after_in_child=_forget_all)
