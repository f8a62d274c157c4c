"""Protocols in the dashboard: starting one, the operator's and the participant's addresses, and its
record.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Permission
from dashboard.protocols.file import StudyProtocol, load_protocol
from dashboard.protocols.runner import RESTARTED, ProtocolRunner
from dashboard.web.authentication import LOGIN_COOKIE, Pass
from dashboard.web.options import DashboardOptions
from dashboard.web.routes import protocol
from dashboard.web.routes.study import CONSENT_VERSION
from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StudyError
from edge_agent.core.expression import Whose
from edge_agent.core.study import NewSession, Purpose, SessionSetting
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.study.protocol_runs import NewRun, ProtocolRuns, RunProgress, RunState
from edge_agent.timeline.study.sessions import Study
from tests.support.broker import wait_until
from tests.support.dashboard import client_of, consenting, services_of, set_up
from tests.support.timeline import database, query

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
TEXT = """title = "Two questions"
[[step]]
kind = "stimulus"
label = "anger"
picture = "a.png"
seconds = 60
[[step]]
kind = "report"
scales = ["valence", "emotion"]
"""


@pytest.fixture
def protocols(tmp_path: Path) -> Path:
    """A folder with one good protocol and a broken one."""
    folder = tmp_path / "protocols"
    folder.mkdir()
    (folder / "two.toml").write_text(TEXT, encoding="utf-8")
    (folder / "broken.toml").write_text("title = 3", encoding="utf-8")
    (folder / "a.png").write_bytes(PNG)
    return folder


@pytest.fixture
def client(tmp_path: Path, protocols: Path) -> Iterator[TestClient]:
    client = opened(tmp_path / "data", protocols)
    yield client
    runner_of(client).close()


def opened(folder: Path, protocols: Path, **options: Any) -> TestClient:
    """Somebody logged in, and a participant who has consented."""
    client = set_up(client_of(folder, protocols=protocols, **options), folder)
    client.post("/study/participants", data={"code": "P-1"})
    client.post(
        "/study/participants/P-1/consent", data={"agreed": "yes", "text_version": CONSENT_VERSION}
    )
    return client


def runner_of(client: TestClient) -> ProtocolRunner:
    services = services_of(client)
    return services.protocol_runner


def started(client: TestClient) -> str:
    """Start a session with the protocol; return the address of the participant's page."""
    form = {"participant": "P-1", "purpose": "research", "setting": "laboratory", "protocol": "two"}
    answer = client.post("/study/sessions", data=form)
    assert (answer.status_code, answer.headers.get("location")) == (303, "/protocol"), answer.text
    path: str = client.get("/api/v1/protocol").json()["participant_path"]
    return path


def test_the_study_page_offers_protocols_and_says_what_is_wrong_with_one(
    client: TestClient,
) -> None:
    page = client.get("/study").text
    assert '<option value="two" translate="no">Two questions</option>' in page
    assert '<option value="broken" disabled translate="no">' in page
    assert "title = 3: input should be a valid string" in page
    listed = client.get("/api/v1/protocols").json()
    own = [one for one in listed if not one["name"].endswith(("-de", "-es"))]
    assert [(one["name"], one["problem"] is None, one["origin"]) for one in own] == [
        ("anger-happiness-neutral", True, "shipped"),
        ("broken", False, "configured"),
        ("three-conditions", True, "shipped"),
        ("two", True, "configured"),
    ]


def test_a_session_with_a_protocol_that_cannot_be_used_is_not_opened(client: TestClient) -> None:
    form = {"participant": "P-1", "purpose": "research", "protocol": "broken"}
    answer = client.post("/study/sessions", data=form)
    assert answer.status_code == 400
    assert "title = 3" in answer.text
    refused = client.post("/api/v1/session", json=form | {"protocol": "nothing"})
    assert (refused.status_code, "There is no protocol" in refused.json()["detail"]) == (400, True)
    assert client.get("/api/v1/session").json()["session"] is None


