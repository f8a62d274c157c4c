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

from edge_agent.vision.models.model import TFLiteModel, load_model
from tests.support.vision.stripes import joined, stripe_faces, stripe_model, unlabelled
from tests.support.vision.tiny_model import expression_card, tiny_tflite, write_model
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
from training.report.figures import evaluation_text, measured_text
from training.report.measure import measure
from training.report.robustness import (
    CHANGES,
    COVER,
    COVERS,
    NOTHING,
    Row,
    covered_files,
    covered_rows,
    covered_text,
    macro,
    robustness,
    worst,
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


def test_a_category_without_pictures_has_zeros_and_does_not_lower_the_mean() -> None:
    figures = classification_figures(indices(0, 1), indices(0, 1), LABELS)

    assert (figures.per_class["c"].f1, figures.per_class["c"].n) == (0, 0)
    assert figures.macro_f1 == 1


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


def test_a_model_without_the_second_head_is_judged_by_its_first() -> None:
    logits = {"expression": one_hot(["anger", "contempt", "surprise"], EXPRESSIONS)}
    logits["expression"][1, EXPRESSIONS.index("sadness")] = 0.5

    evaluation = evaluate_logits(logits, faces(["angry", "sad", "surprise"], [None, None, None]))

    assert evaluation.ferplus is None
    assert evaluation.fer2013 is not None
    assert evaluation.fer2013.accuracy == 1


def test_json_leads_with_the_votes_where_there_are_some() -> None:
    logits = {"expression": one_hot(["anger"], EXPRESSIONS), "fer2013": one_hot(["sad"], FER2013)}

    with_votes = evaluate_logits(logits, faces(["angry"], ["anger"])).as_json()
    without = evaluate_logits(logits, faces(["angry"], [None])).as_json()

    assert (with_votes["protocol"], with_votes["accuracy"]) == ("FER+ majority", 1)
    assert {
        "ferplus",
        "fer2013",
        "macro_f1",
        "per_class",
        "confusion_matrix",
        "n",
    } <= with_votes.keys()
    assert (without["protocol"], without["accuracy"]) == ("FER2013", 0)
    assert "ferplus" not in without


def test_the_table_shows_each_protocol_with_its_categories_and_counts() -> None:
    logits = {"expression": one_hot(["anger"], EXPRESSIONS), "fer2013": one_hot(["sad"], FER2013)}

    text = evaluation_text(evaluate_logits(logits, faces(["angry"], ["anger"])))

    assert "FER+ majority: 100.0% of 1 pictures right" in text
    assert "FER2013: 0.0% of 1 pictures right" in text
    assert text.count("is / said") == 2


def model(folder: Path, **changes: object) -> TFLiteModel:
    return load_model(stripe_model(folder, **changes).with_suffix(".json"), kind="expression")


def test_the_figures_of_both_protocols_lead_and_the_rest_stands_beside_them(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(70), "PublicTest")

    found = measured.as_json()
    assert (found["protocol"], found["n"], found["accuracy"]) == (
        "FER+ majority",
        70,
        pytest.approx(0.8),
    )
    assert {
        "ferplus",
        "fer2013",
        "calibration_error",
        "confidence",
        "file_bytes",
        "speed",
    } <= found.keys()
    assert found["file_bytes"] == (tmp_path / "tiny.tflite").stat().st_size
    assert "robustness" not in found
    json.dumps(found)


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


def test_pictures_that_lie_in_training_too_are_left_out_of_the_second_figures(
    tmp_path: Path,
) -> None:
    judged = stripe_faces(40, wrong_every=4)
    training = stripe_faces(
        8, usage="Training", wrong_every=4
    )  # the same first eight pictures, two of them mislabelled

    measured = measure(model(tmp_path), joined(training, judged), "PublicTest")

    assert measured.without_copies is not None
    assert measured.without_copies.headline()["ferplus_n"] == 40 - 8
    assert measured.evaluation.headline()["ferplus_n"] == 40


def test_without_votes_the_confidence_is_judged_by_the_classes_alone(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(14, voted=False), "PublicTest")

    assert measured.confidence is None
    assert list(measured.calibration) == ["fer2013"]
    assert "uncertain below" not in measured_text(measured)


def test_what_int8_lost_is_told_where_the_card_has_the_figures_of_the_network(
    tmp_path: Path,
) -> None:
    figures = {"PublicTest, float": {"ferplus_accuracy": 0.85, "ferplus_n": 70}}

    measured = measure(model(tmp_path, metrics=figures), stripe_faces(70), "PublicTest")

    assert measured.as_json()["int8_loss"] == {"ferplus": pytest.approx(5.0)}
    assert "int8 loses (points)" in measured_text(measured)


def test_the_robustness_is_measured_only_when_asked(tmp_path: Path) -> None:
    measured = measure(model(tmp_path), stripe_faces(14), "PublicTest", robust=True, speed=False)

    found = measured.as_json()
    assert found["speed"] is None
    assert isinstance(found["robustness"], list)
    assert len(found["robustness"]) == 17
    assert {"robustness_worst", "robustness_worst_with_harsh"} <= found.keys()
    text = measured_text(measured)
    assert "half of the face covered:" in text
    assert "worst for FER+ majority, cover and harsher light aside: shifted" in text


def test_faces_without_labels_or_of_no_such_split_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no picture has a label"):
        measure(model(tmp_path), unlabelled(stripe_faces(7)), "PublicTest")
    with pytest.raises(DataError, match="hold no picture of usage PrivateTest"):
        measure(model(tmp_path), stripe_faces(7), "PrivateTest")


def test_pictures_are_brought_to_the_size_that_a_model_takes(tmp_path: Path) -> None:
    content = tiny_tflite()
    small = load_model(write_model(tmp_path, content, expression_card(content)), kind="expression")

    assert measure(small, stripe_faces(7), "PublicTest").evaluation.headline()["ferplus_n"] == 7


def right(*counts: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Answers of two models: so many both right, only the first, only the second, neither."""
    pairs = [(True, True), (True, False), (False, True), (False, False)]
    rows = np.array([pair for pair, count in zip(pairs, counts, strict=True) for _ in range(count)])
    return rows[:, 0], rows[:, 1]


def test_mcnemar_is_the_exact_binomial_test_of_the_pictures_on_which_they_differ() -> None:
    found = mcnemar(*right(50, 1, 9, 40))

    assert (found.n, found.only_first, found.only_second) == (100, 1, 9)
    assert found.p == pytest.approx(2 * (1 + 10) / 2**10)  # 0.0215, by hand


def test_models_that_never_differ_are_not_found_to() -> None:
    assert mcnemar(*right(3, 0, 0, 2)).p == 1
    assert mcnemar(*right(3, 5, 5, 2)).p == 1


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


def test_the_table_names_both_models_and_says_how_they_differ(tmp_path: Path) -> None:
    model = stripe_model(tmp_path)

    text = comparison_text(compare_files(model, model, stripe_faces(70)))

    assert "+0.00 points" in text
    assert "× 1.00" in text
    assert "McNemar's exact test on 70 pictures" in text


TRUTH = "id,label\na,anger\nb,happiness\nc,neutral\n"


SHARES = "file," + ",".join(EXPRESSIONS)


def tables(folder: Path, predictions: str, truth: str = TRUTH) -> tuple[Path, Path]:
    said = folder / "predict.csv"
    true = folder / "ground_truth.csv"
    said.write_text(predictions, encoding="utf-8")
    true.write_text(truth, encoding="utf-8")
    return said, true


def shares(name: str, **parts: float) -> str:
    """A row of probabilities."""
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


def test_the_seven_names_of_fer2013_make_a_table_of_seven(tmp_path: Path) -> None:
    found = evaluate_tables(
        *tables(tmp_path, "id,label\n1,happy\n2,fear\n", "id,label\n1,happy\n2,sad\n")
    )

    assert found.figures.labels == FER2013
    assert found.figures.accuracy == 0.5


def test_names_of_the_predictions_decide_where_those_of_the_truth_are_in_both_sets(
    tmp_path: Path,
) -> None:
    found = evaluate_tables(
        *tables(tmp_path, "id,label\n1,happy\n2,fear\n", "id,label\n1,surprise\n2,fear\n")
    )

    assert found.figures.labels == FER2013


def test_further_columns_a_byte_order_mark_and_spaces_do_no_harm(tmp_path: Path) -> None:
    found = evaluate_tables(
        *tables(tmp_path, "\ufeffid,label,note\n a , anger,x\nb,happiness,\nc,neutral,\n")
    )

    assert found.figures.accuracy == 1


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
        ("id,label\na,anger\n,happiness\nc,neutral\n", "row 3, column id: is empty"),
        ("id,label\na,anger\n", "has no row for 'b', 'c' of "),
        (TRUTH + "d,anger\n", "'d' is not in "),
        ("id,label\na,anger,1\n", "row 2: holds 3 columns where the header names 2"),
        (
            "id;label\na;anger\n",
            "no column is named id or file .found: id;label.; separate columns by commas",
        ),
        ("id,answer\na,anger\n", "row 1: needs a column label, or one for each of neutral"),
        ("id,label\n", "holds no row, only a header"),
        ("", "holds no row, only a header"),
        (
            "id,neutral,happiness\na,0.5,0.5\n",
            "row 1: column anger is missing; probabilities need one column for each",
        ),
        (
            SHARES + ",sad\n" + shares("a") + ",1\n",
            "row 1: column sad is of another set of categories",
        ),
        (
            f"{SHARES}\n" + shares("a", anger=0.5),
            "row 2, columns neutral … contempt: the probabilities sum to 0.5, not to",
        ),
        (
            f"{SHARES}\n" + shares("a", anger=1.2, fear=-0.2),
            "row 2, column anger: '1.2' is not a probability",
        ),
        (
            f"{SHARES}\na,x,0,0,0,0,0,0,1",
            "row 2, column neutral: 'x' is not a probability; give a number from 0 to 1",
        ),
        (f"{SHARES}\na,nan,0,0,0,0,0,0,1", "row 2, column neutral: 'nan' is not a probability"),
        (f"{SHARES}\na,inf,0,0,0,0,0,0,1", "row 2, column neutral: 'inf' is not a probability"),
        (f"{SHARES}\na,,0,0,0,0,0,0,1", "row 2, column neutral: '' is not a probability"),
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
def test_every_fault_is_named_with_its_row_column_and_cure(
    predictions: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=said) as raised:
        evaluate_tables(*tables(tmp_path, predictions))
    assert "predict.csv" in str(raised.value)


def test_a_fault_in_the_truth_names_the_truth(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"ground_truth\.csv: row 2, column label: 'joy'"):
        evaluate_tables(*tables(tmp_path, "id,label\na,anger\n", "id,label\na,joy\n"))


def test_a_table_that_is_missing_or_no_text_is_an_error(tmp_path: Path) -> None:
    said, true = tables(tmp_path, TRUTH)
    with pytest.raises(DataError, match=r"absent\.csv: cannot be read"):
        evaluate_tables(tmp_path / "absent.csv", true)
    said.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="is not a table in text form"):
        evaluate_tables(said, true)


def test_many_missing_ids_are_counted_and_only_the_first_named(tmp_path: Path) -> None:
    truth = "id,label\n" + "".join(f"{i},anger\n" for i in range(20))

    with pytest.raises(DataError, match=r"'1', '2', '3', '4', '5' and 14 more"):
        evaluate_tables(*tables(tmp_path, "id,label\n0,anger\n", truth))


def changed_rows(name: str, column: slice = slice(None)) -> tuple[int, int]:
    """First and last row that a cover changes in a face of noise."""
    picture = np.random.default_rng(2).integers(0, 100, (48, 48), dtype=np.uint8)
    (cover,) = (each for each in COVERS if each.name == name)
    different = (cover.apply(picture) != picture)[:, column].any(axis=1).nonzero()[0]
    return int(different[0]), int(different[-1])


def test_each_covers_what_it_says() -> None:
    assert changed_rows("eyes")[1] < 30
    assert changed_rows("mouth")[0] > 26
    assert changed_rows("mask")[0] > 18
    assert changed_rows("glasses")[1] < 32
    assert changed_rows("left", slice(24)) == (0, 47)
    with pytest.raises(IndexError):
        changed_rows("left", slice(24, 48))


def test_a_model_is_evaluated_bare_first_and_sees_the_same_covers_each_time(tmp_path: Path) -> None:
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


def test_an_empty_cover_is_named_and_faces_without_labels_are_refused(tmp_path: Path) -> None:
    (tmp_path / "truth.csv").write_text("id,label,covered\na,fear,\n", encoding="utf-8")
    (tmp_path / "predict.csv").write_text("id,label\na,fear\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"truth\.csv: row 2, column covered: is empty"):
        evaluate_tables(tmp_path / "predict.csv", tmp_path / "truth.csv")
    bare = stripe_faces(2, voted=False)
    bare.fer2013[:] = -1
    with pytest.raises(DataError, match="no picture has a label; give --votes"):
        list(covered_files(bare))


def agreeing_votes(votes: Path) -> None:
    """Let the votes of a made table name its FER2013 labels."""
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


def dot(row: int, column: int) -> NDArray[np.uint8]:
    """A bright square of six pixels around a point, on black."""
    picture = np.zeros((EDGE, EDGE), dtype=np.uint8)
    picture[row - 3 : row + 3, column - 3 : column + 3] = 200
    return picture


def middle(picture: NDArray[np.uint8]) -> tuple[float, float]:
    """Centre of brightness: row, column."""
    weight = picture.astype(float) / picture.sum()
    return float((weight.sum(axis=1) * np.arange(EDGE)).sum()), float(
        (weight.sum(axis=0) * np.arange(EDGE)).sum()
    )


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.name)
def test_every_change_gives_another_picture_of_the_same_form_and_leaves_the_first_alone(
    change: object,
) -> None:
    picture = np.random.default_rng(2).integers(0, 256, (EDGE, EDGE), dtype=np.uint8)
    before = picture.copy()
    assert isinstance(change, type(CHANGES[0]))

    after = change.apply(picture)

    assert (after.shape, after.dtype) == (picture.shape, picture.dtype)
    assert np.array_equal(picture, before)
    assert not np.array_equal(after, before)


@pytest.mark.parametrize(
    ("name", "row", "column"),
    [
        ("shifted right 10 %", 24, 24 + 4.8),
        ("shifted left 10 %", 24, 24 - 4.8),
        ("shifted down 10 %", 24 + 4.8, 24),
        ("shifted up 10 %", 24 - 4.8, 24),
    ],
)
def test_a_shift_moves_the_face_by_a_tenth_of_the_edge(
    name: str, row: float, column: float
) -> None:
    assert middle(changed(name, dot(24, 24))) == pytest.approx((row - 0.5, column - 0.5), abs=0.05)


@pytest.mark.parametrize(("name", "factor"), [("scaled up 15 %", 1.15), ("scaled down 15 %", 0.85)])
def test_a_scale_keeps_the_middle_and_stretches_the_rest(name: str, factor: float) -> None:
    after = middle(changed(name, dot(24, 34)))

    assert after == pytest.approx((23.5, 23.5 + 10 * factor), abs=0.05)


@pytest.mark.parametrize(("name", "degrees"), [("rolled left 15°", 15), ("rolled right 15°", -15)])
def test_a_roll_turns_about_the_middle(name: str, degrees: float) -> None:
    angle = np.radians(degrees)

    row, column = middle(changed(name, dot(24, 36)))

    assert (row, column) == pytest.approx(
        (23.5 - 12 * np.sin(angle), 23.5 + 12 * np.cos(angle)), abs=0.1
    )


def test_what_enters_from_outside_repeats_the_border() -> None:
    ramp = np.tile(np.arange(100, 100 + EDGE, dtype=np.uint8), (EDGE, 1))

    assert (changed("shifted right 10 %", ramp)[:, :4] == 100).all()


def test_half_the_light_is_that_of_the_transfer_function_of_srgb() -> None:
    # Half of white is 188 in sRGB: 1.055 · 0.5^(1/2.4) − 0.055 = 0.7354.
    white = np.full((EDGE, EDGE), 255, dtype=np.uint8)
    half = changed("light halved", white)

    assert np.unique(half).tolist() == [188]
    assert np.unique(changed("light doubled", half)).tolist() == [255]


def test_the_harsher_light_takes_the_pixel_values_themselves() -> None:
    grey = np.full((EDGE, EDGE), 100, dtype=np.uint8)

    assert np.unique(changed("pixels halved", grey)).tolist() == [50]
    assert np.unique(changed("pixels doubled", grey)).tolist() == [200]
    assert np.unique(changed("pixels doubled", grey + np.uint8(50))).tolist() == [255]


def test_a_blur_spreads_a_point_with_a_standard_deviation_of_one_pixel() -> None:
    point = np.zeros((EDGE, EDGE), dtype=np.uint8)
    point[24, 24] = 255

    after = changed("blurred", point).astype(float)

    rows = np.arange(EDGE) - 24
    assert (after.sum(axis=1) * rows**2).sum() / after.sum() == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(
    ("name", "covered"),
    [
        ("left half covered", np.s_[:, :24]),
        ("right half covered", np.s_[:, 24:]),
        ("upper half covered", np.s_[:24]),
        ("lower half covered", np.s_[24:]),
    ],
)
def test_a_cover_hides_one_half_and_shows_the_other(name: str, covered: tuple[slice, ...]) -> None:
    after = changed(name, np.full((EDGE, EDGE), 10, dtype=np.uint8))

    assert (after[covered] == COVER).all()
    assert np.count_nonzero(after == 10) == EDGE * EDGE // 2


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


def test_the_worst_row_leaves_covered_faces_and_harsher_light_aside_unless_asked() -> None:
    rows = [
        Row("small", "", "main", {}, {"ferplus": 1.0}),
        Row("large", "", "main", {}, {"ferplus": 4.0}),
        Row("light", "", "harsh", {}, {"ferplus": 9.0}),
        Row("cover", "", "covered", {}, {"ferplus": 40.0}),
    ]

    assert worst(rows, "ferplus").name == "large"
    assert worst(rows, "ferplus", ("main", "harsh")).name == "light"
