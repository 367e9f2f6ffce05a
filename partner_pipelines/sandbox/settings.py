"""What the control endpoint may change while the sandbox runs."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from partner_pipelines.sandbox.limits import Windows, format_windows, parse_windows
from partner_pipelines.sandbox.store import RESMAN_KINDS

if TYPE_CHECKING:
    from collections.abc import Callable

LIST_SHAPES = ("drf", "array", "wrapped")
# The document's retry policy: immediate, then 10, 100 and 1000 seconds after the attempt before.
WEBHOOK_DELAYS = (0.0, 10.0, 100.0, 1000.0)


class BadSettingError(ValueError):
    """A setting that does not exist, or a value that it does not take."""


@dataclass
class Settings:
    """The switches of one running sandbox."""

    token_lifetime_seconds: float = 3600
    omit_scope: bool = False
    refuse_unknown_scopes: bool = False
    list_shape: dict[str, str] = field(default_factory=dict)
    ignore_filters: bool = False
    field_errors_wrapped: bool = False
    latency_ms: float = 0
    date_offset_seconds: float = 0
    resman_page_size: float = 100
    rate_limits: Windows = ()
    resman_rate_limits: Windows = ()
    webhook_url: str | None = None
    webhook_secret: str = ""
    webhook_delays: tuple[float, ...] = WEBHOOK_DELAYS

    def apply(self, values: dict[str, Any]) -> None:
        """Set all of these values, or none of them.

        Raises:
            BadSettingError: names the setting, what it got and what it takes.
        """
        parsed = {}
        for name, value in values.items():
            if name not in _PARSERS:
                raise BadSettingError(f"no setting {name!r}; there are {', '.join(sorted(_PARSERS))}")
            try:
                parsed[name] = _PARSERS[name](value)
            except (ValueError, TypeError) as error:
                raise BadSettingError(f"{name}: {value!r} does not do: {error}") from error
        if "list_shape" in parsed:
            parsed["list_shape"] = {**self.list_shape, **parsed["list_shape"]}
        for name, value in parsed.items():
            setattr(self, name, value)

    def shown(self) -> dict[str, Any]:
        """Return the settings as JSON may show them; the webhook secret is not among them."""
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "webhook_secret"}
        for name in ("rate_limits", "resman_rate_limits"):
            values[name] = format_windows(values[name])
        return values


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError("it takes a number")
    return value


def _seconds(value: Any) -> float:
    if _number(value) < 0:
        raise ValueError("it takes a number from 0 on")
    return float(value)


def _positive(value: Any) -> float:
    if _number(value) < 1:
        raise ValueError("it takes a number from 1 on")
    return int(value)


def _switch(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("it takes true or false")
    return value


def _shapes(value: Any) -> dict[str, str]:
    if (
        not isinstance(value, dict)
        or not set(value) <= set(RESMAN_KINDS)
        or not set(value.values()) <= set(LIST_SHAPES)
    ):
        raise ValueError(f"it takes {{kind: {' | '.join(LIST_SHAPES)}}}, kinds {', '.join(RESMAN_KINDS)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("it takes a string")
    return value


def _address(value: Any) -> str | None:
    if value is None or value == "":
        return None
    if not _text(value).startswith(("http://", "https://")):
        raise ValueError("it takes an http:// or https:// address, or null")
    return str(value)


def _windows(value: Any) -> Windows:
    return parse_windows(_text(value if value is not None else "off"))


def _delays(value: Any) -> tuple[float, ...]:
    if not isinstance(value, list) or not value:
        raise ValueError("it takes a list of seconds")
    return tuple(_seconds(item) for item in value)


_PARSERS: dict[str, Callable[[Any], Any]] = {
    "token_lifetime_seconds": _number,
    "omit_scope": _switch,
    "refuse_unknown_scopes": _switch,
    "list_shape": _shapes,
    "ignore_filters": _switch,
    "field_errors_wrapped": _switch,
    "latency_ms": _seconds,
    "date_offset_seconds": _number,
    "resman_page_size": _positive,
    "rate_limits": _windows,
    "resman_rate_limits": _windows,
    "webhook_url": _address,
    "webhook_secret": _text,
    "webhook_delays": _delays,
}
