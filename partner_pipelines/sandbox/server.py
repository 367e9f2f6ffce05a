"""The server: loopback only, a ready line, and an end within a second."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import logging
import os
import signal
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvicorn
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from partner_pipelines.sandbox.app import App
from partner_pipelines.sandbox.wire import TRANSPORT_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from partner_pipelines.sandbox.state import SandboxState

HOST = "127.0.0.1"
GRACE_SECONDS = 0.3
# Longer than any client keeps an idle connection, so that it is never the sandbox that ends one unasked.
KEEP_ALIVE_SECONDS = 120


class OpenProtocol(HttpToolsProtocol):
    """Hands the connection to the app, which has to break it for some faults."""

    def on_message_begin(self) -> None:
        """Begin a request whose scope carries the transport."""
        super().on_message_begin()
        self.scope[TRANSPORT_KEY] = self.transport  # type: ignore[literal-required]  # an extension of ours


class Server(uvicorn.Server):
    """uvicorn with a ready line, ended by SIGINT and SIGTERM alike with exit status 0."""

    def __init__(self, config: uvicorn.Config, base_url: str, env: dict[str, str], note: Path | None) -> None:
        super().__init__(config)
        self._ready = {"ready": True, "base_url": base_url, "env": env}
        self._note = note

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, then say so."""
        await super().startup(sockets)
        if self._note is not None:
            _write_note(self._note, {"pid": os.getpid(), **{k: self._ready[k] for k in ("base_url", "env")}})
        sys.stdout.write(json.dumps(self._ready) + "\n")
        sys.stdout.flush()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Take over both signals; uvicorn's own way would end with the signal's status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._end, loop)
        yield

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        self.should_exit = True
        # Requests that are being delayed would be reported as crashes when they are cut off.
        logging.disable(logging.CRITICAL)
        loop.call_later(GRACE_SECONDS, self._cut_off)

    def _cut_off(self) -> None:
        """Close what is still open, unanswered, as a server that goes away does."""
        self.force_exit = True
        for connection in list(self.server_state.connections):
            connection.transport.abort()


def bind(port: int) -> socket.socket:
    """Return a socket bound on loopback.

    Raises:
        OSError: the port is in use or not to be had.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        bound.bind((HOST, port))
    except OSError:
        bound.close()
        raise
    return bound


def serve(state: SandboxState, bound: socket.socket, note: Path | None) -> None:
    """Serve until SIGINT or SIGTERM."""
    base_url = f"http://{HOST}:{bound.getsockname()[1]}"
    config = uvicorn.Config(
        App(state),
        http=OpenProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    with _sole(note) as own_note:
        server = Server(config, base_url, state.environment(base_url), own_note)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(server.serve(sockets=[bound]))


@contextlib.contextmanager
def _sole(note: Path | None) -> Iterator[Path | None]:
    """The note, when it is this sandbox's to write; it is removed at the end. None when another one has it and serves.

    The lock beside it is held for life: who can take it knows that the note's writer is dead.
    """
    if note is None:
        yield None
        return
    descriptor = os.open(note.with_name(f"{note.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.stderr.write(
            f"sandbox: another sandbox serves already, and stays the one that commands use ({note}); "
            "the variables in `env` point to this one\n"
        )
        yield None
        return
    try:
        yield note
    finally:
        note.unlink(missing_ok=True)
        os.close(descriptor)


def _write_note(path: Path, content: dict[str, Any]) -> None:
    """Put the note there whole, readable by its owner only: it carries the credentials."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file)
    unfinished.replace(path)
