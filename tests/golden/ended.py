"""What commands leave behind: exit codes, what ``--json`` prints, and exported files."""

from __future__ import annotations

import csv
import io
import json
import re
import socket
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.golden import project
from tests.golden.project import affect_edge, dashboard, training
from tests.golden.sections import Place
from tests.golden.shapes import Shape, shape_of_all, value_shape

SHIPPED = project.MODELS_FOLDER / "expression-fast.tflite"
EMOTIONS = project.WORDS["emotions"]


def exit_codes(place: Place) -> Shape:
    """The exit code of commands that do well, fail, or are used wrongly."""
    return {name: ended.code for name, ended in _attempts(place)}


def _attempts(place: Place) -> Iterator[tuple[str, project.Ended]]:
    wrong = place.folder / "wrong.toml"
    wrong.write_text("[camera]\nsource = 'webcam'\n", encoding="utf-8")
    missing = place.folder / "missing"
    nowhere = place.options(missing)
    yield "affect-edge --version", affect_edge("--version")
    yield "affect-edge --help", affect_edge("--help")
    yield "affect-edge, unknown command", affect_edge("runn")
    yield "affect-edge config check, right file", affect_edge("config", "check", place.config)
    yield "affect-edge config check, wrong value", affect_edge("config", "check", wrong)
    yield "affect-edge doctor, wrong configuration", affect_edge("doctor", "--config", wrong)
    yield "affect-edge model verify", affect_edge("model", "verify", *nowhere)
    yield "affect-edge model verify, missing card", affect_edge("model", "verify", missing, *nowhere)
    yield "affect-edge participant list", affect_edge("participant", "list", *place.options())
    yield "affect-edge participant list, no database", affect_edge("participant", "list", *nowhere)
    yield "affect-edge session show, none open", affect_edge("session", "show", *place.options())
    yield (
        "affect-edge session start, no such purpose",
        affect_edge("session", "start", "P", "--purpose", "fun", *nowhere),
    )
    yield "affect-edge classify, missing file", affect_edge("classify", missing / "a.png", *nowhere)
    yield "affect-edge export, fhir without session", affect_edge("export", "--out", "a", "--format", "fhir", *nowhere)
    yield "affect-edge import-vitals, missing file", affect_edge("import-vitals", missing, *nowhere)
    yield "python -m dashboard --help", dashboard("--help")
    yield "python -m dashboard, unknown option", dashboard("--prot", "1")
    yield "python -m dashboard, wrong configuration", dashboard("--config", wrong)
    yield "python -m dashboard, open to the network", dashboard("--host", "0.0.0.0", *nowhere)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield "python -m dashboard, port taken", dashboard("--port", taken.getsockname()[1], *nowhere)
    yield "python -m dashboard analyse, no such state", dashboard("analyse", "--state", "moon", *nowhere)
    yield "python -m dashboard analyse, no database", dashboard("analyse", *nowhere)
    yield "python -m dashboard protocol check", dashboard("protocol", "check", *project.EXAMPLES.glob("*.toml"))
    yield "python -m dashboard protocol check, missing file", dashboard("protocol", "check", missing)
    yield "python -m dashboard password, no such account", dashboard("password", "eve", *place.options())
    yield "python -m training --help", training("--help")
    yield "python -m training, unknown command", training("fitt")
    yield "python -m training evaluate, nothing to judge", training("evaluate")
    yield "python -m training evaluate, missing data", training("evaluate", SHIPPED, "--data", missing)


def command_output(place: Place) -> Shape:
    """What commands print with ``--json``."""
    return {name: _printed(ended) for name, ended in _answers(place)} | {
        "affect-edge analyse": _analyses(place),
        "affect-edge vitals scan": value_shape(project.found_sensors()),
    }


def _analyses(place: Place) -> Shape:
    """Return the shape that the answers by every kind of state fit."""
    kinds = (("condition",), ("observed", "--sensitivity"), ("reported",))
    ended = [dashboard("analyse", *place.options(), "--json", "--state", *kind) for kind in kinds]
    return shape_of_all(json.loads(one.printed) for one in ended)


