"""How many rows of a made-up visitor count as the participant's, and how many of the participant's
are kept, by each evidence that can be asked for.

    python -m benchmarks attribution   (python -m benchmarks.simulated.attribution [--seeds N])

Two made-up people are faces that sway, are missed by the detector now and then, and hide each
other. They go through the real tracker, attribution and recording intervals (one row a second, 15
frames per second). Scenes of ten minutes: one after the other with gaps of 1, 3 and 10 s; side by
side; changing places each minute; the visitor walking behind every two minutes; a poster, for an
hour; a portrait that is larger than the participant; somebody who passes in front, where nobody
presses again. The participant presses 1 s after each return. For the seat the visitor stays outside
of it; where they change places that cannot be.

Figures in percent, over all scenes of a kind:
    wrong_…         rows that count as the participant's and are the visitor's, of those that count
    kept_…          rows that count, of the participant's
    kept_hidden_…   the same where the participant is out of view for a second each minute
    film_…_wrong_…  the first in one of ten films with one evidence; who comes after sits in the
    film_…_kept_…   participant's place there, also with a seat; and the second
"""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from benchmarks._command import benchmark
from edge_agent.core.clock import Instant
from edge_agent.core.expression import (
    Box,
    Emotion,
    Expression,
    ExpressionRow,
    Face,
    Observation,
    Recognition,
    Whose,
)
from edge_agent.timeline.write.recorder import Intervals
from edge_agent.vision.faces.attribution import Attributor
from edge_agent.vision.faces.tracking import PrimaryFaceSelector, Tracker

WIDTH, HEIGHT = 640, 480
FPS = 15
MIDDLE, OUTSIDE = 0.5, 0.93
"""Places of a face, as a share of the picture's width."""
PARTICIPANT, VISITOR, POSTER, MIRROR = "participant", "visitor", "poster", "mirror"
SEAT = (0.3, 0.18, 0.4, 0.54)
"""Drawn around the face of the participant who sits in the middle."""
MEMORY_S = 1.5
HIDDEN_S = 0.25
"""Seconds out of view, or behind somebody, after which the participant presses again."""
NOT_OF = {"seat": {"swapping"}, "alone": {"side_by_side", "swapping"}}
"""Scenes in which the evidence cannot be, so that its sums are without them."""
_NOISE = 0.015
_MISSED = 0.02
_PLAIN = Expression((1.0, 0, 0, 0, 0, 0, 0, 0))


@dataclass(frozen=True, slots=True)
class Stand:
    """A person at a moment: place and size in shares of the picture's width; ``near``: in
    front of whom they cover; ``sways``: no poster.
    """

    who: str
    x: float
    size: float = 0.16
    near: bool = True
    sways: bool = True


Scene = Callable[[float], list[Stand]]


@dataclass(slots=True)
class Sway:
    """The wandering of a head that sits still: an Ornstein–Uhlenbeck process, in its sides."""

    rng: random.Random
    x: float = 0.0
    y: float = 0.0

    def step(self) -> None:
        """Move on by one frame."""
        for name in ("x", "y"):
            at = getattr(self, name)
            setattr(self, name, at * (1 - 0.3 / FPS) + self.rng.gauss(0, 0.12) / math.sqrt(FPS))


def one_after_another(gap_s: float, place: float) -> Scene:
    """Return the scene in which a minute of one is followed by a minute of the other."""

    def scene(at_s: float) -> list[Stand]:
        turn, within = divmod(at_s, 60 + gap_s)
        if within >= 60:
            return []
        return [Stand(VISITOR, place)] if turn % 2 else [Stand(PARTICIPANT, MIDDLE)]

    return scene


def side_by_side(at_s: float) -> list[Stand]:
    """The visitor sits beside the participant, who is out of view for 5 s each two minutes."""
    here = [Stand(VISITOR, OUTSIDE, 0.14)]
    return here if at_s % 120 > 115 else [Stand(PARTICIPANT, MIDDLE), *here]


def swapping(at_s: float) -> list[Stand]:
    """They change places each minute, within 2 s; now one passes in front, now the other."""
    turn, within = divmod(at_s, 60)
    way = min(max((within - 58) / 2, 0.0), 1.0)
    left, right = 0.35, 0.65
    own, other = (right, left) if turn % 2 else (left, right)
    return [
        Stand(PARTICIPANT, own + (other - own) * way, 0.17, near=turn % 4 < 2),
        Stand(VISITOR, other + (own - other) * way, 0.15, near=turn % 4 >= 2),
    ]


