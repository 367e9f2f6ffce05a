"""The second place of checkpoints: the same files, byte for byte. Nothing there is ever changed, only added to."""

from __future__ import annotations

from pathlib import Path

from partner_pipelines.errors import StateError
from partner_pipelines.state.audit_checkpoint_files import append_synced, list_files
from partner_pipelines.state.files import make_directory, state_errors, write_atomically


class CheckpointCopy:
    """One second place, as a process fills it."""

    def __init__(self, source: Path, place: Path) -> None:
        self._source = source
        self._place = place
        self._done: set[str] = set()

    def make_up(self) -> None:
        """Every checkpoint of the trail is in the copy, on the disk.

        Raises:
            StateError: it cannot be written; or it knows what the trail does not, and was left as it is.
        """
        make_directory(self._place)
        files = list_files(self._source)
        strange = {path.name for path in list_files(self._place)} - {path.name for path in files}
        if strange:
            raise StateError(self._strange(min(strange)))
        for path in files:
            if path.name not in self._done:
                self._make_up_file(path, is_last=path == files[-1])

    def _make_up_file(self, path: Path, *, is_last: bool) -> None:
        target = self._place / path.name
        with state_errors("read", path):
            content = path.read_bytes()
        content = content[: content.rfind(b"\n") + 1]
        with state_errors("copy checkpoints to", target):
            try:
                there = target.read_bytes()
            except FileNotFoundError:
                write_atomically(target, content)  # by a rename: not every place has links
            else:
                there = there[: there.rfind(b"\n") + 1]
                if not content.startswith(there):
                    raise StateError(self._strange(path.name))
                if len(there) < len(content):
                    append_synced(target, len(there), content[len(there) :])
        if not is_last:
            self._done.add(path.name)

    def _strange(self, name: str) -> str:
        return (
            f"{self._place / name} has checkpoints that the trail has not: it was rolled back, or the copy is another "
            "trail's; the copy is left as it is: run `partner-pipelines audit verify`"
        )
