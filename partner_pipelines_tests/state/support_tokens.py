"""What the tests of the token store share: a clock that passes by word, and a token endpoint."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from partner_pipelines.errors import (
    APIConnectionError,
    CallFacts,
)
from partner_pipelines.state.access_token import AccessToken, Moment, receive_token
from partner_pipelines.state.tokens import TokenKey

KEY = TokenKey("elm-park", "client", frozenset({"units", "leads"}), "https://r.example/oauth2/token")


class FakeClock:
    """Time that passes when the test says so."""

    def __init__(self) -> None:
        self.now = Moment(1_800_000_000.0, 5_000.0, "boot-1")

    def __call__(self) -> Moment:
        return self.now

    def pass_seconds(self, seconds: float) -> None:
        self.now = replace(
            self.now, wall_seconds=self.now.wall_seconds + seconds, boot_seconds=self.now.boot_seconds + seconds
        )


@dataclass
class Partner:
    """A token endpoint; `same` hands out one token for ever, `fails_with` is raised instead of an answer."""

    clock: FakeClock
    lifetime: float = 3600.0
    calls: int = 0
    same: bool = False
    fails_with: Exception | None = None
    values: list[str] = field(default_factory=list)

    def __call__(self) -> AccessToken:
        self.calls += 1
        if self.fails_with is not None:
            raise self.fails_with
        value = "same" if self.same else f"token-{self.calls}"
        self.values.append(value)
        return receive_token(value, KEY.scopes, self.lifetime, self.clock)


def network_error() -> APIConnectionError:
    return APIConnectionError("request_token: no whole answer", CallFacts("resman", "elm-park", "request_token"))
