"""One test for each way a signature can be wrong. What is right is openssl's word, or the document's own sample's."""

from __future__ import annotations

import hashlib
import hmac
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.openmoove.signature import is_signed, is_well_formed, signers

SECRET = "whsec-\N{POUND SIGN}4f1e"
BODY = (
    b'{"event": "property.milestone.updated", "timestamp": "2024-01-15T10:30:00Z", "data": {"property_id": 456, '
    b'"milestone": {"id": 1001, "name": "Exchange of Contracts", "completed": true, '
    b'"completed_date": "2024-01-15T10:30:00Z"}}}'
)


def by_openssl(secret: str, body: bytes) -> bytes:
    key = f"hexkey:{secret.encode().hex()}"
    command = ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", key]
    digest = subprocess.run(command, input=body, capture_output=True, check=True).stdout.split()[-1]
    return b"sha256=" + digest


@pytest.fixture(scope="module")
def right() -> bytes:
    return by_openssl(SECRET, BODY)


def test_what_openssl_signs_is_signed(right: bytes) -> None:
    assert is_signed(right, BODY, SECRET)
    assert is_well_formed(right)


def test_an_empty_body_has_a_signature_like_any_other() -> None:
    assert is_signed(by_openssl(SECRET, b""), b"", SECRET)
    assert not is_signed(by_openssl(SECRET, b""), b" ", SECRET)


def test_every_single_flipped_bit_of_the_body_is_seen(right: bytes) -> None:
    for place in range(len(BODY)):
        for bit in range(8):
            flipped = bytearray(BODY)
            flipped[place] ^= 1 << bit
            assert not is_signed(right, bytes(flipped), SECRET)


def test_every_single_flipped_bit_of_the_signature_is_seen(right: bytes) -> None:
    for place in range(len(right)):
        for bit in range(8):
            flipped = bytearray(right)
            flipped[place] ^= 1 << bit
            assert not is_signed(bytes(flipped), BODY, SECRET)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("another scheme", lambda right: b"sha1=" + right[7:]),
        ("the scheme in capitals", lambda right: b"SHA256=" + right[7:]),
        ("no scheme", lambda right: right[7:]),
        ("the scheme alone", lambda _: b"sha256="),
        ("the scheme twice", lambda right: b"sha256=" + right),
        ("capitals", lambda right: b"sha256=" + right[7:].upper()),
        ("a digit too few", lambda right: right[:-1]),
        ("a digit too many", lambda right: right + b"0"),
        ("half of it", lambda right: right[: 7 + 32]),
        ("nothing", lambda _: b""),
        ("a blank before", lambda right: b" " + right),
        ("a blank within", lambda right: b"sha256= " + right[7:]),
        ("a blank behind", lambda right: right + b" "),
        ("a line break behind", lambda right: right + b"\n"),
        ("two in one header", lambda right: right + b", " + right),
        ("non-ASCII digits", lambda right: right[:7] + "\N{FULLWIDTH DIGIT ONE}".encode() * 64),
        ("bytes that are no text", lambda right: right[:-1] + b"\xff"),
        ("no hexadecimal digits", lambda right: right[:7] + b"z" * 64),
        ("base64", lambda right: b"sha256=" + bytes.fromhex(right[7:].decode())),
    ],
)
def test_a_signature_that_is_wrong_in_its_form_is_refused(name: str, wrong: object, right: bytes) -> None:
    assert callable(wrong)
    assert not is_signed(wrong(right), BODY, SECRET), name
    assert signers([wrong(right)], BODY, {"oak": [SECRET]}) == frozenset(), name


@pytest.mark.parametrize("other", [SECRET + " ", SECRET.lower() + "x", "", "retired-secret"])
def test_another_secret_is_refused(other: str, right: bytes) -> None:
    assert not is_signed(right, BODY, other)


def test_one_header_it_must_be(right: bytes) -> None:
    secrets = {"oak": [SECRET]}
    assert signers([right], BODY, secrets) == {"oak"}
    assert signers([], BODY, secrets) == frozenset()
    assert signers([right, right], BODY, secrets) == frozenset()
    assert signers([right, b"sha256=0"], BODY, secrets) == frozenset()


def test_while_rotating_both_secrets_are_taken_and_afterwards_the_new_one_alone() -> None:
    old, new = by_openssl("old", BODY), by_openssl("new", BODY)
    both, after = {"oak": ["new", "old"]}, {"oak": ["new"]}
    assert signers([old], BODY, both) == signers([new], BODY, both) == {"oak"}
    assert signers([new], BODY, after) == {"oak"}
    assert signers([old], BODY, after) == frozenset()


def test_the_connection_is_the_one_whose_secret_signed() -> None:
    secrets = {"oak": ["a", "b"], "elm": ["c"]}
    assert signers([by_openssl("b", BODY)], BODY, secrets) == {"oak"}
    assert signers([by_openssl("c", BODY)], BODY, secrets) == {"elm"}
    assert signers([by_openssl("c", BODY)], BODY, {**secrets, "ash": ["c"]}) == {"elm", "ash"}
    assert signers([by_openssl("d", BODY)], BODY, secrets) == frozenset()


def the_documents_python_sample(payload_body: bytes, signature_header: str, webhook_secret: str) -> bool:
    """As openmoove_partner_api.md prints it, "Verifying Signatures (Python)"."""
    if not signature_header.startswith("sha256="):
        return False
    expected = hmac.new(webhook_secret.encode(), payload_body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, signature_header[7:])


@given(
    body=st.binary(max_size=200),
    secret=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
    other=st.text(st.characters(max_codepoint=127), max_size=80),
)
def test_the_documents_python_sample_agrees_with_ours(body: bytes, secret: str, other: str) -> None:
    right = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for signature in (right, right.upper(), right[:-1], f"sha256={other}", other):
        theirs = the_documents_python_sample(body, signature, secret)
        assert is_signed(signature.encode(), body, secret) == theirs


def the_documents_node_sample(payload_body: bytes, signature_header: bytes, webhook_secret: str) -> bool:
    """ "Verifying Signatures (Node.js)", its calls done by openssl; timingSafeEqual throws where lengths differ."""
    if not signature_header.startswith(b"sha256="):
        return False
    return signature_header[7:] == by_openssl(webhook_secret, payload_body)[7:]


@pytest.mark.parametrize("body", [b"", BODY, b"\x00\xff\n", "é".encode()])
def test_the_documents_node_sample_agrees_with_ours(body: bytes) -> None:
    right = by_openssl(SECRET, body)
    for signature in (right, right.upper(), right[:-1], right + b"0", b"sha512=" + right[7:], b""):
        assert is_signed(signature, body, SECRET) == the_documents_node_sample(body, signature, SECRET)
