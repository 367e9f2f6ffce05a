"""`state/sandbox.json`: where the sandbox is that runs on a data directory. The sandbox writes and removes it."""

from __future__ import annotations

import json
import os
from pathlib import Path

from partner_pipelines.state.data_directory import DataDirectory

MODULE = "partner_pipelines.sandbox"
"""The sandbox shares no code with us: it is started as `python -m` this, and known by it."""


def sandbox_note(data: DataDirectory) -> Path:
    """The note's path."""
    return data.state / "sandbox.json"


def noted_sandbox(data: DataDirectory) -> dict[str, str] | None:
    """The environment of the sandbox that runs here; None when there is none or its process is dead."""
    note = sandbox_note(data)
    try:
        noted = json.loads(note.read_bytes())
        pid, environment = int(noted["pid"]), dict(noted["env"])
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a note that is not there, or cannot be read, points to no sandbox
    return environment if _is_sandbox(pid, note) else None


def _is_sandbox(pid: int, note: Path) -> bool:
    """The process lives and is the sandbox of this note: the pid may have been given to another one since."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return MODULE.encode() in words and os.fsencode(note) in words
