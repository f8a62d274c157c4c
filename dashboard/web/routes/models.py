"""The models on this device and their cards: which run, how often they are right, their limits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.charts.chart import Chart
from dashboard.charts.model_figures import (
    CategoryRow,
    RobustnessRow,
    category_rows,
    reliability_chart,
    robustness_rows,
)
from dashboard.web.delivery.kept_pages import keep_page
from dashboard.web.guards.permissions import needs
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.schemas import ApiModel, EpochMs, ModelInUse
from dashboard.web.services import OptionsDep
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import ModelError
from edge_agent.core.texts import N_
from edge_agent.store.read.overview import models_in_use
from edge_agent.vision.models.card import ModelCard, find_model, read_card, shipped_models
from edge_agent.vision.models.known_cards import known_cards

router = APIRouter(tags=["models"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    title=N_("Models"),
    path="/models",
    position=65,
    icon="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    of="appliance",
)


class ModelWithCard(ModelInUse):
    """A model file that the agent uses, with what its makers say of it."""

    card: ModelCard | None = Field(
        description="The card beside the file; null where no card on this device has its SHA-256"
    )


class ModelOnDevice(ApiModel):
    """A model that lies on this device: one that comes with the program, or a configured one."""

    card: ModelCard
    shipped: bool = Field(description="It comes with the program")
    configured: bool = Field(description="The configuration names it")
    bytes: int | None = Field(description="Size of its file; null where that is missing")
    since: EpochMs | None = Field(
        description="Since when the agent uses it; null where it does not, or has not run yet"
    )


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model as the page shows it: with what can be drawn of its card."""

    model: ModelOnDevice
    categories: tuple[CategoryRow, ...]
    robustness: tuple[RobustnessRow, ...]
    reliability: Chart | None


@router.get("/models", include_in_schema=False)
def models_page(request: Request, options: OptionsDep) -> Response:
    """Show which models run, and each model on this device with its card."""
    used = _models(options)
    models, problems = _on_device(options)
    shown = [
        ShownModel(
            one,
            category_rows(one.card),
            robustness_rows(one.card),
            reliability_chart(one.card),
        )
        for one in models
    ]
    without_card = [one for one in used if one.card is None]
    page = render(
        request,
        "models.html",
        now_ms=None,
        used=used,
        shown=shown,
        without_card=without_card,
        problems=problems,
    )
    return keep_page(request, page)


@router.get("/api/v1/models", operation_id="list_models_in_use")
def get_models(options: OptionsDep) -> list[ModelWithCard]:
    """Return the models in use with their cards: training, figures of each split, limits."""
    return _models(options)


@router.get("/api/v1/models/cards", operation_id="list_model_cards")
def get_cards(options: OptionsDep) -> list[ModelOnDevice]:
    """Return all models on this device, those in use first, with their cards."""
    return _on_device(options)[0]


def _models(options: DashboardOptions) -> list[ModelWithCard]:
    # by the hash and not by the name: a card of another version would speak of other weights
    cards = known_cards(options.models)
    return [
        ModelWithCard.model_validate(
            {
                name: getattr(used, name)
                for name in ("kind", "name", "version", "sha256", "since_ms")
            }
            | {"card": _card(cards.get(used.sha256))}
        )
        for used in models_in_use(options.database)
    ]


def _card(text: str | None) -> ModelCard | None:
    if text is None:
        return None
    return ModelCard.model_validate_json(text)


def _on_device(options: DashboardOptions) -> tuple[list[ModelOnDevice], list[str]]:
    """Return the models with a card that can be read, and what is wrong with the others."""
    shipped = set(shipped_models().values())
    problems: list[str] = []
    configured: set[Path] = set()
    for name in options.models:
        if name.endswith(".onnx"):
            continue  # a detector of OpenCV, which has no card
        try:
            configured.add(find_model(name))
        except ModelError as error:
            problems.append(str(error))
    since = {one.sha256: one.since_ms for one in models_in_use(options.database)}
    models = []
    for path in sorted(shipped | configured):
        try:
            card = read_card(path)
        except ModelError as error:
            problems.append(str(error))
            continue
        models.append(
            ModelOnDevice(
                card=card,
                shipped=path in shipped,
                configured=path in configured,
                bytes=_size(path.parent / card.file),
                since=since.get(card.sha256),
            )
        )
    return sorted(models, key=_place), problems


def _place(model: ModelOnDevice) -> tuple[bool, bool, bool, str]:
    """Order: what runs, what is configured, expressions before the others."""
    kind = model.card.kind
    return (model.since is None, not model.configured, kind != "expression", model.card.name)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None
