"""The bearer token on each request, and the scope looked at before the wire.

Source: RFC 6750 2.1; resman_handshake.md, "Token Management" ("API calls fail if required scope is missing") and
"Scope Expansion Issues".
"""

from __future__ import annotations

from collections.abc import Mapping

from partner_pipelines.errors import AuthenticationError, CallFacts, PermissionDeniedError, StatusFacts
from partner_pipelines.partners.ports import TokenSource

_SCHEME = "Bearer "


def renewal_forbidden(facts: CallFacts, said: StatusFacts) -> AuthenticationError:
    """The error of a dead token where the settings forbid to renew it."""
    return AuthenticationError(
        f"{facts.operation} at {facts.connection}: the access token has expired or was revoked, and "
        "RESMAN_AUTO_REFRESH=false forbids to renew it: set it to true",
        facts,
        said,
    )


class BearerCredentials:
    """Takes the token of each request from `source`; `auto_refresh` is the document's switch of that name."""

    def __init__(self, source: TokenSource, *, auto_refresh: bool = True) -> None:
        self._source = source
        self._auto_refresh = auto_refresh

    def headers(self, scope: str | None, facts: CallFacts) -> Mapping[str, str]:
        """The Authorization header. Raises PermissionDeniedError when the token does not open `scope`."""
        token = self._source.current(None, scope)
        if scope is not None and scope not in token.scope:
            raise PermissionDeniedError(
                f"{facts.operation} at {facts.connection}: the scope {scope!r} is not granted (granted: "
                f"{' '.join(sorted(token.scope)) or 'none'}): enable it in the ResMan Partner Portal",
                facts,
                StatusFacts(status=None, required_scope=scope, granted_scopes=token.scope),
            )
        return {"Authorization": _SCHEME + token.value}

    def renew(self, rejected: Mapping[str, str], error: AuthenticationError) -> bool:
        """True when the source has another token than the rejected one, be it that another thread renewed it."""
        if not self._auto_refresh:
            raise renewal_forbidden(error.facts, error.status_facts) from error
        value = rejected["Authorization"].removeprefix(_SCHEME)
        return self._source.current(value).value != value
