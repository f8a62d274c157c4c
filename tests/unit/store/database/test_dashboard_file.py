"""Where the files of the dashboard lie."""

from __future__ import annotations

from pathlib import Path

from edge_agent.store.database.dashboard_file import (
    FOLDER,
    dashboard_file,
    delete_prepared_exports,
    make_prepared_folder,
)
from edge_agent.store.database.schema import DATABASE_NAME


def test_files_of_the_dashboard_lie_in_its_own_folder_where_there_is_one(tmp_path: Path) -> None:
    database = tmp_path / DATABASE_NAME
    assert dashboard_file(database) == tmp_path / "dashboard.db"
    assert make_prepared_folder(tmp_path) == tmp_path / "exports"
    (tmp_path / FOLDER).mkdir()
    assert dashboard_file(database) == tmp_path / FOLDER / "dashboard.db"
    export = make_prepared_folder(tmp_path, "one")
    assert export == tmp_path / FOLDER / "exports/one"
    assert {oct(one.stat().st_mode & 0o777) for one in (export, export.parent)} == {"0o770"}
    (export / "study.zip").touch()
    (export.parent / "left.tmp").touch()
    delete_prepared_exports(tmp_path)
    assert list(export.parent.iterdir()) == []
