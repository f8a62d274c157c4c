"""Covered faces: what is hidden, that it is the same each time, and the figures by cover."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.vision.models.model import load_model
from tests.support.vision.stripes import stripe_faces, stripe_model
from tests.support.vision.training_runs import write_data
from training.commands.main import app
from training.data.datasets import FER2013_AS_EXPRESSION, VOTE_COLUMNS
from training.errors import DataError
from training.report.compare import evaluate_tables
from training.report.robustness import (
    COVERS,
    NOTHING,
    covered_files,
    covered_rows,
    covered_text,
    macro,
)


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
