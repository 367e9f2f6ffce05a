"""docs/doctor.md, made of the tables that the program goes by.

Make it anew: `python -m partner_pipelines_tests.docs.doctor_page`.
"""

from __future__ import annotations

import sys

from partner_pipelines.sync.doctor_table import CHECKS, FAULTS
from partner_pipelines_tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "doctor.md"
_HEAD = """\
# When something is wrong: `doctor`

```sh
.venv/bin/partner-pipelines doctor
```

looks at everything that has to be right and prints a line each: green, yellow or red, with what was found and, below
it, what to do. The order is that of ResMan's "Troubleshooting Guide" (handshake, calls, scopes) and OpenMoove's
"Troubleshooting": what comes first is mended first. It ends with 1 when a line is red, with 2 when settings or data
directory are refused, else with 0. `--json` prints one object on the last line:
`{"checks": [{"name", "state", "says", "remedy"}, …], "red": n, "yellow": n}`; `name` is the check's, after its
connection's and a colon.

It needs nothing that runs, and has an end: each check has a minute at most, and one that fails stops no other. In
`sandbox` without addresses it starts a sandbox of its own, as `sync` does. Its requests are few (a token, one list of
each kind, one property), come out of the same budget, and stand in `audit.api_calls` with the purpose `check`; its
token is used for nothing else. It learns and mends nothing: that is for `sync`, `scopes`, `restore`. A look at a
certificate sends nothing after the TLS handshake.

What the partner's side has to set is in [partners.md](partners.md), what the program does by itself in
[recovery.md](recovery.md). This page is made of `partner_pipelines/sync/doctor_table.py`:
`.venv/bin/python -m partner_pipelines_tests.docs.doctor_page`.
"""


def doctor_page() -> str:
    """The whole page."""
    looks = _table([("check", "what is looked at"), *((name, what) for name, what in CHECKS.items())])
    faults = _table(
        [
            ("check", "state", "when", "what to do"),
            *((fault.check, fault.state, fault.when, fault.remedy) for fault in FAULTS.values()),
        ]
    )
    return f"{_HEAD}\n## What is looked at\n\n{looks}\n\n## What can be found\n\n{faults}\n"


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


if __name__ == "__main__":
    PAGE.write_text(doctor_page())
    sys.stdout.write(f"{PAGE} written\n")
