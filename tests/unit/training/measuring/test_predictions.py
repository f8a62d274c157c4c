"""The answers of another program: two tables matched by id, and every fault named."""

from pathlib import Path

import pytest

pytest.importorskip("sklearn", reason="the training extra is not installed")

from training.data.datasets import EXPRESSIONS, FER2013
from training.errors import DataError
from training.report.compare import evaluate_tables

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


def test_json_has_the_keys_of_an_evaluated_model(tmp_path: Path) -> None:
    found = evaluate_tables(*tables(tmp_path, TRUTH)).as_json()

    assert {
        "protocol",
        "n",
        "accuracy",
        "macro_f1",
        "per_class",
        "labels",
        "confusion_matrix",
    } <= found.keys()
    assert "calibration" not in found


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
