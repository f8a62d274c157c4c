"""The whole chain on photographs: the agent's own reading, beside other crops."""

from __future__ import annotations

import json
import math
import zipfile
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_agent.config.vision import VisionSettings
from edge_agent.vision.align import TEMPLATE
from edge_agent.vision.recognizer import open_recognizer
from edge_agent.vision.stills import Picture
from tests.support.vision.portraits import detector, serious, smiling
from tests.support.vision.training_runs import training_here
from training.commands import options
from training.data.datasets import EXPRESSIONS
from training.data.photographs import LabelledPhotographs
from training.faces.labelling import LabelledFace
from training.report.chain import (
    BOX,
    CENTRED,
    CHAIN,
    YUNET,
    chain_json,
    chain_tables,
    chain_text,
    deviations,
    measure_chain,
)

MODEL = "expression-fast"


HAPPINESS = EXPRESSIONS.index("happiness")


def photographs(folder: Path, **labels: str) -> LabelledPhotographs:
    """A smiling and a serious portrait and a wall without a face, those that are given a label."""
    pictures = {
        "smiling": smiling(),
        "serious": serious(),
        "wall": np.full((240, 320, 3), 127, np.uint8),
    }
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for name in labels:
            archive.writestr(f"{name}.png", cv2.imencode(".png", pictures[name])[1].tobytes())
        rows = "".join(f"{name}.png,{label}\n" for name, label in labels.items())
        archive.writestr("labels.csv", f"file,emotion\n{rows}")
    return LabelledPhotographs(folder / "photos.zip")


def labelled(image: Picture) -> list[LabelledFace]:
    """Say where the faces are, as another detector would: ours does."""
    return [LabelledFace(face.box, face.landmarks) for face in detector().detect(image)]


def points(turn: float = 0.0, scale: float = 1.0, right: float = 0.0) -> NDArray[np.float64]:
    """Landmarks of a face of 100 pixels, turned (degrees, clockwise), scaled, shifted (pixels)."""
    middle = np.asarray(TEMPLATE, dtype=np.float64) @ (1, 1j) - (0.5 + 0.5j)
    z = 100 * scale * np.exp(1j * math.radians(turn)) * middle + right
    return np.stack([z.real, z.imag], axis=1)


def test_the_chain_says_of_each_photograph_what_the_agent_says(tmp_path: Path) -> None:
    report = measure_chain(
        MODEL, photographs(tmp_path, smiling="happiness", serious="anger"), prior="fitted"
    )

    (agent,) = open_recognizer(VisionSettings(expression_model=MODEL)).read_picture(smiling())
    assert report.answers[CHAIN].shares[0] == pytest.approx(agent.expression.probabilities)
    assert report.answers[CHAIN].predicted[0] == HAPPINESS
    assert report.answers[CHAIN].label_probability < agent.expression.probabilities[HAPPINESS]
    assert report.answers.keys() == {CHAIN, BOX}
    assert report.deviations is None


def test_with_another_detector_the_other_crops_are_read_too(tmp_path: Path) -> None:
    report = measure_chain(
        MODEL, photographs(tmp_path, smiling="happiness", wall="fear"), label=labelled
    )

    assert list(report.answers) == [CHAIN, BOX, YUNET, CENTRED]
    # the chain searches still pictures with a score of their own: its box is a hair another one
    assert report.answers[YUNET].shares == pytest.approx(report.answers[CHAIN].shares, abs=1e-4)
    assert report.answers[CENTRED].has_face.all(), "the common cut needs no face"
    assert report.answers[CENTRED].shares[0] == pytest.approx(
        report.answers[CHAIN].shares[0], abs=0.05
    )
    assert report.deviations is not None
    assert report.deviations.faces == 1
    assert report.deviations.landmarks.median == pytest.approx(0, abs=0.02)
    assert report.tests[YUNET].p == 1


