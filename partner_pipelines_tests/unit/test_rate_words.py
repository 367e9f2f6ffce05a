"""Expected values: RFC 9110 10.2.3 and 5.6.7 (its own example dates), openmoove_partner_api.md "Rate Limit Headers"."""

from __future__ import annotations

import time

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.partners.ports import RateWords
from partner_pipelines.partners.rate_words import read_rate_words

WEEK = 7 * 24 * 3600.0


def words(**headers: str) -> RateWords:
    return read_rate_words(httpx.Headers({name.replace("_", "-"): value for name, value in headers.items()}))


def test_an_answer_without_words_says_nothing() -> None:
    assert words(content_type="application/json") == RateWords()


def test_the_documents_own_headers_are_read_against_the_answers_date() -> None:
    said = words(
        date="Wed, 12 Jan 2022 14:39:00 GMT",  # one minute before 1642680000 is Thu, 20 Jan 2022 12:00:00 GMT
        x_ratelimit_limit="1000",
        x_ratelimit_remaining="999",
        x_ratelimit_reset="1641998400",
    )
    assert said == RateWords(limit=1000, remaining=999, reset_after_seconds=60.0)


@pytest.mark.parametrize(("text", "seconds"), [("120", 120.0), ("0", 0.0), (" 7 ", 7.0), ("1.5", 1.5)])
def test_retry_after_in_seconds(text: str, seconds: float) -> None:
    assert words(retry_after=text).retry_after_seconds == seconds


@pytest.mark.parametrize(
    "date",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    ],
)
def test_retry_after_as_each_of_the_three_forms_of_an_http_date(date: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        said = words(date="Sun, 06 Nov 1994 08:49:07 GMT", retry_after=date)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert said.retry_after_seconds == 30.0


def test_a_date_is_taken_against_our_clock_when_the_answer_names_no_date() -> None:
    said = words(retry_after="Fri, 01 Jan 2100 00:00:00 GMT").retry_after_seconds
    assert said == WEEK  # far away, so as long as is believed


def test_a_moment_that_is_over_means_now() -> None:
    said = words(
        date="Sun, 06 Nov 1994 08:49:37 GMT",
        retry_after="Sun, 06 Nov 1994 08:49:00 GMT",
        x_ratelimit_reset="784111700",
    )
    assert (said.retry_after_seconds, said.reset_after_seconds) == (0.0, 0.0)


@pytest.mark.parametrize("text", ["soon", "", "-1", "nan", "inf", "1e999", "١٢", "12; 13", "0x10", "Sun, 99 Nov 1994"])
def test_nonsense_says_nothing(text: str) -> None:
    raw = [(b"retry-after", text.encode()), (b"x-ratelimit-remaining", text.encode())]
    said = read_rate_words(httpx.Headers(raw))
    assert said.retry_after_seconds is None
    assert said.remaining is None


def test_who_asks_for_a_month_is_not_asked_again_soon() -> None:
    """Not believed to the letter, yet never taken for no word at all: that would mean a retry within a second."""
    assert words(retry_after=str(30 * 24 * 3600)).retry_after_seconds == WEEK
    assert words(retry_after="9" * 300).retry_after_seconds == WEEK


def test_a_reset_in_milliseconds_is_nonsense() -> None:
    assert words(x_ratelimit_reset="1642680000000").reset_after_seconds is None


@given(
    st.dictionaries(
        st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "date"]),
        st.binary(max_size=40),
        max_size=4,
    )
)
def test_whatever_stands_in_the_headers_nothing_is_raised_and_every_number_can_be_waited_for(
    headers: dict[str, bytes],
) -> None:
    said = read_rate_words(httpx.Headers([(name.encode(), value) for name, value in headers.items()]))
    for seconds in (said.retry_after_seconds, said.reset_after_seconds):
        assert seconds is None or 0 <= seconds <= WEEK
    assert said.remaining is None or said.remaining >= 0
