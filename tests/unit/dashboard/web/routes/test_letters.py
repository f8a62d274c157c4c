"""Letters about a person's week: consent, addresses, a real mail server, and the clock."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from html import unescape
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from starlette.testclient import TestClient

from dashboard.accounts.letters import Addressed, Every, LetterPlan, Letters
from dashboard.accounts.roles import Role
from dashboard.charts.week_png import COLOURS
from dashboard.web.delivery import STATIC
from dashboard.web.letters import LetterSender
from dashboard.web.settings import DashboardOptions
from edge_agent.alerts.sending import AlertOptions
from edge_agent.config.alerts import AlertSettings
from edge_agent.core.expression import Emotion
from edge_agent.core.study import Purpose
from edge_agent.store.gate.commands import Commands
from edge_agent.store.study.people import list_entry_of
from tests.support.alerts.sinks import MailSink
from tests.support.broker import free_port
from tests.support.dashboard import consenting, log_in_as, services_of, shared_computing
from tests.support.timeline import add, instant, query, query_dashboard, reading, row

DAUGHTER, NURSE = "daughter@example.org", "nurse@example.net"
PAGE = "/study/participants/P-01/letter"
API = "/api/v1/participants/P-01/letter"
AGREED = {"addresses": DAUGHTER, "every": "week", "language": "en", "agreed": "yes"}
AGREED["text_version"] = "letter 2"
SUNDAY = date(2026, 9, 27)
"""Of the week of the made timeline, which begins with a Monday."""
MONDAY = datetime(2026, 9, 28, 12, tzinfo=UTC)
SENT = "SELECT action, detail FROM audit WHERE action LIKE 'letter_%' ORDER BY id"


def recorded(path: Path) -> None:
    """Write a session of ten minutes of P-01: neutral, then sad."""
    study = consenting(path)
    study.start_session("P-01", Purpose.PERSONAL, "", instant(0))
    study.end_session(instant(600))
    shown = [Emotion.NEUTRAL if s < 300 else Emotion.SADNESS for s in range(600)]
    add(path, [row(s, one) for s, one in enumerate(shown)], [reading(s, 70.0) for s in range(600)])


def planned(path: Path, language: str = "en", every: Every = Every.WEEK) -> LetterPlan:
    """Have letters about P-01 sent to two addresses, from the made week on."""
    addresses = tuple(Addressed(one, date(2026, 9, 20)) for one in (DAUGHTER, NURSE))
    plan = LetterPlan(list_entry_of(path, "P-01"), every, language, "letter 2", 1, addresses)
    Letters(path).set(plan)
    return plan


def sender_of(
    path: Path, port: int, at: datetime = MONDAY, file: Path | None = None
) -> LetterSender:
    """Return a sender, as after a start, that takes it for a time of the made weeks."""
    notify = ("ntfy://a-topic", f"mailto://127.0.0.1:{port}/ward@example.org?from=edge@example.org")
    alerts = AlertOptions(AlertSettings(notify=notify, notify_file=file))
    options = DashboardOptions(data=path.parent, device="hall", alerts=alerts)
    now_ms = int(at.timestamp() * 1000)
    computing, commands = shared_computing(), Commands(path)
    return LetterSender(options, Letters(path), computing, commands, lambda: now_ms)


@pytest.mark.parametrize(
    ("every", "now", "until"),
    [
        (Every.WEEK, "2026-11-30T06:59", "2026-11-22"),
        (Every.WEEK, "2026-11-30T07:00", "2026-11-29"),
        (Every.WEEK, "2026-12-06T23:59", "2026-11-29"),
        (Every.MONTH, "2026-12-06T23:59", "2026-11-01"),
        (Every.MONTH, "2026-12-07T07:00", "2026-12-06"),
        (Every.MONTH, "2026-06-01T06:00", "2026-05-03"),
    ],
)
def test_period_of_letters_ends_on_a_sunday_and_is_told_from_monday_at_seven(
    every: Every, now: str, until: str
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


def test_letter_that_is_not_taken_is_told_in_health_and_sent_later(
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


def test_letter_failure_is_told_in_the_language_of_the_reader(
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


def test_nobody_gets_a_letter_without_a_consent_of_its_own_and_the_one_to_recording(
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
    assert told["addresses"] == [{"address": DAUGHTER, "sent": None, "error": ""}]
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


def test_colours_of_the_picture_are_those_of_the_style_sheet() -> None:
    sheet = (STATIC / "app.css").read_text(encoding="utf-8")
    colours: dict[str, str] = {}
    for name, colour in re.findall(r"--emotion-(\w+): (#\w{6});", sheet):
        colours.setdefault(name, colour)
    assert colours == COLOURS
