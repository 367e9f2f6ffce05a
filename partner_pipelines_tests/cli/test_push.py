"""`push`: a file's good lines reach the partner once, its bad ones are named, and a mistake in using it is one line."""

from __future__ import annotations

import csv
import gzip
import json
import re
import shlex
import signal
import stat
import subprocess
from collections.abc import Iterator

import pytest

from partner_pipelines.state.outbox import Outbox
from partner_pipelines_tests.cli.in_process import said
from partner_pipelines_tests.cli.program import Program, only_line, wait_until
from partner_pipelines_tests.cli.pushing import (
    COUNTED,
    EVERY_SCOPE,
    REQUIRED_SCOPES,
    counts,
    grant,
    last_line,
    posts,
    write_csv,
)
from partner_pipelines_tests.cli.test_several import variables as several
from partner_pipelines_tests.sandbox_process import SandboxProcess

LEAD = {"first_name": "Ada", "last_name": "Push", "email": "ada.push@example.com", "source": "walk-in"}
UNITS_ALONE = 'key:"resman/units"'


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxProcess]:
    with SandboxProcess.silent("--properties", "12") as process:
        yield process


@pytest.fixture
def pushing(program: Program, sandbox: SandboxProcess) -> Iterator[Program]:
    """The command, with a partner that has all its scopes and no faults left after the test."""
    with sandbox.lent():
        grant(sandbox, *EVERY_SCOPE)
        program.environ |= sandbox.env
        yield program


def outbox(program: Program) -> Outbox:
    return Outbox(program.place / "outbox")


@pytest.mark.parametrize("kind", ["leads", "employees", "payments", "maintenance", "clients"])
def test_the_example_of_each_kind_is_taken_once(pushing: Program, sandbox: SandboxProcess, kind: str) -> None:
    example = said(pushing, "push", kind, "--example")
    assert example.returncode == 0
    assert not pushing.place.exists(), "an example is printed and nothing else"
    file = pushing.home / f"{kind}.csv"
    file.write_text(example.stdout)
    lines = len(example.stdout.splitlines()) - 1
    assert said(pushing, "scopes").returncode == 0  # learns what is granted beyond the four
    for ended in ("created", "unchanged"):
        before = sandbox.log()[-1]["n"] if sandbox.log() else 0
        pushed = said(pushing, "push", kind, str(file), "--json")
        assert pushed.returncode == 0, pushed.stdout + pushed.stderr
        assert counts(pushed) == {ended: lines}
        assert posts(sandbox, before) == (lines if ended == "created" else 0)
    assert not file.with_name(f"{file.name}.rejected.csv").exists()


def test_the_last_line_has_every_number_whatever_came_of_it(pushing: Program) -> None:
    """interface.md names five; here in a process of its own."""
    file = write_csv(pushing.home / "one.csv", [LEAD | {"email": "own.process@example.com"}])
    pushed = pushing.run("push", "leads", str(file), "--json")
    assert (pushed.returncode, pushed.stderr) == (0, "")
    told = last_line(pushed)
    assert {name: told[name] for name in COUNTED} == dict.fromkeys(COUNTED, 0) | {"created": 1}
    assert told["success"] is True


def test_a_dry_run_sends_and_queues_nothing_and_foretells_what_comes(pushing: Program, sandbox: SandboxProcess) -> None:
    first = LEAD | {"email": "dry.run@example.com"}
    rows = [first, first, first | {"source": "eliseai.com"}, LEAD | {"email": "dry.other@example.com"}]
    file = write_csv(pushing.home / "leads.csv", [*rows, LEAD | {"email": "bad"}])
    expected = {"created": 2, "unchanged": 1, "updated": 1, "rejected": 1}
    for ended in (expected, {"unchanged": 2, "updated": 2, "rejected": 1}):
        before, held = len(sandbox.log()), outbox(pushing).counts()
        foretold = said(pushing, "push", "leads", str(file), "--dry-run", "--json")
        assert (len(sandbox.log()), outbox(pushing).counts()) == (before, held)
        assert (foretold.returncode, counts(foretold)) == (1, ended)
        pushed = said(pushing, "push", "leads", str(file), "--json")
        assert (pushed.returncode, counts(pushed)) == (1, ended)


