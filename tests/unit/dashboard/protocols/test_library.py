"""The protocols of an appliance: the shelves they lie on, uploads, copies and changes."""

from __future__ import annotations

import os
import shutil
import stat
import zipfile
from collections import namedtuple
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import pytest

from dashboard.protocols.file import ProtocolError
from dashboard.protocols.library import Library, ProtocolOrigin, sha256_of
from edge_agent.core.files import RESERVED_BYTES

PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)
REST = 'title = "Good"\n[[step]]\nkind = "rest"\n'
FILM = """title = "Film"
[[step]]
kind = "stimulus"
label = "a"
picture = "a/b.png"
seconds = 3
"""
SHIPPED = [
    f"{name}{ending}"
    for name in ("anger-happiness-neutral", "three-conditions")
    for ending in ("", "-de", "-es")
]


@pytest.fixture
def library(tmp_path: Path) -> Library:
    (tmp_path / "etc").mkdir()
    return Library(tmp_path / "own", tmp_path / "etc")


def _upload(library: Library, name: str, content: bytes | Mapping[str, bytes]) -> str:
    sent = library.incoming()
    if isinstance(content, bytes):
        sent.write_bytes(content)
    else:
        with zipfile.ZipFile(sent, "w") as archive:
            for inner, data in content.items():
                archive.writestr(inner, data)
    try:
        return library.add_upload(name, sent)
    finally:
        sent.unlink(missing_ok=True)


def _left(library: Library) -> list[str]:
    return sorted(path.name for path in library.own.iterdir())


def test_library_lists_own_configured_and_shipped(library: Library) -> None:
    (library.configured / "b.toml").write_text(REST, encoding="utf-8")
    (library.configured / "a.toml").write_text("title = 3", encoding="utf-8")
    (library.configured / "notes.txt").write_text("", encoding="utf-8")
    _upload(library, "c.toml", REST.encode())
    listed = {one.name: one for one in library.list_all()}
    assert {name: one.origin.value for name, one in listed.items()} == {
        "a": "configured",
        **dict.fromkeys(SHIPPED, "shipped"),
        "b": "configured",
        "c": "own",
    }
    assert "title = 3: input should be a valid string" in str(listed["a"].problem)
    assert listed["c"].title == "Good"


def test_library_without_its_folder_says_so_and_has_the_examples(tmp_path: Path) -> None:
    listed = Library(tmp_path / "own", tmp_path / "no").list_all()
    assert [one.name for one in listed] == [*SHIPPED, ""]
    assert "cannot be read" in str(listed[-1].problem)


@pytest.mark.parametrize("name", ["", "..", "../films", "a/b", "films.toml", "x" * 70, "a\n"])
def test_library_name_that_is_none_is_refused(library: Library, name: str) -> None:
    (library.configured / "films.toml").write_text(REST, encoding="utf-8")
    assert library.find("films").title == "Good"
    with pytest.raises(ProtocolError, match="There is no protocol"):
        library.find(name)


def test_shipped_protocol_is_shipped_where_no_folder_is_configured(tmp_path: Path) -> None:
    library = Library(tmp_path / "own")
    assert library.place_of("three-conditions")[0] is ProtocolOrigin.SHIPPED
    assert {one.origin for one in library.list_all()} == {ProtocolOrigin.SHIPPED}


def test_upload_of_a_taken_name_gets_a_number(library: Library) -> None:
    names = [_upload(library, "three-conditions.toml", REST.encode()) for _ in range(2)]
    assert names == ["three-conditions-2", "three-conditions-3"]
    assert library.place_of(names[0])[0] is ProtocolOrigin.OWN


def test_upload_of_an_archive_brings_its_media(library: Library) -> None:
    files = {
        "My film/My film.toml": FILM.encode(),
        "My film/a/b.png": PNG,
        "My film/.DS_Store": b"x",
        "__MACOSX/My film/a/._b.png": b"x",
        "My film/read me.txt": b"x",
    }
    name = _upload(library, "films.zip", files)
    assert name == "My-film"
    assert library.media_of(name) == ["a/b.png"]
    assert library.find(name).title == "Film"
    assert _left(library) == ["My-film"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"a.toml": FILM.encode()}, "a.toml, line 5: step 1, picture = 'a/b.png': there is no"),
        ({"a.toml": b"title = 3"}, "a.toml, line 1: title = 3"),
        ({"a.toml": FILM.encode(), "a/b.png": b"<svg>"}, "is not image/png"),
        ({"a.toml": REST.encode(), "../b.png": PNG}, "leads out of its folder"),
        ({"a.toml": REST.encode(), "/b.png": PNG}, "leads out of its folder"),
        ({"a.toml": REST.encode(), "b.toml": REST.encode()}, "holds 2 files that end in .toml"),
        ({"a.png": PNG}, "holds 0 files that end in .toml"),
    ],
)
def test_upload_that_cannot_be_used_keeps_nothing(
    library: Library, files: Mapping[str, bytes], said: str
) -> None:
    with pytest.raises(ProtocolError, match=said) as caught:
        _upload(library, "a.zip", files)
    assert str(library.own) not in str(caught.value)
    assert _left(library) == []


