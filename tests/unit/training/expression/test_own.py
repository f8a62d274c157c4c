"""Classes of your own are learnt, reported and exported; the appliance refuses them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.appliance.models import ModelPlace, install_model
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Prior
from edge_agent.vision.align import CROP_NAME, EXPRESSION_CROP, ZOOMS, Picture
from edge_agent.vision.models.model import load_model
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.training_runs import training_here
from training.commands.train import RECIPE
from training.data import crops
from training.data.datasets import EDGE, EXPRESSIONS, NO_LABEL, VOTE_COLUMNS, Faces, FolderOfFaces
from training.errors import DataError
from training.expression import own
from training.expression.fit import unseen_limit
from training.expression.own import (
    SAME_PEOPLE,
    Contradicted,
    OwnModel,
    cautions_of,
    cut_out,
    forget_other_run,
    left_out,
    own_classes,
    report_page,
    report_text,
    train_classes,
    train_own,
)
from training.learning.kinds import FitRequest
from training.report.calibration import Answered
from training.report.compare import McNemar, ProtocolComparison, Side
from training.report.evaluate import Figures, classification_figures

pytestmark = pytest.mark.timeout(300)


def write_photographs(folder: Path, portrait: Picture, count: int, seed: int) -> None:
    """One person, turned and lit otherwise in each photograph."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    height, width = portrait.shape[:2]
    for number in range(count):
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), float(rng.uniform(-10, 10)), 1.0)
        moved = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        lit = cv2.convertScaleAbs(moved, alpha=float(rng.uniform(0.7, 1.2)))
        cv2.imwrite(str(folder / f"{number:02}.jpg"), lit)


def faces_of(*names: str) -> Faces:
    """One blank face of each category, labelled as a folder labels it."""
    votes = np.zeros((len(names), len(VOTE_COLUMNS)), np.uint8)
    votes[range(len(names)), [EXPRESSIONS.index(name) for name in names]] = 10
    return Faces(
        np.zeros((len(names), EDGE, EDGE), np.uint8),
        np.full(len(names), NO_LABEL, np.int64),
        votes,
        np.zeros(len(names), np.int8),
    )


def figures(*answers: str) -> Figures:
    """Figures of three happy faces and a sad one."""
    labels = ("happiness", "happiness", "happiness", "sadness")
    truth, answered = (
        np.array([EXPRESSIONS.index(name) for name in names]) for names in (labels, answers)
    )
    return classification_figures(truth, answered, EXPRESSIONS)


def side(right: float, prior: Prior, answered: Answered) -> Side:
    """One of two models, of which most figures do not matter."""
    file = ("model", "model.tflite", 1, 1, 1, 1.0)
    return Side(*file, {"folder": right}, {"folder": 1}, {"folder": 0}, prior, answered)


def own_model(right: tuple[float, float], p: float, cut: str = "") -> OwnModel:
    """A model beside the shipped one on ten faces."""
    comparison = ProtocolComparison(
        side(right[0], "fitted", Answered(0.69, 0.4, 0.75, 1.0)),
        side(right[1], "data", Answered(0.75, 0.9, 0.5, 1.0)),
        {"folder": McNemar(10, 1, 2, p)},
    )
    folder = FolderOfFaces(faces_of("happiness"), (Path("happiness/a.png"),), (), ())
    both = (
        figures("happiness", "happiness", "neutral", "sadness"),
        figures("happiness", "anger", "anger", "sadness"),
    )
    missed = (Contradicted(Path("happiness/a.png"), "happiness", "anger", 0.7, 0),)
    return OwnModel(Path("run/own-faces.json"), folder, cut, (), comparison, both, missed, (), ())


