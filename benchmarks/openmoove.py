"""OpenMoove alone: this program beside a bare loop and dlt, what later syncs cost, and how it grows."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from measure import BARE_PYTHON, EMPTY_RUN, HERE, PROGRAM, Run, Way, interleaved, run
from openmoove_sandbox import MILESTONES, OpenMooveSandbox, is_complete, openmoove, query, sync
from report import part, section, table

CHANGED = 20
AGES = {"OPENMOOVE_LIST_MAX_AGE": "0", "OPENMOOVE_ACTIVE_MAX_AGE": "0", "OPENMOOVE_MILESTONES_MAX_AGE": "24h"}


def first_sync(options: argparse.Namespace) -> str:
    names = ("bare", "sync", "empty", "dlt", "dlt_parallelized")
    with openmoove(options.properties) as partner:
        found = _ways(partner, names, options.repetitions)
    bare, ours, empty, dlt, parallelized = (found[name].seconds for name in names)
    fastest = min(dlt, parallelized)
    return section(
        "OpenMoove: a first sync",
        f"Limits off, no latency, {_rows(partner)}. `sync` has nothing but OpenMoove configured; the bare loop and "
        "dlt make the same requests.",
        found,
        f"`sync` takes {ours / (1.2 * bare + empty):.2f} of what it may (1.2 times the bare loop plus one empty run: "
        f"{1.2 * bare + empty:.1f} s) and is {dlt / ours:.1f} times faster than dlt, {fastest / ours:.1f} times "
        f"faster than its faster way (aim: 3, better 4), with a peak of {found['sync'].peak_mib:.0f} MiB (aim: 250).",
    )


def with_latency(options: argparse.Namespace) -> str:
    names = ("sync", "dlt_parallelized", "dlt_workers")
    with openmoove(options.properties, "--latency-ms", "20") as partner:
        found = _ways(partner, names, 1)
    ours, parallelized, workers = (found[name].seconds for name in names)
    return section(
        "OpenMoove: a first sync at 20 ms latency",
        f"Limits off, {_rows(partner)}; one repetition. `sync` asks at most 16 requests at once, dlt as many as it has "
        "workers.",
        found,
        f"`sync` is {parallelized / ours:.1f} times faster than dlt parallelized (aim: 2), {workers / ours:.1f} times "
        "faster than dlt with 16 workers.",
    )


def _rows(partner: OpenMooveSandbox) -> str:
    return f"{partner.properties:,} properties of {MILESTONES} milestones: {partner.plain_requests:,} requests"


def _ways(partner: OpenMooveSandbox, names: tuple[str, ...], repetitions: int) -> dict[str, Run]:
    with tempfile.TemporaryDirectory() as folder:
        data, database = Path(folder) / "data", Path(folder) / "other.duckdb"
        ways = {
            "bare": Way([str(BARE_PYTHON), str(HERE / "bare.py"), str(database), "--openmoove"], [database]),
            "sync": Way([*PROGRAM, "sync"], [data]),
            "empty": Way(EMPTY_RUN),
            "dlt": _dlt(partner, database),
            "dlt_parallelized": _dlt(partner, database, "--parallelized"),
            "dlt_workers": _dlt(partner, database, "--parallelized", "--workers", "16"),
        }
        found = interleaved({name: ways[name] for name in names}, _environ(partner, data), repetitions)
        _refuse_incomplete(_environ(partner, data), partner.properties)
        return found


def _refuse_incomplete(environ: Mapping[str, str], properties: int) -> None:
    if not is_complete(environ, properties):
        sys.exit(f"a first sync of {properties} properties is not complete")


def _dlt(partner: OpenMooveSandbox, database: Path, *options: str) -> Way:
    rows = f"{partner.properties},{partner.properties},{partner.properties * MILESTONES}"
    return Way([str(BARE_PYTHON), str(HERE / "dlt_rest.py"), str(database), rows, *options], [database])


def _environ(partner: OpenMooveSandbox, data: Path) -> dict[str, str]:
    return {**partner.environ, "PARTNER_DATA_DIR": str(data)}


def second_sync(options: argparse.Namespace) -> str:
    with openmoove(options.properties) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, Path(folder) / "data")
        sync(environ)
        first = partner.counted()
        partner.forget()
        sync(environ)
        second = partner.counted()
    return part(
        "OpenMoove: a second sync at once",
        f"{options.properties:,} properties, the settings' own ages, no webhooks; requests by the sandbox's log.",
        _requests({"the first sync": first, "the second": second}),
        f"The second sync makes {second.total()} requests (aim: {_pages(partner)} or none); the first made "
        f"{first.total() - partner.plain_requests} more than the list and two a property.",
    )


def _requests(rows: dict[str, Counter[str]]) -> str:
    words = {"properties": "list", "detail": "detail", "milestones": "milestones", "current": "current milestone"}
    cells = [[name, *(f"{found[word]:,}" for word in words), f"{found.total():,}"] for name, found in rows.items()]
    return table(["", *words.values(), "together"], cells)


def _pages(partner: OpenMooveSandbox) -> int:
    return partner.plain_requests - 2 * partner.properties


def changed(options: argparse.Namespace) -> str:
    with openmoove(options.properties) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, Path(folder) / "data") | AGES
        sync(environ)
        touched = partner.control("change", {"openmoove": {"complete_milestones": CHANGED}})["changed"]
        partner.forget()
        sync(environ)
        found = partner.counted()
        seen = _seen(environ, partner, touched["openmoove_properties"])
    active = sum(number % 5 >= 3 for number in range(1, options.properties + 1))
    most = _pages(partner) + active + CHANGED
    return part(
        f"OpenMoove: {CHANGED} of {options.properties:,} changed",
        f"{active:,} of the properties are active; {CHANGED} of these completed a milestone since the first sync. "
        "No webhooks; the list's and the active properties' age is 0, the milestones' 24 h.",
        _requests({"the next sync": found}),
        f"It makes {found.total():,} requests (aim: at most {most:,}: {_pages(partner)} of the list, the active ones "
        f"and {CHANGED}) and finds {seen} of the {CHANGED} changes (aim: all).",
    )


def _seen(environ: dict[str, str], partner: OpenMooveSandbox, ids: list[int]) -> int:
    """How many of these properties have as many completed milestones in both tables as the partner has."""
    statement = (
        "SELECT p.id, p.completed_milestones AS told, count(*) FILTER (m.completed) AS counted "
        "FROM openmoove.properties p JOIN openmoove.milestones m "
        "ON m.connection = p.connection AND m.property_id = p.id GROUP BY ALL"
    )
    here = {row["id"]: {row["told"], row["counted"]} for row in query(environ, statement)}
    there = {row["id"]: {row["completed_milestones"]} for row in partner.control("rows/openmoove_properties")}
    return sum(here[one] == there[one] for one in ids)


def growth(options: argparse.Namespace) -> str:
    runs = {size: _first_sync_of(size) for size in options.growth}
    with openmoove(1) as partner, tempfile.TemporaryDirectory() as folder:
        empty = run(Way(EMPTY_RUN), _environ(partner, Path(folder) / "data"))
    base = 2000 if 2000 in runs else min(runs)
    cells = [_growth_row(size, one, runs[base], size / base, empty.seconds) for size, one in runs.items()]
    largest = max(runs)
    linear = _of_linear(runs[largest], runs[base], largest / base, empty.seconds)
    return part(
        "OpenMoove: growth",
        "First syncs, limits off, no latency, one each. An empty run on an empty data directory "
        f"({empty.seconds:.1f} s, {empty.peak_mib:.0f} MiB) is taken off before times are compared.",
        table(["properties", "seconds", "peak MiB", f"time, of linear from {base:,}", f"peak, of {base:,}'s"], cells),
        f"From {base:,} to {largest:,} properties time grows by {linear:.2f} of linear (aim: 1.1), the peak by "
        f"{runs[largest].peak_mib / runs[base].peak_mib:.2f} (aim: 1.5).",
    )


def _growth_row(size: int, one: Run, base: Run, times: float, empty: float) -> list[str]:
    linear, peak = _of_linear(one, base, times, empty), one.peak_mib / base.peak_mib
    return [f"{size:,}", f"{one.seconds:.1f}", f"{one.peak_mib:.0f}", f"{linear:.2f}", f"{peak:.2f}"]


def _of_linear(one: Run, base: Run, times: float, empty: float) -> float:
    return (one.seconds - empty) / (times * (base.seconds - empty))


def _first_sync_of(size: int) -> Run:
    with openmoove(size) as partner, tempfile.TemporaryDirectory() as folder:
        environ = _environ(partner, Path(folder) / "data")
        found = run(Way([*PROGRAM, "sync"]), environ)
        _refuse_incomplete(environ, size)
    sys.stderr.write(f"{size} properties: {found.seconds:.1f} s, {found.peak_mib:.0f} MiB\n")
    return found
