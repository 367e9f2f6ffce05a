"""The sandbox as a child process: the one that runs, or one of our own for a command's duration.

The sandbox shares no code with us: it is started as `python -m partner_pipelines.sandbox` and met on the wire only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.settings import load_settings, needs_sandbox, read_environment, with_sandbox
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.state.files import make_directory

STOP_SECONDS = 5
MODULE = "partner_pipelines.sandbox"


def command(options: Sequence[str]) -> list[str]:
    """The command line of a sandbox."""
    return [sys.executable, "-m", MODULE, *options]


def running(note: Path) -> dict[str, str] | None:
    """The environment of the sandbox that runs, by its note; None when there is none or its process is dead."""
    try:
        noted = json.loads(note.read_bytes())
        pid, environment = int(noted["pid"]), dict(noted["env"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        return None  # a note that cannot be read points to no sandbox
    return environment if _is_sandbox(pid) else None


def _is_sandbox(pid: int) -> bool:
    """The process lives and is a sandbox: a pid may have been given to another program since."""
    try:
        return MODULE.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


@contextmanager
def own_sandbox(options: Sequence[str]) -> Iterator[dict[str, str]]:
    """The environment of a sandbox that lives as long as the block.

    Raises:
        UsageError: it refuses its options (an unreadable seed file, say); its own line says why.
        StateError: it does not come up.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own module
            command(options),
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is for us; we end it ourselves, after our last request
        )
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise _refusal(process, complaints)
            environment: dict[str, str] = json.loads(ready)["env"]
            yield environment
        finally:
            _end(process)


def _refusal(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> UsageError | StateError:
    status = process.wait(timeout=STOP_SECONDS)
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    kind = UsageError if status == 2 else StateError
    return kind(f"the sandbox does not start: {lines[-1].removeprefix('sandbox: ')}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def replace_by_sandbox(options: Sequence[str]) -> None:
    """This process becomes the sandbox: its signals and its exit status are the sandbox's own."""
    sys.stdout.flush()
    os.execv(sys.executable, command(options))  # noqa: S606 - our own module


def serve_here(options: Mapping[str, object]) -> None:
    """This process becomes a sandbox with these options (None: left out), noted for the other commands."""
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    replace_by_sandbox([*given, "--note", str(note_of(data_root()))])


def data_root() -> Path:
    """Where `PARTNER_DATA_DIR` points. Raises SettingsError."""
    return load_settings(read_environment() | {"PARTNER_ENV": "sandbox"}).data_dir


def note_of(root: Path) -> Path:
    """Where the sandbox that runs is noted."""
    return DataDirectory(root).state / "sandbox.json"


@contextmanager
def environment_with_sandbox() -> Iterator[dict[str, str]]:
    """The environment, completed by a sandbox's where the settings want one: the one that runs, else one of our own."""
    environ = read_environment()
    if not needs_sandbox(environ):
        yield environ
        return
    root = load_settings(environ).data_dir
    found = running(note_of(root))
    if found is not None:
        yield with_sandbox(environ, found)
        return
    kept = DataDirectory(root).state / "sandbox"
    make_directory(kept)
    with own_sandbox(["--state-dir", str(kept)]) as own:
        yield with_sandbox(environ, own)
