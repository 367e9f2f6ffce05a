"""Which addresses may be called: https anywhere, http on this machine alone. Pure."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from urllib.parse import SplitResult, urlsplit

_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9_-]{1,63}(?<!-))*")
# urlsplit takes what stands behind the bracket for nothing
_BRACKETED = re.compile(r"\[[^\[\]]*\](:\d+)?")
# A last label like these makes resolvers read the whole host as a number, octal and hex included: 0177.1, 0x7f000001
_NUMBER_LIKE = re.compile(r"(\d+|0[xX][0-9A-Fa-f]*)")


def check_address(url: str, *, query_allowed: bool = False) -> None:
    """Returns when this address may be called; `query_allowed` is for the addresses that a partner's `next` names.

    Raises:
        ValueError: what is wrong with it. Names the host at most: the rest of an address may hold a secret.
    """
    parts = _split(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError("it does not begin with https://")
    if "@" in parts.netloc:
        raise ValueError("it holds a user name or password before the host")
    if "#" in url or ("?" in url and not query_allowed):
        raise ValueError("it holds a query or a fragment")
    if parts.scheme == "http" and not is_loopback(_checked_host(parts)):
        raise ValueError(f"plain http goes to this machine alone, not to the host {parts.hostname}")
    _checked_host(parts)


def is_loopback(host: str) -> bool:
    """Whether the host is this machine for certain: 127.0.0.0/8, `::1`, `localhost` exactly. No name is resolved."""
    if host == "localhost":
        return True
    try:
        return IPv6Address(host) == IPv6Address("::1") if ":" in host else IPv4Address(host).is_loopback
    except AddressValueError:
        return False


def _split(url: str) -> SplitResult:
    # urlsplit drops tabs and line breaks without a word, and clients differ over backslashes: neither gets that far
    if not _PRINTABLE.fullmatch(url) or "\\" in url:
        raise ValueError("it is empty, or holds spaces, backslashes, control or non-ASCII characters")
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("its host is none") from None


def _checked_host(parts: SplitResult) -> str:
    try:
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise ValueError("its port is no number from 1 to 65535") from None
    if port == 0 or parts.netloc.endswith(":"):
        raise ValueError("its port is no number from 1 to 65535")
    bracketed = _BRACKETED.fullmatch(parts.netloc) is not None
    if ("[" in parts.netloc) != bracketed or not _is_host(host, bracketed=bracketed):
        raise ValueError("its host is neither a name nor a plain IP address")
    return host


def _is_host(host: str, *, bracketed: bool) -> bool:
    try:
        if bracketed:
            return "%" not in host and bool(IPv6Address(host))
        if _NUMBER_LIKE.fullmatch(host.rpartition(".")[2]):
            return bool(IPv4Address(host))
    except AddressValueError:
        return False
    return len(host) <= 253 and _NAME.fullmatch(host) is not None
