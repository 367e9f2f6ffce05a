"""A look at an address's certificate: a handshake as the wire makes it, and nothing is sent."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from partner_pipelines.partners.no_answer import BROKEN, TOO_LATE, why_no_answer
from partner_pipelines.partners.wire import tls_context


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a server that is trusted has shown: `issuer` vouches for it until `expires_at`."""

    issuer: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class NoCertificate:
    """None that is trusted. `is_refused`: there was a server, and its TLS was not taken. `why` is a sentence."""

    is_refused: bool
    why: str


def look_at_certificate(
    url: str, ca_bundle: Path | None, *, seconds: float, partner: str, operation: str
) -> Certificate | NoCertificate:
    """What the https address shows to a client that trusts what the wire trusts.

    `seconds` bound the connection and the handshake each; `partner` and `operation` say which setting the address is.
    """
    address = httpx.URL(url)
    host = address.raw_host.decode("ascii")
    try:
        with (
            socket.create_connection((host, address.port or 443), timeout=seconds) as plain,
            tls_context(ca_bundle).wrap_socket(plain, server_hostname=host) as secured,
        ):
            return _read(secured.getpeercert() or {})
    except (*TOO_LATE, *BROKEN) as error:
        return NoCertificate(isinstance(error, ssl.SSLError), why_no_answer(error, address, partner, operation))


def _read(shown: Any) -> Certificate:
    names = {key: value for part in shown.get("issuer", ()) for key, value in part}
    issuer = names.get("organizationName") or names.get("commonName") or "an authority without a name"
    expires_at = datetime.fromtimestamp(ssl.cert_time_to_seconds(shown["notAfter"]), UTC)
    return Certificate(issuer, expires_at)