def walking_behind(at_s: float) -> list[Stand]:
    """The visitor walks past behind the participant in 4 s, every two minutes."""
    here = [Stand(PARTICIPANT, MIDDLE)]
    within = at_s % 120 - 60
    if 0 <= within < 4:
        here.append(Stand(VISITOR, -0.05 + 1.1 * within / 4, 0.1, near=False))
    return here


def passing_in_front(passes_s: float) -> Scene:
    """Return the scene in which the visitor walks past in front in so many seconds, each 80 s."""

    def scene(at_s: float) -> list[Stand]:
        here = [Stand(PARTICIPANT, MIDDLE, near=False)]
        within = at_s % 80 - 16
        if 0 <= within < passes_s:
            here.append(Stand(VISITOR, -0.05 + 1.1 * within / passes_s, 0.22))
        return here

    return scene


def with_poster(_at_s: float) -> list[Stand]:
    """A poster hangs beside the participant."""
    return [Stand(PARTICIPANT, MIDDLE), Stand(POSTER, 0.82, 0.12, near=False, sways=False)]


def with_portrait(_at_s: float) -> list[Stand]:
    """A portrait beside the participant is larger, and leads."""
    return [Stand(PARTICIPANT, MIDDLE, 0.1), Stand(POSTER, 0.82, 0.24, near=False, sways=False)]


def with_mirror(_at_s: float) -> list[Stand]:
    """A mirror behind the participant shows the same face, smaller, with its movements."""
    return [Stand(PARTICIPANT, MIDDLE), Stand(MIRROR, 0.82, 0.09, near=False)]


def with_television(at_s: float) -> list[Stand]:
    """A television shows another living face each 6 s, and for a second none."""
    shot, within = divmod(at_s, 6)
    here = [Stand(PARTICIPANT, MIDDLE)]
    if within < 5:
        here.append(Stand(VISITOR, 0.78 + 0.04 * (shot % 3), 0.06 + 0.03 * (shot % 4), near=False))
    return here


def alone(_at_s: float) -> list[Stand]:
    """Nobody else comes."""
    return [Stand(PARTICIPANT, MIDDLE)]


def hidden_now_and_then(scene: Scene) -> Scene:
    """Return a scene in which the participant is out of view for a second each minute."""

    def hidden(at_s: float) -> list[Stand]:
        here = scene(at_s)
        if at_s % 60 > 30 and at_s % 60 < 31:
            return [one for one in here if one.who != PARTICIPANT]
        return here

    return hidden


@dataclass(slots=True)
class CountedRows:
    """Rows by whose they are and whether they count."""

    rows: Counter[tuple[bool, bool]] = field(default_factory=Counter)

    def add(self, other: CountedRows) -> None:
        """Add the rows of another."""
        self.rows += other.rows

    @property
    def wrong_percent(self) -> float:
        """Share of the rows that count and are somebody else's."""
        return 100 * self.rows[False, True] / max(self.rows[False, True] + self.rows[True, True], 1)

    @property
    def kept_percent(self) -> float:
        """Share of the participant's rows that count."""
        return 100 * self.rows[True, True] / max(self.rows[True, True] + self.rows[True, False], 1)


