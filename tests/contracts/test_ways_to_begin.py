"""Every way in which a session begins, and every field of ``NewSession``: all that is said arrives
in the row, in the message and in the audit trail.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from affect_edge.pictures import import_of
from edge_agent.agent.permission import CapturePermission
from edge_agent.agent.publishing import study_commands
from edge_agent.control.orders import OrderWorker
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.instruments import LONGEST, InstrumentName
from edge_agent.core.standing import SESSION_NAME, Schedule, daily_hours
from edge_agent.core.study import IN_MESSAGES, SESSION_FIELDS, NewSession, Purpose, read_order
from edge_agent.mqtt.payloads import SessionPayload
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.intake.video import store_video
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.sessions import Study
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, set_up
from tests.support.session_fields import Given, said_of_session
from tests.support.timeline import query, timeline

PROTOCOL = """title = "One"
own_neutral = false
[[step]]
kind = "baseline"
seconds = 60
"""
_AGO_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Place:
    """An appliance with P01, who has consented, and somebody who is logged in.

    Attributes:
        path: its timeline.
        browser: of ada, who administers.
    """

    path: Path
    browser: TestClient


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a session comes into being.

    Attributes:
        begin: begins one of which this is said.
        actor: who did it, in the audit trail; empty: nothing begins now, so no message is sent.
        lacking: fields that it cannot carry → what they are then, and why.
        otherwise: fields that it fills in where they are not said, in place of the defaults.
    """

    begin: Callable[[Place, Given], None]
    actor: str = ""
    lacking: Mapping[str, tuple[Any, str]] = field(default_factory=dict)
    otherwise: Mapping[str, Any] = field(default_factory=dict)

    def carried(self, given: Given) -> Given:
        """Return what it can carry of what is said."""
        return {name: value for name, value in given.items() if name not in self.lacking}

    def expected(self, given: Given) -> Given:
        """Return what the session has when this is said."""
        return given | {name: value for name, (value, _) in self.lacking.items()}


def _texts(given: Given) -> dict[str, str]:
    """Return what is said as a form or a program writes it."""
    words = {True: "yes", False: "no"}
    return {
        name: words[value] if isinstance(value, bool) else str(value)
        for name, value in given.items()
    }


def _page(place: Place, given: Given) -> None:
    answer = place.browser.post("/study/sessions", data=_texts(given))
    assert answer.headers.get("location") == "/live", answer.text


def _api(place: Place, given: Given) -> None:
    answer = place.browser.post("/api/v1/session", json=given)
    assert answer.status_code == 201, answer.text


def _protocol(place: Place, given: Given) -> None:
    answer = place.browser.post("/api/v1/session", json={**given, "protocol": "one"})
    assert answer.status_code == 201, answer.text


def _command(place: Place, given: Given) -> None:
    words = ["session", "start", given["participant"], *_options(given)]
    done = affect_edge(*words, "--data", place.path.parent)
    assert done.code == 0, done.err


def _options(given: Given) -> list[str]:
    words: list[str] = []
    for name, value in given.items():
        if name == "participant":
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, str(value)]
    return words


def _mqtt(place: Place, given: Given) -> None:
    permission = CapturePermission("continuous", CaptureSwitch(place.path))
    commands = study_commands(Study(place.path), permission)
    refused = commands.session(json.dumps({"action": "start", **given}).encode(), False)
    assert refused is None, refused


def _laboratory(place: Place, given: Given) -> None:
    texts = _texts(given)
    first = [texts.pop(name) for name in ("participant", "purpose")]
    name = texts.pop("name", "")
    named = ",".join(f"{one}={text}" for one, text in texts.items())
    worker = OrderWorker(Study(place.path))
    order = read_order("/".join(["session_start", *first, named, name]))
    worker.give(order, clock.now(), "lsl:Markers")
    worker.stopping.set()
    worker.work()


def _standing(place: Place, given: Given) -> None:
    study = Study(place.path)
    hours = daily_hours(range(1, 8), "00:00", "00:00")
    kinds = {one.name: one.kind for one in SESSION_FIELDS}
    said = {name: kinds[name](text) for name, text in given.items() if name != "participant"}
    study.give_standing(given["participant"], Schedule("1", hours, **said))
    study.keep_standing(clock.now(), camera_on=True, zone=UTC)


def _past_command(place: Place, given: Given) -> None:
    start_ms = clock.now().wall_ms - _AGO_MS
    words = ["session", "add", "--participant", given["participant"], *_options(given)]
    words += ["--from", iso_utc(start_ms), "--to", iso_utc(start_ms + 60_000)]
    done = affect_edge(*words, "--data", place.path.parent)
    assert done.code == 0, done.err


def _past_api(place: Place, given: Given) -> None:
    start_ms = clock.now().wall_ms - _AGO_MS
    span = {"start": start_ms, "end": start_ms + 60_000}
    answer = place.browser.post("/api/v1/sessions", json={**given, **span})
    assert answer.status_code == 201, answer.text


def _video(place: Place, given: Given) -> None:
    start_ms = clock.now().wall_ms - _AGO_MS
    new = import_of(Path(f"{given.pop('name', 'talk')}.avi"), start_ms, 60, None, given)
    store_video(place.path, new, [], 1000, purposes=tuple(Purpose), actor="ada")


