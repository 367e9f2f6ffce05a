"""The receiver as a child process of `up` and `demo`; their sandbox is told where it is."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from partner_pipelines.errors import StateError
from partner_pipelines.state.children import end_child, ends_with_us
from partner_pipelines.state.files import PRIVATE_FILE, make_directory, state_errors

DEFAULT_PORT = 8090
STOP_SECONDS = 15
_DELIVERY_SECONDS = 20
_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class OwnReceiver:
    """A receiver of ours. `log` is where its words go."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path


@contextmanager
def own_receiver(environ: Mapping[str, str], log: Path, *, port: int) -> Iterator[OwnReceiver]:
    """A receiver that lives as long as the block. Call it when `hand_on` has emptied what these variables leave out.

    Raises StateError: it does not come up, its own line says why.
    """
    make_directory(log.parent)
    with state_errors("write", log), open(_open_log(log), "wb") as words:
        process = subprocess.Popen(  # noqa: S603 - our own command
            # -P: a module in the working directory must not stand in for one of ours
            [sys.executable, "-P", "-m", "partner_pipelines", "receiver", "--port", str(port)],
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,  # Ctrl-C is for us; we end it
            preexec_fn=ends_with_us(),  # noqa: PLW1509 - the command has no thread yet
        )
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if not ready:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it gave no reason"]
            raise StateError(f"the receiver does not start: {lines[-1].removeprefix('partner-pipelines: ')}")
        yield OwnReceiver(json.loads(ready)["url"], process, log)
    finally:
        end_child(process, STOP_SECONDS)


def port_for(wanted: int | None, environment: str) -> int:
    """The port that was asked for. Else the usual one; on a sandbox any free one when that is taken."""
    if wanted is not None or environment != "sandbox":
        return DEFAULT_PORT if wanted is None else wanted
    try:
        with socket.create_server(("127.0.0.1", DEFAULT_PORT)):
            return DEFAULT_PORT
    except OSError:
        return 0


def _open_log(log: Path) -> int:
    # O_APPEND: who empties a log that has grown leaves no hole in it
    return os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, PRIVATE_FILE)


@contextmanager
def told_to(sandbox_url: str, receiver_url: str) -> Iterator[None]:
    """The sandbox delivers its webhooks there inside; one that delivers to somebody else is left alone."""
    if _control(sandbox_url, "settings")["webhook_url"]:
        yield
        return
    _control(sandbox_url, "settings", {"webhook_url": f"{receiver_url}/webhooks/openmoove"})
    try:
        yield
    finally:
        with suppress(OSError):
            _control(sandbox_url, "settings", {"webhook_url": None})


def wait_until_told(sandbox_url: str) -> int:
    """Every webhook of the sandbox is delivered, or given up; how many were. Raises StateError."""
    deadline = time.monotonic() + _DELIVERY_SECONDS
    while True:
        sent = _control(sandbox_url, "webhooks")
        if all(one["delivered"] or one["given_up"] for one in sent):
            return sum(bool(one["delivered"]) for one in sent)
        if time.monotonic() > deadline:
            raise StateError(f"the sandbox's webhooks are not delivered within {_DELIVERY_SECONDS} s")
        time.sleep(_POLL_SECONDS)


def _control(sandbox_url: str, name: str, values: Mapping[str, object] | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - our own sandbox on loopback
        f"{sandbox_url}/_sandbox/{name}",
        data=None if values is None else json.dumps(values).encode(),
        headers={"Content-Type": "application/json"},
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        return json.load(answer)