def test_upload_with_a_link_in_its_archive_is_refused(library: Library) -> None:
    sent = library.incoming()
    with zipfile.ZipFile(sent, "w") as archive:
        archive.writestr("a.toml", REST)
        link = zipfile.ZipInfo("b.png")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    with pytest.raises(ProtocolError, match="leads out of its folder"):
        library.add_upload("a.zip", sent)


def test_upload_of_a_broken_archive_is_refused(library: Library) -> None:
    with pytest.raises(ProtocolError, match="cannot be unpacked"):
        _upload(library, "a.zip", b"PK\x03\x04" + bytes(99))
    assert _left(library) == []


def test_medium_that_is_added_must_be_what_its_name_says(library: Library) -> None:
    name = _upload(library, "c.toml", REST.encode())
    for file, content, said in (
        ("b.svg", PNG, "is no picture, sound, video or experiment"),
        ("b.png", b"<svg>", "the file is not image/png"),
        ("../b.png", PNG, "is no picture, sound, video or experiment"),
    ):
        sent = library.incoming()
        sent.write_bytes(content)
        with pytest.raises(ProtocolError, match=said):
            library.add_media(name, file, sent)
    for expected in ("b.png", "b-2.png"):
        sent = library.incoming()
        sent.write_bytes(PNG)
        assert library.add_media(name, "b.png", sent) == expected
    assert library.media_of(name) == ["b-2.png", "b.png"]


def test_shipped_protocol_cannot_be_changed_and_its_copy_can(library: Library) -> None:
    with pytest.raises(ProtocolError, match="Copy it"):
        library.own_file("three-conditions")
    copy = library.copy("three-conditions")
    path = library.own_file(copy)
    library.save(copy, REST, sha256_of(path))
    assert library.find(copy).title == "Good"
    library.remove(copy)
    assert _left(library) == []


def test_change_of_a_file_that_somebody_changed_is_refused(library: Library) -> None:
    name = _upload(library, "c.toml", REST.encode())
    was = sha256_of(library.own_file(name))
    library.save(name, REST.replace("Good", "Better"), was)
    with pytest.raises(ProtocolError, match="Somebody has changed this protocol"):
        library.save(name, REST, was)


def test_change_that_is_wrong_is_reported_with_its_line_and_not_kept(library: Library) -> None:
    name = _upload(library, "c.toml", REST.encode())
    path = library.own_file(name)
    with pytest.raises(ProtocolError, match=r"^c\.toml, line 4: step 1, seconds = 0"):
        library.save(name, REST + "seconds = 0\n", sha256_of(path))
    assert path.read_text(encoding="utf-8") == REST
    assert [one.name for one in path.parent.iterdir()] == ["c.toml"]


def test_archive_that_is_downloaded_can_be_brought_again(library: Library, tmp_path: Path) -> None:
    name = _upload(library, "a.zip", {"film.toml": FILM.encode(), "a/b.png": PNG})
    library.pack(name, tmp_path / "film.zip")
    sent = library.incoming()
    sent.write_bytes((tmp_path / "film.zip").read_bytes())
    assert library.add_upload("film.zip", sent) == "film-2"
    assert library.find("film-2").sha256 == library.find("film").sha256


def test_archive_that_would_take_reserved_space_is_refused_while_unpacked(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    reserved = RESERVED_BYTES
    free = [reserved + 3 * 2**20]
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(free[0]))
    write = Library.write

    def taking(self: Library, target: BinaryIO, content: bytes) -> None:
        write(self, target, content)
        free[0] -= len(content)

    monkeypatch.setattr(Library, "write", taking)
    with pytest.raises(ProtocolError, match="too little space"):
        _upload(library, "a.zip", {"film.toml": FILM.encode(), "a/b.png": PNG + bytes(9 * 2**20)})
    assert free[0] >= reserved
    assert _left(library) == []


def test_leftovers_of_interruptions_are_swept_once_they_are_old(
    library: Library, tmp_path: Path
) -> None:
    _upload(library, "kept.toml", REST.encode())
    for name in (".made-1", ".removed-1", ".made-new"):
        (library.own / name).mkdir()
        (library.own / name / "a.toml").write_text(REST)
    (library.own / ".incoming-1").write_bytes(PNG)
    (library.own / ".made-linked").symlink_to(tmp_path)
    for name in (".made-1/a.toml", ".made-1", ".removed-1/a.toml", ".removed-1", ".incoming-1"):
        os.utime(library.own / name, (0, 0))
    os.utime(library.own / ".made-linked", (0, 0), follow_symlinks=False)
    library.sweep()
    assert _left(library) == [".made-new", "kept"]
    assert tmp_path.is_dir()
