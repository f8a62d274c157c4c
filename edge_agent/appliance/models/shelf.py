"""The models that lie on an appliance: shipped, installed, and named by the configuration."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edge_agent.config import Settings
from edge_agent.core.errors import ModelError
from edge_agent.vision.models.card import find_model, read_card, shipped_models

FOLDER = "models"
"""Below the data folder: one folder a model, named by name, version and content of its card."""


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model on this appliance.

    Attributes:
        name: of its card; of a card that cannot be read that of its file.
        kind, version: of its card; ``None`` where that cannot be read, or there is none.
        used: whether the configuration names it.
        shipped: whether it comes with the program.
        path: its card, or the ONNX file of a detector without one.
        problem: why it cannot be used, a sentence; ``None``: its card can be read.
    """

    name: str
    kind: str | None
    version: str | None
    used: bool
    shipped: bool
    path: Path
    problem: str | None = None


def installed_cards(data: Path) -> list[Path]:
    """Return the cards of the installed models, by the names of their folders.

    Args:
        data: the data folder; it may be missing.
    """
    return sorted((data / FOLDER).glob("[!.]*/*.json"))


def models_on(settings: Settings, data: Path) -> list[ListedModel]:
    """Return all models that this appliance has, the shipped ones first.

    Args:
        settings: which of them are configured.
        data: the data folder.
    """
    shipped = list(shipped_models().values())
    configured = list(dict.fromkeys(_configured(settings)))
    paths = dict.fromkeys([*shipped, *installed_cards(data), *configured])
    return [_listed(path, used=path in configured, shipped=path in shipped) for path in paths]


def _configured(settings: Settings) -> Iterator[Path]:
    for name in (settings.vision.expression_model, settings.vision.detector_model):
        try:
            yield find_model(name)
        except ModelError:  # listed as a file that is not there
            yield Path(name)


def _listed(path: Path, *, used: bool, shipped: bool) -> ListedModel:
    if path.suffix == ".onnx":  # a detector of OpenCV, which has no card
        problem = None if path.exists() else f"{path}: no such file."
        return ListedModel(path.stem, "face-detector", None, used, shipped, path, problem)
    try:
        card = read_card(path)
    except ModelError as error:
        return ListedModel(path.stem, None, None, used, shipped, path, str(error))
    return ListedModel(card.name, card.kind, card.version, used, shipped, path)
