"""``python -m training fit`` for the face detector: from photographs to an int8 model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from edge_agent.core.expression import Box
from edge_agent.vision.align import TEMPLATE, TEMPLATE_BOX
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.model import load_model
from tests.support.vision.portraits import smiling
from tests.support.vision.training_runs import LONG_RUN, training_here
from training.errors import DataError, RecipeError
from training.faces.detector_fit import plan_detector
from training.faces.labelling import LabelledFace, LabelledPicture, read_shares, write_labels
from training.learning.checkpoint import learn_on
from training.learning.kinds import FitRequest
from training.networks.face import FaceDetectorNet

pytestmark = [LONG_RUN, pytest.mark.deep]

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "training" / "recipes" / "face-detector.toml"


def write_faces(folder: Path) -> None:
    """Draw faces, a light ellipse with five dark spots each, on noise, with their labels."""
    random = np.random.default_rng(3)
    pictures = []
    for number in range(24):
        image = random.integers(0, 120, (120, 160, 3), dtype=np.uint8)
        side = float(random.uniform(40, 90))
        corner = random.uniform((0, 0), (160 - side, 120 - side))
        points = TEMPLATE * side + corner
        box = Box(
            *(TEMPLATE_BOX.x * side + corner[0], TEMPLATE_BOX.y * side + corner[1]),
            *(TEMPLATE_BOX.width * side, TEMPLATE_BOX.height * side),
        )
        center = tuple(int(value) for value in box.center)
        cv2.ellipse(
            image, center, (int(box.width / 2), int(box.height / 2)), 0, 0, 360, (150, 180, 220), -1
        )
        for x, y in points:
            cv2.circle(image, (int(x), int(y)), max(int(side / 20), 1), (20, 20, 20), -1)
        name = f"drawn/{number:03d}.png"
        (folder / "drawn").mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), image)
        face = LabelledFace(box, tuple((float(x), float(y)) for x, y in points))
        pictures.append(LabelledPicture(name, "valid" if number % 4 == 0 else "train", (face,)))
    write_labels(folder, pictures)


@dataclass(frozen=True, slots=True)
class Run:
    folder: Path
    data: Path
    printed: str

    @property
    def card(self) -> Path:
        return self.folder / "face-detector.json"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("detector")
    write_faces(folder)
    out = folder / "run"
    done = training_here(
        *(
            "fit",
            "--recipe",
            RECIPE,
            "--data",
            folder,
            "--limit",
            "small",
            "--out",
            out,
            "--threads",
            "1",
        ),
        *("--cache", folder / "cache"),
    )
    assert done.returncode == 0, done.stderr
    return Run(out, folder, done.stdout)


def test_the_face_detector_loads_the_model_and_answers_in_the_picture(run: Run) -> None:
    model = load_model(run.card, kind="face-detector")
    assert {output.name for output in model.card.outputs} == {
        f"{kind}_{stride}" for kind in ("score", "box", "landmarks") for stride in (8, 16, 32)
    }
    assert model.path.stat().st_size < 650_000
    assert model.card.training.teacher is not None
    assert set(model.card.metrics) == {"valid", "valid, float"}
    faces = FaceDetector(model, score_threshold=0.001, max_faces=3).detect(smiling())
    assert all(len(face.landmarks) == 5 and face.box.width > 0 for face in faces)


def held_out_name() -> str:
    shares = read_shares(RECIPE)["portraits"]
    return next(name for number in range(100) if shares.part(name := f"{number}.png") == "test")


def test_labels_that_would_learn_from_held_out_pictures_are_refused(tmp_path: Path) -> None:
    write_labels(tmp_path, [LabelledPicture(f"portraits/{held_out_name()}", "train", ())])
    with pytest.raises(
        DataError, match=r"portraits/\d+\.png is labelled for train, but .* holds it out"
    ):
        plan_detector(FitRequest(RECIPE, tmp_path, None, tmp_path / "run", tmp_path / "cache"))


def test_a_start_that_has_nothing_in_common_is_refused() -> None:
    with pytest.raises(RecipeError, match="no weight in common"):
        learn_on(FaceDetectorNet(), {"other": torch.zeros(3)})


def test_weights_that_fit_are_taken_over_and_the_others_stay() -> None:
    network = FaceDetectorNet()
    before = {name: weight.clone() for name, weight in network.state_dict().items()}
    first = "stem.0.weight"
    other = "heads.0.score.bias"
    learn_on(network, {first: torch.ones_like(before[first]), other: torch.zeros(7)})
    after = network.state_dict()
    assert torch.equal(after[first], torch.ones_like(before[first]))
    assert torch.equal(after[other], before[other])
