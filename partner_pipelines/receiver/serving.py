"""The receiver's processes on one socket. One that dies is replaced; connections wait in the socket meanwhile.

They end with us, killed by the kernel: what they have acknowledged is on the disk, and the port is free at once.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from partner_pipelines.errors import StateError, UsageError
from partner_pipelines.receiver import MODULE
from partner_pipelines.receiver.worker import READY
from partner_pipelines.settings import Settings
from partner_pipelines.state.children import ends_with_us
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.webhook_secrets import check_secrets

READY_SECONDS = 60.0
STOP_SECONDS = 10.0
_BACKLOG = 2048
_POLL_SECONDS = 0.1
_PORT_SECONDS = 3.0  # an earlier receiver that was killed has its port for a moment longer
_DEATHS_AT_ONCE = 5


@dataclass(slots=True)
class _Worker:
    process: subprocess.Popen[bytes]
    words: IO[bytes]
    started_at: float


class Receiving:
    """A receiver that runs."""

    def __init__(self, listening: socket.socket, environ: Mapping[str, str], workers: int) -> None:
        host, port = listening.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._listening = listening
        self._environ = dict(environ)
        self._deaths = 0
        self._workers: list[_Worker] = []
        for _ in range(workers):
            self._workers.append(self._start())

    def wait_until_ready(self, stop: StopSignal) -> None:
        """Every worker takes deliveries. Raises StateError, UsageError (its settings), StoppedError."""
        deadline = time.monotonic() + READY_SECONDS
        for worker in self._workers:
            assert worker.process.stdout is not None
            while not select.select([worker.process.stdout], [], [], _POLL_SECONDS)[0]:
                stop.check()
                if time.monotonic() > deadline:
                    raise StateError(f"the receiver is not ready within {READY_SECONDS:.0f} s")
            if worker.process.stdout.readline() != READY:
                raise StateError(f"the receiver does not start: {_last_words(worker)}")

    def wait(self, stop: StopSignal) -> None:
        """Returns when a stop is requested. Raises StateError when workers die as fast as they are replaced."""
        while not stop.is_requested:
            for number, worker in enumerate(self._workers):
                if worker.process.poll() is not None:
                    self._workers[number] = self._replace(worker)
            time.sleep(_POLL_SECONDS)

    def end(self) -> None:
        """All of them have ended: asked first, killed after a while."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            _close(worker)

    def _replace(self, worker: _Worker) -> _Worker:
        lived = time.monotonic() - worker.started_at
        self._deaths = self._deaths + 1 if lived < READY_SECONDS else 1
        if self._deaths > _DEATHS_AT_ONCE * len(self._workers):
            raise StateError(f"the receiver's workers die: {_last_words(worker)}")
        _close(worker)
        return self._start()

    def _start(self) -> _Worker:
        descriptor = self._listening.fileno()
        words = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        process = subprocess.Popen(  # noqa: S603 - our own module
            # -P: a module in the working directory must not stand in for one of ours
            [sys.executable, "-P", "-m", MODULE, str(descriptor)],
            env=self._environ,
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=words,
            start_new_session=True,  # Ctrl-C is for us; we end them
            preexec_fn=ends_with_us(signal.SIGKILL),  # noqa: PLW1509 - the command has no thread
        )
        return _Worker(process, words, time.monotonic())


@contextmanager
def serve(
    settings: Settings, environ: Mapping[str, str], *, host: str, port: int, workers: int | None, stop: StopSignal
) -> Iterator[Receiving]:
    """A receiver that takes deliveries at `url` inside.

    Args:
        settings: Checked for secrets that two connections share.
        environ: The environment of the workers.
        host: Where it listens.
        port: 0 takes any free one.
        workers: How many processes; None: one a core, at most 4.
        stop: Gives up waiting for readiness.

    Raises:
        UsageError: the address cannot be used, or two connections share a secret.
        StateError: a worker does not come up.
        StoppedError: a stop was requested before it was ready.
    """
    check_secrets(settings)
    with _listen(host, port, stop) as listening:
        receiving = Receiving(listening, environ, workers or min(4, os.cpu_count() or 1))
        try:
            receiving.wait_until_ready(stop)
            yield receiving
        finally:
            receiving.end()


def _listen(host: str, port: int, stop: StopSignal) -> socket.socket:
    deadline = time.monotonic() + _PORT_SECONDS
    while True:
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        except OSError as error:
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                stop.wait(_POLL_SECONDS)
                continue
            reason = (error.strerror or str(error)).partition(" (while")[0]  # Python adds the address once more
            raise UsageError(f"{host} port {port} cannot be used ({reason}): choose another one") from error
        return listening


def _last_words(worker: _Worker) -> str:
    worker.process.wait(STOP_SECONDS)
    worker.words.seek(0)
    lines = worker.words.read().decode(errors="replace").strip().splitlines()
    return lines[-1].removeprefix("receiver: ") if lines else f"status {worker.process.returncode}, without a word"


def _close(worker: _Worker) -> None:
    if worker.process.stdout is not None:
        worker.process.stdout.close()
    worker.words.close()
