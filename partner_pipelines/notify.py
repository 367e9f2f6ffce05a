"""One notification per incident, to the addresses of an audience (Apprise URLs).

An incident is a file while it is open: it says who was reached. Who notifies holds its lock, so that two processes
that meet the same incident send one message. What cannot be sent fails nothing: it is tried again at the next occasion.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from partner_pipelines.errors import SettingsError
from partner_pipelines.recovery import Audience
from partner_pipelines.settings import SecretReference, Settings
from partner_pipelines.state.files import locked, make_directory, state_errors, write_atomically

# An address that does not answer is not asked again for every table of a run
_REST_SECONDS = 60.0

Journal = Callable[[str, Mapping[str, object]], None]
Send = Callable[[str, str, str], bool]


def addresses_of(settings: Settings) -> dict[Audience, Sequence[SecretReference]]:
    """Where each audience's notifications go."""
    return {
        "system_alert": settings.alerts_system,
        "admin_alert": settings.alerts_admin,
        "integration_team": settings.alerts_integration,
    }


def send_by_apprise(address: str, title: str, body: str) -> bool:
    """Whether the address took the message. Its own log stays closed: an address is a secret."""
    with _one_at_a_time, warnings.catch_warnings():
        # Of modules of Python's that Apprise loads when it is first used. Filters are the whole process's: so the lock
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise  # noqa: PLC0415 - half a second, for what hardly ever happens

        logging.getLogger("apprise").disabled = True
        sender = apprise.Apprise()
        return bool(
            sender.add(address) and sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
        )


_one_at_a_time = threading.Lock()


class Notifier:
    """Notifies once per incident; for any number of processes.

    `journal` is told of each notification: audience, incident, how many of how many addresses were reached.
    """

    def __init__(
        self,
        directory: Path,
        addresses: Mapping[Audience, Sequence[SecretReference]],
        journal: Journal,
        send: Send = send_by_apprise,
    ) -> None:
        self._directory = make_directory(directory)
        self._addresses = addresses
        self._journal = journal
        self._send = send

    def notify(self, audience: Audience, incident: str, title: str, body: str, opened_by: str = "") -> bool:
        """Every address of the audience has had this incident's message, or it has none; False: some have not yet.

        Args:
            audience: whose addresses.
            incident: names it; the same name is the same incident until `resolve`.
            title: one line.
            body: sentences, without secrets and personal data.
            opened_by: what has to succeed for it to be over, for `resolve_opened_by`.
        """
        path = self._path(incident)
        with locked(path.with_suffix(".lock")):
            known = _read(path)
            reached = set(known.get("reached", ()))
            left = {_digest(address): address for address in self._revealed(audience)}
            left = {digest: address for digest, address in left.items() if digest not in reached}
            if (known and not left) or time.time() - known.get("tried_at", 0.0) < _REST_SECONDS:
                return not left
            reached |= {digest for digest, address in left.items() if self._send(address, title, body)}
            missed = len(left.keys() - reached)
            values = known | {"incident": incident, "opened_by": opened_by, "reached": sorted(reached)}
            values |= {"audience": audience, "title": title, "since": known.get("since") or _stamp()}
            values = {name: value for name, value in values.items() if name not in ("tried_at", "end_tried_at")}
            write_atomically(path, json.dumps(values | ({"tried_at": time.time()} if missed else {})).encode())
            self._journal(
                "notification",
                {"audience": audience, "incident": incident, "reached": len(left) - missed, "addresses": len(left)},
            )
            return not missed

    def resolve_opened_by(self, opened_by: str) -> None:
        """Every incident that waits for this to succeed is over, and told so. Raises StateError."""
        for incident in self.open_incidents(opened_by):
            self.resolve(incident)

    def open_incidents(self, opened_by: str) -> list[str]:
        """The incidents that wait for this to succeed. Raises StateError."""
        with state_errors("read", self._directory):
            files = [path for path in self._directory.glob("*.json") if not path.name.startswith(".")]
        found = [_read(path) for path in sorted(files)]
        return [known["incident"] for known in found if known.get("opened_by") == opened_by and "incident" in known]

    def resolve(self, incident: str) -> None:
        """The incident is over, and whoever heard of it hears that too; who cannot be reached now, at the next call.

        An address that never had the message gets none. Raises StateError.
        """
        path = self._path(incident)
        with locked(path.with_suffix(".lock")):
            known = _read(path)
            if not known or time.time() - known.get("end_tried_at", 0.0) < _REST_SECONDS:
                return
            audience = known.get("audience")
            addresses = {_digest(address): address for address in self._revealed(audience)} if audience else {}
            left = [address for digest, address in addresses.items() if digest in known.get("reached", ())]
            title, body = (
                f"over: {known.get('title', incident)}",
                f"It began at {known.get('since', 'an unknown time')}.",
            )
            missed = [address for address in left if not self._send(address, title, body)]
            self._journal(
                "notification",
                {
                    "audience": audience,
                    "incident": incident,
                    "over": True,
                    "reached": len(left) - len(missed),
                    "addresses": len(left),
                },
            )
            if missed:
                still = known | {"reached": [_digest(address) for address in missed], "end_tried_at": time.time()}
                write_atomically(path, json.dumps(still).encode())
            else:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        with state_errors("remove", path):
            path.unlink(missing_ok=True)

    def _revealed(self, audience: Audience) -> list[str]:
        return [_reveal(reference) for reference in self._addresses.get(audience, ())]

    def _path(self, incident: str) -> Path:
        return self._directory / f"{hashlib.sha256(incident.encode()).hexdigest()[:32]}.json"


def _reveal(reference: SecretReference) -> str:
    try:
        return reference.reveal()
    except SettingsError:
        return ""  # its file is gone: an address that takes no message, so that the notification counts as not sent


def _stamp() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:32]


def _read(path: Path) -> dict[str, Any]:
    """What is known of the incident; nothing of one that is not open, or whose file cannot be understood."""
    with state_errors("read", path):
        try:
            values = json.loads(path.read_bytes())
        except (FileNotFoundError, ValueError, RecursionError):
            return {}
    return values if isinstance(values, dict) else {}
