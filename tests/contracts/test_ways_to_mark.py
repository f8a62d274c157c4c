"""Every way in which a marker is set: every field of ``NewMarker``, its time, and who set it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from edge_agent.agent.permission import CapturePermission
from edge_agent.agent.publishing import study_commands
from edge_agent.control.orders import OrderWorker
from edge_agent.core import clock
from edge_agent.core.clock import iso_utc
from edge_agent.core.study import MarkerKind, NewMarker, NewSession, Purpose, read_order
from edge_agent.timeline.study.capture_switch import CaptureSwitch
from edge_agent.timeline.study.sessions import Study
from tests.support.commands import affect_edge
from tests.support.dashboard import client_of, consenting, set_up
from tests.support.timeline import query, timeline

AGO_S = 30
GIVEN = {"kind": MarkerKind.BASELINE.value, "label": "films"}
"""A value for each field that is not its default."""


@dataclass(frozen=True, slots=True)
class Place:
    """An appliance with an open session of P-01, and somebody who is logged in."""

    path: Path
    browser: TestClient


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a marker is set.

    Attributes:
        mark: sets one of which this is said, at a time (UTC milliseconds).
        actor: who did it, in the audit trail.
        lacking: what it cannot say, and why.
    """

    mark: Callable[[Place, dict[str, Any], int], None]
    actor: str = ""
    lacking: Mapping[str, str] = field(default_factory=dict)


def _api(place: Place, given: dict[str, Any], at_ms: int) -> None:
    answer = place.browser.post("/api/v1/session/markers", json={**given, "at": at_ms})
    assert answer.status_code == 201, answer.text


def _api_of_session(place: Place, given: dict[str, Any], at_ms: int) -> None:
    answer = place.browser.post("/api/v1/sessions/1/markers", json=[{**given, "at": at_ms}])
    assert answer.status_code == 201, answer.text


def _form(place: Place, given: dict[str, Any], at_ms: int) -> None:
    ((start_ms,),) = query(place.path, "SELECT started FROM session")
    after = f"0:{(at_ms - start_ms) / 1000:06.3f}"
    answer = place.browser.post("/study/sessions/1/markers", data={**given, "after": after})
    assert answer.status_code == 303, answer.text


def _command(place: Place, given: dict[str, Any], at_ms: int) -> None:
    del at_ms
    words = ["session", "mark", given["kind"], given["label"]]
    done = affect_edge(*words, "--data", place.path.parent)
    assert done.code == 0, done.err


def _imported(place: Place, given: dict[str, Any], at_ms: int) -> None:
    cells = {**given, "at": iso_utc(at_ms)}
    file = place.path.parent / "markers.csv"
    file.write_text(f"{','.join(cells)}\n{','.join(cells.values())}\n", encoding="utf-8")
    done = affect_edge("import-markers", file, "--data", place.path.parent)
    assert done.code == 0, done.err


def _mqtt(place: Place, given: dict[str, Any], at_ms: int) -> None:
    del at_ms
    permission = CapturePermission("continuous", CaptureSwitch(place.path))
    commands = study_commands(Study(place.path), permission)
    assert commands.marker(json.dumps(given).encode(), False) is None


def _laboratory(place: Place, given: dict[str, Any], at_ms: int) -> None:
    now = clock.now()
    worker = OrderWorker(Study(place.path))
    order = read_order("/".join(given.values()))
    worker.give(order, now.shift((at_ms - now.wall_ms) / 1000), "lsl:Markers")
    worker.stopping.set()
    worker.work()


_OFTEN = {"actor": "a program may mark each trial; the rows have the times"}
WAYS = {
    "API": Way(_api, "ada"),
    "API of a session": Way(_api_of_session, "ada"),
    "page of a session": Way(_form, "ada"),
    "command": Way(_command, "command line", {"at": "it marks now"}),
    "import-markers": Way(_imported, "command line"),
    "MQTT": Way(_mqtt, lacking={"at": "sent_ms is of the sender's own clock", **_OFTEN}),
    "serial and LSL": Way(_laboratory, lacking=_OFTEN),
}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    path = timeline(tmp_path)
    start = clock.now().shift(-2 * AGO_S)
    consenting(path, "P-01").start_session(NewSession("P-01", Purpose.RESEARCH), start)
    return Place(path, set_up(client_of(tmp_path), tmp_path))


@pytest.mark.parametrize("name", WAYS)
def test_way_to_mark_given_each_field_keeps_it_with_its_time(place: Place, name: str) -> None:
    way = WAYS[name]
    assert GIVEN.keys() == {one.name for one in fields(NewMarker)}
    assert way.lacking.keys() <= {"at", "actor"}, "each way has to say kind and label"
    at_ms = clock.now().wall_ms - 1000 * AGO_S
    way.mark(place, dict(GIVEN), at_ms)
    ((kind, label, kept_ms),) = query(place.path, "SELECT kind, label, at FROM marker")
    assert {"kind": kind, "label": label} == GIVEN
    assert ("at" in way.lacking) != (abs(kept_ms - at_ms) <= 1)
    lines = query(place.path, "SELECT actor FROM audit WHERE action LIKE 'marker%'")
    assert lines == ([(way.actor,)] if "actor" not in way.lacking else [])