def _answers(place: Place) -> Iterator[tuple[str, project.Ended]]:
    from matplotlib import get_data_path

    data = place.folder / "output"
    portrait = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
    options = (*place.options(data), "--json")
    study = (*place.options(), "--json")
    yield "affect-edge model list", affect_edge("model", "list", *options)
    yield "affect-edge classify", affect_edge("classify", portrait, *options)
    yield "affect-edge classify, missing file", affect_edge("classify", data / "missing.png", *options)
    yield "affect-edge doctor", affect_edge("doctor", *options)
    yield "affect-edge bench", affect_edge("bench", "--frames", 3, *options)
    yield "affect-edge participant list", affect_edge("participant", "list", *study)
    yield "affect-edge session quality", affect_edge("session", "quality", 1, *study)
    yield from _session(place, data, options)


def _session(place: Place, data: Path, options: tuple[object, ...]) -> Iterator[tuple[str, project.Ended]]:
    """Run a session from its start to the erasure of its participant."""
    database = project.new_database(data)
    project.write(
        database,
        "INSERT INTO participant (id, code, created) VALUES (1, 'P-01', 1)",
        "INSERT INTO consent (participant, text_version, given) VALUES (1, '1', 1)",
    )
    start = ("start", "P-01", "--purpose", "research")
    for words in (start, ("mark", "note", "hello"), ("show",), ("end",), ("show",)):
        ended = affect_edge("session", *words, *options)
        none = words == ("show",) and ended.code == 1
        yield f"affect-edge session {words[0]}{', none open' if none else ''}", ended
    yield "affect-edge participant erase", affect_edge("participant", "erase", "P-01", *options)


def _printed(ended: project.Ended) -> Shape:
    """Return the shape of what was printed: one JSON document, or one a line."""
    try:
        return value_shape(json.loads(ended.printed))
    except ValueError:
        return {"a line": shape_of_all(json.loads(line) for line in ended.printed.splitlines())}


def training_output(place: Place) -> Shape:
    """What ``evaluate`` and ``compare`` print with ``--json``, for a shipped model and a few made pictures."""
    data = _labelled_pictures(place.folder)
    said = place.folder / "predict.csv"
    said.write_text("id,label\n1,anger\n2,fear\n", encoding="utf-8")
    tables = ("--predictions", said, "--truth", said)
    robust = training("evaluate", SHIPPED, *data, "--robustness", "--json")
    return {
        "evaluate --robustness": _printed(robust),
        "evaluate": _printed(training("evaluate", SHIPPED, *data, "--json")),
        "evaluate --predictions": _printed(training("evaluate", *tables, "--json")),
        "compare": _printed(training("compare", SHIPPED, SHIPPED, *data, "--json")),
    }


def _labelled_pictures(folder: Path) -> tuple[object, ...]:
    """Write a FER2013 table of 21 stripes and its votes; return the options that name them."""
    table = ["emotion,pixels,Usage"]
    votes = [",".join(("Usage", "Image name", *EMOTIONS, "unknown", "NF"))]
    for number in range(21):
        pixels = " ".join(str((pixel * (number + 1)) % 256) for pixel in range(48 * 48))
        table.append(f"{number % 7},{pixels},PublicTest")
        counts = [10 if place == number % 7 else 0 for place in range(10)]
        votes.append(",".join(("PublicTest", "a.png", *map(str, counts))))
    words: list[object] = ["--cache", folder / "cache"]
    for option, lines in (("--data", table), ("--votes", votes)):
        file = folder / f"pictures{option}.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        words += [option, file]
    return tuple(words)


def exports(place: Place) -> Shape:
    """Every form of an export but Parquet: names of files, columns, keys, codes."""
    bundle = _bundle(place)
    schemas = {name: one["schema"] for name, one in _resources_of(bundle).items() if "schema" in one}
    folder = _folder(place)
    for name, one in _resources_of(folder).items():
        one["schema"] = "as in the bundle" if one["schema"] == schemas[name] else one["schema"]
    document = _json(place)
    for name, schema in document["schemas"].items():
        document["schemas"][name] = "as in the bundle" if schema == schemas[f"{name}.csv"] else schema
    return {"bundle": bundle, "csv": folder, "json": document, "fhir": _fhir(place)}


def _resources_of(export: Shape) -> dict[str, Any]:
    resources: dict[str, Any] = export["datapackage.json"]["resources"]
    return resources


def _export(place: Place, form: str, name: str) -> Path:
    out = place.folder / f"export-{name}"
    ended = affect_edge("export", *place.options(), "--session", 1, "--format", form, "--out", out)
    assert ended.code == 0, f"the export as {form} ended with {ended.code}"
    return out


