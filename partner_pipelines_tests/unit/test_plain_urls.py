"""A plain URL is not parsed for each call: what goes over the wire is what httpx would have sent."""

import string

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from partner_pipelines.partners.caller import _split
from partner_pipelines.partners.wire import TARGET

ORIGIN = "https://partner.example:8443/"


@given(st.text(string.ascii_letters + string.digits + "/._~?=&%-+ #é", max_size=30))
@example("api/properties/12/detail/?page=1&page_size=100")
@example("a/../b")
@example("..")
@example("%2e%2e/")
@example("a?b?c")
def test_the_target_is_what_httpx_would_send(rest: str) -> None:
    parsed = httpx.URL(ORIGIN + rest)
    url, extension = _split(ORIGIN + rest)
    assert (url.scheme, url.raw_host, url.port, url.userinfo) == ("https", b"partner.example", 8443, b"")
    assert extension.get(TARGET, url.raw_path) == parsed.raw_path


@pytest.mark.parametrize("rest", ["api/properties/12/detail/", "?page=2", "a.b/c"])
def test_plain_ones_are_not_parsed(rest: str) -> None:
    assert _split(ORIGIN + rest)[1]


@pytest.mark.parametrize("url", ["https://partner.example", "https://[::1]:8443/a", "https://user@partner.example/a"])
def test_any_host_is_httpx_s_to_read(url: str) -> None:
    split, extension = _split(url)
    parsed = httpx.URL(url)
    assert (split.raw_host, split.port, split.userinfo) == (parsed.raw_host, parsed.port, parsed.userinfo)
    assert extension.get(TARGET, split.raw_path) == parsed.raw_path
