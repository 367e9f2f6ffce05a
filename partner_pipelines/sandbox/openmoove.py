"""The OpenMoove Partner API, in Django REST Framework's manners."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import orjson

from partner_pipelines.sandbox.client_form import PRODUCTS, check_client
from partner_pipelines.sandbox.new_property import People, property_of_client
from partner_pipelines.sandbox.paging import page_response
from partner_pipelines.sandbox.store import KEYS, PROPERTIES, Key, Row
from partner_pipelines.sandbox.webhooks import list_item
from partner_pipelines.sandbox.wire import Request, Response, detail, page_not_found, reply

if TYPE_CHECKING:
    from partner_pipelines.sandbox.limits import Verdict
    from partner_pipelines.sandbox.state import SandboxState
    from partner_pipelines.sandbox.wire import Header

DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE = 20, 100
SECONDS_A_DAY = 86_400
_VIEWS = "detail|milestones|milestones/current|chat|chat/summary"
_PATH = re.compile(rf"^/api/(?:v1/)?partners/(properties|products|clients)/(?:(?<=properties/)(\d+)/({_VIEWS})/)?$")
_DETAIL_LEAVES_OUT = frozenset({"created_at", "milestones"})
_URGENT_DAYS, _SOON_DAYS = 3, 14
_AGENTS_MILESTONES = ("Property Marketing", "Offer Acceptance", "Auction Marketing Period")

NO_PROPERTY = "Property not found or you don't have access"


def detail_item(row: Row) -> Row:
    """Return a property as its detail shows it: without created_at, with its milestones counted."""
    shown = {name: value for name, value in row.items() if name not in _DETAIL_LEAVES_OUT}
    return {**shown, **milestone_counts(row)}


def whole_item(row: Row) -> Row:
    """Return everything that is known of a property, for tests to compare."""
    return {**row, "milestones": row.get("milestones", []), **milestone_counts(row)}


def milestones_of(row: Row) -> list[Row]:
    """Return a property's milestones."""
    return row.get("milestones", [])  # type: ignore[no-any-return]  # seed.py has seen that it is a list


def milestone_counts(row: Row) -> dict[str, int]:
    """Return the two counts of the detail."""
    milestones = milestones_of(row)
    return {
        "milestones_count": len(milestones),
        "completed_milestones": sum(1 for milestone in milestones if milestone.get("completed")),
    }


def current_milestone(row: Row) -> Row | None:
    """Return the first milestone that is not completed, None when there is none."""
    waiting = [milestone for milestone in milestones_of(row) if not milestone.get("completed")]
    return min(waiting, key=lambda milestone: milestone.get("order") or 0, default=None)


