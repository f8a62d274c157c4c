"""Are masked faces left unread, and bare ones read? The whole chain on held-out photographs.

The largest face of each photograph counts; its folder says whether it wears a mask.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from edge_agent.core.expression import RejectReason
from edge_agent.vision.recognizer import Recognizer
from training.faces.evaluation.trial import MASK, NO_MASK
from training.faces.labelling.labels import Picture

ROWS = {"with_mask": MASK, "without_mask": NO_MASK}


@dataclass(slots=True)
class Reading:
    """What became of the photographs of one kind.

    Attributes:
        pictures: how many there were.
        faces: in how many a face was found.
        covered: how many of these faces were refused as covered.
        named: how many were given a category: no flaw, and sure enough.
    """

    pictures: int = 0
    faces: int = 0
    covered: int = 0
    named: int = 0

    @property
    def covered_share(self) -> float | None:
        """Share of the faces refused as covered; ``None`` without faces."""
        return self.covered / self.faces if self.faces else None

    @property
    def named_share(self) -> float | None:
        """Share of the faces given a category; ``None`` without faces."""
        return self.named / self.faces if self.faces else None


def read_covered(
    recognizer: Recognizer, pictures: Iterable[tuple[str, Picture]]
) -> dict[str, Reading]:
    """Read photographs, each with its name; return what became of them by row.

    Photographs in other folders are passed over.
    """
    readings: dict[str, Reading] = defaultdict(Reading)
    for name, picture in pictures:
        row = next((ROWS[part] for part in PurePosixPath(name).parts[:-1] if part in ROWS), None)
        if row is None:
            continue
        one = readings[row]
        one.pictures += 1
        faces = recognizer.read_picture(picture)
        if faces:
            face = max(faces, key=lambda face: face.face.box.area)
            one.faces += 1
            one.covered += face.reject_reason is RejectReason.COVERED
            one.named += face.reject_reason is None and face.emotion is not None
    return dict(readings)


def covered_text(readings: Mapping[str, Reading], width: int) -> str:
    """Return the table: a line for each row."""
    title = "portraits as the agent reads them"
    lines = [f"{title:<{width}} {'faces':>6} {'covered':>8} {'named':>8}"]
    for row, one in readings.items():
        shares = "".join(
            f" {'' if share is None else format(share, '.1%'):>8}"
            for share in (one.covered_share, one.named_share)
        )
        lines.append(f"{'  ' + row:<{width}} {one.faces:>6}{shares}")
    return "\n".join(lines)
