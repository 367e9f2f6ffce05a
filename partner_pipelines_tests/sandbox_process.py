"""A sandbox for tests: a real process on a real socket, ended by its own process id.

with SandboxProcess.start("--rate-limits", "100/0.5", seed_dir=rows) as sandbox:
    sandbox.fault("status", status=503, path="/detail/$", times=2)
    … call sandbox.base_url with sandbox.env …
    assert [entry["status"] for entry in sandbox.log()] == [503, 503, 200]
"""

from __future__ import annotations

import json
import os
import select
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from types import TracebackType

# The sandbox speaks plain HTTP: loading the CA certificates would only cost every client 40 ms.
NO_CERTIFICATES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
START_DEADLINE_SECONDS = 60
STOP_DEADLINE_SECONDS = 10


class SandboxProcess:
    """One running `python -m partner_pipelines.sandbox`."""

    base_url: str
    env: dict[str, str]

    def __init__(self, process: subprocess.Popen[bytes], complaints: Any) -> None:
        self._process = process
        self._complaints = complaints
        self._http = httpx.Client(timeout=30, trust_env=False, verify=NO_CERTIFICATES)

    @classmethod
    def start(
        cls,
        *options: str,
        seed_dir: Path | None = None,
        state_dir: Path | None = None,
        log: Path | None = None,
        note: Path | None = None,
        port: int = 0,
    ) -> Self:
        """Start a sandbox and return once it accepts requests; without a seed directory its rows are generated."""
        paths = {"--seed-dir": seed_dir, "--state-dir": state_dir, "--log": log, "--note": note}
        command = [sys.executable, "-m", "partner_pipelines.sandbox", "--port", str(port), *options]
        for name, path in paths.items():
            command += [name, str(path)] if path is not None else []
        complaints = tempfile.TemporaryFile()  # noqa: SIM115  # closed by stop
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints)
        sandbox = cls(process, complaints)
        try:
            ready = json.loads(sandbox._first_line())
        except BaseException:
            sandbox.stop()
            raise
        sandbox.base_url, sandbox.env = ready["base_url"], ready["env"]
        return sandbox

    @classmethod
    @contextmanager
    def silent(cls, *options: str) -> Iterator[Self]:
        """One that must have had nothing to complain about when it ends."""
        with cls.start(*options) as sandbox:
            yield sandbox
            assert sandbox.complaints() == ""

    @contextmanager
    def lent(self) -> Iterator[Self]:
        """For one test of many: faults, switches, both credentials and the client's scopes are as before afterwards."""
        settings = self.control("GET", "settings")
        yield self
        self.control("DELETE", "faults")
        self.settings(**settings)
        client = {"client_id": self.env["RESMAN_CLIENT_ID"], "client_secret": self.env["RESMAN_CLIENT_SECRET"]}
        self.control("POST", "clients", client)
        self.control("POST", "keys", {"api_key": self.env["OPENMOOVE_API_KEY"]})

    @property
    def pid(self) -> int:
        """The process id, for those who want to kill it."""
        return self._process.pid

    def control(self, method: str, path: str, json: Any = None) -> Any:
        """Call the control endpoint (`path` is below /_sandbox/) and return its JSON; AssertionError if it refuses."""
        answered = self._http.request(method, f"{self.base_url}/_sandbox/{path}", json=json)
        assert answered.is_success, f"{method} {path}: {answered.status_code} {answered.text}"
        return answered.json()

    def log(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the requests that arrived after number `since`, oldest first; see journal.py for the fields."""
        entries: list[dict[str, Any]] = self.control("GET", f"log?since={since}")
        return entries

    def fault(
        self,
        kind: str,
        *,
        partner: str | None = None,
        method: str | None = None,
        path: str = "",
        times: int | None = 1,
        skip: int = 0,
        probability: float | None = None,
        seed: int = 0,
        **params: Any,
    ) -> int:
        """Let requests go wrong and return the fault's id.

        Args:
            kind: status, body, delay, drip, drop_before_effect, drop_after_effect, effect_later, drop_mid_body,
                truncate (half a body, valid HTTP), malformed (no HTTP at all), expire_token.
            partner: resman or openmoove; None: both.
            method: None: any.
            path: a regular expression, searched for in the path.
            times: how many requests; None: all from now on.
            skip: how many of those that match go well first.
            probability: of each one that is left.
            seed: of that chance.
            params: what the kind takes: status, headers, body, body_base64, content_type, content_length,
                content_encoding, seconds.
        """
        rule = {
            "partner": partner,
            "method": method,
            "path": path,
            "times": times,
            "skip": skip,
            "probability": probability,
            "seed": seed,
            "fault": {"kind": kind, **params},
        }
        fault_id: int = self.control("POST", "faults", rule)["id"]
        return fault_id

    def settings(self, **values: Any) -> dict[str, Any]:
        """Set switches (see sandbox/settings.py) and return all of them."""
        shown: dict[str, Any] = self.control("POST", "settings", values)
        return shown

    def change(
        self, *, openmoove: dict[str, Any] | None = None, resman: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Change rows behind the API's back.

        Returns: {"changed", "created", "updated", "deleted"}, each {collection: [ids]}.
        """
        made: dict[str, Any] = self.control("POST", "change", {"openmoove": openmoove or {}, "resman": resman or {}})
        return made

    def rows(self, collection: str) -> list[dict[str, Any]]:
        """Return the rows as they are now: resman_units, …, openmoove_properties."""
        rows: list[dict[str, Any]] = self.control("GET", f"rows/{collection}")
        return rows

    def kill(self) -> None:
        """End it as a crash would: SIGKILL."""
        self._process.kill()
        self._process.wait(STOP_DEADLINE_SECONDS)

    def wait(self) -> int:
        """Wait until it has ended and return its exit status."""
        return self._process.wait(STOP_DEADLINE_SECONDS)

    def stop(self) -> int:
        """End it cleanly and return its exit status; one that is ended already is no error."""
        self._http.close()
        if self._process.poll() is None:
            self._process.terminate()
        try:
            return self._process.wait(STOP_DEADLINE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()
            if self._process.stdout:
                self._process.stdout.close()
            self._complaints.close()

    def complaints(self) -> str:
        """Return what it wrote on standard error: nothing, if all is well."""
        return os.pread(self._complaints.fileno(), 100_000, 0).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _first_line(self) -> bytes:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_DEADLINE_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        assert line, f"the sandbox did not start: {self.complaints() or 'no word from it'}"
        return line


def wait_until(true: Callable[[], Any], deadline_seconds: float = 10) -> Any:
    """Poll until something is true and return it; an AssertionError when the deadline passes."""
    end = time.monotonic() + deadline_seconds
    while not (found := true()):
        assert time.monotonic() < end, f"not true within {deadline_seconds} s"
        time.sleep(0.01)
    return found
