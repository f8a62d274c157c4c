"""Every argument of every command at its extremes: refused, or harmless to all pages.

What a dashboard that was taken over can send must not make a page, an export or the next start of
the dashboard fail.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import types
import zipfile
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from inspect import signature
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from fastapi.routing import APIRoute
from starlette.testclient import TestClient

from dashboard.protocols.screens import to_json
from dashboard.protocols.texts import Texts
from dashboard.web import routes
from dashboard.web.rendering import find_pages
from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant, iso_utc
from edge_agent.core.errors import DataFileError, StoreError, StudyError
from edge_agent.core.readings import VitalFlag, VitalReading
from edge_agent.core.study import MarkerKind, NewSession, Purpose, SessionSetting
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.connection import write_transaction
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.gate.client import COMMANDS
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.sent_files import sent_file
from edge_agent.timeline.study.past import PastMarker
from edge_agent.timeline.study.protocol_runs import NewRun
from edge_agent.timeline.write.reading_imports import FilePortion, ReadingTable
from tests.support.dashboard import add_session, client_of, fill, set_up

TWO_HOURS = clock.now().wall_ms - 2 * 3_600_000
"""A time before every session."""
SENT_MS = TWO_HOURS - 3_600_000
"""When a session begins that is imported."""
PLAN = to_json((), Texts())
TIMES = (-(2**62), 2**62, 2**63, 10**17, -1, 0, 4_102_444_800_000)
NUMBERS = ("Infinity", "-Infinity", "NaN", 1e308, -1e308, 1e10)
TEXTS = ("", "x" * 1_100_000, "a\nb\x1b[2J", "\u202eabc", "\ud800", "{n:>900000000}", "NULL\x00")
DESTRUCTIVE = ("end_session", "withdraw_consent", "erase_participant")
"""After them others have nothing to change."""


def example(name: str, kind: Any, known: Mapping[str, Any]) -> Any:  # noqa: PLR0911 - a line a kind
    """A value of a type that breaks no bound, as JSON."""
    if name in known and kind is not Instant:
        return known[name]
    origin, parts = get_origin(kind) or kind, get_args(kind)
    if origin in {Union, types.UnionType, Literal}:
        return parts[0] if origin is Literal else example(name, parts[0], known)
    if origin is tuple and Ellipsis not in parts:
        return [example(name, one, known) for one in parts]
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return {field.name: example(field.name, hints[field.name], known) for field in fields(kind)}
    if issubclass(origin, Enum):
        return next(iter(kind)).value
    if origin is int:
        return plain_int(name)
    if issubclass(origin, Sequence | Set) and origin not in {str, bytes}:
        return [example(name, parts[0], known)]
    plain = {str: "x", bytes: "UEs=", float: 1.0, bool: False, Mapping: {"handedness": "left"}}
    return plain[origin]


def plain_int(name: str) -> int:
    """A number; times lie in the first session of ``prepared``."""
    now = clock.now()
    clocks = {"boot_ms": now.boot_ms, "wall_ms": now.wall_ms}
    return clocks.get(name, now.wall_ms - 15 * 60_000 if name.endswith("_ms") else 1)


KNOWN: Mapping[str, Any] = {
    "code": "P-01",
    "participant": "P-01",
    "actor": "ada",
    "action": "login",
    "token": "watch",
    "ending": "over",
    "event": "raised",
    "parts": None,
    "plan": PLAN,
    "scale": "valence",
    "is_last": True,
    "document": "{}",
    "device_time": "2026-11-20T08:15:00",
    "device_times": ["2026-11-20T08:15:00"],
    "errors": [0.004],
}
"""Values by the name of an argument or field."""
SENDERS = ("add_portion", "forget_file", "import_study", "preview_study")
"""Commands about a file that was sent, each with a sender and a file of its own."""


def key_of(sender: str) -> str:
    """The key of the file of a sender."""
    return f"sent-{hashlib.sha256(sender.encode()).hexdigest()[:16]}-{'0' * 32}"


OF: Mapping[str, Mapping[str, Any]] = {
    **{name: {"actor": name, "key": key_of(name)} for name in SENDERS},
    "add_portion": {"actor": "add_portion", "key": key_of("add_portion"), "at": 0},
    **{
        name: {
            "actor": name,
            "key": key_of(name),
            "leave_out": [],
            "prefix": "LAB-",
            "given_ms": SENT_MS - 1,
            "first_ms": None,
            "join_recorded": False,
            "zone": "UTC",
        }
        for name in ("import_study", "preview_study")
    },
    "create_participant": {"code": "P-02"},
    "agree_to_attributes": {"use": "here"},
    "save_protocol": {"session": 2, "kind": "note", "actor": DASHBOARD},
    "add_past_session": {"start_ms": TWO_HOURS, "end_ms": TWO_HOURS + 60_000, "own_neutral": None},
    "correct_marker": {"marker": 7, "kind": "note"},
    "remove_marker": {"marker": 7},
    "take_declaration_back": {"declaration": 8},
    "add_past_markers": {"kind": "note"},
    "add_marker": {"kind": "note"},
    "enter_readings": {"source": "manual:ada", "flags": ["manual"]},
    "hand_in_readings": {"source": "http:watch"},
    "correct_reading": {"at_ms": TWO_HOURS, "source": "manual:ada"},
    "remove_reading": {"at_ms": TWO_HOURS, "source": "manual:ada"},
    "import_portion": {
        "flag_sets": [["imported"]],
        "rows": [0],
        "number": None,
        "device_times": [None],
        "errors": [None],
    },
    "begin_alert": {"parts": '{"template": "x", "values": {}}', "actor": DASHBOARD},
    "end_alert": {"actor": DASHBOARD},
    "note_forgotten": {"actor": DASHBOARD},
    "note_delivery": {"actor": DASHBOARD},
}
"""The same for one command."""


def arguments_of(name: str) -> dict[str, Any]:
    """Arguments of a command that break no bound."""
    method = COMMANDS[name].method
    hints = get_type_hints(method)
    _, *sent = signature(method).parameters
    in_session = plain_int("at_ms")
    spans = {
        "leave_out": {"span": [in_session, in_session + 1]},
        "declare_afterwards": {"span": [in_session, in_session + 4 * 60_000]},
    }
    known = {**KNOWN, **OF.get(name, {}), **spans.get(name, {})}
    return {one: example(one, hints[one], known) for one in sent}


def extremes(value: Any) -> Iterator[Any]:
    """The same value with one part of it at an extreme, one after the other."""
    if isinstance(value, bool):
        return
    if value is None:
        return
    if isinstance(value, dict):
        for key, part in value.items():
            yield from ({**value, key: one} for one in extremes(part))
        yield {str(number): "x" for number in range(20_000)}
    elif isinstance(value, list):
        for place, part in enumerate(value):
            yield from ([*value[:place], one, *value[place + 1 :]] for one in extremes(part))
        yield value * 20_000
    elif isinstance(value, int):
        yield from TIMES
    elif isinstance(value, float):
        yield from NUMBERS
    elif isinstance(value, str):
        yield from TEXTS


def questions(name: str) -> Iterator[dict[str, Any]]:
    given = arguments_of(name)
    yield given
    for argument, value in given.items():
        for extreme in extremes(value):
            yield {**given, argument: extreme}


def in_json(arguments: Mapping[str, Any]) -> bytes:
    text = json.dumps(arguments, ensure_ascii=False)
    for word in ("Infinity", "-Infinity", "NaN"):
        text = text.replace(f'"{word}"', word)
    return text.encode("utf-8", "surrogatepass")


def ask(commands: Commands, name: str, arguments: Mapping[str, Any]) -> str:
    """Return how a command was refused; empty where it was not."""
    try:
        COMMANDS[name].run(commands, in_json(arguments))
    except (StudyError, StoreError, DataFileError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def failing_pages(client: TestClient) -> list[tuple[str, int, str]]:
    paths = {
        route.path
        for page in find_pages(routes)
        for route in page.router.routes
        if isinstance(route, APIRoute) and "GET" in (route.methods or ())
    }
    shown = [path.replace("{number}", "1").replace("{code}", "P-01") for path in sorted(paths)]
    # An event stream has no end.
    asked = [path for path in shown if not path.endswith(("/api/v1/live", "/events", "}"))]
    answers = ((path, client.get(path)) for path in asked)
    return [
        (path, one.status_code, one.text[:300]) for path, one in answers if one.status_code >= 500
    ]


def a_study() -> bytes:
    """A zip with a study of one session without readings."""
    start, end = iso_utc(SENT_MS), iso_utc(SENT_MS + 60_000)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        text = f"session,participant,start_at,end_at\n1,A1,{start},{end}\n"
        archive.writestr("session.csv", text)
    return written.getvalue()


def send(commands: Commands, sender: str) -> None:
    """Have a sender's file of a study wait under ``key_of``, without what has been sent before."""
    key = commands.begin_file("lab.zip", actor=sender)
    if sender != "add_portion":
        commands.add_portion(key, 0, a_study(), actor=sender)
    sent = sent_file(commands.path, key, sender).parent
    sent.rename(sent.with_name(key_of(sender)))


