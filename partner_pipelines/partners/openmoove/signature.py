"""Whether a webhook's body was signed with a secret: pure. Source: openmoove_partner_api.md, "Webhook Security".

Every secret is tried, whichever fits: how long it takes tells nobody which one, nor how much of a signature was right.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence

SIGNATURE_HEADER = "X-OpenMoove-Signature"
_SCHEME = b"sha256="
_HEX_DIGITS = 64


def is_signed(signature: bytes, body: bytes, secret: str) -> bool:
    """Whether `signature`, the header's value as it came, is `sha256=` and the lower-case HMAC of the raw body."""
    expected = _SCHEME + hmac.digest(secret.encode(), body, "sha256").hex().encode()
    return hmac.compare_digest(expected, signature)


def is_well_formed(signature: bytes) -> bool:
    """Whether it could be a signature at all: worth reading the body for."""
    return signature.startswith(_SCHEME) and len(signature) == len(_SCHEME) + _HEX_DIGITS


def signers(signatures: Sequence[bytes], body: bytes, secrets: Mapping[str, Collection[str]]) -> frozenset[str]:
    """The connections with a secret that signed the body.

    Args:
        signatures: The values of all signature headers: none, or more than one, prove nothing.
        body: The raw bytes, before anything is parsed.
        secrets: By connection, the secrets that are accepted.
    """
    if len(signatures) != 1:
        return frozenset()
    tried = [
        (connection, is_signed(signatures[0], body, secret)) for connection, each in secrets.items() for secret in each
    ]
    return frozenset(connection for connection, fits in tried if fits)
