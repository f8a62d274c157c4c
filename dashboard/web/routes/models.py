"""The models in use and their cards: training, figures of each split, limits."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field

from dashboard.accounts.roles import Permission
from dashboard.web.guards.permissions import needs
from dashboard.web.pages import NavigationEntry
from dashboard.web.rendering import render
from dashboard.web.schemas import ModelInUse
from dashboard.web.services import OptionsDep
from dashboard.web.settings import DashboardOptions
from edge_agent.store.read.overview import models_in_use
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.models.known_cards import known_cards

router = APIRouter(tags=["models"], dependencies=[needs(Permission.SEE)])
NAVIGATION = NavigationEntry(
    title="Models",
    path="/models",
    position=65,
    icon="M12 3l8 4.5v9L12 21l-8-4.5v-9zM4 7.5l8 4.5 8-4.5M12 12v9",
)


class ModelWithCard(ModelInUse):
    """A model file that the agent uses, with what its makers say of it."""

    card: ModelCard | None = Field(
        description="The card beside the file; null where no card on this device has its SHA-256"
    )


@router.get("/models", include_in_schema=False)
def models_page(request: Request, options: OptionsDep) -> Response:
    """Show each model in use with its card."""
    return render(request, "models.html", models=_models(options))


@router.get("/api/v1/models")
def get_models(options: OptionsDep) -> list[ModelWithCard]:
    """Return the models in use with their cards: training, figures of each split, limits."""
    return _models(options)


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
