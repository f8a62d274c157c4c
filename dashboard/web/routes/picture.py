"""The page that reads single pictures, and the API behind it.

Pictures are kept nowhere: not on disk, not in the log.
"""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from dashboard.accounts.roles import Permission
from dashboard.languages.current import gettext
from dashboard.languages.names import MOVEMENT_NAMES
from dashboard.web.errors import may_refuse
from dashboard.web.guards.permissions import needs
from dashboard.web.rendering import DEVICE, NavigationEntry, render
from dashboard.web.schemas import ApiModel
from dashboard.web.services import ServicesDep
from edge_agent.core.expression import Emotion, RejectReason
from edge_agent.core.pictures import MAX_BYTES, MAX_PIXELS
from edge_agent.core.texts import N_

router = APIRouter(tags=["picture"], dependencies=[needs(Permission.RUN)])
NAVIGATION = NavigationEntry(
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
"""Media types of the formats that are read."""
_FILE = {"schema": {"type": "string", "format": "binary"}}


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
        "another network; null where the head is turned away"
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


@router.post(
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


@router.get("/picture", include_in_schema=False)
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
