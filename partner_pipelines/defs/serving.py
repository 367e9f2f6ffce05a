"""Dagster's UI and daemon as children of `up`: three processes that share one code server.

Each child has a session of its own, so that Ctrl-C comes to us alone and we end them, with all they have started.
When we are killed, the kernel tells the children and the guardian ends what they have started.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from partner_pipelines.defs import CODE_LOCATION
from partner_pipelines.defs.guardian import end_groups, guardian
from partner_pipelines.defs.home import home_environment
from partner_pipelines.defs.schedules import SWITCH
from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.settings import Settings
from partner_pipelines.state.children import ends_with_us
from partner_pipelines.state.data_directory import open_data_directory
from partner_pipelines.state.files import make_directory, state_errors
from partner_pipelines.state.stop import StopSignal

HOST = "127.0.0.1"
READY_DEADLINE_SECONDS = 120.0
_POLL_SECONDS = 0.05
CODE_SOCKET = "code.sock"


@dataclass(frozen=True, slots=True)
class Child:
    """One process of Dagster's, and where its words go."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path
    owner: str = "Dagster's"


@dataclass(frozen=True, slots=True)
class Served:
    """What is being served."""

    url: str
    children: list[Child] = field(default_factory=list)

    def wait(self, stop: StopSignal) -> None:
        """Returns when a stop is requested. Raises StateError when one of the children ends by itself."""
        while not stop.is_requested:
            self.check()
            time.sleep(_POLL_SECONDS)

    def check(self) -> None:
        """Raises StateError when one of the children has ended."""
        for child in self.children:
            status = child.process.poll()
            if status is not None:
                raise StateError(
                    f"{child.owner} {child.name} ended (status {status}): {_last_line(child.log)} ({child.log})"
                )


@contextmanager
def serve(
    settings: Settings, environ: Mapping[str, str], *, port: int, stop: StopSignal, held: Sequence[int] = ()
) -> Iterator[Served]:
    """The UI answers at `url`, schedules and sensors run; all of it has ended afterwards. Prints nothing.

    Args:
        settings: Says where the data directory is.
        environ: The environment of the children, a sandbox's variables among them.
        port: On 127.0.0.1: whoever reaches the UI may start runs and report materializations.
        stop: Gives up waiting for readiness.
        held: Descriptors of locks that are free only when everything has ended, even if this process is killed.

    Raises:
        UsageError: the port is taken.
        StateError: one of the children does not come up.
        StoppedError: a stop was requested before it was ready.
    """
    _check_free(port)
    data = open_data_directory(settings.data_dir, settings.environment)
    variables = {**environ, **home_environment(data), SWITCH: "running", "PARTNER_DATA_DIR": str(data.root)}
    logs = make_directory(data.dagster / "logs")
    served = Served(f"http://{HOST}:{port}")
    with ExitStack() as undo:
        place = Path(tempfile.mkdtemp(prefix="partner-pipelines-"))
        undo.callback(shutil.rmtree, place, ignore_errors=True)
        watch = undo.enter_context(guardian(place, held))
        undo.callback(_end_all, served.children)
        for name, command in _commands(place, port).items():
            if name == "daemon":  # it looks at the code server once, and again a minute later
                _wait_until((place / CODE_SOCKET).exists, served, stop)
            child = _start(name, command, variables, logs / f"{name}.log")
            served.children.append(child)
            watch(child.process.pid)
        _wait_until(lambda: _answers(port), served, stop)
        yield served


def _commands(place: Path, port: int) -> dict[str, Sequence[str]]:
    """The code server listens on a socket in a directory of our own: it has no password and runs what it is told to."""
    code_socket, workspace = place / CODE_SOCKET, place / "workspace.yaml"
    workspace.write_text(
        f"load_from:\n  - grpc_server:\n      socket: {code_socket}\n      location_name: partner_pipelines\n"
    )
    # A module in the directory that `up` was started in must not stand in for one of Dagster's or ours: -P, and the
    # code server's own word for it
    python, where = [sys.executable, "-P"], ["--workspace", str(workspace)]
    code = ["--socket", str(code_socket), "--module-name", CODE_LOCATION, "--location-name", "partner_pipelines"]
    ways = ["--empty-working-directory", "--use-python-environment-entry-point"]
    quiet = ["--log-level", "warning"]
    return {
        "code-server": [*python, "-m", "dagster", "api", "grpc", *code, *quiet, *ways],
        "webserver": [*python, "-m", "dagster_webserver", "--host", HOST, "--port", str(port), *where],
        "daemon": [*python, "-m", "dagster._daemon", "run", *quiet, *where],
    }


def _start(name: str, command: Sequence[str], environ: Mapping[str, str], log: Path) -> Child:
    with state_errors("write", log):
        # O_APPEND: who empties a log that has grown leaves no hole in it
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(  # noqa: S603 - Dagster's own modules
            command,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            start_new_session=True,
            preexec_fn=ends_with_us(),  # noqa: PLW1509 - the command has no thread yet
        )
    finally:
        os.close(descriptor)
    return Child(name, process, log)


def _wait_until(ready: Callable[[], bool], served: Served, stop: StopSignal) -> None:
    deadline = time.monotonic() + READY_DEADLINE_SECONDS
    while not ready():
        served.check()
        stop.wait(_POLL_SECONDS)
        if time.monotonic() > deadline:
            logs = ", ".join(str(child.log) for child in served.children)
            raise StateError(f"Dagster's UI does not answer within {READY_DEADLINE_SECONDS:.0f} s: see {logs}")


def _answers(port: int) -> bool:
    """`GET /server_info` says 200. By hand: a client library costs more to import than this does to write."""
    with suppress(OSError), socket.create_connection((HOST, port), timeout=2) as connection:
        connection.sendall(f"GET /server_info HTTP/1.1\r\nHost: {HOST}:{port}\r\nConnection: close\r\n\r\n".encode())
        return connection.recv(64).startswith(b"HTTP/1.1 200")
    return False


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            raise UsageError(f"port {port} cannot be used ({error.strerror}): choose another one") from error


def _end_all(children: Sequence[Child]) -> None:
    """Every process of every child's group has ended."""
    end_groups(
        [child.process.pid for child in reversed(children)],
        reap=lambda: [child.process.poll() for child in children],
    )
    for child in children:
        child.process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"
