"""docs/settings.md, made of the settings themselves: `python -m partner_pipelines_tests.docs.settings_page`."""

from __future__ import annotations

import sys

from partner_pipelines.settings import describe_settings
from partner_pipelines_tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "settings.md"
_HEAD = """\
# Settings

Environment variables, or lines of a file `.env` in the working directory; the environment wins. A bad value is one line
that names the variable, and exit status 2; so is a line of `.env` that sets nothing. What only reads or lists what is
there (`query`, `report`, `audit`, `outbox list`, `webhooks list`) looks at the settings that it needs, such as
`PARTNER_DATA_DIR`, and the others may be wrong; `doctor` looks at all. A value of `.env` is taken as it stands there,
nothing in it is expanded. This page is made of the code:
`.venv/bin/python -m partner_pipelines_tests.docs.settings_page`.

A secret (marked so) is the value itself, `env:NAME` (another variable) or `file:PATH` (read again for each use, so that
it can rotate). `http://` addresses are taken for loopback only. A partner without credentials is not configured: its
tables are skipped with that reason.

In the file that `PARTNER_CONNECTIONS` names, each account is a `[[connections]]` table with `name`, `partner` (`resman`
or `openmoove`) and any of that partner's keys below; an option that a table leaves open is taken from the variable,
credentials and webhook secrets never.
"""
_GROUPS = {
    "PARTNER_": "The program",
    "RESMAN_": "ResMan",
    "OPENMOOVE_": "OpenMoove",
}


def settings_page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for prefix, title in _GROUPS.items():
        keyed = prefix != "PARTNER_"
        head = ["variable", *(["key"] if keyed else []), "default", "what it takes", "meaning"]
        rows = [head, ["---"] * len(head)]
        for line in describe_settings():
            if not line.variable.startswith(prefix):
                continue
            takes = f"a secret: {line.takes}" if line.secret else line.takes
            unit = f" ({line.unit})" if line.unit else ""
            rows.append(
                [
                    f"`{line.variable}`",
                    *([f"`{line.key}`"] if keyed else []),
                    line.default,
                    takes,
                    f"{line.meaning}{unit}",
                ]
            )
        table = "\n".join(f"| {' | '.join(_escaped(cell) for cell in row)} |" for row in rows)
        parts.append(f"## {title}\n\n{table}\n")
    return "\n".join(parts)


def _escaped(cell: str) -> str:
    """A bar would end the cell."""
    return cell.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(settings_page())
    sys.stdout.write(f"{PAGE} written\n")
