"""The key of checkpoints: where it is, and how another one comes into its place."""

from __future__ import annotations

import json
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from partner_pipelines.errors import SettingsError, StateError, UsageError
from partner_pipelines.settings import load_settings
from partner_pipelines.state.audit_checkpoints import CheckpointPlaces, Checkpoints
from partner_pipelines.state.audit_rotation import rotate_key
from partner_pipelines.state.audit_signing import SigningKey, VerifyKey, read_key_file, read_public_key
from partner_pipelines.state.data_directory import DataDirectory
from partner_pipelines.sync.process_trail import checkpoint_places
from partner_pipelines_tests.state.support_checkpoints import (
    checkpoint,
    checkpoints_of,
    found,
    places_of,
    resign,
    write_segment,
)

FILE = "checkpoints/000000001"


@pytest.fixture
def data(tmp_path: Path) -> DataDirectory:
    data = DataDirectory(tmp_path / "data")
    write_segment(data)
    checkpoint(data)
    return data


def lines_of(data: DataDirectory) -> list[bytes]:
    return (data.checkpoints / "000000001.jsonl").read_bytes().splitlines(keepends=True)


def write_lines(data: DataDirectory, lines: list[bytes]) -> None:
    (data.checkpoints / "000000001.jsonl").write_bytes(b"".join(lines))


def key_of(data: DataDirectory) -> SigningKey:
    key = read_key_file(data.signing_key)
    assert key is not None
    return key


def openssl_key(path: Path) -> Path:
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(path)], check=True)
    return path


def places_with(data: DataDirectory, key: str) -> CheckpointPlaces:
    return checkpoint_places(load_settings({"PARTNER_DATA_DIR": str(data.root), "PARTNER_AUDIT_KEY": key}), data)


def test_the_chain_goes_on_with_the_new_key_and_both_have_signed_that(data: DataDirectory) -> None:
    old = key_of(data)
    rotation = rotate_key(places_of(data), None)
    new = key_of(data)
    assert (rotation.old, rotation.new) == (old.fingerprint, new.fingerprint)
    assert old.fingerprint != new.fingerprint
    write_segment(data)
    checkpoint(data)
    assert found(data) == []
    facts = [json.loads(line) for line in lines_of(data)]
    assert [line["kind"] for line in facts] == ["checkpoint", "handover", "checkpoint", "checkpoint"]
    assert [line["key"] for line in facts] == [old.fingerprint] * 2 + [new.fingerprint] * 2
    assert (facts[1]["public_key"], facts[2]["replaces"]) == (new.public.text, old.fingerprint)
    assert [path.name for path in data.signing_key.parent.iterdir()] == [data.signing_key.name]
    assert data.signing_key.stat().st_mode & 0o777 == 0o600


def test_a_process_that_has_worked_with_the_old_key_goes_on_with_the_new_one(data: DataDirectory) -> None:
    checkpoints = checkpoints_of(data)
    write_segment(data)
    assert checkpoints.write()
    rotate_key(places_of(data), None)
    write_segment(data)
    assert checkpoints.write()
    assert found(data) == []


def test_a_key_of_ones_own_takes_over_by_its_file(data: DataDirectory, tmp_path: Path) -> None:
    own = openssl_key(tmp_path / "own.pem")
    new = read_key_file(own)
    rotate_key(places_of(data), new)
    rotate_key(places_of(data), new)  # a second time changes nothing
    assert len(lines_of(data)) == 3
    write_segment(data)
    with pytest.raises(StateError, match="is not one of the key in use"):
        checkpoint(data)
    Checkpoints(places_with(data, f"file:{own}")).write()
    assert len(lines_of(data)) == 4


def test_a_key_of_ones_own_is_never_made_by_us(data: DataDirectory, tmp_path: Path) -> None:
    own = openssl_key(tmp_path / "own.pem")
    rotate_key(places_of(data), read_key_file(own))
    with pytest.raises(UsageError, match="PARTNER_AUDIT_KEY gives the key: make the next one"):
        rotate_key(places_with(data, own.read_text()), None)


def test_another_key_without_a_hand_over_signs_nothing(data: DataDirectory, tmp_path: Path) -> None:
    own = openssl_key(tmp_path / "own.pem")
    write_segment(data)
    with pytest.raises(StateError, match="is not one of the key in use"):
        Checkpoints(places_with(data, f"file:{own}")).write()
    assert len(lines_of(data)) == 1


@pytest.mark.parametrize("kept", [1, 2])
def test_a_rotation_that_was_cut_short_is_finished_by_the_next_one(data: DataDirectory, kept: int) -> None:
    """Killed after the next key was made, and after the hand-over alone had come to the disk."""
    old = data.signing_key.read_bytes()
    rotate_key(places_of(data), None)
    new = data.signing_key.read_bytes()
    data.signing_key.write_bytes(old)
    data.signing_key.with_name("audit-signing.next.pem").write_bytes(new)
    write_lines(data, lines_of(data)[:kept])
    assert found(data) == ([] if kept == 1 else [(FILE, 2)])
    rotate_key(places_of(data), None)
    assert data.signing_key.read_bytes() == new
    assert found(data) == []


