"""A dashboard that may only read the database changes it by named commands, and by nothing else."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD, NOTED_EACH
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import Marker, MarkerKind, NewSession, Purpose, SessionSetting
from edge_agent.core.texts import pack_text, text_of
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import connect, read_transaction, write_transaction
from edge_agent.timeline.database.dashboard_file import make_prepared_folder
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.gate import receiver, server
from edge_agent.timeline.gate.client import COMMANDS, LARGEST, use_gate
from edge_agent.timeline.gate.commands import Commands, PlainCommands, import_file
from edge_agent.timeline.intake.corrections import ReadingKey, entered_readings
from edge_agent.timeline.intake.sent_files import StudyChoices
from edge_agent.timeline.study.past import PastMarker, PastSession
from edge_agent.timeline.study.preregistrations import FROZEN_MOST
from edge_agent.timeline.study.protocol_runs import NewRun, RunProgress, RunState
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.write.alert_log import AlertEntry, AlertLog
from edge_agent.timeline.write.audit import check
from edge_agent.timeline.write.boots import BootRows
from edge_agent.timeline.write.reading_imports import ReadingTable, import_readings
from tests.integration.gate.conftest import Gate, running_gate, written_through

MANUAL = frozenset({VitalFlag.MANUAL})
READING = VitalReading(clock.now(), VitalKind.HEART_RATE, 70.0, "manual:ada", MANUAL)
STRAP = [replace(READING, source="ble:AA")]
FUTURE = Instant(boot_ms=0, wall_ms=4_000_000_000_000)


def of_now() -> VitalReading:
    return replace(STRAP[0], at=clock.now(), flags=frozenset({VitalFlag.IMPORTED}))


def rows(database: Path, question: str) -> list[tuple[Any, ...]]:
    with read_transaction(database) as connection:
        return [tuple(row) for row in connection.execute(question)]


def dump(database: Path) -> str:
    with closing(connect(database, readonly=True)) as beside:
        return "\n".join(beside.iterdump())


def ask(gate: Gate, name: str, arguments: object, *, of: Path | None = None) -> str:
    """Ask as a program that knows the form of a question and keeps to none of our rules."""
    file = (of or gate.database).stat()
    head = f"{name} {file.st_dev} {file.st_ino}\n"
    return said_to(gate, head.encode() + json.dumps(arguments).encode())


def said_to(gate: Gate, question: bytes) -> str:
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(60)
        line.connect(str(gate.address))
        line.sendall(question)
        line.shutdown(socket.SHUT_WR)
        with line.makefile("rb") as answer:
            return answer.read().decode()


def consenting(gate: Gate, code: str = "P-1") -> Commands:
    commands = Commands(gate.database)
    commands.create_participant(code, actor="ada")
    commands.give_consent(code, "1", actor="ada")
    return commands


def test_a_study_is_kept_through_the_gate(gate: Gate) -> None:
    commands = consenting(gate)
    commands.note("ada", "login", "from 192.0.2.7")
    commands.start_session(NewSession("P-1", Purpose.RESEARCH, "first"), actor="ada")
    commands.add_marker(MarkerKind.STIMULUS_START, "anger", actor="token stimuli")
    with pytest.raises(StudyError, match="has been open") as refused:
        commands.start_session(NewSession("P-1", Purpose.RESEARCH, "second"), actor="ada")
    assert not isinstance(refused.value, StoreError)
    ended = commands.end_session(actor="ada")
    assert Study(gate.database).sessions() == [ended]
    assert (ended.participant, ended.name) == ("P-1", "first")
    assert rows(gate.database, "SELECT label FROM marker") == [("anger",)]
    assert rows(gate.database, "SELECT actor, action, detail FROM audit ORDER BY id") == [
        ("ada", "participant_create", "P-1"),
        ("ada", "consent_give", "P-1"),
        ("ada", "login", "from 192.0.2.7"),
        ("ada", "session_start", "1"),
        ("token stimuli", "marker_add", "session 1: stimulus_start"),
        ("ada", "session_end", "1"),
    ]
    with read_transaction(gate.database) as connection:
        assert check(connection).faults == ()
    run = NewRun("films", "Films", "ab" * 32, 0, "{}")
    saved = commands.start_protocol(
        NewSession("P-1", Purpose.RESEARCH, setting=SessionSetting.OTHER), run, actor="ada"
    )
    over = RunProgress(1, 0, RunState.FINISHED, "", clock.now())
    assert not commands.save_protocol(saved.id, saved.session.id, over, actor=DASHBOARD)
    assert rows(gate.database, "SELECT state FROM protocol_run") == [("finished",)]
    assert commands.erase_participant("P-1", actor="eve").rows["consent"] == 1
    erased = "SELECT actor FROM audit WHERE action = 'participant_erase'"
    assert rows(gate.database, erased) == [("eve",)]
    assert b"P-1" not in gate.database.read_bytes()
    with pytest.raises(StudyError, match="There is no participant 'P-1'"):
        commands.erase_participant("P-1", actor="eve")
    with pytest.raises(StudyError, match="There is no participant 'P-1'") as refused:
        commands.give_consent("P-1", "1", actor="eve")
    assert refused.value.field == "participant"
    assert pack_text(text_of(refused.value)) == (
        '{"template":"There is no participant {code!r}. Create the participant first.",'
        '"values":{"code":"P-1"}}'
    ), "what it was made of comes, too: a page says it in its reader's language"


def test_alerts_and_what_was_frozen_go_through_the_gate(gate: Gate) -> None:
    commands = Commands(gate.database)
    pulse = AlertEntry(0, "pulse", "vital", "Too high.", 150.0, None, 0)
    AlertLog(gate.database).begin(pulse, clock.now())
    commands.begin_alert(
        "agent", "It does not answer.", None, clock.now(), quiet=False, actor=DASHBOARD
    )
    assert commands.acknowledge_alert(2, actor="ada").acknowledged_by == "ada"
    for rule in ("agent", "pulse"):
        commands.end_alert(rule, "over", clock.now(), actor=DASHBOARD)
    ended = rows(gate.database, "SELECT rule, ending FROM alert")
    assert ended == [("pulse", None), ("agent", "over")], "only its own alert is ended"
    assert commands.preregister("{}", actor="ada").intact


def test_readings_come_and_are_corrected_and_removed(gate: Gate) -> None:
    commands = Commands(gate.database)
    assert commands.enter_readings([READING, READING], actor="ada") == [True, False]
    key = ReadingKey(READING.at.wall_ms, READING.kind, READING.source)
    commands.correct_reading(key, 80.0, actor="ada")
    (entered,) = entered_readings(gate.database, 5)
    assert (entered.value, entered.was) == (80.0, 70.0)
    commands.remove_reading(key, actor="ada")
    with pytest.raises(StudyError, match="There is no heart rate of that time"):
        commands.remove_reading(key, actor="ada")
    assert rows(gate.database, "SELECT count(*) FROM vital") == [(0,)]


def test_a_large_file_is_imported_and_reported_in_the_trail(gate: Gate) -> None:
    imported = frozenset({VitalFlag.IMPORTED})
    times = (Instant(0, 1_700_000_000_000 + 1000 * n) for n in range(30_000))
    table = ReadingTable.of(
        [VitalReading(at, READING.kind, 60.0, "csv:a", imported) for at in times]
    )
    done = import_file(Commands(gate.database), table, file="a.csv", actor="ada")
    assert done == (30_000, 0, 1)
    assert rows(gate.database, "SELECT count(*), min(import) FROM vital") == [(30_000, 1)]
    assert rows(gate.database, "SELECT action, detail FROM audit") == [
        ("readings_import", "a.csv: 30000")
    ]


def test_neither_a_statement_nor_another_argument_is_taken(
    shared_gate: Gate, tmp_path: Path
) -> None:
    before = dump(shared_gate.database)
    sql = "INSERT OR REPLACE INTO audit (id, at, actor, action) VALUES (1, 0, 'nobody', 'nothing')"
    start = {"new": {"participant": "P", "purpose": "fun"}, "actor": "a"}
    for name, arguments, said in (
        ("execute", {"sql": sql}, "there is no command"),
        ("write_transaction", {"sql": sql}, "there is no command"),
        (sql.replace(" ", "_"), {}, "there is no command"),
        ("__init__", {}, "there is no command"),
        ("note", {"actor": sql, "action": sql}, "neither an account"),
        ("end_session", {"actor": "ada", "path": "/etc/passwd"}, "path"),
        ("end_session", {}, "actor"),
        ("end_session", [], "end_session"),
        ("correct_reading", {"key": 1, "value": 1, "actor": "ada"}, "key"),
        ("start_session", start, "research"),
    ):
        answer = ask(shared_gate, name, arguments)
        assert answer.startswith(("StudyError\n", "StoreError\n")) and said in answer, answer
    for nonsense in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\xff" * 100, b"note\n" + b"[" * 100_000):
        assert said_to(shared_gate, nonsense).startswith("StoreError\n")
    other = tmp_path / "other.db"
    other.touch()
    assert "the dashboard opened another file" in ask(shared_gate, "note", {}, of=other)
    with pytest.raises(StoreError, match="are too many for one command"):
        Commands(shared_gate.database).note("ada", "login", "x" * (LARGEST + 1))
    assert dump(shared_gate.database) == before
    members = (vars(PlainCommands) | vars(Commands)).items()
    public = {name for name, one in members if callable(one) and not name.startswith("_")}
    assert set(COMMANDS) == public, "the dashboard has no other command"


FOREVER = PastSession(
    about=NewSession("P-1", Purpose.RESEARCH), start_ms=0, end_ms=FUTURE.wall_ms
)  # erased with everything in it
OUTSIDE = [PastMarker(FUTURE.wall_ms, MarkerKind.NOTE, "x")]
ENDED_NOW = RunProgress(0, 0, RunState.ENDED, "", clock.now())
MANY_MARKERS = replace(ENDED_NOW, markers=(Marker(clock.now(), MarkerKind.NOTE, "x"),) * 1_001)
ENDED_LATER = RunProgress(0, 0, RunState.ENDED, "", FUTURE)
BEFORE_ALL = replace(ENDED_NOW, step=-1)
DEEP = f'{{"question": {"[" * 40}{"]" * 40}}}'  # pages read it where more calls are open
NO_ORDER = NewRun("films", "Films", "ab" * 32, -1, "{}")


@pytest.mark.parametrize(
    ("attack", "said"),
    [
        (lambda it: it.enter_readings(STRAP, actor="ada"), "has the source manual:ada"),
        (lambda it: it.hand_in_readings(STRAP, token="watch"), "begins with http:watch"),
        (
            lambda it: import_file(it, ReadingTable.of(STRAP), file="a.csv", actor="ada"),
            "has the flag imported",
        ),
        (
            lambda it: import_file(it, ReadingTable.of([of_now()]), file="a.csv", actor="ada"),
            "ble:AA at .*: a sensor may still send a reading of that time",
        ),
        (lambda it: it.add_past_session(FOREVER, actor="ada"), "between the years 2000 and 2100"),
        (lambda it: it.add_past_markers(OUTSIDE, actor="ada"), "in no session"),
        (lambda it: it.add_marker(MarkerKind.NOTE, "x", FUTURE, actor="ada"), "lies in the future"),
        (lambda it: it.save_protocol(1, 1, ENDED_LATER, actor=DASHBOARD), "lies in the future"),
        (lambda it: it.save_protocol(1, 1, BEFORE_ALL, actor=DASHBOARD), "step: -1 is less than 0"),
        (
            lambda it: it.start_protocol(
                NewSession("P-1", Purpose.RESEARCH, setting=SessionSetting.OTHER),
                NO_ORDER,
                actor="ada",
            ),
            "order: -1 is less than 0",
        ),
        (lambda it: it.preregister(DEEP, actor="ada"), "not a JSON object of at most 30 levels"),
        (lambda it: it.preregister('{"people": NaN}', actor="ada"), "not a JSON object"),
        (
            lambda it: it.note("ada", "participant_erase", ""),
            "is not an action that the dashboard notes",
        ),
        (lambda it: it.note("appliance", "login", ""), "neither an account nor a token"),
        (lambda it: it.create_participant(None, actor=""), "neither an account nor a token"),
        (lambda it: it.note("AGENT ", "login", ""), "neither an account nor a token"),
        (lambda it: it.note("unknown", "logout", ""), "neither an account nor a token"),
        (lambda it: it.note("command line", "login", ""), "does not ask the gate"),
        (lambda it: it.end_session(actor=DASHBOARD), "neither an account nor a token"),
        (
            lambda it: it.end_alert("agent", "over", clock.now(), actor="ada"),
            "is not the dashboard service",
        ),
        (
            lambda it: it.save_protocol(1, 1, MANY_MARKERS, actor=DASHBOARD),
            "1,001 markers at once; at most 1,000",
        ),
        (
            lambda it: it.save_protocol(9, 9, ENDED_NOW, actor=DASHBOARD),
            "No protocol 9 runs in session 9",
        ),
    ],
)
def test_a_command_that_breaks_a_rule_changes_nothing(
    shared_gate: Gate, attack: Callable[[Commands], object], said: str
) -> None:
    commands = Commands(shared_gate.database)
    with suppress(StudyError):
        consenting(shared_gate)
    before = dump(shared_gate.database)
    with pytest.raises(StudyError, match=said):
        attack(commands)
    assert dump(shared_gate.database) == before


def test_times_of_a_clock_that_was_set_back_are_taken_and_no_others(gate: Gate) -> None:
    now = clock.now()
    before = now.shift(-1)
    ahead = replace(before, wall_ms=before.wall_ms + 3_600_000)
    with write_transaction(gate.database) as connection:
        for at in (ahead, now):  # as the recorder notes that the clock was set back by an hour
            BootRows(connection).begin_if_clocks_moved(at)
    commands = consenting(gate)
    run = NewRun("films", "Films", "ab" * 32, 0, "{}")
    saved = commands.start_protocol(
        NewSession("P-1", Purpose.RESEARCH, setting=SessionSetting.OTHER), run, actor="ada"
    )
    progress = RunProgress(0, 0, RunState.RUNNING, "", ahead)
    assert commands.save_protocol(saved.id, saved.session.id, progress, actor=DASHBOARD)
    commands.begin_alert("agent", "It is not running.", None, ahead, quiet=False, actor=DASHBOARD)
    assert rows(gate.database, "SELECT raised FROM alert") == [(ahead.wall_ms,)]
    for forged in (
        replace(ahead, wall_ms=ahead.wall_ms + 60_000),  # what no clock showed
        replace(ahead, boot_ms=0),
        ahead.shift(3600),  # not yet
    ):
        with pytest.raises(StudyError, match="lies in the future"):
            commands.end_alert("agent", "over", forged, actor=DASHBOARD)


def test_notes_without_end_are_counted_and_none_is_refused(gate: Gate) -> None:
    commands = Commands(gate.database)
    for number in range(NOTED_EACH + 50):
        commands.note("eve", "login", f"{number} {'x' * 1_900}")
    commands.note("ada", "account_disable", "eve")
    counts = dict(rows(gate.database, "SELECT action, count(*) FROM audit GROUP BY action"))
    assert counts == {"login": NOTED_EACH, "account_disable": 1}
    with write_transaction(gate.database) as connection:
        connection.execute("UPDATE audit SET at = at - 3600000")
        connection.execute(
            "UPDATE setting SET value = json_set(value, '$.first_ms', 1000) WHERE key LIKE "
            "'audit_more:%'"
        )
    commands.note("ada", "logout")
    ((told,),) = rows(gate.database, "SELECT detail FROM audit WHERE detail LIKE '× 50 from%'")
    assert told.endswith("more × 31")


def test_readings_of_the_future_are_flagged_through_each_door(gate: Gate) -> None:
    to_come = Instant(0, 4_070_908_800_000)  # 2099
    forged = Instant(5, 4_070_908_800_000)  # with a boot clock that this machine never had
    sent, of_file = "http:watch", "csv:a.csv"
    imported = frozenset({VitalFlag.IMPORTED})
    commands = Commands(gate.database)
    kind = VitalKind.HEART_RATE
    handed = [VitalReading(at, kind, 60.0 + at.boot_ms, sent) for at in (to_come, forged)]
    commands.hand_in_readings(handed, token="watch")
    table = ReadingTable.of([VitalReading(to_come, kind, 61.0, of_file, imported)])
    import_file(commands, table, file="a.csv", actor="ada")
    import_readings(gate.database, [VitalReading(to_come, kind, 62.0, "fit", imported)])
    flags = rows(gate.database, "SELECT value, flags LIKE '%clock_differs%' FROM vital")
    assert sorted(flags) == [(60.0, 1), (61.0, 1), (62.0, 1), (65.0, 1)]
    assert rows(gate.database, "SELECT sum(n) FROM vital_hour") == [(0,)]
    by_hand = VitalReading(to_come, kind, 63.0, "manual:ada", frozenset({VitalFlag.MANUAL}))
    with pytest.raises(StudyError, match="lies in the future"):
        commands.enter_readings([by_hand], actor="ada")


def test_note_of_an_unknown_action_is_refused(gate: Gate) -> None:
    with pytest.raises(StudyError, match="'consent_give' is not an action that the dashboard"):
        Commands(gate.database).note("ada", "consent_give")


def test_a_preregistration_too_many_is_refused(gate: Gate) -> None:
    with write_transaction(gate.database) as connection:
        connection.executemany(
            "INSERT INTO preregistration (at, document, sha256) VALUES (?, '{}', ?)",
            ((number, f"{number}") for number in range(FROZEN_MOST - 1)),
        )
    commands = Commands(gate.database)
    commands.preregister("{}", actor="ada")
    with pytest.raises(StudyError, match="no more are kept"):
        commands.preregister("{}", actor="ada")


def test_a_question_without_end_holds_no_lock(gate: Gate) -> None:
    with ExitStack() as lines:
        for _ in range(server.PLACES + 2):
            line = lines.enter_context(socket.socket(socket.AF_UNIX))
            line.connect(str(gate.address))
            line.sendall(b"note ")
        with write_transaction(gate.database) as recorder:
            recorder.execute("INSERT INTO setting (key, value) VALUES ('recorded', '')")
        gate.process.send_signal(signal.SIGTERM)
        assert gate.process.wait(60) == 0


def test_questions_of_many_wrong_values_hold_little_memory(gate: Gate) -> None:
    wrong: dict[str, Any] = {"table": {"at_ms": [[]] * 45_000}}
    with ThreadPoolExecutor(server.PLACES) as threads:
        asked = [threads.submit(ask, gate, "import_portion", wrong) for _ in range(server.PLACES)]
        assert {one.result(60).split(".")[0] for one in asked} == {
            "StudyError\nimport_portion: 45,009 values are wrong"
        }
    assert peak_kb(gate) < 200_000
    assert "more than" in ask(gate, "import_portion", {"table": [[]] * 120_000})


def peak_kb(gate: Gate) -> int:
    status = Path(f"/proc/{gate.process.pid}/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(peak.split()[1])


def _silent(gate: Gate, count: int, stack: ExitStack) -> list[socket.socket]:
    lines = [stack.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(count)]
    for line in lines:
        line.connect(str(gate.address))
        line.sendall(b"note ")
    return lines


def test_silent_connections_of_a_user_keep_no_question_out(gate: Gate) -> None:
    commands = Commands(gate.database)
    with ExitStack() as stack, ThreadPoolExecutor(receiver.MOST_OF_A_USER // 2) as threads:
        oldest, *_ = _silent(gate, 3 * receiver.MOST_OF_A_USER, stack)
        asked = [
            threads.submit(commands.create_participant, f"P-{number}", actor="ada")
            for number in range(receiver.MOST_OF_A_USER // 2)
        ]
        assert {one.result(60).code for one in asked} == {f"P-{n}" for n in range(len(asked))}
        oldest.settimeout(60)
        with suppress(ConnectionResetError):
            assert oldest.recv(1) == b"", "of too many, the oldest is dropped"


_SILENT = """
import os, socket, sys
os.setgroups([])
os.setuid(65534)
lines = [socket.socket(socket.AF_UNIX) for _ in range(int(sys.argv[2]))]
for line in lines:
    line.connect(sys.argv[1])
    line.sendall(b"note ")
