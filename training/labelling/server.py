"""The page on which pictures are labelled: on this machine only."""

import socket
from dataclasses import asdict
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from fastapi import Path as Part
from fastapi.responses import JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.middleware.trustedhost import TrustedHostMiddleware

from edge_agent.core.errors import PictureError
from edge_agent.vision.stills.pictures import load_picture
from training.data.datasets import EXPRESSIONS
from training.errors import DataError
from training.labelling.agreement import pair_agreement
from training.labelling.labels import NO_FACE, SETTLED, Labels, Mark, check_name

HOST = "127.0.0.1"
PAGE = Path(__file__).parent / "page"
LONGEST = 960
"""Pixels of the longer side of a picture as it is shown."""
_POLICY = (
    "default-src 'self'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)


class Said(BaseModel):
    """What the page sends for a picture."""

    model_config = ConfigDict(extra="forbid")

    file: str = Field(max_length=4096, description="As the page got it")
    emotion: str | None = Field(max_length=40, description="null takes the label back")
    doubtful: bool = Field(False, description="The person is not sure")


Name = Annotated[str, Part(max_length=60)]


def label_app(labels: Labels) -> FastAPI:
    """Return the page and what it asks for.

    Other pages that are open in the browser can neither read nor change anything here: names of
    other hosts and requests from other sites are refused.
    """
    app = FastAPI(title="Labels", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    app.add_exception_handler(DataError, _refused)

    @app.middleware("http")
    async def guard(request: Request, call_next: Any) -> Response:
        if request.headers.get("sec-fetch-site", "none") not in {"same-origin", "none"}:
            return JSONResponse({"detail": "only the page itself may ask"}, status_code=403)
        response: Response = await call_next(request)
        response.headers["Content-Security-Policy"] = _POLICY
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/people")
    def people() -> dict[str, Any]:
        return _people(labels)

    @app.get("/people/{name}")
    def pictures(name: Name) -> dict[str, Any]:
        return _pictures(labels, name)

    @app.put("/people/{name}")
    def say(name: Name, answer: Said) -> dict[str, int]:
        labels.set(name, Mark(answer.file, answer.emotion, answer.doubtful))
        return {"merged": len(labels.merged())}

    @app.get("/agreement")
    def agreement() -> dict[str, Any]:
        return _agreement(labels)

    @app.get("/pictures/{number}")
    def picture(number: int) -> Response:
        return _picture(labels, number)

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


def open_socket(port: int) -> socket.socket:
    """Listen on this machine only.

    Args:
        port: 0 takes a free one.

    Raises:
        DataError: the port is taken.
    """
    try:
        return socket.create_server((HOST, port))
    except OSError as error:
        raise DataError(
            f"port {port}: cannot be used ({error.strerror}); name another with --port"
        ) from error


def serve(labels: Labels, listening: socket.socket) -> None:
    """Serve the page until Ctrl-C or SIGTERM."""
    config = uvicorn.Config(label_app(labels), log_level="warning", access_log=False)
    uvicorn.Server(config).run(sockets=[listening])


async def _refused(_: Request, error: Exception) -> Response:
    return JSONResponse({"detail": str(error)}, status_code=422)


def _people(labels: Labels) -> dict[str, Any]:
    return {
        "pictures": len(labels.files),
        "people": [{"name": n, "labelled": len(labels.marks_of(n))} for n in labels.people],
        "to_settle": len(labels.to_settle()),
        "merged": len(labels.merged()),
        "out": str(labels.out),
        "categories": list(EXPRESSIONS),
        "no_face": NO_FACE,
        "settled": SETTLED,
    }


def _pictures(labels: Labels, name: str) -> dict[str, Any]:
    """The pictures for a person in order; what others said only where it is to be settled."""
    order = labels.order_for(name)
    others: dict[str, dict[str, Mark]] = {}
    if name == SETTLED:
        wanted = set(labels.to_settle())
        order = [number for number in order if labels.files[number] in wanted]
        others = {one: labels.marks_of(one) for one in labels.people}
    else:
        check_name(name)
    marks = labels.marks_of(name)
    shown = []
    for number in order:
        file = labels.files[number]
        mark = marks.get(file, Mark(file, None))
        others_marks = {one: asdict(given[file]) for one, given in others.items() if file in given}
        shown.append({"number": number, **asdict(mark), "said": others_marks})
    return {"pictures": shown}


def _agreement(labels: Labels) -> dict[str, Any]:
    marks = {name: labels.marks_of(name) for name in labels.people}
    pairs = combinations(labels.people, 2)
    return {
        "pairs": [asdict(pair_agreement(pair, marks[pair[0]], marks[pair[1]])) for pair in pairs]
    }


def _picture(labels: Labels, number: int) -> Response:
    try:
        if number < 0:
            raise IndexError
        image = load_picture(labels.path_of(number))
    except IndexError as error:
        raise HTTPException(404, "there is no such picture") from error
    except PictureError as error:
        raise HTTPException(415, str(error)) from error
    scale = LONGEST / max(image.shape[:2])
    if scale < 1:
        smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        image = np.asarray(smaller, dtype=np.uint8)
    return Response(cv2.imencode(".png", image)[1].tobytes(), media_type="image/png")
