"""Figures of a classifier: the numbers, the protocols, and what is printed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.model import TFLiteModel, load_model
from tests.support.vision.stripes import joined, stripe_faces, stripe_model
from tests.support.vision.training_runs import write_data
from training.commands.main import app
from training.data.datasets import (
    EXPRESSIONS,
    FER2013,
    FER2013_AS_EXPRESSION,
    NO_LABEL,
    VOTE_COLUMNS,
    Faces,
)
from training.errors import DataError
from training.report.compare import compare_files, comparison_text, evaluate_tables, mcnemar
from training.report.evaluate import classification_figures, evaluate_logits, run_model
from training.report.measure import measure
from training.report.robustness import (
    CHANGES,
    COVERS,
    NOTHING,
    covered_files,
    covered_rows,
    covered_text,
    macro,
    robustness,
)

LABELS = ("a", "b", "c")


def indices(*values: int) -> NDArray[np.int64]:
    return np.array(values, dtype=np.int64)


def one_hot(names: Sequence[str], categories: Sequence[str]) -> NDArray[np.float32]:
    return np.array(
        [[float(name == category) for category in categories] for name in names], dtype=np.float32
    )


def faces(fer2013: Sequence[str | None], voted: Sequence[str | None]) -> Faces:
    """Faces with a class each, and ten votes for one category each."""
    return Faces(
        pictures=np.zeros((len(fer2013), 48, 48), dtype=np.uint8),
        fer2013=indices(*(NO_LABEL if name is None else FER2013.index(name) for name in fer2013)),
        votes=np.array(
            [[10 * (name == column) for column in VOTE_COLUMNS] for name in voted], dtype=np.uint8
        ),
        usage=np.ones(len(fer2013), dtype=np.int8),
    )


def test_the_figures_are_those_computed_by_hand() -> None:
    figures = classification_figures(indices(0, 0, 0, 1, 1, 2), indices(0, 0, 1, 1, 2, 2), LABELS)

    assert figures.n == 6
    assert figures.accuracy == pytest.approx(4 / 6)
    assert figures.confusion_matrix == ((2, 1, 0), (0, 1, 1), (0, 0, 1))
    assert figures.per_class["a"].precision == 1
    assert figures.per_class["a"].recall == pytest.approx(2 / 3)
    assert figures.per_class["b"].f1 == pytest.approx(1 / 2)
    assert figures.macro_f1 == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)


def test_nothing_to_evaluate_is_an_error_and_no_number() -> None:
    with pytest.raises(DataError, match="no picture has a label"):
        classification_figures(indices(), indices(), LABELS)


def test_each_head_is_judged_by_its_own_protocol() -> None:
    logits = {
        "expression": one_hot(["anger", "happiness", "fear"], EXPRESSIONS),
        "fer2013": one_hot(["sad", "happy", "happy"], FER2013),
    }

    evaluation = evaluate_logits(
        logits, faces(["angry", "happy", "fear"], ["anger", "neutral", None])
    )

    assert evaluation.ferplus is not None
    assert evaluation.fer2013 is not None
    assert (evaluation.ferplus.n, evaluation.ferplus.accuracy) == (2, 0.5)
    assert evaluation.fer2013.n == 3
    assert evaluation.fer2013.accuracy == pytest.approx(1 / 3)


def model(folder: Path, **changes: object) -> TFLiteModel:
    return load_model(stripe_model(folder, **changes).with_suffix(".json"), kind="expression")


def test_the_temperature_and_the_threshold_are_those_of_the_card(tmp_path: Path) -> None:
    sure = measure(
        model(tmp_path / "a", temperature=0.1, uncertain_below=0.0), stripe_faces(70), "PublicTest"
    )
    unsure = measure(
        model(tmp_path / "b", temperature=5.0, uncertain_below=0.99), stripe_faces(70), "PublicTest"
    )

    # always sure, right in 80 %
    assert sure.calibration["ferplus"].error == pytest.approx(0.2, abs=0.02)
    assert unsure.calibration["ferplus"].error > 0.3
    assert sure.confidence is not None
    assert unsure.confidence is not None
    assert (sure.confidence.answered.coverage, unsure.confidence.answered.coverage) == (1, 0)
    halves = sure.confidence.halves.values()
    assert sum(half.n for half in halves) == 70
    assert sum(
        half.n * half.fer2013_accuracy for half in halves if half.fer2013_accuracy is not None
    ) == pytest.approx(70 * sure.evaluation.headline()["fer2013_accuracy"], abs=0.01)


def test_a_balanced_prior_lowers_what_was_common_while_learning(tmp_path: Path) -> None:
    judged = stripe_faces(70)
    # at this temperature a neutral answer is so unsure that the prior outweighs it
    unsure = model(tmp_path / "a", temperature=50.0, label_shares=[0.9, *[0.1 / 7] * 7])
    as_learnt, balanced = (
        measure(unsure, judged, "PublicTest", prior="data"),
        measure(unsure, judged, "PublicTest", prior="balanced"),
    )
    recalls = [
        one.evaluation.by_protocol["ferplus"].per_class["neutral"].recall
        for one in (as_learnt, balanced)
    ]
    assert recalls[0] > 0.5
    assert recalls[1] == 0.0
    with pytest.raises(ModelError, match="needs label_shares in the card"):
        measure(model(tmp_path / "b"), judged, "PublicTest", prior="balanced")


def test_pictures_of_training_are_left_out_of_the_second_figures(tmp_path: Path) -> None:
    judged = stripe_faces(40, wrong_every=4)
    training = stripe_faces(
        8, usage="Training", wrong_every=4
    )  # the same first eight pictures, two of them mislabelled

    measured = measure(model(tmp_path), joined(training, judged), "PublicTest")

    assert measured.without_copies is not None
    assert measured.without_copies.headline()["ferplus_n"] == 40 - 8
    assert measured.evaluation.headline()["ferplus_n"] == 40


def right(*counts: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Answers of two models: so many both right, only the first, only the second, neither."""
    pairs = [(True, True), (True, False), (False, True), (False, False)]
    rows = np.array([pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)])
    return rows[:, 0], rows[:, 1]


