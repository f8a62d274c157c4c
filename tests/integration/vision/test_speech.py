"""The chain notices that a face speaks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.speech import FPS, FramedFace
from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Frame
from edge_agent.vision.recognizer import open_recognizer
from edge_agent.vision.speech import SpeechWatch
from tests.support.vision.portraits import serious


@pytest.mark.parametrize("speaks", [True, False])
def test_face_whose_mouth_opens_and_closes_is_noticed(speaks: bool) -> None:
    gray = np.asarray(cv2.cvtColor(serious(), cv2.COLOR_BGR2GRAY), np.uint8)
    recognizer = open_recognizer(VisionSettings())
    (still,) = recognizer.read_picture(gray)
    portrait = FramedFace(gray, np.array(still.face.landmarks))
    watch = SpeechWatch()
    said = []
    for number in range(3 * FPS):
        opening = 0.7 * abs(np.sin(2 * np.pi * 1.7 * number / FPS)) if speaks else 0.0
        image = np.dstack([portrait.speaking(float(opening), 0.0)] * 3)
        at = Instant(10_000, 1_800_000_000_000).shift(number / FPS)
        face = recognizer.recognize(Frame(image, at, number)).primary
        if face is not None and face.movements is not None:
            said.append(watch.speaks(face.track, at, face.movements))
    assert said[-1] is speaks
