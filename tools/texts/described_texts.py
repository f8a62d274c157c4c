"""Texts of the catalogue that stand in data: keys of the configuration, the models' cards, and
members of registers.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from dashboard.analysis.query import AnalysisQuery, Correction, Design, Outcome, Sample, StateBy
from dashboard.languages.names import OF_REGISTERS
from edge_agent.config.keys import all_keys
from edge_agent.vision.models.card import ModelCard, read_card, shipped_models

CONFIGURATION = "edge_agent/config"
QUERY = "dashboard/analysis/query.py"
NAMES = "dashboard/languages/names.py"
CARDS = "edge_agent/vision/models"


def described_texts() -> Iterator[tuple[str, str]]:
    """Yield where each text stands, and the text."""
    for key in all_keys():
        yield CONFIGURATION, key.description
        if key.label:
            yield CONFIGURATION, key.label
    for text in sorted(OF_REGISTERS):
        yield NAMES, text
    choices = chain(AnalysisQuery.model_fields, Correction, Design, Outcome, Sample, StateBy)
    for text in sorted({choice.replace("_", " ") for choice in choices}):
        yield QUERY, text
    for path in shipped_models().values():
        for text in _texts_of(read_card(path)):
            yield f"{CARDS}/{path.name}", text


def _texts_of(card: ModelCard) -> Iterator[str]:
    """Yield what a page shows of a card in words; names of data and of splits stay as they are."""
    yield card.description
    yield from card.limits
    yield from card.training.data
    if card.training.teacher and " " in card.training.teacher:
        yield card.training.teacher
    yield card.kind.replace("-", " ")
    for values in card.metrics.values():
        for name in values:
            yield name.replace("_", " ")