def test_mcnemar_is_exact_binomial_test_of_pictures_on_which_they_differ() -> None:
    found = mcnemar(*right(50, 1, 9, 40))

    assert (found.n, found.only_first, found.only_second) == (100, 1, 9)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # 0.0215, by hand


def test_two_files_are_judged_on_the_same_pictures_and_timed_in_turns(tmp_path: Path) -> None:
    first = stripe_model(tmp_path / "a")
    second = stripe_model(tmp_path / "b", temperature=2.0, version="2.0.0")

    found = compare_files(first, second, stripe_faces(70))

    assert found.tests["ferplus"].p == 1
    assert found.first.accuracy == found.second.accuracy
    assert found.first.calibration_error != found.second.calibration_error
    assert found.first.milliseconds > 0
    assert (found.first.model, found.second.model) == ("tiny 1.0.0", "tiny 2.0.0")
    ratio = found.as_json()["time_ratio"]
    assert isinstance(ratio, float)
    assert ratio == pytest.approx(found.second.milliseconds / found.first.milliseconds)


FITTED = {"biases": [0.0] * 4 + [99.0] + [0.0] * 3, "temperature": 2.0, "uncertain_below": 0.9}
"""A prior with which all is anger."""


def test_two_files_are_compared_with_the_prior_that_is_asked_for(tmp_path: Path) -> None:
    first = stripe_model(tmp_path / "a", fitted_prior=FITTED, uncertain_below=0.0)
    second = stripe_model(tmp_path / "b", version="2.0.0", uncertain_below=0.0)

    as_learnt = compare_files(first, second, stripe_faces(70))
    fitted = compare_files(first, second, stripe_faces(70), "fitted")

    assert (as_learnt.first.prior, as_learnt.second.prior) == ("data", "data")
    assert as_learnt.tests["ferplus"].p == 1
    assert as_learnt.first.answered is not None
    assert (as_learnt.first.answered.threshold, as_learnt.first.answered.coverage) == (0.0, 1.0)
    assert (fitted.first.prior, fitted.second.prior) == ("fitted", "data"), "its card has none"
    assert fitted.second.accuracy == as_learnt.second.accuracy
    assert fitted.first.accuracy["ferplus"] == pytest.approx(1 / 7, abs=0.05)
    assert fitted.tests["ferplus"].p < 0.001
    assert fitted.first.answered is not None
    assert fitted.first.answered.threshold == 0.9
    lines = comparison_text(fitted).splitlines()
    assert ["prior", "fitted", "data"] in [line.split() for line in lines]
    assert any(line.startswith("faces with a name") and "100.00%" in line for line in lines)


TRUTH = "id,label\na,anger\nb,happiness\nc,neutral\n"


SHARES = "file," + ",".join(EXPRESSIONS)


def tables(folder: Path, predictions: str, truth: str = TRUTH) -> tuple[Path, Path]:
    said = folder / "predict.csv"
    true = folder / "ground_truth.csv"
    said.write_text(predictions, encoding="utf-8")
    true.write_text(truth, encoding="utf-8")
    return said, true


def shares(name: str, **parts: float) -> str:
    return ",".join([name, *(str(parts.get(label, 0)) for label in EXPRESSIONS)])


