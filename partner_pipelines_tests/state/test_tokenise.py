from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.models.fields import TokenForm
from partner_pipelines.state.addresses import normal_email
from partner_pipelines.state.tokenise import Place, Tokeniser, normal_phone, raw_json

KEY = bytes(range(32))
AS_OF = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LEADS = Place(
    "elm",
    "resman.leads",
    "US",
    {"first_name": TokenForm.NAME, "email": TokenForm.EMAIL, "phone": TokenForm.PHONE, "note": TokenForm.RAW},
)
# printf 'FORM\0TEXT' | openssl dgst -sha256 -mac HMAC -macopt hexkey:000102…1f | cut to 28 digits
KNOWN = {
    (TokenForm.EMAIL, " Jane.Doe@Example.com "): "email_0d6a39f4aefd62546efbef39a5c8",
    (TokenForm.PHONE, "+44 7700 900123"): "phone_960367073b87276b670d2792ee63",
    (TokenForm.PHONE, "(202) 555-0123"): "phone_400c9eeb4258a25397ef2178636d",
    (TokenForm.NAME, "Jane"): "name_50b6a2a447e5b966d78befa01891",
    (TokenForm.RAW, '{"a":1}'): "raw_c76bae37fcd987fecb6389422605",
}


@pytest.mark.parametrize(("form", "value"), KNOWN)
def test_a_token_is_what_openssl_makes_of_it(form: TokenForm, value: str) -> None:
    assert Tokeniser(KEY).token(form, value, LEADS, "LEAD_1", "first_name") == KNOWN[form, value]


def test_another_key_gives_other_tokens() -> None:
    one, other = Tokeniser(KEY), Tokeniser(bytes(32))
    for form, value in KNOWN:
        assert one.token(form, value, LEADS, "1", "f") != other.token(form, value, LEADS, "1", "f")


def test_a_names_token_says_nothing_about_the_name() -> None:
    tokeniser = Tokeniser(KEY)
    jane = tokeniser.token(TokenForm.NAME, "Jane", LEADS, "1", "first_name")
    assert jane == tokeniser.token(TokenForm.NAME, "Joan", LEADS, "1", "first_name")
    assert jane != tokeniser.token(TokenForm.NAME, "Jane", LEADS, "2", "first_name")
    assert jane != tokeniser.token(TokenForm.NAME, "Jane", LEADS, "1", "last_name")


def test_one_text_under_two_forms_gives_two_tokens() -> None:
    tokeniser = Tokeniser(KEY)
    made = {tokeniser.token(form, "447700900123", LEADS, "1", "f").partition("_")[2] for form in TokenForm}
    assert len(made) == len(TokenForm)


@pytest.mark.parametrize(
    ("value", "region", "normal"),
    [
        ("+447700900123", "GB", "+447700900123"),
        ("+44 (7700) 900-123", "US", "+447700900123"),
        ("+44 (0)7700 900123", "GB", "+447700900123"),
        ("+4407700900123", "GB", "+447700900123"),
        ("07700900123", "GB", "+447700900123"),
        ("0044 7700 900123", "GB", "+447700900123"),
        ("2025550123", "US", "+12025550123"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("202.555.0123 ext. 9", "US", "+12025550123"),
        ("1-202-555-0123", "US", "+12025550123"),
        ("+39 06 1234 5678", "GB", "+390612345678"),
        ("\u0660\u0661\u0662", "GB", ""),  # Arabic digits and no number: nothing of it is a digit that we know
        ("call me: 12", "GB", "12"),
        ("", "GB", ""),
    ],
)
def test_a_phone_becomes_e164_or_its_digits(value: str, region: str, normal: str) -> None:
    assert normal_phone(value, region) == normal


@given(st.from_regex(r"\+(1[2-9]\d{9}|4477009\d{5}|336\d{8})", fullmatch=True))
def test_the_short_way_and_phonenumbers_agree(value: str) -> None:
    parsed = phonenumbers.parse(value, "GB")
    if phonenumbers.is_valid_number(parsed):
        assert normal_phone(value, "GB") == phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def test_an_email_is_equal_for_case_and_outer_blanks() -> None:
    assert normal_email("\tÄrger@Example.COM\n") == "ärger@example.com"
    assert normal_email("straße@x.de") == normal_email("STRASSE@x.de")
    assert normal_email("a.b@x.de") != normal_email("ab@x.de")


def test_a_row_leaves_with_tokens_and_the_vault_gets_what_came() -> None:
    row: dict[str, Any] = {"id": "L1", "first_name": "Łucja", "email": "A@x.de", "phone": None, "status": "new"}
    row["extra"] = {"pet": "a cat's name", "age": 7, "nested": {"b": 1, "a": [None]}}

    kept = Tokeniser(KEY).tokenise(row, LEADS, "L1", AS_OF)

    assert row["status"] == "new"
    assert row["phone"] is None
    assert row["first_name"].startswith("name_")
    assert row["email"].startswith("email_")
    assert list(row["extra"]) == ["age", "nested", "pet"]
    assert all(value.startswith("raw_") for value in row["extra"].values())
    values = {found.field: found.value for found in kept}
    assert values == {
        "first_name": "Łucja",
        "email": "A@x.de",
        "phone": None,
        "note": None,
        "extra.age": "7",
        "extra.nested": '{"a":[null],"b":1}',
        "extra.pet": '"a cat\'s name"',
    }
    assert {(found.connection, found.kind, found.person_id, found.as_of) for found in kept} == {
        ("elm", "resman.leads", "L1", AS_OF)
    }


def test_an_unknown_field_whose_name_is_no_name_hides_behind_a_token() -> None:
    person = {"ada@example.com": 1, "Ada Lovelace": 2, "+12025550100": 3, "": 4, "smart_lock": 5}
    row: dict[str, Any] = {"id": "L1", "extra": dict(person)}
    kept = Tokeniser(KEY).tokenise(row, LEADS, "L1", AS_OF)
    assert {name for name in row["extra"] if not name.startswith("raw_")} == {"", "smart_lock"}
    assert len(row["extra"]) == len(person)
    assert not any(name in repr(row) + "".join(found.field for found in kept) for name in list(person)[:3])
    hidden = [json.loads(found.value) for found in kept if found.field.startswith("extra!raw_") and found.value]
    assert sorted(hidden, key=str) == [{"+12025550100": 3}, {"Ada Lovelace": 2}, {"ada@example.com": 1}]


def test_nothing_that_can_be_printed_shows_a_value() -> None:
    tokeniser = Tokeniser(KEY)
    kept = tokeniser.tokenise({"email": "canary@x.de"}, LEADS, "L1", AS_OF)
    assert "canary" not in repr(kept)
    assert "canary" not in repr(tokeniser)
    assert repr(KEY) not in repr(tokeniser)


@pytest.mark.parametrize("value", [10**30, float("inf"), "\ud800", {1: 2}, [[]] * 3, {"b": 1, "a": "\u0000"}])
def test_any_value_has_a_raw_form(value: Any) -> None:
    raw = raw_json(value)
    assert raw == raw_json(value)
    assert raw.encode()
    json.loads(raw)


def test_a_value_too_deep_for_json_is_still_kept_out() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "no JSON can hold" in raw_json(deep)


@given(st.text(), st.text())
def test_tokens_are_equal_exactly_where_the_normal_values_are(one: str, other: str) -> None:
    tokeniser = Tokeniser(KEY)
    tokens = [tokeniser.token(TokenForm.EMAIL, value, LEADS, "1", "email") for value in (one, other)]
    assert (tokens[0] == tokens[1]) == (normal_email(one) == normal_email(other))
