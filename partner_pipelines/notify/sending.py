"""Where each audience's notifications go, and how one goes there."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from partner_pipelines.recovery import Audience
from partner_pipelines.settings import SecretReference, Settings

Send = Callable[[str, str, str], bool]
"""Whether an address took a message of this title and body."""


def addresses_of(settings: Settings) -> dict[Audience, Sequence[SecretReference]]:
    """Where each audience's notifications go."""
    return {
        "system_alert": settings.alerts_system,
        "admin_alert": settings.alerts_admin,
        "integration_team": settings.alerts_integration,
    }


def send_by_apprise(address: str, title: str, body: str) -> bool:
    """Whether the address took the message."""
    with _apprise() as apprise:
        sender = apprise.Apprise()
        try:
            return bool(
                sender.add(address) and sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT)
            )
        except Exception:  # noqa: BLE001 - a hundred services' modules; their words may quote the address, a secret
            return False


def is_address(text: str) -> bool:
    """Whether Apprise could send there; nothing is sent."""
    with _apprise() as apprise:
        try:
            return bool(apprise.Apprise().add(text))
        except Exception:  # noqa: BLE001 - as above
            return False


@contextmanager
def _apprise() -> Iterator[ModuleType]:
    """Apprise, for one thread at a time. Its own log stays closed: an address is a secret."""
    with _one_at_a_time, warnings.catch_warnings():
        # Of modules of Python's that Apprise loads when it is first used. Filters are the whole process's: so the lock
        warnings.simplefilter("ignore", DeprecationWarning)
        import apprise  # noqa: PLC0415 - half a second, for what hardly ever happens

        logging.getLogger("apprise").disabled = True
        yield apprise


_one_at_a_time = threading.Lock()
