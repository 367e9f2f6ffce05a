"""Why no whole answer came, as a sentence: which address, what happened there, and what to check.

Of the address only scheme, host and port: path and query may name a person, and before the host a password may stand.
Of a library's error only its class and words that are the same for everybody: it may quote bytes of the answer.
"""

from __future__ import annotations

import errno
import socket
import ssl
from collections.abc import Mapping

import httpx

from partner_pipelines.partners.http11 import ProtocolError

TOO_LATE = (httpx.TimeoutException, TimeoutError)
BROKEN = (
    ProtocolError,
    httpx.CookieConflict,
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    OSError,
    UnicodeError,  # a host name that no resolver takes
)

_FAULTS: tuple[tuple[type[Exception], str, str], ...] = (
    (ConnectionRefusedError, "nobody listens there", ""),
    (socket.gaierror, "the host's name is not known", ", then this machine's DNS"),
    (UnicodeError, "the host's name is none", ""),
)
_UNREACHABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EHOSTDOWN, errno.EADDRNOTAVAIL}
_NOT_ITS_NAME = {62, 64}  # OpenSSL's X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH
_ADDRESS_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "request_token": ("base_url", "token_url"),
    "probe_scopes": ("base_url", "token_url"),
    "introspect_token": ("introspection_url",),
    "revoke_token": ("revocation_url",),
}


def why_no_answer(error: Exception, url: httpx.URL, partner: str, operation: str) -> str:
    """The sentence about one of TOO_LATE or BROKEN, met while `url` was asked for `operation`."""
    address = httpx.URL(scheme=url.scheme, host=url.host, port=url.port)
    if isinstance(error, TOO_LATE):
        return f"{operation}: no whole answer from {address} in time ({type(error).__name__})"
    return f"{operation}: no whole answer from {address}{_reason(error, _settings(partner, operation))}"


def _reason(error: Exception, settings: str) -> str:
    kind = type(error).__name__
    if isinstance(error, ssl.SSLError):
        return _tls_reason(error, settings)
    for fault, what, more in _FAULTS:
        if isinstance(error, fault):
            return f": {what} ({kind}): check {settings}{more}"
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        return f": there is no way to it ({kind}): check {settings}, then this machine's network"
    return f" ({error if isinstance(error, ProtocolError) else kind})"


def _tls_reason(error: ssl.SSLError, settings: str) -> str:
    """With OpenSSL's own words, which only its handshake gives."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        return f": no TLS connection ({getattr(error, 'reason', None) or type(error).__name__}): check {settings}"
    text = f": its certificate is refused ({getattr(error, 'verify_message', 'no reason given')}): check {settings}"
    if getattr(error, "verify_code", None) in _NOT_ITS_NAME:
        return text
    return f"{text}; if this authority is to be trusted, add it to PARTNER_CA_BUNDLE"


def _settings(partner: str, operation: str) -> str:
    """Where the address was set, whichever way the connection was."""
    names = _ADDRESS_SETTINGS.get(operation, ("base_url",))
    variables = " and ".join(f"{partner.upper()}_{name.upper()}" for name in names)
    return f"{variables} ({' and '.join(names)} in a file of connections)"
