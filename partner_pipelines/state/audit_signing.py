"""The key that signs checkpoints, and what is known of it: its public half and that one's fingerprint.

The fingerprint is SHA-256 over the public key's DER (SubjectPublicKeyInfo), as this gives it:
`openssl pkey -pubin -outform DER | sha256sum`.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_public_key,
)

from partner_pipelines.errors import StateError
from partner_pipelines.settings.secret_references import SecretReference
from partner_pipelines.settings.signing_key import parse_signing_key
from partner_pipelines.state.files import create_atomically, make_directory, state_errors, sync_directory

SIGNATURE_LENGTH = 88  # 64 bytes in base64
# Every Ed25519 key's DER is these bytes and 32 more (RFC 8410, 4 and 10.1): whatever else stands there is no such key
_DER_START = bytes.fromhex("302a300506032b6570032100")
_DER_LENGTH = len(_DER_START) + 32


@dataclass(frozen=True, slots=True)
class VerifyKey:
    """A public key. `text` is its DER in base64, one line: what stands between the lines of its PEM."""

    fingerprint: str
    text: str

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Raises ValueError for what is no public Ed25519 key, or is written in another way."""
        der = base64.b64decode(text, validate=True)
        if len(der) != _DER_LENGTH or not der.startswith(_DER_START) or base64.b64encode(der).decode() != text:
            raise ValueError("no public key")
        return cls(hashlib.sha256(der).hexdigest(), text)

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Raises ValueError for what is no public Ed25519 key."""
        key = load_pem_public_key(pem)
        if not isinstance(key, Ed25519PublicKey):
            raise ValueError("no Ed25519 key")  # noqa: TRY004 -- the file's content is wrong, not the caller's type
        return cls.from_text(base64.b64encode(_der(key)).decode())

    @property
    def pem(self) -> str:
        """As `openssl` writes it."""
        return f"-----BEGIN PUBLIC KEY-----\n{self.text}\n-----END PUBLIC KEY-----\n"

    def proves(self, signature: bytes, signed: bytes) -> bool:
        """Whether the signature (base64, as `sign` writes it) is this key's over these bytes."""
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.text)[len(_DER_START) :])
        try:
            raw = base64.b64decode(signature, validate=True)
            if base64.b64encode(raw) != signature:  # two texts must not stand for one signature
                return False
            key.verify(raw, signed)
        except (ValueError, InvalidSignature):
            return False
        return True


class SigningKey:
    """A private key; neither repr nor str shows it."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = VerifyKey.from_text(base64.b64encode(_der(key.public_key())).decode())

    @classmethod
    def new(cls) -> Self:
        """One that nobody has had before."""
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def from_pem(cls, pem: str) -> Self:
        """Raises ValueError."""
        return cls(parse_signing_key(pem))

    @property
    def fingerprint(self) -> str:
        """Of its public half."""
        return self.public.fingerprint

    def sign(self, signed: bytes) -> bytes:
        """The signature, in base64."""
        return base64.b64encode(self._key.sign(signed))

    def to_pem(self) -> bytes:
        """PKCS#8, without a passphrase."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where the key is: what the setting refers to, or without one a file that is made once."""

    file: Path
    reference: SecretReference | None = None

    @property
    def next_file(self) -> Path:
        """Where a key of our own is kept until a checkpoint that it has signed is on the disk."""
        return self.file.with_name("audit-signing.next.pem")

    def load(self) -> SigningKey | None:
        """The key as it is now; None when there is none yet. Raises StateError, SettingsError."""
        if self.reference is not None:
            return SigningKey.from_pem(self.reference.reveal())
        return read_key_file(self.file) or read_key_file(self.next_file)

    def make_next(self) -> SigningKey:
        """The same next key for every process until `put_in_place`. Raises StateError."""
        make_directory(self.file.parent)
        create_atomically(self.next_file, SigningKey.new().to_pem())
        key = read_key_file(self.next_file)
        if key is None:
            raise StateError(f"{self.next_file} was removed as soon as it was made")
        return key

    def put_in_place(self) -> None:
        """The next key is the key. Raises StateError."""
        with state_errors("put the new key in place of", self.file):
            self.next_file.replace(self.file)
            sync_directory(self.file.parent)


def read_key_file(path: Path) -> SigningKey | None:
    """The key in a file; None where there is no file. Raises StateError."""
    with state_errors("read", path):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
    try:
        return SigningKey.from_pem(content.decode())
    except ValueError:
        raise StateError(
            f"{path} is no Ed25519 private key in PEM (PKCS#8, no passphrase): restore it from a backup"
        ) from None


def read_public_key(path: Path) -> VerifyKey:
    """The public key in a PEM file. Raises StateError."""
    with state_errors("read", path):
        content = path.read_bytes()
    try:
        return VerifyKey.from_pem(content)
    except (ValueError, UnsupportedAlgorithm):
        raise StateError(f"{path} is no public Ed25519 key in PEM, as `audit key` prints it") from None


def _der(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
