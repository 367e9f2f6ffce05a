"""A secret is read where it is, each time it is needed, and is shown nowhere."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from partner_pipelines.errors import SettingsError
from partner_pipelines.settings.secret_references import SecretReference, check_header, check_line

SECRET = "hunter2-hunter2"


def refer(text: str, environ: dict[str, str] | None = None) -> SecretReference:
    return SecretReference("RESMAN_CLIENT_SECRET", text, environ or {})


@pytest.mark.parametrize(
    "text", [SECRET, "with:colon", "ENV:NAME", "https://x", ":", " spaces stay ", "a:+%&é", "environment:x"]
)
def test_text_without_a_known_scheme_is_the_secret_itself(text: str) -> None:
    assert refer(text).reveal() == text


def test_env_reads_the_named_variable() -> None:
    assert refer("env:ELM_PARK", {"ELM_PARK": SECRET}).reveal() == SECRET


def test_what_a_variable_holds_is_no_reference_again() -> None:
    assert refer("env:A", {"A": "env:B", "B": SECRET}).reveal() == "env:B"


def test_file_is_read_anew_each_time_and_loses_its_line_break_alone(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    reference = refer(f"file:{file}")
    file.write_bytes(b" first \r\n")
    assert reference.reveal() == " first "
    file.write_text("second")
    assert reference.reveal() == "second"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("env:MISSING", "MISSING"),
        ("env:EMPTY", "empty"),
        ("env:", "no variable's name"),
        ("env:not a name", "no variable's name"),
        ("file:", "no path"),
        ("file:/a\x00b", "no path"),
        ("file:/does/not/exist", "/does/not/exist: No such file"),
        ("file:/", "directory"),
        ("file:/dev/zero", "larger than"),
        ("vault:secret/elm#key", "vault: references are not built yet"),
        ("pkcs11:elm", "pkcs11: references are not built yet"),
    ],
)
def test_a_reference_that_leads_nowhere_says_so_and_names_the_setting(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=r"^RESMAN_CLIENT_SECRET ") as refused:
        refer(text, {"EMPTY": ""}).reveal()
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff\xfehunter2", b"hunter2" * 20_000])
def test_a_file_that_holds_no_secret_is_refused_without_its_content(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(SettingsError) as refused:
        refer(f"file:{file}").reveal()
    assert str(file) in str(refused.value) or "empty" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None


@pytest.mark.parametrize("secret", [f"{SECRET}\n", f"{SECRET}\r\nX-Evil: 1", f"\x00{SECRET}", f"{SECRET}\x7f"])
def test_control_characters_are_refused_without_being_shown(secret: str) -> None:
    for check in (check_line, check_header):
        with pytest.raises(SettingsError, match="control character") as refused:
            SecretReference("OPENMOOVE_API_KEY", secret, {}, check).reveal()
        assert SECRET not in str(refused.value)


@pytest.mark.parametrize("secret", [f" {SECRET}", f"{SECRET} ", f"{SECRET}€", f"{SECRET}日"])
def test_what_a_header_cannot_carry_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(SettingsError) as refused:
        SecretReference("OPENMOOVE_API_KEY", secret, {}, check_header).reveal()
    assert SECRET not in str(refused.value)
    assert SecretReference("RESMAN_CLIENT_SECRET", secret, {}, check_line).reveal() == secret


def test_a_file_that_turns_bad_is_refused_when_it_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("om_good")
    reference = SecretReference("OPENMOOVE_API_KEY", f"file:{file}", {}, check_header)
    assert reference.reveal() == "om_good"
    file.write_text("om_\r\nbad")
    with pytest.raises(SettingsError, match="control character"):
        reference.reveal()


def test_no_way_of_showing_or_copying_it_gives_the_secret_away() -> None:
    reference = refer(SECRET, {"OTHER": SECRET})
    for shown in (repr(reference), str(reference), f"{reference}", repr([reference]), repr({"a": reference})):
        assert SECRET not in shown
    for take in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="not pickled"):
            take(reference)
