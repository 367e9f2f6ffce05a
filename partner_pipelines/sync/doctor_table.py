"""What `doctor` looks at, in its order, and what can be found: how bad it is, and what to do.

The order is that of resman_handshake.md, "Troubleshooting Guide" (handshake, calls, scopes), and of
openmoove_partner_api.md, "Troubleshooting"; what they need of this machine stands before, what is behind them after.
docs/doctor.md is made of these tables.
"""

from __future__ import annotations

from collections.abc import Mapping

from partner_pipelines.sync.doctor_faults_here import ANY, OF_THIS_MACHINE
from partner_pipelines.sync.doctor_faults_partners import OF_PARTNERS
from partner_pipelines.sync.doctor_findings import Fault, Finding

CHECKS: Mapping[str, str] = {
    "settings": "every variable, `.env` and the file of connections",
    "data directory": "the stamp, whether it can be written, who may read it",
    "TLS": "each https address: its certificate, who vouches for it, for how many days",
    "credentials": "whether the partner knows the client or the key, and whether the connection was revoked",
    "token endpoint": "a token is requested and given back (ResMan)",
    "scopes": "asked, granted, missing (ResMan)",
    "endpoint": "one request each: a list of each kind (ResMan), one property (OpenMoove)",
    "quota": "how many requests the ledger has left now",
    "notifications": "whether Apprise knows the addresses; nothing is sent",
    "disk": "the room that is left",
    "warehouse": "the database opens; the published copy is usable and has all that was committed",
    "trail": "as `audit verify`: up to 64 MiB all of it; of a longer one the newest segments, and all checkpoints",
    "signing key": "what signs the trail's checkpoints, and where it lies",
    "up": "whether `up`, or a timer's `sync`, is at work",
    "receiver": "the webhook receiver's heartbeat",
    "webhooks": "deliveries that wait, dead letters, and what stands in the inbox and is no file",
    "schedules": "which schedules and sensors somebody has switched off",
}

A_CONNECTION = "CONNECTION"
"""Stands in a remedy for the connection's name."""

_KNOWN = {**OF_THIS_MACHINE, **OF_PARTNERS}
_ORDER = [*CHECKS, ANY]
FAULTS: Mapping[str, Fault] = dict(sorted(_KNOWN.items(), key=lambda pair: _ORDER.index(pair[1].check)))
"""By what names them here; in the order of the checks."""


def green(check: str, says: str, connection: str | None = None) -> Finding:
    """All is well with this check."""
    return Finding(_name(check, connection), "green", says)


def found(fault: str, says: str, connection: str | None = None, *, check: str | None = None) -> Finding:
    """This fault of FAULTS; `says` what was met. `check` is for the fault that any of them may have."""
    known = FAULTS[fault]
    remedy = known.remedy if connection is None else known.remedy.replace(A_CONNECTION, connection)
    return Finding(_name(check or known.check, connection), known.state, says, remedy)


def _name(check: str, connection: str | None) -> str:
    return check if connection is None else f"{connection}: {check}"
