"""Alerts and letters leave the house once, whatever becomes of disk, program or server."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from dashboard.accounts.letters import Letters
from edge_agent.core.clock import now
from edge_agent.timeline.database.dashboard_file import dashboard_file
from edge_agent.timeline.write.alert_log import AlertEntry, AlertLog
from tests.faults.disk import DiskError, build_library, why_no_library
from tests.support.alerts.sending_process import Nursery, alerts_of
from tests.support.alerts.sinks import MailSink, WebSink
from tests.support.broker import free_port
from tests.support.dashboard import consenting
from tests.support.letters import DAUGHTER, NURSE, planned, sender_of
from tests.support.timeline import query, timeline

TRAIL = "SELECT detail FROM audit WHERE action = 'letter_send' ORDER BY id"
KINDS = ("alerts", "letters")


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A database with an alert that stands, and with letters to two addresses that are due."""
    path = timeline(tmp_path)
    AlertLog(path).begin(AlertEntry(0, "camera", "camera", "No picture.", None, None, 0), now())
    consenting(path)
    planned(path)
    return path


@pytest.fixture(scope="module")
def control(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that says what is wrong with the disk of the processes that send."""
    return tmp_path_factory.mktemp("disk") / "control"


@pytest.fixture(scope="module")
def nursery(control: Path) -> Iterator[Nursery]:
    """What starts processes that send; their disk can fail where there is a compiler."""
    control.write_text("-")
    shim = {}
    if not why_no_library():
        library = build_library(control.parent)
        shim = {"LD_PRELOAD": str(library), "FAULTS_CONTROL": str(control)}
    with Nursery.running(shim) as nursery:
        yield nursery


@pytest.fixture
def disk(control: Path) -> Iterator[Path]:
    """The file that says what is wrong with the disk, which is well at the end."""
    if why_no_library():
        pytest.skip(why_no_library())
    yield control
    control.write_text("-")


def unknown(database: Path) -> list[str]:
    """Return the addresses to which something was perhaps sent."""
    (alert,) = AlertLog(database).open_alerts()
    plan = Letters(database).of("P-01")
    assert plan is not None
    told = [one.target for one in alert.deliveries if one.is_unknown]
    return told + [one.address for one in plan.addresses if one.is_unknown]


def look(kind: str, database: Path, port: int) -> None:
    """Send what is due, as after a start."""
    (alerts_of(database, port) if kind == "alerts" else sender_of(database, port)).look()


# The log of an alert holds the same from step 2 to 5, a claim without an outcome; letters try all.
@pytest.mark.parametrize(
    ("kind", "step"),
    [("alerts", 1), ("alerts", 2), ("alerts", 6), *(("letters", step) for step in (1, 2, 4, 5, 6))],
)
def test_killed_at_each_step_sends_once_or_perhaps_and_says_so(
    nursery: Nursery,
    database: Path,
    tmp_path: Path,
    kind: str,
    step: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with MailSink.running() as mail:
        with (
            nursery.sending(kind, database, mail.port, tmp_path / "log", step) as sending,
            pytest.raises(EOFError, match="ended with -9"),
        ):
            sending.look()
        for _ in range(3):
            look(kind, database, mail.port)
    assert len(set(mail.recipients)) == len(mail.recipients)
    first = {"letters": DAUGHTER, "alerts": "ward@example.org"}[kind]
    assert (first in mail.recipients) == (step != 2), "a claim alone is not sent again"
    assert bool(unknown(database)) == (step in {2, 4, 5})
    assert ("perhaps sent" in caplog.text) == (step in {2, 4, 5})
    if kind == "letters":
        assert NURSE in mail.recipients, "the others get theirs"


@pytest.mark.parametrize("kind", KINDS)
def test_failing_disk_sends_nothing_says_so_once_and_goes_on_when_well(
    nursery: Nursery, database: Path, tmp_path: Path, disk: Path, kind: str
) -> None:
    log = tmp_path / "log"
    with MailSink.running() as mail, nursery.sending(kind, database, mail.port, log) as sending:
        for fault in (DiskError.NO_SPACE, DiskError.READ_ONLY, DiskError.INPUT_OUTPUT):
            disk.write_text(fault)
            assert all(sending.look() for _ in range(2)), "it says what keeps it from sending"
        assert mail.mails == []
        disk.write_text("-")
        assert [sending.look() for _ in range(2)] == ["", ""]
        sent = mail.recipients
    assert sorted(sent) == ([DAUGHTER, NURSE] if kind == "letters" else ["ward@example.org"])
    assert log.read_text().count("nothing is sent until") == 1
    assert log.read_text().count("sending goes on") == 1
    assert unknown(database) == []


@pytest.mark.parametrize("kind", KINDS)
def test_disk_that_fills_up_while_a_message_is_sent_repeats_nothing(
    nursery: Nursery, database: Path, tmp_path: Path, disk: Path, kind: str
) -> None:
    log = tmp_path / "log"
    with MailSink.running() as mail, nursery.sending(kind, database, mail.port, log) as sending:
        mail.on_mail = lambda: disk.write_text(DiskError.NO_SPACE)
        assert all(sending.look() for _ in range(4))
        assert len(mail.mails) == 1
        assert unknown(database), "what the disk knows, should the program end now"
        mail.on_mail = str
        disk.write_text("-")
        assert [sending.look() for _ in range(2)] == ["", ""]
        assert unknown(database) == []
        sent = mail.recipients
    assert sorted(sent) == ([DAUGHTER, NURSE] if kind == "letters" else ["ward@example.org"])
    assert "perhaps sent" not in log.read_text()
    if kind == "letters":
        noted = [("P-01 until 2026-09-27 to 1 addresses",)] * 2
        assert query(database, TRAIL) == noted, "the trail has them, also of the full disk"


def content(file: Path) -> bytes:
    """Return the database as it would be copied."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return file.read_bytes()


def put_back(file: Path, whole: bytes) -> None:
    """Replace a database by a copy."""
    for beside in ("-wal", "-shm"):
        file.with_name(file.name + beside).unlink(missing_ok=True)
    file.write_bytes(whole)


def test_letters_of_a_damaged_database_are_not_sent_until_it_is_well(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = dashboard_file(database)
    with MailSink.running() as mail:
        sender = sender_of(database, mail.port)
        for sent in ([], [DAUGHTER, NURSE]):
            whole = content(file)
            put_back(file, b"SQLite format 3\0" + bytes(len(whole) - 16))
            for _ in range(3):
                sender.look()
            assert sender.waits and sorted(mail.recipients) == sent
            put_back(file, whole)
            sender.look()
            assert sender.waits == ""
    assert sorted(mail.recipients) == [DAUGHTER, NURSE]
    assert caplog.text.count("nothing is sent until") == 2


def test_letter_that_was_sent_is_not_sent_again_from_an_older_copy(database: Path) -> None:
    file = dashboard_file(database)
    before = content(file)
    with MailSink.running() as mail:
        sender = sender_of(database, mail.port)
        sender.look()
        put_back(file, before)
        sender.look()
    assert sorted(mail.recipients) == [DAUGHTER, NURSE]


@pytest.mark.parametrize("kind", KINDS)
def test_mail_server_that_takes_and_does_not_answer_gets_it_once(database: Path, kind: str) -> None:
    with MailSink.running() as mail:
        mail.silent = True
        for _ in range(3):
            look(kind, database, mail.port)
    assert len(set(mail.recipients)) == len(mail.mails) == len(unknown(database)) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_killed_process_that_sends_repeats_nothing(database: Path, kind: str) -> None:
    def kill() -> None:
        for one in psutil.Process().children():
            if "edge_agent.alerts.outgoing" in one.cmdline():
                one.kill()

    with MailSink.running() as mail:
        mail.on_mail = kill
        look(kind, database, mail.port)
        mail.on_mail = str
        for _ in range(3):
            look(kind, database, mail.port)
    assert len(set(mail.recipients)) == len(mail.recipients)
    assert unknown(database)[0] in {DAUGHTER, "mailto 1 (127.0.0.1)"}


def test_process_that_sends_and_does_not_start_has_sent_nothing(
    database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with MailSink.running() as mail:
        with monkeypatch.context() as broken:
            broken.setattr("edge_agent.alerts.sending._SENDS", "edge_agent.no_such_module")
            look("alerts", database, mail.port)
        assert unknown(database) == []
        look("alerts", database, mail.port)
    assert mail.recipients == ["ward@example.org"]


def test_mail_server_that_refuses_is_asked_again(database: Path) -> None:
    with MailSink.running() as mail:
        mail.refuses = "ward@example.org"
        look("alerts", database, mail.port)
        assert (mail.mails, unknown(database)) == ([], [])
        mail.refuses = ""
        look("alerts", database, mail.port)
    assert mail.recipients == ["ward@example.org"]


def web_sender(database: Path, port: int) -> Callable[[], None]:
    """Return what sends alerts to a webhook."""
    return alerts_of(database, port, address=f"json://127.0.0.1:{port}/hook").look


def test_webhook_that_hangs_up_without_an_answer_gets_an_alert_once(database: Path) -> None:
    web_sender(database, free_port())()
    assert unknown(database) == [], "nobody was there"
    with WebSink.running() as web:
        web.silent = True
        for _ in range(3):
            web_sender(database, web.port)()
        assert len(web.posts) == len(unknown(database)) == 1


def test_one_of_two_recipients_is_not_told_again_because_of_the_other(database: Path) -> None:
    with MailSink.running() as mail:
        mail.refuses = "gone@example.org"
        to = "from=edge@example.org&to=ward@example.org,gone@example.org"
        for _ in range(3):
            alerts_of(database, mail.port, address=f"mailto://127.0.0.1:{mail.port}?{to}").look()
    assert mail.recipients == ["ward@example.org"]
    assert len(unknown(database)) == 1
