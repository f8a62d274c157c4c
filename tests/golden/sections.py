"""What others rely on, section by section: each gives the shape that its stored file is compared with."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.golden import project
from tests.golden.shapes import Schemas, Shape, command_shapes, value_shape

METHODS = ("get", "post", "put", "patch", "delete")
CONFIGURATION = '[camera]\nsource = "demo"\n[mqtt]\nenabled = false\n'


@dataclass(frozen=True)
class Place:
    """A folder in which commands run and databases are made, and what several sections need of it.

    Attributes:
        folder: an empty folder.
    """

    folder: Path

    @cached_property
    def config(self) -> Path:
        """A configuration file with the demonstration camera."""
        path = self.folder / "affect-edge.toml"
        path.write_text(CONFIGURATION, encoding="utf-8")
        return path

    @cached_property
    def study(self) -> Path:
        """The data folder of an example study; its first session has a row of every kind."""
        data = self.folder / "study"
        database = project.seeded_database(data)
        project.write(database, *_rows_that_the_study_lacks(database))
        return data

    def options(self, data: Path | None = None) -> tuple[object, ...]:
        """The options that every command takes."""
        return ("--config", self.config, "--data", data or self.study)


def _rows_that_the_study_lacks(database: Path) -> list[str]:
    """Return statements for a gap, unfit frames, an interval between beats, and the models in use."""
    found = project.rows(database, "SELECT started, ended FROM session WHERE id = 1")
    at = found[0][0] + 1000
    cards = {card["kind"]: card for card in _cards().values()}
    models = [
        "INSERT INTO model (kind, name, version, sha256, since) "
        f"VALUES ('{kind}', '{card['name']}', '1.0.0', '{card['sha256']}', {at - 2000})"
        for kind, card in cards.items()
    ]
    return [
        f"INSERT INTO gap (source, started, ended, reason) VALUES ('camera', {at}, {at + 9}, 'stalled')",
        "INSERT INTO unfit (at, interval_ms, track, reason, frames, is_primary) "
        f"VALUES ({at}, 1000, 1, 'too_dark', 3, 1)",
        "INSERT INTO vital (at, kind, source, value, device_time) "
        f"VALUES ({at}, 'rr_interval', 'strap', 0.8, '2026-09-21T16:13:00')",
        *models,
    ]


def commands(_: Place) -> Shape:
    """Every command with its arguments and options."""
    found: dict[str, Shape] = {}
    for name, command in project.COMMANDS.items():
        found |= command_shapes(command, name)
    return found


def configuration(_: Place) -> Shape:
    """Every key of the configuration and of a protocol file, with type, bounds and default."""
    protocol = project.protocol_schema()
    shown = protocol["$defs"]["Texts"]["properties"].values()
    for text in shown:
        text.pop("default", None)  # a text for people
    return {
        "keys": _dotted(_schema_shape(project.settings_schema())),
        "environment": project.ENVIRONMENT,
        "file of the system": str(project.SYSTEM_FILE),
        "protocol file": _schema_shape(protocol),
    }


def _schema_shape(schema: Mapping[str, Any]) -> Shape:
    return Schemas(schema.get("$defs", {})).shape(schema)


def _dotted(shape: Mapping[str, Shape], prefix: str = "") -> dict[str, Shape]:
    """Return ``section.key`` → shape; a section is what refuses other fields."""
    found: dict[str, Shape] = {}
    for name, inner in shape.items():
        path = f"{prefix}{name.removesuffix('?')}"
        if isinstance(inner, Mapping) and "(other fields)" in inner:
            found |= _dotted({key: value for key, value in inner.items() if key != "(default)"}, f"{path}.")
        else:
            must = isinstance(inner, str) and not name.endswith("?") and name != "(other fields)"
            found[path] = f"{inner}, required" if must else inner
    return found


def mqtt(_: Place) -> Shape:
    """Every topic: who sends, how, and what is in a message."""
    document = project.asyncapi_document()
    schemas = Schemas(document["components"]["schemas"])
    topics = {}
    for name, operation in document["operations"].items():
        channel = document["channels"][operation["channel"]["$ref"].rpartition("/")[2]]
        messages = [one.rpartition("/")[2] for one in (each["$ref"] for each in channel["messages"].values())]
        payloads = {one: document["components"]["messages"][one]["payload"] for one in messages}
        topics[channel["address"]] = {
            "operation": name,
            "action": operation["action"],
            "bindings": operation["bindings"]["mqtt"],
            "parameters": {key: value["default"] for key, value in channel["parameters"].items()},
            "messages": {one: schemas.shape(payload) for one, payload in payloads.items()},
            "names of payloads": sorted(set(re.findall(r"schemas/(\w+)", str(payloads)))),
        }
    return {"asyncapi": document["asyncapi"], "version": document["info"]["version"], "topics": topics}


def http(place: Place) -> Shape:
    """Every address: the API with its parameters, bodies and answers, and the pages."""
    application = project.application(place.folder / "http")
    document = application.openapi()
    schemas = Schemas(document["components"]["schemas"])
    api = {
        f"{method.upper()} {path}": _operation(operation, schemas)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }
    addresses = {f"{method} {_without_versions(path)}" for method, path in project.routes(application)}
    assert {path.split(" ")[1] for path in addresses} >= set(document["paths"])
    return {
        "api": api,
        "routes": sorted(addresses),
        "open without a login": sorted(project.PUBLIC_PATHS),
        "cookie of a login": project.LOGIN_COOKIE,
    }


def _operation(operation: Mapping[str, Any], schemas: Schemas) -> Shape:
    shape: dict[str, Shape] = {"answers": {}}
    for parameter in operation.get("parameters", ()):
        name = f"{parameter['in']} {parameter['name']}{'' if parameter.get('required') else '?'}"
        shape.setdefault("request", {})[name] = schemas.shape(parameter["schema"])
    if "requestBody" in operation:
        body = operation["requestBody"]
        name = "body" if body.get("required") else "body?"
        shape.setdefault("request", {})[name] = _contents(body, schemas)
    for code, answer in operation["responses"].items():
        shape["answers"][code] = _contents(answer, schemas)
    return shape


def _contents(holder: Mapping[str, Any], schemas: Schemas) -> Shape:
    """Return media type → shape; the framework's own list of wrong values is named only."""
    found = {}
    for kind, content in holder.get("content", {}).items():
        schema = content.get("schema", {})
        ours = not str(schema.get("$ref", "")).endswith("/HTTPValidationError")
        found[kind] = schemas.shape(schema) if ours else "the framework's own"
    return found


