"""The files and the text of `python -m training explain`: sheets, a table, a summary."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from edge_agent.vision.stills.evidence import over_crop, scaled, tint
from training.data.datasets import EXPRESSIONS
from training.expression.explain import Explained, Map, peak, upper_share
from training.expression.explain_regions import VIEWS

TABLE = "explained.csv"
_COLUMNS = 8
_BANDS = 4
_SIDE = 144  # of an enlarged face, pixels
_LABEL = 76
_TITLE = 44
_GAP = 6
_HEADER = (
    "file",
    "category",
    "probability",
    "cam_peak_x",
    "cam_peak_y",
    "cam_upper_half",
    "cam_lower_half",
    "grad_cam_peak_x",
    "grad_cam_peak_y",
    "grad_cam_upper_half",
    "grad_cam_lower_half",
)


def artefacts(explained: Sequence[Explained]) -> dict[str, bytes]:
    """File name → content: a table with a row for each face, and sheets of 32 faces each."""
    files = {TABLE: table(explained)}
    for number, start in enumerate(range(0, len(explained), _COLUMNS * _BANDS), start=1):
        files[f"sheet-{number:02}.png"] = sheet(explained[start : start + _COLUMNS * _BANDS])
    return files


def table(explained: Sequence[Explained]) -> bytes:
    """CSV: peaks in pixels of the 48 × 48 face.

    Shares of what supports the category, empty where nothing does.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(_HEADER + _weight_columns(explained))
    for face in explained:
        # the map of weights is no Grad-CAM: its columns stay empty
        finer = [""] * 4 if face.weights else _figures(face.grad_cam)
        figures = [*_figures(face.cam), *finer, *(f"{one:.4f}" for one in face.weights)]
        writer.writerow(
            [face.name, EXPRESSIONS[face.category], f"{face.probability:.4f}", *figures]
        )
    return text.getvalue().encode()


def _weight_columns(explained: Sequence[Explained]) -> tuple[str, ...]:
    if explained and explained[0].weights:
        return tuple(f"weight_{view.replace(' ', '_')}" for view in VIEWS)
    return ()


def summary(explained: Sequence[Explained]) -> str:
    """A line for each category: its faces, and where on average what supports it lies."""
    lines = []
    for index, category in enumerate(EXPRESSIONS):
        faces = [face for face in explained if face.category == index]
        if faces:
            cam = _mean_upper([f.cam for f in faces])
            lines.append(
                f"{category:10} {len(faces):5}   in the upper half of the face: CAM {cam}, "
                f"{_other_words(faces)}"
            )
    return "\n".join(lines)


def _other_words(faces: Sequence[Explained]) -> str:
    """What the second map says of some faces."""
    if not faces[0].weights:
        return f"Grad-CAM {_mean_upper([f.grad_cam for f in faces])}"
    means = np.mean([face.weights for face in faces], axis=0)
    return "weights: " + ", ".join(
        f"{view} {mean:.0%}" for view, mean in zip(VIEWS, means, strict=True)
    )


def sheet(explained: Sequence[Explained]) -> bytes:
    """PNG: in bands, the faces, below them CAM, below that Grad-CAM or the weights of the regions.

    Each map is on its own scale.
    """
    columns = min(len(explained), _COLUMNS)
    other = "Weights" if explained[0].weights else "Grad-CAM"
    bands = -(-len(explained) // columns)
    height = _TITLE + 3 * (_SIDE + _GAP)
    canvas = Image.new("RGB", (_LABEL + columns * (_SIDE + _GAP), bands * height), "white")
    pen = ImageDraw.Draw(canvas)
    for place, face in enumerate(explained):
        band, column = divmod(place, columns)
        x = _LABEL + column * (_SIDE + _GAP)
        y = band * height
        caption = f"{_short(face.name)}\n{EXPRESSIONS[face.category]} {face.probability:.0%}"
        pen.multiline_text((x, y + 4), caption, font=ImageFont.load_default(13), fill="black")
        gray = np.asarray(
            cv2.resize(face.crop, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC), dtype=np.uint8
        )
        rows = (("", np.zeros_like(face.cam)), ("CAM", face.cam), (other, face.grad_cam))
        for row, (name, values) in enumerate(rows):
            top = y + _TITLE + row * (_SIDE + _GAP)
            canvas.paste(Image.fromarray(tint(gray, scaled(over_crop(values, _SIDE)))), (x, top))
            if column == 0 and name:
                label = f"{name}\n{values.shape[0]} x {values.shape[1]}"
                pen.multiline_text(
                    (4, top + _SIDE // 2 - 16), label, font=ImageFont.load_default(13), fill="black"
                )
    content = io.BytesIO()
    canvas.save(content, format="PNG")
    return content.getvalue()


def _short(name: str) -> str:
    if len(name) <= 20:
        return name
    return f"...{name[-17:]}"


def _figures(values: Map) -> list[str]:
    share = upper_share(values)
    if share is None:
        shares = ["", ""]
    else:
        shares = [f"{share:.4f}", f"{1 - share:.4f}"]
    return [*(f"{value:.1f}" for value in peak(values)), *shares]


def _mean_upper(maps: Sequence[Map]) -> str:
    shares = [share for share in map(upper_share, maps) if share is not None]
    if shares:
        return f"{np.mean(shares):.0%}"
    return "nothing supports it"
