"""ResMan's authorization server: tokens (RFC 6749 4.4), introspection (7662), revocation (7009), metadata (8414)."""

from __future__ import annotations

import base64
import binascii
import hmac
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote_plus

from partner_pipelines.sandbox.oauth import SCOPES
from partner_pipelines.sandbox.wire import Response, detail, page_not_found, reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from partner_pipelines.sandbox.oauth import Client, Tokens
    from partner_pipelines.sandbox.settings import Settings
    from partner_pipelines.sandbox.wire import Header, Request

NO_STORE: tuple[Header, ...] = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
METADATA = "/.well-known/oauth-authorization-server"
CHALLENGE: Header = (b"www-authenticate", b'Basic realm="resman"')

Form = dict[str, str]


class OAuthError(Exception):
    """An error answer of RFC 6749 section 5.2."""

    def __init__(self, code: str, description: str) -> None:
        super().__init__(description)
        self.code = code
        self.description = description

    def response(self) -> Response:
        """Return the answer: 401 with a challenge for a client that is not who it says, 400 for the rest."""
        body = {"error": self.code, "error_description": self.description}
        if self.code == "invalid_client":
            return reply(401, body, CHALLENGE, *NO_STORE)
        return reply(400, body, *NO_STORE)


class OAuthEndpoints:
    """The three endpoints under /oauth2/."""

    def __init__(self, tokens: Tokens, settings: Settings) -> None:
        self._tokens = tokens
        self._settings = settings
        self._endpoints: dict[str, Callable[[Client, Form], Response]] = {
            "/oauth2/token": self._token,
            "/oauth2/introspect": self._introspect,
            "/oauth2/revoke": self._revoke,
        }

    def answer(self, request: Request) -> Response:
        """Answer one request to the authorization server."""
        if request.path == METADATA and request.method == "GET":
            return self._metadata(request)
        endpoint = self._endpoints.get(request.path)
        if endpoint is None:
            return page_not_found()
        if request.method != "POST":
            return detail(405, f'Method "{request.method}" not allowed.', (b"allow", b"POST"))
        try:
            form = _read_form(request)
            return endpoint(self._authenticate(request, form), form)
        except OAuthError as error:
            return error.response()

    def _authenticate(self, request: Request, form: Form) -> Client:
        """Return the client by client_secret_basic or client_secret_post, but not both (section 2.3)."""
        credentials = basic_credentials(request)
        if credentials is not None and "client_secret" in form:
            raise OAuthError("invalid_request", "The client authenticates in more than one way.")
        client_id, secret = credentials or (form.get("client_id", ""), form.get("client_secret", ""))
        client = self._tokens.client(client_id)
        if client is None or not hmac.compare_digest(client["client_secret"].encode(), secret.encode()):
            raise OAuthError("invalid_client", "Client authentication failed.")
        return client

    def _token(self, client: Client, form: Form) -> Response:
        grant_type = form.get("grant_type")
        if not grant_type:
            raise OAuthError("invalid_request", "grant_type is missing.")
        if grant_type != "client_credentials":
            raise OAuthError("unsupported_grant_type", f"{grant_type} is not supported.")
        if grant_type not in client["grant_types"]:
            raise OAuthError("unauthorized_client", "The client may not use this grant type.")
        scopes = self._scopes(client, form.get("scope", ""))
        answer = {
            "access_token": self._tokens.issue(client["id"], scopes),
            "token_type": "Bearer",
            "expires_in": int(self._settings.token_lifetime_seconds),
            "scope": " ".join(scopes),
        }
        if self._settings.omit_scope:
            del answer["scope"]
        return reply(200, answer, *NO_STORE)

    def _scopes(self, client: Client, asked: str) -> tuple[str, ...]:
        """Return what is granted of what was asked: all of it when nothing was."""
        granted = client["granted"]
        wanted = asked.split() or granted
        narrowed = tuple(dict.fromkeys(scope for scope in wanted if scope in granted))
        refused = [scope for scope in wanted if scope not in granted]
        if not narrowed or (refused and self._settings.refuse_unknown_scopes):
            raise OAuthError("invalid_scope", f"Not granted: {' '.join(refused) or 'any scope'}.")
        return narrowed

    def _metadata(self, request: Request) -> Response:
        """Say what there is, to anybody (RFC 8414 section 3.2): every scope that a client may be granted one day."""
        issuer = f"http://{request.header(b'host')}"
        return reply(
            200,
            {
                "issuer": issuer,
                "token_endpoint": f"{issuer}/oauth2/token",
                "introspection_endpoint": f"{issuer}/oauth2/introspect",
                "revocation_endpoint": f"{issuer}/oauth2/revoke",
                "grant_types_supported": ["client_credentials"],
                "scopes_supported": list(SCOPES),
            },
        )

    def _introspect(self, client: Client, form: Form) -> Response:
        text = _required_token(form)
        token = self._tokens.live(text)
        # Another client's token is nobody's business (RFC 7662 section 4).
        if token is None or token.client_id != client["id"]:
            return reply(200, {"active": False}, *NO_STORE)
        offset = self._settings.date_offset_seconds
        return reply(
            200,
            {
                "active": True,
                "scope": " ".join(self._tokens.scopes(token)),
                "client_id": token.client_id,
                "sub": token.client_id,
                "token_type": "Bearer",
                "iat": int(token.issued_at + offset),
                "exp": int(token.expires_at + offset),
            },
            *NO_STORE,
        )

    def _revoke(self, client: Client, form: Form) -> Response:
        text = _required_token(form)
        if self._tokens.owner(text) == client["id"]:
            self._tokens.forget(text)
        return Response(200, b"", headers=list(NO_STORE))


def basic_credentials(request: Request) -> tuple[str, str] | None:
    """Return id and secret of an HTTP Basic header, each form-decoded (RFC 6749 section 2.3.1); None without one."""
    scheme, _, encoded = request.header(b"authorization").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return unquote_plus(client_id), unquote_plus(secret)


def form_client_id(request: Request) -> str | None:
    """Return the client_id of a form body, None when there is none."""
    try:
        return _read_form(request).get("client_id")
    except OAuthError:
        return None


def _read_form(request: Request) -> Form:
    content_type = request.header(b"content-type").partition(";")[0].strip().lower()
    if content_type != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "The body is application/x-www-form-urlencoded.")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True)
    except (UnicodeDecodeError, ValueError):
        raise OAuthError("invalid_request", "The body is not a form.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A parameter stands more than once.")
    return form


def _required_token(form: Form) -> str:
    if not form.get("token"):
        raise OAuthError("invalid_request", "token is missing.")
    return form["token"]
