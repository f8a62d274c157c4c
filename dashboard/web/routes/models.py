"""The models on this device: those in use, and the cards of all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.charts.chart import Chart
from dashboard.charts.models import (
    CategoryRow,
    RobustnessRow,
    category_rows,
    reliability_chart,
    robustness_rows,
)
from dashboard.languages.names import said_of
from dashboard.web.delivery import keep_page
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import ApiModel, ModelInUse, ShownMs
from dashboard.web.services import OptionsDep
from edge_agent.core.errors import ModelError
from edge_agent.core.texts import N_
from edge_agent.timeline.read.reader import models_in_use
from edge_agent.vision.models.card import (
    ModelCard,
    find_model,
    is_card_of,
    known_cards,
    read_card,
    shipped_models,
)

router = APIRouter(tags=["models"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    title=N_("Models"),
    path="/models",
    position=74,
    icon="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
    of="appliance",
    group=DEVICE,
)


class ModelWithCard(ModelInUse):
    """A model file that the agent uses, with its model card."""

    card: ModelCard | None = Field(
        description="The card beside the file; null where no card on this device has its SHA-256"
    )


class ModelOnDevice(ApiModel):
    """A model that lies on this device: one that comes with the program, or a configured one."""

    card: ModelCard
    shipped: bool = Field(description="It comes with the program")
    configured: bool = Field(description="The configuration names it")
    bytes: int | None = Field(description="Size of its file; null where that is missing")
    since: ShownMs | None = Field(
        description="Since when the agent uses it; null where it does not, or has not run yet"
    )


@router.get("/api/v1/models", operation_id="list_models_in_use")
def get_models(options: OptionsDep) -> list[ModelWithCard]:
    """Return the models in use with their cards: training, figures of each split, limits."""
    # by the hash and not by the name: another file of that name would speak of other weights
    cards = known_cards(options.models)
    return [
        ModelWithCard.model_validate(
            ModelInUse.model_validate(used).model_dump()
            | {"card": _card(cards.get(used.sha256), used.version)}
        )
        for used in models_in_use(options.database)
    ]


def _card(text: str | None, version: str) -> ModelCard | None:
    if text is None or not is_card_of(text, version):
        return None
    return ModelCard.model_validate_json(text)


@dataclass(frozen=True, slots=True)
class DeviceModels:
    """Models that lie on this device.

    Attributes:
        models: those with a readable card, those in use first.
        problems: the errors of the others.
    """

    models: list[ModelOnDevice]
    problems: list[str]


def _device_models(options: OptionsDep) -> DeviceModels:
    shipped = set(shipped_models().values())
    problems: list[str] = []
    configured: set[Path] = set()
    for name in options.models:
        if name.endswith(".onnx"):
            continue  # a detector of OpenCV, which has no card
        try:
            configured.add(find_model(name))
        except ModelError as error:
            problems.append(said_of(error))
    since = {(one.sha256, one.version): one.since_ms for one in models_in_use(options.database)}
    models = []
    for path in sorted(shipped | configured):
        try:
            card = read_card(path)
        except ModelError as error:
            problems.append(said_of(error))
            continue
        models.append(
            ModelOnDevice(
                card=card,
                shipped=path in shipped,
                configured=path in configured,
                bytes=_size(path.parent / card.file),
                since=since.get((card.sha256, card.version)),
            )
        )
    return DeviceModels(sorted(models, key=_place), problems)


def _place(model: ModelOnDevice) -> tuple[bool, bool, bool, str]:
    """Return the sort key: models in use first, then configured ones, expressions before others."""
    kind = model.card.kind
    return (model.since is None, not model.configured, kind != "expression", model.card.name)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


DeviceModelsDep = Annotated[DeviceModels, Depends(_device_models)]


@router.get("/api/v1/models/cards", operation_id="list_model_cards")
def get_cards(here: DeviceModelsDep) -> list[ModelOnDevice]:
    """Return all models on this device, those in use first, with their cards."""
    return here.models


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model as the page shows it, with the charts of its card."""

    model: ModelOnDevice
    categories: tuple[CategoryRow, ...]
    robustness: tuple[RobustnessRow, ...]
    reliability: Chart | None


@router.get("/models", include_in_schema=False)
def models_page(
    request: Request,
    used: Annotated[list[ModelWithCard], Depends(get_models)],
    here: DeviceModelsDep,
) -> Response:
    """Show which models run, and each model on this device with its card."""
    shown = [
        ShownModel(
            one, category_rows(one.card), robustness_rows(one.card), reliability_chart(one.card)
        )
        for one in here.models
    ]
    page = render(
        request,
        "models.html",
        now_ms=None,
        used=used,
        shown=shown,
        without_card=[one for one in used if one.card is None],
        problems=here.problems,
    )
    return keep_page(request, page)