def test_a_protocol_runs_from_its_first_screen_to_the_end_of_its_session(
    client: TestClient, tmp_path: Path
) -> None:
    address = started(client)
    runner = runner_of(client)
    token = address.rpartition("/")[2]
    assert runner.join(token)
    assert client.post("/api/v1/protocol/go").json()["reason"] == "waiting for the participant"
    assert client.post(f"{address}/ready", json={}).status_code == 204
    state = client.get("/api/v1/protocol").json()
    assert (state["state"], state["step"], state["begun"]) == ("running", 0, True)
    assert 0 < state["remaining_ms"] <= 60_000
    assert client.post("/api/v1/protocol/pause").json()["reason"] == "paused by hand"
    assert client.post("/api/v1/protocol/repeat").json()["remaining_ms"] == 60_000
    client.post("/api/v1/protocol/go")
    client.post(f"{address}/ended", json={"step": 0})
    assert client.post("/api/v1/protocol/skip").json()["step"] == 1
    assert client.post(f"{address}/answer", json={"step": 1, "value": 12}).status_code == 409
    assert client.post(f"{address}/answer", json={"step": 1, "value": {}}).status_code == 422
    assert client.post(f"{address}/answer", json={"step": 1, "value": 8}).status_code == 204
    assert client.post(f"{address}/answer", json={"step": 2, "value": None}).status_code == 204
    state = client.get("/api/v1/protocol").json()
    assert (state["state"], state["step"], state["answers"]) == ("finished", 3, 1)
    assert client.get("/api/v1/session").json()["session"] is None
    path = DashboardOptions(data=tmp_path / "data").database
    assert query(path, "SELECT condition, scale, value FROM self_report") == [
        ("anger", "valence", 8)
    ]
    labels = [label for (label,) in query(path, "SELECT label FROM marker ORDER BY id")]
    assert labels == [
        "protocol: begins",
        "anger",
        "anger",
        "protocol: paused by hand",
        "protocol: again anger",
        "protocol: goes on",
        "anger",
        "protocol: skipped anger",
        "anger",
        "protocol: finished",
    ]
    assert "finished" in client.get("/protocol").text
    refused = client.post("/api/v1/protocol/go")
    assert (refused.status_code, "No protocol is running" in refused.json()["detail"]) == (
        409,
        True,
    )


def test_press_on_the_participants_page_declares_their_face(
    client: TestClient, tmp_path: Path
) -> None:
    address = started(client)
    assert runner_of(client).join(address.rpartition("/")[2])
    client.post(f"{address}/ready", json={})

    assert client.post(f"{address}/declare", json={}).status_code == 204

    path = DashboardOptions(data=tmp_path / "data").database
    (pressed,) = query(path, "SELECT label, boot_ms FROM marker WHERE kind = 'declared'")
    assert pressed[0] == "participant" and pressed[1] is not None


@pytest.mark.parametrize(("whose", "offered"), [("declared", True), ("leading", False)])
def test_button_is_offered_only_where_a_press_is_asked_for(
    tmp_path: Path, protocols: Path, whose: Whose, offered: bool
) -> None:
    client = opened(tmp_path / "data", protocols, vision=VisionSettings(whose=whose))
    page = client.get(started(client)).text
    runner_of(client).close()
    assert ('id="declare"' in page) is offered


def test_the_participants_page_needs_its_token_and_no_login(client: TestClient) -> None:
    address = started(client)
    client.cookies.clear()
    page = client.get(address)
    assert page.status_code == 200
    assert "I am ready" in page.text
    assert client.get(f"{address}/media/0").content == PNG
    assert client.get(f"{address}/media/0").headers["content-type"] == "image/png"
    assert client.get(f"{address}/media/1").status_code == 404
    assert client.get(f"{address}/media/9").status_code == 404
    for wrong in ("/participate/nothing", address[:-1], f"{address}x"):
        answer = client.get(wrong)
        assert answer.status_code == 404
        assert "This page is closed" in answer.text
    for path in ("events", "media/0"):
        assert client.get(f"/participate/nothing/{path}").status_code == 404
    for path in ("ready", "answer", "ended", "failed"):
        assert client.post(f"/participate/nothing/{path}", json={"step": 0}).status_code == 404
    for path in ("/protocol", "/study"):
        assert client.get(path).status_code == 303
    assert client.post("/api/v1/protocol/end").status_code == 401
    foreign = client.post(f"{address}/ready", json={}, headers={"Sec-Fetch-Site": "cross-site"})
    assert foreign.status_code == 403


