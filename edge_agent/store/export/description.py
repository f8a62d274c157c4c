"""``datapackage.json``: a description of the files of an export.

It follows the Data Package standard (frictionlessdata.io).
"""

from __future__ import annotations

import hashlib
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
    return _sealed(package)


def unchanged_files(path: Path) -> dict[str, str] | None:
    """Return the hash of each file that a description names; ``None``: none of ours, or changed.

    Raises:
        OSError: it cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
        package = json.loads(text)
        del package["hash"]
        if package["name"] != PACKAGE or _sealed(package) != text:
            return None
        return {one["path"]: one["hash"] for one in package["resources"]}
    except (FileNotFoundError, ValueError, LookupError, TypeError, AttributeError):
        return None


def _sealed(package: dict[str, Any]) -> str:
    """Return the text of a description with its own hash, by which a change is noticed."""
    digest = hashlib.sha256(_text(package).encode()).hexdigest()
    return _text(package | {"hash": f"sha256:{digest}"})


def _text(package: dict[str, Any]) -> str:
    return json.dumps(package, indent=2, ensure_ascii=False) + "\n"
