"""`train PHOTOGRAPHS`: from photographs to a model, a verdict and a page, in one command."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_agent.vision.align import EXPRESSION_CROP, Picture
from edge_agent.vision.models.model import load_model
from tests.support.vision.portraits import serious, smiling
from tests.support.vision.training_runs import LONG_RUN, ROOT, training_here

pytestmark = [LONG_RUN, pytest.mark.deep]

RECIPE = ROOT / "training" / "recipes" / "own-faces.toml"


def write_photographs(folder: Path, portrait: Picture, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    height, width = portrait.shape[:2]
    for number in range(count):
        turn = cv2.getRotationMatrix2D(
            (width / 2, height / 2), float(rng.uniform(-12, 12)), float(rng.uniform(0.8, 1.1))
        )
        image = cv2.warpAffine(portrait, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)
        light = cv2.convertScaleAbs(image, alpha=float(rng.uniform(0.6, 1.3)))
        cv2.imwrite(str(folder / f"{number:03}.jpg"), light)


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Two people, one smiling, in fewer photographs than fill a batch; one photograph of the sea,
    one torn, one in the wrong folder.
    """
    folder = tmp_path / "photographs"
    write_photographs(folder / "happy", smiling(), 20, 1)
    write_photographs(folder / "neutral", serious(), 20, 2)
    cv2.imwrite(str(folder / "neutral" / "wrong.jpg"), smiling())
    cv2.imwrite(str(folder / "neutral" / "sea.jpg"), np.full((120, 160, 3), 127, np.uint8))
    (folder / "neutral" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
    return folder


def test_photographs_become_a_model_a_verdict_and_a_page(
    tmp_path: Path, photographs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tmp_path / "own-faces.toml"
    recipe.write_text(
        RECIPE.read_text("utf-8").replace("epochs = 20", "epochs = 2"), encoding="utf-8"
    )
    words = ("train", photographs, "--out", tmp_path / "own", "--recipe", recipe, "--threads", "1")

    done = training_here(*words)

    assert done.returncode == 0, done.stderr
    verdict = re.match(
        r"(No difference can be told from|The new model is (better|worse) by [\d.]+ points: right "
        r"in [\d.]+% of) (\d+) faces that (it|the new model) never saw",
        done.stdout,
    )
    assert verdict, done.stdout
    assert 3 <= int(verdict[3]) <= 25
    assert "neutral/wrong.png: labelled neutral, both models say happiness" in done.stdout
    model = load_model(tmp_path / "own" / "run" / "own-faces.json", kind="expression")
    assert "tested" in model.card.metrics
    assert model.card.crop == EXPRESSION_CROP, "as its faces were cut out"
    page = (tmp_path / "own" / "report.html").read_text("utf-8")
    assert "1 without a face, 1 unreadable" in page
    assert page.count("data:image/png;base64,") >= 1
    assert "<td>happiness</td><td>20</td>" in page.replace("\n", "")

    with caplog.at_level("INFO"):
        again = training_here(*words)

    assert again.returncode == 0, again.stderr
    assert "the faces were cut out before" in caplog.text
    assert again.stdout == done.stdout, "nothing is learnt twice"
