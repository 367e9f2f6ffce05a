"""Files that are dropped: each line has its effect once, whoever is killed, whatever comes meanwhile."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.erase import erase_person
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.outbox_run import run_outbox
from partner_pipelines.sync.outbox_work import something_to_send
from partner_pipelines_tests.sandbox_process import wait_until
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import lead, outbox, push

if TYPE_CHECKING:
    from pathlib import Path

    from partner_pipelines.sync.results import SyncOutcome

HEAD = "first_name,last_name,email\n"
DEADLINE_SECONDS = 120


@pytest.fixture
def program(steady: Program) -> Program:
    """The rows are of all tests: each has names of its own."""
    return steady


def drop(program: Program, name: str, content: str | bytes, kind: str = "leads") -> Path:
    """As any tool does it: written elsewhere, then renamed."""
    return aside(program, content).rename(place(program, kind) / name)


def aside(program: Program, content: str | bytes) -> Path:
    path = program.data.root.parent / "written-elsewhere"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def place(program: Program, kind: str = "leads") -> Path:
    directory = program.data.outbox / kind
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    return directory


def run(program: Program) -> SyncOutcome:
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        return run_outbox(house)


def take(program: Program, moment: int, *renamed: Path) -> int:
    """The exit status of a process that takes drops while something happens (drop_child.py)."""
    command = [sys.executable, "-m", "partner_pipelines_tests.sync.drop_child", str(moment), *map(str, renamed)]
    return subprocess.run(command, env=program.variables, timeout=DEADLINE_SECONDS, check=False).returncode


def names(program: Program, first_name: str) -> list[str]:
    """The last names of the leads that the partner has of this first name."""
    return sorted(row["last_name"] for row in program.sandbox.rows("resman_leads") if row["first_name"] == first_name)


def done(program: Program) -> list[tuple[str, str]]:
    """What was put away: the name under which it came, and its content."""
    paths = (program.data.outbox / "done" / "leads").iterdir()
    return sorted((path.name.partition("-")[2], path.read_text()) for path in paths)


def test_a_drop_of_the_same_name_that_comes_while_the_first_is_read_is_another_drop(program: Program) -> None:
    first = HEAD + "".join(f"Same,First{n},same{n}@example.com\n" for n in range(4_000))
    drop(program, "leads.csv", first)
    command = [sys.executable, "-m", "partner_pipelines_tests.sync.drop_child", "0"]
    taking = subprocess.Popen(command, env=program.variables)
    wait_until(lambda: sum(outbox(program).counts().values()), DEADLINE_SECONDS)
    second = HEAD + "Same,Second,second.same@example.com\n"
    drop(program, "leads.csv", second)
    assert taking.wait(DEADLINE_SECONDS) == 0
    assert take(program, 0) == 0
    kept = [path.read_text() for path in sorted((program.data.outbox / "done" / "leads").iterdir())]
    assert kept == [first, second]
    assert outbox(program).counts() == {("resman", "leads", "queued"): 4_001}


def test_a_drop_of_the_same_name_that_comes_at_any_moment_is_not_lost(program: Program) -> None:
    """Lines without e-mail or phone are known by their file's name, their number and what they hold."""
    moment, status = 0, 0
    while status == 0:
        moment += 1
        drop(program, "leads.csv", f"first_name,last_name\nAnymoment,First{moment}\n")
        second = aside(program, f"first_name,last_name\nAnymoment,Second{moment}\n")
        status = take(program, moment, second, place(program) / "leads.csv")
        assert take(program, 0) == 0
    assert moment > 6
    assert status == 3
    run(program)
    found = names(program, "Anymoment")
    assert [name for name in found if name.startswith("Second")] == sorted(f"Second{n}" for n in range(1, moment))
    firsts = [name for name in found if name.startswith("First")]
    assert len(firsts) == len(set(firsts)) > moment - 3, "but for those whose place the second took before anybody"
    assert list(place(program).iterdir()) == []


def test_a_process_that_is_killed_at_any_moment_loses_no_line_and_doubles_none(program: Program) -> None:
    """Lines without e-mail or phone are known by their file's name, their number and what they hold."""
    files: dict[str, str] = {}
    moment, status = 0, -9
    while status == -9:
        moment += 1
        name = f"leads{moment:02}.csv"
        files[name] = f"first_name,last_name\nKilled,Lead{moment}\nKilled,\n"
        drop(program, name, files[name])
        status = take(program, moment)
        assert status in (-9, 3)
        if moment % 4:  # several kills one after another, too
            assert status == 3 or something_to_send(program.data)
            take(program, 0)
    assert moment > 6
    run(program)
    assert names(program, "Killed") == sorted(f"Lead{number}" for number in range(1, moment + 1))
    bad = {f"{name}.rejected.csv": "line,field,reason\n3,last_name,This field may not be blank.\n" for name in files}
    assert done(program) == sorted((files | bad).items())
    assert list((program.data.outbox / "taken" / "leads").iterdir()) == []
    assert not something_to_send(program.data)


LONG = ["a" * 245 + ".csv", "ä" * 120 + ".csv.gz", "b" * 225 + ".jsonl", "c" * 251 + ".csv", "d" * 255]


