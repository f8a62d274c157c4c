"""Who may only read the database writes the study through the gate, and never the timeline."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import clock
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.readings import VitalReading
from edge_agent.core.study import MarkerKind, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.store.database.gate.client import GateConnection
from edge_agent.store.database.gate.frames import LARGEST, receive, send
from edge_agent.store.database.schema import connect, read_transaction, write_transaction
from edge_agent.store.intake.corrections import (
    ReadingKey,
    correct_reading,
    entered_readings,
    remove_reading,
)
from edge_agent.store.study.study import Study
from edge_agent.store.upkeep.erasure import erase_participant
from edge_agent.store.write.imports import import_each, import_readings
from tests.integration.gate.conftest import Gate, running_gate

READING = VitalReading(clock.now(), VitalKind.HEART_RATE, 70.0, "manual:ada")
FORBIDDEN = (
    "DELETE FROM expression",
    "UPDATE vital SET value = 1",
    "INSERT INTO gap (started, ended, source, reason) VALUES (1, 2, 'camera', 'stalled')",
    "REPLACE INTO vital_minute SELECT * FROM vital_minute",
    "DELETE FROM expression_day",
    "DELETE FROM boot",
    "UPDATE boot SET wall_minus_boot_ms = 0",
    "DELETE FROM audit",
    "UPDATE audit SET actor = 'nobody'",
    "UPDATE model SET sha256 = ''",
    "DELETE FROM vital_change",
    "UPDATE import SET undone = 1",
    "DELETE FROM fleet_change",
    "PRAGMA writable_schema = 1",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA foreign_keys = OFF",
    "ATTACH '/tmp/other.db' AS other",
    "DROP TABLE vital",
    "ALTER TABLE vital RENAME TO old",
    "CREATE TRIGGER t AFTER INSERT ON setting BEGIN DELETE FROM vital; END",
    "CREATE TEMP TRIGGER t AFTER INSERT ON setting BEGIN DELETE FROM vital; END",
    "CREATE TEMP TABLE t (a)",
    "CREATE VIEW v AS SELECT 1",
    "INSERT INTO sqlite_schema VALUES ('table', 't', 't', 2, '')",
    "DELETE FROM sqlite_sequence",
    "SELECT load_extension('/tmp/evil.so')",
    "VACUUM",
    "VACUUM INTO '/tmp/copy.db'",
    "REINDEX",
    "ANALYZE",
)


def rows(database: Path, question: str) -> list[tuple[Any, ...]]:
    with read_transaction(database) as connection:
        return [tuple(row) for row in connection.execute(question)]


def raw(gate: Gate) -> socket.socket:
    """A program that knows the messages and none of our rules."""
    connected = socket.socket(socket.AF_UNIX)
    connected.settimeout(60)
    connected.connect(str(gate.address))
    file = gate.database.stat()
    send(connected, {"database": [file.st_dev, file.st_ino]})
    assert "error" not in (receive(connected) or {})
    return connected


def ask(connected: socket.socket, **question: Any) -> dict[str, Any]:
    send(connected, question)
    return receive(connected) or {}


def test_a_study_is_kept_through_the_gate(gate: Gate) -> None:
    study = Study(gate.database)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    study.start_session("P-1", Purpose.RESEARCH, "first")
    study.add_marker(MarkerKind.STIMULUS_START, "anger")
    with pytest.raises(StudyError, match="still open|is open") as refused:
        study.start_session("P-1", Purpose.RESEARCH, "second")
    assert not isinstance(refused.value, StoreError)
    study.end_session()
    (session,) = study.sessions()
    assert (session.participant, session.name) == ("P-1", "first")
    assert rows(gate.database, "SELECT label FROM marker") == [("anger",)]


@pytest.mark.parametrize("sql", FORBIDDEN)
def test_no_statement_touches_the_timeline_the_trail_or_the_schema(
    shared_gate: Gate, sql: str
) -> None:
    import_each(shared_gate.database, [READING])
    with closing(connect(shared_gate.database, readonly=True)) as beside:
        before = "\n".join(beside.iterdump())
    for in_transaction in (True, False):
        with raw(shared_gate) as connected:
            if in_transaction:
                ask(connected, sql="BEGIN IMMEDIATE")
            answer = ask(connected, sql=sql)
            assert "error" in answer, answer
            if in_transaction:
                ask(connected, sql="COMMIT")
        with closing(connect(shared_gate.database, readonly=True)) as beside:
            assert "\n".join(beside.iterdump()) == before
    assert not Path("/tmp/copy.db").exists()


def test_readings_by_hand_come_and_are_corrected_and_removed(gate: Gate) -> None:
    assert import_each(gate.database, [READING, READING]) == [True, False]
    assert import_readings(gate.database, [READING])[:2] == (0, 1)
    key = ReadingKey(READING.at.wall_ms, READING.kind, READING.source)
    correct_reading(gate.database, key, 80.0, actor="ada")
    (entered,) = entered_readings(gate.database, 5)
    assert (entered.value, entered.was) == (80.0, 70.0)
    remove_reading(gate.database, key, actor="ada")
    with pytest.raises(StudyError, match="There is no heart rate of that time"):
        remove_reading(gate.database, key, actor="ada")
    assert rows(gate.database, "SELECT count(*) FROM vital") == [(0,)]


def test_a_participant_is_erased_through_the_gate(gate: Gate) -> None:
    study = Study(gate.database)
    study.create_participant("P-1")
    study.give_consent("P-1", "1")
    done = erase_participant(gate.database, "P-1", actor="ada")
    assert done.rows["consent"] == 1
    assert rows(gate.database, "SELECT actor, action FROM audit") == [("ada", "participant_erase")]
    assert b"P-1" not in gate.database.read_bytes()
    with pytest.raises(StudyError, match="There is no participant 'P-1'"):
        erase_participant(gate.database, "P-1", actor="ada")


def test_only_functions_that_are_marked_are_called_and_with_their_own_arguments(
    gate: Gate,
) -> None:
    with raw(gate) as connected:
        for question, said in (
            ({"call": "system", "arguments": {"command": "id"}}, "there is no function 'system'"),
            ({"call": "write_vitals", "arguments": {"readings": []}}, "needs a transaction"),
            (
                {"call": "erase_participant", "arguments": {"path": "/etc/passwd", "code": "x"}},
                "takes no path",
            ),
            ({"call": "correct_reading", "arguments": {"key": 1}}, "validation error"),
            ({"sql": 5}, ""),
            ({"each": "x", "sql": "DELETE FROM setting"}, ""),
            ({"nothing": 1}, ""),
        ):
            answer = ask(connected, **question)
            assert "error" in answer and said in str(answer["text"]), (question, answer)
        assert ask(connected, sql="SELECT 1")["rows"] == [[1]], "it goes on"


def test_what_is_no_message_ends_that_connection_alone(gate: Gate) -> None:
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", (LARGEST + 1).to_bytes(4, "big"), b"\0\0\0\2[]"):
        with socket.socket(socket.AF_UNIX) as connected:
            connected.settimeout(60)
            connected.connect(str(gate.address))
            connected.sendall(nonsense)
            connected.shutdown(socket.SHUT_WR)
            with suppress(ConnectionResetError):  # it has not even read the rest
                assert connected.recv(10) == b""
    Study(gate.database).create_participant("P-1")


def _write_while_it_is_killed(gate: Gate) -> None:
    with write_transaction(gate.database) as connection:
        connection.execute("INSERT INTO setting (key, value) VALUES ('half', 'done')")
        gate.kill()
        connection.execute("INSERT INTO setting (key, value) VALUES ('other', 'half')")


def test_a_gate_that_is_killed_leaves_nothing_half_done_and_one_that_starts_goes_on(
    gate: Gate,
) -> None:
    study = Study(gate.database)
    with pytest.raises(StoreError, match="gate of the database"):
        _write_while_it_is_killed(gate)
    with pytest.raises(StoreError, match="Start it: sudo systemctl start affect-edge-database"):
        study.create_participant("P-1")
    assert rows(gate.database, "SELECT * FROM setting WHERE key IN ('half', 'other')") == []
    gate.start_again()
    study.create_participant("P-1")
    assert [one.code for one in study.participants()] == ["P-1"]


def test_a_gate_keeps_one_database_and_no_other(gate: Gate, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.touch()
    with pytest.raises(StoreError, match="keeps .*affect-edge.db, not this file"):
        GateConnection(gate.address, other)


@pytest.mark.deep
def test_a_statement_without_end_is_ended_and_the_recorder_writes_meanwhile_again(
    gate: Gate,
) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with raw(gate) as connected:
        connected.settimeout(60)
        ask(connected, sql="BEGIN IMMEDIATE")
        answer = ask(connected, sql=endless)
        assert answer["error"] == "OperationalError" and "interrupted" in answer["text"]
        ask(connected, sql="ROLLBACK")
    with closing(connect(gate.database, readonly=False)) as recorder:
        recorder.execute("BEGIN IMMEDIATE")
        recorder.execute("ROLLBACK")


_AS_ANOTHER_USER = """
import os, sqlite3, sys
from pathlib import Path
from edge_agent.core.errors import StoreError
from edge_agent.store.database.gate import client
from edge_agent.store.database.schema import read_transaction, write_transaction
from edge_agent.store.study.study import Study
os.setgroups([])
os.setuid(65534)  # after the imports: where Python is installed for root alone, nobody else has it
client.SOCKET = Path(sys.argv[2])
database = Path(sys.argv[1])
try:
    database.open("r+b").close()
    print("may write the file")
