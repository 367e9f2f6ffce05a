"""All parts of one running sandbox, put together once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from partner_pipelines.sandbox.changes import Changes
from partner_pipelines.sandbox.faults import Faults
from partner_pipelines.sandbox.limits import Limiter, format_windows
from partner_pipelines.sandbox.oauth import Tokens
from partner_pipelines.sandbox.store import CLIENTS, KEYS, Store
from partner_pipelines.sandbox.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from partner_pipelines.sandbox.journal import Journal
    from partner_pipelines.sandbox.settings import Settings

# The same at every start, so that exported variables stay good. They open nothing but a loopback sandbox.
CLIENT_ID = "sandbox-client"
CLIENT_SECRET = "sandbox-client-secret-3f9d1c7a5e"  # noqa: S105  # see above
API_KEY = "om_sandbox_5c1e8b2f7d904a63"
WEBHOOK_SECRET = "sandbox-webhook-secret-8a60d4b1f2"  # noqa: S105  # see above
LAUNCH_SCOPES = ["leads", "units", "employees", "documents"]


@dataclass
class SandboxState:
    """What the partners, the control endpoint and the server share."""

    store: Store
    settings: Settings
    journal: Journal

    def __post_init__(self) -> None:
        self.faults = Faults()
        self.tokens = Tokens(self.store, self.settings)
        self.webhooks = Webhooks(self.settings)
        self.changes = Changes(self)
        self.openmoove_limiter = Limiter(self.settings.rate_limits)
        self.resman_limiter = Limiter(self.settings.resman_rate_limits)

    def renew_limiters(self, changed: Collection[str]) -> None:
        """Begin counting anew where the limits were set anew."""
        if "rate_limits" in changed:
            self.openmoove_limiter = Limiter(self.settings.rate_limits)
        if "resman_rate_limits" in changed:
            self.resman_limiter = Limiter(self.settings.resman_rate_limits)

    def environment(self, base_url: str) -> dict[str, str]:
        """Return the variables that point every other command at this sandbox."""
        return {
            "PARTNER_ENV": "sandbox",
            "RESMAN_BASE_URL": base_url,
            "RESMAN_INTROSPECTION_URL": f"{base_url}/oauth2/introspect",
            "RESMAN_REVOCATION_URL": f"{base_url}/oauth2/revoke",
            "RESMAN_CLIENT_ID": CLIENT_ID,
            "RESMAN_CLIENT_SECRET": CLIENT_SECRET,
            "OPENMOOVE_BASE_URL": f"{base_url}/api/partners/",
            "OPENMOOVE_API_KEY": API_KEY,
            "OPENMOOVE_WEBHOOK_SECRETS": self.settings.webhook_secret,
            "OPENMOOVE_RATE_LIMITS": format_windows(self.settings.rate_limits),
        }


def load_credentials(store: Store) -> None:
    """Put the one client and the one key there that every sandbox begins with."""
    client: dict[str, Any] = {
        "id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "granted": LAUNCH_SCOPES,
        "property_ids": None,
        "grant_types": ["client_credentials"],
    }
    store.load(CLIENTS, [client])
    store.load(KEYS, [{"id": API_KEY}])
