"""The cards of the models that this appliance knows, by the hash of their files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import ModelCard, find_model, read_card, shipped_models


def known_cards(configured: Iterable[str] = ()) -> dict[str, str]:
    """Return SHA-256 of the file → text of the card, for shipped and configured models.

    A card that cannot be read is left out: an export of the past must not fail because of a model
    of today.
    """
    return {
        card.sha256: card.to_json()
        for path in _paths(configured)
        if (card := _card(path)) is not None
    }


def _paths(configured: Iterable[str]) -> list[Path]:
    paths = list(shipped_models().values())
    for name in configured:
        try:
            paths.append(find_model(name))
        except ModelError:
            continue
    return paths


def _card(path: Path) -> ModelCard | None:
    try:
        return read_card(path)
    except ModelError:
        return None
