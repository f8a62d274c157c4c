"""`crop-faces`: from one's own photographs to a folder of faces that can be learnt from."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.align import Picture, align_face
from edge_agent.vision.stills import load_picture
from tests.support.vision.portraits import detector, serious, smiling
from training.commands import main
from training.data.crops import Cut, FaceCutter, Tally, aligned_faces, cut_one, plan_cuts
from training.data.datasets import EXPRESSIONS, load_folder
from training.errors import DataError


def write(path: Path, image: Picture) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)
    return path


def two_people() -> Picture:
    """The smiling portrait, and the serious one much smaller beside it."""
    small = cv2.resize(serious(), None, fx=0.4, fy=0.4)
    canvas = np.full((512, 512 + small.shape[1], 3), 90, np.uint8)
    canvas[:, :512] = smiling()
    canvas[: small.shape[0], 512:] = small
    return canvas


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    folder = tmp_path / "photographs"
    write(folder / "happy" / "me.png", smiling())
    write(folder / "happy" / "holiday" / "me.png", two_people())
    write(folder / "neutral" / "sea.png", np.full((120, 160, 3), 127, np.uint8))
    (folder / "neutral" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


def run(monkeypatch: pytest.MonkeyPatch, *words: object) -> int | str | None:
    monkeypatch.setattr(sys, "argv", ["training", "crop-faces", *map(str, words)])
    try:
        main.main()
    except SystemExit as ended:
        return ended.code
    return 0


# What is refused, before anything is written


def refusal(photographs: Path, out: Path, labels: Path | None = None) -> str:
    with pytest.raises(DataError) as refused:
        plan_cuts(photographs, out, labels)
    return str(refused.value)


def test_a_folder_of_faces_that_holds_something_is_not_written_into(
    photographs: Path, tmp_path: Path
) -> None:
    kept = write(tmp_path / "faces" / "happy" / "me.png", smiling())
    before = kept.read_bytes()
    assert f"--out {tmp_path / 'faces'}: already exists and is not an empty folder" in refusal(
        photographs, tmp_path / "faces"
    )
    assert kept.read_bytes() == before


def test_faces_do_not_go_among_the_photographs(photographs: Path) -> None:
    assert ("among the photographs; name a folder elsewhere") in refusal(
        photographs, photographs / "faces"
    )


def test_a_subfolder_that_names_no_category_is_named(photographs: Path, tmp_path: Path) -> None:
    write(photographs / "bored" / "me.png", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "bored: no category has this name; use neutral, happiness" in said


def test_a_photograph_outside_the_subfolders_is_named_with_both_cures(
    photographs: Path, tmp_path: Path
) -> None:
    write(photographs / "loose.png", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "loose.png: lies in no subfolder that says its category" in said
    assert "--by-label" in said


def test_two_photographs_that_would_become_one_face_are_both_named(
    photographs: Path, tmp_path: Path
) -> None:
    write(photographs / "happy" / "me.jpg", smiling())
    said = refusal(photographs, tmp_path / "faces")
    assert "me.png" in said and "me.jpg" in said and "rename one of them" in said


def test_no_folder_and_an_empty_one_are_refused(tmp_path: Path) -> None:
    assert "is no folder" in refusal(tmp_path / "absent", tmp_path / "faces")
    (tmp_path / "empty").mkdir()
    assert ("holds no photograph in a subfolder named neutral") in refusal(
        tmp_path / "empty", tmp_path / "faces"
    )


def test_a_table_with_an_unknown_category_names_row_and_value(
    photographs: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,emotion\nhappy/me.png,joy\n", encoding="utf-8")
    assert "row 2, column emotion: 'joy'" in refusal(photographs, tmp_path / "faces", table)


def test_where_no_photograph_has_a_face_it_is_said_and_nothing_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    sea = write(
        tmp_path / "photographs" / "neutral" / "sea.png", np.full((120, 160, 3), 127, np.uint8)
    )
    assert run(monkeypatch, tmp_path / "photographs", "--out", tmp_path / "faces") == 1
    said = capsys.readouterr()
    assert f"no face: {sea}" in said.out
    assert "no face was found in any of 1 photographs; nothing was written" in said.err
    assert not (tmp_path / "faces").exists()


# What comes out


def test_faces_can_be_learnt_from_and_what_was_left_out_is_named(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    photographs: Path,
    tmp_path: Path,
) -> None:
    out = tmp_path / "faces"
    assert run(monkeypatch, photographs, "--out", out) == 0

    said = capsys.readouterr().out
    assert f"{out}: 2 faces (happy 2)" in said
    assert "several faces, of which the largest was taken: 1 photographs" in said
    assert "left out: 1 without a face, 1 unreadable" in said
    assert f"no face: {photographs / 'neutral' / 'sea.png'}" in said
    assert f"unreadable: {photographs / 'neutral' / 'torn.jpg'}" in said
    assert sorted(path.relative_to(out) for path in out.rglob("*.png")) == [
        Path("happy/holiday-me.png"),
        Path("happy/me.png"),
    ]
    faces = load_folder(out)
    assert faces.votes[:, EXPRESSIONS.index("happiness")].tolist() == [10, 10]
    alone = align_face(smiling(), detector().detect(smiling())[0].landmarks, 48)
    assert np.array_equal(faces.pictures[1], alone)  # as the agent cuts it
    other = align_face(serious(), detector().detect(serious())[0].landmarks, 48)
    like_me, like_other = (
        np.corrcoef(faces.pictures[0].ravel(), p.ravel())[0, 1] for p in (alone, other)
    )
    assert like_me > 0.7, "the larger of two"
    assert like_other < 0.6


def test_a_second_run_into_another_folder_writes_the_same_bytes(
    photographs: Path, tmp_path: Path
) -> None:
    cutter = FaceCutter(48)
    for out in (tmp_path / "first", tmp_path / "second"):
        for cut in plan_cuts(photographs, out):
            cut_one(cut, out, cutter, Tally())
    first, second = (sorted((tmp_path / name).rglob("*.png")) for name in ("first", "second"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert len(first) == 2


def test_a_table_of_labels_sorts_photographs_whatever_their_folders(
    photographs: Path, tmp_path: Path
) -> None:
    absolute = write(tmp_path / "elsewhere" / "her.png", serious())
    table = tmp_path / "labels.csv"
    table.write_text(f"file,emotion\nhappy/me.png,surprise\n{absolute},anger\n", encoding="utf-8")

    first, second = plan_cuts(photographs, tmp_path / "faces", table)

    assert first == Cut(photographs / "happy" / "me.png", Path("surprise/happy-me.png"))
    assert second.photograph == absolute
    assert second.face.parts[0] == "anger" and len(second.face.parts) == 2


def test_faces_are_cut_at_the_size_asked_for(photographs: Path, tmp_path: Path) -> None:
    tally = Tally()
    cut_one(
        plan_cuts(photographs, tmp_path / "faces")[1], tmp_path / "faces", FaceCutter(96), tally
    )
    assert tally.faces == {"happy": 1}
    (face,) = (tmp_path / "faces").rglob("*.png")
    assert load_picture(face).shape == (96, 96, 3)


def test_faces_that_were_cut_out_already_are_taken_whole_and_others_need_a_face(
    tmp_path: Path,
) -> None:
    face = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))
    path = write(tmp_path / "cut.png", face)

    whole, _ = aligned_faces([path, tmp_path / "absent.png"], aligned=True)
    assert np.array_equal(whole[0][1], face)
    none, left_out = aligned_faces([path, tmp_path / "absent.png"], aligned=False)
    assert none == []
    assert left_out == [
        f"{path}: no face; if it is one that was cut out already, add --aligned",
        f"{tmp_path / 'absent.png'}: no such file.",
    ]
