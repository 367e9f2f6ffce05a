"""https anywhere, http on this machine alone, and nothing that two readers could read as two hosts."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from partner_pipelines.settings.addresses import check_address, is_loopback

TAKEN = [
    "https://api.resman.com",
    "https://api.openmoove.com/api/partners/",
    "https://127.0.0.1.nip.io/",
    "https://10.1.2.3:8443/x",
    "https://[2001:db8::1]/x",
    "https://xn--bcher-kva.example",
    "HTTPS://API.RESMAN.COM",
    "https://localhost",
    "http://localhost",
    "http://LOCALHOST:80/",
    "http://127.0.0.1:8000/api/partners/",
    "http://127.255.255.254",
    "http://[::1]:8000",
]

REFUSED = [
    "",
    " ",
    "api.resman.com",
    "//api.resman.com",
    "ftp://api.resman.com",
    "file:///etc/passwd",
    "javascript:alert(1)",
    "https://",
    "https:///path",
    "https:api.resman.com",
    "https://user@api.resman.com",
    "https://user:hunter2@api.resman.com",
    "https://@api.resman.com",
    "http://127.0.0.1@evil.example",
    "http://evil.example#@127.0.0.1",
    "https://api.resman.com?x=1",
    "https://api.resman.com#x",
    "https://api.resman.com?",
    "https://api.resman.com#",
    "http://api.resman.com",
    "http://localhost.evil.example",
    "http://localhost.",
    "http://localhost.localdomain",
    "http://127.0.0.1.nip.io",
    "http://127.0.0.1.",
    "http://0177.0.0.1",
    "https://0177.0.0.1",
    "http://0x7f.0.0.1",
    "http://0x7f000001",
    "http://2130706433",
    "http://127.1",
    "http://127.0.1",
    "http://127.0.0.256",
    "http://127.0.0.01",
    "http://0.0.0.0",
    "http://128.0.0.1",
    "http://[::]",
    "http://[::2]",
    "http://[::ffff:127.0.0.1]",
    "http://[::1%25eth0]",
    "http://[::1]evil.example",
    "http://[::1",
    "http://[127.0.0.1]",
    "http://::1",
    "https://host:0",
    "https://host:65536",
    "https://host:",
    "https://host:8o",
    "https://host:-1",
    "https://ho st",
    "https://host\t.example",
    "https://host\r\nX-Evil: 1",
    "https://host\x00.example",
    "https://host\\@evil.example",
    "http://127.0.0.1\\@evil.example",
    "https://bücher.example",
    "http://\uff11\uff12\uff17.0.0.1",
    "http://127\u30020\u30020\u30021",
    "https://-host.example",
    "https://host..example",
    "https://.example",
    "https://host.example.",
    "https://%6cocalhost",
    "http://%31%32%37.0.0.1",
    "https://" + "a" * 64,
    "https://" + "a." * 127 + "aa",
]


@pytest.mark.parametrize("url", TAKEN)
def test_an_address_that_may_be_called_is_taken(url: str) -> None:
    check_address(url)


@pytest.mark.parametrize("url", REFUSED)
def test_an_address_that_may_not_be_called_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_address(url)


def test_the_reason_never_repeats_a_password() -> None:
    for url in ("https://user:hunter2@h.example", "http://user:hunter2@127.0.0.1", "https://h.example/?k=hunter2"):
        with pytest.raises(ValueError, match=r"\w") as refused:
            check_address(url)
        assert "hunter2" not in str(refused.value)


def test_a_next_address_may_have_a_query_and_nothing_else_more() -> None:
    check_address("http://127.0.0.1:8000/api/partners/properties/?page=2&page_size=100", query_allowed=True)
    for url in ("http://evil.example/?page=2", "https://api.example/?page=2#x", "https://a@b.example/?page=2"):
        with pytest.raises(ValueError, match=r"\w"):
            check_address(url, query_allowed=True)


@given(st.ip_addresses(v=4).map(ipaddress.IPv4Address))
def test_an_ip_address_is_loopback_exactly_in_127_0_0_0_8(address: ipaddress.IPv4Address) -> None:
    assert is_loopback(str(address)) == (int(address) >> 24 == 127)


@given(st.text())
def test_any_text_is_taken_or_refused_with_a_reason(url: str) -> None:
    try:
        check_address(url)
    except ValueError as error:
        assert str(error)  # noqa: PT017 - both ends are fine, a third one is not
