"""The ResMan Partner-API: lists, single rows, and the writes that its scopes allow."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

import orjson

from partner_pipelines.sandbox.oauth_endpoints import METADATA, OAuthEndpoints, basic_credentials, form_client_id
from partner_pipelines.sandbox.paging import page_response
from partner_pipelines.sandbox.resman_form import REQUIRED, created_row, field_errors, updated_row
from partner_pipelines.sandbox.store import RESMAN_KINDS, Key, Row
from partner_pipelines.sandbox.wire import Request, Response, detail, reply

if TYPE_CHECKING:
    from partner_pipelines.sandbox.limits import Verdict
    from partner_pipelines.sandbox.oauth import Token
    from partner_pipelines.sandbox.resman_form import FieldErrors
    from partner_pipelines.sandbox.state import SandboxState
    from partner_pipelines.sandbox.store import Collection
    from partner_pipelines.sandbox.wire import Header

MAX_PAGE_SIZE = 500
FILTERS = ("available", "property_id", "prospect_id", "document_type")
_PATH = re.compile(rf"^/api/({'|'.join(RESMAN_KINDS)})(?:/([^/]+))?$")
_SELECTIONS_KEPT = 64

INVALID_TOKEN: Header = (
    b"www-authenticate",
    b'Bearer realm="resman", error="invalid_token", error_description="The access token does not do"',
)

Filters = tuple[tuple[str, str], ...]


def whole(row: Row) -> Row:
    """Return a row as it is served: as it is."""
    return row


class ResMan:
    """One API over all clients; what a client sees is limited to its properties."""

    name = "resman"

    def __init__(self, state: SandboxState) -> None:
        self._state = state
        self._tokens = state.tokens
        self._oauth = OAuthEndpoints(state.tokens, state.settings)
        self._selections: dict[tuple[str, str, Filters], tuple[int, int, list[Key]]] = {}

    def hint(self, request: Request) -> str | None:
        """Return the client id, by its token or by what the token request says."""
        if request.path.startswith("/oauth2/"):
            credentials = basic_credentials(request)
            return credentials[0] if credentials else form_client_id(request)
        return self._tokens.owner(_bearer(request))

    def admit(self, request: Request) -> tuple[Verdict | None, Response | None]:
        """Count every request of a known client, those for tokens included."""
        client_id = self.hint(request)
        if client_id is None or self._tokens.client(client_id) is None:
            return None, None
        verdict = self._state.resman_limiter.admit(client_id, request.arrived_at)
        if verdict is None or verdict.admitted:
            return verdict, None
        wait = str(math.ceil(verdict.wait_seconds)).encode()
        return verdict, detail(429, "Too many requests.", (b"retry-after", wait))

    def limit_headers(self, verdict: Verdict) -> list[Header]:
        """Return nothing: the document names no such headers."""
        del verdict
        return []

    def expire_token(self, request: Request) -> None:
        """Let the token that the request brings be expired."""
        self._tokens.expire(_bearer(request))

    def template(self, path: str) -> str:
        """Return the path with its id left out."""
        match = _PATH.match(path)
        return f"/api/{match[1]}/{{id}}" if match and match[2] else path

    def answer(self, request: Request) -> Response:
        """Answer one request to the authorization server or the API."""
        if request.path.startswith(("/oauth2/", METADATA)):
            return self._oauth.answer(request)
        match = _PATH.match(request.path)
        if match is None:
            return detail(404, "Not found.")
        token = self._tokens.live(_bearer(request))
        if token is None:
            return detail(401, "The access token is missing, expired or revoked.", INVALID_TOKEN)
        kind, row_id = match.groups()
        if kind not in self._tokens.scopes(token):
            challenge = f'Bearer realm="resman", error="insufficient_scope", scope="{kind}"'.encode()
            return detail(403, f"The scope {kind} is required.", (b"www-authenticate", challenge))
        return self._one(request, token, kind, row_id) if row_id else self._many(request, token, kind)

    def _many(self, request: Request, token: Token, kind: str) -> Response:
        if request.method == "GET":
            return self._list(request, token, kind)
        if request.method == "POST" and kind in REQUIRED:
            values = self._body(request, kind, creating=True)
            if isinstance(values, Response):
                return values
            row = created_row(kind, values, self._collection(kind).highest + 1)
            if not self._visible(row, token.client_id):
                return self._refused({"property_id": ["Not one of the client's properties."]})
            self._state.store.upsert(f"resman_{kind}", row)
            return reply(201, row)
        return _not_allowed(request)

    def _one(self, request: Request, token: Token, kind: str, row_id: str) -> Response:
        row = self._collection(kind).rows.get(row_id)
        if row is None or not self._visible(row, token.client_id):
            return detail(404, "Not found.")
        if request.method == "GET":
            return Response(200, self._collection(kind).json("whole", row_id, whole))
        if request.method != "PATCH" or kind not in REQUIRED:
            return _not_allowed(request)
        values = self._body(request, kind, creating=False)
        if isinstance(values, Response):
            return values
        changed = updated_row(row, values)
        self._state.store.upsert(f"resman_{kind}", changed)
        return reply(200, changed)

    def _body(self, request: Request, kind: str, *, creating: bool) -> Row | Response:
        if not request.header(b"content-type").lower().startswith("application/json"):
            return detail(415, f'Unsupported media type "{request.header(b"content-type")}" in request.')
        try:
            values = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            return detail(400, f"JSON parse error - {error}")
        if not isinstance(values, dict):
            return reply(400, {"non_field_errors": ["Invalid data. Expected a dictionary."]})
        errors = field_errors(kind, values, creating=creating)
        return self._refused(errors) if errors else values

    def _refused(self, errors: FieldErrors) -> Response:
        wrapped = {"detail": "Validation failed", "field_errors": errors}
        return reply(400, wrapped if self._state.settings.field_errors_wrapped else errors)

    def _list(self, request: Request, token: Token, kind: str) -> Response:
        keys = self._selected(kind, token.client_id, self._filters(request.query_values()))
        collection = self._collection(kind)

        def item_json(key: Key) -> bytes:
            return collection.json("whole", key, whole)

        shape = self._state.settings.list_shape.get(kind, "drf")
        if shape == "drf":
            size = int(self._state.settings.resman_page_size)
            return page_response(request, keys, item_json, default_size=size, max_size=MAX_PAGE_SIZE)
        # The other two shapes have no place to say that there is more: they are always the whole list.
        items = b"[" + b",".join(map(item_json, keys)) + b"]"
        return Response(200, items if shape == "array" else b'{"%s":%s}' % (kind.encode(), items))

    def _collection(self, kind: str) -> Collection:
        return self._state.store[f"resman_{kind}"]

    def _filters(self, query: dict[str, str]) -> Filters:
        if self._state.settings.ignore_filters:
            return ()
        return tuple((name, query[name]) for name in FILTERS if query.get(name))

    def _selected(self, kind: str, client_id: str, filters: Filters) -> list[Key]:
        """Return the keys that a client's filters leave, looked for once as long as nothing changes."""
        rows, leads = self._collection(kind), self._collection("leads")
        known = self._selections.get((kind, client_id, filters))
        if known and known[:2] == (rows.version, leads.version):
            return known[2]
        keys = [
            key
            for key, row in rows.rows.items()
            if all(_matches(row.get(name), wanted) for name, wanted in filters) and self._visible(row, client_id)
        ]
        if len(self._selections) >= _SELECTIONS_KEPT:
            self._selections.clear()
        self._selections[kind, client_id, filters] = (rows.version, leads.version, keys)
        return keys

    def _visible(self, row: Row, client_id: str) -> bool:
        """Say whether a row belongs to the client's properties; a row that names no property is everybody's."""
        client = self._tokens.client(client_id)
        allowed = client and client["property_ids"]
        if not allowed:
            return True
        property_id = row.get("property_id")
        if property_id is None and row.get("prospect_id") is not None:
            property_id = self._collection("leads").rows.get(row["prospect_id"], {}).get("property_id")
        return property_id is None or property_id in allowed


def _bearer(request: Request) -> str:
    scheme, _, token = request.header(b"authorization").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _not_allowed(request: Request) -> Response:
    return detail(405, f'Method "{request.method}" not allowed.')


def _matches(value: Any, wanted: str) -> bool:
    if isinstance(value, bool):
        return wanted.lower() in (("true", "1") if value else ("false", "0"))
    return value is not None and str(value) == wanted
