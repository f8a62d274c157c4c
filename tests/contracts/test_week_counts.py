"""One person's weeks as every reader tells them: People, week, four weeks, letter, API, terminal.

Ten weeks of made-up data with odd days, in a zone whose clocks are set back in the ninth. The week
away, that one and the last are asked for, and the three before each; at six in the evening of their
last day, which is not over then.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from affect_edge import cli
from dashboard.languages.figures import period
from dashboard.questions.week.letter import write_letter
from edge_agent.core import clock
from edge_agent.core.expression import Emotion
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import DATABASE_NAME
from tests.support.dashboard import ComputingHere, client_of, set_up
from tests.support.timeline import Row, instant, reading, row, second_of, timeline

ZONE = ZoneInfo("Europe/Berlin")
LAST = date(2026, 11, 1)
"""A Sunday, a week after the clocks were set back."""
WEEKS = 10
CODE = "P-01"
DISTRESS = (Emotion.SADNESS, Emotion.ANGER, Emotion.FEAR)
ENDS = [LAST - timedelta(days=7 * back) for back in reversed(range(WEEKS))]
ASKED = [ENDS[4], ENDS[8], ENDS[9]]
MINUTE_S, HOUR_S = 60, 3600


@dataclass(frozen=True)
class Stretch:
    """A session: seconds of the made timeline, rows of a face, and readings of vitals."""

    start: float
    end: float | None
    faces: list[Row]
    readings: list[Any]


def second(day: date, hour: float) -> float:
    """Return the second of the made timeline at an hour on a clock of the zone."""
    at = datetime.combine(day, datetime.min.time(), ZONE) + timedelta(hours=hour)
    return second_of(round(at.timestamp() * 1000))


def stretch(rng: random.Random, start: float, hours: float, odd: str = "") -> Stretch:
    """Return a session with a face each minute and a heart rate each five, or an odd one."""
    seconds = [start + MINUTE_S * number for number in range(round(60 * hours))]
    shown = [rng.choice([*Emotion, Emotion.NEUTRAL, Emotion.NEUTRAL, None]) for _ in seconds]
    lengths = [MINUTE_S * 1000] * len(seconds)
    if odd == "interval":  # the recording interval is halved in the midst of an hour
        lengths = [30_000 if number % 60 >= 20 else 60_000 for number in range(len(seconds))]
    faces = [
        row(at, emotion, interval_ms=length)
        for at, emotion, length in zip(seconds, shown, lengths, strict=True)
    ]
    kind, value = VitalKind.HEART_RATE, 70.0
    if odd == "thermometer":
        kind, value = VitalKind.BODY_TEMPERATURE, 36.8
    readings = [reading(at, value + rng.randint(-4, 9), kind) for at in seconds[::5]]
    if rng.random() < 0.3 and not odd:
        readings += [reading(start + 7, 121, VitalKind.SYSTOLIC)]
        readings += [reading(start + 7, 79, VitalKind.DIASTOLIC)]
    return Stretch(
        start,
        start + HOUR_S * hours,
        [] if odd in ("faceless", "thermometer", "empty") else faces,
        [] if odd in ("sensorless", "empty") else readings,
    )


def made_up() -> list[Stretch]:
    """Return the sessions of ten weeks, at odd minutes and in odd ways."""
    rng = random.Random(20261101)
    odd = ["", "", "faceless", "thermometer", "sensorless", "empty", "interval", "missing"]
    told = []
    for number in range(7 * WEEKS):
        day = LAST - timedelta(days=7 * WEEKS - 1 - number)
        if ENDS[3] < day <= ENDS[4]:
            continue  # a week away
        kind = rng.choice(odd)
        if kind == "missing":
            continue
        told.append(stretch(rng, second(day, 8) + rng.randint(0, 3000), 1.3, kind))
        told.append(stretch(rng, second(day, 13) + rng.randint(0, 3000), 0.7))
        if rng.random() < 0.4:  # over midnight; on 25 October over the hour that comes twice
            told.append(stretch(rng, second(day, 23) + rng.randint(0, 1500), 3.4))
    return told


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("weeks")
    sessions = made_up()
    timeline(
        made,
        session=[
            {"participant": CODE, "purpose": "personal", "started": one.start, "ended": one.end}
            for one in sessions
        ],
        expression=[face for one in sessions for face in one.faces],
        vital=[value for one in sessions for value in one.readings],
    )
    return made


@pytest.fixture(scope="module")
def client(folder: Path) -> Iterator[TestClient]:
    with client_of(folder, computing=ComputingHere()) as client:
        yield set_up(client, folder)


@pytest.fixture(autouse=True)
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE.key)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def truth(end: date) -> int | None:
    """Return the distress of a week from its rows one by one, in milliseconds; ``None`` where their
    length changed within an hour, which rollups do not know.
    """
    first, last = second(end - timedelta(days=6), 0), second(end, 24)
    faces = [face for one in made_up() for face in one.faces if first <= face["at"] < last]
    if len({face["interval_ms"] for face in faces}) > 1:
        return None
    return sum(int(face["interval_ms"]) for face in faces if face["emotion"] in DISTRESS)


def text_of(page: str) -> str:
    """Return what a page says, its marks and white space taken away."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


