"""What an export holds: names of files, columns, keys and codes of each form."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.golden import project
from tests.golden.sections import Place
from tests.golden.shapes import Shape, shape_of_all, value_shape

SAME = "as in the bundle"
_DESCRIBED = "datapackage.json"
_FOR_PEOPLE = {"name", "description", "constraints"}


def exports(place: Place) -> Shape:
    """Every form of an export but Parquet."""
    bundle = _bundle(place)
    folder = _folder(place)
    document = _json(place)
    described = bundle[_DESCRIBED]["resources"]
    for name, one in folder[_DESCRIBED]["resources"].items():
        if one["schema"] == described[name]["schema"]:
            one["schema"] = SAME
    for name, schema in document["schemas"].items():
        if schema == described[f"{name}.csv"]["schema"]:
            document["schemas"][name] = SAME
    forms = {"bundle": bundle, "csv": folder, "json": document}
    return {**forms, "fhir": _fhir(place), "sqlite": _sqlite(place)}


def parquet(place: Place) -> Shape:
    from pyarrow.parquet import read_schema

    out = _export(place, "parquet", "parquet")
    tables = {file.name: _arrow_table(read_schema(file)) for file in out.glob("*.parquet")}
    described = _package(out / _DESCRIBED)
    for one in described["resources"].values():
        one.pop("schema")  # the tables say the same
    return {"files": _names(out), "tables": tables, _DESCRIBED: described}


def _arrow_table(schema: Any) -> Shape:
    columns = {}
    for field in schema:
        columns[field.name] = str(field.type) if field.nullable else f"{field.type}, not null"
    metadata = sorted(key.decode() for key in schema.metadata or ())
    return {"columns": columns, "order": list(schema.names), "metadata": metadata}


def _export(place: Place, form: str, name: str) -> Path:
    """Export the first session of the study as a person does; return the file or folder."""
    out = place.folder / f"export-{name}"
    words = ("--session", 1, "--format", form, "--out", out)
    common = ("--config", place.config, "--data", place.study)
    ended = project.affect_edge("export", *words, *common)
    assert ended.code == 0, f"the export as {form} ended with {ended.code}"
    return out


def _bundle(place: Place) -> dict[str, Any]:
    """Return files, columns and settings of a bundle."""
    with zipfile.ZipFile(_export(place, "bundle", "bundle.zip")) as archive:
        archive.extractall(place.folder / "bundle")
        names = archive.namelist()
    folder = place.folder / "bundle"
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return {
        "files": [_without_hash(name) for name in names],
        "settings.json": value_shape(settings),
        "first lines": _first_lines(folder),
        _DESCRIBED: _package(folder / _DESCRIBED),
    }


def _folder(place: Place) -> dict[str, Any]:
    out = _export(place, "csv", "csv")
    described = _package(out / _DESCRIBED)
    return {"files": _names(out), "first lines": _first_lines(out), _DESCRIBED: described}


def _names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def _first_lines(folder: Path) -> Shape:
    """Return the names of the columns as the CSV files themselves have them."""
    texts = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.csv")}
    return {name: next(csv.reader(io.StringIO(text))) for name, text in texts.items()}


def _without_hash(name: str) -> str:
    return re.sub(r"-[0-9a-f]{8}\b", "-HASH", name)


def _package(file: Path) -> dict[str, Any]:
    package = json.loads(file.read_text(encoding="utf-8"))
    resources = package.pop("resources")
    return {
        "keys": value_shape(package),
        "name": package["name"],
        "profile": package["profile"],
        "resources": {_without_hash(one["path"]): _resource(one) for one in resources},
    }


def _resource(resource: Mapping[str, Any]) -> Shape:
    shape: dict[str, Shape] = {"keys": sorted(resource)}
    for key in ("name", "format", "mediatype", "encoding"):
        shape[key] = _without_hash(resource[key])
    if "schema" in resource:
        shape["schema"] = _table_schema(resource["schema"])
    return shape


def _table_schema(schema: Mapping[str, Any]) -> Shape:
    """Return name → type and unit of the columns, their order, and the keys of the table."""
    shape = {key: value for key, value in schema.items() if key != "fields"}
    shape["order"] = [field["name"] for field in schema["fields"]]
    shape["columns"] = {field["name"]: _column(field) for field in schema["fields"]}
    return shape


def _column(field: Mapping[str, Any]) -> Shape:
    rest = {key: value for key, value in field.items() if key not in _FOR_PEOPLE}
    kind = rest.pop("type")
    told = ", ".join([kind, *(f"{key} {value}" for key, value in sorted(rest.items()))])
    choices = field.get("constraints", {}).get("enum")
    return {"type": told, "choices": choices} if choices else told


def _json(place: Place) -> dict[str, Any]:
    document = json.loads(_export(place, "json", "export.json").read_text(encoding="utf-8"))
    schemas = document.pop("schemas")
    described = {name: _table_schema(schema) for name, schema in schemas.items()}
    return {"document": value_shape(document), "schemas": described}


def _sqlite(place: Place) -> Shape:
    """Return the statement that makes each table."""
    with closing(sqlite3.connect(_export(place, "sqlite", "export.sqlite"))) as file:
        return dict(file.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table'"))


def _fhir(place: Place) -> Shape:
    """Return the shape of each type of resource, and the codes that are used."""
    document = json.loads(_export(place, "fhir", "fhir.json").read_text(encoding="utf-8"))
    entries = document.pop("entry")
    resources: dict[str, list[Any]] = {}
    for entry in entries:
        resources.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return {
        "type": [document["resourceType"], document["type"]],
        "keys": value_shape(document),
        "keys of entries": sorted({key for entry in entries for key in entry}),
        "resources": {kind: shape_of_all(found) for kind, found in resources.items()},
        "codes": sorted(set(_codes(entries))),
    }


def _codes(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        if "system" in value and "code" in value:
            yield f"{value['system']} {value['code']}"
        for inner in value.values():
            yield from _codes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _codes(inner)