@pytest.mark.deep
def test_own_classes_become_a_model_that_the_appliance_refuses(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs" / "smiling", smiling(), 30, 1)
    write_photographs(tmp_path / "photographs" / "not smiling", serious(), 30, 2)
    out = tmp_path / "own"

    done = training_here("train", tmp_path / "photographs", "--out", out)
    assert done.returncode == 0, done.stderr

    said = done.stdout
    assert "Right in 100.0% of" in said
    assert "The appliance cannot use this model" in said
    assert "it may read worse" in said
    page = (out / "report.html").read_text(encoding="utf-8")
    assert "not smiling" in page and "Confusion matrix" in page
    (card,) = (out / "run").glob("*.json")
    model = load_model(card, kind="classes")
    (output,) = model.card.outputs
    assert output.labels == ("not smiling", "smiling")
    assert model.card.metrics["tested"]["accuracy"] == 1.0
    assert model.card.crop == EXPRESSION_CROP
    with pytest.raises(ModelError, match="'expression' is needed here"):
        load_model(card, kind="expression")
    config = tmp_path / "affect-edge.toml"
    config.write_text("", encoding="utf-8")
    (tmp_path / "data").mkdir()
    with pytest.raises(ModelError, match="a model of your own classes"):
        install_model(ModelPlace(config, tmp_path / "data"), [str(card)])
    assert config.read_text(encoding="utf-8") == ""
    done = training_here("train", tmp_path / "photographs", "--out", out, "--without", "x.csv")
    assert done.returncode == 2, done.stderr
    assert "learnt without --recipe and --without" in done.stderr


@pytest.mark.parametrize(
    ("right", "p", "said"),
    [
        (
            (0.8, 0.9),
            1.0,
            (
                "No difference can be told from 10 faces that the new model never saw: it is right "
                "in 9, the shipped one in 8 (p = 1 by McNemar's exact test). More faces would tell."
            ),
        ),
        (
            (0.2, 0.9),
            0.016,
            (
                "The new model is better by 70.0 points: right in 90.0% of 10 faces that it never "
                "saw, the shipped one in 20.0% (p = 0.016 by McNemar's exact test)."
            ),
        ),
    ],
)
def test_a_difference_is_claimed_only_where_it_can_be_reported(
    right: tuple[float, float], p: float, said: str
) -> None:
    assert own_model(right, p).verdict == said


def test_report_of_an_own_model_says_where_it_fails() -> None:
    own = own_model((0.75, 0.5), 1.0)
    line = "happiness: found 1 of 3 (shipped model 2); most often taken for anger"
    assert f"\n  {line}\n  sadness: found 1 of 1 (shipped model 1)\n" in report_text(own)
    page = report_page(own).decode()
    assert f"<li>{line}</li>" in page
    assert "happiness/a.png: labelled happiness, read as anger (70%)" in page
    cells = page.replace("\n", "").replace(" ", "")
    assert "<td>happiness</td><td>1</td><td>0</td><td>2</td>" in cells


def test_report_of_an_own_model_says_how_both_were_read_and_what_gets_a_name() -> None:
    own = own_model((0.75, 0.5), 1.0)
    read = (
        "Both are read as the appliance reads them by default (vision.prior = fitted): the new one "
        "with the prior data, the shipped one with fitted."
    )
    named = (
        "Of the faces never seen 90% get a name at the threshold 0.75, 50% of these the right one; "
        "of the shipped model 40% and 75% (at 0.69)."
    )
    assert f"\n{read}\n{named}\n" in report_text(own)
    page = report_page(own).decode()
    assert f"<p>{read}</p>" in page
    assert f"<p>{named}</p>" in page


def test_the_shipped_model_is_judged_with_the_prior_of_the_appliance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photographs, out = tmp_path / "photographs", tmp_path / "own"
    shown = stripe_faces(70, wrong_every=0)
    for number, (picture, label) in enumerate(
        zip(shown.pictures, shown.votes.argmax(axis=1), strict=True)
    ):
        file = out / "faces" / EXPRESSIONS[label] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), picture)
    biases = [99.0 * (name == "anger") for name in EXPRESSIONS]
    fitted = {"biases": biases, "temperature": 1.0, "uncertain_below": 0.5}
    shipped = stripe_model(tmp_path / "shipped", fitted_prior=fitted)
    request = FitRequest(RECIPE, photographs, None, out, tmp_path / "cache")
    forget_other_run(out / "faces", out / "run", request)
    stripe_model(out / "run", name="own-faces")
    monkeypatch.setattr(own, "cut_out", lambda *_: "")
    monkeypatch.setattr(own, "find_model", lambda _: shipped.with_suffix(".json"))

    found = train_own(photographs, request)

    assert (found.comparison.first.prior, found.comparison.second.prior) == ("fitted", "data")
    assert found.figures[1].accuracy == 1.0
    assert found.figures[0].accuracy == pytest.approx(1 / 7, abs=0.1), "all is anger, as there"
    assert found.comparison.first.accuracy["ferplus"] == found.figures[0].accuracy
    assert "better" in found.verdict


def test_a_report_without_doubted_labels_says_none_and_wraps_its_lines() -> None:
    page = report_page(own_model((0.8, 0.9), 1.0, "unreadable: a photograph")).decode()
    assert "<h2>Labels to look at</h2>\n<p>None: " in page
    assert "pre { white-space: pre-wrap; overflow-wrap: anywhere; }" in page


UNSEEN = "It never saw neutral, contempt: it reads such faces worse. Add pictures of them."


