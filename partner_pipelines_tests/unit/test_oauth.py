"""Requests and answers are written from RFC 6749 (2.3.1, 4.4, 5.1) and resman_handshake.md "OAuth2 Flow"."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import parse_qs

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.clock import now
from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.caller import Answer, Operation
from partner_pipelines.partners.resman.oauth import Grant, build_token_request, decipher_token

FACTS = CallFacts("resman", "elm-park", "request_token", "r-1")
TOKEN_URL = "https://api.resman.com/oauth2/token"
CANARY = "canary-token-3f9d1c7a5e"
GOOD = {"access_token": CANARY, "token_type": "Bearer", "expires_in": 3600, "scope": "leads units"}


def built(secret: str = "s3cret", how: Any = "client_secret_post", client_id: str = "elise") -> Operation:
    return build_token_request(TOKEN_URL, client_id, secret, ["leads", "units"], how)


def granted(body: Any, asked: tuple[str, ...] = ("leads", "units")) -> Grant:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return decipher_token(Answer(200, httpx.Headers(), Body(content), "r-1", now()), asked, FACTS)


def test_the_request_is_the_documents_client_credentials_grant() -> None:
    operation = built()
    assert (operation.method, operation.url) == ("POST", TOKEN_URL)
    assert operation.headers == {"Content-Type": "application/x-www-form-urlencoded"}
    assert operation.body is not None
    assert parse_qs(operation.body.decode(), strict_parsing=True) == {
        "grant_type": ["client_credentials"],
        "client_id": ["elise"],
        "client_secret": ["s3cret"],
        "scope": ["leads units"],
    }


def test_a_token_request_may_be_repeated_though_it_is_a_post() -> None:
    assert built().is_read


def test_an_operation_shows_neither_its_body_nor_its_headers() -> None:
    for how in ("client_secret_post", "client_secret_basic"):
        operation = built(CANARY, how)
        assert CANARY not in repr(operation)
        assert "Basic" not in repr(operation)


def test_with_basic_the_body_holds_no_secret_and_the_header_is_form_encoded_first() -> None:
    """RFC 6749 2.3.1 applied by hand: ':' %3A, '+' %2B, '%' %25, '&' %26, 'é' %C3%A9, ' ' +."""
    operation = built("a:b+c%d&é f", "client_secret_basic", "i d")
    expected = base64.b64encode(b"i+d:a%3Ab%2Bc%25d%26%C3%A9+f").decode()
    assert operation.headers["Authorization"] == f"Basic {expected}"
    assert operation.body == b"grant_type=client_credentials&scope=leads+units"


@given(st.text(min_size=1), st.text(min_size=1))
def test_every_id_and_secret_survives_the_form(client_id: str, secret: str) -> None:
    if not (client_id + secret).isprintable():
        return
    body = built(secret, client_id=client_id).body
    assert body is not None
    form = parse_qs(body.decode("ascii"), keep_blank_values=True)
    assert (form["client_id"], form["client_secret"]) == ([client_id], [secret])


def test_without_scopes_the_parameter_is_left_out() -> None:
    operation = build_token_request(TOKEN_URL, "elise", "s3cret", [], "client_secret_post")
    assert operation.body is not None
    assert b"scope" not in operation.body


def test_a_good_answer_is_a_grant_that_does_not_show_its_token() -> None:
    grant = granted(GOOD)
    assert grant == Grant(CANARY, 3600.0, frozenset({"leads", "units"}))
    assert CANARY not in repr(grant)


@pytest.mark.parametrize("kind", ["bearer", "BEARER", "Bearer"])
def test_the_token_type_is_read_without_case(kind: str) -> None:
    assert granted(GOOD | {"token_type": kind}).access_token == CANARY


def test_without_a_scope_what_was_asked_for_is_granted() -> None:
    body = {name: value for name, value in GOOD.items() if name != "scope"}
    assert granted(body).scope == {"leads", "units"}


@pytest.mark.parametrize(
    ("scope", "expected"),
    [("units leads", {"leads", "units"}), ("units units", {"units"}), ("units", {"units"}), ("", set())],
    ids=["order", "duplicates", "narrowed", "none"],
)
def test_the_answers_scope_is_what_is_granted(scope: str, expected: set[str]) -> None:
    assert granted(GOOD | {"scope": scope}).scope == expected


def test_words_that_were_not_asked_for_and_read_like_no_scope_are_no_scopes() -> None:
    echoed = f"leads payments.read client_secret={CANARY} {CANARY} ada@example.com Read-1 \u00e9"
    assert granted({**GOOD, "scope": echoed}, asked=("leads", "Read-1")).scope == {"leads", "Read-1", "payments.read"}


def test_a_lifetime_that_no_clock_could_be_set_by_is_cut_to_a_week() -> None:
    for lifetime in (10**12, 10**400, 1e300):
        assert granted(json.dumps(GOOD | {"expires_in": lifetime}).encode()).lifetime_seconds == 7 * 24 * 3600
    assert granted(json.dumps(GOOD).replace("3600", "1e999").encode()).lifetime_seconds == 7 * 24 * 3600


NO_TOKEN: dict[str, Any] = {
    "no access_token": {name: value for name, value in GOOD.items() if name != "access_token"},
    "empty access_token": GOOD | {"access_token": ""},
    "access_token is null": GOOD | {"access_token": None},
    "access_token is a number": GOOD | {"access_token": 12},
    "CR LF in the token": GOOD | {"access_token": f"{CANARY}\r\nX-Evil: 1"},
    "a space in the token": GOOD | {"access_token": f"{CANARY} x"},
    "é in the token": GOOD | {"access_token": f"{CANARY}é"},
    "wrong token_type": GOOD | {"token_type": "mac"},
    "no token_type": {name: value for name, value in GOOD.items() if name != "token_type"},
    "expires_in 0": GOOD | {"expires_in": 0},
    "expires_in negative": GOOD | {"expires_in": -3600},
    "expires_in text": GOOD | {"expires_in": "3600"},
    "expires_in true": GOOD | {"expires_in": True},
    "expires_in null": GOOD | {"expires_in": None},
    "no expires_in": {name: value for name, value in GOOD.items() if name != "expires_in"},
    "expires_in NaN": json.dumps(GOOD).replace("3600", "NaN").encode(),
    "scope is a list": GOOD | {"scope": ["leads"]},
    "html": b"<!doctype html><html>" + CANARY.encode() + b"</html>",
    "empty": b"",
    "truncated": json.dumps(GOOD).encode()[:-10],
    "bad utf-8": b'{"access_token": "\xff"}',
    "two tokens": b'{"access_token": "' + CANARY.encode() + b'", ' + json.dumps(GOOD).encode()[1:],
    "an array": [GOOD],
    "a text": CANARY,
    "deep": b"[" * 50_000,
    "10 MB": json.dumps(GOOD | {"padding": "x" * 10_000_000}).encode(),
}


@pytest.mark.parametrize("body", NO_TOKEN.values(), ids=NO_TOKEN)
def test_what_is_no_token_is_a_typed_error_that_quotes_nothing(body: Any) -> None:
    with pytest.raises(APIResponseError, match="request_token: ") as caught:
        granted(body)
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None


@given(
    st.recursive(st.none() | st.booleans() | st.floats() | st.text(), st.lists, max_leaves=5),
    st.sampled_from(list(GOOD)),
)
def test_whatever_stands_in_a_field_the_answer_is_a_grant_or_a_typed_error(value: Any, name: str) -> None:
    try:
        grant = granted(GOOD | {name: value})
    except APIResponseError:
        return
    assert 0 < grant.lifetime_seconds <= 7 * 24 * 3600
    assert grant.access_token.isascii()
    assert grant.access_token.isprintable()
