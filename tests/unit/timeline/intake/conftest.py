"""A study that a command imports into an empty data folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from affect_edge import cli
from tests.support.timeline import query


class Here:
    """The data folder that studies are imported into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def take(self, source: Path, *words: str) -> Any:
        """Return the report of ``import-study``; raise what it refuses a study for."""
        words = ("import-study", str(source), *words, "--data", str(self.folder), "--json")
        done = CliRunner().invoke(cli, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.stdout, done.output
        return json.loads(done.stdout)

    def stored(self, sql: str) -> Any:
        return query(self.folder / "affect-edge.db", sql)


@pytest.fixture
def here(tmp_path: Path) -> Here:
    return Here(tmp_path / "here")
