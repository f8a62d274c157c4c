"""No page, answer or command reads the database in a loop over people, sessions or conditions.

Each is asked over a study and over one of twice the size: the number of connections and of
statements that read may not grow. What may, and why, stands in ``GROWS``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role, Scope
from dashboard.questions.entry import Way
from dashboard.questions.register import QUESTIONS
from dashboard.questions.week.question import WEEK
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.study import AttributeUse
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.export.format_register import all_formats
from edge_agent.timeline.study.exclusions import leave_out
from edge_agent.timeline.study.people import agree_to_attributes
from edge_agent.timeline.study.rows import insert_consent, insert_participant
from tests.support.commands import affect_edge
from tests.support.dashboard import ComputingHere, client_of, log_in_as, services_of, set_up
from tests.support.security.routes import declared
from tests.support.security.tokens import make_token
from tests.support.statements import Counted, counted
from tests.support.timeline import START_MS, instant, reading, row, session_row, timeline

Reads = Mapping[str, tuple[int, Counter[str]]]
"""What was asked → connections, and how often each statement that reads."""

PEOPLE = 3
APART_S = 1800
STATES = ("anger", "happiness", "neutral")

_STREAMED = (
    "an export passes the timeline hour by hour, session by session and condition by condition, "
    "and holds no more than a few thousand rows"
)
GROWS = {
    "SELECT min(at) FROM ": _STREAMED,
    "SELECT printf(": _STREAMED,
    "SELECT at, emotion FROM expression WHERE is_primary = ? AND at > ? ": _STREAMED,
    "SELECT at, interval_ms, emotion, simulated, frames FROM expression ": _STREAMED,
    "SELECT strftime(?, started / ?": _STREAMED,  # gaps
    "SELECT kind, source, step, count(*) FROM ( SELECT kind, source, at - lag(at) ": _STREAMED,
    "SELECT at, source, value, flags FROM vital WHERE at BETWEEN ": (
        "heart rates are judged by their neighbours hour by hour, which bounds the memory"
    ),
    "SELECT value FROM vital WHERE at = ? AND kind = ? AND source = ?": (
        "an imported reading is looked up before it is written, as each of them is written"
    ),
}
"""The beginning of each statement whose number may grow, with the reason."""

DOWNLOADS = ("/export/download", "/api/v1/export")
FILLED = {"code": "P-0", "number": "1"}
WITH_QUERY = {
    "/api/v1/plan": "difference=5&sd=10",
    "/api/v1/trends": f"start={START_MS}&end={START_MS + 86_400_000}",
    "/api/v1/trends/chart": f"start={START_MS}&end={START_MS + 86_400_000}",
    "/api/v1/trends/chart/now": "length=86400000",
}
"""What an address needs to answer."""
BESIDE = (
    "/analysis?state=observed",
    "/api/v1/analysis?state=reported&outcome=change",
    "/api/v1/analysis?group=sex",
    "/study/participants/P-0/days?to=2026-09-22&weeks=4&zone=UTC",
    "/study/participants/P-1",
    "/trends?participant=P-0",
    "/trends?participant=P-1",
    *(f"/trends?participant={code}&start={START_MS}&length=86400000" for code in ("P-0", "P-1")),
    "/study/sessions/1?with=2",
)
"""The same addresses with other questions, which are read in other ways; of P-1 nothing was
recorded.
"""
ABSENT = {
    "/login/code": "asked for in the midst of a log-in",
    "/login": "leads who is logged in to the first page",
    "/setup": "gone once there is an account",
    "/welcome": "needs a link that is valid once",
    "/": "leads to Live",
    "/.well-known/security.txt": "there where the configuration names somebody",
    "/settings/saved": "leads to the settings until some were saved",
    "/study/compare": "leads to a session's page",
    "/fleet": "there with a collector's database",
    "/api/v1/fleet": "there with a collector's database",
    "/api/v1/protocol": "one protocol that runs",
    "/participate/{token}": "one protocol that runs",
    "/participate/{token}/events": "one protocol that runs",
    "/participate/{token}/media/{step}": "one protocol that runs",
    "/participate/experiment/{key}/{step}/{name:path}": "one protocol that runs",
    "/plan/preregistrations/{number}": "one plan",
    "/api/v1/exports/{token}": "one export that was prepared",
    "/api/v1/exports/{token}/file": "one export that was prepared",
    "/participate/consent/{token}": "one consent that is asked for",
    "/participate/consent/{token}/next": "one consent that is asked for",
    "/study/participants/{code}/consent/ask/{token}": "one consent that is asked for",
    **dict.fromkeys(
        (
            *("/protocols/{name}", "/protocols/{name}/add", "/protocols/{name}/steps/{place}"),
            *("/protocols/{name}/preview/{screen}", "/protocols/{name}/preview/media/{screen}"),
            "/protocols/{name}/download",
            "/participate/preview/{key}/{name}/{screen}/{file:path}",
        ),
        "one file of a protocol",
    ),
    "/study/import/{key}": "one study that was sent",
    "/readings/import": "leads to the readings",
    "/readings/import/{name}": "one file that was uploaded",
}
"""Addresses that answer no question about the study here, and why."""
COMMANDS = (
    "doctor",
    "alerts",
    "imports",
    "sql",
    "participant list --json",
    "session quality 1",
    "session markers 1",
    "session leave-out 1",
    "analyse",
    "analyse --state observed --outcome change --json",
    *(f"{one.command_name} --lags 10" for one in QUESTIONS if "lags" in one.query.model_fields),
    "week P-0",
    *(one.command_name for one in QUESTIONS if one.has(Way.COMMAND) and one is not WEEK),
    "account list",
)


def write_study(folder: Path, people: int) -> Path:
    """Write a study of so many people and twice as many sessions again: of P-0 as many with, and of
    P-1 as many without a recording; with as many conditions, attributes and exclusions.
    """
    database = folder / "affect-edge.db"
    migrate(database)
    codes = [f"P-{number}" for number in range(people)]
    with write_transaction(database) as connection:
        for code in codes:
            insert_participant(connection, code, instant(0))
            insert_consent(connection, code, "1", instant(0))
    for number, code in enumerate([*codes, *["P-0"] * people, *["P-1"] * people]):
        labels = [*STATES[number % 3 == 2 :], *(f"film {count}" for count in range(people))]
        write_session(database, code, number, labels)
    for number, code in enumerate(codes):
        values = {"sex": ("female", "male")[number % 2], f"note_{number}": "x"}
        agree_to_attributes(database, code, AttributeUse.SHARED, actor="ada", values=values)
        start = APART_S * number + 41
        span = (instant(start).wall_ms, instant(start + 2).wall_ms)
        leave_out(database, number + 1, span, reason="coughed", actor="ada")
    return database


def write_session(database: Path, code: str, number: int, labels: list[str]) -> None:
    """Write a session, half an hour after the one before, with half a minute for each condition."""
    start = APART_S * number
    ends = [start + 40 + 40 * place for place in range(len(labels))]
    seconds = range(start, ends[-1], 5)
    conditions = [(end - 30, end, label) for label, end in zip(labels, ends, strict=True)]
    timeline(
        database,
        session=[session_row(start, ends[-1] + 1, *conditions, participant=code)],
        marker=[{"at": start + 1, "kind": "baseline", "label": "neutral"}],
        self_report=[
            {"at": end + 1, "condition": label, "scale": "emotion", "value": STATES[place % 3]}
            for place, (_, end, label) in enumerate(conditions)
        ],
        gap=[{"started": start, "ended": start + 1}],
    )
    if code == "P-1":
        return
    readings = [
        reading(at + 0.5, 70 + at * number % 7, source=source)
        for at in seconds
        for source in ("strap", "watch")
    ]
    beats = [reading(start + 0.8 * beat, 0.8, VitalKind.RR_INTERVAL) for beat in range(100)]
    skin = [reading(start + place / 4, 5, VitalKind.SKIN_CONDUCTANCE) for place in range(100)]
    shown = [row(at + 0.4, EMOTIONS[at // 20 % 4], interval_ms=5000) for at in seconds]
    moved = [{"at": at + 0.4, "interval_ms": 5000} for at in seconds]
    timeline(database, expression=shown, movement=moved, vital=readings + beats + skin)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Counted]:
    with counted(monkeypatch, tmp_path) as seen:
        yield seen


def reads_of_pages(folder: Path, people: int, seen: Counted) -> Reads:
    """Ask every address that answers a question about the study."""
    templates = {path for method, path in declared() if method == "GET"}
    asked = [
        re.sub(r"\{(\w+)\}", lambda found: FILLED[found[1]], path)
        + (f"?{WITH_QUERY[path]}" if path in WITH_QUERY else "")
        for path in sorted(templates - {*ABSENT, *DOWNLOADS})
    ]
    return _reads_of(asked, folder, people, seen)


def reads_of_questions(folder: Path, people: int, seen: Counted) -> Reads:
    """Ask some of them what is read in other ways."""
    return _reads_of(BESIDE, folder, people, seen)


def reads_of_downloads(folder: Path, people: int, seen: Counted) -> Reads:
    """Export a participant in every format, and everything as a bundle."""
    formats = [one.name for one in all_formats() if one.downloadable]
    of_one = [f"{DOWNLOADS[0]}?format={name}&participant=P-0" for name in formats]
    return _reads_of([*of_one, f"{DOWNLOADS[1]}?format=bundle"], folder, people, seen)


def _reads_of(asked: Sequence[str], folder: Path, people: int, seen: Counted) -> Reads:
    database = write_study(folder, people)
    client = set_up(client_of(folder, computing=ComputingHere()), folder)
    services_of(client).stopping.set()  # event streams end at once
    for number in range(people):
        log_in_as(client, Role.VIEWER, f"viewer {number}")
        make_token(database, f"robot {number}", frozenset({Scope.READ}), Role.VIEWER)
    return {address: _asked(client, address, seen) for address in asked}


def _asked(client: TestClient, address: str, seen: Counted) -> tuple[int, Counter[str]]:
    seen.clear()
    answer = client.get(address)
    assert answer.status_code == 200, (address, answer.status_code, answer.text[:300])
    return seen.connections, seen.reads()


def reads_of_commands(folder: Path, people: int, seen: Counted) -> Reads:
    """Run each command, then export the study and import it elsewhere."""
    study, elsewhere = folder / "study", folder / "elsewhere"
    for place in (study, elsewhere):
        place.mkdir()
        migrate(place / "affect-edge.db")
    write_study(study, people)
    reads = {words: _run(study, words, seen) for words in COMMANDS}
    reads["export"] = _run(study, f"export --format csv --out {folder}/csv", seen)
    reads["import-study"] = _run(elsewhere, f"import-study {folder}/csv", seen)
    return reads


def _run(folder: Path, words: str, seen: Counted) -> tuple[int, Counter[str]]:
    seen.clear()
    done = affect_edge(*words.split(), "--data", folder)
    # the doctor finds no agent here
    assert done.code == (words == "doctor"), (words, done.out, done.err)
    return seen.connections, seen.reads()


def grown(small: Reads, large: Reads) -> list[str]:
    """Return what was asked more often of the larger study."""
    told = []
    for what, (connections, reads) in large.items():
        before, reads_before = small[what]
        if connections > before:
            told.append(f"{what}: {before} → {connections} connections")
        told += [
            f"{what}: {reads_before[shape]} → {count} times {shape[:300]}"
            for shape, count in reads.items()
            if count > reads_before[shape] and not shape.startswith(tuple(GROWS))
        ]
    return told


@pytest.mark.parametrize(
    "ask", [reads_of_pages, reads_of_questions, reads_of_downloads, reads_of_commands]
)
def test_reads_of_a_study_twice_as_large_are_no_more(
    tmp_path: Path, seen: Counted, ask: Callable[[Path, int, Counted], Reads]
) -> None:
    sizes = []
    for people in (PEOPLE, 2 * PEOPLE):
        folder = tmp_path / str(people)
        folder.mkdir()
        sizes.append(ask(folder, people, seen))
    small, large = sizes
    assert small.keys() == large.keys()
    told = grown(small, large)
    assert not told, "\n".join(told)
    assert sum(reads.total() for _, reads in small.values()) > len(small)