def prepared(folder: Path) -> Commands:
    """A timeline on which the arguments of each command break no rule."""
    database = folder / DATABASE_NAME
    fill(database, minutes=3)
    session = add_session(database)
    commands = Commands(database)
    commands.give_consent("P-01", "1", TWO_HOURS - 1, actor="ada")
    at_ms = clock.now().wall_ms - 18 * 60_000
    commands.add_past_markers([PastMarker(at_ms, MarkerKind.NOTE, "x")], actor="ada")
    commands.leave_out(session, (at_ms, at_ms + 1), reason="x", actor="ada")
    with write_transaction(database) as connection:
        connection.executemany(
            "UPDATE expression SET at = ?, is_primary = 0, attribution = 'unknown' WHERE id = ?",
            [(at_ms + 1, 1), (at_ms + 6 * 60_000, 2)],
        )
    commands.declare_afterwards(session, (at_ms, at_ms + 1), reason="x", actor="ada")
    by_hand = VitalReading(
        Instant(0, TWO_HOURS),
        VitalKind.HEART_RATE,
        70.0,
        "manual:ada",
        frozenset({VitalFlag.MANUAL}),
    )
    commands.enter_readings([by_hand], actor="ada")
    imported = replace(by_hand, source="csv:a", flags=frozenset({VitalFlag.IMPORTED}))
    commands.import_portion(ReadingTable.of([imported]), FilePortion("a", None, False), actor="ada")
    commands.begin_alert("agent", "x", None, clock.now(), quiet=False, actor=DASHBOARD)
    new = NewRun("films", "Films", "ab" * 32, 0, PLAN)
    other = SessionSetting.OTHER
    commands.start_protocol(NewSession("P-01", Purpose.RESEARCH, setting=other), new, actor="ada")
    return commands


