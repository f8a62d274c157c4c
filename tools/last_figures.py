"""The figures that targets of ``make`` printed last, kept in ``tests/last-figures.toml``.

A program offers what it measured (``offer``); ``tools.last_green`` keeps it with date and commit
once the program has ended, green or red, for a bar that was missed is a figure, too. It keeps
nothing of a part, of a small form, or of a checkout that differs from its commit.
``tools.write_figures`` carries the figures into the documents. Only the standard library is needed.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

RECORD = Path("tests/last-figures.toml")
"""From the root of the checkout, where `make` runs."""
HEAD = (
    "# What targets of `make` printed last; tools/write_figures.py carries it into the documents.\n"
)
DOCUMENTS = ("README.md", "docs/measured.md", "docs/security.md", "docs/reliability.md")
"""What ``tools.write_figures`` writes them into."""
VARIABLE = "TARGET_FIGURES"
"""Names the file for what a program offers; ``tools.last_green`` sets it."""


@dataclass(frozen=True, slots=True)
class Printed:
    """The figures of one run.

    Attributes:
        date: of its end, UTC.
        commit: what the checkout was.
        machine: on which it ran, in words.
        int8_dot: whether that machine's processor has int8 dot products.
        figures: by name.
    """

    date: date
    commit: str
    machine: str
    int8_dot: bool
    figures: Mapping[str, float]

    def described(self) -> str:
        """Return day, commit and machine as a document says them."""
        return f"on {self.date}, commit `{self.commit}`, {self.machine}"


def offer(figures: Mapping[str, float], machine: str, *, int8_dot: bool) -> None:
    """Hand over what was measured, where somebody keeps it.

    Args:
        figures: by name.
        machine: its processor and cores, in words.
        int8_dot: whether the processor has int8 dot products.
    """
    if place := os.environ.get(VARIABLE):
        rounded = {name: float(f"{value:.6g}") for name, value in figures.items()}
        told = {"machine": machine, "int8_dot": int8_dot, "figures": rounded}
        Path(place).write_text(json.dumps(told), encoding="utf-8")


def keep(target: str, offered: Path, commit: str, today: date) -> None:
    """Write what was offered into the record, in place of that target's last figures."""
    told = json.loads(offered.read_text(encoding="utf-8"))
    runs = sorted((kept() | {target: Printed(today, commit, **told)}).items())
    RECORD.write_text(HEAD + "".join(_table(*one) for one in runs), encoding="utf-8")


def kept() -> dict[str, Printed]:
    """Return the last figures of each target."""
    if not RECORD.exists():
        return {}
    tables = tomllib.loads(RECORD.read_text(encoding="utf-8"))
    return {target: Printed(**table) for target, table in tables.items()}


def _table(target: str, printed: Printed) -> str:
    lines = [
        f'["{target}"]',
        f"date = {printed.date}",
        f'commit = "{printed.commit}"',
        f"machine = {json.dumps(printed.machine)}",
        f"int8_dot = {json.dumps(printed.int8_dot)}",
        f'["{target}".figures]',
        *(f'"{name}" = {value:.15g}' for name, value in printed.figures.items()),
    ]
    return "\n" + "\n".join(lines) + "\n"
