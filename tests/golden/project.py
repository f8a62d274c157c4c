"""Where the golden test takes hold of the project.

Whoever moves or renames a module changes this file alone.
"""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import click
from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute, Mount

import affect_edge as agent_program
import dashboard.__main__ as dashboard_program
import training.commands.main as training_program
from dashboard.commands.account import account, password
from dashboard.commands.analyse import analyse_command
from dashboard.commands.protocol import protocol
from dashboard.protocols.file import EXAMPLES, ProtocolFile
from dashboard.web.app import create_app
from dashboard.web.authentication import LOGIN_COOKIE, PUBLIC_PATHS
from dashboard.web.options import DashboardOptions
from edge_agent.config.environment import ENV_DELIMITER, ENV_PREFIX
from edge_agent.config.keys import all_keys
from edge_agent.config.loading import SYSTEM_FILE
from edge_agent.config.settings import Settings
from edge_agent.core.errors import CameraReason, VitalsReason
from edge_agent.core.expression import Emotion, RejectReason
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import FoundSensor, SensorKind, VitalKind
from edge_agent.live.feed import OFFLINE, SOCKET_NAME, expression_message, vital_message
from edge_agent.mqtt.asyncapi import document as asyncapi_document
from edge_agent.timeline.database.schema import APPLICATION_ID, DATABASE_NAME
from edge_agent.timeline.database.upgrade import migrate
from edge_agent.timeline.study.example_study import seed_example_study
from edge_agent.vision.models.card import MODELS_FOLDER, ModelCard
from edge_agent.vitals.simulated import SimulatedPerson
from tests.support.timeline import instant, observation, reading, recognition

__all__ = ["APPLICATION_ID", "DATABASE_NAME", "EXAMPLES", "LOGIN_COOKIE", "MODELS_FOLDER"]
__all__ += ["PUBLIC_PATHS", "SOCKET_NAME", "SYSTEM_FILE", "asyncapi_document"]

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = f"{ENV_PREFIX}SECTION{ENV_DELIMITER}KEY"

COMMANDS: dict[str, click.Command] = {
    "affect-edge": agent_program.cli,
    "python -m dashboard": dashboard_program.serve_command,
    "python -m dashboard analyse": analyse_command,
    "python -m dashboard protocol": protocol,
    "python -m dashboard password": password,
    "python -m dashboard account": account,
    "python -m training": training_program.app,
}
WORDS: dict[str, tuple[str, ...]] = {
    "emotions": tuple(Emotion),
    "kinds of vital signs": tuple(VitalKind),
    "flags of readings": tuple(VitalFlag),
    "flaws of faces": tuple(RejectReason),
    "reasons of cameras": tuple(CameraReason),
    "reasons of sensors": tuple(VitalsReason),
}
UNITS = {kind.value: kind.unit for kind in VitalKind}


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, and what it printed on standard output."""

    code: int
    printed: str


def affect_edge(*words: object) -> Ended:
    return _run(agent_program.main, words)


def dashboard(*words: object) -> Ended:
    return _run(lambda: sys.exit(dashboard_program.main()), words)


def training(*words: object) -> Ended:
    return _run(training_program.main, words)


def _run(main: Callable[[], object], words: tuple[object, ...]) -> Ended:
    printed = io.StringIO()
    with _program_words(words), redirect_stdout(printed), redirect_stderr(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            code = end.code
        else:
            code = 0
    return Ended(code if isinstance(code, int) else 0, printed.getvalue())


@contextmanager
def _program_words(words: tuple[object, ...]) -> Iterator[None]:
    """Give a program its words, and take back what it did to the log."""
    kept = sys.argv
    log = logging.getLogger()
    level = log.level
    handlers = list(log.handlers)
    sys.argv = ["program", *map(str, words)]
    try:
        yield
    finally:
        sys.argv = kept
        log.setLevel(level)
        log.handlers[:] = handlers


def settings_schema() -> dict[str, Any]:
    return Settings.model_json_schema()


def keys_of_the_settings_page() -> list[str]:
    return sorted(key.name for key in all_keys() if key.is_editable)


def card_schema() -> dict[str, Any]:
    return ModelCard.model_json_schema(by_alias=True)


def new_database(folder: Path) -> Path:
    path = folder / DATABASE_NAME
    migrate(path)
    return path


def seeded_database(folder: Path) -> Path:
    path = new_database(folder)
    seed_example_study(path, SimulatedPerson, seed=1, now=instant(0))
    return path


def rows(database: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def write(database: Path, *statements: str) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def application(folder: Path) -> FastAPI:
    return create_app(DashboardOptions(data=folder))


def routes(app: FastAPI) -> list[tuple[str, str]]:
    return list(_routes_of(app.routes, ""))


def _routes_of(found: Iterable[BaseRoute], prefix: str) -> Iterator[tuple[str, str]]:
    """Yield the routes of a router and of those that it includes, if the framework keeps these."""
    for route in found:
        included = getattr(route, "original_router", None)
        if included is not None:
            inner = getattr(getattr(route, "include_context", None), "prefix", "")
            yield from _routes_of(included.routes, prefix + inner)
        elif isinstance(route, APIRoute):
            yield from ((method, prefix + route.path) for method in route.methods or ())
        elif isinstance(route, Mount):
            yield "folder", prefix + route.path
        else:
            raise TypeError(f"{route!r}: a kind of route that is not known here")


def live_messages() -> dict[str, Any]:
    """Return a message of each kind that the live feed makes of what was seen and measured."""
    seen = recognition(1, observation(), observation(None, reject_reason=next(iter(RejectReason))))
    made = {
        "expression": expression_message(seen),
        "vital": vital_message(reading(1)),
        "agent": dict(OFFLINE),
    }
    sent: dict[str, Any] = json.loads(json.dumps(made))
    return sent


def found_sensors() -> list[dict[str, Any]]:
    """Return sensors as ``vitals scan --json`` prints them; a scan itself needs a radio."""
    kinds = (SensorKind.HEART_RATE,)
    far = FoundSensor("A0:9E:1A:00:00:01", "strap", -60, ("180d",), kinds, battery_percent=87)
    connected = FoundSensor("A0:9E:1A:00:00:02", None, None, ("180d",), kinds, connected=True)
    printed: list[dict[str, Any]] = json.loads(json.dumps([asdict(far), asdict(connected)]))
    return printed


def protocol_schema() -> dict[str, Any]:
    return ProtocolFile.model_json_schema()
