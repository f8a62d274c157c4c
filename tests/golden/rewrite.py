"""``python -m tests.golden.rewrite``: store the public shapes as they are, and print what changed.

Additions are stored. Where something disappeared, changed, or is now demanded, nothing of that
section is written unless ``--also-breaking`` says that this is meant: others rely on it.
"""

from __future__ import annotations

import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

import click

from tests.golden.differences import Differences, differences
from tests.golden.sections import Place
from tests.golden.stored import ALL, EXPECTED, NEEDS, file_of, present, stored, text_of


@click.command()
@click.option("--also-breaking", is_flag=True, help="Also store what disappeared or changed.")
def rewrite(also_breaking: bool) -> None:
    """Store the public shapes as they are now, and print what changed."""
    EXPECTED.mkdir(exist_ok=True)
    refused = False
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder))
        for name in ALL:
            if name in NEEDS and find_spec(NEEDS[name]) is None:
                click.echo(f"{name}: not looked at, for {NEEDS[name]} is not installed")
                continue
            shape = present(name, place)
            found = differences(stored(name), shape)
            _tell(name, found)
            if found.broken and file_of(name).exists() and not also_breaking:
                refused = True
                continue
            file_of(name).write_text(text_of(shape), encoding="utf-8")
    if refused:
        click.echo("Sections with lines of - or ! were left. If it is meant: --also-breaking")
        sys.exit(1)


def _tell(name: str, found: Differences) -> None:
    click.echo(f"{name}: {'changed' if found else 'as stored'}")
    for line in found.lines():
        click.echo(f"  {line}")


if __name__ == "__main__":
    rewrite()
