"""What others rely on, section by section, with the documents that describe it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.golden import project
from tests.golden.shapes import Schemas, Shape, command_shapes, optional, value_shape
from tests.golden.tables import schema_shape

METHODS = ("get", "post", "put", "patch", "delete")
CONFIGURATION = '[camera]\nsource = "demo"\n[mqtt]\nenabled = false\n'


@dataclass(frozen=True)
class Place:
    """A folder in which commands run and databases are made.

    Attributes:
        folder: an empty folder.
    """

    folder: Path

    @cached_property
    def config(self) -> Path:
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


def _rows_that_the_study_lacks(database: Path) -> list[str]:
    """Return statements for a gap, unfit frames, an interval between beats, and the models."""
    at = 1000 + project.rows(database, "SELECT started FROM session WHERE id = 1")[0][0]
    models = [
        "INSERT INTO model (kind, name, version, sha256, since) "
        f"VALUES ('{card['kind']}', '{card['name']}', '{card['version']}', '{card['sha256']}', "
        f"{at - 2000})"
        for card in _cards().values()
    ]
    times = f"{at}, {at + 9}"
    gap = f"INSERT INTO gap (source, started, ended, reason) VALUES ('camera', {times}, 'stalled')"
    rejected = (
        "INSERT INTO unfit (at, interval_ms, track, reason, frames, is_primary) "
        f"VALUES ({at}, 1000, 1, 'too_dark', 3, 1)"
    )
    beat = (
        "INSERT INTO vital (at, kind, source, value, device_time) "
        f"VALUES ({at}, 'rr_interval', 'strap', 0.8, '2026-09-21T16:13:00')"
    )
    return [gap, rejected, beat, *models]


def commands(_: Place) -> Shape:
    found: dict[str, Shape] = {}
    for name, command in project.COMMANDS.items():
        found |= command_shapes(command, name)
    return found


def configuration(_: Place) -> Shape:
    """Every key of the configuration and of a protocol file, with type, bounds and default, and
    which of them a browser changes.
    """
    protocol = project.protocol_schema()
    for text in protocol["$defs"]["Texts"]["properties"].values():
        text.pop("default", None)  # it is for people
    return {
        "keys": _dotted(_schema_shape(project.settings_schema())),
        "changed by the settings page": project.keys_of_the_settings_page(),
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
            fields = {key: value for key, value in inner.items() if key != "(default)"}
            found |= _dotted(fields, f"{path}.")
        elif isinstance(inner, str) and not name.endswith(("?", ")")):
            found[path] = f"{inner}, required"
        else:
            found[path] = inner
    return found


def mqtt(_: Place) -> Shape:
    """Every topic: who sends, how, and what is in a message."""
    document = project.asyncapi_document()
    schemas = Schemas(document["components"]["schemas"])
    topics = {}
    for name, operation in document["operations"].items():
        channel = document["channels"][_last(operation["channel"]["$ref"])]
        messages = [_last(one["$ref"]) for one in channel["messages"].values()]
        payloads = {one: document["components"]["messages"][one]["payload"] for one in messages}
        parameters = channel["parameters"].items()
        topics[channel["address"]] = {
            "operation": name,
            "action": operation["action"],
            "bindings": operation["bindings"]["mqtt"],
            "parameters": {key: value["default"] for key, value in parameters},
            "messages": {one: schemas.shape(payload) for one, payload in payloads.items()},
            "names of payloads": sorted(set(re.findall(r"schemas/(\w+)", str(payloads)))),
        }
    version = document["info"]["version"]
    return {"asyncapi": document["asyncapi"], "version": version, "topics": topics}


def _last(reference: str) -> str:
    return reference.rpartition("/")[2]


def http(place: Place) -> Shape:
    application = project.application(place.folder / "http")
    document = application.openapi()
    definitions = document["components"]["schemas"]
    api = {
        f"{method.upper()} {path}": _operation(operation, definitions)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    }
    routes = project.routes(application)
    assert {path for _, path in routes} >= set(document["paths"])
    return {
        "api": api,
        "routes": sorted(f"{method} {_without_versions(path)}" for method, path in routes),
        "open without a login": sorted(project.PUBLIC_PATHS),
        "cookie of a login": project.LOGIN_COOKIE,
    }


def _operation(operation: Mapping[str, Any], definitions: Mapping[str, Any]) -> Shape:
    """Return name and scope, what is asked for with its bounds, and the types of the answers."""
    asked = Schemas(definitions)
    answered = Schemas(definitions, with_bounds=False)
    request: dict[str, Shape] = {}
    for parameter in operation.get("parameters", ()):
        name = f"{parameter['in']} {parameter['name']}"
        shape = asked.shape(parameter["schema"])
        request[optional(name, not parameter.get("required"))] = shape
    if "requestBody" in operation:
        body = operation["requestBody"]
        request[optional("body", not body.get("required"))] = _contents(body, asked)
    answers = operation["responses"].items()
    shapes = {code: _contents(answer, answered) for code, answer in answers}
    found = {"operation": operation["operationId"], "security": operation["security"]}
    found |= {"request": request} if request else {}
    return found | {"answers": shapes}


def _contents(holder: Mapping[str, Any], schemas: Schemas) -> Shape:
    """Return media type → shape; the framework's own list of wrong values is named only."""
    found = {}
    for kind, content in holder.get("content", {}).items():
        schema = content.get("schema", {})
        if _last(schema.get("$ref", "")) == "HTTPValidationError":
            found[kind] = "the framework's own"
        else:
            found[kind] = schemas.shape(schema)
    return found


def _without_versions(path: str) -> str:
    return re.sub(r"\d+(\.\d+)+", "VERSION", path)


def live(_: Place) -> Shape:
    """The messages of the live feed, and the words that rows, messages and answers use."""
    return {
        "messages": {kind: value_shape(one) for kind, one in project.live_messages().items()},
        "words": {name: list(words) for name, words in project.WORDS.items()},
        "units": project.UNITS,
    }


def database(place: Place) -> Shape:
    return schema_shape(project.new_database(place.folder / "new"))


def files(_: Place) -> Shape:
    text = (project.ROOT / "pyproject.toml").read_text(encoding="utf-8")
    package = tomllib.loads(text)["project"]
    return {
        "models": _names(project.MODELS_FOLDER, ".json", ".tflite"),
        "model card": _schema_shape(project.card_schema()),
        "shipped cards": {name: _card_keys(card) for name, card in _cards().items()},
        "systemd units": _names(project.ROOT / "systemd", ".service", ".socket", ".timer"),
        "protocols": _names(project.EXAMPLES, ".toml"),
        "distribution": package["name"],
        "commands": sorted(package["scripts"]),
        "extras": sorted(package["optional-dependencies"]),
        "local socket": project.SOCKET_NAME,
    }


def _names(folder: Path, *endings: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in endings)


def _cards() -> dict[str, dict[str, Any]]:
    paths = sorted(project.MODELS_FOLDER.glob("*.json"))
    return {path.name: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _card_keys(card: Mapping[str, Any]) -> Shape:
    """Return the keys of a card; of its figures, which another training changes, the splits."""
    shape: dict[str, Shape] = value_shape(card)
    labels = {one["name"]: one.get("labels", []) for one in card["outputs"]}
    return shape | {"metrics": sorted(card["metrics"]), "labels of outputs": labels}