def test_the_participants_page_is_closed_when_the_session_has_ended(client: TestClient) -> None:
    address = started(client)
    assert client.post("/api/v1/protocol/end").json()["state"] == "ended"
    client.cookies.clear()
    page = client.get(address)
    assert page.status_code == 410 and "This page is closed" in page.text
    assert client.get(f"{address}/media/0").status_code == 410
    for path in ("ready", "answer", "ended", "failed"):
        assert client.post(f"{address}/{path}", json={"step": 0}).status_code == 410
    assert '"end"' in client.get(f"{address}/events").text, "an open page is told that it is over"


def test_a_media_file_that_was_taken_away_is_told_and_halts_the_protocol(
    client: TestClient, protocols: Path
) -> None:
    address = started(client)
    runner_of(client).join(address.rpartition("/")[2])
    (protocols / "a.png").unlink()
    assert client.get(f"{address}/media/0").status_code == 404
    client.post("/api/v1/protocol/go")
    client.post(f"{address}/ready", json={})
    client.post(f"{address}/failed", json={"step": 0})
    assert client.get("/api/v1/protocol").json()["reason"] == (
        "a.png: the participant's browser cannot show this file"
    )


def test_operators_page_without_a_protocol_shows_all_of_them(client: TestClient) -> None:
    page = client.get("/protocol").text
    assert ">two</code>" in page and "title = 3: input should be" in page
    assert client.get("/api/v1/protocol").status_code == 409


def test_what_the_participant_is_sent_holds_nothing_that_is_measured(client: TestClient) -> None:
    address = started(client)
    runner = runner_of(client)
    token = address.rpartition("/")[2]
    assert '"hello"' in protocol._participant_event(runner.view_of(token))
    runner.join(token)
    runner.set_ready(token)
    assert '"break"' in protocol._participant_event(runner.view_of(token))
    runner.go()
    shown = protocol._participant_event(runner.view_of(token))
    assert set(json.loads(shown.split("data: ")[1])) == {
        *("media", "next_picture", "question", "scale", "screen", "start_ms", "step"),
        *("text", "timed", "turn"),
    }
    runner.end()
    assert '"end"' in protocol._participant_event(runner.view_of(token))