class OpenMoove:
    """One API over all keys; every key sees every property."""

    name = "openmoove"

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._properties = state.store[PROPERTIES]
        self._keys = state.store[KEYS]
        self._ids: tuple[int, list[Key]] = (-1, [])
        self._people = People()
        self._whole = {"properties": self._list, "products": _products, "clients": self._create_client}

    def hint(self, request: Request) -> str | None:
        """Return the last four characters of the key."""
        return request.header(b"x-api-key")[-4:] or None

    def admit(self, request: Request) -> tuple[Verdict | None, Response | None]:
        """Count every request under a known key, whatever becomes of it."""
        key = request.header(b"x-api-key")
        if key not in self._keys.rows:
            return None, None
        verdict = self._state.openmoove_limiter.admit(key, request.arrived_at)
        if verdict is None or verdict.admitted:
            return verdict, None
        wait = math.ceil(verdict.wait_seconds)
        message = f"Request was throttled. Expected available in {wait} second{'' if wait == 1 else 's'}."
        return verdict, detail(429, message, (b"retry-after", str(wait).encode()))

    def limit_headers(self, verdict: Verdict) -> list[Header]:
        """Return the three headers of the document, of the longest window."""
        return [
            (b"x-ratelimit-limit", str(verdict.limit).encode()),
            (b"x-ratelimit-remaining", str(verdict.remaining).encode()),
            (
                b"x-ratelimit-reset",
                str(math.ceil(verdict.reset_at + self._state.settings.date_offset_seconds)).encode(),
            ),
        ]

    def expire_token(self, request: Request) -> None:
        """Do nothing: a key does not expire."""

    def template(self, path: str) -> str:
        """Return the path with its id left out."""
        return re.sub(r"/\d+/", "/{id}/", path)

    def answer(self, request: Request) -> Response:
        """Answer one request: first the route, then the key, as Django does."""
        match = _PATH.match(request.path)
        if match is None:
            return _no_route(request)
        if request.header(b"x-api-key") not in self._keys.rows:
            return detail(401, "Invalid API key provided", (b"www-authenticate", b"X-API-KEY"))
        if request.method != ("POST" if match[1] == "clients" else "GET"):
            return detail(405, f'Method "{request.method}" not allowed.')
        return self._property(int(match[2]), match[3]) if match[2] else self._whole[match[1]](request)

    def _property(self, property_id: int, view: str) -> Response:
        row = self._properties.rows.get(property_id)
        if row is None:
            return detail(404, NO_PROPERTY)
        if view == "detail":
            return Response(200, self._properties.json("detail", property_id, detail_item))
        if view == "milestones":
            return Response(200, self._properties.json("milestones", property_id, milestones_of))
        if view == "milestones/current":
            return _current(row)
        if view == "chat":
            return reply(200, {"property_id": property_id, "messages": [], "message": "Chat is not yet implemented"})
        return reply(
            200, {"property_id": property_id, "summaries": [], "message": "Chat summaries are not yet implemented"}
        )

    def _list(self, request: Request) -> Response:
        return page_response(
            request, self._all_ids(), self._list_json, default_size=DEFAULT_PAGE_SIZE, max_size=MAX_PAGE_SIZE
        )

    def _list_json(self, key: Key) -> bytes:
        return self._properties.json("list", key, list_item)

    def _all_ids(self) -> list[Key]:
        if self._ids[0] != self._properties.version:
            self._ids = (self._properties.version, list(self._properties.rows))
        return self._ids[1]

    def _create_client(self, request: Request) -> Response:
        content_type = request.header(b"content-type")
        if not content_type.lower().startswith("application/json"):
            return detail(415, f'Unsupported media type "{content_type}" in request.')
        try:
            values = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            return detail(400, f"JSON parse error - {error}")
        if not isinstance(values, dict):
            message = f"Invalid data. Expected a dictionary, but got {type(values).__name__}."
            return reply(400, {"non_field_errors": [message]})
        kept, errors = check_client(values)
        if errors:
            wrapped = {"detail": "Validation failed", "field_errors": errors}
            return reply(400, wrapped if self._state.settings.field_errors_wrapped else errors)
        return reply(201, self._keep(kept))

    def _keep(self, values: dict[str, Any]) -> dict[str, Any]:
        people = self._people.of(self._properties)
        row, answer = property_of_client(values, self._properties.highest + 1, people)
        self._state.store.upsert(PROPERTIES, row)
        self._people.joined(row, self._properties)
        self._state.webhooks.property_changed("property.created", row)
        for milestone in row["milestones"]:
            self._state.webhooks.milestone_changed("property.milestone.created", row["id"], milestone)
        return answer


def _products(_request: Request) -> Response:
    return reply(200, {"count": len(PRODUCTS), "next": None, "previous": None, "results": PRODUCTS})


def _no_route(request: Request) -> Response:
    """Return 301 to the path with its slash where that is a route (APPEND_SLASH), else 404."""
    slashed = f"{request.path}/"
    if request.method not in ("GET", "HEAD") or _PATH.match(slashed) is None:
        return page_not_found()
    location = slashed + (f"?{request.query}" if request.query else "")
    return Response(301, b"", b"text/html; charset=utf-8", [(b"location", location.encode())])


def _current(row: Row) -> Response:
    milestone = current_milestone(row)
    if milestone is None:
        return detail(404, "No current milestone found")
    days = _days_until(milestone.get("due_date"))
    urgent = days is not None and days <= _URGENT_DAYS
    soon = days is not None and days <= _SOON_DAYS
    assigned_to = "estate_agent" if milestone.get("name") in _AGENTS_MILESTONES else "conveyancer"
    return reply(
        200,
        {
            **milestone,
            "days_until_due": days,
            "assigned_to": assigned_to,
            "priority": "high" if urgent else "medium" if soon else "low",
        },
    )


def _days_until(due_date: Any) -> int | None:
    try:
        due = datetime.fromisoformat(due_date)
    except (TypeError, ValueError):
        return None
    due = due if due.tzinfo else due.replace(tzinfo=UTC)
    return math.floor((due - datetime.now(UTC)).total_seconds() / SECONDS_A_DAY)