def recognitions(
    scene: Scene,
    whose: Whose,
    seed: int,
    *,
    seconds: int = 600,
    presses: bool = True,
    pressed_until_s: float = math.inf,
    shown: Mapping[str, Emotion] | None = None,
) -> Iterator[tuple[Recognition, dict[int, str]]]:
    """Yield the frames of a scene, and whose face each track is.

    Args:
        scene: who stands where.
        whose: the evidence that is asked for.
        seed: of the chance in how people move and are missed.
        seconds: length.
        presses: whether somebody presses 1 s after each return of the participant.
        pressed_until_s: nobody presses after so many seconds.
        shown: the emotion of each person; ``None``: nobody shows any.
    """
    attributor = Attributor(
        whose, SEAT if whose == "seat" else None, selector=PrimaryFaceSelector(hold_s=MEMORY_S)
    )
    tracker = Tracker(MEMORY_S)
    people = _People(seed)
    for number in range(seconds * FPS):
        at_s = number / FPS
        at = Instant(round(1000 * at_s) + 1, round(1000 * at_s) + 1)
        here = scene(at_s)
        seen = people.seen(here)
        back_s = people.back_s(at_s)
        is_pressed = presses and at_s < pressed_until_s
        if is_pressed and back_s is not None and 1.0 <= at_s - back_s < 1.0 + 1 / FPS:
            attributor.pressed = at
        tracked = tracker.update([face for _, face in seen], at)
        names = {id(face): who for who, face in seen}
        owners = {track: names[id(face)] for track, face in tracked}
        followed, evidence = attributor.attribute(tracked, (WIDTH, HEIGHT), at)
        observations = tuple(
            Observation(
                track, face, _PLAIN, _PLAIN, None if shown is None else shown[owners[track]],
                primary=track == followed and evidence is not None and evidence != "unknown",
                quality=1.0,
                attribution=evidence if track == followed else None,
            )
            for track, face in tracked
        )  # fmt: skip
        yield Recognition(at, number, WIDTH, HEIGHT, observations), owners


def play(
    scene: Scene,
    whose: Whose,
    seed: int,
    *,
    seconds: int = 600,
    presses: bool = True,
    pressed_until_s: float = math.inf,
) -> CountedRows:
    """Return the rows of a scene; the arguments are those of ``recognitions``."""
    intervals = Intervals(1.0)
    owners: dict[tuple[int, int], Counter[str]] = {}
    count = CountedRows()
    frames = recognitions(
        scene, whose, seed, seconds=seconds, presses=presses, pressed_until_s=pressed_until_s
    )
    for recognition, of in frames:
        for row in intervals.add(recognition):
            if isinstance(row, ExpressionRow):
                _count(count, row, owners)
        for track, who in of.items():
            key = track, recognition.at.boot_ms // 1000
            owners.setdefault(key, Counter())[who] += 1
    return count


