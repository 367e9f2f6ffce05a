"""docs/recovery.md, made of the table that the program goes by.

Make it anew: `python -m partner_pipelines_tests.docs.recovery_page`.
"""

from __future__ import annotations

import sys

from partner_pipelines.recovery import RECOVERIES
from partner_pipelines_tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "recovery.md"
_HEAD = """\
# Recovery

What the program does about each class of failure, what follows when that does not help, and who is told. The first
three rows are ResMan's document's, "Recovery Procedures". This page is made of `partner_pipelines/recovery.py`:
`.venv/bin/python -m partner_pipelines_tests.docs.recovery_page`.

Notifications go to the addresses of `PARTNER_ALERTS_SYSTEM` (`system_alert`), `PARTNER_ALERTS_ADMIN` (`admin_alert`)
and `PARTNER_ALERTS_INTEGRATION` (`integration_team`), once per incident: an incident is over when the connection's
turn at the table that met it succeeds, and that is told too. Every notification is an event of the audit trail.

The last step of each run also looks for what no single call shows: fewer token requests or renewals that succeed, or
more calls that fail, than the thresholds `PARTNER_ALERT_…` allow (also asset checks of `marts/handshakes` and
`marts/api_health`); a connection that three runs in a row could not load; dead letters; a damaged trail.
"""
_COLUMNS = ("failure", "error", "action", "what is done", "fallback", "what follows", "notification", "what you do")


def recovery_page() -> str:
    """The whole page."""
    rows = [
        [
            *(f"`{row.failure}`", f"`{row.error.__name__}`", f"`{row.action}`", row.does),
            *(f"`{row.fallback}`", row.then, f"`{row.notification}`", row.remedy),
        ]
        for row in RECOVERIES
    ]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (_COLUMNS, ["---"] * len(_COLUMNS), *rows))
    return f"{_HEAD}\n{table}\n"


if __name__ == "__main__":
    PAGE.write_text(recovery_page())
    sys.stdout.write(f"{PAGE} written\n")
