"""The secrets that are accepted now, by connection; each is read anew, so that one in a file may rotate."""

from __future__ import annotations

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings import Settings


def accepted_secrets(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Every accepted secret. Raises SettingsError: one cannot be read."""
    return {
        connection: tuple(reference.reveal() for reference in references)
        for connection, references in settings.webhook_secrets.items()
    }


def check_secrets(settings: Settings) -> None:
    """Raises SettingsError when two connections share a secret: nobody could tell whose a delivery is."""
    owners: dict[str, str] = {}
    for connection, secrets in accepted_secrets(settings).items():
        for secret in secrets:
            other = owners.setdefault(secret, connection)
            if other != connection:
                raise SettingsError(
                    f"webhook_secrets (value not shown): {other} and {connection} share one; "
                    "a delivery belongs to the connection whose secret signed it: use another one"
                )