def _without_versions(path: str) -> str:
    """Return an address without the version of a library in it."""
    return re.sub(r"\d+(\.\d+)+", "VERSION", path)


def live(_: Place) -> Shape:
    """The messages of the live feed, and the words that rows, messages and answers use."""
    messages = {kind: value_shape(message) for kind, message in project.live_messages().items()}
    return {"messages": messages, "words": {name: list(words) for name, words in project.WORDS.items()}} | {
        "units": project.UNITS
    }


def database(place: Place) -> Shape:
    """Tables, views, indexes and triggers of a new database."""
    path = project.new_database(place.folder / "new")

    def named(kind: str) -> list[str]:
        query = f"SELECT name FROM sqlite_schema WHERE type = '{kind}' AND name NOT LIKE 'sqlite_%'"
        return [row[0] for row in project.rows(path, query)]

    strict = "SELECT name FROM pragma_table_list WHERE strict = 1 AND schema = 'main'"
    versions = project.rows(path, "SELECT version FROM migration ORDER BY version")
    newest = project.rows(path, "PRAGMA user_version")
    assert versions[-1] == newest[0]
    return {
        "file": project.DATABASE_NAME,
        "application id": project.APPLICATION_ID,
        "versions of the schema": [row[0] for row in versions],
        "tables": {name: _table(path, name) for name in named("table")},
        "strict tables": sorted(row[0] for row in project.rows(path, strict)),
        "views": {name: _view(path, name) for name in named("view")},
        "triggers": sorted(named("trigger")),
    }


def _table(path: Path, table: str) -> Shape:
    fields = project.rows(path, f"SELECT name, type, \"notnull\", pk, dflt_value FROM pragma_table_xinfo('{table}')")
    columns = {}
    for name, kind, needed, key, default in fields:
        words = [kind, *(["not null"] if needed else []), *([f"key {key}"] if key else [])]
        words += [f"default {default}"] if default is not None else []
        columns[name] = ", ".join(words)
    shape: dict[str, Shape] = {"columns": columns, "order": [field[0] for field in fields]}
    indexes = project.rows(path, f"SELECT name, \"unique\", partial FROM pragma_index_list('{table}')")
    shape["indexes"] = sorted(_index(path, *index) for index in indexes)
    keys = project.rows(path, f'SELECT "from", "table", "to", on_delete FROM pragma_foreign_key_list(\'{table}\')')
    shape["foreign keys"] = sorted(f"{mine} → {other}.{its}, delete: {what.lower()}" for mine, other, its, what in keys)
    return {key: value for key, value in shape.items() if value}


def _index(path: Path, name: str, unique: int, partial: int) -> str:
    columns = project.rows(path, f"SELECT coalesce(name, 'an expression') FROM pragma_index_info('{name}')")
    shown = "one that SQLite makes" if name.startswith("sqlite_") else name
    rules = (", unique" if unique else "") + (", partial" if partial else "")
    return f"{shown} ({', '.join(column[0] for column in columns)}){rules}"


def _view(path: Path, view: str) -> Shape:
    fields = project.rows(path, f"SELECT name, type FROM pragma_table_xinfo('{view}')")
    return {"columns": {name: kind.upper() or "any" for name, kind in fields}, "order": [field[0] for field in fields]}


def files(_: Place) -> Shape:
    """Names of what is shipped or lies on a machine: models, units, examples, the command, the local socket."""
    package = tomllib.loads((project.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "models": sorted(path.name for path in project.MODELS_FOLDER.iterdir() if path.suffix in {".json", ".tflite"}),
        "model card": _schema_shape(project.card_schema()),
        "shipped cards": {name: _card_keys(card) for name, card in _cards().items()},
        "systemd units": sorted(path.name for path in (project.ROOT / "systemd").iterdir()),
        "protocols": sorted(path.name for path in project.EXAMPLES.iterdir() if path.suffix == ".toml"),
        "distribution": package["name"],
        "commands": sorted(package["scripts"]),
        "extras": sorted(package["optional-dependencies"]),
        "local socket": project.SOCKET_NAME,
    }


def _cards() -> dict[str, dict[str, Any]]:
    paths = sorted(project.MODELS_FOLDER.glob("*.json"))
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _card_keys(card: Mapping[str, Any]) -> Shape:
    """Return the keys of a card; its figures are those of one training run, and its splits are named only."""
    shape: dict[str, Shape] = value_shape(card)
    labels = {one["name"]: one.get("labels", []) for one in card["outputs"]}
    return shape | {"metrics": sorted(card["metrics"]), "labels of outputs": labels}


SECTIONS: dict[str, Callable[[Place], Shape]] = {
    "commands": commands,
    "configuration": configuration,
    "mqtt": mqtt,
    "http": http,
    "live": live,
    "database": database,
    "files": files,
}
