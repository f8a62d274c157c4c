"""The page Alerts, the banner and the feed: who sees what, who acknowledges."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Permission, Role
from dashboard.languages.current import speaking
from dashboard.web.authentication import Pass
from dashboard.web.routes.live import _alert_events
from edge_agent.alerts.rules import DISCLAIMER, alert_text
from edge_agent.alerts.sending import AlertOptions
from edge_agent.alerts.signals import SIMULATED
from edge_agent.config.alerts import AlertKind, AlertSettings, RuleSettings
from edge_agent.core.clock import now
from edge_agent.core.texts import Message
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.write.alert_log import AlertDelivery, AlertEntry, AlertLog
from tests.support.dashboard import client_of, log_in_as, services_of, set_up
from tests.support.timeline import query

TOPIC = "secret-topic"
OPTIONS = AlertOptions(
    AlertSettings(
        rule=(RuleSettings(name="camera", when=AlertKind.CAMERA, seconds=30),),
        notify=(f"ntfy://push.example.org/{TOPIC}",),
    )
)


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    """The administrator, over a log in which one alert stands and one has ended."""
    client = set_up(client_of(tmp_path, alerts=OPTIONS), tmp_path)
    log = AlertLog(tmp_path / "affect-edge.db")
    log.begin(AlertEntry(0, "hr", "vital", "Heart rate <b>high</b>.", 131.0, None, 0), now())
    log.end("hr", "not_known", now())
    log.begin(AlertEntry(0, "camera", "camera", "No picture.", None, None, 0), now())
    target = OPTIONS.targets()[0].name
    log.note_delivery(2, AlertDelivery("raised", target, 4, None, "refused"))
    return client


def test_page_and_api_say_what_stands_what_was(ada: TestClient) -> None:
    page = ada.get("/alerts").text
    assert DISCLAIMER.replace("'", "&#39;") in page
    assert "Tell me when the camera gives no picture for 30 s" in page
    assert '<th scope="row">hr</th>' in page, "the name that somebody gave"
    assert "No picture." in page and "Heart rate &lt;b&gt;high&lt;/b&gt;." in page
    assert "no longer known" in page and "At the start: 131." in page
    told = ada.get("/api/v1/alerts").json()
    assert told["disclaimer"] == DISCLAIMER
    assert [(one["rule"], one["sent"], one["not_sent"]) for one in told["alerts"]] == [
        ("camera", 0, 1),
        ("hr", 0, 0),
    ]
    assert [one["rule"] for one in ada.get("/api/v1/alerts?state=open").json()["alerts"]] == [
        "camera"
    ]
    assert ada.get("/api/v1/alerts?kind=&state=&start=&end=").json()["matching"] == 2
    assert ada.get("/api/v1/alerts?kind=moon").status_code == 422
    assert ada.get("/alerts?page=9").status_code == 200


def test_alert_perhaps_sent_is_shown_apart_from_not_sent(ada: TestClient, tmp_path: Path) -> None:
    target = OPTIONS.targets()[0].name
    log = AlertLog(tmp_path / "affect-edge.db")
    log.note_delivery(2, AlertDelivery("raised", target, 1, None, ""))
    (shown, _) = ada.get("/api/v1/alerts").json()["alerts"]
    assert (shown["sent"], shown["not_sent"], shown["perhaps_sent"]) == (0, 0, 1)
    assert "perhaps sent, and not sent again" in ada.get("/alerts").text


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ({"when": "disk", "below": 500}, "No face and no reading is watched."),
        ({"when": "face"}, "the rules below watch this device, or faces and readings"),
    ],
)
def test_alerts_page_without_address_says_that_nobody_gets_a_message(
    tmp_path: Path, rule: dict[str, object], text: str
) -> None:
    options = AlertOptions(AlertSettings.model_validate({"rule": [{"name": "one"} | rule]}))
    page = set_up(client_of(tmp_path, alerts=options), tmp_path).get("/alerts").text
    assert text in page
    said = page.index("Nobody gets a message: alerts are shown on this dashboard.")
    assert page.index("What is watched") < said < page.index("Tell me when")
    assert "alerts.notify_file" in page


def test_alerts_page_without_configuration_says_why_no_rule_can_be_made(tmp_path: Path) -> None:
    ada = set_up(client_of(tmp_path), tmp_path)
    why = "No rule can be added or changed here, because there is no configuration file"
    page = ada.get("/alerts").text
    assert why in page
    assert "Add a rule" not in page
    viewer = log_in_as(ada, Role.VIEWER)
    assert why not in viewer.get("/alerts").text


def test_alerts_page_unreadable_file_of_addresses_is_reported(tmp_path: Path) -> None:
    options = AlertOptions(AlertSettings(notify_file=tmp_path / "gone"))
    page = set_up(client_of(tmp_path, alerts=options), tmp_path).get("/alerts").text
    assert "cannot be read: nothing is sent" in page
    assert "Nobody gets a message" not in page


def test_the_banner_is_on_every_page_until_somebody_acknowledges(ada: TestClient) -> None:
    assert '<li data-alert="2">' in ada.get("/trends").text
    assert '<li data-alert="1">' not in ada.get("/trends").text
    answer = ada.post("/alerts/2/acknowledge", headers={"origin": "http://127.0.0.1"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")
    page = ada.get("/trends").text
    assert "data-alert" not in page and 'role="alert" hidden' in page


def test_viewers_see_operators_acknowledge(ada: TestClient, tmp_path: Path) -> None:
    viewer = log_in_as(ada, Role.VIEWER)
    seen = viewer.get("/alerts").text
    assert "No picture." in seen and "not sent" in seen
    assert "Acknowledge</button>" not in seen
    assert "push.example.org" not in seen and "refused" not in seen
    assert "Alerts are sent to 1 address: ntfy." in seen
    origin = {"origin": "http://127.0.0.1"}
    refused = viewer.post("/api/v1/alerts/2/acknowledge", headers=origin)
    assert refused.status_code == 403
    operator = log_in_as(ada, Role.OPERATOR)
    done = operator.post("/api/v1/alerts/2/acknowledge", headers=origin).json()
    assert done["acknowledged_by"] == "operator"
    database = tmp_path / "affect-edge.db"
    assert query(database, "SELECT actor, detail FROM audit WHERE action LIKE 'alert%'") == [
        ("operator", "2 camera")
    ]
    assert operator.post("/api/v1/alerts/9/acknowledge", headers=origin).status_code == 409
    everything = ada.get("/alerts").text
    assert "Alerts are sent to 1 address: ntfy 1 (push.example.org)." in everything
    assert TOPIC not in everything and TOPIC not in ada.get("/api/v1/alerts").text


def test_the_feed_tells_alerts_at_once_and_again_when_they_change(
    ada: TestClient, tmp_path: Path
) -> None:
    services = services_of(ada)

    async def listen() -> list[list[str]]:
        events = _alert_events(services, Pass("", Permission.SEE))
        assert await anext(events) == "retry: 2000\n\n"
        told = [await anext(events)]
        AlertLog(tmp_path / "affect-edge.db").end("camera", "over", now())
        told.append(await anext(events))
        await events.aclose()
        documents = [json.loads(event.split("data: ")[1]) for event in told]
        return [[alert["rule"] for alert in document["open"]] for document in documents]

    assert asyncio.run(listen()) == [["camera"], []]


GERMAN = {"Accept-Language": "de"}
HEART_RATE = RuleSettings(
    name="pulse", when=AlertKind.VITAL, vital=VitalKind.HEART_RATE, above=120.5, seconds=10
)


def test_each_reader_gets_the_sentence_in_their_language_and_old_ones_stay(
    ada: TestClient, tmp_path: Path
) -> None:
    text = alert_text(HEART_RATE, 131.0, Message(SIMULATED))
    log = AlertLog(tmp_path / "affect-edge.db")
    log.begin(AlertEntry(0, "pulse", "vital", text, 131.0, None, 0), now())
    german = "Herzfrequenz über 120,5 /min (seit 10 s). Die Messwerte sind simuliert."
    page = ada.get("/alerts", headers=GERMAN).text
    assert page.count(german) == 3  # in the banner, among those that stand, in the log
    assert "No picture." in page and "kein medizinischer Alarm" in page
    assert DISCLAIMER.replace("'", "&#39;") not in page
    assert text in ada.get("/alerts").text
    told = ada.get("/api/v1/alerts?state=open", headers=GERMAN).json()["alerts"]
    assert [one["text"] for one in told] == [german, "No picture."]
    alerts = services_of(ada).alerts
    assert alerts.event() == "" or text in alerts.event()
    alerts.standing()
    with speaking("de"):
        assert german in json.loads(alerts.event().split("data: ")[1])["open"][1]["text"]
    assert text in alerts.event()
