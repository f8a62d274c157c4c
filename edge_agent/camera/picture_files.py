"""Folders of pictures as cameras, in natural name order."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from edge_agent.camera.base import Camera, Pace, closed_error
from edge_agent.camera.decoding import decode_file, fit_on_black, quiet_opencv
from edge_agent.config.camera import Rotation
from edge_agent.core import clock
from edge_agent.core.advice import shell_word
from edge_agent.core.clock import Instant
from edge_agent.core.errors import CameraError, CameraReason

if TYPE_CHECKING:
    from edge_agent.core.expression import Image

log = logging.getLogger(__name__)

SUFFIXES = frozenset(
    {".bmp", ".gif", ".jfif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)


class PicturesCamera(Camera):
    """Shows the pictures of a folder, ``fps`` of them a second, letterboxed to one size.

    Broken pictures are skipped with one warning each. At the end the folder starts again with
    ``loop``, else ``read`` raises ``end_of_file``. Files that come later are seen at the next
    start.

    Raises:
        CameraError: the folder is missing, unreadable, holds no picture, or no picture that can be
            read.

    Example::

        with PicturesCamera(Path("pictures"), width=640, height=480, fps=1) as camera:
            frame = camera.read()
    """

    repeats = True

    def __init__(
        self,
        folder: Path,
        *,
        width: int,
        height: int,
        fps: float,
        loop: bool = False,
        rotate: Rotation = 0,
    ) -> None:
        super().__init__(f"pictures:{folder}", rotate)
        quiet_opencv()
        self._folder = folder
        self._size = (width, height)
        self._loop = loop
        self._pace = Pace(fps, self._closed)
        self._files = picture_files(folder)
        self._position = 0
        self._next = self._load()
        if self._next is None:
            raise CameraError(
                CameraReason.UNREADABLE,
                f"{folder}: none of its pictures can be read.",
                "Put whole JPEG, PNG, WebP, TIFF or BMP files there.",
            )

    def _next_frame(self) -> tuple[Image, Instant]:
        image = self._next if self._next is not None else self._load()
        self._next = None
        if image is None:
            raise CameraError(
                CameraReason.END_OF_FILE,
                f"{self._folder}: all pictures were shown.",
                "Set camera.loop = true to start again at the end.",
            )
        if not self._pace.wait():
            raise closed_error(self.name)
        return image, clock.now()

    def _load(self) -> Image | None:
        """Return the next picture that can be read; ``None`` at the end.

        Broken ones leave the list.
        """
        while self._files:
            if self._position >= len(self._files):
                if not self._loop:
                    return None
                self._position = 0
            file = self._files[self._position]
            try:
                image = decode_file(file)
                problem = "is broken or no picture"
            except OSError as error:
                image = None
                problem = f"cannot be read ({error.strerror})"
            if image is not None:
                self._position += 1
                return fit_on_black(image, *self._size)
            log.warning("picture %s %s and is skipped", file, problem)
            del self._files[self._position]
        return None


def picture_files(folder: Path) -> list[Path]:
    """Return the picture files of a folder in natural name order: ``a2`` before ``a10``.

    Hidden files left out.

    Raises:
        CameraError: the folder is missing, no folder, unreadable or without pictures.
    """
    cure = "Set camera.folder to a folder with pictures."
    try:
        files = [
            path
            for path in folder.iterdir()
            if path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
        ]
    except FileNotFoundError as error:
        raise CameraError(
            CameraReason.NOT_FOUND, f"{folder}: there is no such folder.", cure
        ) from error
    except NotADirectoryError as error:
        raise CameraError(
            CameraReason.NOT_FOUND, f"{folder}: is a file, not a folder.", cure
        ) from error
    except PermissionError as error:
        raise CameraError(
            CameraReason.NO_PERMISSION,
            f"{folder}: this user may not read the folder.",
            f"Allow it, for example: chmod a+rx {shell_word(folder)}.",
        ) from error
    if not files:
        allowed = ", ".join(sorted(SUFFIXES))
        raise CameraError(
            CameraReason.NOT_FOUND, f"{folder}: contains no picture ({allowed}).", cure
        )
    return sorted(files, key=lambda path: natural_key(path.name))


def natural_key(name: str) -> tuple[tuple[str | int, ...], str]:
    """Return a sort key by which the numbers in a name count as numbers.

    Equal names fall back to the text.
    """
    parts = re.split(r"(\d+)", name.casefold())
    return tuple(int(part) if index % 2 else part for index, part in enumerate(parts)), name
