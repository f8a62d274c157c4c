"""``python -m dashboard.picture.worker OPTIONS``: the process that reads pictures.

It writes nothing to disk: the content of a file comes through a pipe, and what is read in it, or
why nothing was, goes back through another as JSON. OPTIONS of the chain are JSON, too. Once it has
loaded the models, it gives up all rights but these pipes, before it looks at a picture.
"""

from __future__ import annotations

import io
import json
import logging
import sys
from typing import Any

import numpy as np
from PIL import Image

from edge_agent.config.vision import VisionSettings
from edge_agent.core.errors import AffectEdgeError, ModelError, PictureError
from edge_agent.core.expression import EMOTIONS
from edge_agent.core.helper.answering import answer_questions
from edge_agent.core.helper.rights import forbid
from edge_agent.core.pictures import MAX_PIXELS
from edge_agent.core.process import give_back_heap
from edge_agent.core.texts import N_, Message, pack_text, text_of
from edge_agent.vision.drawing import corners
from edge_agent.vision.models.card import ModelCard
from edge_agent.vision.recognizer import Explanation, Recognizer, open_recognizer
from edge_agent.vision.stills import FORMATS, ORIENTATION, decode_picture, describe

log = logging.getLogger(__name__)

MEMORY_BYTES = 640 * 1024 * 1024
"""Most that it may ask for; 210 MB lie in memory for 12 megapixels, 290 with transparency."""
_LARGE_BYTES = 1_000_000
"""Size of a file from which on the memory that its picture needed is given back at once."""
_SHOWN = Message(N_("picture"))
_TOO_MUCH = N_("{shown}: needs more memory than allowed. Scale it down.")
_HEIC = N_(
    "is HEIC, which is not supported. Save it as JPEG and send that; an iPhone takes JPEG "
    "itself after Settings → Camera → Formats → Most Compatible."
)
_HEIF = N_("is HEIF, which is not supported. Save it as JPEG and send that.")
_AVIF = N_("is AVIF, which is not supported. Save it as JPEG and send that.")
_JXL = N_("is JPEG XL, which is not supported. Save it as JPEG and send that.")
_PDF = N_("is a PDF. Save it as JPEG and send that.")
_VIDEO = N_("is a video. Read videos with: affect-edge analyse-video FILE")
_BRANDS = {
    b"heic": _HEIC,
    b"heix": _HEIC,
    b"hevc": _HEIC,
    b"mif1": _HEIF,
    b"msf1": _HEIF,
    b"avif": _AVIF,
    b"avis": _AVIF,
}
_STARTS = {b"\xff\x0a": _JXL, b"\0\0\0\x0cJXL ": _JXL, b"%PDF": _PDF, b"\x1aE\xdf\xa3": _VIDEO}


def main() -> None:
    """Answer the dashboard that started this process."""
    pictures = _Pictures(VisionSettings.model_validate_json(sys.argv[1]))
    answer_questions(pictures.answer, memory_bytes=MEMORY_BYTES, nice=10)


class _Pictures:
    """Answers each picture; the first one loads the models."""

    def __init__(self, options: VisionSettings) -> None:
        self._options = options
        self._reader: _Reader | None = None

    def answer(self, content: bytes) -> bytes:
        """Return what is in a picture, or why nothing was read, as JSON."""
        try:
            self._reader = self._reader or _reader_without_rights(self._options)
            answer = self._reader.read(content)
        # The limit of memory makes an allocation fail here, instead of in other programs.
        except MemoryError:
            answer = _problem(Message(_TOO_MUCH, shown=_SHOWN), "picture")
        except PictureError as error:
            answer = _problem(text_of(error), "picture")
        except AffectEdgeError as error:
            answer = _problem(text_of(error), "model")
        # 14 of 70 MB stayed with the heap after a photograph. It takes a millisecond.
        if len(content) > _LARGE_BYTES:
            give_back_heap()
        return json.dumps(answer).encode()


def _reader_without_rights(options: VisionSettings) -> _Reader:
    """Load all that reading needs, then give up for good to open anything else."""
    reader = _Reader(options)
    # Libraries open at their first use what they cannot open later.
    Image.init()
    turned = Image.Exif()
    turned[ORIENTATION] = 3
    for name in FORMATS:
        content = io.BytesIO()
        Image.new("RGB", (64, 64)).save(content, name, exif=turned)
        reader.read(content.getvalue())
    if not forbid(network=False):
        log.warning(
            "this system does not let the process that reads pictures give up its rights; its "
            "limits hold"
        )
    return reader


def _problem(text: str, kind: str) -> dict[str, Any]:
    return {"problem": str(text), "parts": pack_text(text), "kind": kind}


def known_foreign(content: bytes) -> str | None:
    """Return what a file is that is often sent and not read, and what to do."""
    # ISO media: the brand after "ftyp" tells pictures from videos.
    if content[4:8] == b"ftyp":
        return _BRANDS.get(content[8:12], _VIDEO)
    return next((what for start, what in _STARTS.items() if content.startswith(start)), None)


class _Reader:
    """Reads pictures by the configured chain, with the evidence where the model tells it."""

    def __init__(self, options: VisionSettings) -> None:
        self._recognizer = open_recognizer(options)
        self._classifier = _classifier_of(self._recognizer)

    def read(self, content: bytes) -> dict[str, Any]:
        foreign = known_foreign(content)
        if foreign is not None:
            raise PictureError("{shown}: {foreign}", shown=_SHOWN, foreign=Message(foreign))
        image = decode_picture(io.BytesIO(content), _SHOWN, max_pixels=MAX_PIXELS)
        if self._classifier.output("evidence") is None:
            faces = [describe(reading) for reading in self._recognizer.read_picture(image)]
        else:
            faces = [
                _describe_explanation(face) for face in self._recognizer.explain_picture(image)
            ]
        height, width = image.shape[:2]
        model = self._classifier
        return {
            "width": width,
            "height": height,
            "model": {"name": model.name, "version": model.version, "sha256": model.sha256},
            "faces": faces,
        }


def _classifier_of(recognizer: Recognizer) -> ModelCard:
    for model in recognizer.models:
        if isinstance(model, ModelCard) and model.kind == "expression":
            return model
    raise ModelError("The vision chain has no model of expressions.")  # pragma: no cover


def _describe_explanation(explanation: Explanation) -> dict[str, Any]:
    """Return a face as `describe` does, and what each region of its crop adds to each category."""
    parts = np.round(explanation.parts.astype(np.float64), 3)
    evidence = {
        "corners": np.round(corners(explanation.to_crop), 2).tolist(),
        "parts": {
            emotion.value: parts[:, :, number].tolist() for number, emotion in enumerate(EMOTIONS)
        },
    }
    return describe(explanation.reading) | {"evidence": evidence}


if __name__ == "__main__":
    main()
