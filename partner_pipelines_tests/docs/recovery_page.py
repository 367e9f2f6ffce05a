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

After each `sync`, and every 30 s while `up` runs, failed runs (those whose process was killed too) and failing asset
checks are looked for: a job's incident is over when a later run of it succeeds, a check's when it holds again. A run
that failed by connections whose trouble was told already is not told once more. More than five incidents of one
audience within ten minutes: the others come in one message, and so does their end. What cannot be sent is tried again
after a minute, at the next of these occasions.

Addresses are [Apprise](https://github.com/caronc/apprise)'s, which knows mail, chats, pagers and webhooks. They are
secrets: better `file:PATH` or `env:NAME` than the value itself. Several are separated by commas.

- a webhook that takes JSON (`title`, `message`); `json://` without TLS:
  `jsons://user:password@alerts.example.com/hook`
- mail through a server with STARTTLS:
  `mailtos://user:password@mail.example.com:587/oncall@example.com?from=pipelines@example.com`
- mail through a relay on this machine, without TLS or a user:
  `mailto://127.0.0.1:25/oncall@example.com?from=pipelines@example.com&mode=insecure`

```ini
PARTNER_ALERTS_SYSTEM=file:/etc/partner-pipelines/alerts-system
PARTNER_ALERTS_ADMIN="mailto://127.0.0.1:25/oncall@example.com?from=pipelines@example.com&mode=insecure"
PARTNER_ALERTS_INTEGRATION=env:PARTNERS_HOOK
```
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
