"""Sending through Apprise to a real ntfy-like server, a real webhook and a real mail server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from edge_agent.alerts.rules import DISCLAIMER, alert_text
from edge_agent.alerts.sending import AlertOptions, AlertSender, alert_options
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.config.settings import Settings
from edge_agent.core.clock import now
from edge_agent.store.write.alert_log import AlertEntry, AlertLog
from tests.support.alerts.sinks import MailSink, WebSink
from tests.support.broker import free_port, wait_until
from tests.support.timeline import database, query

RULE = RuleSettings(name="camera", when=AlertKind.CAMERA)
TEXT = "The camera gives no picture for 30 s."
SECRET = "a-secret-topic"
SENT = "SELECT event, tries, sent IS NOT NULL, error FROM alert_message ORDER BY event DESC"


def begin(alert_log: AlertLog) -> None:
    alert_log.begin(AlertEntry(0, "camera", "camera", TEXT, None, None, 0), now())


def options_of(rule: RuleSettings, device: str, addresses: tuple[str, ...]) -> AlertOptions:
    """Return options that send at once."""
    return AlertOptions(AlertSettings(rule=(rule,), notify_after=0, notify=addresses), device)


@contextmanager
def sending(alert_log: AlertLog, options: AlertOptions) -> Iterator[AlertSender]:
    sender = AlertSender(options, ["camera"], alert_log, first_retry_s=0.1)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()
        assert sender.join(60)


def test_ntfy_webhook_and_mail_are_told_that_it_began_and_that_it_is_over(tmp_path: Path) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    file = tmp_path / "addresses"
    with WebSink.running() as web, MailSink.running() as mail:
        ntfy = f"ntfy://127.0.0.1:{web.port}/{SECRET}"
        hook = f"json://127.0.0.1:{web.port}/hook"
        post = f"mailto://127.0.0.1:{mail.port}?from=edge@example.org&to=ward@example.org"
        file.write_text(f"# the ward\n{hook}\n{post}\n", encoding="utf-8")
        table = AlertSettings(rule=(RULE,), notify_after=0, notify=(ntfy,), notify_file=file)
        options = AlertOptions(table, "lab")
        begin(alert_log)
        with sending(alert_log, options):
            wait_until(lambda: len(query(path, SENT)) == 3, "three messages", 60)
            alert_log.end("camera", "over", now())
            wait_until(lambda: len(query(path, SENT)) == 6, "six messages", 60)
    assert query(path, SENT) == [("raised", 1, 1, "")] * 3 + [("ended", 1, 1, "")] * 3
    pushed = [post for _, post in web.posts if post.get("topic") == SECRET]
    assert pushed[0]["title"] == "Affect Edge lab: camera"
    assert TEXT in pushed[0]["message"] and DISCLAIMER in pushed[0]["message"]
    hooked = [post for where, post in web.posts if where == "/hook"]
    assert [(post["title"], post["type"]) for post in hooked] == [
        ("Affect Edge lab: camera", "warning"),
        ("Affect Edge lab: over: camera", "success"),
    ]
    assert [subject for subject, _ in mail.mails] == [post["title"] for post in hooked]
    assert TEXT in mail.mails[0][1]
    assert set(mail.recipients) == {"ward@example.org"}


def test_a_receiver_cannot_lead_a_message_elsewhere(tmp_path: Path) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    with WebSink.running() as receiver, WebSink.running() as other:
        receiver.leads_to = f"http://127.0.0.1:{other.port}/hook"
        hook = f"json://127.0.0.1:{receiver.port}/hook"
        options = options_of(RULE, "lab", (hook,))
        begin(alert_log)
        with sending(alert_log, options):
            wait_until(lambda: len(receiver.posts) >= 2, "two attempts", 60)
    assert other.posts == []
    reason = "Failed to send JSON POST notification: error=307."
    told = [(event, sent, error) for event, _, sent, error in query(path, SENT)]
    assert told == [("raised", 0, reason)], "it did not arrive, and is tried again"


def test_no_line_break_gets_into_the_head_of_a_mail(tmp_path: Path) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    with MailSink.running() as mail:
        post = f"mailto://127.0.0.1:{mail.port}?from=edge@example.org&to=ward@example.org"
        name = "lab\r\nBcc: eve@example.org\r\nSubject: another"
        options = options_of(RULE, name, (post,))
        begin(alert_log)
        with sending(alert_log, options):
            wait_until(lambda: len(query(path, SENT)) == 1, "a message", 60)
    assert set(mail.recipients) <= {"ward@example.org"}
    assert all("\n" not in subject and subject != "another" for subject, _ in mail.mails)


def test_messages_are_in_the_language_of_the_configuration(tmp_path: Path) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    with WebSink.running() as web:
        hook = f"json://127.0.0.1:{web.port}/hook"
        table = AlertSettings(rule=(RULE,), notify_after=0, notify=(hook,))
        options = AlertOptions(table, "lab", "de")
        text = alert_text(RULE, None, "The cable {is} loose.")
        alert_log.begin(AlertEntry(0, "camera", "camera", text, None, None, 0), now())
        with sending(alert_log, options):
            wait_until(lambda: len(query(path, SENT)) == 1, "a message", 60)
            alert_log.end("camera", "over", now())
            wait_until(lambda: len(query(path, SENT)) == 2, "the end", 60)
    assert query(path, SENT) == [("raised", 1, 1, ""), ("ended", 1, 1, "")]
    begun, ended = (post for _, post in web.posts)
    assert begun["title"] == "Affect Edge lab: camera"
    assert "Die Kamera liefert kein Bild (seit 10 s). The cable {is} loose." in begun["message"]
    assert "Dies ist kein medizinischer Alarm" in begun["message"]
    assert ended["title"] == "Affect Edge lab: vorbei: camera"


def test_the_language_is_that_of_the_dashboard_and_english_where_it_names_none() -> None:
    assert alert_options(Settings()).language == "en"
    german = Settings.model_validate({"dashboard": {"language": "de"}})
    assert alert_options(german).language == "de"


def test_what_is_not_reached_is_tried_again_said_and_arrives_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    port = free_port()
    ntfy = f"ntfy://ward:geheim99@127.0.0.1:{port}/{SECRET}"
    options = options_of(RULE, "lab", (ntfy,))
    begin(alert_log)
    with caplog.at_level(logging.INFO), sending(alert_log, options):
        wait_until(lambda: any(row[1] >= 2 for row in query(path, SENT)), "two attempts", 60)
        ((event, _tries, arrived, error),) = query(path, SENT)
        assert (event, arrived) == ("raised", 0)
        assert error
        with WebSink.running(port) as web:
            wait_until(lambda: query(path, SENT)[0][2] == 1, "the message", 60)
    assert [post["topic"] for _, post in web.posts] == [SECRET]
    said = [record.getMessage() for record in caplog.records if "alerts:" in record.getMessage()]
    assert said[0].startswith("alerts: not sent to ntfy 1 (127.0.0.1), tried again: ")
    assert said[1:] == ["alerts: sent to ntfy 1 (127.0.0.1) again"]
    told = caplog.text + str(query(path, "SELECT * FROM alert_message"))
    assert SECRET not in told and "geheim99" not in told


def test_an_address_that_nobody_knows_says_so(tmp_path: Path) -> None:
    path = database(tmp_path)
    alert_log = AlertLog(path)
    begin(alert_log)
    options = options_of(RULE, "lab", ("nosuch://somewhere",))
    with sending(alert_log, options):
        wait_until(lambda: len(query(path, SENT)) == 1, "an attempt", 60)
    assert "is no address that Apprise knows" in query(path, SENT)[0][3]


def test_rules_that_are_not_to_be_sent_are_not(tmp_path: Path) -> None:
    quiet_rule = RuleSettings(name="camera", when=AlertKind.CAMERA, notify=False)
    options = options_of(quiet_rule, "lab", ("nosuch://somewhere",))
    path = database(tmp_path)
    begin(AlertLog(path))
    sender = AlertSender(options, ["camera"], AlertLog(path))
    sender._send_due(options.targets())
    assert query(path, SENT) == []
