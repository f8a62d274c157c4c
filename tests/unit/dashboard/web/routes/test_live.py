"""The event stream: the agent's messages as they come, and when it ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.accounts import create_login_link
from dashboard.accounts.roles import Permission, Role, Scope
from dashboard.accounts.tokens import NewToken
from dashboard.web.agent_feed import agent_messages
from dashboard.web.alert_watching import DashboardAlerts
from dashboard.web.app import create_app
from dashboard.web.authentication import Pass, still_holds
from dashboard.web.options import DashboardOptions
from dashboard.web.routes import live, protocol
from dashboard.web.routes.live import _events
from dashboard.web.services import Services
from edge_agent.core import clock
from edge_agent.core.expression import Emotion
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, NewSession, Purpose
from edge_agent.core.vitals import VitalKind
from edge_agent.live.feed import LiveServer
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.dashboard_file import write_dashboard
from edge_agent.timeline.write.inserts import write_vitals
from edge_agent.vision.models.card import known_cards
from tests.support.dashboard import consenting, fill
from tests.support.timeline import observation, reading, recognition, timeline

DEADLINE_S = 60.0


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[LiveServer]:
    """The agent's side of the live feed."""
    server = LiveServer(DashboardOptions(data=tmp_path).live_socket)
    server.start()
    yield server
    server.stop()
    assert server.join(DEADLINE_S)


@pytest.fixture
def services(tmp_path: Path) -> Services:
    """What the routes share."""
    made: Services = create_app(DashboardOptions(data=tmp_path)).state.services
    return made


def token_of(services: Services) -> str:
    """A login."""
    link = create_login_link(services.options.database).removeprefix("/login?link=")
    return services.accounts.log_in(services.accounts.follow_link(link))


async def until(stream: AsyncIterator[str], beginning: str) -> str:
    """Return the first piece of the stream that begins so."""
    async with asyncio.timeout(DEADLINE_S):
        async for piece in stream:
            if piece.startswith(beginning):
                return piece
    raise AssertionError(f"the stream ended without {beginning!r}")


