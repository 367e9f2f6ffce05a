"""`doctor` on the partners' certificates."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from urllib.parse import urlsplit

from partner_pipelines.clock import now
from partner_pipelines.partners.tls_look import Certificate, look_at_certificate
from partner_pipelines.settings import Settings
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green

_TLS_SECONDS = 5.0
_ENDS_SOON = timedelta(days=14)


def check_tls(settings: Settings) -> Iterator[Finding]:
    """Each address once, and what its server shows."""
    for address, (partner, operation) in _addresses(settings).items():
        parts = urlsplit(address)
        if parts.scheme == "http":
            yield green("TLS", f"{address} is on this machine: no TLS")
            continue
        shown = look_at_certificate(
            address, settings.ca_bundle, seconds=_TLS_SECONDS, partner=partner, operation=operation
        )
        if not isinstance(shown, Certificate):
            yield found("tls_refused" if shown.is_refused else "tls_unreachable", shown.why.partition(": ")[2])
            continue
        left = shown.expires_at - now()
        says = f"{address}: {shown.issuer} vouches for it for {left.days} days"
        yield found("tls_ends_soon", says) if left < _ENDS_SOON else green("TLS", says)


def _addresses(settings: Settings) -> dict[str, tuple[str, str]]:
    """Scheme, host and port of all that may be called, with whose it is, and for what."""
    urls: list[tuple[str | None, str, str]] = []
    for resman in settings.resman:
        urls += [(resman.base_url, "resman", "TLS"), (resman.token_url, "resman", "request_token")]
        urls += [
            (resman.introspection_url, "resman", "introspect_token"),
            (resman.revocation_url, "resman", "revoke_token"),
        ]
    urls += [(openmoove.base_url, "openmoove", "TLS") for openmoove in settings.openmoove]
    found_addresses: dict[str, tuple[str, str]] = {}
    for url, partner, operation in urls:
        if url is not None:
            parts = urlsplit(url)
            found_addresses.setdefault(f"{parts.scheme}://{parts.netloc}", (partner, operation))
    return found_addresses
