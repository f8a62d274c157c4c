"""What is left of FER2013 when copies and doubtful labels are left out."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from training.data.datasets import FER2013_AS_EXPRESSION, VOTE_COLUMNS, Faces
from training.data.fer import cleaned
from training.errors import DataError


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
    result = cleaned(made())

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
        cleaned(replace(faces, votes=faces.votes * 0))
    with pytest.raises(DataError, match="no picture is left"):
        cleaned(faces.take(np.array([3, 4])))


def test_a_recipe_learns_from_what_is_left_and_is_evaluated_on_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the training extra is not installed")
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
    others = fit._cleaned(faces, fit._other_splits(faces))[1]
    assert {name: len(split) for name, split in others.items()} == {
        "PublicTest": 10,
        "PublicTest, cleaned": 10,
    }
