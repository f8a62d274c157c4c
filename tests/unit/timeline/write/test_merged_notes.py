"""Lines of the audit trail without end: counted, written as one, and none is lost or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_agent.core import clock
from edge_agent.core.bounds import NOTED_ALIKE, NOTED_EACH, NOTED_IN_AN_HOUR
from edge_agent.core.clock import Instant
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.write.audit import check
from edge_agent.timeline.write.merged_notes import SEVERAL, read_counted, write_counted, write_note
from tests.support.clocks.simulated_time import WallClock
from tests.support.dashboard import add_session
from tests.support.timeline import query, timeline

HOUR_MS = 3_600_000
LINES = "SELECT actor, detail FROM audit WHERE action = ? ORDER BY id"


@pytest.fixture
def wall(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """The clock, standing still until a test turns it."""
    turned = WallClock()
    monkeypatch.setattr(clock, "now", turned)
    return turned


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database without a line in its trail."""
    return timeline(tmp_path)


def note(path: Path, actor: str, action: str, *details: str, every_ms: int = 0) -> None:
    with write_transaction(path) as connection:
        for number, detail in enumerate(details):
            at = clock.now()
            write_note(
                connection, actor, action, detail, Instant(0, at.wall_ms + number * every_ms)
            )


def characters(path: Path) -> int:
    ((size,),) = query(path, "SELECT sum(100 + length(actor) + length(detail)) FROM audit")
    return int(size or 0)


def test_equal_lines_beyond_ten_become_one_with_number_and_times(
    path: Path, wall: WallClock
) -> None:
    note(path, "ada", "login", *["from 192.0.2.7"] * 50, every_ms=100)
    assert query(path, LINES, "login") == [("ada", "from 192.0.2.7")] * NOTED_ALIKE
    with read_transaction(path) as connection:
        (counted,) = read_counted(connection)
    assert (counted.count, counted.last_ms - counted.first_ms) == (40, 3_900)
    wall.ms += HOUR_MS + 5_000
    note(path, "eve", "logout", "")
    assert query(path, LINES, "login")[NOTED_ALIKE:] == [
        (
            "ada",
            "× 40 from 2026-09-21T14:13:21.000Z to 2026-09-21T14:13:24.900Z: from 192.0.2.7 × 40",
        )
    ]
    with read_transaction(path) as connection:
        assert read_counted(connection) == []
        assert check(connection).faults == ()


def test_different_lines_beyond_a_hundred_keep_their_details(path: Path, wall: WallClock) -> None:
    note(path, "ada", "session_view", *map(str, range(NOTED_EACH + 500)))
    assert len(query(path, LINES, "session_view")) == NOTED_EACH
    wall.ms += HOUR_MS + 1
    note(path, "ada", "logout", "")
    told = query(path, LINES, "session_view")[-1][1]
    named = [part.split(" × ")[0] for part in told.partition("Z: ")[2].split("; ")]
    assert named[:-1] == [str(number) for number in range(100, 100 + len(named) - 1)]
    assert len(named) > 250 and named[-1] == "more"


def test_lines_of_one_account_leave_those_of_others_in_full(path: Path, wall: WallClock) -> None:
    for number in range(5):
        carer = f"carer {number}"
        for action in ("login", "logout", "login_end", "password_change", "participant_view"):
            note(path, carer, action, *(f"{n}, {'x' * 30}" for n in range(150)))
    note(path, "ada", "login", "from 192.0.2.9")
    assert query(path, LINES, "login")[-1] == ("ada", "from 192.0.2.9")


def test_trail_of_a_day_of_attacks_stays_bounded(path: Path, wall: WallClock) -> None:
    sizes = []
    for _ in range(2):
        for actor in range(310):
            note(path, f"{actor}", "login", *(f"{n} {'x' * 1_990}" for n in range(3)))
        wall.ms += HOUR_MS + 1
        sizes.append(characters(path))
    # 400,000 characters in full, and a hundred or so that count with 4,000 each
    assert sizes[1] - sizes[0] < NOTED_IN_AN_HOUR + 102 * 4_200
    actors = {row[0] for row in query(path, LINES, "login")}
    assert SEVERAL in actors, "too many to count each"


def test_counted_line_of_a_clock_that_was_set_back_is_written(path: Path, wall: WallClock) -> None:
    note(path, "ada", "login", *["x"] * 11)
    wall.ms -= 24 * HOUR_MS
    note(path, "ada", "logout", "")
    assert query(path, LINES, "login")[-1][1].startswith("× 1 from ")


def test_counted_line_names_nobody_who_was_erased_since(path: Path) -> None:
    add_session(path)
    note(path, "ada", "participant_view", *["P-01"] * 12, "P-011")
    erase_participant(path, "P-01", actor="ada")
    (*_, told) = query(path, LINES, "participant_view")
    assert "(erased) × 2; P-011 × 1" in told[1]
    assert b"P-01 " not in path.read_bytes()


def test_download_of_the_trail_holds_all_that_was_counted(path: Path, wall: WallClock) -> None:
    note(path, "ada", "login", *["x"] * 12)
    note(path, "ada", "audit_download", "")
    assert [row[0] for row in query(path, "SELECT action FROM audit ORDER BY id DESC LIMIT 2")] == [
        "audit_download",
        "login",
    ]


def test_counted_lines_are_written_at_once_when_asked(path: Path) -> None:
    note(path, "ada", "login", *["x"] * 12)
    with write_transaction(path) as connection:
        assert write_counted(connection, clock.now()) == 1
        assert write_counted(connection, clock.now()) == 0


def test_counted_line_that_is_damaged_stops_no_other(path: Path) -> None:
    note(path, "ada", "login", *["x"] * 12)
    with write_transaction(path) as connection:
        connection.execute("UPDATE setting SET value = '{' WHERE key LIKE 'audit_more:%'")
    note(path, "ada", "login", "y")
    actors = [row[0] for row in query(path, "SELECT actor FROM audit ORDER BY id DESC LIMIT 2")]
    assert actors == ["ada", "appliance"]