def test_commands_at_their_extremes_are_refused_or_harmless(tmp_path: Path) -> None:
    commands = prepared(tmp_path)
    was = shutil.copy(commands.path, tmp_path / "was.db")

    def refusal(name: str, arguments: Mapping[str, Any], is_changed: bool) -> str:
        """Ask over the prepared timeline; no connection is open before or after."""
        if is_changed:
            shutil.copy(was, commands.path)
        if name in SENDERS and is_changed:
            send(commands, name)
        if name in {"start_session", "start_protocol", "erase_participant"} and is_changed:
            commands.end_session(actor="ada")
        return ask(commands, name, arguments)

    taken: list[tuple[str, Mapping[str, Any]]] = []
    for name in sorted(COMMANDS):
        good, *bad = questions(name)
        assert refusal(name, good, True) == "", f"{name}: {good}"
        harmless = []
        is_changed = True
        for one in bad:
            is_changed = not refusal(name, one, is_changed)
            harmless += [one] if is_changed else []
        taken += [(name, one) for one in harmless if name not in DESTRUCTIVE]
    shutil.copy(was, commands.path)
    for name, arguments in taken:
        ask(commands, name, arguments)
    told = "\n".join(f"{name} {str(arguments)[:300]}" for name, arguments in taken)
    with client_of(tmp_path) as client:
        assert failing_pages(set_up(client, tmp_path)) == [], told
