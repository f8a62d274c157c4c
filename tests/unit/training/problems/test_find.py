"""What is wrong with labelled faces is named, picture by picture, and can be left out."""

from __future__ import annotations

import csv
import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.vision.align import Picture
from tests.support.vision.portraits import serious, smiling
from training.commands import main
from training.data.crops import FaceCutter
from training.data.datasets import EDGE, EXPRESSIONS, checksum, folder_without, load_without
from training.errors import DataError
from training.report.problems import (
    BLANK,
    COPY,
    DOUBTED,
    NO_FACE,
    UNLIKE,
    confident_answers,
    doubted_labels,
    find_problems,
    problems_page,
)


def face(portrait: Picture) -> NDArray[np.uint8]:
    cut, _ = FaceCutter(EDGE).cut(portrait)
    assert cut is not None
    return cut


def brighter(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.convertScaleAbs(picture, alpha=0.8, beta=20), np.uint8)


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)


def write_table(path: Path, rows: list[tuple[int, NDArray[np.uint8], str]]) -> Path:
    lines = ["emotion,pixels,Usage"]
    for emotion, picture, usage in rows:
        lines.append(f"{emotion},{' '.join(map(str, picture.ravel().tolist()))},{usage}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows 2 to 8: a smile, its copy with another label, the same evaluated, a serious face, its
    copy, noise, black.
    """
    smile, still = face(smiling()), face(serious())
    return write_table(
        tmp_path_factory.mktemp("table") / "faces.csv",
        [
            (3, smile, "Training"),
            (0, brighter(smile), "Training"),
            (3, brighter(brighter(smile)), "PublicTest"),
            (6, still, "Training"),
            (6, brighter(still), "Training"),
            (2, noise(1), "Training"),
            (6, np.zeros((48, 48), np.uint8), "PublicTest"),
        ],
    )


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_copies_blank_and_faceless_pictures_are_named_by_their_rows(table: Path) -> None:
    rows = rows_of(find_problems(table, None, cache=None).as_csv())

    said = {(row["picture"], row["problem"]): (row["other"], row["leave_out"]) for row in rows}
    assert said[("8", BLANK)] == ("", "no"), "it is evaluated"
    assert said[("7", NO_FACE)] == ("", "yes")
    assert said[("2", COPY)] == ("4", "yes"), "the one that is evaluated is kept"
    assert said[("3", UNLIKE)] == ("4", "yes")
    assert said[("6", COPY)] == ("5", "yes")
    assert not {picture for picture, problem in said if problem != DOUBTED} & {"4", "5"}
    (unlike,) = (row for row in rows if row["problem"] == UNLIKE)
    assert unlike["what"].endswith("labelled anger here and happiness there")


def test_the_page_shows_pairs_and_what_would_be_left_out(table: Path) -> None:
    found = find_problems(table, None, cache=None)

    page = problems_page(found).decode()

    assert "of 7 pictures of faces.csv would be" in page
    assert "10.1613/jair.1.12125" in page
    assert page.count("data:image/png") >= 2 * 3 + 2, "a copy is shown beside its original"
    assert "Training: near-copy 2, of which 2 to leave out" in found.as_text()
    assert "PublicTest: blank 1, of which 0 to leave out" in found.as_text()


def test_the_rule_of_confident_learning_finds_the_label_that_networks_contradict() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0, 1], 50)
    answers = np.zeros((100, len(EXPRESSIONS)))
    answers[np.arange(100), labels] = rng.uniform(0.6, 0.8, 100)
    answers[7, :2] = 0.05, 0.9
    unsure = answers.copy()
    unsure[7, :2] = 0.5, 0.4

    assert confident_answers(answers, labels)[7] == 1
    assert doubted_labels([answers, answers], labels) == {7: 1}
    assert doubted_labels([answers, unsure], labels) == {}, "all have to doubt it"
    labels[7] = -1
    assert doubted_labels([answers, answers], labels) == {}, "what has no label is not doubted"


def test_a_label_that_both_shipped_networks_contradict_is_doubted(tmp_path: Path) -> None:
    for category, portrait, count in (("happiness", smiling(), 4), ("neutral", serious(), 4)):
        (tmp_path / category).mkdir()
        for number in range(count):
            cv2.imwrite(
                str(tmp_path / category / f"{number}.png"),
                np.asarray(np.roll(face(portrait), 4 * number - 6, axis=1), np.uint8),
            )
    cv2.imwrite(str(tmp_path / "neutral" / "smile.png"), brighter(face(smiling())))
    cv2.imwrite(str(tmp_path / "happiness" / "serious.png"), brighter(face(serious())))
    (tmp_path / "neutral" / "torn.png").write_bytes(b"torn")

    found = find_problems(tmp_path, None, cache=None)

    doubted = [found.names[one.index] for one in found.problems if one.kind == DOUBTED]
    assert doubted == ["happiness/serious.png", "neutral/smile.png"]
    assert found.unreadable == ("neutral/torn.png",)
    assert "neutral/torn.png" in problems_page(found).decode()


# The list


def command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int:
    monkeypatch.setattr(sys, "argv", ["training", "data-problems", *map(str, words)])
    try:
        main.main()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def test_the_command_writes_a_list_that_a_training_takes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], table: Path, tmp_path: Path
) -> None:
    out = tmp_path / "problems"

    assert command(monkeypatch, table, "--out", out, "--cache", tmp_path / "cache") == 0

    assert "of 7 pictures would be left out" in capsys.readouterr().out
    left = load_without(table, None, None, out / "problems.csv")
    assert left.usage.tolist().count(1) == 2, "both that are evaluated"
    assert np.array_equal(left.pictures[1], face(serious()))
    assert command(monkeypatch, table, "--out", out, "--cache", tmp_path / "cache") == 1
    assert "already exists" in capsys.readouterr().err, "a list that was changed is not replaced"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("99,yes,00000000", "row 2, column picture: '99' is no picture"),
        ("2,yes,00000000", "picture 2 of .* is another one than when the list was made"),
        ("2,perhaps,00000000", "row 2, column leave_out: 'perhaps' is neither yes nor no"),
    ],
)
def test_a_list_of_other_data_is_refused(
    table: Path, tmp_path: Path, line: str, words: str
) -> None:
    listed = tmp_path / "list.csv"
    listed.write_text(f"picture,leave_out,crc32\n{line}\n", encoding="utf-8")

    with pytest.raises(DataError, match=words):
        load_without(table, None, None, listed)


def test_a_list_that_leaves_nothing_is_refused_and_a_file_that_is_gone_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "faces" / "fear").mkdir(parents=True)
    cv2.imwrite(str(tmp_path / "faces" / "fear" / "a.png"), noise(2))
    (only,) = folder_without(tmp_path / "faces", None).faces.pictures
    crc = checksum(only)
    listed = tmp_path / "list.csv"

    listed.write_text("picture,leave_out,crc32\nfear/gone.png,yes,0\n", encoding="utf-8")
    assert len(folder_without(tmp_path / "faces", listed).files) == 1
    listed.write_text(f"picture,leave_out,crc32\nfear/a.png,yes,{crc}\n", encoding="utf-8")
    with pytest.raises(DataError, match="leaves out every picture"):
        folder_without(tmp_path / "faces", listed)
