"""``datapackage.json``: a description of the files of an export.

It follows the Data Package standard (frictionlessdata.io).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent import __version__
from edge_agent.core import clock
from edge_agent.store.export.rows.columns import FILES

DESCRIPTION = "datapackage.json"
PACKAGE = "affect-edge-export"
_KEYS = {"session": "session", "participant": "participant"}


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """A file of an export.

    Attributes:
        name: of the table in ``FILES``, or of the file without its ending.
        path: within the export.
        title: what it is.
        media_type: of the file.
        size: bytes.
        sha256: hexadecimal.
        rows: of a table; ``None`` for other files.
    """

    name: str
    path: str
    title: str
    media_type: str
    size: int
    sha256: str
    rows: int | None = None

    def as_resource(self) -> dict[str, Any]:
        """Return the file as a resource of a data package.

        A table with the schema of its columns.
        """
        ending = self.path.rpartition(".")[2]
        described: dict[str, Any] = {
            "name": self.name,
            "title": self.title,
            "path": self.path,
            "format": ending.lower(),
            "mediatype": self.media_type,
            "encoding": "utf-8",
            "bytes": self.size,
            "hash": f"sha256:{self.sha256}",
        }
        if self.rows is None:
            return described
        return described | {
            "profile": "tabular-data-resource",
            "rows": self.rows,
            "schema": schema_of(self.name),
        }


def schema_of(name: str) -> dict[str, Any]:
    """Return the Table Schema of one of ``FILES``.

    It has the columns, the key, and the tables that it points to.
    """
    fields = [column.as_field() for column in FILES[name]]
    schema: dict[str, Any] = {"fields": fields, "missingValues": [""]}
    names = {column.name for column in FILES[name]}
    if name in _KEYS:
        schema["primaryKey"] = _KEYS[name]
    points = [key for key in _KEYS if key in names and key != name]
    if points:
        schema["foreignKeys"] = [
            {"fields": key, "reference": {"resource": key, "fields": _KEYS[key]}} for key in points
        ]
    return schema


def description(files: Iterable[WrittenFile]) -> str:
    """Return the text of ``datapackage.json`` for the files of an export."""
    package = {
        "profile": "data-package",
        "name": PACKAGE,
        "title": "Timeline recorded by Affect Edge",
        "description": "Expressions and vital signs under participants' codes. Times are UTC. A "
        "missing value is an empty cell. A text that a spreadsheet would take for a "
        "formula stands behind an apostrophe.",
        "created": clock.iso_utc(clock.now().wall_ms),
        "version": __version__,
        "resources": [file.as_resource() for file in files],
    }
    return json.dumps(package, indent=2, ensure_ascii=False) + "\n"


def is_ours(path: Path) -> bool:
    """Tell whether a file describes an earlier export of ours."""
    return _read(path).get("name") == PACKAGE


def described_files(path: Path) -> list[str]:
    """Return the names of the files of an earlier export in a folder.

    Names that point into another folder are left out.
    """
    resources = _read(path).get("resources")
    if isinstance(resources, list):
        paths = [one.get("path") for one in resources if isinstance(one, dict)]
    else:
        paths = []
    return [name for name in paths if isinstance(name, str) and Path(name).name == name]


def _read(path: Path) -> dict[str, Any]:
    try:
        described = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    if isinstance(described, dict):
        return described
    return {}
