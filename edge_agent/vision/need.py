"""Faces of a camera read as often and as carefully as they need; scenes that change.

A label is steadied over more than half a second, so that about five readings a second are enough,
and more while a face changes. The quick classifier reads each time. The careful one, six times as
dear, reads a face when it is new, when the quick one sees it change or its picture is another one,
the more often the nearer what is steadied is to the border of a label, in each frame where a little
decides, and every few seconds anyhow. In between, what it said last is moved by some of what the
quick one sees change: a model that sees one face a little sadder than another model does sees it so
a moment later, too. A face that cannot be read is not read, and the next frame is looked at
instead.

The numbers were chosen on made-up videos of photographs of people; `docs/measured.md` tells how
they do on other people.

Whether the camera shows something else from one frame to the next (a cut of a film, or a camera
that was turned or moved) is told by two frames. They are compared as small gray pictures of 32 ×
24. The scene has changed where about half of these cells are lighter or darker by a good part, and
neither moving one picture by a cell or two helps nor making it lighter: a camera that pans, a
person who moves and a lamp change much as well, but not so. Tried on 155 photographs of other
people's scenes, of which half served to choose the limits: 95 % of the cuts between two of them are
told, 91 % of those between two places of one; 0.7 % of the frames of a quick pan (6 % of the width
a frame) count as a cut, 0.7 % of lamps that go out, and nothing of a slow pan, a zoom or a hand
before the camera. It takes 0.02 ms a frame (x86-64 with AVX2), a hundredth of a search.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Expression, Face, Frame
from edge_agent.vision.classifier import ExpressionClassifier, softmax
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model


@dataclass(frozen=True, slots=True)
class Border:
    """The probabilities at which labels come and go.

    Attributes:
        comes: probability from which there is a label after *uncertain*.
        goes: probability below which there is none any longer.
    """

    comes: float
    goes: float

    def distance(self, confidence: float, *, is_labelled: bool) -> float:
        """Return how much more or less of its largest probability changes the label of a face."""
        return abs(confidence - (self.goes if is_labelled else self.comes))

    def labels(self, confidence: float, *, is_labelled: bool) -> bool:
        """Return whether a face has a label that had one, or had none, until now."""
        return confidence >= (self.goes if is_labelled else self.comes)


CAREFUL_MODEL = "expression-accurate"
QUICK_MODEL = "expression-fast"
"""The shipped classifiers that read together: of one crop, one vocabulary and one lesson."""
SEARCH_S = 0.12
"""Seconds between looks while nobody is followed: with the frames that confirm a face, its first
reading comes within 0.3 s."""
FOLLOW_S = 0.19
"""The same while a face is followed. A little less than three frames at 15 a second: frames come a
few milliseconds early or late."""
CHANGING_S = 0.12
"""The same while it changes."""
SPARING_S = 0.32
"""The same in all cases where the processor has no time for more."""
CHANGED = 0.25
"""Change of a probability from one reading to the next from which a face counts as changing."""
MOVED = 0.4
"""Overlap of a face with where it was a look ago below which it counts as moving."""
CAREFUL_S = 3.0
"""Longest time between two careful readings of a face."""
HESITATES_S = 1.0
HESITATES = 0.2
"""The same while the largest of the steadied probabilities is so near to where the label comes or
goes: a little more or less decides."""
NEAR_S = 0.2
NEAR = 0.1
"""The same while it is nearer."""
AT_BORDER = 0.05
"""So near to where the label comes or goes every frame is read, and carefully: a label that comes
or goes a moment too early or late stays so until the next border, for a second or more."""
CAREFUL_CHANGE = 0.2
"""Change of a probability of the quick one since the last careful reading that asks for another."""
ANOTHER_VIEW = 0.15
"""1 − correlation of the crop, seen coarsely, with that of the last careful reading, from which it
shows something else: nine in ten crops of one person stay below 0.07 over a second."""
_VIEW = (16, 16)
FOLLOWED = 0.25
FOLLOWED_PER_VIEW = 6.0
"""How much of what the quick one sees change is believed: while the crop shows the same view, and
how much more for each unit of 1 − correlation. From frame to frame each model trembles in its own
way: of one view the last careful reading tells more than what the quick one adds to it."""
FORGET_S = 10.0
_LEAST = 1e-4

Values = npt.NDArray[np.float64]
Crop = npt.NDArray[np.uint8]
View = npt.NDArray[np.float32]


class Effort(StrEnum):
    """How carefully faces are read."""

    EVERY_FRAME = "every_frame"
    BY_NEED = "by_need"
    SPARING = "sparing"


@dataclass(slots=True)
class _Careful:
    """The last careful reading of a face.

    Attributes:
        at: when.
        probabilities: what it says.
        quick: what the quick model said of the same crop.
        view: the crop, seen coarsely.
    """

    at: Instant
    probabilities: Values
    quick: Values
    view: View


@dataclass(slots=True)
class _Known:
    """The newest reading of a track, and its smoothed probabilities.

    Attributes:
        at: when it was read last.
        probabilities: what that said.
        changed_at: when it changed last.
        face: where it was.
        careful: its last careful reading.
        steadied: its probabilities, smoothed as for its label.
        steadied_at: until when, which is when the face could be read last.
        is_labelled: whether that is enough for a label.
    """

    at: Instant
    probabilities: Values
    changed_at: Instant
    face: Face
    careful: _Careful | None = None
    steadied: Values | None = None
    steadied_at: Instant | None = None
    is_labelled: bool = False


class NeedReader:
    """Reads the faces that a camera follows by need. Belongs to one thread.

    Args:
        careful: the configured classifier.
        quick: one of the same crop that costs a fraction of it; ``None``: each reading is careful,
            and only how often is by need.
        border: where labels come and go.
        smoothing_s: time constant with which labels are steadied, seconds.

    Attributes:
        effort: may be set at any time; `Effort.EVERY_FRAME` reads each frame with ``careful``.
        careful_readings, quick_readings: how often each classifier was asked.

    Example::

        reader = NeedReader(accurate, fast, Border(comes=0.83, goes=0.75))
        if reader.is_due(frame.at):
            expression = reader.read(track, face, crop, frame.at)
            reader.plan([track], frame.at, is_new=False)
    """

    def __init__(
        self,
        careful: ExpressionClassifier,
        quick: ExpressionClassifier | None,
        border: Border,
        smoothing_s: float = 0.6,
    ) -> None:
        self._careful = careful
        self._quick = quick
        self._border = border
        self._smoothing_s = smoothing_s
        self._known: dict[int, _Known] = {}
        self._due: Instant | None = None
        self.effort = Effort.BY_NEED
        self.careful_readings = 0
        self.quick_readings = 0

    def is_due(self, at: Instant) -> bool:
        """Return whether it is time to look at the faces again."""
        if self.effort is Effort.EVERY_FRAME or self._due is None:
            return True
        return at.seconds_since(self._due) >= 0

    def read(
        self, track: int, face: Face, crop: Crop, at: Instant, *, is_fit: bool = True
    ) -> Expression:
        """Return the probabilities of a face that is followed.

        Args:
            track: its number.
            face: where it is.
            crop: as `ExpressionClassifier.classify` takes it.
            at: when the frame was taken.
            is_fit: whether it can be read well; what is said of others counts for no label.
        """
        known = self._known.get(track)
        careful = None if known is None else known.careful
        if self._quick is None or self.effort is Effort.EVERY_FRAME:
            self.careful_readings += 1
            expression = self._careful.classify(crop)
            careful = None
        elif not is_fit:
            expression = self._unread(self._quick, known, crop)
        else:
            expression, careful = self._by_both(self._quick, known, crop, at)
        known = self._note(track, face, expression, careful, at)
        if is_fit:
            known.steadied = self._steadied(known, expression, at)
            known.steadied_at = at
            known.is_labelled = self._border.labels(
                float(known.steadied.max()), is_labelled=known.is_labelled
            )
        return expression

    def plan(self, tracks: Collection[int], at: Instant, *, is_new: bool) -> None:
        """Decide when to look again.

        Args:
            tracks: those that were read in the frame of ``at``.
            is_new: whether a face was seen that more frames must confirm.
        """
        self._known = {
            track: known
            for track, known in self._known.items()
            if at.seconds_since(known.at) <= FORGET_S
        }
        if is_new:
            wait = 0.0
        elif not tracks:
            wait = SEARCH_S
        else:
            wait = self._pause([self._known[track] for track in tracks])
        self._due = at.shifted(wait)

    def forget(self) -> None:
        """Begin anew with all faces: the scene is another one."""
        self._known = {}
        self._due = None

    def _pause(self, faces: list[_Known]) -> float:
        if self.effort is Effort.SPARING:
            return SPARING_S
        if any(face.steadied_at != face.at for face in faces):
            return 0.0  # often one of the frames in between can be read; looking costs little
        steadied = [(face, face.steadied) for face in faces if face.steadied is not None]
        if any(self._distance(face, values) < AT_BORDER for face, values in steadied):
            return 0.0
        if any(face.changed_at == face.at for face in faces):
            return CHANGING_S
        return FOLLOW_S

    def _distance(self, known: _Known, steadied: Values) -> float:
        return self._border.distance(float(steadied.max()), is_labelled=known.is_labelled)

    def _unread(self, quick: ExpressionClassifier, known: _Known | None, crop: Crop) -> Expression:
        """Return what is given for a face that cannot be read: what was last said of it."""
        if known is not None:
            return Expression(tuple(known.probabilities.tolist()))
        self.quick_readings += 1
        return quick.classify(crop)

    def _by_both(
        self, quick: ExpressionClassifier, known: _Known | None, crop: Crop, at: Instant
    ) -> tuple[Expression, _Careful]:
        """Return the reading of a crop, and the careful one that it leans on."""
        self.quick_readings += 1
        seen = np.array(quick.classify(crop).probabilities)
        view = _view(crop)
        last = None if known is None else known.careful
        has_changed = (
            last is None
            or _change(seen, last.quick) > CAREFUL_CHANGE
            or _difference(view, last.view) > ANOTHER_VIEW
        )
        if known is not None and last is not None:
            leaning = _leaning(seen, view, last, has_changed=has_changed)
            if not self._asks_again(known, last, leaning, at, has_changed=has_changed):
                return leaning, last
        self.careful_readings += 1
        expression = self._careful.classify(crop)
        return expression, _Careful(at, np.array(expression.probabilities), seen, view)

    def _asks_again(
        self, known: _Known, last: _Careful, leaning: Expression, at: Instant, *, has_changed: bool
    ) -> bool:
        if self.effort is Effort.SPARING:
            return False
        if has_changed:
            return True
        distance = self._distance(known, self._steadied(known, leaning, at))
        return at.seconds_since(last.at) >= _longest_s(distance)

    def _steadied(self, known: _Known, expression: Expression, at: Instant) -> Values:
        """Return the probabilities of a track with one more reading, as `Smoother` has them."""
        new = np.array(expression.probabilities)
        if known.steadied is None or known.steadied_at is None or self._smoothing_s == 0:
            return new
        seconds = at.seconds_since(known.steadied_at)
        return known.steadied - math.expm1(-seconds / self._smoothing_s) * (new - known.steadied)

    def _note(
        self, track: int, face: Face, expression: Expression, careful: _Careful | None, at: Instant
    ) -> _Known:
        probabilities = np.array(expression.probabilities)
        new = _Known(at, probabilities, at, face, careful)
        known = self._known.setdefault(track, new)
        has_moved = known.face.box.overlap(face.box) < MOVED
        if has_moved or _change(probabilities, known.probabilities) > CHANGED:
            known.changed_at = at
        known.at = at
        known.probabilities = probabilities
        known.face = face
        known.careful = careful
        return known


def open_need_reader(classifier: ExpressionClassifier, options: VisionSettings) -> NeedReader:
    """Return what reads by need with the configured classifier.

    The quick one stands beside the shipped careful one alone: another model may have learnt
    something else, or is quick itself.

    Raises:
        ModelError: the quick model is missing or damaged.
    """
    quick = None
    if options.expression_model == CAREFUL_MODEL:
        card = find_model(QUICK_MODEL)
        quick = ExpressionClassifier(load_model(card, kind="expression", threads=options.threads))
    threshold = classifier.uncertain_below
    if options.uncertain_below is not None:
        threshold = options.uncertain_below
    lead = min(options.hysteresis, (1 - threshold) / 2)
    border = Border(comes=threshold + lead, goes=threshold)
    return NeedReader(classifier, quick, border, options.smoothing_seconds)


def _view(crop: Crop) -> View:
    """Return a crop seen coarsely: float32, without its mean, of length 1."""
    view = cv2.resize(crop, _VIEW, interpolation=cv2.INTER_AREA).astype(np.float32)
    view -= view.mean()
    return view / max(float(np.linalg.norm(view)), _LEAST)


def _longest_s(distance: float) -> float:
    """Return the longest time between two careful readings of a face so near to a border."""
    if distance < AT_BORDER:
        return 0.0
    if distance < NEAR:
        return NEAR_S
    if distance < HESITATES:
        return HESITATES_S
    return CAREFUL_S


def _leaning(seen: Values, view: View, last: _Careful, *, has_changed: bool) -> Expression:
    """Return what the careful model said, moved by some of what the quick one sees change."""
    followed = 1.0
    if not has_changed:
        followed = min(FOLLOWED + FOLLOWED_PER_VIEW * _difference(view, last.view), 1.0)
    moved = _logarithms(seen) - _logarithms(last.quick)
    logits = _logarithms(last.probabilities) + followed * moved
    return Expression(softmax(logits.tolist(), temperature=1.0))


def _logarithms(probabilities: Values) -> Values:
    return np.log(np.maximum(probabilities, _LEAST))


def _difference(one: View, other: View) -> float:
    """Return 1 − correlation of two crops seen coarsely."""
    return max(1 - float((one * other).sum()), 0.0)


def _change(one: Values, other: Values) -> float:
    return float(np.abs(one - other).max())


_CELLS = (32, 24)
_SAMPLES = 96
"""Least samples along the shorter side."""
_DARK = 4.0
"""Added to the mean level: what is almost black has no scene."""
_PLAIN = 0.05
_CHANGED = 0.18
"""Difference of a cell that counts, in mean levels."""
_MOST_CELLS = 0.45
_REST = 0.25
"""Mean difference that is left after the best shift, likewise."""
_SHIFTS = tuple((rows, columns) for rows in (-1, 0, 1) for columns in (-2, -1, 0, 1, 2))
_LONGEST_S = 1.0
"""Frames that are further apart may differ by whatever people did meanwhile."""

Cells = npt.NDArray[np.float32]
Picture = npt.NDArray[np.uint8]


class SceneWatch:
    """Compares each frame with the one before. Belongs to one thread.

    Example::

        watch = SceneWatch()
        if watch.has_changed(frame):
            tracker.forget()
    """

    def __init__(self) -> None:
        self._cells: Cells | None = None
        self._at: Instant | None = None

    def has_changed(self, frame: Frame) -> bool:
        """Tell whether a frame shows another scene than the one of the last call.

        Never for the first frame, nor more than a second after the last one. A frame without any
        picture in it (black, or one colour) is passed over: cameras give single ones.
        """
        cells = _cells_of(frame.image)
        mean, spread = cv2.meanStdDev(cells)
        if spread[0, 0] < _PLAIN * (mean[0, 0] + _DARK):
            return False
        before = self._cells
        is_near = self._at is not None and frame.at.seconds_since(self._at) <= _LONGEST_S
        self._cells = cells
        self._at = frame.at
        return is_near and before is not None and _differ(before, cells)


def _cells_of(image: Picture) -> Cells:
    light = image if image.ndim == 2 else image[:, :, 1]  # green is most of what is light
    step = max(min(image.shape[:2]) // _SAMPLES, 1)
    few = np.ascontiguousarray(light[::step, ::step])
    return np.asarray(cv2.resize(few, _CELLS, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _differ(before: Cells, now: Cells) -> bool:
    """Tell whether two pictures differ as they are, and likewise in shares of their mean level."""
    level = (_level(before) + _level(now)) / 2
    if not _is_another(before / level, now / level):
        return False
    return _is_another(before / _level(before), now / _level(now))


def _level(cells: Cells) -> float:
    return cv2.mean(cells)[0] + _DARK


def _is_another(before: Cells, now: Cells) -> bool:
    if np.count_nonzero(cv2.absdiff(before, now) > _CHANGED) < _MOST_CELLS * now.size:
        return False
    inside = before[1:-1, 2:-2]
    rows, columns = inside.shape
    rest = min(
        np.abs(inside - now[1 + down : 1 + down + rows, 2 + right : 2 + right + columns]).mean()
        for down, right in _SHIFTS
    )
    return bool(rest >= _REST)
