"""Reading labelled faces: what is accepted, and how a fault is named."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.data.agreement import agreement
from training.data.datasets import (
    EXPRESSIONS,
    FER2013,
    FER2013_AS_EXPRESSION,
    NO_LABEL,
    USAGES,
    VOTE_COLUMNS,
    Faces,
    is_tested,
    load_faces,
    read_fer2013,
    read_folder,
    split_held_back,
)
from training.data.fer import clean
from training.data.lessons import lessons, majority, soft_targets
from training.errors import DataError

PIXELS = " ".join(str(value % 256) for value in range(48 * 48))


ROWS = (("3", PIXELS, "Training"), ("0", PIXELS, "Training"), ("6", PIXELS, "PublicTest"))


def table(rows: Sequence[Sequence[str]], header: str = "emotion,pixels,Usage") -> str:
    return "\n".join([header, *(",".join(row) for row in rows)]) + "\n"


def votes_table(rows: Sequence[tuple[str, Sequence[int]]]) -> str:
    header = ",".join(("Usage", "Image name", *VOTE_COLUMNS))
    return (
        "\n".join(
            [header, *(f"{usage},fer.png,{','.join(map(str, votes))}" for usage, votes in rows)]
        )
        + "\n"
    )


def votes(**counts: int) -> list[int]:
    return [counts.get(name, 0) for name in VOTE_COLUMNS]


def faces_with(fer2013: Sequence[int], counts: Sequence[Sequence[int]]) -> Faces:
    return Faces(
        pictures=np.zeros((len(fer2013), 48, 48), dtype=np.uint8),
        fer2013=np.array(fer2013, dtype=np.int64),
        votes=np.array(counts, dtype=np.uint8),
        usage=np.zeros(len(fer2013), dtype=np.int8),
    )


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "fer2013.csv"
    path.write_text(table(ROWS), encoding="utf-8")
    return path


def test_a_table_in_its_published_form_is_read(csv_file: Path) -> None:
    faces = load_faces(csv_file)

    assert faces.pictures.shape == (3, 48, 48)
    assert faces.pictures[0, 0, :4].tolist() == [0, 1, 2, 3]
    assert faces.fer2013.tolist() == [3, 0, 6]
    assert [USAGES[number] for number in faces.usage] == ["Training", "Training", "PublicTest"]
    assert not faces.votes.any()


def compressed(suffix: str) -> bytes:
    content = table(ROWS).encode()
    return gzip.compress(content) if suffix == ".gz" else lzma.compress(content)


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_table_is_read_like_a_plain_one(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"fer2013.csv{suffix}"
    path.write_bytes(compressed(suffix))

    assert load_faces(path).fer2013.tolist() == [3, 0, 6]


@pytest.mark.parametrize("suffix", [".gz", ".xz"])
def test_a_compressed_table_that_is_cut_off_is_named(tmp_path: Path, suffix: str) -> None:
    whole = compressed(suffix)
    path = tmp_path / f"fer2013.csv{suffix}"
    path.write_bytes(whole[: len(whole) // 2])

    with pytest.raises(DataError, match=f"fer2013.csv{suffix}: is cut off"):
        load_faces(path)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("7", PIXELS, "Training"), r"row 3, column emotion: '7' is not one of 0, 1"),
        (
            ("3", PIXELS, "Train"),
            r"row 3, column Usage: 'Train' is not one of Training, PublicTest",
        ),
        (("3", PIXELS + " 7", "Training"), r"row 3, column pixels: 2305 values where 2304"),
        (("3", PIXELS.replace("255", "256"), "Training"), r"row 3, column pixels: .* 0 to 255"),
        (("3", PIXELS), r"row 3: holds 2 columns where the header names 3"),
    ],
)
def test_a_bad_value_loads_nothing(tmp_path: Path, row: tuple[str, ...], message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(table([ROWS[0], row, ROWS[2]]), encoding="utf-8")
    cache = tmp_path / "cache"

    with pytest.raises(DataError, match=message):
        load_faces(path, cache=cache)
    assert not cache.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "row 1: column emotion is missing"),
        (b"emotion,Usage\n", "row 1: column pixels is missing"),
        (b"emotion,pixels,Usage\n", "holds no picture"),
        (b"emotion,pixels,Usage\n\xff\xfe\n", "not a table in text form"),
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        load_faces(path)


def test_a_parsed_table_is_kept_and_used_again(csv_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = load_faces(csv_file, cache=cache)
    (kept,) = cache.iterdir()
    written = kept.stat().st_mtime_ns

    again = load_faces(csv_file, cache=cache)

    assert np.array_equal(first.pictures, again.pictures)
    assert kept.stat().st_mtime_ns == written


def test_a_damaged_cache_is_made_anew(csv_file: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    load_faces(csv_file, cache=cache)
    (kept,) = cache.iterdir()
    kept.write_bytes(kept.read_bytes()[:100])

    assert len(load_faces(csv_file, cache=cache)) == 3


def test_a_cache_that_cannot_be_written_is_no_reason_to_stop(
    csv_file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    in_the_way = tmp_path / "cache"
    in_the_way.write_text("a file, not a folder", encoding="utf-8")

    assert len(load_faces(csv_file, cache=in_the_way)) == 3
    assert "the parsed table is not kept" in caplog.text


def test_votes_belong_to_the_rows_and_may_go_on_further(csv_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "votes.csv"
    rows = [
        ("Training", votes(happiness=10)),
        ("Training", votes(anger=6, neutral=4)),
        ("PublicTest", votes(NF=10)),
    ]
    path.write_text(votes_table([*rows, ("PrivateTest", votes(fear=10))]), encoding="utf-8")

    faces = load_faces(csv_file, path)

    assert faces.votes.shape == (3, 10)
    assert faces.votes[1].tolist() == votes(anger=6, neutral=4)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Training", votes(anger=1))], "holds 1 rows of votes for 3 pictures"),
        (
            [("Training", votes()), ("PublicTest", votes()), ("PublicTest", votes())],
            "row 3, column Usage: 'PublicTest' where the picture of that row is Training",
        ),
        (
            [("Training", [-1, *votes()[1:]])] * 3,
            "row 2, column neutral: '-1' is not a number of votes",
        ),
        (
            [("Training", [*votes()[:9], 256])] * 3,
            "row 2, column NF: '256' is not a number of votes",
        ),
    ],
)
def test_votes_that_cannot_belong_are_named(
    csv_file: Path, tmp_path: Path, rows: list[tuple[str, list[int]]], message: str
) -> None:
    path = tmp_path / "votes.csv"
    path.write_text(votes_table(rows), encoding="utf-8")

    with pytest.raises(DataError, match=message):
        load_faces(csv_file, path)


def test_a_split_is_chosen_by_name(csv_file: Path) -> None:
    faces = read_fer2013(csv_file)

    assert faces.of_usage("PublicTest").fer2013.tolist() == [6]
    with pytest.raises(DataError, match="no picture of usage PrivateTest"):
        faces.of_usage("PrivateTest")
    with pytest.raises(DataError, match="usage 'Test' is not one of"):
        faces.of_usage("Test")


def test_a_clear_majority_has_more_than_half_of_votes_that_are_not_single() -> None:
    counts = np.array(
        [
            votes(happiness=6, neutral=4),
            votes(happiness=5, neutral=5),
            votes(happiness=5, neutral=1, sadness=1, anger=1, fear=1, contempt=1),
            votes(NF=9, neutral=1),
            votes(unknown=7, fear=3),
            votes(),
            votes(anger=1, fear=1),
        ],
        dtype=np.uint8,
    )

    happiness = EXPRESSIONS.index("happiness")
    assert majority(counts).tolist() == [
        happiness,
        NO_LABEL,
        happiness,
        NO_LABEL,
        NO_LABEL,
        NO_LABEL,
        NO_LABEL,
    ]


def test_what_is_learnt_are_the_shares_of_the_votes_that_are_not_single() -> None:
    faces = faces_with([3, 3], [votes(happiness=6, neutral=3, fear=1), votes(NF=8, happiness=2)])

    shares = soft_targets(faces)

    assert shares[0].tolist() == pytest.approx([3 / 9, 6 / 9, 0, 0, 0, 0, 0, 0])
    assert not shares[1].any()


def test_copies_of_a_picture_stay_on_one_side_of_the_cut() -> None:
    random = np.random.default_rng(5)
    pictures = random.integers(0, 256, (200, 48, 48), dtype=np.uint8)
    faces = Faces(
        pictures=np.concatenate([pictures, pictures]),
        fer2013=np.arange(400, dtype=np.int64) % 200,
        votes=np.zeros((400, 10), dtype=np.uint8),
        usage=np.zeros(400, dtype=np.int8),
    )

    learn, held = split_held_back(faces, 0.2)

    assert 40 < len(held) < 120
    assert not set(learn.fer2013.tolist()) & set(held.fer2013.tolist())
    assert np.array_equal(split_held_back(faces, 0.2)[1].fer2013, held.fer2013)


def test_tested_fifth_has_a_fifth_of_each_class() -> None:
    rng = np.random.default_rng(3)
    pictures = rng.integers(0, 256, (80, 48, 48), dtype=np.uint8)
    classes = np.repeat([0, 3, 6], [15, 60, 5])
    tested = is_tested(pictures, classes, 0.2)
    assert [int(tested[classes == one].sum()) for one in (0, 3, 6)] == [3, 12, 1]
    assert np.array_equal(is_tested(pictures[::-1], classes[::-1], 0.2)[::-1], tested)
    assert not is_tested(pictures, classes, 0.0).any()


def test_copies_of_a_picture_in_two_classes_are_tested_together() -> None:
    pictures = np.arange(10, dtype=np.uint8)[:, None, None].repeat(48, 1).repeat(48, 2)
    twice, classes = np.concatenate([pictures, pictures]), np.repeat([0, 1], 10)
    tested = is_tested(twice, classes, 0.3)
    assert np.array_equal(tested[:10], tested[10:]) and tested.sum() == 6


def test_copies_of_a_picture_are_one_lesson_with_the_mean_of_what_was_said() -> None:
    happy = votes(happiness=8, neutral=2)
    unsure = votes(happiness=5, sadness=5)
    unsaid = votes()
    faces = faces_with([3, 4, NO_LABEL, 0, 6], [happy, unsure, unsaid, unsaid, votes(unknown=10)])
    faces.pictures[3] = 9  # the other four are copies of each other
    faces.pictures[4, 0, 0] = 1  # but for one pixel

    found = lessons(faces)

    assert found.pictures[:, 0, 0].tolist() == [0, 9, 1]
    assert found.expression[0].tolist() == pytest.approx([0.1, 0.65, 0, 0.25, 0, 0, 0, 0])
    assert found.fer2013[0].tolist() == [0, 0, 0, 0.5, 0.5, 0, 0]
    assert found.expression[1].argmax() == EXPRESSIONS.index("anger")
    assert found.expression[2].sum() == 0
    assert found.fer2013[2].tolist() == [0, 0, 0, 0, 0, 0, 1]


def picture(folder: Path, name: str, size: int = 60) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(folder / name), np.full((size, size, 3), 90, dtype=np.uint8))


def test_a_folder_of_pictures_has_one_subfolder_a_category(tmp_path: Path) -> None:
    picture(tmp_path / "contempt", "a.png")
    picture(tmp_path / "happy", "b.jpg")
    (tmp_path / "happy" / "notes.txt").write_text("not a picture", encoding="utf-8")
    (tmp_path / ".hidden").mkdir()

    faces = load_faces(tmp_path)

    assert faces.pictures.shape == (2, 48, 48)
    assert faces.fer2013.tolist() == [NO_LABEL, FER2013.index("happy")]
    assert [EXPRESSIONS[index] for index in majority(faces.votes)] == ["contempt", "happiness"]


def test_a_folder_with_an_unknown_category_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "bored", "a.png")

    with pytest.raises(
        DataError, match=r"bored: no category has this name; use neutral, happiness"
    ):
        load_faces(tmp_path)


def test_an_unreadable_picture_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    picture(tmp_path / "anger", "a.png")
    (tmp_path / "anger" / "b.png").write_bytes(b"no picture")
    (tmp_path / "fear").mkdir()

    read = read_folder(tmp_path)

    assert len(load_faces(tmp_path)) == 1
    assert "b.png: is not a picture that can be read; it is left out" in caplog.text
    assert read.files == (tmp_path / "anger" / "a.png",)
    assert read.unreadable == (tmp_path / "anger" / "b.png",)
    assert read.empty == ("fear",)


def made() -> Faces:
    """Eight pictures: 0 and 1 are alike, 2 too, but in PublicTest; 3 is blank, 4 has no majority,
    people see another expression in 5; 6 and 7 are good.
    """
    pictures = np.random.default_rng(1).integers(0, 256, (8, 48, 48), dtype=np.uint8)
    pictures[1] = pictures[2] = pictures[0]
    pictures[3] = 0
    labels = np.array([3, 3, 3, 3, 3, 3, 0, 6])
    votes = np.zeros((8, len(VOTE_COLUMNS)), dtype=np.uint8)
    for row, label in enumerate(labels):
        votes[row, VOTE_COLUMNS.index(FER2013_AS_EXPRESSION[label])] = 9
    votes[4] = [5, 5, *[0] * 8]
    votes[5] = np.roll(votes[5], 1)
    return Faces(pictures, labels, votes, np.array([0, 0, 1, 0, 0, 0, 0, 1], dtype=np.int8))


def test_each_rule_takes_its_pictures_and_the_evaluated_copy_stays() -> None:
    result = clean(made())

    assert result.counts == {
        "Training": {
            "given": 6,
            "blank": 1,
            "no majority": 1,
            "another label": 1,
            "copies": 2,
            "kept": 1,
        },
        "PublicTest": {
            "given": 2,
            "blank": 0,
            "no majority": 0,
            "another label": 0,
            "copies": 0,
            "kept": 2,
        },
    }
    assert result.faces.fer2013.tolist() == [3, 0, 6]
    assert result.as_text().startswith("Training: given 6, blank 1, no majority 1, another label 1")


def test_without_votes_or_with_nothing_left_it_is_refused() -> None:
    faces = made()
    with pytest.raises(DataError, match="give --votes fer2013new.csv"):
        clean(replace(faces, votes=faces.votes * 0))
    with pytest.raises(DataError, match="no picture is left"):
        clean(faces.take(np.array([3, 4])))


def test_a_recipe_learns_from_what_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.support.vision.tiny_faces import tiny_recipe
    from training.data.datasets import EXPRESSIONS
    from training.expression import fit
    from training.learning.kinds import FitRequest, plan

    n = 60
    names = [FER2013_AS_EXPRESSION[label] for label in np.arange(n) % 7]
    votes = np.zeros((n, len(VOTE_COLUMNS)), dtype=np.uint8)
    votes[np.arange(n), [EXPRESSIONS.index(name) for name in names]] = 9
    votes[:20] = np.roll(votes[:20], 1, axis=1)  # people see something else
    pictures = np.random.default_rng(1).integers(0, 256, (n, 48, 48), dtype=np.uint8)
    usage = (np.arange(n) >= 50).astype(np.int8)
    faces = Faces(pictures, np.arange(n) % 7, votes, usage)
    monkeypatch.setattr(fit, "load_without", lambda *_, **__: faces)
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        tiny_recipe().replace("[network]", "[data]\ncleaned = true\nheld_back = 0.3\n[network]"),
        encoding="utf-8",
    )

    prepared = plan(FitRequest(recipe, tmp_path / "x.csv", None, tmp_path, tmp_path))

    learnt = prepared.task.steps_per_epoch * 8
    assert 8 <= learnt < 30, "of the 50 pictures of Training 30 are left, and some are held back"
    others = fit._clean_splits(faces, fit._other_splits(faces))[1]
    assert {name: len(split) for name, split in others.items()} == {
        "PublicTest": 10,
        "PublicTest, cleaned": 10,
    }


def test_without_votes_it_says_what_the_ferplus_head_learns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from tests.support.vision.tiny_faces import tiny_recipe
    from training.expression import fit
    from training.learning.kinds import FitRequest, plan

    n = 60
    pictures = np.random.default_rng(1).integers(0, 256, (n, 48, 48), dtype=np.uint8)
    votes = np.zeros((n, len(VOTE_COLUMNS)), dtype=np.uint8)
    faces = Faces(pictures, np.arange(n) % 7, votes, np.zeros(n, dtype=np.int8))
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(
        tiny_recipe().replace("[network]", "[data]\nheld_back = 0.3\n[network]"), encoding="utf-8"
    )
    for voted in (False, True):
        caplog.clear()
        votes[:, 0] = 10 * voted
        monkeypatch.setattr(fit, "load_without", lambda *_, **__: faces)
        plan(FitRequest(recipe, tmp_path / "x.csv", None, tmp_path, tmp_path))
        assert (fit.WITHOUT_VOTES in caplog.messages) is not voted


def test_labels_votes_and_pairs_of_votes_are_counted() -> None:
    votes = np.zeros((3, len(VOTE_COLUMNS)), dtype=np.uint8)
    votes[0, VOTE_COLUMNS.index("happiness")] = 10  # all, and as labelled
    votes[1, VOTE_COLUMNS.index("neutral")] = 8  # a majority for another category
    votes[1, VOTE_COLUMNS.index("sadness")] = 2
    votes[2, VOTE_COLUMNS.index("fear")] = 5  # no majority
    votes[2, VOTE_COLUMNS.index("surprise")] = 5
    labels = [FER2013.index(name) for name in ("happy", "sad", "fear")]
    pictures = np.zeros((3, 48, 48), dtype=np.uint8)

    found = agreement(Faces(pictures, np.array(labels), votes, np.zeros(3, dtype=np.int8)))

    assert (found.pictures, found.clear) == (3, 2)
    assert found.label_and_majority == pytest.approx(1 / 2)
    assert found.label_and_vote == pytest.approx((10 + 2 + 5) / 30)
    # pairs of 90: all; 8 · 7 + 2 · 1; 5 · 4 twice
    assert found.two_votes == pytest.approx((90 + 58 + 40) / 270)
