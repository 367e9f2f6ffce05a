"""What is known of an item: what the outbox wrote last, or what was seen since; neither undoes what is newer."""

from __future__ import annotations

import shutil
from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from partner_pipelines import clock
from partner_pipelines.state.outbox import State
from partner_pipelines.state.stop import StopSignal
from partner_pipelines.sync.house import open_house
from partner_pipelines.sync.write_drafts import Drafting, Line
from partner_pipelines.sync.write_forecast import Forecast
from partner_pipelines.sync.write_queue import queue_lines
from partner_pipelines.sync.writes import work_off
from partner_pipelines_tests.sync.program import Program
from partner_pipelines_tests.sync.writing import client, lead, outbox, push

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def program(steady: Program) -> Program:
    """The rows are of all tests: each has names of its own."""
    return steady


def there(program: Program, name: str) -> dict[str, Any]:
    """The partner's one lead of this last name."""
    (row,) = [row for row in program.sandbox.rows("resman_leads") if row["last_name"] == name]
    return row


def pushed(program: Program, row: dict[str, Any]) -> State:
    """What became of this one line, as a dry run before it had foretold."""
    settings = program.settings()
    with open_house(settings, run_id=None, stop=StopSignal()) as house:
        drafting = Drafting(settings, "leads", house.data.key("personal"), "test")
        forecast = Forecast(house)
        queue_lines(house, drafting, [Line(1, row, "rows")], lambda bad: pytest.fail(str(bad)), dry=forecast)
        forecast.close()
    done = push(program, "leads", row)
    (state,) = done.states or Counter[State](["unchanged"])
    assert forecast.counts == {state: 1}
    assert bool(done.sent) == (state in ("created", "updated"))
    return state


def test_a_write_that_changed_nothing_makes_no_old_sight_count_again(program: Program) -> None:
    """Written, seen, overwritten, written again in another spelling: what was seen is older than what is there."""
    first = lead("Again", status="new")
    assert pushed(program, first) == "created"
    program.sync("leads")
    second = lead("Again", status="contacted")
    assert pushed(program, second) == "updated"
    assert push(program, "leads", second | {"email": "AGAIN@example.com"}).states == {"unchanged": 1}
    assert pushed(program, first) == "updated"
    assert there(program, "Again")["status"] == "new"


def test_a_sight_that_is_published_only_after_a_write_that_changed_nothing_still_counts(
    program: Program, tmp_path: Path
) -> None:
    """It was seen after the last write that had an effect, before one that had none."""
    ours = lead("Late", source="ours")
    assert pushed(program, ours) == "created"
    link = program.data.published
    older = shutil.copy2(link.resolve(), tmp_path / link.readlink())
    program.sandbox.change(resman={"leads": {"upsert": [{**there(program, "Late"), "source": "theirs"}]}})
    program.sync("leads")
    newer = link.readlink()
    link.unlink()
    link.symlink_to(older)
    with open_house(program.settings(), run_id=None, stop=StopSignal()) as house:
        drafting = Drafting(program.settings(), "leads", house.data.key("personal"), "test")
        respelt = Line(1, ours | {"email": "LATE@example.com"}, "rows")
        queued = queue_lines(house, drafting, [respelt], lambda bad: pytest.fail(str(bad)))
        assert work_off(house).states == {"unchanged": 1}, "nobody has published yet what was seen"
    link.unlink()
    link.symlink_to(newer)
    assert [write.state for write in outbox(program).find(list(queued.ids))] == ["unchanged"]
    assert push(program, "leads", dict(respelt.values)).states == {"updated": 1}
    assert there(program, "Late")["source"] == "ours"