def _imported(place: Place, given: Given) -> None:
    start_ms = clock.now().wall_ms - _AGO_MS
    cells = _texts(given) | {"session": "1", "start_at": iso_utc(start_ms)}
    cells["end_at"] = iso_utc(start_ms + 60_000)
    with write_transaction(place.path) as connection:
        # A study brings its participants with it.
        connection.execute("UPDATE participant SET code = 'P00'")
    folder = place.path.parent / "study"
    folder.mkdir()
    table = f"{','.join(cells)}\n{','.join(cells.values())}\n"
    (folder / "session.csv").write_text(table, encoding="utf-8")
    words = ["--consent", "1", "--consent-on", iso_utc(start_ms - 1000)]
    done = affect_edge("import-study", folder, *words, "--data", place.path.parent)
    assert done.code == 0, done.err


_READ_BEFORE = (None, "the faces of a past session were read before anybody asked")
WAYS = {
    "page": Way(_page, "ada"),
    "API": Way(_api, "ada"),
    "protocol": Way(_protocol, "ada", otherwise={"own_neutral": False}),
    "command": Way(_command, "command line"),
    "MQTT": Way(_mqtt, "mqtt"),
    "serial and LSL": Way(_laboratory, "agent"),
    "standing hours": Way(
        _standing,
        "agent",
        {
            "name": (SESSION_NAME, "lists tell it by its name from one that somebody began"),
            "own_neutral": (None, "the agreed hours keep none; vision.own_neutral decides"),
            "instruments": ("", "the agreed hours keep none; nobody stands beside the sensors"),
        },
        {"setting": "home"},
    ),
    "session add": Way(_past_command, lacking={"own_neutral": _READ_BEFORE}),
    "API of the past": Way(_past_api, lacking={"own_neutral": _READ_BEFORE}),
    "video": Way(
        _video,
        lacking={
            "own_neutral": _READ_BEFORE,
            "instruments": ("", "a film brings no readings of sensors"),
        },
        otherwise={"name": "talk"},
    ),
    "import-study": Way(
        _imported, lacking={"own_neutral": (None, "has a table of its own, own_neutral.csv")}
    ),
}
NOW = [name for name, way in WAYS.items() if way.actor]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    path = timeline(tmp_path)
    study = Study(path)
    study.create_participant("P01")
    study.give_consent("P01", "1")
    start_ms = clock.now().wall_ms - 2 * _AGO_MS
    with write_transaction(path) as connection:
        connection.execute("UPDATE consent SET given = ?", (start_ms,))
    protocols = tmp_path / "protocols"
    protocols.mkdir()
    (protocols / "one.toml").write_text(PROTOCOL, encoding="utf-8")
    return Place(path, set_up(client_of(tmp_path, protocols=protocols), tmp_path))


def kept(path: Path) -> Given:
    """Return what the newest session has for each field."""
    names = [
        one.name for one in fields(NewSession) if one.name not in {"participant", "own_neutral"}
    ]
    columns = ", ".join(f"session.{name}" for name in names)
    ((code, *values),) = query(
        path,
        f"SELECT code, {columns} FROM session JOIN participant ON participant.id = participant",
    )
    states = [state for (state,) in query(path, "SELECT state FROM own_neutral")]
    own_neutral = {"asked": True, "off": False}[states[0]] if states else None
    return {
        "participant": code,
        **dict(zip(names, values, strict=True)),
        "own_neutral": own_neutral,
    }


@pytest.mark.parametrize("name", WAYS)
def test_way_to_begin_given_each_field_keeps_it_in_the_session(place: Place, name: str) -> None:
    way, given = WAYS[name], said_of_session()
    assert way.lacking.keys() <= given.keys()
    way.begin(place, way.carried(given))
    assert kept(place.path) == way.expected(given)


@pytest.mark.parametrize("name", [name for name in WAYS if name != "serial and LSL"])
def test_way_to_begin_keeps_the_longest_instruments(place: Place, name: str) -> None:
    way, given = WAYS[name], said_of_session() | {"instruments": "skin_gel: ".ljust(LONGEST, "x")}
    way.begin(place, way.carried(given))
    assert kept(place.path) == way.expected(given)


@pytest.mark.parametrize("name", WAYS)
def test_way_to_begin_given_what_is_needed_keeps_the_defaults(place: Place, name: str) -> None:
    way, given = WAYS[name], said_of_session()
    for one in fields(NewSession):
        if one.default is not MISSING:
            del given[one.name]
    way.begin(place, {**given})
    defaults: Given = {one.name: one.default for one in fields(NewSession)}
    assert kept(place.path) == way.expected({**defaults, **way.otherwise, **given})


@pytest.mark.parametrize("name", NOW)
def test_way_to_begin_now_sends_a_message_and_is_in_the_trail(place: Place, name: str) -> None:
    way = WAYS[name]
    way.begin(place, way.carried(said_of_session()))
    (line,) = query(place.path, "SELECT actor, detail FROM audit WHERE action = 'session_start'")
    assert line == (way.actor, "1")
    ((payload,),) = query(place.path, "SELECT payload FROM outbox")
    message = SessionPayload.model_validate(json.loads(payload) | {"replayed": False}).model_dump()
    in_row = kept(place.path)
    assert {one.name: message[one.name] for one in IN_MESSAGES} == {
        one.name: in_row[one.name] for one in IN_MESSAGES
    }
    not_said = {one.name for one in fields(NewSession)} - message.keys()
    assert not_said == {"own_neutral"}, "it is known after the baseline alone"


def test_form_of_a_new_session_has_a_control_for_each_field(place: Place) -> None:
    page = place.browser.get("/study").text
    form = page.partition('action="/study/sessions"')[2].partition("</form>")[0]
    controls = set(re.findall(r'<(?:select|input)[^>]* name="([\w-]+)"', form))
    stated = {one for one in controls if one.startswith("instrument-")}
    assert stated == {f"instrument-{name}" for name in InstrumentName}
    controls = controls - stated | {"instruments"}
    assert controls - {"once", "protocol"} == {one.name for one in SESSION_FIELDS}
