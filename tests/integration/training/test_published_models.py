"""The shipped expression models: pages agree with cards, and figures can be measured again.

The figures are measured on a sample of FER2013's PublicTest, which is not part of the project: it
is drawn from the shared data (`benchmarks/_shared.py`) where they exist, and the test says so where
they do not.
"""

import csv
import lzma
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

from benchmarks._shared import FER2013, FERPLUS
from edge_agent.vision.models.card import read_card, shipped_models
from edge_agent.vision.models.model import load_model
from tools.documents.reference import text_of
from training.data.datasets import Faces, checksum_fraction, load_faces
from training.report.calibration import probabilities
from training.report.evaluate import answers_by_protocol, run_model

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "models"
SAMPLE = 500
LEAST_P = 0.001
"""A model as good as its card says gives so unlikely a sample once in a thousand."""
CARDS = [path for path in shipped_models().values() if read_card(path).kind == "expression"]
every_model = pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """SAMPLE pictures of PublicTest that have votes, those with the lowest checksums.

    The rows of Training are passed over unparsed: that takes four seconds in place of twelve.
    """
    folder = tmp_path_factory.mktemp("sample")
    with lzma.open(FER2013) as file:
        lines = [file.readline(), *(line for line in file if line.rstrip().endswith(b"PublicTest"))]
    (folder / "faces.csv").write_bytes(b"".join(lines))
    votes = FERPLUS.read_bytes().splitlines(keepends=True)
    rows = [votes[0], *(line for line in votes if line.startswith(b"PublicTest,"))]
    (folder / "votes.csv").write_bytes(b"".join(rows))
    faces = load_faces(folder / "faces.csv", folder / "votes.csv")
    faces = faces.take(np.flatnonzero(faces.votes.any(axis=1)))
    return faces.take(np.argsort(checksum_fraction(faces.pictures), kind="stable")[:SAMPLE])


@pytest.mark.skipif(
    not (FER2013.exists() and FERPLUS.exists()),
    reason=f"no FER2013 with its votes in {FER2013.parent}: nothing to measure on",
)
@pytest.mark.deep  # half a minute of reading FER2013
@every_model
def test_a_model_is_as_often_right_and_as_sure_as_its_card_says(path: Path, sample: Faces) -> None:
    model = load_model(path, kind="expression")
    answers = answers_by_protocol(run_model(model, sample.pictures), sample)

    for protocol, said in answers.items():
        promised = model.card.metrics["PublicTest"][f"{protocol}_accuracy"]
        right = int((said.predicted == said.truth).sum())
        assert len(said.truth) > 0.8 * SAMPLE
        assert binomtest(right, len(said.truth), promised).pvalue > LEAST_P, (protocol, right)
    said = answers["ferplus"]
    assert model.card.temperature is not None
    sure = probabilities(said.logits, model.card.temperature).max(axis=1)
    # Bernoulli trials with those very probabilities: mean and variance of how many are right.
    deviation = np.sqrt((sure * (1 - sure)).sum())
    assert abs((said.predicted == said.truth).sum() - sure.sum()) < 3.3 * deviation


@every_model
def test_every_model_has_a_page_that_shows_the_figures_of_its_card(path: Path) -> None:
    page = text_of(f"docs/models/{path.stem}.md")
    accuracy = read_card(path).metrics["PublicTest"]["ferplus_accuracy"]
    assert f"**{100 * accuracy:.2f} %**" in page


@every_model
def test_figures_and_tables_beside_a_page_are_those_of_the_card(path: Path) -> None:
    folder = PAGES / path.stem
    metrics = read_card(path).metrics
    text = text_of(f"docs/models/{path.stem}.md")

    for picture in sorted(folder.glob("*.png")):
        assert f"({path.stem}/{picture.name})" in text
        assert picture.stat().st_size < 60_000
        with Image.open(picture) as opened:
            opened.load()
    for protocol in ("ferplus", "fer2013"):
        assert confusion_accuracy(folder / f"confusion-{protocol}.csv") == pytest.approx(
            metrics["PublicTest"][f"{protocol}_accuracy"], abs=5e-5
        )
    name = "PublicTest, FER+ majority"
    for row in rows_of(folder / "confusion-ferplus.csv"):
        label = row.pop("is / said")
        assert metrics[f"{name}, {label}, read as"] == {key: int(n) for key, n in row.items()}
    for row in rows_of(folder / "reliability-ferplus.csv"):
        if row["n"] != "0":
            bounds = f"{float(row['lower']):.2f} to {float(row['upper']):.2f}"
            known = metrics[f"{name}, probability {bounds}"]
            assert known == {key: float(row[key]) for key in ("n", "confidence", "accuracy")}
    assert {"PublicTest, half A", "PublicTest, answered"} <= metrics.keys()
    assert metrics["PublicTest, half B"]["calibration_error"] < 0.06


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def confusion_accuracy(path: Path) -> float:
    counts = np.array([[int(cell) for cell in list(row.values())[1:]] for row in rows_of(path)])
    return float(np.trace(counts) / counts.sum())
