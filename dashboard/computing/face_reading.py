"""How often the classifier in use reads each state rightly, by its card."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from dashboard.fleet.known import Sites
from edge_agent.core.expression import EMOTIONS, Emotion
from edge_agent.store.read.reader import models_in_use
from edge_agent.vision.models.card import ModelCard, known_cards

if TYPE_CHECKING:  # loads SciPy
    from dashboard.analysis.checks import FaceReading
    from dashboard.statistics.period import Recall

_SPLIT = "PublicTest, FER+ majority, {emotion}"


def face_reading(database: Path, models: Iterable[str]) -> FaceReading | None:
    """Return what the card of the expression model used last says; ``None`` without a card.

    Args:
        database: the timeline, which knows the model by its SHA-256.
        models: names or paths of the configured models.

    Raises:
        StoreError: the database cannot be read.
    """
    from dashboard.analysis.checks import FaceReading

    used = [one.sha256 for one in models_in_use(database) if one.kind == "expression"]
    if not used:
        return None
    text = known_cards(models).get(used[0])
    if text is None:
        return None
    card = ModelCard.model_validate_json(text)
    recalls = {emotion: _recall(card, emotion) for emotion in EMOTIONS}
    known = {emotion: recall for emotion, recall in recalls.items() if recall is not None}
    return FaceReading(f"{card.name} {card.version}", known)


def face_reading_of(sites: Sites, models: Iterable[str]) -> FaceReading | None:
    """Return the same of several sites; ``None`` where they do not all use the same model.

    Raises:
        StoreError: a database cannot be read.
    """
    configured = tuple(models)
    every = [face_reading(database, configured) for _, database in sites]
    return every[0] if all(one == every[0] for one in every) else None


def _recall(card: ModelCard, emotion: Emotion) -> Recall | None:
    from dashboard.statistics.period import Recall

    figures = card.metrics.get(_SPLIT.format(emotion=emotion.value), {})
    if not {"recall", "n"} <= figures.keys() or figures["n"] < 1:
        return None
    return Recall(float(figures["recall"]), int(figures["n"]))
