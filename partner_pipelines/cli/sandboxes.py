"""The sandbox as a child process: the one that runs, or one of our own for a command's duration.

The sandbox shares no code with us: it is started as `python -m partner_pipelines.sandbox` and met on the wire only.

What an own sandbox changed is kept in `state/sandbox/`, by one sandbox at a time: commands take turns, by a lock that
the sandbox inherits. So the lock is free when the sandbox is gone, whatever became of the command; and the sandbox is
gone when the command is, by the kernel's word.
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

import typer

from partner_pipelines.cli.places import open_lock, place_settings, try_lock
from partner_pipelines.errors import PartnerPipelinesError, StateError, UsageError
from partner_pipelines.settings import load_settings, needs_sandbox, read_environment, with_sandbox
from partner_pipelines.state.children import end_child, ends_with_us
from partner_pipelines.state.data_directory import DataDirectory, open_data_directory
from partner_pipelines.state.files import make_directory, state_errors, write_atomically
from partner_pipelines.state.sandbox_note import MODULE, noted_sandbox, sandbox_note
from partner_pipelines.state.stop import StopSignal

STOP_SECONDS = 5
_LOOK_SECONDS = 0.1


@contextmanager
def environment_with_sandbox(stop: StopSignal, *, noted: bool = False) -> Iterator[dict[str, str]]:
    """The environment, completed by a sandbox's where the settings want one: the one that runs, else one of our own.

    Args:
        stop: Gives up waiting for another command's sandbox.
        noted: Other commands may use our own one meanwhile.
    """
    environ = read_environment()
    if not needs_sandbox(environ):
        yield environ
        return
    settings = load_settings(environ)
    data = open_data_directory(settings.data_dir, settings.environment)
    with _sandbox_of(data, stop, noted=noted) as sandbox_environ:
        yield with_sandbox(environ, sandbox_environ)


@contextmanager
def _sandbox_of(data: DataDirectory, stop: StopSignal, *, noted: bool) -> Iterator[dict[str, str]]:
    with open_lock(_lock_of(data)) as lock:
        waited = False
        while (found := noted_sandbox(data)) is None and not try_lock(lock):
            if not waited:
                typer.echo("Another command has a sandbox on this data directory: waiting for its end …", err=True)
            waited = True
            stop.wait(_LOOK_SECONDS)
        if found is not None:
            yield found
            return
        note = ["--note", str(sandbox_note(data))] if noted else []
        with _child([*_kept_options(data), *note], lock) as own:
            yield own


@contextmanager
def demo_sandbox(data: DataDirectory, options: Sequence[str]) -> Iterator[dict[str, str]]:
    """A sandbox with these options, which every later own sandbox of this data directory has too."""
    make_directory(_kept(data))
    write_atomically(_options_of(data), json.dumps(list(options)).encode())
    with open_lock(_lock_of(data)) as lock:
        assert try_lock(lock)
        with _child(_kept_options(data), lock) as own:
            yield own


def has_own_sandbox(data: DataDirectory) -> bool:
    """A command works with a sandbox of its own here."""
    if not _lock_of(data).exists():
        return False
    with open_lock(_lock_of(data)) as lock:
        return not try_lock(lock)


def _kept(data: DataDirectory) -> Path:
    return data.state / "sandbox"


def _lock_of(data: DataDirectory) -> Path:
    return _kept(data) / "lock"


def _options_of(data: DataDirectory) -> Path:
    return _kept(data) / "options.json"


def _kept_options(data: DataDirectory) -> list[str]:
    file = _options_of(data)
    with state_errors("read", file):
        try:
            options = [str(word) for word in json.loads(file.read_bytes())]
        except FileNotFoundError:
            options = []
        except (ValueError, TypeError) as error:
            raise StateError(f"{file} is no list of a sandbox's options: remove it") from error
    return [*options, "--state-dir", str(_kept(data))]


def running_sandbox() -> dict[str, str] | None:
    """The environment of the sandbox that runs on this data directory, if one does."""
    return noted_sandbox(DataDirectory(place_settings().data_dir))


@contextmanager
def _child(options: Sequence[str], lock: int) -> Iterator[dict[str, str]]:
    """The environment of a sandbox that lives as long as the block.

    Raises:
        UsageError: it refuses its options (an unreadable seed file, say); its own line says why.
        StateError: it does not come up.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - our own module
            _command(options),
            stdout=subprocess.PIPE,
            stderr=complaints,
            start_new_session=True,  # Ctrl-C is for us; we end it ourselves, after our last request
            pass_fds=[lock],
            preexec_fn=ends_with_us(),  # noqa: PLW1509 - the command has no thread yet
        )
        try:
            assert process.stdout is not None
            ready = process.stdout.readline()
            if not ready:
                raise _refusal(process, complaints)
            environment: dict[str, str] = json.loads(ready)["env"]
            yield environment
        finally:
            end_child(process, STOP_SECONDS)


def _command(options: Sequence[str]) -> list[str]:
    # -P: a `queue.py` in the user's working directory is not the standard library's
    return [sys.executable, "-P", "-m", MODULE, *options]


def _refusal(process: subprocess.Popen[bytes], complaints: IO[bytes]) -> UsageError | StateError:
    status = process.wait(timeout=STOP_SECONDS)
    complaints.seek(0)
    lines = complaints.read().decode(errors="replace").strip().splitlines() or ["it gave no reason"]
    kind = UsageError if status == 2 else StateError
    return kind(f"the sandbox does not start: {lines[-1].removeprefix('sandbox: ')}")


def serve_here(options: Mapping[str, object]) -> None:
    """This process becomes a sandbox with these options (None: left out), noted for the other commands."""
    given = [word for name, value in options.items() if value is not None for word in (name, str(value))]
    command = _command([*given, *_note_options()])
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606 - our own module; its signals and exit status are ours then


def _note_options() -> list[str]:
    """A sandbox serves whatever the data directory is like: where it cannot be noted, other commands need its `env`."""
    settings = place_settings()
    if settings.environment != "sandbox":
        return []
    try:
        data = open_data_directory(settings.data_dir, settings.environment)
        make_directory(data.state)
    except PartnerPipelinesError as error:
        typer.echo(f"The sandbox is not noted for other commands: {error}", err=True)
        return []
    return ["--note", str(sandbox_note(data))]