@pytest.mark.parametrize("ahead", [timedelta(days=1), timedelta(minutes=10)])
def test_what_a_clock_that_was_ahead_has_seen_undoes_no_write(
    program: Program, monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    name = f"Ahead{ahead.days}"
    first = lead(name, status="new")
    assert pushed(program, first) == "created"
    with monkeypatch.context() as wrong:
        wrong.setattr(clock, "_WALL_AT_START", clock._WALL_AT_START + ahead)
        program.sync("leads")
    assert pushed(program, lead(name, status="contacted")) == "updated"
    assert pushed(program, first) == "updated"
    assert there(program, name)["status"] == "new"


def test_notes_that_changed_are_sent_though_no_answer_shows_them(program: Program) -> None:
    row = lead("Noted", notes="call on Monday")
    assert [pushed(program, row) for _ in range(2)] == ["created", "unchanged"]
    program.sync("leads")
    changed = lead("Noted", notes="do not call")
    assert [pushed(program, changed) for _ in range(2)] == ["updated", "unchanged"]
    program.sync("leads")
    assert pushed(program, changed) == "unchanged"
    assert there(program, "Noted")["notes"] == "do not call"
    assert pushed(program, lead("Noted")) == "unchanged", "what is left out is not compared"
    assert pushed(program, row) == "updated"
    assert there(program, "Noted")["notes"] == "call on Monday"


def test_notes_of_a_lead_that_others_made_are_sent_once(program: Program) -> None:
    shown = lead("Foreign", source="others")
    program.sandbox.change(resman={"leads": {"upsert": [{**shown, "id": "LEAD_77001"}]}})
    program.sync("leads")
    ours = {**shown, "notes": "met at the fair"}
    assert [pushed(program, ours) for _ in range(2)] == ["updated", "unchanged"]
    program.sync("leads")
    assert [pushed(program, each) for each in (ours, shown)] == ["unchanged", "unchanged"]
    assert there(program, "Foreign")["notes"] == "met at the fair"


def test_products_of_a_client_who_is_there_are_another_value_only_where_we_wrote_others(program: Program) -> None:
    made = client("Wares", products="id-check")
    assert push(program, "clients", made).states == {"created": 1}
    program.sync("properties")
    (write,) = push(program, "clients", {**made, "products": "property-pack"}).writes
    assert write.reason == "the partner has no update: it is there with other values (products)"
    assert push(program, "clients", {**made, "products": ""}).states == {"unchanged": 1}
    assert push(program, "clients", made).states == {"unchanged": 1}
    shutil.rmtree(program.data.outbox)  # another machine's outbox
    assert push(program, "clients", {**made, "products": "property-pack"}).states == {"unchanged": 1}


def test_an_address_that_alone_changes_is_sent_to_the_item_that_its_id_names(program: Program) -> None:
    assert pushed(program, lead("Moved")) == "created"
    named = {"id": there(program, "Moved")["id"]}
    first, second = (named | {"email": f"{word}.moved@example.com"} for word in ("first", "second"))
    assert [pushed(program, row) for row in (first, first, second)] == ["updated", "unchanged", "updated"]
    program.sync("leads")
    assert [pushed(program, row) for row in (second, first)] == ["unchanged", "updated"]
    assert there(program, "Moved")["email"] == first["email"]
    respelt = push(program, "leads", named | {"email": "First.Moved@example.com"})
    assert (respelt.states, respelt.sent) == ({"unchanged": 1}, [])


def test_a_lead_is_one_item_under_its_address_and_under_its_id(program: Program) -> None:
    """Whichever wrote last counts, before a sync has seen any of it and after."""
    by_address = lead("Twokeys", status="contacted")
    assert pushed(program, by_address) == "created"
    by_id = {"id": there(program, "Twokeys")["id"], "status": "lost"}
    assert pushed(program, by_id) == "updated"
    assert pushed(program, by_address) == "updated"
    assert there(program, "Twokeys")["status"] == "contacted"
    assert pushed(program, by_id) == "updated"
    assert pushed(program, by_id) == "unchanged"
    program.sync("leads")
    assert pushed(program, by_id) == "unchanged"
    assert pushed(program, by_address) == "updated"
    assert pushed(program, by_id | {"status": "qualified"}) == "updated"
    assert pushed(program, lead("Twokeys", status="contacted", source="email")) == "updated", "the warehouse is behind"
    assert there(program, "Twokeys")["status"] == "contacted"
