"""The models on this device with their cards, and the page that reads single pictures.

Pictures are kept nowhere: not on disk, not in the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.charts.chart import Chart
from dashboard.charts.models import (
    CategoryRow,
    RobustnessRow,
    category_rows,
    reliability_chart,
    robustness_rows,
)
from dashboard.languages.current import gettext
from dashboard.languages.names import MOVEMENT_NAMES, said_of
from dashboard.web.delivery import keep_page
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import ApiModel, ModelInUse, ShownMs
from dashboard.web.services import OptionsDep, ServicesDep
from dashboard.web.settings import DashboardOptions
from edge_agent.core.errors import ModelError
from edge_agent.core.expression import Emotion, RejectReason
from edge_agent.core.pictures import MAX_BYTES, MAX_PIXELS
from edge_agent.core.texts import N_
from edge_agent.store.read.reader import models_in_use
from edge_agent.vision.models.card import (
    ModelCard,
    find_model,
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
PICTURE_NAVIGATION = NavigationEntry(
    title=N_("Picture"),
    path="/picture",
    position=76,
    icon="M4 7h3l1.5-2.5h7L17 7h3v12H4zM12 16.5a3.5 3.5 0 100-7 3.5 3.5 0 000 7z",
    of="appliance",
    group=DEVICE,
)
FLAWS = {
    RejectReason.CUT_OFF: N_("cut off by the edge of the picture"),
    RejectReason.TOO_SMALL: N_("too small to be read"),
    RejectReason.TURNED_AWAY: N_("turned away from the camera"),
    RejectReason.TOO_DARK: N_("too dark"),
    RejectReason.TOO_BRIGHT: N_("too bright"),
    RejectReason.BLURRED: N_("blurred"),
    RejectReason.COVERED: N_("mouth or eyes are covered"),
}
TYPES = (
    "image/jpeg",
    "image/png",
    "image/webp",
    "image/bmp",
    "image/tiff",
    "image/gif",
    "image/x-portable-pixmap",
    "image/x-portable-graymap",
)
"""What browsers call the formats that are read."""
_FILE = {"schema": {"type": "string", "format": "binary"}}


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


@dataclass(frozen=True, slots=True)
class ShownModel:
    """A model as the page shows it, with the charts of its card."""

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
            one, category_rows(one.card), robustness_rows(one.card), reliability_chart(one.card)
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
            ModelInUse.model_validate(used).model_dump() | {"card": _card(cards.get(used.sha256))}
        )
        for used in models_in_use(options.database)
    ]


def _card(text: str | None) -> ModelCard | None:
    if text is None:
        return None
    return ModelCard.model_validate_json(text)


def _on_device(options: DashboardOptions) -> tuple[list[ModelOnDevice], list[str]]:
    """Return the models with a readable card, and the errors of the others."""
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
    since = {one.sha256: one.since_ms for one in models_in_use(options.database)}
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
                since=since.get(card.sha256),
            )
        )
    return sorted(models, key=_place), problems


def _place(model: ModelOnDevice) -> tuple[bool, bool, bool, str]:
    """Return the sort key: models in use first, then configured ones, expressions before others."""
    kind = model.card.kind
    return (model.since is None, not model.configured, kind != "expression", model.card.name)


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


picture_router = APIRouter(tags=["picture"], dependencies=[needs(Permission.RUN)])


class Evidence(ApiModel):
    """The contribution of each face region to the logit of each category."""

    corners: list[tuple[float, float]] = Field(
        description="Corners of the region that was read, in pixels of the picture: x and y, "
        "clockwise from upper left"
    )
    parts: dict[Emotion, list[list[float]]] = Field(
        description="Category → rows from top to bottom: positive speaks for it, negative against"
    )


class PictureFace(ApiModel):
    """One face of a picture, with the fields of `affect-edge classify --json`."""

    box: tuple[float, float, float, float] = Field(
        description="x, y, width, height, pixels of the picture; may lie outside of it"
    )
    score: float = Field(description="How sure the detector is that it is a face, 0…1")
    landmarks: list[tuple[float, float]] = Field(
        description="Eyes, nose, corners of the mouth: x and y"
    )
    probabilities: dict[Emotion, float] = Field(description="Sum to 1")
    emotion: Emotion | None = Field(
        description="The most probable category; null where the face has a flaw"
    )
    uncertain: bool = Field(description="No category is probable enough")
    quality: float = Field(description="How fit the face is for reading, 0…1")
    flaw: RejectReason | None = Field(description="Why it is not fit; null: it is")
    pose: dict[str, float] | None = Field(
        description="Yaw, pitch, roll in degrees, positive to the picture's right, downward and "
        "counterclockwise; null where it was not read, as look and movements"
    )
    look: dict[str, float] | None = Field(
        description="look_x, look_y: where the eyes point in the face, −1…1, positive toward the "
        "person's left and upward"
    )
    movements: dict[str, float] | None = Field(
        description="How strongly parts of the face move, 0…1: estimates of a network taught by "
        "another network"
    )
    evidence: Evidence | None = Field(None, description="Null where the model does not tell it")


class PictureModel(ApiModel):
    """The model file that classified a picture."""

    name: str
    version: str
    sha256: str


class PictureReading(ApiModel):
    """The faces recognised in a picture, and the model used."""

    width: int = Field(description="Pixels, as the picture is meant to be seen")
    height: int
    model: PictureModel
    faces: list[PictureFace] = Field(description="The surest first")


@picture_router.get("/picture", include_in_schema=False)
def picture_page(request: Request) -> Response:
    """Show the place where pictures are dropped, pasted, chosen or taken."""
    limits = {"bytes": MAX_BYTES, "pixels": MAX_PIXELS}
    return render(
        request,
        "picture.html",
        limits=limits,
        flaws={flaw: gettext(text) for flaw, text in FLAWS.items()},
        types=TYPES,
        movements=MOVEMENT_NAMES,
    )


@picture_router.post(
    "/api/v1/picture",
    operation_id="read_picture",
    responses=may_refuse(413, 422),
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "The content of the file; any other content type is taken as well",
            "content": {"application/octet-stream": _FILE},
        }
    },
)
async def read_picture(request: Request, services: ServicesDep) -> PictureReading:
    """Read the faces of one picture (JPEG, PNG, WEBP, BMP, TIFF, GIF or PPM), and forget it.

    It is read as `affect-edge classify` does, up to 16 MiB and 13 megapixels. 422 says why it
    cannot be read. One picture is read at a time and two wait; beyond that the answer is 503, and
    `Retry-After` says when to send it again.
    """
    with services.pictures.place():
        content = await request.body()
        answer = await run_in_threadpool(services.pictures.read, content)
    return PictureReading.model_validate(answer)
