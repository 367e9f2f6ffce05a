"""Taking a connection's access away at once, and giving it back.

Sources: resman_handshake.md, "Revocation Handling", "Right to Revoke"; RFC 7009.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from partner_pipelines.settings import ResManConnection
from partner_pipelines.state.tokens import TokenStore
from partner_pipelines.sync.access import deactivation
from partner_pipelines.sync.house import House

# A renewal that is under way for longer than this sees the revocation itself before it keeps anything
_WAIT_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Told:
    """What the partner knows. `pending`: how many tokens it has still to revoke."""

    sentence: str
    pending: int = 0


def revoke_here(house: House, name: str) -> bool:
    """No process of the machine writes another intent for the connection; False when it was so already.

    Its tokens are kept nowhere but among those that the partner has still to revoke.
    """
    is_new = house.revocations.revoke(name, "operator")
    if is_new:
        house.journal("token", {"event": "revoked", "connection": name, "reason": "operator"})
    TokenStore(house.data.tokens).forget_connection(
        name, wait_seconds=_WAIT_SECONDS, hand_over=partial(house.revocations.put_pending, name)
    )
    return is_new


def revoke_at_the_partner(house: House, name: str) -> Told:
    """The connection's tokens are revoked at the partner, where its revocation endpoint is known and answers."""
    waiting = sum(pending.connection == name for pending in house.revocations.pending())
    connection = next((each for each in house.settings.connections if each.name == name), None)
    if not waiting:
        what = "It is called with a key, not with tokens" if name in _keyed(house) else "No token was in use"
        return Told(f"{what}; revoke the credentials themselves at the partner if they are known to others.")
    if not isinstance(connection, ResManConnection) or connection.revocation_url is None:
        return Told("Its token lives at the partner until it expires: RESMAN_REVOCATION_URL is not set.", waiting)
    left = house.access(connection).revoke_pending()
    if left:
        return Told("The partner could not revoke its token now: that is tried again until the token expires.", left)
    return Told("Its token is revoked at the partner.")


def _keyed(house: House) -> set[str]:
    return {connection.name for connection in house.settings.connections if connection.partner == "openmoove"}


def restore_connection(house: House, name: str) -> bool:
    """The connection may be called again; False when it was not revoked."""
    was_revoked = house.revocations.restore(name)
    if was_revoked:
        house.journal("token", {"event": "restored", "connection": name, "reason": "operator"})
    house.notifier.resolve(deactivation(name))
    return was_revoked