def test_bad_lines_are_named_beside_the_file_without_their_values_and_good_ones_go_on(pushing: Program) -> None:
    file = pushing.home / "leads.csv"
    file.write_text(
        "first_name,last_name,email,phone_number,status\n"
        "Zqgood,Zqline,zqgood.line@example.com,(303) 555-0147,\n"
        ",Zqnameless,zqwrong.example.com,zq12,\n"
        "Zqcell,Zqcell,zq.cell@example.com,,,,zqmore\n"
        "Zqextra,Zqfield,zq.extra@example.com,,zqvalue\n"
        "Zqshort,Zqcells\n"
    )
    bad = [
        ("3", "email", "Enter a valid email address"),
        ("3", "first_name", "This field may not be blank."),
        ("3", "phone_number", "Invalid phone number format: write it with its country code, as in +12025550123"),
        ("4", "(line)", "More cells than the first line has names"),
        (
            *("5", "status"),
            "Not a valid choice; there are new, contacted, qualified, tour_scheduled, application, leased, lost",
        ),
        ("6", "(line)", "Fewer cells than the first line has names"),
    ]
    dry = said(pushing, "push", "leads", str(file), "--dry-run")
    assert dry.returncode == 1
    assert dry.stdout.splitlines()[:-1] == [f"line {line}: {field}: {reason}" for line, field, reason in bad]
    pushed = said(pushing, "push", "leads", str(file), "--json")
    assert (pushed.returncode, counts(pushed)) == (1, {"created": 1, "rejected": 4})
    named = file.with_name("leads.csv.rejected.csv")
    assert str(named) in pushed.stdout
    assert stat.S_IMODE(named.stat().st_mode) == 0o600
    rows = csv.reader(named.read_text(encoding="utf-8").splitlines())
    assert [tuple(row) for row in rows] == [("line", "field", "reason"), *bad]
    assert "zq" not in (named.read_text() + dry.stdout + pushed.stdout + pushed.stderr).lower()


@pytest.mark.parametrize(
    ("head", "hint"),
    [
        ("first_name,last_name,emial", "column 3 is no field of leads: did you mean email?"),
        ("First Name,last_name", "column 1 is no field of leads: did you mean first_name?"),
        ("first_name;last_name;email", "its columns stand apart by ';': save it with commas"),
        ("Zqada,Zqlast,zq@example.com", "column 1 is no field of leads; there are"),
    ],
)
def test_a_first_line_that_names_no_fields_is_one_mistake(pushing: Program, head: str, hint: str) -> None:
    file = pushing.home / "leads.csv"
    file.write_text(f"{head}\na,b,c\na,b,c\n", encoding="utf-8")
    pushed = said(pushing, "push", "leads", str(file))
    assert (pushed.returncode, pushed.stdout) == (2, "")
    (line,) = pushed.stderr.splitlines()
    assert hint in line
    assert "zq" not in line.lower()


def test_what_the_partner_refuses_is_named_by_its_line_in_the_partners_words(
    pushing: Program, sandbox: SandboxProcess
) -> None:
    words = {"detail": "Validation failed", "field_errors": {"source": ["Not one of ours."]}}
    sandbox.fault("status", method="POST", path="/api/leads$", status=400, body=words, skip=1)
    people = [LEAD | {"email": f"refused{number}@example.com"} for number in (1, 2, 3)]
    file = write_csv(pushing.home / "leads.csv", people)
    pushed = said(pushing, "push", "leads", str(file), "--json")
    assert (pushed.returncode, counts(pushed)) == (1, {"created": 2, "rejected": 1})
    named = file.with_name("leads.csv.rejected.csv")
    assert named.read_text().splitlines()[1:] == ["3,source,Not one of ours."]
    again = said(pushing, "push", "leads", str(file), "--json")
    assert counts(again) == {"unchanged": 2, "created": 1}, "what was refused is tried again"
    assert not named.exists(), "the list of the push before is gone"


