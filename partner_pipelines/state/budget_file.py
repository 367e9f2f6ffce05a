"""The request ledger's file: fixed-size records, changed in place by whoever holds its lock.

    header     see _HEADER
    in flight  requests whose outcome is not known: `in_flight` records, room for MAX_IN_FLIGHT
    ring       `capacity` times in order, the newest at `pushed - 1`: when the last requests had reached the partner

A change is a few small writes, the header's last: a process killed between them leaves a request counted twice, never
not at all. Nothing is synced, for after another boot the file counts as spent anyway.
"""

from __future__ import annotations

import math
import os
import secrets
import struct
from collections.abc import Sequence
from pathlib import Path

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.process import ProcessIdentity

MAGIC = b"PPLEDGER"
VERSION = 1
MAX_IN_FLIGHT = 512
MIN_CAPACITY = 1024
MAX_BLOCK_SECONDS = 31 * 24 * 3600.0
NEVER = -math.inf

_HEADER = struct.Struct("<8sIIQQI36sdd")
_HEADER_SIZE = 128
_IN_FLIGHT = struct.Struct("<QdQQQ")
_TIME = struct.Struct("<d")
_RING_START = _HEADER_SIZE + MAX_IN_FLIGHT * _IN_FLIGHT.size
_FIRST_READ = 4096  # the header and some hundred requests in flight


class UnusableLedgerError(Exception):
    """Why the file cannot be believed."""


def ring_capacity(count: int) -> int:
    """Room for `count` requests: a power of two, so that small changes of the limits need no new file."""
    return max(MIN_CAPACITY, 1 << (count - 1).bit_length())


def new_content(boot_id: str, capacity: int, time: float) -> bytes:
    """A ledger whose whole ring is at `time`: NEVER for one that nobody has used, now for one that is spent."""
    # A random first serial number: who settles a slot of an earlier file must not settle another's in this one.
    serial = secrets.randbits(62)
    header = _HEADER.pack(MAGIC, VERSION, capacity, capacity, serial, 0, boot_id.encode(), NEVER, NEVER)
    return header.ljust(_RING_START, b"\0") + _TIME.pack(time) * capacity


class LedgerFile:
    """The file while it is locked. Methods may raise OSError."""

    def __init__(self, descriptor: int, path: Path) -> None:
        """Raises UnusableLedgerError when it is no ledger of this version, NewerSchemaError when it is a newer one."""
        self._descriptor = descriptor
        content = os.pread(descriptor, _FIRST_READ, 0)
        if len(content) < _HEADER_SIZE:
            raise UnusableLedgerError("it was cut short")
        magic, version, *header = _HEADER.unpack_from(content)
        if magic != MAGIC:
            raise UnusableLedgerError("it is not a ledger")
        NewerSchemaError.check(path, version, VERSION)
        if version != VERSION:
            raise UnusableLedgerError(f"it is of version {version}, this program writes {VERSION}")
        self.capacity: int
        self._serial: int
        self.boot_id: bytes
        self.blocked_until: float
        self.urgent_until: float
        self.capacity, self._pushed, self._serial, count, self.boot_id, self.blocked_until, self.urgent_until = header
        self._check_sizes(count)
        self.in_flight = self._read_in_flight(content, count)

    def _check_sizes(self, count: int) -> None:
        if not (0 < self.capacity <= self._pushed and count <= MAX_IN_FLIGHT):
            raise UnusableLedgerError("it is not a ledger")
        if os.fstat(self._descriptor).st_size != _RING_START + self.capacity * _TIME.size:
            raise UnusableLedgerError("it was cut short, or something was added to it")

    def _read_in_flight(self, content: bytes, count: int) -> list[tuple[int, float, int, int, int]]:
        end = _in_flight_place(count)
        if end > len(content):
            content = os.pread(self._descriptor, end, 0)
        return list(_IN_FLIGHT.iter_unpack(content[_HEADER_SIZE:end]))

    def check(self, boot_id: str, now: float) -> None:
        """Raises UnusableLedgerError when its times say nothing about `now`."""
        if self.boot_id != boot_id.encode():
            raise UnusableLedgerError("the machine was booted since it was written")
        # Written so that NaN, which compares with nothing, is refused too.
        if not (self.newest(1) <= now and max(self.blocked_until, self.urgent_until) <= now + MAX_BLOCK_SECONDS):
            raise UnusableLedgerError("it holds times that have not come yet")

    def newest(self, place: int) -> float:
        """The time at this place of the ring, 1 being the newest."""
        return self._time_at(self._pushed - place)

    def count_since(self, moment: float) -> int:
        """How many times of the ring are later than `moment`."""
        low, high = 0, self.capacity
        while low < high:
            middle = (low + high + 1) // 2
            if self.newest(middle) > moment:
                low = middle
            else:
                high = middle - 1
        return low

    def add(self, deadline: float, holder: ProcessIdentity) -> int:
        """A request is in flight. Returns its serial number."""
        self._serial += 1
        record = (self._serial, deadline, holder.pid, holder.started, holder.namespace)
        self._write(_in_flight_place(len(self.in_flight)), _IN_FLIGHT.pack(*record))
        self.in_flight.append(record)
        self.write_header()
        return self._serial

    def retire(self, serial: int, time: float) -> None:
        """The request is in flight no more: it counts from `time`. One that is not known counts once more."""
        self._push(time)
        for index, record in enumerate(self.in_flight):
            if record[0] == serial:
                last = self.in_flight.pop()
                if record is not last:
                    self.in_flight[index] = last
                    self._write(_in_flight_place(index), _IN_FLIGHT.pack(*last))
                break
        self.write_header()

    def push(self, times: Sequence[float]) -> None:
        """Requests that count from these times."""
        for time in times:
            self._push(time)
        self.write_header()

    def write_header(self) -> None:
        """The header stands in the file."""
        self._write(0, self._header(self.capacity, self._pushed))

    def grown(self, capacity: int) -> bytes:
        """The same ledger with more room. What it forgot happened at the oldest time that it remembers, or before."""
        ring = [self.newest(place) for place in range(self.capacity, 0, -1)]
        ring = [ring[0]] * (capacity - len(ring)) + ring
        header = self._header(capacity, capacity).ljust(_HEADER_SIZE, b"\0")
        records = b"".join(_IN_FLIGHT.pack(*record) for record in self.in_flight)
        return (header + records).ljust(_RING_START, b"\0") + struct.pack(f"<{capacity}d", *ring)

    def _header(self, capacity: int, pushed: int) -> bytes:
        numbers = (capacity, pushed, self._serial, len(self.in_flight))
        return _HEADER.pack(MAGIC, VERSION, *numbers, self.boot_id, self.blocked_until, self.urgent_until)

    def _push(self, time: float) -> None:
        # Never before the newest: the ring is in order, and later is on the safe side.
        self._write(self._place(self._pushed), _TIME.pack(max(time, self.newest(1))))
        self._pushed += 1

    def _time_at(self, number: int) -> float:
        time: float = _TIME.unpack(os.pread(self._descriptor, _TIME.size, self._place(number)))[0]
        return time

    def _place(self, number: int) -> int:
        return _RING_START + number % self.capacity * _TIME.size

    def _write(self, place: int, data: bytes) -> None:
        if os.pwrite(self._descriptor, data, place) != len(data):
            raise OSError("only a part was written")


def _in_flight_place(index: int) -> int:
    return _HEADER_SIZE + index * _IN_FLIGHT.size