except PermissionError:
    print("may not write the file")
Study(database).create_participant("P-1")
for number in range(200):
    with write_transaction(database) as connection:
        connection.execute("INSERT INTO setting (key, value) VALUES (?, '')", (f"n{number}",))
    with read_transaction(database) as connection:
        found = connection.execute("SELECT count(*) FROM setting WHERE key LIKE 'n%'").fetchone()[0]
    assert found == number + 1, (found, number)
try:
    with write_transaction(database) as connection:
        connection.execute("DELETE FROM expression")
    print("deleted")
except StoreError as error:
    print("refused")
"""


def test_another_user_reads_the_file_and_writes_through_the_gate_beside_a_recorder(
    gate: Gate, tmp_path: Path
) -> None:
    """As on the appliance: two users of one group, the file writable by its owner alone."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    home = Path("/var/tmp") / f"gate-{os.getpid()}"  # pytest's folders are closed to others
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    gate.process.terminate()
    gate.process.wait(60)
    shutil.copy(gate.database, home / gate.database.name)
    (home / gate.database.name).chmod(0o640)
    try:
        with running_gate(home) as other:
            other.address.parent.chmod(0o755)
            arguments = ["-c", _AS_ANOTHER_USER, str(other.database), str(other.address)]
            done = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).resolve().parents[3],
            )
            with closing(connect(other.database, readonly=False)) as recorder:
                while done.poll() is None:
                    recorder.execute("BEGIN IMMEDIATE")
                    recorder.execute(
                        "INSERT INTO gap (started, ended, source, reason) "
                        "VALUES (1, 2, 'camera', 'stalled')"
                    )
                    recorder.execute("COMMIT")
                    time.sleep(0.005)
            told, wrong = done.communicate()
            assert told.split("\n")[:2] == ["may not write the file", "refused"], wrong
            assert rows(other.database, "SELECT count(*) > 20 FROM gap") == [(1,)]
    finally:
        shutil.rmtree(home)


def test_errors_of_sqlite_keep_their_kind(gate: Gate) -> None:
    with raw(gate) as connected:
        answer = ask(
            connected, sql="INSERT INTO participant (id, code, created) VALUES (1, NULL, 1)"
        )
    assert answer["error"] == "IntegrityError"
    assert answer["code"] & 0xFF == sqlite3.SQLITE_CONSTRAINT