def test_json_lines_and_packed_files_are_read_whatever_the_case_of_their_names(pushing: Program) -> None:
    line = json.dumps(LEAD | {"email": "json.line@example.com", "budget": 1250.5})
    plain = pushing.home / "leads.csv.JSONL"
    plain.write_text(f"{line}\n\n[]\nnot json\n")
    pushed = said(pushing, "push", "leads", str(plain), "--json")
    assert counts(pushed) == {"created": 1, "rejected": 2}
    named = plain.with_name(f"{plain.name}.rejected.csv").read_text().splitlines()[1:]
    assert named == ["3,(line),Not a JSON object", "4,(line),Not JSON"]
    packed = pushing.home / "LEADS.CSV.GZ"
    packed.write_bytes(gzip.compress(b"\xef\xbb\xbffirst_name,last_name,email\nAda,Packed,packed@example.com\n"))
    assert counts(said(pushing, "push", "leads", str(packed), "--json")) == {"created": 1}


_GOOD = "first_name,last_name,email\nAda,Good,ada.good@example.com\n"
_LONG = json.dumps({"first_name": "x" * 1024 * 1024}) + "\n"


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("none.csv", None, "none.csv cannot be read: No such file or directory"),
        ("leads.txt", _GOOD, "leads.txt: the name must end with .csv, .jsonl, .csv.gz, .jsonl.gz"),
        ("empty.csv", "", "empty.csv is empty: its first line names the columns"),
        ("names.csv", "first_name,last_name\n", "names.csv has no lines below the names"),
        ("empty.jsonl", "", "empty.jsonl has no lines"),
        ("twice.csv", "email,first_name,email\na,b,c\n", "twice.csv: columns 1 and 3 have the same name"),
        ("latin.csv", _GOOD.replace("Good", "Gööd").encode("latin-1"), "latin.csv is not UTF-8"),
        ("quote.csv", _GOOD + 'Ada,"open\n', "quote.csv is no CSV: unexpected end of data"),
        (
            "long.jsonl",
            '{"first_name": "A", "last_name": "B"}\n' + _LONG,
            "long.jsonl: line 2 is longer than 1,048,576",
        ),
        ("cut.csv.gz", gzip.compress(_GOOD.encode())[:-9], "cut.csv.gz cannot be read"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 15 and "." in value else "",
)
def test_a_file_that_cannot_be_read_is_one_line_and_nothing_of_it_is_queued(
    pushing: Program, name: str, content: str | bytes | None, says: str
) -> None:
    file = pushing.home / name
    if content is not None:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    _is_refused(said(pushing, "push", "leads", str(file)), says)
    assert outbox(pushing).counts() == {}


def _is_refused(finished: subprocess.CompletedProcess[str], says: str) -> None:
    assert (finished.returncode, finished.stdout) == (2, "")
    assert says in only_line(finished)


def test_words_that_do_not_do_are_one_line(pushing: Program, sandbox: SandboxProcess) -> None:
    file = write_csv(pushing.home / "leads.csv", [LEAD])
    _is_refused(said(pushing, "push", "units", str(file)), "'leads', 'employees', 'payments', 'maintenance', 'clients'")
    _is_refused(said(pushing, "push", "leads"), "name the file: partner-pipelines push KIND FILE")
    _is_refused(said(pushing, "push", "leads", str(file), "--connection", "elm"), "no connection 'elm' of resman")
    environ = several(sandbox, pushing.home)
    _is_refused(
        said(pushing, "push", "leads", str(file), **environ),
        "no line names a connection; there are elm, oak: --connect",
    )
    lines = [LEAD | {"connection": name} for name in ("oak", "", "ash")]
    dry = said(pushing, "push", "leads", str(write_csv(file, lines)), "--dry-run", **environ)
    assert dry.stdout.splitlines() == [
        "line 3: connection: Name one of elm, oak",
        "line 4: connection: No such connection",
        "3 lines would be: 1 created, 2 rejected; nothing was sent",
    ]


def test_a_write_without_its_scope_waits_and_goes_once_granted(pushing: Program, sandbox: SandboxProcess) -> None:
    grant(sandbox, *REQUIRED_SCOPES)
    row = {"reference": "HELD-1", "prospect_id": "LEAD_00001", "amount": "77.31", "fee_type": "deposit"}
    file = write_csv(pushing.home / "payments.csv", [row, row | {"reference": "HELD-2"}])
    pushed = said(pushing, "push", "payments", str(file), "--json")
    assert (pushed.returncode, counts(pushed)) == (0, {})
    assert last_line(pushed)["queued"] == 2
    assert "waits: resman: payments: " in pushed.stdout
    assert not outbox(pushing).has_work(), "a sensor that looks leaves them alone for a while"
    grant(sandbox, *REQUIRED_SCOPES, "payments")
    assert said(pushing, "scopes").returncode == 0
    synced = pushing.run("sync", "--select", UNITS_ALONE)
    assert synced.returncode == 0, synced.stdout + synced.stderr
    assert [row["amount"] for row in sandbox.rows("resman_payments")].count(77.31) == 2
    assert outbox(pushing).counts() == {("resman", "payments", "created"): 2}


