"""Sessions and stretches that are left out of the analysis: what is kept, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core.errors import StudyError
from edge_agent.core.own_neutral import OwnNeutralState
from edge_agent.timeline.study.exclusions import (
    Exclusion,
    Span,
    exclusions,
    leave_out,
    outside_stretches,
    take_back,
)
from edge_agent.timeline.study.own_neutral import OwnNeutral, untested_by_session
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from tests.support.timeline import instant, query, session_row, timeline

OUT = ((12, 15), (50, 60))


@pytest.fixture
def session(path: Path) -> int:
    timeline(path, session=[session_row(0, 100, (10, 50, "anger"))])
    return 1


def span(first: float, last: float) -> Span:
    return instant(first).wall_ms, instant(last).wall_ms


def test_revoked_exclusion_stays_in_the_audit_trail(path: Path, session: int) -> None:
    made = leave_out(path, session, span(20, 30.5), reason=" phone rang ", actor="ada")
    assert (made.from_ms, made.to_ms, made.reason) == (20_000, 30_500, "phone rang")
    assert [one.left_out for one in Study(path).sessions()] == ["part"]

    take_back(path, session, made.id, actor="bob")
    leave_out(path, session, None, reason="withdrew halfway", actor="ada")

    assert [one.left_out for one in Study(path).sessions()] == ["whole"]
    kept = [
        (one.span, one.reason, one.actor, one.taken_back_by) for one in exclusions(path, session)
    ]
    assert kept == [
        (None, "withdrew halfway", "ada", None),
        (span(20, 30.5), "phone rang", "ada", "bob"),
    ]
    trail = "SELECT actor, action, detail FROM audit WHERE actor IN ('ada', 'bob') ORDER BY id"
    assert query(path, trail) == [
        ("ada", "session_leave_out", "session 1"),
        ("bob", "session_take_back", "session 1"),
        ("ada", "session_leave_out", "session 1"),
    ]
    with pytest.raises(StudyError, match=f"has no exclusion with number {made.id}"):
        take_back(path, session, made.id, actor="bob")


@pytest.mark.parametrize(
    ("stretch", "reason", "problem"),
    [
        ((90, 101), "x", "lies outside session 1, which lasts from"),
        ((-1, 10), "x", "lies outside session 1"),
        ((30, 20), "x", "does not follow its start"),
        ((60, 70), " ", "Give a reason"),
        ((60, 70), "x" * 201, "at most 200 printable characters"),
        ((60, 70), "two\nlines", "at most 200 printable characters"),
        ((39, 60), "x", "Of session 1, 0:20 to 0:40 is left out already: coughed"),
        (None, "x", "is left out already: coughed. Take that back first"),
    ],
)
def test_refused_exclusion_changes_nothing(
    path: Path, session: int, stretch: tuple[float, float] | None, reason: str, problem: str
) -> None:
    leave_out(path, session, span(20, 40), reason="coughed", actor="ada")
    with pytest.raises(StudyError, match=problem):
        leave_out(path, session, stretch and span(*stretch), reason=reason, actor="ada")
    assert [one.reason for one in exclusions(path, session)] == ["coughed"]


def test_a_session_that_is_left_out_has_no_more_stretches(path: Path, session: int) -> None:
    leave_out(path, session, None, reason="camera fell", actor="ada")
    with pytest.raises(StudyError, match="Session 1 is left out already: camera fell"):
        leave_out(path, session, span(20, 40), reason="x", actor="ada")
    with pytest.raises(StudyError, match="There is no session 7"):
        leave_out(path, 7, None, reason="x", actor="ada")


def test_reasons_are_erased_with_the_participant(path: Path, session: int) -> None:
    made = leave_out(path, session, None, reason="fainted, Mr Smith", actor="ada")
    take_back(path, session, made.id, actor="ada")
    erase_participant(path, "P01", actor="ada")
    assert query(path, "SELECT count(*) FROM exclusion") == [(0,)]
    assert b"Smith" not in path.read_bytes()


@pytest.mark.parametrize(
    ("part", "left"),
    [
        ((0, 100), [(0, 10), (20, 30), (40, 100)]),
        ((12, 18), []),
        ((15, 35), [(20, 30)]),
        ((20, 30), [(20, 30)]),
        ((40, 50), [(40, 50)]),
        ((10, 45), [(20, 30), (40, 45)]),
        ((5, 5), []),
    ],
)
def test_stretches_cut_a_span(part: Span, left: list[Span]) -> None:
    assert list(outside_stretches(*part, [(10, 20), (30, 40)])) == left


def test_untested_stretch_within_a_baseline_is_part_of_it() -> None:
    # It was counted as another one, and what followed it in the baseline as tested.
    out = [Exclusion(number, 1, 0, *span, "x", 0, "ada") for number, span in enumerate(OUT)]
    own = OwnNeutral(1, OwnNeutralState.CALIBRATED, baseline=(10, 30), applied=(40, 100))
    unused = OwnNeutral(2, OwnNeutralState.REFUSED, baseline=(10, 30))
    untested = untested_by_session(out, [own, unused])
    assert untested == {1: [(10, 30), (50, 60)]}
    assert list(outside_stretches(0, 100, untested[1])) == [(0, 10), (30, 50), (60, 100)]
