"""``python -m edge_agent.camera.decoder_worker [network]``: the process that decodes.

It imports all that it needs and gives up all rights but its pipes (with the argument ``network`` it
may still open connections). One byte says whether the system could enforce that. Then it answers
until nobody asks.

Each question is a letter, the number of its bytes, and the bytes; each answer a byte that says
whether there is something, and for a picture its height, width and pixels.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from edge_agent.camera.decoding import as_bgr, decoded_bytes, quiet_opencv
from edge_agent.core.helper.answering import take_answers
from edge_agent.core.helper.rights import forbid, limit_process
from edge_agent.core.pictures import MAX_PIXELS

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

NETWORK = "network"
OPEN, GRAB, RETRIEVE, DECODE = b"O", b"G", b"R", b"D"
QUESTION = struct.Struct("=cI")
YES, NO = b"+", b"-"
SIZE = struct.Struct("=II")
"""Height and width."""
MEMORY_BYTES = 384 * 1024 * 1024
"""Most that the process may ask for: a progressive JPEG of 13 megapixels takes 130 MB of it."""
_OPTIONS = "OPENCV_FFMPEG_CAPTURE_OPTIONS"


def main() -> None:
    """Answer until the camera closes the pipe, or is gone."""
    answers = take_answers()
    with suppress(BrokenPipeError), answers:
        _answer_all(answers)


def _answer_all(answers: IO[bytes]) -> None:
    limit_process(MEMORY_BYTES, nice=0)
    quiet_opencv()
    _warm_up()
    answers.write(YES if forbid(network=NETWORK in sys.argv[1:]) else NO)
    answers.flush()
    capture = cv2.VideoCapture()
    for question, content in _questions(sys.stdin.buffer):
        try:
            _answer(answers, capture, question, content)
        except (cv2.error, MemoryError):  # the limit above, or more than OpenCV takes
            answers.write(NO)
        answers.flush()


def _warm_up() -> None:
    """Let the libraries open what they open at their first use, which they cannot do later."""
    cv2.setNumThreads(1)
    done, content = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))
    assert done
    decoded_bytes(content.tobytes())
    cv2.videoio_registry.getBackends()


def _questions(source: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    while len(head := source.read(QUESTION.size)) == QUESTION.size:
        question, length = QUESTION.unpack(head)
        yield question, source.read(length)


def _answer(answers: IO[bytes], capture: cv2.VideoCapture, question: bytes, content: bytes) -> None:
    image = None
    if question == OPEN:
        is_given = _is_open(capture, content)
    elif question == GRAB:
        is_given = capture.grab()
    else:
        image = decoded_bytes(content) if question == DECODE else _frame(capture)
        is_given = image is not None
    answers.write(YES if is_given else NO)
    if image is not None:
        _send(answers, image)


def _is_open(capture: cv2.VideoCapture, content: bytes) -> bool:
    wanted = json.loads(content)
    if wanted["host"]:
        given = os.environ.get(_OPTIONS)
        os.environ[_OPTIONS] = (f"{given}|" if given else "") + f"headers;Host: {wanted['host']}"
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, wanted["open_ms"]]
    timeouts += [cv2.CAP_PROP_READ_TIMEOUT_MSEC, wanted["read_ms"]]
    return capture.open(wanted["address"], cv2.CAP_FFMPEG, timeouts)


def _frame(capture: cv2.VideoCapture) -> Image | None:
    done, image = capture.retrieve()
    return np.ascontiguousarray(as_bgr(image)) if done and image is not None else None


def _send(answers: IO[bytes], image: Image) -> None:
    height, width = image.shape[:2]
    answers.write(SIZE.pack(height, width))
    # more is refused by who asks, who does not wait for its pixels
    if height * width <= MAX_PIXELS:
        answers.write(image.data.cast("B"))


if __name__ == "__main__":
    main()
