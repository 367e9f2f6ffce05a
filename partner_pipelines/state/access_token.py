"""An access token and how long it still lives, counted so that no clock's step and no reboot lengthens it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from partner_pipelines.errors import NewerSchemaError
from partner_pipelines.state.process import boot_id, seconds_since_boot

SCHEMA = 1
# botocore's windows, scaled to the lifetime
_ADVISORY = 0.8
_MANDATORY = 0.9


@dataclass(frozen=True, slots=True)
class Moment:
    """A point in time by both clocks: the wall's, and the one since boot, which nobody can step."""

    wall_seconds: float
    boot_seconds: float
    boot_id: str

    def seconds_until(self, later: Moment) -> float:
        """The time between; the longer of two answers after a reboot, for which the boot clock knows a part only."""
        if self.boot_id == later.boot_id:
            return later.boot_seconds - self.boot_seconds
        return max(later.wall_seconds - self.wall_seconds, later.boot_seconds)


Clock = Callable[[], Moment]


@cache
def _this_boot() -> str:
    return boot_id()


def read_clocks() -> Moment:
    """Now. Raises OSError where there is no /proc."""
    return Moment(time.time(), seconds_since_boot(), _this_boot())


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token as it was received. `scope` is what was granted, `asked` what it was asked for."""

    value: str = field(repr=False)
    scope: frozenset[str]
    lifetime_seconds: float
    received: Moment
    asked: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if not 0 < self.lifetime_seconds < math.inf:
            raise ValueError("a token's lifetime is a number of seconds above 0")

    def is_expired(self, now: Moment) -> bool:
        """Whether it may no longer be used. One that was received in the future is not to be trusted either."""
        return not 0 <= self._age(now) < self.lifetime_seconds

    def should_renew(self, now: Moment) -> bool:
        """In the last fifth of its life (advisory): somebody should renew it, nobody has to wait."""
        return self._age(now) >= _ADVISORY * self.lifetime_seconds

    def must_renew(self, now: Moment) -> bool:
        """In the last tenth of its life (mandatory): all wait for the renewal."""
        return self._age(now) >= _MANDATORY * self.lifetime_seconds

    def _age(self, now: Moment) -> float:
        return self.received.seconds_until(now)


def receive_token(
    value: str,
    scope: frozenset[str],
    lifetime_seconds: float,
    clock: Clock = read_clocks,
    asked: frozenset[str] = frozenset(),
) -> AccessToken:
    """The token, received now. Raises ValueError for a lifetime that is none."""
    return AccessToken(value, scope, lifetime_seconds, clock(), asked)


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What the store keeps of a key.

    `rejected`: a 401 said that it is dead before its time. `tried_at`: when a renewal last brought nothing new.
    """

    token: AccessToken
    rejected: bool = False
    tried_at: Moment | None = None

    def to_bytes(self) -> bytes:
        """One JSON object."""
        token = self.token
        values = {
            "schema": SCHEMA,
            "value": token.value,
            "scope": sorted(token.scope),
            "asked": sorted(token.asked),
            "lifetime_seconds": token.lifetime_seconds,
            "received": _moment_to_list(token.received),
            "rejected": self.rejected,
            "tried_at": _moment_to_list(self.tried_at) if self.tried_at else None,
        }
        return json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, data: bytes, path: Path) -> TokenRecord | None:
        """The record of the file `path`; None for whatever is none: a lost token costs one request.

        Raises NewerSchemaError.
        """
        try:
            values = json.loads(data)
            NewerSchemaError.check(path, values["schema"], SCHEMA)
            if values["schema"] != SCHEMA or not isinstance(values["value"], str) or not values["value"]:
                return None
            token = AccessToken(
                values["value"],
                frozenset(str(word) for word in values["scope"]),
                float(values["lifetime_seconds"]),
                _moment_from_list(values["received"]),
                frozenset(str(word) for word in values["asked"]),
            )
            tried_at = values["tried_at"]
            return cls(token, bool(values["rejected"]), _moment_from_list(tried_at) if tried_at else None)
        except (ValueError, KeyError, TypeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class Wish:
    """What a caller makes of the token in hand.

    `rejected`: the value of a token that a 401 answered; it is never handed out again. `asks` gives the scopes that
    a request would be made for now (None: whatever they were): a token that was asked for others is one that somebody
    should renew. `needs`: the scope that this caller is after: if the token was not asked for it, but would be now, it
    waits.
    `may_renew` is False where the settings forbid it: then a token is used until it is dead.
    """

    rejected: str | None = field(default=None, repr=False)
    asks: Callable[[], frozenset[str]] | None = None
    needs: str | None = None
    may_renew: bool = True

    def should_renew(self, token: AccessToken, now: Moment) -> bool:
        """Somebody should."""
        return token.should_renew(now) or (self.asks is not None and token.asked != self.asks())

    def must_renew(self, token: AccessToken, now: Moment) -> bool:
        """This caller waits for it."""
        return token.must_renew(now) or (
            self.asks is not None and self.needs not in token.asked and self.needs in self.asks()
        )

    def can_use(self, record: TokenRecord, now: Moment) -> bool:
        """The token may be sent."""
        return not record.rejected and record.token.value != self.rejected and not record.token.is_expired(now)


def _moment_to_list(moment: Moment) -> list[float | str]:
    return [moment.wall_seconds, moment.boot_seconds, moment.boot_id]


def _moment_from_list(values: list[float | str]) -> Moment:
    wall, boot, identity = values
    moment = Moment(float(wall), float(boot), str(identity))
    if not (math.isfinite(moment.wall_seconds) and math.isfinite(moment.boot_seconds)):
        raise ValueError("no time")
    return moment