def test_a_crop_that_is_too_large_turned_and_shifted_shows_as_such() -> None:
    # Landmarks that lie 5 % too close together, 4 pixels to the right, and never turn with the
    # head.
    heads = (-20.0, -10.0, 0.0, 10.0, 20.0)
    found = deviations([(points(0, 0.95, 4), points(turn)) for turn in heads])

    assert found is not None
    assert found.scale.bias == pytest.approx(-math.log(0.95))
    assert (found.roll.bias, found.roll.median, found.roll.p90) == pytest.approx((0, 10, 20))
    assert found.across.bias == pytest.approx(-0.04 / 0.95, rel=0.01)
    assert found.roll_followed == pytest.approx(0)


def test_the_figures_are_reported_as_text_as_json_and_as_tables(tmp_path: Path) -> None:
    report = measure_chain(
        MODEL, photographs(tmp_path, smiling="happiness", wall="fear"), label=labelled
    )

    text = chain_text(report)
    assert "2 photographs, a face found in 1 (50.0%)" in text
    assert "YuNet's landmarks" in text
    assert "whole chain: 50.0% of 2 pictures right" in text
    told = json.loads(json.dumps(chain_json(report)))
    assert (told["n"], told["faces_found"], told["per_class"]["happiness"]["recall"]) == (2, 1, 1)
    assert told["crops"][CENTRED]["test"]["only_chain_right"] == 0
    assert told["deviations"]["faces"] == 1
    tables = {name: content.decode() for name, content in chain_tables(report).items()}
    assert tables.keys() == {
        "photographs.csv",
        *(f"confusion-{name}.csv" for name in report.answers),
    }
    assert tables["confusion-chain.csv"].startswith("is / said,neutral,happiness,")
    assert "wall.png,fear,no face,0.0000," in tables["photographs.csv"]


def test_chain_needs_no_torch(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == "torch" else find_spec(name)

    monkeypatch.setattr(options, "find_spec", find)
    source = photographs(tmp_path, smiling="happiness").source

    done = training_here(
        "chain", MODEL, "--photos", str(source), "--json", "--out", str(tmp_path / "out")
    )
    assert done.returncode == 0, done.stderr

    told = json.loads(done.stdout)
    assert (told["photos"], told["n"], told["accuracy"]) == (str(source), 1, 1)
    assert (tmp_path / "out" / "confusion-chain.csv").exists()


def test_chain_readings_evaluate_by_what_people_agree_on(tmp_path: Path) -> None:
    source = photographs(tmp_path, smiling="anger", serious="anger", wall="anger").source
    readings, sources = tmp_path / "readings.csv", tmp_path / "sources.csv"
    readings.write_text(
        "file,published,reading_1,reading_2\nsmiling.png,happiness,happiness,happiness\n"
        "serious.png,anger,neutral,neutral\nwall.png,sadness,sadness,sadness\n"
    )
    sources.write_text("file,film\nsmiling.png,\nserious.png,\nwall.png,\n")
    words = ("chain", MODEL, "--photos", str(source), "--readings", str(readings))

    done = training_here(*words, "--sources", str(sources), "--json")

    assert done.returncode == 0, done.stderr
    all_three = json.loads(done.stdout)["agreement"]["all three agree"]
    assert (all_three["n"], all_three["found"], all_three["accuracy"]) == (2, 1, 0.5)
    assert all_three["recall"] == {"happiness": 1.0, "sadness": 0.0}
    assert all_three["mean_recall"] == all_three["named"] == 0.5
    two = json.loads(done.stdout)["agreement"]["two of three"]
    assert (two["n"], two["recall"]["neutral"]) == (3, 1.0)
    assert training_here(*words).returncode == 2, "--sources belong to them"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("absent", "--photos", "{photos}"), "there is no model 'absent'. Shipped:"),
        ((MODEL, "--photos", "{photos}", "--detector", MODEL), "'face-detector' is needed here"),
        (
            (MODEL, "--photos", "{photos}", "--yunet", "absent.onnx"),
            "absent.onnx: does not exist; give the ONNX file",
        ),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    photos = str(photographs(tmp_path, smiling="happiness").source)

    done = training_here("chain", *(argument.format(photos=photos) for argument in arguments))

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert said in line