@pytest.mark.parametrize(
    ("shares", "tested", "said"),
    [
        ((0.2, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1), ("happiness",), ()),
        (
            (0, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0),
            ("anger",),
            (f"{UNSEEN} The test held none of them.",),
        ),
        ((0, 0.5, 0.1, 0.1, 0.1, 0.1, 0.1, 0), ("anger", "neutral"), (UNSEEN,)),
    ],
)
def test_categories_that_a_model_never_saw_are_named(
    shares: tuple[float, ...], tested: tuple[str, ...], said: tuple[str, ...]
) -> None:
    assert cautions_of(shares, faces_of(*tested)) == (*said, SAME_PEOPLE)
    assert len(unseen_limit(shares)) == len(said), "the card names them, too"


def test_categories_and_a_mixture_are_no_classes_of_ones_own(tmp_path: Path) -> None:
    assert own_classes(tmp_path / "absent") == ()
    for name in ("smiling", ".hidden"):
        (tmp_path / name).mkdir()
    assert own_classes(tmp_path) == (), "one class tells nothing apart"
    (tmp_path / "frowning").mkdir()
    assert own_classes(tmp_path) == ("frowning", "smiling")
    (tmp_path / "Happy").mkdir()
    assert own_classes(tmp_path) == (), "the category makes it a folder of categories"


def test_too_few_faces_of_a_class_are_named(tmp_path: Path) -> None:
    write_photographs(tmp_path / "photographs" / "a", smiling(), 3, 3)
    write_photographs(tmp_path / "photographs" / "b", serious(), 3, 4)

    with pytest.raises(DataError, match="class 'a' has . faces to learn from"):
        train_classes(tmp_path / "photographs", tmp_path / "own", ("a", "b"))


def test_photographs_that_were_added_are_cut_out_and_old_run_is_forgotten(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photographs, faces = tmp_path / "photographs", tmp_path / "own" / "faces"
    write_photographs(photographs / "a", smiling(), 2, 5)
    write_photographs(photographs / "b", serious(), 2, 6)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("seed = 1")
    run = faces.with_name("run")
    request = FitRequest(recipe, faces, None, run, tmp_path / "cache")

    (photographs / "a" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    said = cut_out(photographs, faces, None, ("a", "b"))
    assert left_out(said) == ["left out: 0 without a face, 1 unreadable (the report names them)"]
    forget_other_run(faces, run, request)
    run.mkdir()
    assert cut_out(photographs, faces, None, ("a", "b")) == said
    forget_other_run(faces, run, request)
    assert run.exists(), "nothing is learnt twice"

    cv2.imwrite(str(photographs / "b" / "new.jpg"), smiling())
    (photographs / "a" / "00.jpg").unlink()
    (photographs / "a" / "torn.jpg").unlink()
    assert left_out(cut_out(photographs, faces, None, ("a", "b"))) == []
    assert "photographs since then: 1 added, 2 removed, 0 changed" in caplog.text
    assert sorted(path.name for path in faces.rglob("*.png")) == [
        *("00.png", "01.png", "01.png", "new.png")
    ]
    forget_other_run(faces, run, request)
    assert not run.exists()
    run.mkdir()
    recipe.write_text("seed = 2")
    forget_other_run(faces, run, request)
    assert not run.exists()


def test_faces_of_another_crop_are_cut_out_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    photographs, faces = tmp_path / "photographs", tmp_path / "own" / "faces"
    write_photographs(photographs / "a", smiling(), 1, 7)
    write_photographs(photographs / "b", serious(), 1, 8)
    for module in (crops, own):
        monkeypatch.setattr(module, "EXPRESSION_CROP", CROP_NAME)
    cut_out(photographs, faces, None, ("a", "b"))
    loose = {path: path.read_bytes() for path in faces.rglob("*.png")}
    monkeypatch.undo()

    cut_out(photographs, faces, None, ("a", "b"))

    assert f"the faces were not cut out as {EXPRESSION_CROP}" in caplog.text
    assert all(path.read_bytes() != before for path, before in loose.items())
    assert ZOOMS[EXPRESSION_CROP] > ZOOMS[CROP_NAME]


def test_faces_without_a_record_are_cut_out_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    photographs, faces = tmp_path / "photographs", tmp_path / "own" / "faces"
    write_photographs(photographs / "a", smiling(), 1, 7)
    write_photographs(photographs / "b", serious(), 1, 8)
    faces.mkdir(parents=True)
    (faces / "old.png").touch()

    assert cut_out(photographs, faces, None, ("a", "b"))

    assert "nobody knows from which photographs" in caplog.text
    assert not (faces / "old.png").exists()
