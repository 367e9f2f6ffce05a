"""What is asked of ResMan's authorization server, and its answers, without I/O.

Sources: RFC 6749 4.4 (client credentials), 2.3.1 (both ways of client authentication, form encoding of id and secret),
5.1 and 5.2 (answers); RFC 7662 2 (introspection); RFC 7009 2 (revocation); RFC 8414 (metadata); resman_handshake.md,
"OAuth2 Flow" and "Token Management".
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote_plus, urlencode, urlsplit

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.models.call import Purpose
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.caller import Answer, Operation

ClientAuthentication = Literal["client_secret_post", "client_secret_basic"]

REVOKE = "revoke_token"
"""The operation that a revoked connection may still carry out."""

_SCOPE = re.compile(r"[a-z_.:]{1,40}")
MAX_ANSWER_BYTES = 64 * 1024
LONGEST_BELIEVED_SECONDS = 7 * 24 * 3600.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What the token endpoint gave. `scope` is what was granted: the answer's word, else what was asked for.

    A lifetime is never longer than a week, whatever the answer says: it stays a number that clocks can be set by.
    `scope_is_stated`: the answer had a word for it. `request_id`: the attempt that brought it.
    """

    access_token: str = field(repr=False)
    lifetime_seconds: float
    scope: frozenset[str]
    scope_is_stated: bool = field(default=True, compare=False)
    request_id: str | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Introspection:
    """What the introspection endpoint said of a token. `scope` is None where it did not say."""

    active: bool
    scope: frozenset[str] | None


def build_token_request(
    token_url: str,
    client_id: str,
    client_secret: str,
    scopes: Iterable[str],
    how: ClientAuthentication,
    purpose: Purpose = "work",
) -> Operation:
    """The request for a token with these scopes. With the purpose `probe`, its token is used for nothing."""
    scope = " ".join(scopes)
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    name = "probe_scopes" if purpose == "probe" else "request_token"
    return _build(name, token_url, form, client_id, client_secret, how, scope=scope or None, purpose=purpose)


def build_metadata(token_url: str) -> Operation:
    """The question what the authorization server announces (RFC 8414 3); it needs no credentials."""
    parts = urlsplit(token_url)
    url = f"{parts.scheme}://{parts.netloc}/.well-known/oauth-authorization-server"
    return Operation("read_metadata", "GET", url, reason="token", purpose="check")


def build_introspection(
    url: str, client_id: str, client_secret: str, token: str, how: ClientAuthentication
) -> Operation:
    """The question what a token opens now (RFC 7662 2.1)."""
    form = {"token": token, "token_type_hint": "access_token"}
    return _build("introspect_token", url, form, client_id, client_secret, how, purpose="check")


def build_revocation(url: str, client_id: str, client_secret: str, token: str, how: ClientAuthentication) -> Operation:
    """The request to revoke a token (RFC 7009 2.1). Its answer's body says nothing; 200 is all."""
    form = {"token": token, "token_type_hint": "access_token"}
    return _build(REVOKE, url, form, client_id, client_secret, how, purpose="check")


def _build(
    name: str,
    url: str,
    form: Mapping[str, str],
    client_id: str,
    client_secret: str,
    how: ClientAuthentication,
    *,
    purpose: Purpose,
    scope: str | None = None,
) -> Operation:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    if how == "client_secret_basic":
        # RFC 6749 2.3.1: both parts are form-encoded first, so that a colon or an é survives
        pair = f"{quote_plus(client_id)}:{quote_plus(client_secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form = {**form, "client_id": client_id, "client_secret": client_secret}
    return Operation(
        name,
        "POST",
        url,
        scope=scope,
        reason="token",
        purpose=purpose,
        body=urlencode(form).encode(),
        headers=headers,
        repeatable=True,
        max_body_bytes=MAX_ANSWER_BYTES,
    )


def decipher_token(answer: Answer, asked: Iterable[str], facts: CallFacts) -> Grant:
    """The token in the answer. Raises APIResponseError for whatever is none; its message never quotes the answer."""
    body = _object(answer.body, facts)
    stated = body.get("scope") is not None
    scope = _scope(body, asked, facts)
    return Grant(_token(body, facts), _lifetime(body, facts), scope, stated, facts.request_id)


def decipher_metadata(answer: Answer, facts: CallFacts) -> frozenset[str] | None:
    """The scopes that the server announces (RFC 8414 2, `scopes_supported`), None where it names none."""
    scopes = _object(answer.body, facts).get("scopes_supported")
    return frozenset(str(scope) for scope in scopes) if isinstance(scopes, list) else None


def decipher_introspection(answer: Answer, facts: CallFacts) -> Introspection:
    """What the answer says of the token. Raises APIResponseError, which never quotes it."""
    body = _object(answer.body, facts)
    active = body.get("active")
    if not isinstance(active, bool):
        raise APIResponseError(f"{facts.operation}: the answer does not say whether the token is active", facts)
    return Introspection(active, _scope(body, (), facts) if body.get("scope") is not None else None)


def _object(body: Body, facts: CallFacts) -> dict[str, Any]:
    """Stricter than with rows: of two `access_token`s neither is to be believed."""
    if len(body.content) > MAX_ANSWER_BYTES:
        raise APIResponseError(f"{facts.operation}: the token answer is longer than {MAX_ANSWER_BYTES:,} bytes", facts)
    try:
        value = json.loads(body.content, object_pairs_hook=_without_duplicates, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise APIResponseError(f"{facts.operation}: the token answer is no JSON object with unique names", facts)
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _token(body: dict[str, Any], facts: CallFacts) -> str:
    token = body.get("access_token")
    if not isinstance(token, str) or not token:
        raise APIResponseError(f"{facts.operation}: the token answer has no access_token", facts)
    if not all("\x21" <= char <= "\x7e" for char in token):
        raise APIResponseError(f"{facts.operation}: the access_token has characters that no header may carry", facts)
    kind = body.get("token_type")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise APIResponseError(f"{facts.operation}: the token_type is not Bearer", facts)
    return token


def _lifetime(body: dict[str, Any], facts: CallFacts) -> float:
    lifetime = body.get("expires_in")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or lifetime <= 0:
        raise APIResponseError(f"{facts.operation}: expires_in is not a number of seconds above 0", facts)
    return float(min(lifetime, LONGEST_BELIEVED_SECONDS))


def _scope(body: dict[str, Any], asked: Iterable[str], facts: CallFacts) -> frozenset[str]:
    """What was asked for, and what else reads like a scope: this goes to the trail, and anything may stand there."""
    scope = body.get("scope")
    if scope is None:
        return frozenset(asked)
    if not isinstance(scope, str):
        raise APIResponseError(f"{facts.operation}: scope is not text", facts)
    known = frozenset(asked)
    return frozenset(word for word in scope.split() if word in known or _SCOPE.fullmatch(word))