def test_the_operators_page_is_told_of_each_change_until_the_login_ends(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(protocol, "SIGN_OF_LIFE_S", 0.02)
    services = services_of(client)
    token = client.cookies[LOGIN_COOKIE]
    told: list[str] = []

    async def listen() -> None:
        async with asyncio.timeout(60):
            async for text in protocol._events(services, Pass(token, Permission.RUN)):
                told.append(text)
                if text.startswith("event: protocol\ndata: null"):
                    await asyncio.to_thread(started, client)
                elif text.startswith("event: protocol"):
                    services.accounts.log_out(token)

    asyncio.run(listen())

    events = [text for text in told if text.startswith("event: ")]
    assert told[0] == "retry: 1000\n\n"
    assert json.loads(events[-1].split("data: ")[1])["title"] == "Two questions"


def protocol_in(folder: Path) -> StudyProtocol:
    (folder / "a.png").write_bytes(PNG)
    path = folder / "two.toml"
    path.write_text(TEXT, encoding="utf-8")
    return load_protocol(path)


_made: list[ProtocolRunner] = []


@pytest.fixture(autouse=True)
def _no_runner_stays() -> Iterator[None]:
    yield
    while _made:
        runner = _made.pop()
        if not runner._closed:
            runner.close()


def runner_on(path: Path) -> ProtocolRunner:
    """A runner that is closed at the end of the test."""
    _made.append(ProtocolRunner(ProtocolRuns(path), Commands(path)))
    return _made[-1]


def begun(path: Path, folder: Path) -> tuple[ProtocolRunner, str]:
    """A runner whose protocol runs."""
    consenting(path, "P-1")
    runner = runner_on(path)
    new = NewSession("P-1", Purpose.RESEARCH)
    runner.start_session(new, protocol_in(folder), actor="ada")
    view = runner.view()
    assert view is not None
    runner.join(view.token)
    runner.set_ready(view.token)
    runner.go()
    return runner, view.token


def test_a_dashboard_that_was_killed_leaves_the_place_to_the_next(tmp_path: Path) -> None:
    path = database(tmp_path)
    first, token = begun(path, tmp_path)
    first._closed = True  # killed: nothing is said any more
    second = runner_on(path)
    second.resume_saved()
    view = second.view()
    assert view is not None
    assert (view.state, view.reason, view.step, view.token) == (
        RunState.PAUSED,
        RESTARTED,
        0,
        token,
    )
    labels = query(path, "SELECT kind, label FROM marker ORDER BY id")
    assert labels[-2:] == [("stimulus_end", "anger"), ("note", f"protocol: {RESTARTED}")]
    second.join(token)
    second.set_ready(token)
    second.go()
    assert (view := second.view()) is not None
    assert view.state is RunState.RUNNING
    second.end()
    assert (view := second.view()) is not None
    assert (view.state, view.is_over) == (RunState.ENDED, True)


def test_an_orderly_stop_is_written_down_and_taken_up_as_it_was(tmp_path: Path) -> None:
    path = database(tmp_path)
    first, _ = begun(path, tmp_path)
    first.close()
    assert query(path, "SELECT label FROM marker ORDER BY id")[-1] == (
        "protocol: the dashboard was stopped",
    )
    second = runner_on(path)
    second.resume_saved()
    assert len(query(path, "SELECT 1 FROM marker")) == 4


def test_protocol_clock_starts_behind_its_last_save_dashboard_takes_it_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = database(tmp_path)
    first, _ = begun(path, tmp_path)
    first._closed = True
    saved = query(path, "SELECT saved FROM protocol_run")
    at = clock.now()
    # a machine without a clock of its own starts with the time that it kept last
    behind = Instant(boot_ms=30_000, wall_ms=at.wall_ms - 1_800_000)
    monkeypatch.setattr(clock, "now", lambda: behind)
    monkeypatch.setattr(clock, "boot_id", lambda: "the next start")
    second = runner_on(path)
    second.resume_saved()
    assert (view := second.view()) is not None
    assert (view.state, view.reason) == (RunState.PAUSED, RESTARTED)
    assert query(path, "SELECT saved FROM protocol_run") == saved
    later = RunProgress(0, 0, RunState.PAUSED, "", Instant(0, saved[0][0] + 1))
    with pytest.raises(StudyError, match="lies in the future"):
        Commands(path).save_protocol(1, 1, later, actor=DASHBOARD)


def test_protocol_whose_plan_cannot_be_read_stops_no_dashboard(tmp_path: Path) -> None:
    path = database(tmp_path)
    consenting(path, "P-1")
    new = NewRun("films", "Films", "ab" * 32, 0, '{"screens": 1}')
    Commands(path).start_protocol(
        NewSession("P-1", Purpose.RESEARCH, setting=SessionSetting.OTHER), new, actor="ada"
    )
    runner = runner_on(path)
    runner.resume_saved()
    assert runner.view() is None
    assert Study(path).end_session().participant == "P-1"


def test_a_session_ended_elsewhere_ends_its_protocol_too(tmp_path: Path) -> None:
    path = database(tmp_path)
    runner, token = begun(path, tmp_path)
    Study(path).end_session()
    wait_until(
        lambda: (view := runner.view()) is not None and view.is_over, "the end of the protocol", 60
    )
    assert (view := runner.view_of(token)) is not None
    assert view.reason == "the session was ended"
    assert not runner.join(token)
    with pytest.raises(StudyError, match="No protocol is running"):
        runner.skip()


def test_a_page_that_goes_halts_the_protocol_and_those_who_watch_are_told(tmp_path: Path) -> None:
    runner, token = begun(database(tmp_path), tmp_path)

    async def watched() -> None:
        event = runner.watch()
        runner.leave(token)
        await asyncio.wait_for(event.wait(), 60)
        runner.unwatch(event)

    asyncio.run(watched())
    runner.leave("wrong")
    view = runner.view()
    assert view is not None
    assert (view.reason, view.present, view.ready) == (
        "the participant's page was closed",
        False,
        False,
    )


def test_protocol_record_that_cannot_be_stored_is_stored_later(tmp_path: Path) -> None:
    path = database(tmp_path)
    runner, token = begun(path, tmp_path)
    path.rename(tmp_path / "away.db")
    runner.skip()
    view = runner.view()
    assert view is not None
    assert "there is no database" in view.problem
    assert view.step == 1
    (tmp_path / "away.db").rename(path)
    wait_until(lambda: (view := runner.view()) is not None and not view.problem, "the record")
    assert query(path, "SELECT label FROM marker ORDER BY id")[-1] == ("anger",)
    runner.answer(token, 1, 3)
