"""``training report``: threshold, card, page and figures, the same every time."""

from __future__ import annotations

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_agent.vision.models.model import load_model, read_card
from tests.support.vision.portraits import smiling
from tests.support.vision.stripes import joined, stripe_faces, stripe_model
from training.data.apparent import Coding
from training.data.photographs import LabelledPhotographs
from training.data.readings import AgreedPhotographs
from training.errors import DataError
from training.report.calibration import in_half_a
from training.report.chain import ChainAnswers
from training.report.measure import measure
from training.report.publish import calibrate_card, group_metrics, page_text, write_report

FACES = joined(stripe_faces(20, usage="Training", seed=2), stripe_faces(70))


KEPT = {
    "held-back": {"ferplus_accuracy": 0.5},
    "PublicTest, float": {"ferplus_accuracy": 0.81, "fer2013_accuracy": 0.8},
}


def portraits_read(folder: Path) -> tuple[AgreedPhotographs, LabelledPhotographs]:
    """Ten portraits, each of the five common categories in half A and in half B."""
    half_a = frozenset(f"{number}.png" for number in range(5))
    labels = {f"{number}.png": number % 5 for number in range(10)}
    with zipfile.ZipFile(folder / "photos.zip", "w") as archive:
        for number, file in enumerate(labels):
            picture = cv2.convertScaleAbs(smiling(), alpha=1 - number / 40)
            archive.writestr(file, cv2.imencode(".png", picture)[1].tobytes())
    agreement = AgreedPhotographs(labels, frozenset(labels), half_a, frozenset())
    return agreement, LabelledPhotographs(folder / "photos.zip", agreement=agreement)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_card_page_and_figures_are_written_and_agree(tmp_path: Path) -> None:
    model = stripe_model(tmp_path, metrics=KEPT)

    page = write_report(model, FACES, tmp_path / "pages")

    card = read_card(tmp_path / "tiny.json")
    assert page == tmp_path / "pages" / "tiny.md"
    assert page.read_text(encoding="utf-8") == page_text(card)
    assert card.metrics["PublicTest"]["ferplus_accuracy"] == pytest.approx(0.8)
    rows = [name for name in card.metrics if name.endswith(", read as")]
    assert sum(sum(card.metrics[name].values()) for name in rows) == 70
    said = [one for name, one in card.metrics.items() if ", probability 0." in name]
    assert sum(one["n"] for one in said) == 70
    assert sum(one["n"] * one["accuracy"] for one in said) == pytest.approx(56, abs=0.1)
    assert "| **accuracy, int8** | **80.00 %** | **80.00 %** |" in page_text(card)
    drawn = sorted(path.name for path in (tmp_path / "pages" / "tiny").glob("*.png"))
    assert drawn == [
        "confusion-fer2013.png",
        "confusion-ferplus.png",
        "reliability.png",
        "risk-coverage.png",
    ]
    for name in drawn:
        assert f"](tiny/{name})" in page_text(card)
        path = tmp_path / "pages" / "tiny" / name
        assert path.stat().st_size < 60_000
        with Image.open(path) as picture:
            picture.load()


def test_card_temperature_is_fitted_on_the_pictures_of_half_a_only(tmp_path: Path) -> None:
    model = load_model(stripe_model(tmp_path).with_suffix(".json"), kind="expression")
    judged = FACES.of_usage("PublicTest")

    card = calibrate_card(model, FACES)

    first = calibrate_card(model, judged.take(in_half_a(judged.pictures)))
    assert (card.temperature, card.uncertain_below) == (first.temperature, first.uncertain_below)
    assert card.temperature != model.card.temperature
    before, after = (measure(model, judged, "PublicTest", card=one) for one in (model.card, card))
    assert after.calibration["ferplus"].error < before.calibration["ferplus"].error
    assert after.confidence is not None
    assert after.confidence.halves["A"].n + after.confidence.halves["B"].n == 70


