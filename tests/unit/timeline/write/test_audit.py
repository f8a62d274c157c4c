"""The audit trail: what was changed, removed or slipped in is noticed."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from edge_agent.appliance.database_checks import check_database
from edge_agent.appliance.findings import Verdict
from edge_agent.config.loading import load_settings
from edge_agent.timeline.database.connection import connect, read_transaction, write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.retention import Deletions
from edge_agent.timeline.write.audit import (
    SHOWN,
    AuditLine,
    Chain,
    amend_newest,
    append,
    check,
    seal_of,
    write_line,
)
from tests.support.timeline import query, timeline


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A database whose audit has five lines."""
    path = timeline(tmp_path)
    with write_transaction(path) as connection:
        for number in range(5):
            append(connection, AuditLine(1000 + number, "ada", "export", f"csv {number}"))
    return path


def tamper(path: Path, *statements: str) -> None:
    """Change the file as somebody would who has SQLite and no program of ours."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def checked(path: Path) -> Chain:
    with read_transaction(path) as connection:
        return check(connection)


def test_lines_as_they_were_written_fit_their_seals(path: Path) -> None:
    chain = checked(path)
    assert (chain.lines, chain.faults) == (5, ())
    seals = [row[0] for row in query(path, "SELECT seal FROM audit ORDER BY id")]
    assert seals[0] == seal_of("", 1000, "ada", "export", "csv 0")
    assert seals[4] == seal_of(seals[3], 1004, "ada", "export", "csv 4") == chain.head


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE audit SET detail = 'csv 9' WHERE id = 3", "Line 3 was changed"),
        ("UPDATE audit SET actor = 'eve' WHERE id = 1", "Line 1 was changed"),
        ("UPDATE audit SET at = at + 1 WHERE id = 5", "Line 5 was changed"),
        ("DELETE FROM audit WHERE id = 2", "Line 2 is missing"),
        ("DELETE FROM audit WHERE id < 3", "Lines 1 to 2 are missing"),
        ("DELETE FROM audit WHERE id > 3", "After line 3 one or more lines are missing"),
        ("DELETE FROM audit", "After line 0 one or more lines are missing"),
        ("UPDATE audit SET seal = NULL WHERE id = 4", "Line 4 has no seal"),
        (
            "INSERT INTO audit (at, actor, action, detail) VALUES (9, 'eve', 'export', '')",
            "Line 6 has no seal",
        ),
        ("UPDATE audit SET id = id + 1 WHERE id = 5", "Line 5 is missing"),
    ],
)
def test_a_changed_audit_line_is_reported_with_its_number(
    path: Path, statement: str, fault: str
) -> None:
    tamper(path, statement)
    faults = checked(path).faults
    assert len(faults) <= 2 and faults[0].startswith(fault), faults
    with write_transaction(path) as connection:
        append(connection, AuditLine(2000, "ada", "login"))
    assert checked(path).faults, "lines that follow hide nothing"


def test_the_doctor_tells_it_where_everything_is_read(path: Path, tmp_path: Path) -> None:
    def audit() -> list[tuple[Verdict, str]]:
        found = check_database(load_settings(None), tmp_path, deep=True)
        return [(one.verdict, one.found) for one in found if one.check == "audit"]

    head = checked(path).head[:SHOWN]
    assert audit() == [(Verdict.OK, f"5 lines, each fits its seal; the newest is {head}")]
    tamper(path, "DELETE FROM audit WHERE id = 2")
    ((verdict, text),) = audit()
    assert verdict is Verdict.WARNING and "Line 2 is missing" in text


def test_where_no_seal_is_kept_all_lines_are_sealed_first(tmp_path: Path) -> None:
    path = tmp_path / "affect-edge.db"
    migrate(path)
    tamper(
        path,
        "INSERT INTO audit (at, actor, action) VALUES (1, 'ada', 'login'), (2, 'ada', 'export')",
    )
    assert checked(path) == Chain(2, "", ())
    Study(path).create_participant("P01", actor="ada")
    assert checked(path).faults == ()
    tamper(path, "UPDATE audit SET action = 'nothing' WHERE id = 1")
    assert checked(path).faults == ("Line 1 was changed, or the line before it was.",)


def test_an_erasure_changes_lines_and_says_so_in_one_more(path: Path) -> None:
    study = Study(path)
    study.create_participant("P01", actor="ada")
    study.create_participant("P02", actor="ada")
    head = checked(path).head
    erase_participant(path, "P01", actor="ada", outbox_rows=100)
    assert checked(path).faults == ()
    lines = query(path, "SELECT actor, action, detail FROM audit WHERE id > 5 ORDER BY id")
    told = f"from line 6 after participant_erase; head was {head[:SHOWN]}"
    assert lines == [
        ("ada", "participant_create", "(erased)"),
        ("ada", "participant_create", "P02"),
        ("appliance", "audit_reseal", told),
        ("ada", "participant_erase", "0 sessions"),
    ]


def test_an_erasure_does_not_hide_that_somebody_changed_lines_before(path: Path) -> None:
    Study(path).create_participant("P01", actor="ada")
    tamper(path, "UPDATE audit SET detail = 'nothing' WHERE id = 6")
    Study(path).create_participant("P01-b", actor="ada")
    tamper(path, "UPDATE audit SET detail = 'nothing' WHERE id = 2")
    Study(path).give_consent("P01-b", "1", actor="ada")
    erase_participant(path, "P01-b", actor="ada", outbox_rows=100)
    assert any("was broken when it was sealed anew" in fault for fault in checked(path).faults)


def test_only_the_newest_line_can_be_amended(path: Path) -> None:
    with write_transaction(path) as connection:
        number = append(connection, AuditLine(9, "appliance", "retention", "1 row"))
        assert amend_newest(connection, number, "2 rows")
    assert checked(path).faults == ()
    with write_transaction(path) as connection:
        append(connection, AuditLine(9, "ada", "login"))
        assert not amend_newest(connection, number, "3 rows")
    assert checked(path).faults == ()


def test_deletions_that_somebody_interrupts_are_reported_in_two_lines(path: Path) -> None:
    tamper(
        path,
        "INSERT INTO vital (at, kind, source, value) VALUES (1, 'heart_rate', 'strap', 60)",
        "INSERT INTO vital (at, kind, source, value) VALUES (5, 'heart_rate', 'strap', 60)",
    )
    with closing(connect(path, readonly=False)) as connection:
        deletions = Deletions(connection, "retention", 1)
        deletions.delete_between("vital", 0, 2)
        with write_transaction(path) as other:
            append(other, AuditLine(9, "ada", "login"))
        deletions.delete_between("vital", 2, 9)
    lines = query(path, "SELECT action, detail FROM audit WHERE id > 5 ORDER BY id")
    assert [line[0] for line in lines] == ["retention", "login", "retention"]
    assert all(line[1].startswith("1 rows ") for line in (lines[0], lines[2]))
    assert checked(path).faults == () and deletions.rows == 2


def test_audit_line_with_control_characters_holds_their_escapes(path: Path) -> None:
    with write_transaction(path) as connection:
        write_line(connection, "ada", "export", "a.csv\n2026 eve logout\x1b[2J")
        row = connection.execute("SELECT detail FROM audit ORDER BY id DESC LIMIT 1").fetchone()
        assert row[0] == r"a.csv\n2026 eve logout\x1b[2J"
        assert check(connection).faults == ()