def test_labels_are_matched_by_id_whatever_the_order_of_the_rows(tmp_path: Path) -> None:
    found = evaluate_tables(*tables(tmp_path, "id,label\nc,neutral\na,sadness\nb,happiness\n"))

    assert found.figures.n == 3
    assert found.figures.accuracy == pytest.approx(2 / 3)
    assert found.figures.labels == EXPRESSIONS
    anger = EXPRESSIONS.index("anger")
    sadness = EXPRESSIONS.index("sadness")
    assert found.figures.confusion_matrix[anger][sadness] == 1
    assert found.calibration is None


def test_probabilities_are_judged_for_their_confidence_too(tmp_path: Path) -> None:
    rows = [
        shares("a", anger=0.9, fear=0.1),
        shares("b", happiness=1),
        shares("c", sadness=0.8, neutral=0.2),
    ]

    found = evaluate_tables(*tables(tmp_path, "\n".join([SHARES, *rows])))

    assert found.figures.accuracy == pytest.approx(2 / 3)
    assert found.calibration is not None
    assert found.calibration.error == pytest.approx((0.1 + 0 + 0.8) / 3)
    assert "calibration error 0.300" in found.as_text()
    assert found.as_json()["calibration_error"] == found.calibration.error


@pytest.mark.parametrize(
    ("predictions", "said"),
    [
        (
            "id,label\na,anger\nb,joy\nc,neutral\n",
            "row 3, column label: 'joy' is not one of neutral, happiness",
        ),
        ("id,label\na,anger\nb,happy\nc,neutral\n", "both tables must use one set of names"),
        (
            "id,label\na,anger\nb,happiness\na,neutral\nc,neutral\n",
            "row 4, column id: 'a' stands in row 2 already",
        ),
        ("id,label\na,anger\n", "has no row for 'b', 'c' of "),
        ("id,label\na,anger,1\n", "row 2: holds 3 columns where the header names 2"),
        (
            "id;label\na;anger\n",
            "no column is named id or file .found: id;label.; separate columns by commas",
        ),
        ("id,label\n", "holds no row, only a header"),
        (
            "id,neutral,happiness\na,0.5,0.5\n",
            "row 1: column anger is missing; probabilities need one column for each",
        ),
        (
            SHARES + ",sad\n" + shares("a") + ",1\n",
            "row 1: column sad is of another set of categories",
        ),
        (
            f"{SHARES}\na,x,0,0,0,0,0,0,1",
            "row 2, column neutral: 'x' is not a probability; give a number from 0 to 1",
        ),
        (
            f"{SHARES}\n" + shares("a", anger=0.5, fear=0.5),
            "row 2: anger and fear are equally probable; add a column label",
        ),
        (
            f"{SHARES},label\n" + shares("a", anger=0.9, fear=0.1) + ",fear",
            "row 2, column label: 'fear' is not the most probable category of its row .'anger' is.",
        ),
    ],
)
def test_every_fault_is_named_with_its_cure(predictions: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=said) as raised:
        evaluate_tables(*tables(tmp_path, predictions))
    assert "predict.csv" in str(raised.value)


def test_a_table_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    said, true = tables(tmp_path, TRUTH)
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        evaluate_tables(tmp_path / "absent.csv", true)
    said.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="is not a table in text form"):
        evaluate_tables(said, true)


def test_a_model_is_evaluated_bare_first_and_sees_same_covers_each_time(tmp_path: Path) -> None:
    model = load_model(stripe_model(tmp_path).with_suffix(".json"), kind="expression")
    faces = stripe_faces(28)

    rows = covered_rows(model, faces)

    assert [row.name for row in rows] == [NOTHING, *(cover.name for cover in COVERS)]
    assert [row.figures for row in rows] == [row.figures for row in covered_rows(model, faces)]
    assert rows[2].right["ferplus"].mean() == rows[2].figures["ferplus"].accuracy
    bare = rows[0].figures["ferplus"]
    eyes = rows[2].figures["ferplus"]
    assert eyes.accuracy < bare.accuracy, "the stripes behind the bar are not seen"
    assert macro(bare)[2] == bare.macro_f1
    text = covered_text(rows)
    assert f"eyes           {eyes.accuracy:>7.1%}" in text
    assert f"{100 * (bare.accuracy - eyes.accuracy):>7.1f}" in text


