"""Letters about a person's week: consent, addresses, a real mail server, and the clock."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from dashboard.accounts.letters import LetterPeriod
from dashboard.accounts.roles import Role
from edge_agent.core.expression import Emotion
from edge_agent.core.study import NewSession, Purpose
from edge_agent.timeline.database.dashboard_file import dashboard_file
from tests.support.alerts.sinks import MailSink
from tests.support.broker import free_port
from tests.support.dashboard import consenting, log_in_as, services_of
from tests.support.letters import DAUGHTER, MONDAY, NURSE, planned, sender_of
from tests.support.timeline import add, instant, query, query_dashboard, reading, row

PAGE = "/study/participants/P-01/letter"
API = "/api/v1/participants/P-01/letter"
AGREED = {"addresses": DAUGHTER, "every": "week", "language": "en", "agreed": "yes"}
AGREED["text_version"] = "letter 2"
SENT = "SELECT action, detail FROM audit WHERE action LIKE 'letter_%' ORDER BY id"


def recorded(path: Path) -> None:
    """Write a session of ten minutes of P-01: neutral, then sad."""
    study = consenting(path)
    study.start_session(NewSession("P-01", Purpose.PERSONAL), instant(0))
    study.end_session(instant(600))
    shown = [Emotion.NEUTRAL if s < 300 else Emotion.SADNESS for s in range(600)]
    add(path, [row(s, one) for s, one in enumerate(shown)], [reading(s, 70.0) for s in range(600)])


@pytest.mark.parametrize(
    ("every", "now", "until"),
    [
        (LetterPeriod.WEEK, "2026-11-30T06:59", "2026-11-22"),
        (LetterPeriod.WEEK, "2026-11-30T07:00", "2026-11-29"),
        (LetterPeriod.WEEK, "2026-12-06T23:59", "2026-11-29"),
        (LetterPeriod.MONTH, "2026-12-06T23:59", "2026-11-01"),
        (LetterPeriod.MONTH, "2026-12-07T07:00", "2026-12-06"),
        (LetterPeriod.MONTH, "2026-06-01T06:00", "2026-05-03"),
    ],
)
def test_period_of_letters_ends_on_sunday_and_differs_from_monday_at_seven(
    every: LetterPeriod, now: str, until: str
) -> None:
    assert every.until(datetime.fromisoformat(now)) == date.fromisoformat(until)


def test_letter_is_sent_once_to_each_address_and_to_nobody_else(
    ada: TestClient, database: Path
) -> None:
    recorded(database)
    planned(database, "de")
    with MailSink.running() as mail:
        sender_of(database, mail.port, datetime(2026, 9, 27, 23, tzinfo=UTC)).send_due()
        assert mail.mails == [], "the week is not over"
        sender_of(database, mail.port).send_due()
        sender_of(database, mail.port).send_due()
    assert sorted(mail.recipients) == [DAUGHTER, NURSE]
    subject, text = mail.mails[0]
    assert subject == "Affect Edge: P-01, 21.09.2026 bis 27.09.2026"
    for part in ("5 min", "70", "1 von 7 Tagen", "Mo 21.09.2026", "hall", "nicht getestet"):
        assert part in text, text
    with Image.open(BytesIO(mail.pictures[0])) as picture:
        colours = {colour for _, colour in picture.getcolors(1 << 20) or ()}
        assert picture.format == "PNG" and (150, 146, 156) in colours and (42, 128, 238) in colours
    assert query(database, SENT) == [("letter_send", "P-01 until 2026-09-27 to 2 addresses")]


def test_letter_that_is_not_taken_is_reported_in_health_and_sent_later(
    ada: TestClient, database: Path
) -> None:
    recorded(database)
    planned(database)
    port = free_port()
    sender_of(database, port).send_due()
    (failed,) = ada.get("/api/v1/health").json()["letters_failed"]
    assert (failed["participant"], failed["addresses"]) == ("P-01", 2)
    assert "daughter" not in failed["error"] and failed["error"]
    page = ada.get("/health").text
    assert "The letter about P-01 was not sent to 2 addresses" in page and DAUGHTER not in page
    assert "not sent" in ada.get(PAGE).text
    with MailSink.running() as mail:
        sender_of(database, mail.port, MONDAY.replace(minute=5)).send_due()
        assert mail.mails == [], "tried again after ten minutes"
        sender_of(database, mail.port, MONDAY.replace(minute=11)).send_due()
    assert sorted(mail.recipients) == [DAUGHTER, NURSE]
    assert ada.get("/api/v1/health").json()["letters_failed"] == []


def test_letter_perhaps_sent_is_shown_and_not_sent_again(ada: TestClient, database: Path) -> None:
    consenting(database)
    planned(database)
    with MailSink.running() as mail:
        mail.silent = True
        for minute in (0, 30):
            sender_of(database, mail.port, MONDAY.replace(minute=minute)).send_due()
        assert sorted(mail.recipients) == [DAUGHTER, NURSE]
    (shown,) = ada.get("/api/v1/health").json()["letters_failed"]
    assert (shown["addresses"], shown["perhaps_sent"], shown["error"]) == (2, True, "")
    assert "The letter about P-01 was perhaps sent to 2 addresses" in ada.get("/health").text
    assert "perhaps sent" in ada.get(PAGE).text
    addresses = ada.get(API).json()["addresses"]
    assert all(one["perhaps_sent"] and one["sent"] is None for one in addresses)
    noted = [("letter_send", "P-01 until 2026-09-27 perhaps to 2 addresses")]
    assert query(database, SENT) == noted


def test_letters_that_wait_for_the_disk_are_shown_in_health(
    ada: TestClient, database: Path
) -> None:
    consenting(database)
    planned(database)
    with closing(sqlite3.connect(dashboard_file(database))) as connection:
        connection.execute(
            "CREATE TRIGGER full BEFORE UPDATE ON letter_address BEGIN SELECT RAISE(FAIL, 'full'); "
            "END"
        )
    services_of(ada).letter_sender.look()
    (shown,) = ada.get("/api/v1/health").json()["letters_failed"]
    assert (shown["participant"], shown["addresses"], shown["perhaps_sent"]) == ("P-01", 2, False)
    assert "full" in shown["error"]


def test_letter_failure_is_reported_in_the_language_of_the_reader(
    ada: TestClient, database: Path
) -> None:
    recorded(database)
    planned(database)
    sender_of(database, free_port(), file=Path("/nowhere/addresses")).send_due()
    for path in ("/health", PAGE):
        page = unescape(ada.get(path, headers={"accept-language": "de"}).text)
        assert "alerts.notify_file ist nicht lesbar" in page and "[Errno" in page, path
    answer = ada.get(API, headers={"accept-language": "es"}).json()
    assert "alerts.notify_file no se puede leer" in answer["addresses"][0]["error"]


def test_nobody_gets_a_letter_without_consent_of_own_and_one_to_recording(
    ada: TestClient, database: Path
) -> None:
    consenting(database)
    assert ada.get(API).json() is None and "E-mail addresses" in ada.get(PAGE).text
    refused = ada.post(PAGE, data=AGREED | {"agreed": ""})
    assert refused.status_code == 409 and "Tick the box" in refused.text
    assert DAUGHTER in refused.text, "what was typed is kept"
    assert ada.post(PAGE, data=AGREED).status_code == 303
    told = ada.get(API).json()
    assert (told["every"], told["text_version"]) == ("week", "letter 2")
    nothing = {"sent": None, "error": "", "perhaps_sent": None}
    assert told["addresses"] == [{"address": DAUGHTER, **nothing}]
    due = services_of(ada).letters.of("P-01")
    assert due is not None
    assert not due.addresses[0].is_due(services_of(ada).letter_sender.until(due), 1 << 50)
    ada.post("/study/participants/P-01/withdraw")
    assert "No letter is sent meanwhile" in ada.get(PAGE).text
    sender_of(database, free_port(), datetime(2100, 1, 1, tzinfo=UTC)).send_due()
    assert ada.get("/api/v1/health").json()["letters_failed"] == [], "it was not even tried"
    assert ada.post(f"{API}/test").status_code == 409
    assert ada.post(f"{PAGE}/take-back").status_code == 303
    assert ada.get(API).json() is None
    lines = [("letter_set", "P-01 by week to 1 addresses, letter 2"), ("letter_stop", "P-01")]
    assert query(database, SENT) == lines
    operator = log_in_as(ada, Role.OPERATOR)
    assert operator.get(PAGE).status_code == operator.get(API).status_code == 403


@pytest.mark.parametrize(
    ("addresses", "why"),
    [
        ("ntfy://a-secret-topic", "ntfy: letters hold measured values, so they go to e-mail"),
        ("jsons://hooks.example.org/x", "jsons: letters hold measured values"),
        ("ward", "'ward' is no e-mail address"),
        ("a@example.org?to=b@example.org", "is no e-mail address"),
        ("", "at least one e-mail address"),
        ("\n".join(f"x@a{n}.org" for n in range(6)), "go to 5 addresses at most"),
    ],
)
def test_only_few_email_addresses_are_taken(
    ada: TestClient, database: Path, addresses: str, why: str
) -> None:
    consenting(database)
    page = ada.post(PAGE, data=AGREED | {"addresses": addresses}).text
    problem = re.search(r'id="addresses-problem">([^<]*)<', page)
    assert problem and why in unescape(problem[1])
    assert ada.get(API).json() is None


def test_letter_as_a_test_counts_as_none_and_says_what_is_missing(
    ada: TestClient, database: Path
) -> None:
    consenting(database)
    ada.post(PAGE, data=AGREED)
    assert "No mail server is known" in ada.post(f"{PAGE}/test").text
    with MailSink.running() as mail:
        services = services_of(ada)
        plan = services.letters.of("P-01")
        assert plan is not None
        sender = sender_of(database, mail.port, datetime.now(UTC))
        until = sender.until(plan)
        assert sender.send(plan, [DAUGHTER], until, title="Test: {title}") == [""]
    ((subject, text),) = mail.mails
    assert subject.startswith("Test: Affect Edge: P-01, ") and "Nothing was recorded." in text
    assert mail.pictures == [] and ada.get(API).json()["addresses"][0]["sent"] is None


def test_erasing_a_participant_erases_letters_and_the_code_in_the_trail(
    ada: TestClient, database: Path
) -> None:
    consenting(database)
    ada.post(PAGE, data=AGREED)
    ada.post("/study/participants/P-01/erase", data={"typed": "P-01"})
    assert query_dashboard(database, "SELECT count(*) FROM letter_address") == [(0,)]
    assert query(database, SENT) == [("letter_set", "(erased) by week to 1 addresses, letter 2")]
    consenting(database)
    assert ada.get(API).json() is None, "somebody else with that code"
