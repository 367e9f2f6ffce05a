"""What the kernel says about this boot and about processes: nobody can step it."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def boot_id() -> str:
    """The same text until the machine boots again. Raises OSError."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def seconds_since_boot() -> float:
    """A clock that also runs while the machine sleeps, and that nobody can step."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """A process that cannot be mistaken for a later one of the same number.

    `started` is in clock ticks since boot. `namespace` says whose numbering `pid` belongs to: a container does not see
    the processes of the machine around it, so it must not call them dead.
    """

    pid: int
    started: int
    namespace: int

    def is_known_dead(self) -> bool:
        """True only when it is certain: no process of this number, or one that started at another time."""
        if self.namespace != current_process().namespace:
            return False
        try:
            return _started(self.pid) != self.started
        except (FileNotFoundError, ProcessLookupError):
            return True
        except OSError:
            return False


@cache
def current_process() -> ProcessIdentity:
    """This process. Raises OSError."""
    return ProcessIdentity(os.getpid(), _started(os.getpid()), Path("/proc/self/ns/pid").stat().st_ino)


os.register_at_fork(after_in_child=current_process.cache_clear)


def _started(pid: int) -> int:
    # The second field is the program's name in parentheses and may itself hold blanks and parentheses: proc(5).
    stat = Path(f"/proc/{pid}/stat").read_bytes()
    fields = stat[stat.rindex(b")") + 2 :].split()
    state, started = fields[0], int(fields[19])
    # A zombie sends nothing any more, though its number is taken until its parent has asked for it.
    return 0 if state in (b"Z", b"X") else started
