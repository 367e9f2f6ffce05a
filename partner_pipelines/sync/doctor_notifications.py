"""`doctor` on the addresses of notifications."""

from __future__ import annotations

from collections.abc import Iterator

from partner_pipelines.counted import counted
from partner_pipelines.notify import addresses_of, is_address
from partner_pipelines.settings import Settings
from partner_pipelines.sync.doctor_findings import Finding
from partner_pipelines.sync.doctor_table import found, green


def check_notifications(settings: Settings) -> Iterator[Finding]:
    """Whether each address is one; none of them is shown, for it is a secret. Raises SettingsError."""
    known = 0
    for audience, addresses in addresses_of(settings).items():
        for place, address in enumerate(addresses, start=1):
            if is_address(address.reveal()):
                known += 1
            else:
                yield found("alerts_unusable", f"address {place} of {audience} is none that Apprise knows")
    if known:
        yield green("notifications", f"{counted(known, 'address', 'addresses')} can be written to")
    elif not any(addresses_of(settings).values()):
        yield green("notifications", "no address is set: nobody is told of failures")
