"""A carer is answered the same, byte for byte, whether somebody else was recorded or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import MAY, Permission, Role
from edge_agent.core import clock
from edge_agent.core.expression import Emotion
from edge_agent.core.study import MADE_UP
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from tests.support.clocks.simulated_time import Seconds, WallClock
from tests.support.dashboard import client_of, log_in_as, services_of, set_up
from tests.support.security.routes import declared
from tests.support.timeline import START_MS, movement_row, reading, row, timeline

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
OWN = (START_MS, START_MS + 20 * MINUTE_MS)
THEIRS = (START_MS + 3 * MINUTE_MS + 340, START_MS + 15 * MINUTE_MS + 77)
"""A session whose times were made up lies within that of the own person."""
BEFORE = (START_MS - 30 * MINUTE_MS - 123, START_MS - 10 * MINUTE_MS)
FACELESS = (START_MS - 63 * MINUTE_MS, START_MS - 59 * MINUTE_MS)
"""An own session without a face, in an hour in which there was one of P-02."""
SINCE = (START_MS + 40 * MINUTE_MS, START_MS + 55 * MINUTE_MS + 1)


OWN_ROWS = range(0, 20 * 60, 20)
MADE_UP_THEN = f"import ({MADE_UP})"
_SHOWN_SINCE = (1, 10 * MINUTE_MS + 1, HOUR_MS)
"""So long after a recording the usual range of the page begins to differ."""
_OPEN_TO_CARERS = MAY[Role.CARER] - {Permission.OPEN}
one_in_five = pytest.mark.parametrize("step", [pytest.param(1, marks=pytest.mark.deep), 5])
"""Of the requests, all, or one in five, which go on by both ends and all places beside an edge."""
VARIES = re.compile(
    r'data-now="\d+"|name="once" value="[^"]+"|nonce-[\w=+/-]+|nonce="[^"]+"|/static/[0-9a-f]+/'
)
"""What differs between two dashboards that hold the same."""


def since_start(at_ms: int) -> float:
    """Return a time as made timelines name it."""
    return (at_ms - START_MS) / 1000


def session(number: int, participant: int, at: tuple[int, int], origin: str = "") -> dict[str, Any]:
    return {
        "id": number,
        "participant": participant,
        "name": f"session {number}",
        "started": since_start(at[0]),
        "ended": since_start(at[1]),
        "purpose": "personal",
        "setting": "home",
        "origin": origin,
    }


def seconds(at: tuple[int, int]) -> range:
    """Return the whole seconds of a session, from ``START_MS``, one in twenty."""
    return range(-(-(at[0] - START_MS) // 1000), (at[1] - START_MS) // 1000, 20)


def write(folder: Path, *, others: bool) -> None:
    """Write a timeline of P-01; with ``others`` also of P-02, who was recorded at other times, and
    of whom a session was added with made-up times.
    """
    rows = [row(s, Emotion.HAPPINESS) for s in OWN_ROWS]
    moved = [movement_row(s) for s in OWN_ROWS]
    vitals = [reading(s, 70 + s % 7) for s in OWN_ROWS]
    vitals += [reading(s, 71) for s in seconds(FACELESS)]
    sessions = [session(1, 1, OWN), session(5, 1, FACELESS)]
    markers = [{"session": 1, "at": 5.0, "kind": "note", "label": "own"}]
    people = [{"id": 1, "code": "P-01", "created": 1_000}]
    models = [{"since": -9_000.0, "name": "first", "sha256": "aa" * 32}]
    if others:
        people.append({"id": 2, "code": "P-02", "created": 1_001})
        sessions += [
            session(2, 2, THEIRS, MADE_UP_THEN),
            session(3, 2, BEFORE),
            session(4, 2, SINCE, MADE_UP_THEN),
        ]
        for number, at in ((2, THEIRS), (3, BEFORE), (4, SINCE)):
            markers.append(
                {"session": number, "at": since_start(at[0] + 500), "kind": "baseline", "label": ""}
            )
        for at in (BEFORE, SINCE):
            rows += [row(s, Emotion.ANGER) for s in seconds(at)]
            moved += [movement_row(s) for s in seconds(at)]
            vitals += [reading(s, 170) for s in seconds(at)]
            vitals += [reading(s, 120, VitalKind.SYSTOLIC) for s in seconds(at)]
        for at, name in ((SINCE, "second"), (BEFORE, "other")):
            since = since_start(at[0] + 345)
            models.append({"since": since, "name": name, "sha256": name[0] * 64})
        models.append({"since": since_start(BEFORE[1]), "name": "first", "sha256": "aa" * 32})
    timeline(
        folder,
        participant=people,
        session=sessions,
        marker=markers,
        expression=rows,
        movement=moved,
        vital=vitals,
        model=models,
    )


@pytest.fixture
def carers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[TestClient]]:
    """Return a carer of P-01 in a dashboard without anybody else, and in one with P-02."""
    wall = WallClock()
    wall.ms = START_MS + 2 * HOUR_MS
    monkeypatch.setattr(clock, "now", wall)
    with ExitStack() as opened:
        both = []
        for name, others in (("alone", False), ("beside", True)):
            (tmp_path / name).mkdir()
            write(tmp_path / name, others=others)
            client = opened.enter_context(client_of(tmp_path / name, Seconds()))
            ada = set_up(client, tmp_path / name)
            carer = log_in_as(ada, Role.CARER)
            number = services_of(ada).members.find("carer").id
            assert ada.post(f"/accounts/{number}/people", data={"people": ["P-01"]}).is_redirect
            both.append(carer)
        yield both


def edges() -> list[int]:
    """Return times at which something of P-02 begins or ends, and those beside them."""
    known = {edge for at in (OWN, THEIRS, BEFORE, SINCE) for edge in at}
    return sorted({edge + beside for edge in known for beside in (-1, 0, 1)})


def ranges(*lengths: int) -> Iterator[str]:
    for edge in edges():
        for length in lengths:
            yield f"start={edge}&end={edge + length}"
            yield f"start={edge - length}&end={edge}"


def addresses() -> Iterator[str]:
    """Yield what a carer may ask for: of the own person, of others, and of nobody."""
    for method, path in sorted(declared()):
        permission = declared()[method, path]
        # the keys of log-ins differ
        if (
            method != "GET"
            or path == "/account"
            or permission not in MAY[Role.CARER] - {Permission.OPEN}
        ):
            continue
        for code in ("P-01", "P-02", "p-02"):
            yield path.format(code=code)
            if path.startswith(("/study/participants", "/api/v1/participants")):
                for day in ("2026-09-21", "2026-09-20", "2026-09-28", "1970-01-01"):
                    yield f"{path.format(code=code)}?to={day}&day={day}&week={day}"
            if "{code}" not in path:
                break
    for path in ("/trends", "/api/v1/trends", "/api/v1/trends/chart", "/api/v1/trends/chart/now"):
        for who in ("participant=P-01", "session=1", "participant=P-02", "session=2", "session=4"):
            yield f"{path}?{who}"
            yield f"{path}?{who}&length=86400000&range=24h&movement=brow_down"
            yield f"{path}?{who}&range=24h&beside={BEFORE[0]}"
        yield f"{path}?participant=P-01&session=2"
        yield f"{path}?participant=P-02&session=1"
        yield f"{path}?session=2&participant=P-99"


def told(client: TestClient, address: str) -> tuple[int, dict[str, str], str]:
    answer = client.get(address)
    kept = ("content-type", "location", "cache-control", "content-disposition", "content-length")
    headers = {name: answer.headers[name] for name in kept if name in answer.headers}
    return answer.status_code, headers, VARIES.sub("", answer.text)


def test_carer_is_answered_the_same_whether_others_were_recorded(carers: list[TestClient]) -> None:
    alone, beside = carers
    asked = list(addresses())
    assert len(asked) > 60
    differing = [one for one in asked if told(alone, one) != told(beside, one)]
    assert differing == []
    assert told(beside, "/trends?participant=P-01")[0] == 200


@one_in_five
def test_trends_of_any_range_tell_a_carer_nothing_of_others(
    carers: list[TestClient], step: int
) -> None:
    alone, beside = carers
    own = "participant=P-01"
    asked = [f"/trends?{own}&{one}" for one in ranges(700)]
    asked += [f"/trends?{own}&{one}" for one in [*ranges(1, 5 * MINUTE_MS, DAY_MS)][::11]]
    for path in ("/api/v1/trends", "/api/v1/trends/chart"):
        asked += [f"{path}?{own}&{one}" for one in [*ranges(1, 700, DAY_MS)][::13]]
    differing = [one for one in asked[::step] if told(alone, one) != told(beside, one)]
    assert differing == []


@one_in_five
def test_length_of_the_usual_range_tells_a_carer_nothing_of_others(
    carers: list[TestClient], step: int
) -> None:
    alone, beside = carers
    ends = [edge + since for edge in edges() for since in _SHOWN_SINCE]
    asked = [f"/trends?participant=P-01&end={end}" for end in ends]
    differing = [one for one in asked[::step] if told(alone, one) != told(beside, one)]
    assert differing == []


@pytest.mark.parametrize("first_ms", [0, OWN[0]])
def test_deleted_rows_tell_a_carer_not_since_when_those_of_others_are_kept(
    carers: list[TestClient], first_ms: int
) -> None:
    """Rows of others are deleted, or kept: they may be older where a file brought them."""
    for carer in carers:
        with write_transaction(services_of(carer).options.database) as connection:
            connection.execute(
                "DELETE FROM expression WHERE at >= ? AND at < ?", (first_ms, OWN[1] - HOUR_MS // 6)
            )
            # As when they are folded into hours.
            connection.execute(
                "DELETE FROM expression_minute WHERE at < ?", (OWN[0] - HOUR_MS // 4,)
            )
    alone, beside = carers
    assert "are deleted" in told(alone, "/trends?participant=P-01")[2]
    assert "are deleted" not in told(beside, "/trends?session=5")[2]
    days = beside.get("/api/v1/participants/P-01/days?to=2026-09-21").json()
    assert days["faces"]["sessions"] == 1
    for address in (
        "/trends?participant=P-01",
        "/trends?session=1",
        "/trends?session=5",
        f"/api/v1/trends?participant=P-01&start={BEFORE[0]}&end={START_MS + DAY_MS}",
        f"/api/v1/trends?session=5&start={FACELESS[0]}&end={FACELESS[1]}",
        "/api/v1/participants/P-01/days?to=2026-09-21",
        "/study/participants/P-01/days?to=2026-09-21",
        "/api/v1/participants/P-01/week?to=2026-09-21",
        "/people",
    ):
        assert told(alone, address) == told(beside, address)


def test_buckets_tell_a_carer_not_of_deleted_rows_of_others(carers: list[TestClient]) -> None:
    """Own sessions alone decide whether a range is read from rows or from sums."""
    for carer in carers:
        with write_transaction(services_of(carer).options.database) as connection:
            for table in ("expression", "vital"):
                connection.execute(f"DELETE FROM {table} WHERE at < ?", (OWN[1] + DAY_MS,))
    alone, beside = carers
    own = "participant=P-01"
    asked = [
        f"{path}?{own}&start={edge + before}&end={edge + before + MINUTE_MS}"
        for path in ("/api/v1/trends", "/api/v1/trends/chart")
        for at in (BEFORE, SINCE, OWN)
        for edge in at
        for before in (-MINUTE_MS, 0)
    ]
    assert [one for one in asked if told(alone, one) != told(beside, one)] == []
    inside = f"/api/v1/trends?{own}&start={OWN[0]}&end={OWN[0] + MINUTE_MS}"
    assert alone.get(inside).json()["expression"]["bucket_ms"] == MINUTE_MS
    outside = f"/api/v1/trends?{own}&start={BEFORE[0]}&end={BEFORE[0] + MINUTE_MS}"
    assert beside.get(outside).json()["expression"]["bucket_ms"] == 1_000
