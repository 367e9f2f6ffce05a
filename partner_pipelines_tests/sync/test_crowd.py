"""Processes and threads that share one account: one renewal for all, on the wire; two accounts that share nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from partner_pipelines.partners.resman.operations import UNITS
from partner_pipelines.state.access_token import TokenRecord
from partner_pipelines.state.files import write_atomically
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.program import Program

if TYPE_CHECKING:
    from partner_pipelines_tests.sandbox_process import SandboxProcess

TOKEN = "/oauth2/token"
PROCESSES, THREADS = 32, 8


@contextmanager
def crowd(program: Program, processes: int) -> Iterator[subprocess.Popen[str]]:
    """Processes that wait for a line of input."""
    unit_id = program.sandbox.rows("resman_units")[0]["id"]
    command = [sys.executable, "-m", "partner_pipelines_tests.sync.crowd", str(processes), str(THREADS), unit_id]
    with subprocess.Popen(
        command, env=os.environ | program.variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        try:
            assert parent.stdout is not None
            assert parent.stdout.readline() == "ready\n"
            yield parent
        finally:
            parent.kill()


def store_an_expired_token(program: Program) -> Path:
    """What the account's last process left behind two hours ago; returns the file of its lock."""
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        access = house.access(house.settings.resman[0])
        house.resman(house.settings.resman[0]).get(UNITS, program.sandbox.rows("resman_units")[0]["id"])
        token = access.store.peek(access.key)
        assert token is not None
        then = token.received
        long_ago = replace(then, wall_seconds=then.wall_seconds - 7200, boot_seconds=then.boot_seconds - 7200)
        file = house.data.tokens / access.key.file_name
        write_atomically(file, TokenRecord(replace(token, received=long_ago)).to_bytes())
    return file.with_suffix(".lock")


def go(parent: subprocess.Popen[str]) -> None:
    assert parent.stdin is not None
    parent.stdin.write("go\n")
    parent.stdin.flush()


def fared(parent: subprocess.Popen[str]) -> list[list[str]]:
    """How the threads of each process fared that lived to say so."""
    assert parent.stdout is not None
    return [line.split()[1:] for line in parent.stdout]


def token_requests(program: Program, since: int) -> list[dict[str, object]]:
    return [entry for entry in program.sandbox.log(since) if entry["path"] == TOKEN]


def test_32_processes_of_8_threads_that_begin_with_an_expired_token_make_one_token_request(steady: Program) -> None:
    store_an_expired_token(steady)
    since = steady.last_request()
    with crowd(steady, PROCESSES) as parent:
        go(parent)
        assert fared(parent) == [["ok"] * THREADS] * PROCESSES
    log = steady.sandbox.log(since)
    assert [entry["path"] for entry in log].count(TOKEN) == 1
    assert len(log) == 1 + PROCESSES * THREADS
    assert {entry["status"] for entry in log} == {200}


def test_a_killed_renewer_costs_one_more_request_and_stops_nobody_for_two_seconds(steady: Program) -> None:
    lock = store_an_expired_token(steady)
    since = steady.last_request()
    steady.sandbox.fault("delay", path=TOKEN, seconds=30)
    with crowd(steady, 8) as parent:
        go(parent)
        wait_until(lambda: token_requests(steady, since), 30)
        os.kill(holder_of(lock), signal.SIGKILL)
        killed_at = time.time()
        assert fared(parent) == [["ok"] * THREADS] * 7
    first, second = token_requests(steady, since)
    assert first["n"] != second["n"]
    assert float(str(second["at"])) - killed_at < 2


def holder_of(lock: Path) -> int:
    """The process that has the lock, as the kernel says (proc_locks(5)).

    Asked until it says so: while locks come and go, a list that is read in pieces may lack one that is held.
    """
    inode = lock.stat().st_ino

    def holders() -> list[int]:
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        return [int(words[4]) for words in lines if words[1] == "FLOCK" and words[5].endswith(f":{inode}")]

    (found,) = wait_until(holders, 10)
    return int(found)


TWO = """
[[connections]]
name = "elm"
partner = "resman"
base_url = "{url}"
client_id = "elm-client"
client_secret = "one: secret+with %41 & é"

[[connections]]
name = "oak"
partner = "resman"
base_url = "{url}"
client_id = "oak-client"
client_secret = "another"
token_auth = "client_secret_basic"
"""


def test_two_accounts_of_one_server_never_mix_their_tokens(lasting: SandboxProcess, data_dir: Path) -> None:
    (data_dir / "two.toml").write_text(TWO.format(url=lasting.base_url))
    secrets = {"elm-client": "one: secret+with %41 & é", "oak-client": "another"}
    for client_id, secret in secrets.items():
        lasting.control("POST", "clients", {"client_id": client_id, "client_secret": secret})
    program = Program(lasting, data_dir, PARTNER_CONNECTIONS=str(data_dir / "two.toml"))
    synced = program.sync("units", "leads")
    lasting.control("POST", "tokens/expire", {"client_id": "oak-client"})
    again = program.sync("units", "leads")
    calls = {row["request_id"]: row["connection"] for row in program.calls()}
    program.close()
    hints = [(calls[entry["request_id"]], entry["connection_hint"]) for entry in (*synced.log, *again.log)]
    assert set(hints) == {("elm", "elm-client"), ("oak", "oak-client")}
    assert [entry["connection_hint"] for entry in again.log if entry["path"] == TOKEN] == ["oak-client"]
