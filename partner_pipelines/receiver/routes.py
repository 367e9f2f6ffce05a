"""Which path takes which partner's webhooks, and how it is known that they are the partner's.

Another partner that pushes is one more entry in ROUTES: docs/add-a-webhook.md.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from partner_pipelines.partners.openmoove.signature import SIGNATURE_HEADER, is_well_formed, signers

Signers = Callable[[Sequence[bytes], bytes, Mapping[str, Collection[str]]], frozenset[str]]


@dataclass(frozen=True, slots=True)
class Route:
    """One partner's webhooks. `signers` gives the connections whose secret signed a body."""

    partner: str
    signature_header: str
    is_well_formed: Callable[[bytes], bool]
    signers: Signers

    def fault(self, signatures: Sequence[bytes]) -> str:
        """Why signatures that nobody's secret fits are refused, in a word for the trail."""
        if len(signatures) != 1:
            return "doubled_signature" if signatures else "no_signature"
        return "wrong_signature" if self.is_well_formed(signatures[0]) else "malformed_signature"


ROUTES: Mapping[str, Route] = {
    "/webhooks/openmoove": Route("openmoove", SIGNATURE_HEADER.lower(), is_well_formed, signers),
}