print("connected", flush=True)
sys.stdin.read()
"""


def test_silent_connections_of_another_user_drop_none_of_ours() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    home = Path("/var/tmp") / f"gate-silent-{os.getpid()}"
    home.mkdir(mode=0o755)
    try:
        with written_through(home) as gate, ExitStack() as stack:
            gate.address.parent.chmod(0o755)
            gate.address.chmod(0o666)
            (ours,) = _silent(gate, 1, stack)
            arguments = [str(gate.address), str(3 * receiver.MOST_OF_A_USER)]
            other = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", _SILENT, *arguments],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            assert other.stdout is not None and other.stdout.readline() == b"connected\n"
            Commands(gate.database).create_participant("P-1", actor="ada")
            ours.settimeout(60)
            ours.sendall(b"nothing\n{}")
            ours.shutdown(socket.SHUT_WR)
            assert ours.recv(1_000).startswith(b"StoreError\n")
    finally:
        shutil.rmtree(home)


def test_unfinished_questions_hold_little_memory(gate: Gate) -> None:
    with ExitStack() as stack:
        lines = _silent(gate, 20, stack)
        for line in lines:
            line.settimeout(60)
            with suppress(OSError):
                line.sendall(b"x" * (LARGEST - 100))
        assert peak_kb(gate) < 128_000, "of 80 MB, two questions are held"
        Commands(gate.database).create_participant("P-1", actor="ada")


def test_a_killed_gate_leaves_nothing_half_done(gate: Gate) -> None:
    commands = Commands(gate.database)
    with write_transaction(gate.database):  # the command waits for it

        def create() -> None:
            with suppress(StoreError):
                commands.create_participant("P-0", actor="ada")

        asked = threading.Thread(target=create)
        asked.start()
        gate.kill()
    asked.join(60)
    with pytest.raises(StoreError, match="Start it: sudo systemctl start affect-edge-database"):
        commands.create_participant("P-1", actor="ada")
    assert rows(gate.database, "SELECT count(*) FROM participant, audit") == [(0,)]
    gate.start_again()
    commands.create_participant("P-1", actor="ada")
    assert [one.code for one in Study(gate.database).participants()] == ["P-1"]


_AS_ANOTHER_USER = """
import os, sys
from pathlib import Path
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import read_transaction, write_transaction
from edge_agent.timeline.gate import client
from edge_agent.timeline.gate.commands import Commands
known = client.COMMANDS["create_participant"]
known._arguments, known._result  # which import more
os.setgroups([])
os.setuid(65534)  # after the imports: where Python is installed for root alone, nobody else has it
client.SOCKET = Path(sys.argv[2])
database = Path(sys.argv[1])
try:
    database.open("r+b").close()
    print("may write the file")
