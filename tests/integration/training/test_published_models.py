"""The shipped expression models: pages agree with cards, and figures can be measured again.

The figures are measured on a sample of FER2013's PublicTest, which is not part of the project: it
is drawn from ``../shared/data`` beside the repository where that exists, and the test says so where
it does not.
"""

import csv
import lzma
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest

pytest.importorskip("sklearn", reason="the training extra is not installed")

from edge_agent.vision.models.card import read_card, shipped_models
from edge_agent.vision.models.model import load_model
from training.data.datasets import Faces, checksum_fraction, load_faces
from training.report.calibration import probabilities
from training.report.evaluate import answers_by_protocol, evaluate_file, run_model
from training.report.publish import page_text

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "models"
DATA = ROOT.parent / "shared" / "data" / "fer2013" / "fer2013.csv.xz"
VOTES = DATA.with_name("fer2013new.csv")
NEEDS_DATA = pytest.mark.skipif(
    not (DATA.exists() and VOTES.exists()),
    reason=f"no FER2013 with its votes in {DATA.parent}: nothing to measure on",
)
SAMPLE = 1000
LEAST_P = 0.001
"""A model as good as its card says gives so unlikely a sample once in a thousand: about four points
off.
"""

CARDS = [path for path in shipped_models().values() if read_card(path).kind == "expression"]
every_model = pytest.mark.parametrize("path", CARDS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Faces:
    """SAMPLE pictures of PublicTest that have votes, those with the lowest checksums.

    The rows of Training are passed over unparsed: that takes four seconds in place of twelve.
    """
    folder = tmp_path_factory.mktemp("sample")
    with lzma.open(DATA) as file:
        lines = [
            file.readline(),
            *(line for line in file if line.rstrip().endswith(b",PublicTest")),
        ]
    (folder / "faces.csv").write_bytes(b"".join(lines))
    votes = VOTES.read_bytes().splitlines(keepends=True)
    rows = [votes[0], *(line for line in votes if line.startswith(b"PublicTest,"))]
    (folder / "votes.csv").write_bytes(b"".join(rows))
    faces = load_faces(folder / "faces.csv", folder / "votes.csv")
    faces = faces.take(np.flatnonzero(faces.votes.any(axis=1)))
    return faces.take(np.argsort(checksum_fraction(faces.pictures), kind="stable")[:SAMPLE])


@NEEDS_DATA
@every_model
@pytest.mark.parametrize("protocol", ["ferplus", "fer2013"])
def test_a_model_is_as_often_right_as_its_card_says(
    path: Path, protocol: str, sample: Faces
) -> None:
    promised = read_card(path).metrics["PublicTest"][f"{protocol}_accuracy"]
    found = evaluate_file(path.with_suffix(".tflite"), sample).by_protocol[protocol]

    right = round(found.accuracy * found.n)
    assert found.n > 0.8 * SAMPLE
    assert binomtest(right, found.n, promised).pvalue > LEAST_P, (
        f"{right} of {found.n} right, the card says {promised}"
    )


@NEEDS_DATA
@every_model
def test_a_model_is_as_sure_as_it_is_right(path: Path, sample: Faces) -> None:
    model = load_model(path, kind="expression")
    said = answers_by_protocol(run_model(model, sample.pictures), sample)["ferplus"]
    assert model.card.temperature is not None
    sure = probabilities(said.logits, model.card.temperature).max(axis=1)

    # Bernoulli trials with those very probabilities: mean and variance of the number that are
    # right.
    right = (said.predicted == said.truth).sum()
    expected = sure.sum()
    deviation = np.sqrt((sure * (1 - sure)).sum())
    assert abs(right - expected) < 3.3 * deviation, (
        f"{right} right, the probabilities promise {expected:.1f}"
    )


@every_model
def test_every_model_has_a_page_that_shows_the_figures_of_its_card(path: Path) -> None:
    page = PAGES / f"{path.stem}.md"
    cure = (
        "write it with: python -m training report "
        f"{path.with_suffix('.tflite').relative_to(ROOT)} --data … --votes …"
    )
    assert page.exists(), f"{page} is missing; {cure}"
    assert page.read_text(encoding="utf-8") == page_text(read_card(path)), (
        f"{page} is not that of the card; {cure}"
    )


@every_model
def test_the_figures_beside_a_page_are_small_pictures_and_tables_of_the_same_model(
    path: Path,
) -> None:
    folder = PAGES / path.stem
    card = read_card(path)
    text = (PAGES / f"{path.stem}.md").read_text(encoding="utf-8")

    for picture in sorted(folder.glob("*.png")):
        assert f"({path.stem}/{picture.name})" in text
        assert picture.stat().st_size < 60_000
        with Image.open(picture) as opened:
            opened.load()
    for protocol in ("ferplus", "fer2013"):
        assert confusion_accuracy(folder / f"confusion-{protocol}.csv") == pytest.approx(
            card.metrics["PublicTest"][f"{protocol}_accuracy"], abs=5e-5
        )


@every_model
def test_the_threshold_and_the_temperature_come_with_what_they_were_checked_on(path: Path) -> None:
    card = read_card(path)

    assert {
        "PublicTest, half A",
        "PublicTest, half B",
        "PublicTest, answered",
    } <= card.metrics.keys()
    assert card.metrics["PublicTest, half B"]["calibration_error"] < 0.06


@every_model
def test_the_card_has_the_confusion_matrix_and_the_reliability_of_the_figures(path: Path) -> None:
    metrics = read_card(path).metrics
    folder = PAGES / path.stem
    name = "PublicTest, FER+ majority"
    with (folder / "confusion-ferplus.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            label = row.pop("is / said")
            assert metrics[f"{name}, {label}, read as"] == {key: int(n) for key, n in row.items()}
    with (folder / "reliability-ferplus.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["n"] != "0":
                known = metrics[
                    f"{name}, probability {float(row['lower']):.2f} to {float(row['upper']):.2f}"
                ]
                assert known == {key: float(row[key]) for key in ("n", "confidence", "accuracy")}


def confusion_accuracy(path: Path) -> float:
    """Share of the counts that lie on the diagonal."""
    with path.open(encoding="utf-8", newline="") as file:
        counts = np.array([[int(cell) for cell in row[1:]] for row in list(csv.reader(file))[1:]])
    return float(np.trace(counts) / counts.sum())