def data_of(piece: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(piece.split("data: ", 1)[1])
    return found


def test_what_the_agent_says_reaches_the_page_as_events(
    services: Services, agent: LiveServer
) -> None:
    agent.publish_recognition(recognition(0, observation(Emotion.HAPPINESS)))
    agent.publish_vital(reading(0, 71.0))

    async def listen() -> None:
        stream = _events(services, Pass("", Permission.SEE))
        assert await anext(stream) == "retry: 2000\n\n", "the browser is told when to come back"
        face = data_of(await until(stream, "event: expression\n"))
        assert face["faces"][0]["emotion"] == "happiness"
        assert "picture" not in face and "image" not in face
        await stream.aclose()
        stream = _events(services, Pass("", Permission.SEE))
        assert data_of(await until(stream, "event: vital\n"))["value"] == 71.0
        await stream.aclose()

    asyncio.run(listen())


def test_a_stream_goes_on_while_its_login_lasts_and_ends_with_it(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.02)
    token = token_of(services)

    async def listen() -> None:
        stream = _events(services, Pass(token, Permission.SEE))
        await until(stream, ": still here")
        services.accounts.log_out(token)
        async with asyncio.timeout(DEADLINE_S):
            async for _ in stream:
                pass

    asyncio.run(listen())


def become_a_carer(services: Services, number: int) -> None:
    services.members.set_role(number, Role.CARER, "ada")


def be_asked_for_another_password(services: Services, number: int) -> None:
    with write_dashboard(services.options.database) as connection:
        connection.execute("UPDATE account SET must_change = 1 WHERE id = ?", (number,))


STREAMS = {
    "live": (live._events, Permission.SEE),
    "alerts": (live._alert_events, Permission.SEE),
    "protocol": (protocol._events, Permission.RUN),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("by_token", [False, True], ids=["login", "token"])
def test_stream_ends_when_its_login_or_token_loses_the_role(
    services: Services, monkeypatch: pytest.MonkeyPatch, stream: str, by_token: bool
) -> None:
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.02)
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(protocol, "SIGN_OF_LIFE_S", 0.02)
    monkeypatch.setattr(DashboardAlerts, "LOOK_S", 0.02)
    services.members.add_with_link("eve", Role.OPERATOR, "ada")
    eve = services.accounts.named_by_proxy("eve")
    if by_token:
        new = NewToken("eye", frozenset({Scope.READ}), Role.OPERATOR)
        key = services.tokens.tokens.make(new, eve)
    else:
        key = services.accounts.log_in(eve)
    events, permission = STREAMS[stream]

    async def listen() -> None:
        stream = events(services, Pass(key, permission))
        await until(stream, ": still here")
        become_a_carer(services, eve.id)
        async with asyncio.timeout(DEADLINE_S):
            async for _ in stream:
                pass

    asyncio.run(listen())


@pytest.mark.parametrize("lose", [become_a_carer, be_asked_for_another_password])
def test_pass_of_a_login_holds_for_what_the_account_may_now(
    services: Services, lose: Callable[[Services, int], None]
) -> None:
    services.members.add_with_link("eve", Role.OPERATOR, "ada")
    eve = services.accounts.named_by_proxy("eve")
    held = Pass(services.accounts.log_in(eve), Permission.RUN)
    assert still_holds(services, held)
    lose(services, eve.id)
    assert not still_holds(services, held)


def test_a_stream_ends_when_the_database_has_gone(
    services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK_SECONDS", 0.02)
    services.options.database.unlink()

    async def listen() -> None:
        async with asyncio.timeout(DEADLINE_S):
            async for _ in _events(services, Pass("any", Permission.SEE)):
                pass

    asyncio.run(listen())


@pytest.mark.parametrize(("prior", "least"), [("fitted", 0.69), ("data", 0.76)])
def test_live_page_names_what_a_name_needs_of_the_model_in_use(
    prior: str, least: float, ada: TestClient, database: Path, tmp_path: Path
) -> None:
    def start() -> dict[str, Any]:
        text = ada.get("/live").text.split('id="live-start">')[1].split("</script>")[0]
        found: dict[str, Any] = json.loads(text)
        return found

    assert start()["least"] is None, "no model has read a face"
    sha256, text = next(
        (sha256, text)
        for sha256, text in known_cards(DashboardOptions(data=tmp_path).models).items()
        if json.loads(text)["name"] == "expression-accurate"
    )
    model = {"kind": "expression", "name": "expression-accurate", "sha256": sha256}
    timeline(tmp_path, model=[model | {"version": json.loads(text)["version"], "prior": prior}])
    assert start()["least"] == least


def test_the_live_page_begins_with_what_the_database_knows(ada: TestClient, database: Path) -> None:
    fill(database, minutes=5)
    page = ada.get("/live").text
    start = json.loads(page.split('id="live-start">')[1].split("</script>")[0])
    assert {vital["kind"] for vital in start["vitals"]} == {"heart_rate", "systolic", "diastolic"}
    assert 100 <= len(start["strip"]) <= 121
    assert start["strip"][-1]["label"] in {"neutral", "happiness", "anger", "uncertain"}
    assert start["session"]["session"] is None
    assert {vital["kind"] for vital in ada.get("/api/v1/vitals/latest").json()} == {
        "heart_rate",
        "systolic",
        "diastolic",
    }


def test_rest_of_open_session_is_its_baseline_or_else_a_neutral_stretch(
    ada: TestClient, database: Path
) -> None:
    assert ada.get("/api/v1/session/rest").json() is None
    study = consenting(database)
    began = clock.now().shift(-300)
    study.start_session(NewSession("P-01", Purpose.RESEARCH, "films"), began)
    assert ada.get("/api/v1/session/rest").json() is None
    readings = [
        VitalReading(began.shift(at), VitalKind.HEART_RATE, value, source, frozenset(flags))
        for at, value, source, flags in [
            (70.0, 60.0, "strap", ()),
            (80.0, 64.0, "strap", ()),
            (81.0, 199.0, "strap", (VitalFlag.POOR_SIGNAL,)),
            (82.0, 90.0, "camera_pulse", (VitalFlag.ESTIMATED,)),
            (210.0, 70.0, "strap", ()),
        ]
    ]
    with write_transaction(database) as connection:
        write_vitals(connection, [(one, None) for one in readings])
    study.add_marker(MarkerKind.STIMULUS_START, "Neutral", began.shift(60))
    assert ada.get("/api/v1/session/rest").json() is None, "it goes on"
    study.add_marker(MarkerKind.STIMULUS_END, "Neutral", began.shift(120))
    found = ada.get("/api/v1/session/rest").json()
    assert (found["label"], found["heart_rate"]) == ("Neutral", {"strap": 62.0})
    study.add_marker(MarkerKind.BASELINE, "", began.shift(200))
    found = ada.get("/api/v1/session/rest").json()
    assert (found["label"], found["heart_rate"]) == ("", {"strap": 70.0})
    assert found["end"] - found["start"] == 20_000
    study.add_marker(MarkerKind.BASELINE, "", began.shift(290))
    assert ada.get("/api/v1/session/rest").json() is None, "the last baseline goes on"


def test_a_reading_of_a_time_to_come_hides_no_live_one(ada: TestClient, database: Path) -> None:
    fill(database, minutes=5)
    in_five_years = clock.now().shift(5 * 365 * 86_400)
    flags = frozenset({VitalFlag.CLOCK_DIFFERS})
    to_come = VitalReading(in_five_years, VitalKind.HEART_RATE, 150, "csv:2031", flags)
    with write_transaction(database) as connection:
        write_vitals(connection, [(to_come, None)])
    latest = ada.get("/api/v1/vitals/latest").json()
    assert {one["source"] for one in latest} == {"strap", "cuff"}
    measured = [line for line in ada.get("/metrics").text.splitlines() if "strap" in line]
    assert measured and "csv:2031" not in ada.get("/metrics").text
    start = ada.get("/live").text.split('id="live-start">')[1].split("</script>")[0]
    assert "csv:2031" not in start


def test_the_agents_last_health_report_is_passed_on(tmp_path: Path, agent: LiveServer) -> None:
    socket = DashboardOptions(data=tmp_path).live_socket
    assert asyncio.run(agent_messages(socket)) == {}, "what is not said is not waited for"
    health = {"type": "health", "uptime_seconds": 5}
    agent.publish(health)
    assert asyncio.run(agent_messages(socket)) == {"health": health}
