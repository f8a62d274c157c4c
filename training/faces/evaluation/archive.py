"""The photographs that a recipe holds out, read in place from the archives that they came in."""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from pathlib import Path
from zipfile import BadZipFile, ZipFile
from zipfile import Path as ZipPath

from edge_agent.core.errors import PictureError
from edge_agent.vision.stills.pictures import SUFFIXES, load_picture
from training.errors import DataError
from training.faces.labelling.labels import Picture
from training.faces.labelling.marked import MARKED, Points, read_marked
from training.faces.labelling.split import Shares

CLEAN = "lfw_5590/"
"""The photographs whose marked points can be trusted; a third of the other collection's slipped."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip archive, or a folder, of photographs.

    Attributes:
        place: of it.
        shares: which part of it is held out.
    """

    place: Path
    shares: Shares

    @classmethod
    def find(cls, folder: Path, name: str, shares: Shares) -> Archive:
        """``NAME.zip`` or the folder ``NAME`` in ``folder``.

        Raises:
            DataError: there is neither.
        """
        for place in (folder / f"{name}.zip", folder / name):
            if place.exists():
                return cls(place, shares)
        raise DataError(
            f"{folder}: holds neither {name}.zip nor a folder {name}, which the recipe holds "
            "pictures out of"
        )

    def held_out(
        self, among: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, Picture]]:
        """Photographs of the part ``test`` with their names, in the order of these.

        Args:
            among: only these names.
            limit: the largest number, taken evenly from all of them.

        Raises:
            DataError: the archive or a photograph cannot be read, or nothing of it is held out.
        """
        return self.pictures_of("test", among, limit)

    def pictures_of(
        self, part: str, among: Collection[str] | None = None, limit: int | None = None
    ) -> Iterator[tuple[str, Picture]]:
        """Photographs of a part with their names, otherwise as `held_out` gives them."""
        with self._opened() as (root, names):
            chosen = [
                n
                for n in sorted(names)
                if self.shares.part(n) == part and (among is None or n in among)
            ]
            if not chosen:
                raise DataError(
                    f"{self.place}: none of its {len(names)} photographs is held out (part {part});"
                    " give more of them"
                )
            step = 1 if limit is None else max(len(chosen) // limit, 1)
            for name in chosen[::step][:limit]:
                yield name, _read(root, name)

    def marked(self) -> dict[str, Points]:
        """The points of its `landmarks.csv` that can be trusted, by name of the photograph.

        Empty without that table.

        Raises:
            DataError: the archive or the table cannot be read.
        """
        with self._opened() as (root, _):
            points = read_marked(root.joinpath(MARKED))
        return {name: marked for name, marked in points.items() if name.startswith(CLEAN)}

    @contextmanager
    def _opened(self) -> Iterator[tuple[Traversable, list[str]]]:
        """The archive's root, and the names of its photographs."""
        if self.place.is_dir():
            files = [path for path in self.place.rglob("*") if path.suffix.lower() in SUFFIXES]
            yield self.place, [path.relative_to(self.place).as_posix() for path in files]
            return
        try:
            archive = ZipFile(self.place)
        except (OSError, BadZipFile) as error:
            raise DataError(
                f"{self.place}: is not a zip archive that can be read: {error}"
            ) from error
        with archive:
            yield (
                ZipPath(archive),
                [name for name in archive.namelist() if name.lower().endswith(SUFFIXES)],
            )


def _read(root: Traversable, name: str) -> Picture:
    try:
        return load_picture(root.joinpath(name))
    except (PictureError, BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
        # as zipfile fails
        raise DataError(f"{name}: {error}") from error
