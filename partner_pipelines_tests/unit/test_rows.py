"""Bodies are written from the contract: openmoove_partner_api.md "Pagination"; facts of ResMan's three list shapes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from partner_pipelines.errors import APIResponseError, CallFacts
from partner_pipelines.models.openmoove import Milestone, PropertyDetail
from partner_pipelines.models.resman import Unit
from partner_pipelines.partners.bodies import Body
from partner_pipelines.partners.rows import Page, RejectedRow, Rows, parse_json, read_page, validate_rows

FACTS = CallFacts("resman", "elm-park", "list_units", "r-1")
UNIT = TypeAdapter(Unit)
DETAIL = TypeAdapter(PropertyDetail)
CANARY = "jane.doe@canary.example"


def page(value: Any, wrapped_as: str | None = "units") -> Page[Unit]:
    return read_page(UNIT, value, FACTS, wrapped_as)


def ids(found: Page[Unit]) -> list[str]:
    return [row.id for row in found.rows.items]


def test_the_documented_page_gives_rows_next_and_count() -> None:
    found = page(
        {"count": 100, "next": "https://x/?page=3", "previous": "https://x/?page=1", "results": [{"id": "U1"}]}
    )
    assert (ids(found), found.next_url, found.count) == (["U1"], "https://x/?page=3", 100)


def test_the_last_page_has_no_next() -> None:
    assert page({"count": 1, "next": None, "previous": None, "results": [{"id": "U1"}]}).next_url is None


def test_a_bare_array_is_the_whole_list() -> None:
    found = page([{"id": "U1"}, {"id": "U2"}])
    assert (ids(found), found.next_url, found.count) == (["U1", "U2"], None, None)


def test_one_wrapped_list_is_the_whole_list() -> None:
    assert ids(page({"units": [{"id": "U1"}]})) == ["U1"]


def test_an_empty_list_in_a_known_shape_is_no_error() -> None:
    values: list[Any] = [[], {"units": []}, {"count": 0, "next": None, "previous": None, "results": []}]
    for value in values:
        assert page(value).rows == Rows([], [])


@pytest.mark.parametrize(
    "value",
    [
        None,
        0,
        "units",
        {},
        {"data": [{"id": "U1"}]},
        {"leads": [{"id": "L1"}]},
        {"units": {"id": "U1"}},
        {"results": [{"id": "U1"}]},
        {"results": None, "next": None},
        {"results": {"U1": {}}, "next": None, "count": 1},
        {"units": [{"id": "U1"}], "next": "https://x/?page=2"},
        {"units": [{"id": "U1"}], "total": 5000},
        {"detail": "Not found."},
    ],
    ids=json.dumps,
)
def test_any_other_shape_is_an_error_never_zero_rows(value: Any) -> None:
    with pytest.raises(APIResponseError, match="no list in a known shape"):
        page(value)


def test_openmoove_documents_no_wrapped_list() -> None:
    with pytest.raises(APIResponseError):
        page({"units": [{"id": "U1"}]}, wrapped_as=None)


@pytest.mark.parametrize("next_url", ["", 2, ["https://x"], {"href": "https://x"}, True])
def test_a_next_that_is_no_address_is_an_error_not_the_end(next_url: Any) -> None:
    with pytest.raises(APIResponseError, match="`next`"):
        page({"count": 1, "next": next_url, "results": []})


@pytest.mark.parametrize("count", [None, -1, True, "12", 1.5])
def test_a_count_that_is_none_counts_nothing(count: Any) -> None:
    assert page({"count": count, "next": None, "results": [{"id": "U1"}]}).count is None


def test_one_bad_row_stops_no_other() -> None:
    rows = validate_rows(UNIT, [{"id": "U1"}, {"bedrooms": 2}, "nonsense", None, {"id": "U2", "bedrooms": "two"}])
    assert [row.id for row in rows.items] == ["U1"]
    assert [bad.errors for bad in rows.rejected] == [
        (("id", "missing"),),
        (("(row)", "model_type"),),
        (("(row)", "model_type"),),
        (("bedrooms", "int_parsing"),),
    ]


def test_a_rejected_row_shows_its_content_to_nobody_who_prints_it() -> None:
    rows = validate_rows(TypeAdapter(Milestone), [{"id": CANARY, "assigned_to": CANARY}])
    assert rows.rejected[0].raw == {"id": CANARY, "assigned_to": CANARY}
    assert CANARY not in repr(rows)
    assert CANARY not in str(rows.rejected[0].errors)


@pytest.mark.parametrize("name", [CANARY, "07700900123", "Jane Doe", "+447700900123"])
def test_what_stands_where_a_name_should_and_is_none_is_in_no_fault(name: str) -> None:
    (bad,) = validate_rows(DETAIL, [{"id": 1, "team": {name: {"id": "x"}}}]).rejected
    assert bad.errors == (("team.(no name).id", "int_parsing"),)


def test_what_the_model_does_not_know_is_kept() -> None:
    row = validate_rows(UNIT, [{"id": "U1", "pets": {"cats": 2}}]).items[0]
    assert row.model_extra == {"pets": {"cats": 2}}


def test_keys_tell_rows_apart_whether_they_validate_or_not() -> None:
    rows = Rows(validate_rows(UNIT, [{"id": "U1"}, {"id": 2}]).items, [RejectedRow({"a": 1}, ())])
    other = Rows(rows.items, [RejectedRow({"a": 2}, ())])
    assert Page(rows).keys[:2] == ["U1", "2"]
    assert Page(rows).keys == Page(rows).keys != Page(other).keys


def test_keys_are_short_however_long_the_rows_are() -> None:
    """A list that never ends would fill the memory with them."""
    long = "x" * 1_000_000
    rows = validate_rows(UNIT, [{"id": long}, {"id": long + "y"}, {"id": [long]}, {"id": [long, 1]}])
    keys = Page(rows).keys
    assert len(set(keys)) == 4
    assert len(repr(keys)) < 1000


def test_a_row_of_more_fields_than_a_row_can_have_is_rejected() -> None:
    rows = validate_rows(UNIT, [{"id": "U1", **{f"field_{number}": 1 for number in range(5000)}}, {"id": "U2"}])
    assert [row.id for row in rows.items] == ["U2"]
    assert [row.errors for row in rows.rejected] == [(("(row)", "too_many_fields"),)]


def test_a_fault_names_no_person_who_stands_where_a_name_should() -> None:
    rows = validate_rows(DETAIL, [{"id": 1, "team": {"Ada Lovelace": {"id": "x"}, "conveyancer": {"id": "x"}}}])
    assert [name for name, _ in rows.rejected[0].errors] == ["team.(no name).id", "team.conveyancer.id"]


NOT_JSON = {
    "empty": b"",
    "html": b"<!doctype html><html></html>",
    "truncated": b'{"count": 1, "results": [{"id": "U',
    "bad-utf-8": b'[{"id": "\xff\xfe"}]',
    "nan": b'[{"id": "U1", "market_rent": NaN}]',
    "infinity": b'[{"id": "U1", "market_rent": -Infinity}]',
    "deep": b"[" * 100_000,
    "deep-and-closed": b"[" * 5_000 + b"]" * 5_000,
    "deep-objects": b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    "100,000-digits": b'[{"id": ' + b"9" * 100_000 + b"}]",
    "half-a-surrogate": b'[{"id": "\\ud800"}]',
    "two-values": b"[] []",
    "byte-order-mark": b"\xef\xbb\xbf[]",
    "single-quotes": b"[{'id': 1}]",
}


@pytest.mark.parametrize("body", NOT_JSON.values(), ids=NOT_JSON)
def test_what_is_no_json_is_a_typed_error(body: bytes) -> None:
    with pytest.raises(APIResponseError, match="list_units: the body is not JSON"):
        parse_json(Body(body), FACTS)


def test_of_two_equal_names_the_last_one_counts_as_everywhere_else() -> None:
    """RFC 8259 4 leaves it open; json, orjson and DuckDB agree, so that a row is the same wherever it is read."""
    assert (
        parse_json(Body(b'[{"id": "U1", "id": "U2"}]'), FACTS)
        == [{"id": "U2"}]
        == json.loads('[{"id": "U1", "id": "U2"}]')
    )


@given(st.binary(max_size=60))
def test_an_error_never_quotes_the_body(noise: bytes) -> None:
    with pytest.raises(APIResponseError) as caught:
        parse_json(Body(b'{"email": "' + CANARY.encode() + b'", ]' + noise), FACTS)
    assert CANARY not in repr(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=20,
    )
)
def test_every_json_value_is_a_page_or_a_typed_error(value: Any) -> None:
    try:
        found = page(value)
    except APIResponseError:
        return
    assert isinstance(found.rows.items, list)