def test_another_program_is_evaluated_by_cover(tmp_path: Path) -> None:
    faces = stripe_faces(7)
    files = dict(covered_files(faces))
    truth = list(csv.DictReader(io.StringIO(files["ground_truth.csv"].decode())))
    assert len(truth) == 7 * (1 + len(COVERS)) == len(files) - 1
    assert {row["file"] for row in truth} == set(files) - {"ground_truth.csv"}
    (tmp_path / "truth.csv").write_bytes(files["ground_truth.csv"])
    lines = ["file,label"]
    for row in truth:
        wrong = row["covered"] == "eyes"
        lines.append(f"{row['file']},{'fear' if wrong else row['label']}")
    (tmp_path / "predict.csv").write_text("\n".join(lines), encoding="utf-8")

    evaluation = evaluate_tables(tmp_path / "predict.csv", tmp_path / "truth.csv")

    assert list(evaluation.covered) == [NOTHING, *(cover.name for cover in COVERS)]
    assert evaluation.covered["mouth"].accuracy == 1
    assert evaluation.covered["eyes"].accuracy < 0.3
    assert set(evaluation.as_json()["covered"]) == set(evaluation.covered)  # type: ignore[call-overload]
    assert "labels of the ground truth, covered" in evaluation.as_text()


def agreeing_votes(votes: Path) -> None:
    lines = votes.read_text("utf-8").splitlines()
    changed = [lines[0]]
    for line in lines[1:]:
        cells = line.split(",")
        label = cells[2:].index("8")
        cells[2:] = ["8" if name == FER2013_AS_EXPRESSION[label] else "0" for name in VOTE_COLUMNS]
        changed.append(",".join(cells))
    votes.write_text("\n".join(changed) + "\n", encoding="utf-8")


def test_a_model_can_be_evaluated_on_the_cleaned_set_alone(tmp_path: Path) -> None:
    data, votes = write_data(tmp_path)
    model = stripe_model(tmp_path / "model", name="stripes")
    given = ("--data", str(data), "--votes", str(votes), "--cache", str(tmp_path / "cache"))

    doubtful = CliRunner().invoke(app, ["evaluate", str(model), *given, "--cleaned"])
    agreeing_votes(votes)
    done = CliRunner().invoke(app, ["evaluate", str(model), *given, "--cleaned", "--json"])

    assert "in none is the majority of votes its FER2013 label" in str(doubtful.exception)
    assert "PublicTest: given 20, blank 0, no majority 0, another label 0, copies 0, kept 20" in (
        done.stderr
    )
    assert json.loads(done.stdout)["n"] == 20


def test_the_commands_write_pictures_and_print_the_table(tmp_path: Path) -> None:
    data, votes = write_data(tmp_path)
    model = stripe_model(tmp_path / "model", name="stripes")
    given = ("--data", str(data), "--votes", str(votes), "--cache", str(tmp_path / "cache"))

    written = CliRunner().invoke(app, ["cover-faces", *given, "--out", str(tmp_path / "covered")])
    printed = CliRunner().invoke(app, ["evaluate", str(model), *given, "--covered", "--json"])
    text = CliRunner().invoke(app, ["evaluate", str(model), *given, "--covered"])

    assert written.exit_code == 0, written.output
    assert (tmp_path / "covered" / "ground_truth.csv").is_file()
    assert len(list((tmp_path / "covered" / "mask").glob("*.png"))) > 0
    assert set(json.loads(printed.output)["covered"]) == {NOTHING, *(c.name for c in COVERS)}
    assert "FER2013, covered" in text.output
    again = CliRunner().invoke(app, ["cover-faces", *given, "--out", str(tmp_path / "covered")])
    assert "already exists and is not an empty folder" in str(again.exception)


EDGE = 48


BY_NAME = {change.name: change for change in CHANGES}


def changed(name: str, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return BY_NAME[name].apply(picture)


def test_half_the_light_is_that_of_the_transfer_function_of_srgb() -> None:
    # Half of white is 188 in sRGB: 1.055 · 0.5^(1/2.4) − 0.055 = 0.7354.
    white = np.full((EDGE, EDGE), 255, dtype=np.uint8)
    half = changed("light halved", white)

    assert np.unique(half).tolist() == [188]
    assert np.unique(changed("light doubled", half)).tolist() == [255]


def test_what_a_model_loses_is_counted_against_the_unchanged_pictures(tmp_path: Path) -> None:
    model = load_model(stripe_model(tmp_path).with_suffix(".json"), kind="expression")
    faces = stripe_faces(35, wrong_every=0)
    before = evaluate_logits(run_model(model, faces.pictures), faces)

    rows = robustness(
        model, faces, {name: one.accuracy for name, one in before.by_protocol.items()}
    )

    found = {row.name: row for row in rows}
    assert [row.name for row in rows] == [change.name for change in CHANGES]
    assert before.ferplus is not None
    assert before.ferplus.accuracy == 1
    assert found["shifted right 10 %"].loss["ferplus"] == 0  # a stripe goes from edge to edge
    # and now lies where the next category looks
    assert found["shifted down 10 %"].loss["ferplus"] > 50
    assert found["shifted down 10 %"].accuracy["ferplus"] == pytest.approx(
        1 - found["shifted down 10 %"].loss["ferplus"] / 100
    )
    assert found["light halved"].loss == {"ferplus": 0, "fer2013": 0}
