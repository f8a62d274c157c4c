"""Sending through Apprise to a real ntfy-like server, a real webhook and a real mail server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

import psutil
import pytest

from edge_agent.alerts.rules import DISCLAIMER, alert_text
from edge_agent.alerts.sending import (
    AlertOptions,
    AlertSender,
    Post,
    alert_options,
    post,
    targets_of,
)
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.config.settings import Settings
from edge_agent.core.addresses import MessageAddress
from edge_agent.core.clock import now
from edge_agent.timeline.write.alert_log import AlertEntry, AlertLog
from tests.support.alerts.sinks import MailSink, WebSink
from tests.support.broker import free_port, wait_until
from tests.support.timeline import query, timeline

RULE = RuleSettings(name="camera", when=AlertKind.CAMERA)
SECRET = "a-secret-topic"
SENT = "SELECT event, tries, sent IS NOT NULL, error FROM alert_message ORDER BY event DESC"
TO_WARD = "from=edge@example.org&to=ward@example.org"
Sent = Callable[[], list[tuple[str, int, int, str]]]


def options_of(*addresses: str, device: str = "lab", language: str = "en") -> AlertOptions:
    """Return options that send at once."""
    table = AlertSettings(rule=(RULE,), notify_after=0, notify=addresses)
    return AlertOptions(table, device, language)


@pytest.fixture
def alert_log(tmp_path: Path) -> AlertLog:
    """A log with an alert that stands."""
    log = AlertLog(timeline(tmp_path))
    text = alert_text(RULE, None, "The cable {is} loose.")
    log.begin(AlertEntry(0, "camera", "camera", text, None, None, 0), now())
    return log


@pytest.fixture
def sent(tmp_path: Path, alert_log: AlertLog) -> Sent:
    """Tells of each message its event, the tries, whether it arrived, and what was wrong."""
    return lambda: query(tmp_path / "affect-edge.db", SENT)


def arrived(sent: Sent) -> int:
    """Return how many messages arrived."""
    return sum(one[2] for one in sent())


def failures(sent: Sent) -> list[tuple[str, int, str]]:
    """Return event, tries and reason of the messages that were refused."""
    return [(event, tries, error) for event, tries, _, error in sent() if error]


@contextmanager
def sending(alert_log: AlertLog, options: AlertOptions) -> Iterator[None]:
    sender = AlertSender(options, ["camera"], alert_log, retries_s=(0.1, 0.2))
    sender.start()
    try:
        yield
    finally:
        sender.stop()
        assert sender.join(60)


def test_ntfy_webhook_and_mail_are_told_that_it_began_and_that_it_is_over(
    tmp_path: Path, alert_log: AlertLog, sent: Sent
) -> None:
    file = tmp_path / "addresses"
    with WebSink.running() as web, MailSink.running() as mail:
        ntfy = f"ntfy://127.0.0.1:{web.port}/{SECRET}"
        hook = f"json://127.0.0.1:{web.port}/hook"
        file.write_text(f"# the ward\n{hook}\nmailto://127.0.0.1:{mail.port}?{TO_WARD}\n")
        table = AlertSettings(rule=(RULE,), notify_after=0, notify=(ntfy,), notify_file=file)
        with sending(alert_log, AlertOptions(table, "lab")):
            wait_until(lambda: arrived(sent) == 3, "three messages")
            alert_log.end("camera", "over", now())
            wait_until(lambda: arrived(sent) == 6, "six messages")
    assert sent() == [("raised", 1, 1, "")] * 3 + [("ended", 1, 1, "")] * 3
    pushed = [post for _, post in web.posts if post.get("topic") == SECRET]
    assert pushed[0]["title"] == "Affect Edge lab: Camera"
    text = "No picture from the camera for 10 s. The cable {is} loose."
    assert text in pushed[0]["message"] and DISCLAIMER in pushed[0]["message"]
    hooked = [post for where, post in web.posts if where == "/hook"]
    assert [(post["title"], post["type"]) for post in hooked] == [
        ("Affect Edge lab: Camera", "warning"),
        ("Affect Edge lab: over: Camera", "success"),
    ]
    assert [subject for subject, _ in mail.mails] == [post["title"] for post in hooked]
    assert text in mail.mails[0][1]
    assert set(mail.recipients) == {"ward@example.org"}


def test_a_receiver_cannot_lead_a_message_elsewhere(alert_log: AlertLog, sent: Sent) -> None:
    with WebSink.running() as receiver, WebSink.running() as other:
        receiver.leads_to = f"http://127.0.0.1:{other.port}/hook"
        with sending(alert_log, options_of(f"json://127.0.0.1:{receiver.port}/hook")):
            wait_until(lambda: len(receiver.posts) >= 2, "two attempts")
            wait_until(lambda: bool(failures(sent)), "the reason")
    assert other.posts == []
    reason = "Failed to send JSON POST notification: error=307."
    told = [(event, arrived, error) for event, _, arrived, error in sent()]
    assert told == [("raised", 0, reason)], "it did not arrive, and is tried again"


def test_no_line_break_gets_into_the_head_of_a_mail(alert_log: AlertLog, sent: Sent) -> None:
    name = "lab\r\nBcc: eve@example.org\r\nSubject: another"
    with MailSink.running() as mail:
        options = options_of(f"mailto://127.0.0.1:{mail.port}?{TO_WARD}", device=name)
        with sending(alert_log, options):
            wait_until(lambda: bool(mail.mails), "a message")
    assert set(mail.recipients) <= {"ward@example.org"}
    assert all("\n" not in subject and subject != "another" for subject, _ in mail.mails)


def test_messages_are_in_the_language_of_the_configuration(alert_log: AlertLog, sent: Sent) -> None:
    assert alert_options(Settings()).language == "en"
    german = Settings.model_validate({"dashboard": {"language": "de"}})
    language = alert_options(german).language
    with WebSink.running() as web:
        hook = f"json://127.0.0.1:{web.port}/hook"
        with sending(alert_log, options_of(hook, language=language)):
            wait_until(lambda: arrived(sent) == 1, "a message")
            alert_log.end("camera", "over", now())
            wait_until(lambda: arrived(sent) == 2, "the end")
    begun, ended = (post for _, post in web.posts)
    assert begun["title"] == "Affect Edge lab: Kamera"
    assert "Kein Bild von der Kamera (seit 10 s). The cable {is} loose." in begun["message"]
    assert "Dies ist kein medizinischer Alarm" in begun["message"]
    assert ended["title"] == "Affect Edge lab: vorbei: Kamera"


def test_unreachable_address_is_reported_and_tried_again(
    tmp_path: Path, alert_log: AlertLog, sent: Sent, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    options = options_of(f"ntfy://ward:geheim99@127.0.0.1:{port}/{SECRET}")
    with caplog.at_level(logging.INFO), sending(alert_log, options):
        wait_until(lambda: any(tries >= 2 for _, tries, _ in failures(sent)), "two attempts")
        with WebSink.running(port) as web:
            wait_until(lambda: sent()[0][2] == 1, "the message")
    assert [post["topic"] for _, post in web.posts] == [SECRET]
    said = [record.getMessage() for record in caplog.records if "alerts:" in record.getMessage()]
    assert said[0].startswith("alerts: not sent to ntfy 1 (127.0.0.1), tried again: ")
    assert said[1:] == ["alerts: sent to ntfy 1 (127.0.0.1) again"]
    told = caplog.text + str(query(tmp_path / "affect-edge.db", "SELECT * FROM alert_message"))
    assert SECRET not in told and "geheim99" not in told


def test_an_address_that_nobody_knows_says_so(alert_log: AlertLog, sent: Sent) -> None:
    with sending(alert_log, options_of("nosuch://somewhere")):
        wait_until(lambda: bool(failures(sent)), "an attempt")
    assert "is no address that Apprise knows" in sent()[0][3]


def test_sending_that_must_stop_ends_process_and_says_that_nothing_arrived() -> None:
    before = psutil.Process().children()
    stopping = Event()
    stopping.set()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        (target,) = targets_of([MessageAddress(f"json://127.0.0.1:{silent.getsockname()[1]}/hook")])
        errors = post([Post(target, "title", "body")] * 2, stopping)
    assert errors == ["no answer in time"] * 2
    assert psutil.Process().children() == before


def test_rules_that_are_not_to_be_sent_are_not(alert_log: AlertLog, sent: Sent) -> None:
    quiet = RULE.model_copy(update={"notify": False})
    options = AlertOptions(
        AlertSettings(rule=(quiet,), notify_after=0, notify=("nosuch://somewhere",))
    )
    AlertSender(options, ["camera"], alert_log).send_due(options.targets())
    assert sent() == []
