"""The addresses of each audience, and messages to them; one that took none rests for a while."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet

from partner_pipelines.errors import SettingsError
from partner_pipelines.notify.lately import Lately
from partner_pipelines.notify.sending import Send
from partner_pipelines.recovery import Audience
from partner_pipelines.settings import SecretReference

REST_SECONDS = 60.0
"""An address that does not answer is not asked again for every table of a run."""


class Post:
    """Addresses go by a hash of them: they are secrets, and are kept nowhere."""

    def __init__(self, addresses: Mapping[Audience, Sequence[SecretReference]], send: Send, lately: Lately) -> None:
        self._addresses = addresses
        self._send = send
        self._lately = lately

    @property
    def audiences(self) -> list[Audience]:
        """Those that the settings know."""
        return list(self._addresses)

    def of(self, audience: Audience) -> dict[str, str]:
        """The audience's addresses as they are now, by their hash."""
        return {_digest(address): address for address in map(_reveal, self._addresses.get(audience, ()))}

    def send(self, addresses: Mapping[str, str], title: str, body: str) -> tuple[AbstractSet[str], AbstractSet[str]]:
        """Which addresses were tried (not those that rest), and which of them took the message. Raises StateError."""
        tried = {digest for digest in addresses if not self._lately.count(f"rest:{digest}", REST_SECONDS)}
        reached = {digest for digest in sorted(tried) if self._send(addresses[digest], title, body)}
        for digest in tried - reached:
            self._lately.mark(f"rest:{digest}")
        return tried, reached


def _reveal(reference: SecretReference) -> str:
    try:
        return reference.reveal()
    except SettingsError:
        return ""  # its file is gone: an address that takes no message, so that the notification counts as not sent


def _digest(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()[:32]