@pytest.mark.parametrize("name", LONG, ids=lambda name: name[0] + name[-6:])
def test_a_name_that_is_as_long_as_a_name_can_be_is_taken(program: Program, name: str) -> None:
    assert 230 < len(os.fsencode(name)) <= 255
    line = HEAD + f"Long,L{name[0]},long{ord(name[0])}@example.com\nLong,Bad,bad\n"
    if name.endswith("jsonl"):
        line = '{"first_name": "Long", "last_name": "Lb", "email": "longb@example.com"}\n{}\n'
    drop(program, name, gzip.compress(line.encode()) if name.endswith("gz") else line)
    run(program)
    good = [] if name.startswith("d") else [f"L{name[0]}"]
    assert [found for found in names(program, "Long") if found == f"L{name[0]}"] == good
    first, second = sorted(path.name for path in (program.data.outbox / "done" / "leads").iterdir())
    assert second == f"{first}.rejected.csv"
    assert first.endswith(name[name.index(".") :] if "." in name else "")
    assert list(place(program).iterdir()) == []


def test_a_person_is_erased_from_a_file_of_the_longest_name(program: Program) -> None:
    program.sync("units")
    waiting = drop(
        program, "e" * 251 + ".csv", HEAD + "Gone,Person,gone.long@example.com\nStays,Person,s@example.com\n"
    )
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        _, files = erase_person(house, "gone.long@example.com")
    assert [(cleared.path, cleared.lines) for cleared in files] == [(waiting, 1)]
    assert waiting.read_text() == HEAD + "Stays,Person,s@example.com\n"


def test_a_name_that_is_no_text_is_taken(program: Program) -> None:
    """A name is bytes: one that was packed elsewhere need not be UTF-8."""
    drop(program, os.fsdecode(b"Stra\xdfe.csv"), HEAD + "Nametext,Taken,name.text@example.com\n")
    run(program)
    assert names(program, "Nametext") == ["Taken"]


def damaged() -> bytes:
    """A first block of a kind that deflate does not have (RFC 1951, 3.2.3: BTYPE 11)."""
    packed = bytearray(gzip.compress((HEAD + "Ada,Damaged,d@example.com\n").encode(), mtime=0))
    packed[10] = 0xFF
    return bytes(packed)


def test_a_packed_file_that_is_damaged_is_refused_and_stops_neither_writes_nor_erasures(program: Program) -> None:
    drop(program, "a.csv.gz", damaged())
    drop(program, "b.csv", HEAD + "Beside,Damaged,beside@example.com\n")
    run(program)
    assert names(program, "Beside") == ["Damaged"]
    (refused,) = (program.data.outbox / "done" / "leads").glob("*-a.csv.gz.rejected.csv")
    assert "the file cannot be read: " in refused.read_text()
    waiting = drop(program, "c.csv.gz", damaged())
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        report, files = erase_person(house, "beside@example.com")
    assert (report.writes, [cleared.path.name.partition("-")[2] for cleared in files]) == (1, ["b.csv"])
    assert waiting.exists()


@pytest.mark.parametrize("line", ["1e99999999999999999999", '"\\ud800"', '"\\u0000"'])
def test_a_line_that_no_number_or_text_can_be_made_of_stops_no_other(program: Program, line: str) -> None:
    name = f"Odd{line[2:5]}"
    person = '"first_name": "Odd", "last_name": "L", "email": "o@example.com"'
    odd = [f"{{{person}, {more}}}" for more in (f'"notes": {line}', f'"id": {line}', f'{line}: "x"')]
    good = f'{{"first_name": "Odd", "last_name": "{name}", "email": "odd{line[-3:-1]}@example.com"}}'
    drop(program, "odd.jsonl", "\n".join([*odd, good]))
    run(program)
    assert names(program, "Odd").count(name) == 1


def test_half_a_character_from_python_is_refused_in_its_own_line(program: Program) -> None:
    pushed = push(program, "leads", lead("Halfchar", notes="\ud800"), lead("Whole"), {"id": "\ud800", "notes": "x"})
    assert pushed.states == {"created": 1}
    assert [(bad.number, bad.errors) for bad in pushed.rejected] == [
        (1, {"notes": ["Not a valid string."]}),
        (3, {"id": ["Write it as text or as a whole number"]}),
    ]


def test_a_drop_that_cannot_be_taken_stops_no_other_and_is_tried_again(program: Program) -> None:
    blocked = program.data.outbox / "done" / "leads"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where a directory should be", encoding="ascii")
    drop(program, "a.csv", HEAD + "Alone,First,alone.first@example.com\n")
    drop(program, "b.csv", "first_name,last_name,email,role\nAlone,Second,s@example.com,Chef\n", "employees")
    assert run(program).tables["audit.writes"].failed == {
        "outbox": "a file that was dropped into leads could not be taken, it is tried again: File exists"
    }
    assert [row["role"] for row in program.sandbox.rows("resman_employees") if row["last_name"] == "Second"] == ["Chef"]
    assert something_to_send(program.data)
    blocked.unlink()
    assert run(program).tables["audit.writes"].failed == {}
    assert done(program) == [("a.csv", HEAD + "Alone,First,alone.first@example.com\n")]
    assert names(program, "Alone") == ["First"]