except PermissionError:
    print("may not write the file")
commands = Commands(database)
for number in range(100):
    commands.create_participant(f"P-{number}", actor="ada")
    with read_transaction(database) as connection:
        found = connection.execute("SELECT count(*) FROM participant").fetchone()[0]
    assert found == number + 1, (found, number)
try:
    with write_transaction(database) as connection:
        connection.execute("DELETE FROM participant")
    print("deleted")
except StoreError:
    print("refused")
"""


def test_another_user_asks_the_gate_beside_a_recorder(gate: Gate, tmp_path: Path) -> None:
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


def listening(address: Path) -> socket.socket:
    """Listen as systemd does, for a gate that is started and ends and is started again."""
    address.parent.mkdir(exist_ok=True)
    line = socket.socket(socket.AF_UNIX)
    line.bind(str(address))
    address.chmod(0o666)
    line.listen()
    return line


def test_a_gate_at_a_given_socket_ends_when_idle_and_the_next_answers(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    address = tmp_path / "run" / "database.sock"
    with closing(listening(address)) as given, ThreadPoolExecutor(2) as askers:
        use_gate(database, address)
        for number in range(2):
            code = f"P-{number}"
            asked = askers.submit(Commands(database).create_participant, code, actor="ada")
            assert select.select([given], [], [], 60)[0], "the question waits for a gate"
            with server.Gate(Commands(database), address, given.dup(), idle_s=0.0) as gate:
                # it runs the command here, where its own process would
                use_gate(database, None)
                gate.serve()
            use_gate(database, address)
            assert asked.result(60).code == code
            assert address.is_socket(), "systemd goes on listening"
    use_gate(database, None)


def test_a_gate_that_systemd_starts_takes_its_socket(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    migrate(database)
    address = tmp_path / "run" / "database.sock"
    given_as_3 = (
        "import os, sys; os.dup2(int(sys.argv[1]), 3); "
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1'); "
        "os.execv(sys.executable, [sys.executable, '-m', 'edge_agent', *sys.argv[2:]])"
    )
    with closing(listening(address)) as given:
        number = str(given.fileno())
        words = ["-c", given_as_3, number, "database-gate", "--data", str(tmp_path)]
        elsewhere = ["--socket", str(tmp_path / "elsewhere" / "x.sock")]
        gate = subprocess.Popen([sys.executable, *words, *elsewhere], pass_fds=[given.fileno()])
        use_gate(database, address)
        try:
            assert Commands(database).create_participant("P-1", actor="ada").code == "P-1"
        finally:
            use_gate(database, None)
            gate.terminate()
            assert gate.wait(60) == 0
        assert address.is_socket() and not Path(elsewhere[1]).exists()


_HOLDING = """
import os, sys
from pathlib import Path
from edge_agent.core.errors import StoreError
from edge_agent.timeline.database.connection import read_transaction
from edge_agent.timeline.gate import client, held
os.setgroups([])
os.setuid(65534)
client.SOCKET = Path(sys.argv[2])
database = Path(sys.argv[1])
holder = held.HeldDatabase(database)
for order in sys.stdin:
    if order.strip() == "hold":
        holder.hold()
    if order.strip() == "close":
        holder.close()
    try:
        with read_transaction(database) as connection:
            connection.execute("SELECT count(*) FROM setting").fetchone()
        print("read", flush=True)
    except StoreError:
        print("unreadable", flush=True)
