"""An Ed25519 private key as a setting gives it: PEM, PKCS#8, without a passphrase."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

TAKES = "an Ed25519 private key (PEM, PKCS#8, no passphrase) as a value, env:NAME or file:PATH"


def parse_signing_key(pem: str) -> Ed25519PrivateKey:
    """The key. Raises ValueError, which does not carry what it got, for anything else."""
    # Imported here: most commands read the settings and sign nothing
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(  # noqa: TRY004 -- the text is wrong, not its type
            "it is no Ed25519 private key in PEM (PKCS#8, no passphrase)"
        )
    return key


def check_signing_key(pem: str) -> None:
    """Raises ValueError for what is no such key."""
    parse_signing_key(pem)
