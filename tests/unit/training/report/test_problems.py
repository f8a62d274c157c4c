"""What is wrong with labelled faces is named, picture by picture, and can be left out."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.vision.align import Picture
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.training_runs import training_here
from training.data.crops import FaceCutter
from training.data.datasets import EDGE, EXPRESSIONS, load_without, read_folder
from training.errors import DataError
from training.report import problems
from training.report.problems import (
    BLANK,
    COPY,
    DOUBTED,
    NEARLY,
    NO_FACE,
    UNLIKE,
    confident_answers,
    copies_of,
    doubted_labels,
    find_problems,
    near_pairs,
    problems_of,
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


def test_rule_of_confident_learning_finds_label_that_networks_contradict() -> None:
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


def test_the_command_writes_a_list_that_a_training_takes(table: Path, tmp_path: Path) -> None:
    out = tmp_path / "problems"

    done = training_here("data-problems", table, "--out", out, "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr

    assert "of 7 pictures would be left out" in done.stdout
    left = load_without(table, None, None, out / "problems.csv")
    assert left.usage.tolist().count(1) == 2, "both that are evaluated"
    assert np.array_equal(left.pictures[1], face(serious()))
    done = training_here("data-problems", table, "--out", out, "--cache", tmp_path / "cache")
    assert done.returncode == 1, done.stderr
    assert "already exists" in done.stderr, "a list that was changed is not replaced"


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


def hashes_with_neighbours(seed: int) -> NDArray[np.uint8]:
    """Random hashes, and for each some that differ in 0 to 45 bits, wherever these lie."""
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 2, (60, 256), dtype=np.uint8)
    others = []
    for at, changed in enumerate(np.tile(np.arange(46), 4)):
        other = bits[at % 60].copy()
        other[rng.choice(256, changed, replace=False)] ^= 1
        others.append(other)
    return np.packbits(np.concatenate([bits, others]), axis=1)


def by_comparing_all(hashes: NDArray[np.uint8]) -> dict[tuple[int, int], int]:
    apart = np.unpackbits(hashes[:, None] ^ hashes[None], axis=2).sum(axis=2)
    return {
        (i, j): int(apart[i, j])
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if apart[i, j] <= NEARLY
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_quick_search_finds_the_pairs_of_a_full_comparison(seed: int) -> None:
    hashes = hashes_with_neighbours(seed)

    pairs = near_pairs(hashes)

    found = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    bits = dict(zip(found, pairs.bits.tolist(), strict=True))
    expected = by_comparing_all(hashes)
    alike = np.unique(hashes, axis=0, return_inverse=True)[1].ravel()
    firsts = {at for at, group in enumerate(alike) if list(alike).index(group) == at}
    missed = {
        pair for pair in expected.keys() - bits.keys() if pair[0] in firsts and pair[1] in firsts
    }
    assert not missed
    assert bits.items() <= expected.items()
    assert max(bits.values()) == NEARLY, "the made hashes reach the bound"


def test_thousands_of_one_picture_are_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    same = np.zeros((5000, 32), dtype=np.uint8)

    assert len(near_pairs(same).first) == 4999

    monkeypatch.setattr(problems, "MOST_IN_A_BUCKET", 3)
    film = np.zeros((400, 32), dtype=np.uint8)
    film[:, :2] = np.arange(400, dtype=np.uint16)[:, None].view(np.uint8)
    assert len(near_pairs(film).first) <= 400 * 272 * 3


def test_a_copy_has_its_original_beside_it_and_likeness_does_not_chain() -> None:
    pairs = problems.PicturePairs(
        np.array([0, 1, 2, 3, 0]),
        np.array([1, 2, 3, 4, 5]),
        np.array([10, 10, 5, 0, 0], dtype=np.int64),
    )

    assert copies_of(pairs) == {1: 0, 3: 2, 4: 2, 5: 0}


def changed(image: Picture, rng: np.random.Generator) -> Picture:
    """The same face, turned, nearer or farther, and in another light: no near copy."""
    height, width = image.shape[:2]
    turn = cv2.getRotationMatrix2D(
        (width / 2, height / 2), float(rng.uniform(-14, 14)), float(rng.uniform(0.85, 1.1))
    )
    moved = cv2.warpAffine(image, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.convertScaleAbs(moved, alpha=float(rng.uniform(0.6, 1.3))), np.uint8)


def write_faces(folder: Path, portrait: Picture, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    cutter = FaceCutter(EDGE)
    folder.mkdir(parents=True)
    for number in range(count):
        face, _ = cutter.cut(changed(portrait, rng))
        assert face is not None
        noise = rng.normal(0, 12, face.shape)
        cv2.imwrite(str(folder / f"{number:03}.png"), (face + noise).clip(0, 255).astype(np.uint8))


def said_of(folder: Path) -> list[str]:
    return problems_of(read_folder(folder))


def about(sentences: list[str], word: str) -> str:
    (found,) = [sentence for sentence in sentences if word in sentence]
    return found


def test_pictures_of_noise_are_no_faces_and_the_sentence_says_what_to_do(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for category in ("anger", "neutral"):
        (tmp_path / category).mkdir()
        for number in range(30):
            noise = rng.integers(0, 255, (48, 48), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / category / f"{number}.png"), noise)

    sentence = about(said_of(tmp_path), "a face is found")

    assert sentence.startswith("a face is found in 0% of 60 pictures")
    assert "crop-faces" in sentence


def test_near_copies_are_named_and_so_are_those_of_another_category(tmp_path: Path) -> None:
    write_faces(tmp_path / "happiness", smiling(), 22, 3)
    write_faces(tmp_path / "neutral", serious(), 22, 4)
    twice = cv2.imread(str(tmp_path / "happiness" / "005.png"), cv2.IMREAD_GRAYSCALE)
    assert twice is not None
    cv2.imwrite(str(tmp_path / "neutral" / "again.png"), cv2.convertScaleAbs(twice, alpha=0.9))

    sentences = said_of(tmp_path)

    assert "happiness/005.png and neutral/again.png" in about(sentences, "in 1 such pair: ")
    assert "keep one of each" in about(sentences, "8 near copies, such as")
