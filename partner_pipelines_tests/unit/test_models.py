"""Rows as the two documents show them, the variants that facts.md names, and rows that no partner should send."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, get_type_hints

import pytest
from pydantic import ValidationError

from partner_pipelines.models import openmoove, resman
from partner_pipelines.models.fields import PartnerRow, Privacy, TokenForm
from partner_pipelines.models.openmoove import ListedProperty, Milestone, PropertyDetail, Seller, TeamMember
from partner_pipelines.models.resman import Document, Employee, Lead, Unit

ALL = [Unit, Lead, Employee, Document, ListedProperty, PropertyDetail, Seller, TeamMember, Milestone]
OPENMOOVES = [ListedProperty, PropertyDetail, Seller, Milestone]
CANARY = "jane.doe@canary.example"


def is_nested(hint: object) -> bool:
    return "openmoove." in str(hint)


@pytest.mark.parametrize("model", ALL)
def test_every_field_states_its_class_and_what_it_is(model: type[PartnerRow]) -> None:
    hints = get_type_hints(model)
    for name, info in model.model_fields.items():
        if is_nested(hints[name]):
            continue
        stated = info.json_schema_extra
        assert isinstance(stated, dict), name
        assert Privacy(str(stated["privacy"])) is not Privacy.SECRET
        assert info.description, name
        if stated["privacy"] == "personal":
            assert TokenForm(str(stated["token_form"]))


@pytest.mark.parametrize("model", ALL)
def test_names_mails_and_phones_of_people_are_personal(model: type[PartnerRow]) -> None:
    expected = {"first_name", "last_name", "email", "phone", "phone_number", "assigned_to"}
    if model is TeamMember:
        expected.add("name")
    for name, info in model.model_fields.items():
        if name in expected:
            assert isinstance(info.json_schema_extra, dict)
            assert info.json_schema_extra["privacy"] == "personal", name


@pytest.mark.parametrize("module", [resman, openmoove])
def test_every_model_names_the_section_of_its_document(module: Any) -> None:
    models = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, PartnerRow)]
    assert all("Source: " in (model.__doc__ or "") for model in models if model is not PartnerRow)


def test_a_row_shows_its_key_alone_to_whoever_prints_it() -> None:
    lead = Lead.model_validate({"id": "L1", "first_name": CANARY, "email": CANARY, "notes": CANARY})
    assert f"{lead!r} {lead}" == "Lead(id='L1') id='L1'"
    detail = PropertyDetail.model_validate({"id": 1, "seller": {"id": 2, "email": CANARY}})
    assert CANARY not in repr(detail)


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        Unit.model_validate({"id": "U1"}).id = "U2"  # type: ignore[misc]


def test_what_is_absent_is_none_never_zero() -> None:
    unit = Unit.model_validate({"id": "U1"})
    assert {name: value for name, value in unit if value is not None} == {"id": "U1"}


def test_what_the_model_does_not_know_is_kept() -> None:
    unit = Unit.model_validate({"id": "U1", "model_year": 1999, "pets": None})
    assert unit.model_extra == {"model_year": 1999, "pets": None}


def test_both_spellings_that_were_seen_are_fields() -> None:
    unit = Unit.model_validate({"id": "U1", "available_on": "2026-11-01", "available_date": "2026-12-01"})
    assert (unit.available_on, unit.available_date) == (date(2026, 11, 1), date(2026, 12, 1))
    lead = Lead.model_validate({"id": "L1", "phone": "1", "phone_number": "2"})
    assert (lead.phone, lead.phone_number) == ("1", "2")


@pytest.mark.parametrize(
    ("model", "field", "value"),
    [
        (Document, "document_type", "supporting_docs"),
        (Document, "document_type", "something new"),
        (Lead, "status", "tour_scheduled"),
        (Unit, "status", "haunted"),
        (ListedProperty, "sale_method", "auction of another kind"),
        (Milestone, "priority", "whatever"),
    ],
)
def test_enumerations_are_open_text(model: type[PartnerRow], field: str, value: str) -> None:
    assert getattr(model.model_validate({"id": 1, field: value}), field) == value


@pytest.mark.parametrize(("sent", "kept"), [("U1", "U1"), ("12", "12"), (12, "12"), (10**30, str(10**30))])
def test_a_resman_id_is_text_whatever_type_it_is_sent_as(sent: object, kept: str) -> None:
    assert Unit.model_validate({"id": sent}).id == kept


@pytest.mark.parametrize("sent", [None, True, 1.5, [], {}, ["U1"]])
def test_what_is_no_resman_id_is_refused(sent: object) -> None:
    with pytest.raises(ValidationError):
        Unit.model_validate({"id": sent})


@pytest.mark.parametrize("model", OPENMOOVES)
@pytest.mark.parametrize("sent", [12, "12", 12.0])
def test_an_openmoove_id_is_a_number_whatever_type_it_is_sent_as(model: Any, sent: object) -> None:
    assert model.model_validate({"id": sent}).id == 12


@pytest.mark.parametrize("model", OPENMOOVES)
@pytest.mark.parametrize("sent", [None, True, False, 1.5, "twelve", [], {}])
def test_what_is_no_openmoove_id_is_refused_and_true_is_not_1(model: Any, sent: object) -> None:
    with pytest.raises(ValidationError):
        model.model_validate({"id": sent})


@pytest.mark.parametrize("sent", [float("nan"), float("inf"), "NaN", "-inf", "1e999"])
def test_a_number_that_no_table_can_hold_is_refused(sent: object) -> None:
    with pytest.raises(ValidationError):
        Unit.model_validate({"id": "U1", "market_rent": sent})


@pytest.mark.parametrize("sent", ["2024-01-15T10:00:00Z", "2024-01-15T11:00:00+01:00", "2024-01-15T10:00:00.000Z"])
def test_times_are_moments_wherever_they_were_written(sent: str) -> None:
    listed = ListedProperty.model_validate({"id": 1, "created_at": sent})
    assert listed.created_at == datetime(2024, 1, 15, 10, tzinfo=UTC)


def times_of(module: Any) -> list[tuple[type[PartnerRow], str]]:
    models = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, PartnerRow)]
    hints = [(model, name, hint) for model in models for name, hint in get_type_hints(model).items()]
    return [(model, name) for model, name, hint in hints if hint == datetime | None]


@pytest.mark.parametrize("sent", ["9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00+05:00"])
@pytest.mark.parametrize(
    ("model", "field"), [pytest.param(*found, id=found[1]) for found in times_of(openmoove) + times_of(resman)]
)
def test_a_time_that_has_no_datetime_in_utc_is_refused(model: type[PartnerRow], field: str, sent: str) -> None:
    known = {"id": 1, field: sent}
    with pytest.raises(ValidationError) as raised:
        model.model_validate(known)
    assert [fault["loc"] for fault in raised.value.errors()] == [(field,)]


def test_fields_that_are_times_are_found() -> None:
    assert {name for _, name in times_of(openmoove)} == {"created_at", "completed_at", "due_date"}
    assert {name for _, name in times_of(resman)} == {"created_at", "updated_at", "closed_at"}


def test_a_team_may_have_roles_without_a_member_and_roles_that_no_document_names() -> None:
    detail = PropertyDetail.model_validate({"id": 1, "team": {"conveyancer": None, "drone_pilot": {"name": "A"}}})
    assert detail.team is not None
    assert detail.team["conveyancer"] is None
    assert detail.team["drone_pilot"] == TeamMember(name="A")