def test_the_same_file_and_faces_give_the_same_bytes(tmp_path: Path) -> None:
    model = stripe_model(tmp_path)
    write_report(model, FACES, tmp_path / "pages")
    first = files(tmp_path)

    write_report(model, FACES, tmp_path / "pages")

    assert files(tmp_path) == first


def test_report_readings_give_card_and_page_a_fitted_prior(tmp_path: Path) -> None:
    shares = [0.3, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05, 0.1]
    model = stripe_model(tmp_path, label_shares=shares)
    agreement, photographs = portraits_read(tmp_path)

    page = write_report(
        model, FACES, tmp_path / "pages", photographs=photographs, agreement=agreement
    )

    card = read_card(tmp_path / "tiny.json")
    assert card.fitted_prior is not None
    for prior in ("data", "fitted"):
        figures = card.metrics[f"photographs, half B, all three agree, {prior}"]
        assert (figures["n"], figures["found"]) == (5, 5), "half B alone judges"
    before, after = (card.metrics[name] for name in ("PublicTest", "PublicTest, fitted prior"))
    assert after["ferplus_n"] == before["ferplus_n"]
    assert f"below **{card.fitted_prior.uncertain_below}**" in page.read_text(encoding="utf-8")
    write_report(model, FACES, tmp_path / "pages")
    assert read_card(tmp_path / "tiny.json") == card, "without photographs it stays"


def test_report_groups_give_card_and_page_the_differences(tmp_path: Path) -> None:
    # Neutral faces: of ten women five are read rightly, of ten men eight.
    files = [f"{number}.jpg" for number in range(20)]
    said = [0] * 5 + [4] * 5 + [0] * 8 + [4] * 2
    answers = ChainAnswers(np.zeros(20, int), np.eye(8)[said], np.ones(20, bool))
    agreement = AgreedPhotographs(dict.fromkeys(files, 0), frozenset(), frozenset(), frozenset())
    people = {file: "woman" if number < 10 else "man" for number, file in enumerate(files)}
    coding = Coding({"sex": people, "skin": {}}, {"sex": 1.0, "skin": None}, 20)

    metrics = group_metrics(answers, files, agreement, coding, "fitted")

    split = "photographs, half B, women − men, fitted"
    counts = (metrics[split][name] for name in ("first", "second", "categories"))
    assert tuple(counts) == (10, 10, 1)
    assert metrics[split]["neutral"] == pytest.approx(-0.3)
    assert metrics[split]["neutral, low"] < -0.5 < 0 < metrics[split]["neutral, high"]
    page = page_text(read_card(stripe_model(tmp_path, metrics=metrics).with_suffix(".json")))
    row = "| women − men, half B, the fitted prior | 10; 10 | 1 | −30.0 ("
    assert row in page
    assert page.count("| 0; 0 | 0 | – | – | – |") == 2, "skin is told, and cannot be compared"


def test_without_votes_nothing_is_written(tmp_path: Path) -> None:
    model = stripe_model(tmp_path)
    before = files(tmp_path)

    with pytest.raises(
        DataError, match="no picture in half A of PublicTest has a majority of votes; give the FER"
    ):
        write_report(model, stripe_faces(60, voted=False), tmp_path / "pages")

    assert files(tmp_path) == before


def test_the_energy_is_an_estimate_from_time_and_the_declared_power(tmp_path: Path) -> None:
    training = {"recipe": "r.toml", "seed": 1, "epochs": 2, "data": [], "date": "2026-01-01"}
    spent = training | {
        "hours": 2.0,
        "teacher_hours": 10.0,
        "watts": 50.0,
        "teacher": "two larger networks",
    }

    text = page_text(read_card(stripe_model(tmp_path, training=spent).with_suffix(".json")))

    assert "| energy, estimated | 0.60 kWh (12.0 h × 50 W; not metered) |" in text
    assert "| teachers | two larger networks |" in text
