"""The control endpoint under /_sandbox/: never counted, limited, logged, delayed or made to fail."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from partner_pipelines.sandbox.changes import BadChangeError
from partner_pipelines.sandbox.faults import BadFaultError
from partner_pipelines.sandbox.oauth import SCOPES
from partner_pipelines.sandbox.openmoove import whole_item
from partner_pipelines.sandbox.resman import whole
from partner_pipelines.sandbox.settings import BadSettingError
from partner_pipelines.sandbox.store import CLIENTS, KEYS, PARTNER_COLLECTIONS, PROPERTIES, Row
from partner_pipelines.sandbox.wire import Request, Response, detail, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from partner_pipelines.sandbox.state import SandboxState

PREFIX = "/_sandbox/"


class BadRequestError(ValueError):
    """A control request that does not make sense."""


def answer(state: SandboxState, request: Request) -> Response:
    """Answer one control request; 400 with one sentence when it cannot be carried out."""
    path = request.path.removeprefix(PREFIX).strip("/")
    known = False
    for method, pattern, endpoint in ENDPOINTS:
        match = re.fullmatch(pattern, path)
        known = known or match is not None
        if match is None or method != request.method:
            continue
        try:
            return reply(200, endpoint(state, request, *match.groups()))
        except (BadRequestError, BadFaultError, BadSettingError, BadChangeError) as error:
            return detail(400, str(error))
        except LookupError as error:
            return detail(404, str(error.args[0]))
    return detail(405, f"{request.method} is not for {request.path}") if known else detail(404, f"No {request.path}")


def _body(request: Request) -> Any:
    try:
        return orjson.loads(request.body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"not JSON: {error}") from error


def _object(request: Request, *required: str) -> dict[str, Any]:
    values = _body(request) if request.body or required else {}
    if not isinstance(values, dict):
        raise BadRequestError("the body is a JSON object")
    missing = [name for name in required if not isinstance(values.get(name), str) or not values[name]]
    if missing:
        raise BadRequestError(f"{missing[0]} is missing or not a string")
    return values


def _log(state: SandboxState, request: Request) -> Any:
    since = request.query_values().get("since", "0")
    if not since.isdigit():
        raise BadRequestError(f"since is a number, not {since!r}")
    return state.journal.since(int(since))


def _clear_log(state: SandboxState, _request: Request) -> Any:
    state.journal.clear()
    return {}


def _stats(state: SandboxState, _request: Request) -> Any:
    return state.journal.stats()


def _faults(state: SandboxState, _request: Request) -> Any:
    return [rule.shown() for rule in state.faults.rules]


def _add_fault(state: SandboxState, request: Request) -> Any:
    return {"id": state.faults.add(_body(request))}


def _clear_faults(state: SandboxState, _request: Request) -> Any:
    state.faults.rules.clear()
    return {}


def _remove_fault(state: SandboxState, _request: Request, rule_id: str) -> Any:
    if not state.faults.remove(int(rule_id)):
        raise LookupError(f"No fault {rule_id}")
    return {}


def _granted(values: dict[str, Any]) -> list[str]:
    granted = values.get("granted")
    if not isinstance(granted, list) or not set(granted) <= set(SCOPES):
        raise BadRequestError(f"granted is a list of scopes out of {', '.join(SCOPES)}")
    return granted


def _scopes(state: SandboxState, request: Request) -> Any:
    values = _object(request, "client_id")
    client = state.store[CLIENTS].rows.get(values["client_id"])
    if client is None:
        raise LookupError(f"No client {values['client_id']}")
    state.store.upsert(CLIENTS, {**client, "granted": _granted(values)})
    return {"client_id": client["id"], "granted": values["granted"]}


def _add_client(state: SandboxState, request: Request) -> Any:
    values = {
        "granted": ["leads", "units", "employees", "documents"],
        "property_ids": None,
        "grant_types": ["client_credentials"],
        **_object(request, "client_id", "client_secret"),
    }
    _granted(values)
    row: Row = {name: values[name] for name in ("client_secret", "granted", "property_ids", "grant_types")}
    state.store.upsert(CLIENTS, {"id": values["client_id"], **row})
    return {"client_id": values["client_id"]}


def _remove_client(state: SandboxState, _request: Request, client_id: str) -> Any:
    if client_id not in state.store[CLIENTS].rows:
        raise LookupError(f"No client {client_id}")
    state.tokens.expire_all(client_id)
    state.store.delete(CLIENTS, client_id)
    return {}


def _add_key(state: SandboxState, request: Request) -> Any:
    key = _object(request, "api_key")["api_key"]
    state.store.upsert(KEYS, {"id": key})
    return {"api_key": key}


def _remove_key(state: SandboxState, _request: Request, key: str) -> Any:
    if key not in state.store[KEYS].rows:
        raise LookupError("No such key")
    state.store.delete(KEYS, key)
    return {}


def _expire_tokens(state: SandboxState, request: Request) -> Any:
    return {"expired": state.tokens.expire_all(_object(request).get("client_id"))}


def _settings(state: SandboxState, _request: Request) -> Any:
    return state.settings.shown()


def _set_settings(state: SandboxState, request: Request) -> Any:
    values = _object(request)
    state.settings.apply(values)
    state.renew_limiters(values.keys())
    return state.settings.shown()


def _change(state: SandboxState, request: Request) -> Any:
    return state.changes.make(_body(request))


def _rows(state: SandboxState, _request: Request, collection: str) -> Any:
    if collection not in PARTNER_COLLECTIONS:
        raise LookupError(f"No collection {collection}; there are {', '.join(PARTNER_COLLECTIONS)}")
    show = whole_item if collection == PROPERTIES else whole
    return [show(row) for row in state.store[collection].rows.values()]


def _webhooks(state: SandboxState, _request: Request) -> Any:
    return [delivery.shown() for delivery in state.webhooks.deliveries]


def _health(_state: SandboxState, _request: Request) -> Any:
    return {"ok": True}


ENDPOINTS: tuple[tuple[str, str, Callable[..., Any]], ...] = (
    ("GET", "health", _health),
    ("GET", "log", _log),
    ("DELETE", "log", _clear_log),
    ("GET", "stats", _stats),
    ("GET", "faults", _faults),
    ("POST", "faults", _add_fault),
    ("DELETE", "faults", _clear_faults),
    ("DELETE", r"faults/(\d+)", _remove_fault),
    ("POST", "scopes", _scopes),
    ("POST", "clients", _add_client),
    ("DELETE", "clients/(.+)", _remove_client),
    ("POST", "keys", _add_key),
    ("DELETE", "keys/(.+)", _remove_key),
    ("POST", "tokens/expire", _expire_tokens),
    ("GET", "settings", _settings),
    ("POST", "settings", _set_settings),
    ("POST", "change", _change),
    ("GET", "rows/([a-z_]+)", _rows),
    ("GET", "webhooks", _webhooks),
)