def _count(
    count: CountedRows, row: ExpressionRow, owners: dict[tuple[int, int], Counter[str]]
) -> None:
    who = owners[row.track, row.at.boot_ms // 1000 - 1].most_common(1)[0][0]
    if who == PARTICIPANT or row.primary:
        count.rows[who == PARTICIPANT, row.primary] += 1


class _People:
    """Makes the faces that a detector finds of people who stand somewhere."""

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self._sways = {who: Sway(self._rng) for who in (PARTICIPANT, VISITOR, POSTER)}
        self._sways[MIRROR] = self._sways[PARTICIPANT]
        self._missed = dict.fromkeys(self._sways, 0)
        self._here = False
        self._back_s: float | None = None
        self._hidden_frames = FPS

    def seen(self, here: list[Stand]) -> list[tuple[str, Face]]:
        """Return the faces that are found of people who stand somewhere."""
        boxes = [(one, self._box(one)) for one in here]
        self._here = any(
            one.who == PARTICIPANT and not _is_hidden(one, box, boxes) for one, box in boxes
        )
        return list(self._found(boxes))

    def back_s(self, at_s: float) -> float | None:
        """Return when the participant came back into view last."""
        if not self._here:
            self._hidden_frames += 1
        else:
            if self._hidden_frames >= HIDDEN_S * FPS:
                self._back_s = at_s
            self._hidden_frames = 0
        return self._back_s

    def _box(self, one: Stand) -> Box:
        rng, sway = self._rng, self._sways[one.who]
        if one.who != MIRROR:
            sway.step()
        side = one.size * WIDTH
        x, y = (sway.x, sway.y) if one.sways else (0.0, 0.0)
        x = -x if one.who == MIRROR else x
        noisy = side * (1 + rng.gauss(0, _NOISE))
        x = one.x * WIDTH + side * (x + rng.gauss(0, _NOISE))
        y = 0.45 * HEIGHT + side * (y + rng.gauss(0, _NOISE))
        return Box(x - noisy / 2, y - noisy / 2, noisy, noisy)

    def _found(self, boxes: list[tuple[Stand, Box]]) -> Iterator[tuple[str, Face]]:
        for one, box in boxes:
            is_hidden = _is_hidden(one, box, boxes)
            if self._missed[one.who]:
                self._missed[one.who] -= 1
            # Once in twenty seconds for up to 0.4 s: a hand, a bow of the head.
            elif self._rng.random() < 1 / (20 * FPS):
                self._missed[one.who] = self._rng.randrange(2, 7)
            elif not is_hidden and self._rng.random() >= _MISSED and 0 < box.center[0] < WIDTH:
                yield one.who, Face(box, 0.9, ())


def _is_hidden(one: Stand, box: Box, boxes: list[tuple[Stand, Box]]) -> bool:
    return not one.near and any(_covered(box, by) > 0.4 for who, by in boxes if who is not one)


def _covered(box: Box, by: Box) -> float:
    width = min(box.x + box.width, by.x + by.width) - max(box.x, by.x)
    height = min(box.y + box.height, by.y + by.height) - max(box.y, by.y)
    return max(width, 0.0) * max(height, 0.0) / box.area


def scenes(place: float) -> dict[str, Scene]:
    """Return the scenes by name; ``place``: where the visitor sits that comes after."""
    return {
        **{f"after_{gap}_s": one_after_another(gap, place) for gap in (1, 3, 10)},
        "side_by_side": side_by_side,
        "swapping": swapping,
        "walking_behind": walking_behind,
    }


FILMS: Mapping[str, Scene] = {
    "beside": side_by_side,
    "swap": swapping,
    **{f"leave_{gap}_s": one_after_another(gap, MIDDLE) for gap in (1, 5, 8)},
    "in_front": passing_in_front(4),
    "mirror": with_mirror,
    "poster_small": with_poster,
    "poster_large": with_portrait,
    "television": with_television,
}
"""Ten films of ten minutes."""
KINDS: tuple[Whose, ...] = ("leading", "seat", "alone", "declared")


def measure_films(seeds: int) -> dict[str, float]:
    """Return the figures of each film with each evidence."""
    figures: dict[str, float] = {}
    for name, film in FILMS.items():
        for whose in KINDS:
            rows = CountedRows()
            # who presses while somebody passes in front declares whoever passes
            until_s = 10 if name == "in_front" else math.inf
            for seed in range(seeds):
                presses = whose == "declared"
                rows.add(play(film, whose, seed, presses=presses, pressed_until_s=until_s))
            figures[f"film_{name}_wrong_{whose}"] = rows.wrong_percent
            figures[f"film_{name}_kept_{whose}"] = rows.kept_percent
    return figures


def measure(seeds: int) -> dict[str, float]:
    """Return the figures."""
    figures = measure_films(seeds)
    for whose in KINDS:
        place = OUTSIDE if whose == "seat" else MIDDLE
        total = CountedRows()
        for name, scene in scenes(place).items():
            one = CountedRows()
            for seed in range(seeds):
                one.add(play(scene, whose, seed, presses=whose == "declared"))
            figures[f"wrong_{whose}_{name}"] = one.wrong_percent
            figures[f"kept_{whose}_{name}"] = one.kept_percent
            if name not in NOT_OF.get(whose, ()):
                total.add(one)
        figures[f"wrong_{whose}"] = total.wrong_percent
        figures[f"kept_{whose}"] = total.kept_percent
        hidden = play(hidden_now_and_then(alone), whose, 0, presses=whose == "declared")
        figures[f"kept_hidden_{whose}"] = hidden.kept_percent
    figures["kept_alone_nobody_else"] = play(alone, "alone", 0, presses=False).kept_percent
    for whose in KINDS:
        presses = whose == "declared"
        beside = play(with_portrait, whose, 0, presses=presses)
        front = play(passing_in_front(4), whose, 0, seconds=80, presses=presses, pressed_until_s=10)
        for name, one in (("portrait", beside), ("passing_in_front", front)):
            figures[f"wrong_{whose}_{name}"] = one.wrong_percent
            figures[f"kept_{whose}_{name}"] = one.kept_percent
    poster = play(with_poster, "alone", 0, seconds=3600, presses=False)
    figures["poster_lost_alone"] = 100 - poster.kept_percent
    return figures


if __name__ == "__main__":
    benchmark(__doc__, measure, seeds=(3, "made-up pairs of people a scene"))
