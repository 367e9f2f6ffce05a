"""SIGKILL between any two steps of publishing: readers have the version before or the new one, whole."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import duckdb

from partner_pipelines.warehouse.publish import VERSIONS_KEPT, publish
from partner_pipelines_tests.warehouse.support import Yard, a_lead

DEADLINE_SECONDS = 300  # some fifty publishings; 10 s on a quiet machine
# Learns which lines publishing runs through. Then for each of them: a change, and a fork that publishes and is killed
# there. Says of each: the number of the change, how the fork ended, the number that a reader finds.
_KILLED_AT_EVERY_LINE = """
import os, signal, sys
from contextlib import closing
from pathlib import Path

import duckdb

from partner_pipelines.warehouse import publish as publishing
from partner_pipelines.warehouse.schema import changes, note_change
from partner_pipelines_tests.warehouse.support import Yard

yard = Yard(Path(sys.argv[1]))

def publish_traced(at_line):
    def trace(frame, event, _):
        if frame.f_code.co_filename != publishing.__file__:
            return None
        if event == "line":
            at_line(frame.f_lineno)
        return trace

    sys.settrace(trace)
    publishing.publish(yard.warehouse)
    sys.settrace(None)

def change():
    with yard.warehouse.writing() as database:
        note_change(database)
        return changes(database)

def forked(line):
    child = os.fork()
    if child == 0:
        try:
            publish_traced(lambda at: os.kill(os.getpid(), signal.SIGKILL) if at == line else None)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

lines = []
for _ in range(publishing.VERSIONS_KEPT + 1):
    before = change()
    publish_traced(lambda line: lines.append(line) if line not in lines else None)
print(before, flush=True)
for line in lines:
    number, ended = change(), forked(line)
    with closing(duckdb.connect(yard.data.published, read_only=True)) as database:
        print(number, ended, changes(database), flush=True)
"""


def test_a_kill_at_any_line_leaves_the_version_before_or_the_new_one(yard: Yard) -> None:
    command = [sys.executable, "-c", _KILLED_AT_EVERY_LINE, str(yard.data.root)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (published,), *told = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    old, new = 0, 0
    for number, ended, found in told:
        assert ended == -signal.SIGKILL, told
        assert found in (published, number), told
        old, new = old + (found != number), new + (found == number)
        published = found
    assert old > 20, "before the link was swapped"
    assert new > 5, "after it, while old versions went"
    lead_published(yard, 1)
    assert leads(yard.data.published) == 1
    files = [path.name for path in yard.data.published.parent.iterdir()]
    assert len(files) == VERSIONS_KEPT + 1, files


def test_who_followed_the_link_just_before_old_versions_go_still_reads(yard: Yard) -> None:
    publish(yard.warehouse)
    followed = yard.data.published.resolve()
    for number in range(VERSIONS_KEPT - 1):
        lead_published(yard, number)
    assert leads(followed) == 0
    lead_published(yard, VERSIONS_KEPT)
    assert not followed.exists(), "the first of six is gone"
    assert leads(yard.data.published) == VERSIONS_KEPT


def lead_published(yard: Yard, number: int) -> None:
    yard.merge(yard.resman(number, "resman.leads", a_lead(number)))
    publish(yard.warehouse)


def leads(file: Path) -> int:
    with closing(duckdb.connect(file, read_only=True)) as database:
        ((found,),) = database.execute("SELECT count(*) FROM resman.leads").fetchall()
    return int(found)
