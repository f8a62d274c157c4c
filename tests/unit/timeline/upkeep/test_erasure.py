"""Erasing a participant: what goes, what stays as it was, what is said; and no byte is left."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from edge_agent.core.clock import Instant, iso_utc, now
from edge_agent.core.electrocardiogram import pack
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.connection import connect, write_transaction
from edge_agent.timeline.database.copy import copy_database
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.read.reader import Reader
from edge_agent.timeline.study.past import PastSession, add_session
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep import erasure, row_erasure, unfinished
from edge_agent.timeline.upkeep.erasing_again import finish_erasures
from edge_agent.timeline.upkeep.erasure import Erasure, ErasurePlan, erase_participant, plan_erasure
from edge_agent.timeline.upkeep.fold import fold_rollups
from edge_agent.timeline.upkeep.retention import prune
from edge_agent.timeline.upkeep.unfinished import ORDER_OVERDUE_MS, sentences_of_left
from edge_agent.timeline.write.outbox import OutboxMessage, enqueue, set_aside
from tests.support.erasure import CODE, NAME, NOTE, bytes_of, everything, hold, opened, record
from tests.support.timeline import START_MS, instant, query, session_row, timeline

ROLLUPS = (
    "expression_minute", "expression_hour", "expression_day",
    "vital_minute", "vital_hour", "vital_day",
)  # fmt: skip


_LOCKED = (
    "is locked by another program. Close what has it open (a database browser?) and try again."
)


def test_a_mistyped_code_or_an_open_session_erases_and_deletes_nothing(path: Path) -> None:
    hold(path, CODE, 0)
    beside = path.with_name(f"{path.name}.backup-2026-01-02")
    beside.write_bytes(b"nobody can read this")
    before = everything(path)
    with pytest.raises(StudyError, match="There is no participant 'Zq-Wombat'; nothing was erased"):
        erase_participant(path, "Zq-Wombat", actor="ada")
    assert everything(path) == before
    Study(path).start_session(NewSession(CODE, Purpose.RESEARCH), instant(100))
    before = everything(path)
    said = "Session 2 of Zq-Wombat7 is open. End it, or withdraw the consent"
    with pytest.raises(StudyError, match=said):
        erase_participant(path, CODE, actor="ada")
    assert everything(path) == before
    assert beside.exists()


@pytest.mark.parametrize("others", [0, 30])
def test_no_byte_of_them_is_found_in_the_database_its_log_and_its_index(
    tmp_path: Path, path: Path, others: int
) -> None:
    for number in range(others):
        Study(path).create_participant(f"before-{number}")
    hold(path, CODE, 0, NAME, NOTE)
    for number in range(others):
        Study(path).create_participant(f"after-{number}")
        if number % 3 == 0:
            erase_participant(path, f"before-{number}", actor="ada")
    with opened(path):
        assert all(text.lower().encode() in bytes_of(tmp_path) for text in (CODE, NOTE, NAME))
        erase_participant(path, CODE.lower(), actor="ada")
        assert (tmp_path / "affect-edge.db-wal").exists()
        found = bytes_of(tmp_path)
    assert not [
        text
        for text in (CODE, NOTE, NAME, "Wombat", "Xylophone", "Quokka")
        if text.lower().encode() in found
    ]


def test_everything_of_theirs_goes_and_the_report_counts_it(path: Path) -> None:
    hold(path, CODE, 0)
    done = erase_participant(path, CODE, actor="ada")
    assert {table: count for table, count in done.rows.items() if count} == {
        "session": 1, "marker": 2, "self_report": 1, "protocol_run": 1, "consent": 1,
        "expression": 89, "movement": 89, "unfit": 8, "vital": 89, "gap": 1, "outbox": 5,
    }  # fmt: skip
    assert (done.minutes, done.minutes_removed, done.copies, done.copies_deleted) == (2, 2, (), ())
    assert done.sentence.startswith(
        "Erased: 1 session, 1 consent, 2 markers and notes, 1 self-report, "
        "1 protocol that was run, 5 waiting messages, 1 gap, 8 counts of unreadable frames, "
        "89 rows of movements, 89 expression rows, 89 readings."
    )
    tables = ("participant", "session", "consent", "marker", "self_report", "protocol_run")
    for table in (*tables, "expression", "movement", "unfit", "vital", "gap", *ROLLUPS):
        assert query(path, f"SELECT count(*) FROM {table}") == [(0,)], table


def test_erasure_rollups_are_as_if_the_participant_never_was(tmp_path: Path, path: Path) -> None:
    record(path, -100, 0)
    hold(path, CODE, 20)
    record(path, 115, 200)
    hold(path, "P02", 210)
    never = timeline(tmp_path / "never")
    record(never, -100, 0)
    record(never, 115, 200)
    hold(never, "P02", 210)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.minutes, done.minutes_removed) == (2, 1)
    for rows in (*ROLLUPS, "vital", "(SELECT at, emotion FROM expression)"):
        assert query(path, f"SELECT * FROM {rows}") == query(never, f"SELECT * FROM {rows}"), rows


def test_a_minute_whose_rows_are_too_old_to_be_there_is_removed_whole(path: Path) -> None:
    hold(path, CODE, 0)
    record(path, 100, 180)
    days = 24 * 3_600_000
    prune(path, 90, now_ms=START_MS + 90 * days + 100_000)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.minutes, done.minutes_removed) == (2, 2)
    assert query(path, "SELECT at - ? FROM expression_minute", START_MS) == [(120_000,)]
    assert query(path, "SELECT rows FROM expression_hour") == query(
        path, "SELECT rows FROM expression_minute"
    )


def test_a_day_of_which_only_the_sum_is_left_is_removed_whole_and_reported(path: Path) -> None:
    days = 24 * 3600
    hold(path, CODE, 0)
    record(path, 100, 180)
    record(path, 2 * days, 2 * days + 60)
    record(path, 9 * days, 9 * days + 60)
    fold_rollups(path, 1, 3, now_ms=START_MS + 10 * days * 1000)
    assert query(path, "SELECT count(*) FROM expression_day") == [(2,)]
    done = erase_participant(path, CODE, actor="ada")
    assert done.days_removed == 1
    assert "Whole days removed, for only their sums were kept: 1." in done.sentence
    for kind in ("expression", "vital"):
        assert query(path, f"SELECT at > ? FROM {kind}_day", START_MS) == [(1,)]
    touched = (START_MS, START_MS + 120_000)
    for kind, rolled in (("expression", "rows"), ("vital", "n + flagged")):
        which = "is_primary AND" * (kind == "expression")
        left = query(
            path, f"SELECT count(*) FROM {kind} WHERE {which} at >= ? AND at < ?", *touched
        )
        hour = query(path, f"SELECT sum({rolled}) FROM {kind}_hour WHERE at < ?", touched[1])
        assert hour == left, "what others left in the two minutes that were touched"


def test_a_reader_that_does_not_end_is_reported_with_the_cure(path: Path) -> None:
    hold(path, CODE, 0)
    with opened(path) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM marker").fetchone()
        done = erase_participant(path, CODE, actor="ada", patience_s=0.1)
        connection.rollback()
    assert len(done.left) == 1 and not done.is_finished
    assert "the rows are erased, but another program keeps the file open" in done.sentence
    assert Reader(path).session_list() == []
    assert finish_erasures(path, actor="appliance") == 1
    assert sentences_of_left(path) == []


def hold_empty(path: Path, code: str, start: float, end: float, name: str = "films") -> None:
    """Hold a session; nothing is recorded in it."""
    timeline(path, session=[session_row(start, end, participant=code, name=name)])


def test_the_sentence_counts_every_table_and_names_the_copies() -> None:
    rows = {"session": 1, "expression": 1234, "unfit": 2, "vital": 3, "marker": 4}
    rows |= {"self_report": 5, "protocol_run": 6, "consent": 7, "gap": 8, "outbox": 9}
    done = Erasure(rows, 12, 11, ("db.before-v2", "db.before-v3"), ("db.before-v1",), False)
    assert done.sentence == (
        "Erased: 1 session, 7 consents, 4 markers and notes, 5 self-reports, "
        "6 protocols that were run, 9 waiting messages, 8 gaps, 2 counts of unreadable frames, "
        "1,234 expression rows, 3 readings. Rollups: 12 minutes computed anew, 11 removed. "
        "Copies rewritten: db.before-v2, db.before-v3. "
        "Copies deleted, for they could not be read: db.before-v1. "
        "The broker deletes the last messages, and those waiting for the subscribers in "
        "mqtt.durable_subscribers, as soon as the agent is connected to it. This device cannot "
        "delete messages waiting for other absent subscribers, messages that subscribers already "
        "have, or copies on other brokers. The broker's own file keeps the old bytes until it "
        "saves: the broker installed here does so within five minutes, others on their own "
        "schedule. To save at once, with Mosquitto on this device: "
        "sudo systemctl kill --signal=SIGUSR1 mosquitto"
    )
    rows = {"participant_attribute": 2, "alert": 1, "set_aside": 3}
    assert (
        "Erased: 2 attributes, 1 alert, 3 rows that no table took."
        in replace(done, rows=rows).sentence
    )
    empty = Erasure({}, 0, 0, (), (), False).sentence
    assert empty.startswith("Erased: no rows. ")
    assert "Copies" not in empty


def test_erasure_rows_at_the_edges_of_a_session_go_by_their_time(path: Path) -> None:
    hold_empty(path, "P-1", 10, 20)
    seconds = (9, 9.999, 10, 19.999, 20, 21)
    refused = [(second, "{}") for second in seconds]
    refused += [(-START_MS / 1000, "{}"), (500, '{"participant": "p-1"}')]
    about = {"source": "vital", "reason": "refused"}
    gaps = [(8, 10), (10, 20), (9, 11), (19, 21), (20, 22)]
    timeline(
        path,
        **dict.fromkeys(("expression", "vital", "movement", "unfit"), seconds),
        gap=[{"started": one, "ended": other} for one, other in gaps],
        set_aside=[{"at": second, "content": text, **about} for second, text in refused],
    )
    done = erase_participant(path, "P-1", actor="ada")
    assert (done.rows["expression"], done.rows["vital"], done.rows["gap"]) == (3, 2, 1)
    assert done.rows["set_aside"] == 4, "of the session, of no known time, with the code"
    # A row of a second reaches back by that second: that of 20 s is of the session, too.
    for table in ("expression", "movement", "unfit"):
        left = query(path, f"SELECT at - ? FROM {table}", START_MS)
        assert left == [(9_000,), (9_999,), (21_000,)], table
    for table in ("vital", "set_aside"):
        left = query(path, f"SELECT at - ? FROM {table}", START_MS)
        assert left == [(9_000,), (9_999,), (20_000,), (21_000,)], table
    assert query(path, "SELECT count(*) FROM gap") == [(4,)]


def test_only_summaries_that_overlap_the_session_are_removed(path: Path) -> None:
    hold_empty(path, "P-1", 10, 20)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM outbox")
        for start, end in ((0, 10), (9, 11), (12, 13), (19, 21), (20, 30)):
            window = {"start": instant(start), "end": instant(end)}
            told = {name: iso_utc(at.wall_ms) for name, at in window.items()}
            enqueue(connection, OutboxMessage("summary", {"window": told, "n": start}), 100)
        enqueue(connection, OutboxMessage("session", {"participant": "p-1"}), 100)
        enqueue(connection, OutboxMessage("session", {"participant": "P-10"}), 100)
        damaged = enqueue(connection, OutboxMessage("session", {}), 100)
        connection.execute("UPDATE outbox SET payload = '{' WHERE id = ?", (damaged,))
    assert erase_participant(path, "P-1", actor="ada").rows["outbox"] == 5
    left = "SELECT json_extract(payload, '$.n') FROM outbox WHERE topic = 'summary'"
    assert query(path, left) == [(0,), (20,)]
    left = "SELECT json_extract(payload, '$.participant') FROM outbox WHERE topic = 'session'"
    assert query(path, left) == [("P-10",), (None,)]


def test_the_outbox_keeps_its_bound_when_topics_are_cleared(path: Path) -> None:
    hold_empty(path, "P-1", 10, 20)
    with write_transaction(path) as connection:
        for number in range(5):
            enqueue(connection, OutboxMessage("status", {"n": number}), 100)
    erase_participant(path, "P-1", actor="ada", outbox_rows=3)
    kept = query(path, "SELECT topic, seq, payload FROM outbox ORDER BY id")
    assert [topic for topic, _, _ in kept] == ["status", "session", "emotion"]
    assert kept[1:] == [("session", None, "null"), ("emotion", None, "null")]


def test_a_word_of_two_letters_is_not_searched_for(path: Path) -> None:
    hold_empty(path, "P-1", 10, 20, name="of")
    hold_empty(path, "P-2", 30, 40, name="films")
    hold_empty(path, "P-1", 50, 60, name="films")
    assert not erase_participant(path, "P-1", actor="ada").compacted
    assert query(path, "SELECT name FROM session") == [("films",)]


def test_a_copy_that_is_locked_is_named_and_finished_without_the_code(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_agent.timeline.database.connection.BUSY_SECONDS", 0.1)
    hold(path, CODE, 0, NAME, NOTE)
    hold(path, "P02", 100)
    locked, free = (tmp_path / f"affect-edge.db.before-v{number}" for number in (2, 3))
    for copy in (locked, free):
        with closing(connect(path, readonly=True)) as connection:
            copy_database(connection, copy)
    with write_transaction(locked):
        done = erase_participant(path, CODE, actor="ada", patience_s=0.1)
        assert done.copies == (free.name,)
        assert done.left == (f"{locked}: {_LOCKED}",)
        with pytest.raises(StoreError, match="before-v2: is locked"):
            finish_erasures(path, actor="appliance")
    assert sentences_of_left(path) == list(done.left)
    assert CODE.encode() not in b"".join(
        file.read_bytes() for file in tmp_path.iterdir() if file != locked
    ), "nor in what is stored of what is left"
    assert finish_erasures(path, actor="appliance") == 1
    found = bytes_of(tmp_path)
    assert not [text for text in (CODE, NOTE, NAME) if text.lower().encode() in found]
    assert query(locked, "SELECT code FROM participant") == [("P02",)]
    assert query(path, "SELECT actor, action, detail FROM audit WHERE action LIKE '%erase%'") == [
        ("ada", "participant_erase", "1 sessions"),
        ("ada", "participant_erase_left", locked.name),
        ("appliance", "participant_erase_finished", ""),
    ]
    assert finish_erasures(path, actor="appliance") == 0


def test_an_erasure_that_cannot_empty_the_exports_does_all_the_rest(
    tmp_path: Path, path: Path
) -> None:
    hold(path, CODE, 0, NAME, NOTE)
    copy = tmp_path / "affect-edge.db.before-v2"
    with closing(connect(path, readonly=True)) as connection:
        copy_database(connection, copy)
    exports = tmp_path / "exports"
    exports.symlink_to(tmp_path.parent)
    with opened(path):
        done = erase_participant(path, CODE, actor="ada")
        found = bytes_of(tmp_path)
    assert not [text for text in (CODE, NOTE, NAME) if text.lower().encode() in found]
    assert done.copies == (copy.name,)
    assert done.sentence.startswith(f"Not finished; the nightly maintenance tries again: {exports}")
    assert sentences_of_left(path) == list(done.left) and "rm" in done.left[0]
    exports.unlink()
    exports.mkdir()
    (exports / "study.zip").touch()
    assert finish_erasures(path, actor="appliance") == 1
    assert list(exports.iterdir()) == [] and sentences_of_left(path) == []


def test_an_erasure_that_was_killed_after_its_rows_is_finished_at_night(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hold(path, CODE, 0, NAME, NOTE)
    copy = tmp_path / "affect-edge.db.before-v2"
    with closing(connect(path, readonly=True)) as connection:
        copy_database(connection, copy)
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports/study.zip").touch()

    def killed(_data: Path) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(erasure, "delete_prepared_exports", killed)
        with pytest.raises(SystemExit):
            erase_participant(path, CODE, actor="ada")
    assert CODE.lower().encode() in bytes_of(tmp_path)
    told = sentences_of_left(path)
    assert ["was interrupted" in sentence for sentence in told] == [True, True, True, False]
    assert "ordered at" in told[3] and "sudo affect-edge maintenance" in told[3]
    later = now().wall_ms + ORDER_OVERDUE_MS
    with monkeypatch.context() as patched:
        patched.setattr(unfinished, "now", lambda: Instant(0, later))
        assert "was interrupted" in sentences_of_left(path)[3]
    assert finish_erasures(path, actor="appliance") == 4
    found = bytes_of(tmp_path)
    assert not [text for text in (CODE, NOTE, NAME) if text.lower().encode() in found]
    assert not (tmp_path / "exports/study.zip").exists() and sentences_of_left(path) == []


def test_erasure_open_session_in_a_copy_ends_with_its_last_row(tmp_path: Path, path: Path) -> None:
    held = session_row(10, None, participant="P-1")
    ecg = {"at": 60, "interval_ms": 10_000, "source": "s", "samples": 1, "packed": pack([5])}
    copy = timeline(
        tmp_path / "older", session=[held], expression=[9, 30], vital=[9, 31], ecg=[ecg]
    )
    beside = tmp_path / "affect-edge.db.before-v2"
    beside.write_bytes(copy.read_bytes())
    wal = copy.with_name(f"{copy.name}-wal")
    if wal.exists():
        beside.with_name(f"{beside.name}-wal").write_bytes(wal.read_bytes())
    assert erase_participant(path, "P-1", actor="ada").copies == (beside.name,)
    assert query(beside, "SELECT at - ? FROM expression", START_MS) == [(9_000,)]
    assert query(beside, "SELECT at - ? FROM vital", START_MS) == [(9_000,)]
    assert query(beside, "SELECT count(*) FROM ecg") == [(0,)]
    assert query(beside, "SELECT count(*) FROM participant") == [(0,)]


def test_erasure_over_a_full_hour_computes_both_hours_anew(path: Path) -> None:
    full = 3600 - START_MS // 1000 % 3600
    seconds = range(full - 200, full + 200)
    hold_empty(path, "P-1", full - 50, full + 50)
    timeline(path, expression=seconds, vital=seconds)
    erase_participant(path, "P-1", actor="ada")
    for kind, count in (("expression", "rows"), ("vital", "n")):
        hours = query(path, f"SELECT at, {count} FROM {kind}_hour ORDER BY at")
        assert hours == query(
            path, f"SELECT at / 3600000 * 3600000, count(*) FROM {kind} GROUP BY 1 ORDER BY 1"
        )
        assert len(hours) == 2


@pytest.mark.parametrize("chunk", [5, 6, 7, 4096])
def test_erasure_old_bytes_are_found_wherever_they_lie_in_the_file(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(row_erasure, "_CHUNK", chunk)
    hold_empty(path, "Zq-Wombat7", 10, 20)
    other = tmp_path / "clean"
    clean = timeline(other)
    hold_empty(clean, "Zq-Wombat7", 10, 20)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")
        wanted = "INSERT INTO audit (at, actor, action, detail) VALUES (1, 'a', 'b', ?)"
        connection.execute(wanted, ("ZQ-WOMBAT7 " * 40,))
        connection.commit()
        connection.execute("DELETE FROM audit")
        connection.commit()
    assert erase_participant(path, "Zq-Wombat7", actor="ada").compacted
    assert b"wombat7" not in path.read_bytes().lower()
    assert not erase_participant(clean, "Zq-Wombat7", actor="ada").compacted


def test_erasure_of_audit_lines_removes_the_code_alone(path: Path) -> None:
    hold_empty(path, "demo", 10, 20)
    lines = [
        ("participant_create", "demo"),
        ("participant_view", "hall: DEMO"),
        ("participant_view", "demo-2"),
        ("export", "participant=demo start=None end=None format=csv"),
        ("export", "participant=demo-2 start=None end=None format=demo"),
        ("account_add", "demo as administrator, with a link"),
        ("account_remove", "demo"),
        ("token_make", "demo (readings)"),
        ("settings_change", "device.name demo"),
    ]
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM audit")
    told = [{"actor": "demo", "action": action, "detail": detail} for action, detail in lines]
    timeline(path, audit=told)
    erase_participant(path, "demo", actor="eve")
    assert query(path, "SELECT actor, action, detail FROM audit ORDER BY id") == [
        ("demo", "participant_create", "(erased)"),
        ("demo", "participant_view", "hall: (erased)"),
        ("demo", "participant_view", "demo-2"),
        ("demo", "export", "participant=(erased) start=None end=None format=csv"),
        *(("demo", *line) for line in lines[4:]),
        ("eve", "participant_erase", "1 sessions"),
    ]


def test_plan_of_an_erasure_counts_what_it_deletes_and_what_was_nobodys(path: Path) -> None:
    hold(path, CODE, 0)
    record(path, 200, 300)
    new = PastSession(
        about=NewSession(CODE, Purpose.RESEARCH),
        start_ms=START_MS + 200_000,
        end_ms=START_MS + 300_000,
    )
    with write_transaction(path) as connection:
        connection.execute("UPDATE consent SET given = ?", (START_MS - 1000,))
    add_session(path, new, purposes=list(Purpose), actor="ada")
    plan = plan_erasure(path, CODE)
    done = erase_participant(path, CODE, actor="ada")
    deleted = sum(done.rows[table] for table in ("expression", "movement", "unfit", "vital", "gap"))
    assert (plan.sessions, plan.rows) == (2, deleted)
    assert (plan.added_sessions, plan.added_rows) == (1, 3 * 99 + 9)
    assert "306 of them lie in 1 sessions that were added afterwards" in plan.sentence
    assert plan_erasure(path, "nobody") == ErasurePlan()


def test_messages_that_cannot_be_read_go_too(path: Path) -> None:
    hold_empty(path, "QZX-17", 10, 20)
    with write_transaction(path) as connection:
        connection.execute("DELETE FROM outbox")
        ids = [
            enqueue(connection, OutboxMessage("session", {"participant": code}), 100)
            for code in ("QZX-17", "QZX-17", "QZX-17", "P-2", "P-2")
        ]
        spoiled = "UPDATE outbox SET payload = replace(payload, '}', '') WHERE id = ?"
        connection.execute(spoiled, (ids[0],))
        set_aside(connection, {ids[1]: "too_large", ids[4]: "too_large"})
    erase_participant(path, "QZX-17", actor="ada")
    left = query(path, "SELECT id FROM outbox WHERE topic = 'session' AND seq IS NOT NULL")
    assert left == [(ids[3],)]
    assert query(path, "SELECT id FROM outbox_set_aside") == [(ids[4],)]
    holes = "SELECT last_seq - first_seq + 1, reason FROM outbox_hole ORDER BY id"
    assert query(path, holes) == [
        (1, "too_large"), (1, "too_large"), (1, "erased"), (1, "erased"),
    ]  # fmt: skip
    assert b"QZX-17" not in path.read_bytes()


def test_only_a_copy_that_cannot_be_read_is_deleted(tmp_path: Path, path: Path) -> None:
    before = tmp_path / "affect-edge.db.before-v2"
    broken = tmp_path / "affect-edge.db.before-v1"
    migrate(before)
    broken.write_bytes(b"no database, but " + CODE.encode())
    content = everything(before)
    hold(path, CODE, 0)
    done = erase_participant(path, CODE, actor="ada")
    assert (done.copies, done.copies_deleted) == ((), (broken.name,))
    assert not broken.exists()
    assert everything(before) == content
    assert CODE.lower().encode() not in bytes_of(tmp_path)


@pytest.mark.parametrize("cut_short", [False, True])
def test_a_copy_is_rewritten_also_after_an_erasure_cut_short(
    tmp_path: Path, path: Path, cut_short: bool
) -> None:
    hold(path, CODE, 0, NAME, NOTE)
    hold(path, "P02", 100)
    copy = tmp_path / "affect-edge.db.before-v2"
    with closing(connect(path, readonly=True)) as connection:
        copy_database(connection, copy)
    if cut_short:
        with write_transaction(path) as connection:
            row_erasure.erase_rows(connection, CODE)
    assert erase_participant(path, CODE, actor="ada").copies == (copy.name,)
    found = bytes_of(tmp_path)
    assert not [text for text in (CODE, NOTE, NAME) if text.lower().encode() in found]
    theirs = "SELECT DISTINCT participant FROM expression_view WHERE session IS NOT NULL"
    assert query(copy, theirs) == [("P02",)]
    with pytest.raises(StudyError, match="There is no participant"):
        erase_participant(path, CODE, actor="ada")
