"""Which requests go wrong: rules set through the control endpoint."""

from __future__ import annotations

import base64
import binascii
import random
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from partner_pipelines.sandbox.wire import Request

# What each kind takes beside `kind`; `seconds` is required where the kind is nothing without it.
_ANSWER = frozenset({"status", "headers", "body", "body_base64", "content_type", "content_length", "content_encoding"})
KINDS: dict[str, frozenset[str]] = {
    "status": _ANSWER | {"seconds"},
    "body": _ANSWER | {"seconds"},
    "delay": frozenset({"seconds"}),
    "drip": frozenset({"seconds"}),
    "drop_before_effect": frozenset({"seconds"}),
    "drop_after_effect": frozenset({"seconds"}),
    "effect_later": frozenset({"seconds"}),
    "drop_mid_body": frozenset(),
    "truncate": frozenset({"content_length"}),
    "malformed": frozenset({"body", "body_base64"}),
    "expire_token": frozenset(),
}
_NEEDS_SECONDS = frozenset({"delay", "drip", "effect_later"})
_RULE_FIELDS = frozenset({"partner", "method", "path", "fault", "times", "skip", "probability", "seed"})


class BadFaultError(ValueError):
    """A fault that the control endpoint does not take."""


@dataclass(slots=True)
class Fault:
    """What goes wrong, as it was asked for."""

    kind: str
    params: dict[str, Any]

    @property
    def seconds(self) -> float:
        """How long to wait, 0 when nothing was said."""
        return float(self.params.get("seconds", 0))

    def body(self) -> bytes | None:
        """Return the body that was given, None when none was."""
        if "body_base64" in self.params:
            return base64.b64decode(self.params["body_base64"])
        body = self.params.get("body")
        if body is None:
            return None
        return body.encode() if isinstance(body, str) else orjson.dumps(body)


@dataclass(slots=True)
class Rule:
    """A fault, the requests that it is for, and how often."""

    id: int
    fault: Fault
    partner: str | None
    method: str | None
    path: re.Pattern[str]
    times: int | None
    skip: int
    probability: float | None
    chance: random.Random
    seen: int = 0
    applied: int = 0

    def takes(self, request: Request, partner: str | None) -> bool:
        """Say whether this request goes wrong, counting it as seen when it is one of the rule's."""
        if self.times is not None and self.applied >= self.times:
            return False
        if self.partner not in (None, partner) or self.method not in (None, request.method):
            return False
        if not self.path.search(request.path):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.probability is not None and self.chance.random() >= self.probability):
            return False
        self.applied += 1
        return True

    def shown(self) -> dict[str, Any]:
        """Return the rule as the control endpoint lists it."""
        return {
            "id": self.id,
            "partner": self.partner,
            "method": self.method,
            "path": self.path.pattern,
            "fault": {"kind": self.fault.kind, **self.fault.params},
            "times": self.times,
            "skip": self.skip,
            "probability": self.probability,
            "seen": self.seen,
            "applied": self.applied,
        }


@dataclass
class Faults:
    """All rules, oldest first; the first that takes a request decides."""

    rules: list[Rule] = field(default_factory=list)
    _count: int = 0

    def pick(self, request: Request, partner: str | None) -> tuple[int, Fault] | None:
        """Return the rule's id and the fault for this request, None when it goes well."""
        for rule in self.rules:
            if rule.takes(request, partner):
                return rule.id, rule.fault
        return None

    def add(self, values: Any) -> int:
        """Add a rule and return its id.

        Raises:
            BadFaultError: says which field does not do.
        """
        rule = _parse_rule(values, self._count + 1)
        self._count += 1
        self.rules.append(rule)
        return rule.id

    def remove(self, rule_id: int) -> bool:
        """Remove one rule; False when there is none with this id."""
        before = len(self.rules)
        self.rules = [rule for rule in self.rules if rule.id != rule_id]
        return len(self.rules) < before


def _parse_rule(values: Any, rule_id: int) -> Rule:
    if not isinstance(values, dict) or not isinstance(values.get("fault"), dict):
        raise BadFaultError('a fault is {"fault": {"kind": …}, …}')
    unknown = set(values) - _RULE_FIELDS
    if unknown:
        raise BadFaultError(f"unknown fields {', '.join(sorted(unknown))}; there are {', '.join(sorted(_RULE_FIELDS))}")
    method = values.get("method")
    probability = values.get("probability")
    try:
        return Rule(
            id=rule_id,
            fault=_parse_fault(values["fault"]),
            partner=_parse_partner(values.get("partner")),
            method=method.upper() if method else None,
            path=re.compile(values.get("path") or ""),
            times=None if (times := values.get("times", 1)) is None else int(times),
            skip=int(values.get("skip") or 0),
            probability=None if probability is None else float(probability),
            chance=random.Random(values.get("seed", 0)),  # noqa: S311  # repeatable on purpose
        )
    except (re.error, TypeError, ValueError, AttributeError) as error:
        raise BadFaultError(str(error)) from error


def _parse_partner(name: Any) -> str | None:
    if name not in (None, "resman", "openmoove"):
        raise BadFaultError(f"partner is resman, openmoove or null, not {name!r}")
    return name  # type: ignore[no-any-return]  # one of three, as just seen


def _parse_fault(values: dict[str, Any]) -> Fault:
    kind = values.get("kind")
    params = {name: value for name, value in values.items() if name != "kind" and value is not None}
    if kind not in KINDS:
        raise BadFaultError(f"no kind {kind!r}; there are {', '.join(KINDS)}")
    unknown = set(params) - KINDS[kind]
    if unknown:
        raise BadFaultError(f"{kind} does not take {', '.join(sorted(unknown))}")
    if kind in _NEEDS_SECONDS and "seconds" not in params:
        raise BadFaultError(f"{kind} needs seconds")
    if kind == "status" and "status" not in params:
        raise BadFaultError("status needs status")
    _check_params(params)
    return Fault(kind, params)


def _check_params(params: dict[str, Any]) -> None:
    if float(params.get("seconds", 0)) < 0 or not 100 <= int(params.get("status", 200)) <= 999:
        raise BadFaultError("seconds is 0 or more, status three digits")
    if not isinstance(params.get("headers", {}), dict):
        raise BadFaultError("headers is an object")
    if not all(isinstance(params.get(name, ""), str) for name in ("content_type", "content_encoding")):
        raise BadFaultError("content_type and content_encoding are strings")
    if not isinstance(params.get("content_length", 0), int):
        raise BadFaultError("content_length is a whole number")
    if "content-length" in {str(name).lower() for name in params.get("headers", {})}:
        raise BadFaultError("a Content-Length is given as content_length")
    try:
        base64.b64decode(params.get("body_base64", ""), validate=True)
    except (binascii.Error, TypeError) as error:
        raise BadFaultError(f"body_base64: {error}") from error
