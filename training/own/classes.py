"""Classes of your own, such as *smiling* and *not smiling*: a model, and how good it is.

The filters of the shipped quick network stay as they are, and one layer is learnt on what they see
(logistic regression, every class weighed alike). A few dozen photographs a class are enough for it.

The appliance does not use such a model: its timeline, its topics and its statistics know the eight
categories, whose order is the same everywhere. So its card is of the kind ``classes``, which the
agent refuses. Any other program can run it, on faces as ``crop-faces`` cuts them.
"""

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from edge_agent.core import clock
from edge_agent.vision.align import CROP_NAME
from edge_agent.vision.models.model import load_model
from training.data.datasets import (
    EXPRESSIONS,
    FER2013,
    checksum_fraction,
    read_subfolders,
)
from training.errors import DataError
from training.expression.distillation import load_run
from training.expression.fit import pixel_input
from training.expression.recipe import ExpressionRecipe
from training.learning.kinds import PUBLISHED
from training.measuring.evaluate import run_model
from training.measuring.metrics import Figures, classification_figures
from training.models.expression_network import RegionNetwork, mean_over_regions
from training.models.quantize import write_model
from training.own.own_model import cut_out
from training.problems.copies import near_copies

log = logging.getLogger(__name__)

BASE = "expression-fast"
NAME = "own-classes"
OUTPUT = "classes"
FEWEST = 10
"""Faces that a class needs to be learnt, and ..."""
TESTED_FEWEST = 1
"""... to be judged."""
_TESTED = 0.2
_STRENGTH = 0.1  # inverse of the penalty: few faces, many features
_CALIBRATION = 400


@dataclass(frozen=True, slots=True)
class OwnClasses:
    """What came out.

    Attributes:
        card: of the model.
        cut: how the photographs became faces, in words.
        counts: class → faces.
        figures: on the faces that fitted nothing.
        usual: share of those that always naming the commonest class gets right.
        alike: faces that look nearly like another one.
    """

    card: Path
    cut: str
    counts: dict[str, int]
    figures: Figures
    usual: float
    alike: int


def own_classes(photographs: Path) -> tuple[str, ...]:
    """The names of a folder's subfolders where none is a category; empty otherwise."""
    if not photographs.is_dir():
        return ()
    names = sorted(
        path.name
        for path in photographs.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    if any(name.lower() in {*EXPRESSIONS, *FER2013} for name in names):
        return ()
    return tuple(names) if len(names) > 1 else ()


def train_classes(photographs: Path, out: Path, classes: tuple[str, ...]) -> OwnClasses:
    """Cut faces out, learn their classes, and judge the int8 model on a fifth that fitted nothing.

    Args:
        photographs: a folder with a subfolder for each class.
        out: folder for faces, model and card.
        classes: names of the subfolders.

    Raises:
        DataError: the photographs cannot be used, or a class has too few faces.
    """
    faces = out / "faces"
    cut = cut_out(photographs, faces, None, classes)
    by_file, named, unreadable, _ = read_subfolders(faces, lambda folder: folder.name)
    for path in unreadable:
        log.warning("%s: is not a picture that can be read; it is left out", path)
    pictures = np.stack(list(by_file.values()))
    labels = np.array([classes.index(name) for name in named], dtype=np.int64)
    tested = checksum_fraction(pictures) >= 1 - _TESTED
    _check_counts(classes, labels, tested)
    network, recipe = load_run(PUBLISHED / BASE)
    assert isinstance(network, RegionNetwork)
    module = _learnt(network, recipe, pictures[~tested], labels[~tested], len(classes))
    module.eval()
    card = write_model(
        module,
        pixel_input(recipe),
        {OUTPUT: classes},
        calibration=pictures[~tested][:_CALIBRATION],
        card=_card(classes, int(np.count_nonzero(~tested))),
        folder=out / "run",
    )
    model = load_model(card, kind="classes")
    answers = run_model(model, pictures[tested])[OUTPUT].argmax(axis=1)
    figures = classification_figures(labels[tested], answers, classes)
    metrics = {
        "tested": {
            "accuracy": round(figures.accuracy, 4),
            "macro_f1": round(figures.macro_f1, 4),
            "n": figures.n,
        }
    }
    card.write_text(model.card.model_copy(update={"metrics": metrics}).to_json(), "utf-8")
    counts = {name: int((labels == at).sum()) for at, name in enumerate(classes)}
    usual = np.bincount(labels[~tested], minlength=len(classes)).argmax()
    alike = len(near_copies(pictures))
    share = float((labels[tested] == usual).mean())
    return OwnClasses(card, cut, counts, figures, share, alike)


class ClassesNetwork(nn.Module):
    """The filters of an expression network below one full connection."""

    def __init__(self, network: RegionNetwork, head: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """N × 1 × H × W, normalised → the logits of the classes, N × K."""
        return (self.head(mean_over_regions(self.network.features(x))),)


def _learnt(
    network: RegionNetwork,
    recipe: ExpressionRecipe,
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
) -> ClassesNetwork:
    """Fit the layer on the faces and their mirror images."""
    both = np.concatenate([pictures, pictures[:, :, ::-1]])
    with torch.no_grad():
        shown = recipe.as_input(torch.from_numpy(both).unsqueeze(1).float() / 255)
        seen = mean_over_regions(network.features(shown)).numpy().astype(np.float64)
    mean, deviation = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=2000)
    fitted.fit((seen - mean) / deviation, np.tile(labels, 2))
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
    head = nn.Linear(seen.shape[1], classes)
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(weight / deviation))
        head.bias.copy_(torch.from_numpy(bias - weight @ (mean / deviation)))
    return ClassesNetwork(network, head)


def _check_counts(
    classes: tuple[str, ...], labels: NDArray[np.int64], tested: NDArray[np.bool_]
) -> None:
    for at, name in enumerate(classes):
        learnt, judged = ((labels == at) & ~tested).sum(), ((labels == at) & tested).sum()
        if learnt < FEWEST or judged < TESTED_FEWEST:
            raise DataError(
                f"class {name!r} has {learnt} faces to learn from and {judged} to judge by; at "
                f"least {FEWEST} and {TESTED_FEWEST} are needed. Add photographs of it (all begins "
                "anew in another --out)"
            )


def _card(classes: tuple[str, ...], faces: int) -> dict[str, object]:
    key = hashlib.sha256("\n".join(classes).encode()).hexdigest()[:8]
    return {
        "name": f"{NAME}-{key}",
        "version": "1.0.0",
        "kind": "classes",
        "license": "that of your pictures, and Apache-2.0; learnt on from FER2013, which was "
        "published for research",
        "description": f"Tells {', '.join(classes)} apart, of one aligned grey face.",
        "temperature": 1.0,
        "crop": CROP_NAME,
        "training": {
            "recipe": "none: one layer on the filters of the base",
            "seed": 0,
            "epochs": 0,
            "data": (f"{faces} faces of your own", f"weights of {BASE}"),
            "date": clock.utc_now().date().isoformat(),
        },
        "metrics": {},
        "limits": (
            "Classes of somebody's own: the appliance cannot use it.",
            "Its probabilities are not calibrated.",
        ),
    }
