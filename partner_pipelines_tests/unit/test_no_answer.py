"""The sentence about an answer that did not come: the address and what to check, and nothing that may be secret."""

from __future__ import annotations

import errno
import socket

import httpx
import pytest

from partner_pipelines.partners.http11 import ProtocolError
from partner_pipelines.partners.no_answer import BROKEN, TOO_LATE, why_no_answer

URL = httpx.URL("https://user:pa55@api.resman.example:8443/api/leads/jane@canary.example?email=jane@canary.example#x")
ADDRESS = "https://api.resman.example:8443"
BASE = "check RESMAN_BASE_URL (base_url in a file of connections)"


def sentence(error: Exception, operation: str = "list_leads") -> str:
    return why_no_answer(error, URL, "resman", operation)


@pytest.mark.parametrize("kind", [kind for kind in (*TOO_LATE, *BROKEN) if kind is not ProtocolError])
def test_it_names_the_address_and_nothing_else_of_the_url(kind: type[Exception]) -> None:
    error = kind.__new__(kind, "jane@canary.example")
    text = sentence(error)
    assert text.startswith(f"list_leads: no whole answer from {ADDRESS}")
    for secret in ("jane", "canary", "user", "pa55", "/api/leads", "email"):
        assert secret not in text


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ConnectionRefusedError(), f": nobody listens there (ConnectionRefusedError): {BASE}"),
        (
            socket.gaierror(socket.EAI_NONAME, "jane@canary.example"),
            f": the host's name is not known (gaierror): {BASE}, then this machine's DNS",
        ),
        (
            OSError(errno.EHOSTUNREACH, "jane@canary.example"),
            f": there is no way to it (OSError): {BASE}, then this machine's network",
        ),
        (UnicodeError("jane@canary.example"), f": the host's name is none (UnicodeError): {BASE}"),
        (ConnectionResetError(), " (ConnectionResetError)"),
        (ProtocolError("the server hung up"), " (the server hung up)"),
        (TimeoutError(), " in time (TimeoutError)"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_it_says_what_happened_and_what_to_check(error: Exception, reason: str) -> None:
    assert sentence(error) == f"list_leads: no whole answer from {ADDRESS}{reason}"


@pytest.mark.parametrize(
    ("operation", "settings"),
    [
        ("request_token", "RESMAN_BASE_URL and RESMAN_TOKEN_URL (base_url and token_url in a file of connections)"),
        ("introspect_token", "RESMAN_INTROSPECTION_URL (introspection_url in a file of connections)"),
        ("revoke_token", "RESMAN_REVOCATION_URL (revocation_url in a file of connections)"),
    ],
)
def test_it_names_the_setting_that_gave_the_address(operation: str, settings: str) -> None:
    assert sentence(ConnectionRefusedError(), operation).endswith(f": check {settings}")


def test_the_default_port_is_left_out_and_an_ipv6_address_stands_in_brackets() -> None:
    url = httpx.URL("http://[::1]:80/x")
    assert " from http://[::1]: nobody" in why_no_answer(ConnectionRefusedError(), url, "openmoove", "list_properties")
