"""One person in every table of both databases: an erasure leaves no word of theirs in any file.

A table or a column of text that is new is red here, until it is said whose its rows are.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from edge_agent.core.noted import CODE_AFTER, NAMING_PERSONS
from edge_agent.timeline.database import dashboard_file
from edge_agent.timeline.database.dashboard_file import FILE_NAME
from edge_agent.timeline.database.schema import DATABASE_NAME
from edge_agent.timeline.database.tables import DASHBOARD, OF_PARTICIPANT, OF_SESSION
from edge_agent.timeline.gate.commands import Commands
from edge_agent.timeline.intake.imports import undo_import
from edge_agent.timeline.study.sessions import Study
from edge_agent.timeline.upkeep import dashboard_erasure, erasure
from edge_agent.timeline.upkeep.erasing_again import finish_erasures
from edge_agent.timeline.upkeep.erasure import erase_participant
from edge_agent.timeline.upkeep.unfinished import OF_UNDO, sentences_of_left
from tests.support.person_everywhere import (
    CODE,
    IMPORT,
    bring,
    copy_aside,
    hold_everywhere,
    words_left,
)
from tests.support.timeline import query


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A timeline in a folder of its own."""
    return tmp_path / DATABASE_NAME


def test_erasure_removes_each_word_of_a_person_from_all_files(path: Path) -> None:
    words = hold_everywhere(path)
    copy_aside(path)
    with ExitStack() as stack:
        for file in (path, path.with_name(FILE_NAME)):  # as agent and dashboard hold them
            connection = stack.enter_context(closing(sqlite3.connect(file)))
            connection.execute("SELECT count(*) FROM setting").fetchone()
        before = words_left(path.parent, words)
        assert set().union(*before.values()) == words and len(before) == 7
        assert erase_participant(path, CODE, actor="ada").is_finished
        assert words_left(path.parent, words) == {}
        assert path.with_name(f"{path.name}-wal").exists()


