"""Takes what was dropped, in a process to which something happens: python -m …sync.drop_child MOMENT [FILE PLACE].

Just before the MOMENTth time that it names, makes or removes something below `outbox/`, or opens its database, it
gets SIGKILL; with FILE and PLACE this file is renamed to that place instead, as any tool might do it just then. Exit
status 3 where there were fewer moments.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from partner_pipelines.settings import load_settings
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.write_drops import take_drops

_EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "shutil.rmtree", "sqlite3.connect"}


class _Moments:
    """Counts the moments, and lets it happen."""

    def __init__(self, moment: int, renamed: list[str], outbox: str) -> None:
        self._renamed = renamed
        self._outbox = outbox
        self.left = moment

    def __call__(self, event: str, values: tuple[Any, ...]) -> None:
        if event not in _EVENTS or not str(values[0]).startswith(self._outbox):
            return
        self.left -= 1
        if self.left == 0 and self._renamed:
            os.rename(*self._renamed)  # noqa: PTH104 - two words of the command line
        elif self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def main(moment: str, *renamed: str) -> int:
    with open_house(load_settings(dict(os.environ)), run_id=None, stop=StopSignal()) as house:
        moments = _Moments(int(moment), list(renamed), str(house.data.outbox))
        sys.addaudithook(moments)
        take_drops(house)
        left, moments.left = moments.left, 0
    return 3 if left > 0 else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
