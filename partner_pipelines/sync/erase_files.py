"""Files of writes without one person's lines: what is about others stays."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from partner_pipelines.state.addresses import addresses_in
from partner_pipelines.state.drops import taking
from partner_pipelines.state.files import state_errors, write_atomically
from partner_pipelines.sync.write_files import SUFFIXES


@dataclass(frozen=True, slots=True)
class Cleared:
    """A file that named the person. `lines` went out of it; None: it could not be read, and is gone whole."""

    path: Path
    lines: int | None


def clear_files(outbox: Path, address: str, *, dry_run: bool = False) -> list[Cleared]:
    """No file below `outbox/` names the address any more, but for the outbox's own. Raises StateError.

    What can be read as writes loses that person's lines; what cannot (another form, another encoding) is removed.
    With `dry_run` the files stay as they are.
    """
    if not outbox.is_dir():
        return []
    with taking(outbox):  # a file that is being taken moves, and may name the person until it is put away
        with state_errors("read", outbox):
            paths = [path for path in sorted(outbox.glob("**/*")) if path.is_file() and path.parent != outbox]
        return [cleared for path in paths if (cleared := _clear(path, address, dry_run=dry_run)) is not None]


def _clear(path: Path, address: str, *, dry_run: bool) -> Cleared | None:
    with state_errors("change", path):
        content = path.read_bytes()
        is_packed = path.suffix.lower() == ".gz"
        try:
            plain = gzip.decompress(content) if is_packed else content
        except (gzip.BadGzipFile, EOFError, zlib.error):
            plain = content
        if address not in addresses_in(plain.decode("utf-8", "replace")):
            return None
        try:
            text, lines = _without(path, plain.decode("utf-8-sig"), address)
        except (UnicodeDecodeError, csv.Error):
            if not dry_run:
                path.unlink(missing_ok=True)
            return Cleared(path, None)
    if not dry_run:
        written = text.encode()
        write_atomically(path, gzip.compress(written) if is_packed else written)
    return Cleared(path, lines)


def _without(path: Path, text: str, address: str) -> tuple[str, int]:
    """The text without the lines that name the address, and how many they were. Raises csv.Error for what is none."""
    name = path.name.lower().removesuffix(".gz")
    if not path.name.lower().endswith(SUFFIXES):
        raise csv.Error("of no form that is known")
    if name.endswith(".jsonl"):
        lines = text.splitlines(keepends=True)
        kept = [line for line in lines if address not in addresses_in(line)]
        return "".join(kept), len(lines) - len(kept)
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    left = [row for row in rows if not _names(row, address)]
    return _as_csv(left), len(rows) - len(left)


def _names(row: Sequence[str], address: str) -> bool:
    return any(address in addresses_in(cell) for cell in row)


def _as_csv(rows: Iterable[Sequence[str]]) -> str:
    written = io.StringIO(newline="")
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue()