@pytest.mark.parametrize("name", [DATABASE_NAME, FILE_NAME])
def test_erasure_beside_a_reader_is_left_and_finished_when_it_ends(
    path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(dashboard_file, "BUSY_SECONDS", 0.1)
    words = hold_everywhere(path)
    with closing(sqlite3.connect(path.with_name(name), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM setting").fetchone()
        done = erase_participant(path, CODE, actor="ada", patience_s=0.1)
        assert len(done.left) == 1 and f"{name}: the rows are erased" in done.left[0]
    finish_erasures(path, actor="appliance")
    assert sentences_of_left(path) == [] and words_left(path.parent, words) == {}


_TEXTS = [
    f"Zq-Äh-{table.name}-{text.column}-0"
    for table in (*OF_PARTICIPANT, *OF_SESSION)
    for text in table.texts
]


@pytest.mark.parametrize("text", [*_TEXTS, "Zq-import-file.csv", CODE])
def test_erasure_finds_each_text_where_a_page_has_kept_it(path: Path, text: str) -> None:
    assert text in hold_everywhere(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete=OFF")  # as pages that were rearranged
        connection.execute("CREATE TABLE passing (text)")
        connection.execute("INSERT INTO passing VALUES (?)", (text.encode().upper() * 5000,))
        connection.execute("DROP TABLE passing")
    assert erase_participant(path, CODE, actor="ada").compacted
    assert words_left(path.parent, {text}) == {}


@pytest.mark.parametrize("action", sorted(NAMING_PERSONS))
def test_line_that_comes_after_the_erasure_names_nobody(path: Path, action: str) -> None:
    words = hold_everywhere(path)
    Study(path).create_participant("K-1")
    erase_participant(path, CODE, actor="ada")
    mark = CODE_AFTER[action]
    for code in (CODE, "K-1"):
        Commands(path).note("ada", action, f"{mark}{code} until Monday")
    assert words_left(path.parent, words) == {}
    noted = query(path, "SELECT detail FROM audit WHERE action = ? ORDER BY id", action)[-2:]
    assert noted == [(f"{mark}{one} until Monday",) for one in ("(erased)", "K-1")]


_NO_TEXTS = {
    *("consent.attributes", "session.purpose", "session.setting", "marker.kind"),
    *("standing_session.purpose", "standing_session.setting", "marker_change.kind"),
    *(
        "trial.kind",
        "self_report.scale",
        "self_report.value",
        "own_neutral.state",
        "own_neutral.reason",
    ),
    *("own_neutral.sha256", "own_neutral.prior", "protocol_run.sha256", "protocol_run.state"),
    *("marker_change.actor", "exclusion.actor", "exclusion.taken_back_by"),
    *("alert.kind", "alert.rule", "alert.ending", "alert.acknowledged_by"),
    # made of texts that are searched for, or of those of the study and the configuration
    *("protocol_run.plan", "protocol_run.token", "alert.parts"),
}
"""Words from lists, hashes, and who did something."""


def test_text_of_a_person_is_searched_for_or_no_free_text(path: Path) -> None:
    hold_everywhere(path)
    for table in (*OF_PARTICIPANT, *OF_SESSION):
        kinds = query(path, "SELECT name, type FROM pragma_table_info(?)", table.name)
        columns = {name for name, kind in kinds if kind in {"TEXT", "ANY", "BLOB"}}
        rest = columns - {text.column for text in table.texts}
        assert {f"{table.name}.{name}" for name in rest} <= _NO_TEXTS


_STEPS = [
    (erasure, "delete_prepared_exports"),
    (erasure, "scrub"),
    (erasure, "_erase_copies"),
    (erasure, "_erase_second_places"),
    (erasure, "forget_in_dashboard"),
    (dashboard_erasure, "_people_of"),
    (dashboard_erasure, "_forget"),
    (erasure, "_store_outcome"),
]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("step", ["", "delete_prepared_exports", "scrub", "forget_in_dashboard"])
def test_undone_import_erases_the_people_whom_it_removes(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    words = hold_everywhere(path)
    bring(path)
    (path.parent / "exports").mkdir()
    (path.parent / "exports" / "study.csv").write_text(CODE, encoding="utf-8")
    if not step:
        assert undo_import(path, IMPORT, actor="ada").left == ()
    else:
        with monkeypatch.context() as patched:
            patched.setattr(erasure, step, killed)
            assert exit_code_of(lambda: undo_import(path, IMPORT, actor="ada")) == 9
        assert len(sentences_of_left(path)) == len(OF_UNDO)
        finish_erasures(path, actor="appliance")
    assert sentences_of_left(path) == []
    tables = (*OF_PARTICIPANT, *OF_SESSION, *(one for one in DASHBOARD if one.codes))
    theirs = {
        *{word for word in words for one in tables if word.startswith(f"Zq-Äh-{one.name}-")},
        *(CODE, "Zq-label-waiting"),
    }
    # what stands about the time, and was recorded here, is nobody's whom the import has brought
    alerts = {word for word in theirs if word.startswith("Zq-Äh-alert-")}
    assert words_left(path.parent, theirs - alerts) == {}


def killed(*_args: object, **_named: object) -> None:
    """End the process, as a power cut does."""
    os._exit(9)


def exit_code_of(work: Callable[[], object]) -> int:
    """Do some work in a process of its own; return its exit code."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize(("module", "step"), _STEPS)
def test_erasure_killed_at_a_step_is_known_and_finished_later(
    path: Path, monkeypatch: pytest.MonkeyPatch, module: object, step: str
) -> None:
    words = hold_everywhere(path)
    copy_aside(path)
    with monkeypatch.context() as patched:
        patched.setattr(module, step, killed)
        assert exit_code_of(lambda: erase_participant(path, CODE, actor="ada")) == 9
    assert len(sentences_of_left(path)) == 4
    finish_erasures(path, actor="appliance")
    assert sentences_of_left(path) == [] and words_left(path.parent, words) == {}