def _bundle(place: Place) -> Shape:
    with zipfile.ZipFile(_export(place, "bundle", "bundle.zip")) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}
    settings = json.loads(texts["settings.json"])
    heads = {name: _head(text) for name, text in texts.items() if name.endswith(".csv")}
    package = _package(json.loads(texts["datapackage.json"]))
    return {"files": [_plain(name) for name in texts], "settings.json": value_shape(settings)} | {
        "first lines": heads,
        "datapackage.json": package,
    }


def _folder(place: Place) -> Shape:
    out = _export(place, "csv", "csv")
    heads = {file.name: _head(file.read_text(encoding="utf-8")) for file in sorted(out.glob("*.csv"))}
    package = json.loads((out / "datapackage.json").read_text(encoding="utf-8"))
    return {"files": sorted(file.name for file in out.iterdir()), "first lines": heads} | {
        "datapackage.json": _package(package)
    }


def _head(text: str) -> list[str]:
    return next(csv.reader(io.StringIO(text)))


def _plain(name: str) -> str:
    """Return the name of a file without the hash of a model in it."""
    return re.sub(r"-[0-9a-f]{8}\b", "-HASH", name)


def _package(package: dict[str, Any]) -> dict[str, Any]:
    resources = package.pop("resources")
    return {"keys": value_shape(package), "name": package["name"], "profile": package["profile"]} | {
        "resources": {_plain(one["path"]): _resource(one) for one in resources}
    }


def _resource(resource: dict[str, Any]) -> Shape:
    named = {key: _plain(str(resource[key])) for key in ("name", "format", "mediatype", "encoding")}
    shape: dict[str, Shape] = named | {"keys": sorted(resource)}
    if "schema" in resource:
        shape["schema"] = _table_schema(resource["schema"])
    return shape


def _table_schema(schema: dict[str, Any]) -> Shape:
    """Return name → type and unit of the columns, with the keys of the table."""
    fields = {}
    for field in schema["fields"]:
        told = {key: value for key, value in field.items() if key not in {"name", "description", "constraints"}}
        words = [told.pop("type"), *(f"{key} {value}" for key, value in sorted(told.items()))]
        choices = field.get("constraints", {}).get("enum")
        simple = ", ".join(words)
        fields[field["name"]] = {"type": simple, "choices": choices} if choices else simple
    rest = {key: value for key, value in schema.items() if key != "fields"}
    return rest | {"columns": fields, "order": list(fields)}


def _json(place: Place) -> Shape:
    document = json.loads(_export(place, "json", "export.json").read_text(encoding="utf-8"))
    schemas = document.pop("schemas")
    return {
        "document": value_shape(document),
        "schemas": {name: _table_schema(schema) for name, schema in schemas.items()},
    }


def _fhir(place: Place) -> Shape:
    document = json.loads(_export(place, "fhir", "fhir.json").read_text(encoding="utf-8"))
    resources: dict[str, list[Any]] = {}
    for entry in document["entry"]:
        resources.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return {
        "bundle": {key: value for key, value in document.items() if key in {"resourceType", "type"}},
        "keys": value_shape({key: value for key, value in document.items() if key != "entry"}),
        "entry": sorted({key for entry in document["entry"] for key in entry}),
        "resources": {kind: shape_of_all(found) for kind, found in resources.items()},
        "codes": sorted(set(_codes(document["entry"]))),
    }


def _codes(value: Any) -> Iterator[str]:
    """Yield ``system code`` of every coding and quantity."""
    if isinstance(value, dict):
        if "system" in value and "code" in value:
            yield f"{value['system']} {value['code']}"
        for inner in value.values():
            yield from _codes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _codes(inner)


def parquet(place: Place) -> Shape:
    """The tables of a Parquet export: columns and their types."""
    from pyarrow.parquet import read_schema

    out = _export(place, "parquet", "parquet")
    schemas = {file.name: read_schema(file) for file in sorted(out.glob("*.parquet"))}
    tables = {
        name: {
            "columns": {field.name: _arrow(field) for field in schema},
            "order": schema.names,
            "metadata": sorted(key.decode() for key in schema.metadata or ()),
        }
        for name, schema in schemas.items()
    }
    package = _package(json.loads((out / "datapackage.json").read_text(encoding="utf-8")))
    for one in package["resources"].values():
        one.pop("schema")  # the tables say the same
    return {"files": sorted(file.name for file in out.iterdir()), "tables": tables, "datapackage.json": package}


def _arrow(field: Any) -> str:
    return f"{field.type}{'' if field.nullable else ', not null'}"
