"""The stored shapes: which there are, where they lie, and how they are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.golden import ended, exported, sections
from tests.golden.sections import Place
from tests.golden.shapes import Shape

EXPECTED = Path(__file__).with_name("expected")
COMMAND = "python -m tests.golden.rewrite"
NEEDS = {"parquet": "pyarrow", "training_output": "sklearn"}
"""Sections whose library is an extra."""

ALL: dict[str, Callable[[Place], Shape]] = {
    "commands": sections.commands,
    "configuration": sections.configuration,
    "mqtt": sections.mqtt,
    "http": sections.http,
    "live": sections.live,
    "database": sections.database,
    "files": sections.files,
    "exit_codes": ended.exit_codes,
    "command_output": ended.command_output,
    "training_output": ended.training_output,
    "exports": exported.exports,
    "parquet": exported.parquet,
}


def file_of(name: str) -> Path:
    return EXPECTED / f"{name}.json"


def present(name: str, place: Place) -> Shape:
    """Return the shape of a section as it is now, as a stored file would give it back."""
    shape: Shape = json.loads(text_of(ALL[name](place)))
    return shape


def stored(name: str) -> Shape:
    """Return the stored shape of a section; an empty one where there is none yet."""
    file = file_of(name)
    shape: Shape = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    return shape


def text_of(shape: Shape) -> str:
    return json.dumps(shape, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
