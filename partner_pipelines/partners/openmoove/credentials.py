"""The API key on each request. Source: openmoove_partner_api.md, "Authentication"."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from partner_pipelines.errors import AuthenticationError, CallFacts

_HEADER = "X-API-KEY"


class ApiKeyCredentials:
    """`reveal` reads the key anew for each request: one behind `file:` may rotate at any time."""

    def __init__(self, reveal: Callable[[], str]) -> None:
        self._reveal = reveal

    def headers(self, scope: str | None, facts: CallFacts) -> Mapping[str, str]:  # noqa: ARG002 - the port's shape
        """The key's header."""
        return {_HEADER: self._reveal()}

    def renew(self, rejected: Mapping[str, str], error: AuthenticationError) -> bool:  # noqa: ARG002 - as above
        """True when the key is another one by now."""
        return self._reveal() != rejected[_HEADER]
