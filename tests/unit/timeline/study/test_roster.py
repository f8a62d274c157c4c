"""The list of participants: searched, filtered, sorted, a page at a time."""

from __future__ import annotations

import re
from contextlib import nullcontext
from pathlib import Path

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.database.tables import OF_SESSION_IN_TIME
from edge_agent.timeline.study import people
from edge_agent.timeline.study.people import (
    PAGE_ROWS,
    ConsentState,
    RosterOrder,
    RosterQuery,
    consenting,
    consents_of,
    everybody,
    list_entry_of,
    read_roster,
)
from tests.support.timeline import reading, row, second_of, session_row, timeline


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """120 participants, of whom every third has agreed; P-007 withdrew, P-004 has a session."""
    everybody = {f"P-{number:03d}": number for number in range(1, 121)}
    agreed = {code: number for code, number in everybody.items() if number % 3 == 1}
    return timeline(
        tmp_path,
        participant=[{"code": code, "created": number} for code, number in everybody.items()],
        consent=[
            {"participant": code, "text_version": "3", "given": number}
            | {"withdrawn": 300 if code == "P-007" else None}
            for code, number in agreed.items()
        ],
        session=[session_row(200, 300, participant="P-004")],
    )


def codes(path: Path, question: RosterQuery) -> list[str]:
    return [line.code for line in read_roster(path, question).rows]


def test_a_page_holds_so_many_and_knows_how_many_there_are(database: Path) -> None:
    first = read_roster(database, RosterQuery())
    assert [line.code for line in first.rows[:2]] == ["P-001", "P-002"]
    assert len(first.rows) == PAGE_ROWS
    assert (first.matching, first.everybody, first.page, first.pages) == (120, 120, 1, 5)
    assert codes(database, RosterQuery(page=5))[-1] == "P-120"
    assert read_roster(database, RosterQuery(page=99)).page == 5


def test_roster_is_searched_by_part_of_the_code_never_by_a_pattern(database: Path) -> None:
    assert codes(database, RosterQuery(search=" p-11 ")) == [f"P-{n}" for n in range(110, 120)]
    assert codes(database, RosterQuery(search="%")) == []
    assert codes(database, RosterQuery(search="_")) == []


def test_roster_is_filtered_by_consent_and_sorted(database: Path) -> None:
    assert codes(database, RosterQuery(consent=ConsentState.WITHDRAWN)) == ["P-007"]
    given = read_roster(database, RosterQuery(consent=ConsentState.GIVEN))
    assert given.matching == 39
    assert {line.consent_text for line in given.rows} == {"3"}
    assert read_roster(database, RosterQuery(consent=ConsentState.NONE)).matching == 80
    assert codes(database, RosterQuery(order=RosterOrder.ADDED))[0] == "P-120"
    for order in (RosterOrder.SESSIONS, RosterOrder.LATEST):
        assert codes(database, RosterQuery(order=order))[:2] == ["P-004", "P-001"]


def test_one_participant_is_found_in_any_case_with_all_consents(database: Path) -> None:
    line = list_entry_of(database, "p-004")
    assert (line.code, line.sessions, line.consent) == ("P-004", 1, ConsentState.GIVEN)
    assert [one.withdrawn_ms is None for one in consents_of(database, "P-007")] == [False]
    with pytest.raises(StudyError, match="There is no participant 'P-00'"):
        list_entry_of(database, "P-00")


def test_people_whose_last_answer_is_consent_may_be_recorded(database: Path) -> None:
    assert [code for code, _ in consenting(database, 3)] == ["P-112", "P-115", "P-118"]


def test_person_was_recorded_last_when_the_newest_row_came(tmp_path: Path) -> None:
    recorded = timeline(
        tmp_path,
        session=[
            session_row(100, 200, participant="P-001"),
            session_row(1_000, None, participant="P-002"),
            session_row(3_000, 4_000, participant="P-003"),
        ],
        expression=[row(150), row(1_700), row(2_500)],
        vital=[reading(190), reading(1_800)],
        marker=[{"session": 2, "at": 2_700, "label": "wall"}],
    )
    newest = {
        one.code: one.recorded_ms and second_of(one.recorded_ms) for one in everybody(recorded)
    }
    assert newest == {"P-001": 190, "P-002": 2_700, "P-003": 3_000}


def test_newest_rows_are_looked_up_whatever_came_after_a_session(tmp_path: Path) -> None:
    recorded = timeline(tmp_path, session=[session_row(100, 200, participant="P-001")])
    asked: list[str] = []
    with pytest.MonkeyPatch.context() as patch, read_transaction(recorded) as connection:
        connection.set_trace_callback(asked.append)
        patch.setattr(people, "read_transaction", lambda _: nullcontext(connection))
        everybody(recorded)
        connection.set_trace_callback(None)
        plan = [one["detail"] for one in connection.execute(f"EXPLAIN QUERY PLAN {asked[-1]}")]
    of_rows = [one for one in plan if re.search(r"\bat[<>]", one)]
    assert len(of_rows) == len(OF_SESSION_IN_TIME)
    assert not [one for one in of_rows if "at>? AND at<?" not in one]