def in_terminal(folder: Path, *words: str) -> str:
    """Return what the command says of the week until today."""
    done = CliRunner().invoke(cli, ["week", CODE, "--data", str(folder), *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def counted(weeks: list[Any]) -> list[tuple[Any, ...]]:
    """Return days recorded, time with a face, distress and heart rate of weeks of ``/days``."""
    return [
        (
            one["recorded_days"],
            one["face_ms"],
            sum(one["emotions"][emotion.value] for emotion in DISTRESS),
            one["vitals"].get("heart_rate", {}).get("mean"),
        )
        for one in weeks
    ]


@pytest.mark.parametrize("end", ASKED, ids=str)
def test_week_is_reported_alike_by_every_reader(
    client: TestClient, folder: Path, end: date, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = instant(second(end, 18))
    monkeypatch.setattr(clock, "now", lambda: now)
    address = f"/study/participants/{CODE}/days"
    week = client.get(f"/api/v1/participants/{CODE}/week").json()
    (person,) = client.get("/api/v1/people").json()
    distress, rate, _ = week["figures"]
    numbers = (week["recorded_days"], week["face_ms"], distress["value"] or 0, rate["value"])

    # The answers.
    one_week = client.get(f"/api/v1/participants/{CODE}/days").json()["weeks"]
    four = client.get(f"/api/v1/participants/{CODE}/days?weeks=4").json()["weeks"]
    assert counted(one_week) == counted(four[-1:]) == [numbers]
    days = person["days"]
    assert numbers[:3] == tuple(
        sum(one[name] for one in days) for name in ("recorded", "face_ms", "distress_ms")
    )
    assert [one["face_ms"] for one in days] == [one["face_ms"] for one in four[-1]["days"]]
    assert truth(end) in (None, numbers[2])

    # The pages, which are what is printed, the letter, and the terminal.
    page, month, people = (
        text_of(client.get(one).text) for one in (address, f"{address}?weeks=4", "/people")
    )
    letter = write_letter(folder / DATABASE_NAME, CODE, end, 1, "here").body
    monthly = write_letter(folder / DATABASE_NAME, CODE, end, 4, "here").body
    terminal = in_terminal(folder)
    assert json.loads(in_terminal(folder, "--json")) == week
    told = [week["sentence"], week["days_sentence"]]
    told += [one["note"] for one in week["figures"]]
    for text in (page, month, letter, monthly, terminal):
        assert [one for one in told if one not in text] == []
    short = f"{numbers[0]} of 7 days recorded · {distress['shown']} of distress"
    assert f"{short} · heart rate {rate['shown']}" in people
    when = period(end - timedelta(days=6), end)
    assert [
        text for text in (page, month, people, letter, monthly, terminal) if when not in text
    ] == []
    # The three weeks before the last of four, as each of them is told by itself.
    for back in (1, 2, 3):
        last = end - timedelta(days=7 * back)
        before = client.get(f"/api/v1/participants/{CODE}/week?to={last}").json()
        assert before["sentence"] in month and before["sentence"] in monthly
        assert before["figures"][0]["value"] == (counted(four)[3 - back][2] or None)
