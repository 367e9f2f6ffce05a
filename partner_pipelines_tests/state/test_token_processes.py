"""Processes that begin with an expired token: one renewal for all of them, however its holder ends."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from partner_pipelines.state.access_token import AccessToken, TokenRecord, read_clocks
from partner_pipelines.state.tokens import TokenKey, TokenStore
from partner_pipelines_tests.state.processes import kill, read_line, running, tell, wait_until

# Each worker opens the store, says that it is ready, and on a word lets 8 threads ask at once. A request at the
# partner's is a line in a file, appended in one write, so that the number of lines is the number of requests.
WORKER = """
import os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from partner_pipelines.state.tokens import TokenKey, TokenStore, receive_token

directory, log, threads = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
key = TokenKey("elm-park", "client", frozenset({"units"}))
store = TokenStore(directory)
together = Barrier(threads)

def fetch():
    with open(log, "ab", buffering=0) as file:
        file.write(f"{os.getpid()}\\n".encode())
    if os.environ.get("NEVER_ANSWERED"):
        time.sleep(3600)
    time.sleep(0.05)
    return receive_token(f"new-{os.getpid()}", frozenset({"units"}), 3600.0)

def ask(_):
    together.wait()
    began = time.monotonic()
    value = store.token_for(key, fetch).value
    return value, time.monotonic() - began

print("ready", flush=True)
sys.stdin.readline()
with ThreadPoolExecutor(threads) as pool:
    answers = list(pool.map(ask, range(threads)))
print(" ".join(sorted({value for value, _ in answers})), max(waited for _, waited in answers), flush=True)
"""
WORKER_KEY = TokenKey("elm-park", "client", frozenset({"units"}))


def _store_expired_token(directory: Path) -> None:
    now = read_clocks()
    long_ago = replace(now, wall_seconds=now.wall_seconds - 7200, boot_seconds=now.boot_seconds - 7200)
    TokenStore(directory)
    expired = AccessToken("expired", frozenset({"units"}), 3600.0, long_ago)
    (directory / WORKER_KEY.file_name).write_bytes(TokenRecord(expired).to_bytes())


def test_32_processes_of_8_threads_that_begin_with_an_expired_token_make_one_request(tmp_path: Path) -> None:
    log = tmp_path / "requests"
    _store_expired_token(tmp_path / "tokens")
    with ExitStack() as stack:
        workers = [stack.enter_context(running(WORKER, tmp_path / "tokens", log, "8")) for _ in range(32)]
        assert [read_line(worker) for worker in workers] == ["ready"] * 32
        for worker in workers:
            tell(worker)
        answers = [read_line(worker).split() for worker in workers]
    assert len(log.read_text().splitlines()) == 1
    assert {answer[0] for answer in answers} == {f"new-{log.read_text().strip()}"}


def test_a_killed_holder_stops_nobody_and_costs_one_more_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "requests"
    _store_expired_token(tmp_path / "tokens")
    with ExitStack() as stack:
        monkeypatch.setenv("NEVER_ANSWERED", "1")
        holder = stack.enter_context(running(WORKER, tmp_path / "tokens", log, "1"))
        monkeypatch.delenv("NEVER_ANSWERED")
        workers = [stack.enter_context(running(WORKER, tmp_path / "tokens", log, "8")) for _ in range(8)]
        assert [read_line(worker) for worker in [holder, *workers]] == ["ready"] * 9
        tell(holder)
        wait_until(lambda: log.exists() and log.read_text() != "")
        for worker in workers:
            tell(worker)
        wait_until(lambda: _waiters(tmp_path / "tokens") >= 8 * 8)
        killed_at = time.monotonic()
        kill(holder)
        answers = [read_line(worker).split() for worker in workers]
        waited = time.monotonic() - killed_at
    assert len(log.read_text().splitlines()) == 2
    assert len({answer[0] for answer in answers}) == 1
    assert waited < 2


def _waiters(directory: Path) -> int:
    """How many wait for the lock, as the kernel counts them (proc_locks(5): a waiter's line has an arrow)."""
    inode = (directory / WORKER_KEY.file_name).with_suffix(".lock").stat().st_ino
    lines = Path("/proc/locks").read_text().splitlines()
    return sum("->" in line and f":{inode} " in line for line in lines)
