"""Archives that strangers pack: refused before they are unpacked, or unpacked aside."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path

import pytest

from edge_agent.core import brought_files
from edge_agent.core.brought_files import one_table, tables_in
from edge_agent.core.errors import DataFileError


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "study.zip"


def pack(archive: Path, *names: str) -> None:
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            made.writestr(name, f"text of {name}")


def test_tables_are_unpacked_aside_and_the_others_named(archive: Path) -> None:
    pack(archive, "b/t.csv", "a/t.csv", "a/", "paper.pdf", "__MACOSX/a/._t.csv")
    with tables_in(archive) as (tables, others):
        texts = [table.read_text() for table in tables]
        assert [table.name for table in tables] == ["t.csv", "t.csv"]
        folder = tables[0].parent.parent
    assert texts == ["text of a/t.csv", "text of b/t.csv"]
    assert others == ["__MACOSX/a/._t.csv", "paper.pdf"]
    assert not folder.exists()
    with pytest.raises(DataFileError, match=r"holds 2 tables \(t.csv, t.csv\)"):
        one_table(archive).__enter__()
    plain = archive.with_name("t.csv")
    with one_table(plain) as (table, others):
        assert (table, others) == (plain, [])


@pytest.mark.parametrize(
    "name", ["../t.csv", "a/../../t.csv", "/etc/t.csv", "C:\\t.csv", "..\\t.csv", "a\\..\\t.csv"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(archive: Path, name: str) -> None:
    pack(archive, "good.csv", name)
    with pytest.raises(DataFileError, match="would lie outside of its folder"):
        tables_in(archive).__enter__()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_files_of_which_a_piece_unpacks_to_any_size_are_refused(archive: Path, method: int) -> None:
    with zipfile.ZipFile(archive, "w", method) as made:
        made.writestr("t.csv", b"a")
    with pytest.raises(DataFileError, match=r"'t\.csv' is packed in a rare way"):
        tables_in(archive).__enter__()


def test_bombs_and_locked_and_empty_archives_are_refused(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(archive, "a.csv", "b..c.csv")
    with tables_in(archive) as (tables, _):
        assert len(tables) == 2
    raw = archive.read_bytes()
    # the flag of an encrypted file, in its entry of the directory
    place = raw.index(b"PK\x01\x02") + 8
    archive.write_bytes(raw[:place] + struct.pack("<H", 1) + raw[place + 2 :])
    with pytest.raises(DataFileError, match="'a.csv' is encrypted. Unpack it with its password"):
        tables_in(archive).__enter__()
    archive.write_bytes(raw[:-30] + b"?" * 30)
    with tables_in(archive) as (tables, _):
        assert tables == [archive], "no zip: its reader says so"
    pack(archive, "paper.pdf")
    with pytest.raises(DataFileError, match=r"holds no table .*Its files: paper.pdf"):
        tables_in(archive).__enter__()
    for limit in ("_UNPACKED_BYTES", "_UNPACKED_FILES"):
        with monkeypatch.context() as smaller:
            smaller.setattr(brought_files, limit, 0)
            with pytest.raises(DataFileError, match="when unpacked"):
                tables_in(archive).__enter__()
