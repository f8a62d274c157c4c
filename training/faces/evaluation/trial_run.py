"""A whole trial of a detector file: on every archive of which the recipe holds photographs out."""

from __future__ import annotations

import logging
from pathlib import Path

from edge_agent.config.vision import VisionSettings
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.faces.yunet import YuNet
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.recognizer import open_recognizer
from training.faces.evaluation.archive import Archive
from training.faces.evaluation.covered import Reading, read_covered
from training.faces.evaluation.trial import HEIGHT, WIDTH, Finding, Placing, Trial
from training.faces.evaluation.trial_report import Report
from training.faces.labelling.split import read_shares

log = logging.getLogger(__name__)

SURE = 0.7
PERHAPS = 0.5
PORTRAITS = "portraits"
"""The archive whose folders say who wears a mask."""
MIN_FACE = 24.0
"""Smaller faces are left out, as the agent does by default; longer side, pixels of the frame."""


def run_trial(
    model: str | Path,
    faces: Path,
    yunet: Path,
    recipe: Path,
    *,
    score: float | None = None,
    limit: int | None = None,
) -> Report:
    """Evaluate a detector beside YuNet.

    Args:
        model: name of a shipped model, or path of a card or TFLite file.
        faces: folder with the archives.
        yunet: ONNX file of YuNet.
        recipe: says which photographs are held out.
        score: least score of a face; the card's if left out.
        limit: most photographs of an archive.

    Raises:
        ModelError: the detector's or YuNet's file cannot be used.
        RecipeError: the recipe does not say what is held out.
        DataError: an archive is missing or cannot be read.
    """
    archives = {
        name: Archive.find(faces, name, shares)
        for name, shares in read_shares(recipe).items()
        if shares.test
    }
    detector = FaceDetector(
        load_model(find_model(model), kind="face-detector"), score, MIN_FACE, max_faces=1000
    )
    large = YuNet(yunet, PERHAPS, max_faces=1000, size=(WIDTH, HEIGHT))
    trial = Trial(detector, YuNet(yunet, SURE, max_faces=1000), large)
    findings: dict[str, Finding] = {}
    placings: dict[str, Placing] = {}
    for name, archive in archives.items():
        if marked := archive.marked():
            placings[name] = trial.place(archive.held_out(marked, limit), marked)
        else:
            findings[name] = trial.find(archive.held_out(limit=limit))
        log.info("%s: done", name)
    card = detector.card
    threshold = card.score_threshold if score is None else score
    covered = _read_portraits(archives.get(PORTRAITS), find_model(model), score, limit)
    name = f"{card.name} {card.version}"
    return Report(name, threshold or 0.0, findings, placings, covered)


def _read_portraits(
    portraits: Archive | None, model: Path, score: float | None, limit: int | None
) -> dict[str, Reading]:
    """Return what the whole chain reads of portraits with and without a mask."""
    if portraits is None:
        return {}
    recognizer = open_recognizer(VisionSettings(detector_model=str(model), face_score=score))
    return read_covered(recognizer, portraits.held_out(limit=limit))