def test_a_rotation_killed_before_the_key_was_put_in_place_is_finished_by_the_next_one(data: DataDirectory) -> None:
    old = data.signing_key.read_bytes()
    rotate_key(places_of(data), None)
    data.signing_key.rename(data.signing_key.with_name("audit-signing.next.pem"))
    data.signing_key.write_bytes(old)
    assert found(data) == [(FILE, 3)]
    rotate_key(places_of(data), None)
    assert found(data) == []
    assert len(lines_of(data)) == 3


def test_a_chain_of_another_key_that_hands_over_to_ours_is_not_believed(data: DataDirectory) -> None:
    """Anybody can sign "the next key is yours"; what counts is that the key in use has signed what stands before it."""
    rotate_key(places_of(data), None)
    mallory = SigningKey.new()
    facts = [json.loads(line) for line in lines_of(data)[:2]]
    facts[0]["public_key"] = mallory.public.text
    forged = resign([json.dumps(line).encode() for line in facts], lambda _: mallory)
    (data.checkpoints / "000000001.jsonl").write_bytes(forged)
    write_segment(data)
    with pytest.raises(StateError, match="is not one of the key in use"):
        checkpoint(data)
    assert found(data) == [(FILE, 2)]


def test_nothing_to_rotate_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nothing is signed yet"):
        rotate_key(places_of(DataDirectory(tmp_path)), None)


def test_a_key_is_taken_as_a_value_a_variable_and_a_file(tmp_path: Path) -> None:
    pem = openssl_key(tmp_path / "key.pem")
    known = read_key_file(pem)
    assert known is not None
    for number, reference in enumerate((pem.read_text(), "env:MY_KEY", f"file:{pem}")):
        data = DataDirectory(tmp_path / str(number))
        write_segment(data)
        environ = {"PARTNER_DATA_DIR": str(data.root), "PARTNER_AUDIT_KEY": reference, "MY_KEY": pem.read_text()}
        Checkpoints(checkpoint_places(load_settings(environ), data)).write()
        assert json.loads(lines_of(data)[0])["key"] == known.fingerprint
        assert not data.signing_key.exists()


@pytest.mark.parametrize("algorithm", ["ed448", "x25519"])
def test_a_key_of_another_kind_is_refused(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", algorithm, "-out", str(path)], check=True)
    with pytest.raises(SettingsError, match=r"^PARTNER_AUDIT_KEY \(value not shown\): it is no Ed25519 private key"):
        load_settings({"PARTNER_AUDIT_KEY": f"file:{path}"})


def test_signatures_are_those_of_openssl_both_ways(data: DataDirectory, tmp_path: Path) -> None:
    """The known answer: RFC 8032 as another program does it."""
    public, message, signature = (tmp_path / name for name in ("public.pem", "message", "signature"))
    subprocess.run(["openssl", "pkey", "-in", data.signing_key, "-pubout", "-out", public], check=True)
    key = key_of(data)
    assert key.public.pem == public.read_text()
    der = ["openssl", "pkey", "-pubin", "-in", str(public), "-outform", "DER"]
    hashed = subprocess.run(["sha256sum"], input=subprocess.check_output(der), capture_output=True, check=True).stdout
    assert hashed.decode().split()[0] == key.fingerprint
    message.write_bytes(b'{"kind":"checkpoint"')
    decoded = subprocess.run(["base64", "-d"], input=key.sign(message.read_bytes()), capture_output=True, check=True)
    signature.write_bytes(decoded.stdout)
    pkeyutl = ["openssl", "pkeyutl", "-rawin", "-in", str(message)]
    verify = [*pkeyutl, "-verify", "-pubin", "-inkey", str(public), "-sigfile", str(signature)]
    subprocess.run(verify, check=True, capture_output=True)
    sign = [*pkeyutl, "-sign", "-inkey", str(data.signing_key)]
    theirs = subprocess.check_output(["base64", "-w0"], input=subprocess.check_output(sign))
    assert key.public.proves(theirs, message.read_bytes())
    assert not key.public.proves(theirs, message.read_bytes() + b" ")


def test_every_other_text_is_another_public_key_or_none() -> None:
    key = SigningKey.new().public
    for place in range(len(key.text)):
        for bit in range(8):
            other = chr(ord(key.text[place]) ^ 1 << bit)
            text = key.text[:place] + other + key.text[place + 1 :]
            with suppress(ValueError):
                assert VerifyKey.from_text(text).fingerprint != key.fingerprint


@pytest.mark.parametrize("content", ["", "no key", "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n"])
def test_a_file_that_is_no_public_key_is_one_sentence(tmp_path: Path, content: str) -> None:
    (tmp_path / "public.pem").write_text(content)
    with pytest.raises(StateError, match=r"public\.pem is no public Ed25519 key in PEM, as `audit key` prints it"):
        read_public_key(tmp_path / "public.pem")