def test_a_long_file_costs_no_more_memory_than_a_short_one_and_every_bad_line_is_named(pushing: Program) -> None:
    peaks = []
    for lines in (2_000, 20_000):
        file = write_csv(pushing.home / "many.csv", [_many(number) for number in range(lines)])
        dry = pushing.run("push", "leads", str(file), "--dry-run", before=("/usr/bin/env", *_WITH_PEAK))
        assert dry.returncode == 1, dry.stderr
        *told, peak = dry.stderr.splitlines()
        peaks.append(int(peak))
        assert told == [f"{done:,} lines checked …" for done in range(10_000, lines + 1, 10_000)]
        *named, total = dry.stdout.splitlines()
        assert named == [f"line {line}: email: Enter a valid email address" for line in range(2, lines + 2, 100)]
        assert (
            total
            == f"{lines:,} lines would be: {lines * 99 // 100:,} created, {lines // 100:,} rejected; nothing was sent"
        )
    assert peaks[1] <= 1.2 * peaks[0], peaks


_WITH_PEAK = (
    "python3",
    "-c",
    """import resource, subprocess, sys
status = subprocess.call(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, file=sys.stderr)
sys.exit(status)""",
)


def _many(number: int) -> dict[str, str]:
    email = f"many{number}@example.com" if number % 100 else "bad"
    return LEAD | {"email": email, "phone_number": f"(303) 555-{number % 10_000:04d}"}


@pytest.mark.parametrize("stopped_at", ["while lines are queued", "while they are sent"])
def test_who_stops_a_push_hears_what_waits_and_can_take_the_file_back(
    pushing: Program, sandbox: SandboxProcess, stopped_at: str
) -> None:
    many = 200_000 if stopped_at == "while lines are queued" else 600
    file = pushing.home / "wrong file.csv"
    lines = (f"A,B,stop{number}@example.com\n" for number in range(many))
    file.write_text("first_name,last_name,email\n" + "".join(lines))
    other = pushing.home / "other.jsonl"
    other.write_text(json.dumps(LEAD) + "\n")
    sandbox.settings(latency_ms=300)
    seen = sandbox.log()[-1]["n"] if sandbox.log() else 0
    with pushing.started("push", "leads", str(file)) as push:
        if many > 600:
            wait_until(lambda: len(outbox(pushing).in_state("queued")) > 0, "lines are queued", 60)
        else:
            wait_until(lambda: posts(sandbox, seen) > 0, "lines are sent", 60)
        push.send_signal(signal.SIGINT)
        _, complaints = push.communicate(timeout=60)
    assert push.returncode == 1
    assert "Traceback" not in complaints
    assert f"of {file.name}. The next push, `sync` or `up` sends what waits" in complaints
    (command,) = re.findall(r"`partner-pipelines (outbox settle [^`]*)`", complaints)
    sandbox.settings(latency_ms=0)
    waiting = len(outbox(pushing).in_state("queued"))
    assert 0 < waiting < many
    taken_back = pushing.run(*shlex.split(command))
    assert taken_back.returncode == 0, taken_back.stderr
    assert taken_back.stdout.startswith(f"{waiting:,} settled as not sent")
    assert outbox(pushing).in_state("queued") == []
    sent = posts(sandbox, seen)
    assert pushing.run("push", "leads", str(other)).returncode == 0
    assert posts(sandbox, seen) - sent <= 1
    again = pushing.run(*shlex.split(command))
    assert again.returncode == 2
    assert only_line(again).startswith("nothing of 'wrong file.csv' waits")
    assert "--file goes with --dropped alone" in only_line(pushing.run("outbox", "settle", "--file", "x.csv"))
