"""Every argument of every command at its extremes: refused, or harmless to all pages.

What a dashboard that was taken over can send must not make a page, an export or the next start of
the dashboard fail.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from starlette.testclient import TestClient

from dashboard.web import routes
from dashboard.web.rendering import find_pages
from edge_agent.core import clock
from edge_agent.core.bounds import DASHBOARD
from edge_agent.core.clock import Instant
from edge_agent.core.errors import StoreError, StudyError
from edge_agent.core.study import Purpose, SessionSetting
from edge_agent.store.gate.client import COMMANDS
from edge_agent.store.gate.commands import Commands
from edge_agent.store.study.protocol_runs import NewRun
from tests.support.dashboard import add_session, client_of, fill, set_up

TIMES = (-(2**62), 2**62, 2**63, 10**17, -1, 0, 4_102_444_800_000)
NUMBERS = ("Infinity", "-Infinity", "NaN", 1e308, -1e308, 1e10)
TEXTS = ("", "x" * 5_000_000, "a\nb\x1b[2J", "\u202eabc", "\ud800", "{n:>900000000}", "NULL\x00")
BY_DASHBOARD = {"save_protocol", "begin_alert", "end_alert", "note_delivery"}


def example(name: str, kind: Any) -> Any:
    """A value of a type that breaks no bound, as JSON."""
    origin, parts = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        return example(name, parts[0])
    if origin is tuple:
        return [] if Ellipsis in parts else [example(name, one) for one in parts]
    if origin is Literal:
        return parts[0]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"handedness": "left"}
    if isinstance(origin, type) and issubclass(origin, Sequence | Set):
        return [example(name, parts[0])]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next(iter(kind)).value
    if kind is Instant:
        return {"boot_ms": clock.now().boot_ms, "wall_ms": clock.now().wall_ms}
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return {field.name: example(field.name, hints[field.name]) for field in fields(kind)}
    if kind is int:
        return clock.now().wall_ms - 60_000 if name.endswith("_ms") else 1
    return {float: 1.0, bool: False, str: KNOWN.get(name, "x")}[kind]


KNOWN = {"code": "P-01", "participant": "P-01", "actor": "ada", "action": "login", "token": "watch"}


def arguments_of(name: str) -> dict[str, Any]:
    """Arguments of a command that break no bound."""
    hints = get_type_hints(COMMANDS[name].method)
    given = {one: example(one, kind) for one, kind in hints.items() if one != "return"}
    if name in BY_DASHBOARD:
        given["actor"] = DASHBOARD
    return given


def extremes(value: Any) -> Iterator[Any]:
    """The same value with one part of it at an extreme, one after the other."""
    if isinstance(value, bool):
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
    text = json.dumps(arguments)
    for word in ("Infinity", "-Infinity", "NaN"):
        text = text.replace(f'"{word}"', word)
    return text.encode()


def ask(commands: Commands, name: str, arguments: Mapping[str, Any]) -> str:
    """Return how a command was refused; empty where it was not."""
    try:
        COMMANDS[name].run(commands, in_json(arguments))
    except (StudyError, StoreError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def failing_pages(client: TestClient) -> list[tuple[str, int, str]]:
    paths = {
        route.path
        for page in find_pages(routes)
        for route in page.router.routes
        if "GET" in (getattr(route, "methods", None) or ())
    }
    shown = [path.replace("{number}", "1").replace("{code}", "P-01") for path in sorted(paths)]
    skipped = ("/stream", "/preview", "/events", "/live.", "/picture")
    asked = [path for path in shown if "{" not in path and not any(s in path for s in skipped)]
    answers = ((path, client.get(path)) for path in asked)
    return [
        (path, one.status_code, one.text[:300]) for path, one in answers if one.status_code >= 500
    ]


def prepared(folder: Path) -> Commands:
    """A timeline with a person, a finished session and an open one, in which a protocol runs."""
    database = folder / "affect-edge.db"
    fill(database, minutes=3)
    add_session(database)
    commands = Commands(database)
    commands.start_protocol(
        "P-01",
        Purpose.RESEARCH,
        "",
        NewRun("films", "Films", "ab" * 32, 0, '{"screens": [], "texts": {}}'),
        setting=SessionSetting.OTHER,
        actor="ada",
    )
    return commands


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_command_at_its_extremes_is_refused_or_harmless(name: str, tmp_path: Path) -> None:
    commands = prepared(tmp_path)
    taken = []
    for arguments in questions(name):
        refusal = ask(commands, name, arguments)
        if not refusal:
            taken.append(str(arguments)[:200])
    with client_of(tmp_path) as client:
        assert failing_pages(set_up(client, tmp_path)) == [], taken
