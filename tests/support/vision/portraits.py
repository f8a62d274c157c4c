"""The two public-domain portraits that come with installed packages, as BGR pictures."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
import skimage.data

from edge_agent.vision.align import Picture
from edge_agent.vision.faces.detector import FaceDetector
from edge_agent.vision.models.model import find_model, load_model
from edge_agent.vision.stills import load_picture

SMILING_FILE = Path(skimage.data.__file__).with_name("astronaut.png")
SERIOUS_FILE = Path(mpl.get_data_path()) / "sample_data" / "grace_hopper.jpg"


def smiling() -> Picture:
    """Return the astronaut Eileen Collins, smiling: 512 × 512."""
    rgb: Picture = skimage.data.astronaut()
    return np.ascontiguousarray(rgb[:, :, ::-1])


def serious() -> Picture:
    """Return Rear Admiral Grace Hopper, serious: 512 × 606 pixels."""
    return load_picture(SERIOUS_FILE)


def detector() -> FaceDetector:
    """Return the committed face detector."""
    return FaceDetector(load_model(find_model("face-detector"), kind="face-detector"))