"""


def test_another_user_reads_on_when_the_agent_and_the_gate_have_ended() -> None:
    """SQLite deletes the log with the last connection; who may not write cannot make another."""
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    home = Path("/var/tmp") / f"held-{os.getpid()}"  # pytest's folders are closed to others
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o755)
    database, address = home / DATABASE_NAME, home / "run" / "database.sock"
    log = home / f"{DATABASE_NAME}-wal"
    migrate(database)
    database.chmod(0o644)
    command = [sys.executable, "-c", _HOLDING, str(database), str(address)]
    piped = subprocess.PIPE
    try:
        with (
            closing(listening(address)) as given,
            subprocess.Popen(command, stdin=piped, stdout=piped, text=True) as reader,
        ):
            assert reader.stdin is not None and reader.stdout is not None

            def tell(order: str) -> None:
                print(order, file=reader.stdin, flush=True)

            def told() -> str:
                assert reader.stdout is not None
                return reader.stdout.readline().strip()

            for _ in range(2):
                tell("read")
                assert told() == "unreadable" and not log.exists()
                tell("hold")
                assert select.select([given], [], [], 60)[0], "it wakes the gate"
                with server.Gate(Commands(database), address, given.dup()) as gate:
                    serving = threading.Thread(target=gate.serve)
                    serving.start()
                    assert told() == "read"
                    gate.stop()
                    serving.join()
                tell("read")
                assert told() == "read" and log.exists(), "though all writers are gone"
                tell("close")
                told()
                with closing(connect(database, readonly=False)) as last:
                    last.execute("SELECT count(*) FROM setting").fetchone()
            reader.stdin.close()
    finally:
        shutil.rmtree(home)


def test_study_sent_in_portions_is_imported_and_undone_by_the_gate(gate: Gate) -> None:
    commands = Commands(gate.database)
    sessions = (
        "session,participant,purpose,setting,start_at,end_at\n"
        "1,A1,research,laboratory,2026-02-01T10:00:00Z,2026-02-01T10:30:00Z\n"
    )
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("session.csv", sessions)
    content = written.getvalue()
    choices = StudyChoices(text_version="v1", given_ms=1_767_258_000_000)
    key = commands.begin_file("lab.zip", actor="ada")
    for at in range(0, len(content), 100):
        commands.add_portion(key, at, content[at : at + 100], actor="ada")
    assert commands.preview_study(key, choices, actor="ada").counts["session"].taken == 1
    assert rows(gate.database, "SELECT count(*) FROM session") == [(0,)]
    assert commands.import_study(key, choices, actor="ada").sessions == {1: 1}
    assert commands.undo_import(1, actor="ada").study["participant"] == 1
    noted = rows(gate.database, "SELECT actor, action FROM audit WHERE action LIKE '%import%'")
    assert noted == [("ada", "study_import"), ("ada", "import_undo")]


def test_gate_that_runs_for_weeks_sweeps_what_was_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class EndedError(Exception):
        pass

    def end() -> None:
        raise EndedError

    database = tmp_path / DATABASE_NAME
    migrate(database)
    with server.Gate(Commands(database), tmp_path / "database.sock") as gate:
        left = make_prepared_folder(tmp_path, "study-" + "0" * 16)
        os.utime(left, (0, 0))
        for hours, is_left in ((0.5, True), (1.0, False)):
            with monkeypatch.context() as later:
                now_s = clock.boot_seconds() + 3600 * hours
                later.setattr(clock, "boot_seconds", lambda now_s=now_s: now_s)
                with pytest.raises(EndedError):
                    gate.serve(end, 0.0)
            assert left.exists() is is_left
