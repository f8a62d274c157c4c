"""Reading of a camera's faces as often and as carefully as they need; detection of scene changes.

A label is smoothed over more than half a second, so about five readings a second are enough, and
more while a face changes. The quick classifier reads each time. The careful one costs six times as
much. It reads a face when the face is new, when the quick one reports a change, when the crop looks
different, and every few seconds in any case; the nearer the smoothed probability is to the border
of a label, the more often, and at the border in each frame. Between two careful readings, the last
one is corrected by a part of the change that the quick model reports: if one model calls a face a
little sadder than the other does, it will do so a moment later, too. A face that cannot be read is
skipped, and the next frame is tried instead.

The numbers were chosen on artificial videos made of photographs of people; `docs/measured.md` has
the results for other people.

A scene change is a cut in a film, or a camera that was turned or moved. It is detected from two
frames in a row, compared as gray pictures of 32 × 24 cells: about half of the cells must be clearly
lighter or darker, and neither a shift by a cell or two nor another brightness may explain the
difference. Pans, movements of people and lamps change many cells, but a shift or another brightness
explains them. Measured on 155 photographs of other people's scenes, half of which served to choose
the limits: it detects 95 % of the cuts between two photographs and 91 % of those between two places
in one; false alarms are 0.7 % of the frames of a quick pan (6 % of the width a frame), 0.7 % of
lamps that go out, and none for a slow pan, a zoom or a hand before the camera. It takes 0.02
ms a frame (x86-64 with AVX2), a hundredth of a search.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from edge_agent.config.vision import VisionSettings
from edge_agent.core.clock import Instant
from edge_agent.core.expression import Expression, Face, Frame
from edge_agent.core.own_neutral import NeutralShift
from edge_agent.core.texts import N_, Worded
from edge_agent.vision.classifier import ExpressionClassifier, softmax
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.smoother import COMES_IN_SPEECH, GOES_IN_SPEECH, SPEECH_S

CAREFUL_MODEL = "expression-accurate"
QUICK_MODEL = "expression-fast"
"""The shipped classifiers that work together: same crop, same categories, same training data."""
SEARCH_S = 0.12
"""Seconds between two frames that are read while no face is followed: with the frames that confirm
a face, its first reading comes within 0.3 s."""
# Not 0.2, which is exactly three frames at 15 a second: a frame that comes early would be skipped
# and the fourth be read.
FOLLOW_S = 0.19
"""The same while a face is followed."""
CHANGING_S = 0.12
"""The same while it changes."""
SPARING_S = 0.32
"""The same in every case when the processor has no time for more."""
CHANGED = 0.25
"""Change of a probability from one reading to the next from which a face counts as changing."""
MOVED = 0.4
"""Overlap of a face with its place at the reading before, below which it counts as moving."""
CAREFUL_S = 3.0
"""Longest time between two careful readings of a face."""
HESITATES_S = 1.0
HESITATES = 0.2
"""The same while the largest smoothed probability is this near to a border of the label."""
NEAR_S = 0.2
NEAR = 0.08
"""The same while it is nearer."""
AT_BORDER = 0.04
"""Distance to a border of the label within which every frame is read carefully: a label that
changes at the wrong moment stays wrong until the next border, for a second or more."""
CAREFUL_CHANGE = 0.2
"""Change of a probability of the quick model, since the last careful reading, that asks for another
careful one."""
ANOTHER_VIEW = 0.2
"""1 − correlation of the coarse crop with that of the last careful reading, from which the view
counts as another one: 0.15 in a crop that was looser by 1.15, in which nine in ten crops of one
person stay below 0.07 over a second. What a small shift takes from a correlation grows with its
square."""
_VIEW = (16, 16)
FOLLOWED = 0.25
FOLLOWED_PER_VIEW = 6.0
"""Part of the quick model's change that is believed: while the view is the same, and how much more
for each unit of 1 − correlation. Each model's answers vary a little from frame to frame; while the
view is the same, the last careful reading is worth more than the quick model's change."""
FORGET_S = 10.0
# Bounds the logarithm of a vanishing probability and the norm of a plain crop.
_LEAST = 1e-4
_CELLS = (32, 24)
_SAMPLES = 96
"""Least samples along the shorter side."""
_DARK = 4.0
"""Added to the mean level: an almost black picture shows no scene."""
_PLAIN = 0.05
_CHANGED = 0.18
"""Difference of a cell that counts, in mean levels."""
_MOST_CELLS = 0.45
_REST = 0.25
"""Mean difference that must remain after the best shift, in mean levels."""
_SHIFTS = tuple((rows, columns) for rows in (-1, 0, 1) for columns in (-2, -1, 0, 1, 2))
_LONGEST_S = 1.0
"""Frames that are further apart may differ by whatever people did meanwhile."""


@dataclass(frozen=True, slots=True)
class Border:
    """The probabilities at which labels come and go.

    Attributes:
        comes: probability from which an uncertain face gets a label.
        goes: probability below which it loses the label.
    """

    comes: float
    goes: float

    def distance(self, confidence: float, *, is_labelled: bool) -> float:
        """Return the change of the largest probability that would change the label."""
        return abs(confidence - (self.goes if is_labelled else self.comes))

    def labels(self, confidence: float, *, is_labelled: bool) -> bool:
        """Return whether a face has a label now; ``is_labelled`` says whether it had one before."""
        return confidence >= (self.goes if is_labelled else self.comes)


Values = npt.NDArray[np.float64]
Crop = npt.NDArray[np.uint8]
View = npt.NDArray[np.float32]


class Effort(Worded):
    """The care with which faces are read."""

    EVERY_FRAME = "every_frame", N_("all")
    BY_NEED = "by_need", N_("as needed")
    SPARING = "sparing", N_("reduced: processor budget")


@dataclass(slots=True)
class _Careful:
    """The last careful reading of a face.

    Attributes:
        at: when it was made.
        probabilities: its result.
        quick: result of the quick model for the same crop.
        view: the coarse crop.
    """

    at: Instant
    probabilities: Values
    quick: Values
    view: View


@dataclass(slots=True)
class _Known:
    """The newest reading of a track, and its smoothed probabilities.

    Attributes:
        at: time of the newest reading.
        probabilities: its result.
        changed_at: when the face changed last.
        face: where it was.
        careful: its last careful reading.
        steadied: its probabilities, smoothed as for its label.
        steadied_at: time of the last reading that could be used, up to which they are smoothed.
        is_labelled: whether they are enough for a label.
        speaks: whether the face spoke at the reading before.
    """

    at: Instant
    probabilities: Values
    changed_at: Instant
    face: Face
    careful: _Careful | None = None
    steadied: Values | None = None
    steadied_at: Instant | None = None
    is_labelled: bool = False
    speaks: bool = False


class NeedReader:
    """Reads the faces that a camera follows by need. Belongs to one thread.

    Args:
        careful: the configured classifier.
        quick: a classifier of the same crop at a fraction of the cost; ``None``: each reading is
            careful, and only their frequency is by need.
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
        self._border_in_speech = Border(
            min(COMES_IN_SPEECH, border.goes), min(GOES_IN_SPEECH, border.goes)
        )
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
        self,
        track: int,
        face: Face,
        crop: Crop,
        at: Instant,
        *,
        is_fit: bool = True,
        shift: NeutralShift | None = None,
        speaks: bool = False,
    ) -> Expression:
        """Return the probabilities of a face that is followed, as read.

        Args:
            track: its number.
            face: where it is.
            crop: as `ExpressionClassifier.classify` takes it.
            at: when the frame was taken.
            is_fit: whether it can be read well; otherwise its reading counts for no label.
            shift: with which its label is decided.
            speaks: whether the face speaks, as far as was seen before.
        """
        known = self._known.get(track)
        if known is not None:
            known.speaks = speaks
        careful = None if known is None else known.careful
        if self._quick is None or self.effort is Effort.EVERY_FRAME:
            self.careful_readings += 1
            expression = self._careful.classify(crop)
            # Without a careful reading to lean on: the next reading by need begins anew.
            careful = None
        elif not is_fit:
            expression = self._unread(self._quick, known, crop)
        else:
            expression, careful = self._by_both(self._quick, known, crop, at, shift)
        known = self._note(track, face, expression, careful, at)
        if is_fit:
            known.steadied = self._steadied(known, expression, at, shift)
            known.steadied_at = at
            border = self._border_in_speech if known.speaks else self._border
            known.is_labelled = border.labels(
                float(known.steadied.max()), is_labelled=known.is_labelled
            )
        return expression

    def plan(self, tracks: Collection[int], at: Instant, *, is_new: bool) -> None:
        """Decide when to look again.

        Args:
            tracks: those that were read in the frame of ``at``.
            is_new: whether a face was seen that more frames must confirm.
        """
        # Kept longer than a track, for a face may be missed between two readings.
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
        self._due = at.shift(wait)

    def forget(self) -> None:
        """Forget all faces, because the scene has changed."""
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
        confidence = float(steadied.max())
        if not known.speaks:
            return self._border.distance(confidence, is_labelled=known.is_labelled)
        # A label that is held gives way to another one where that one comes.
        return min(
            self._border_in_speech.distance(confidence, is_labelled=is_labelled)
            for is_labelled in (known.is_labelled, False)
        )

    def _unread(self, quick: ExpressionClassifier, known: _Known | None, crop: Crop) -> Expression:
        """Return the last reading of a face that cannot be read now."""
        if known is not None:
            return Expression(tuple(known.probabilities.tolist()))
        self.quick_readings += 1
        return quick.classify(crop)

    def _by_both(
        self,
        quick: ExpressionClassifier,
        known: _Known | None,
        crop: Crop,
        at: Instant,
        shift: NeutralShift | None,
    ) -> tuple[Expression, _Careful]:
        """Return the reading of a crop, and the careful one that it is based on."""
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
            if not self._asks_again(known, last, leaning, at, shift, has_changed=has_changed):
                return leaning, last
        self.careful_readings += 1
        expression = self._careful.classify(crop)
        return expression, _Careful(at, np.array(expression.probabilities), seen, view)

    def _asks_again(
        self,
        known: _Known,
        last: _Careful,
        leaning: Expression,
        at: Instant,
        shift: NeutralShift | None,
        *,
        has_changed: bool,
    ) -> bool:
        # To keep to the budget only a face without any careful reading gets one.
        if self.effort is Effort.SPARING:
            return False
        if has_changed:
            return True
        distance = self._distance(known, self._steadied(known, leaning, at, shift))
        return at.seconds_since(last.at) >= _longest_s(distance)

    def _steadied(
        self, known: _Known, expression: Expression, at: Instant, shift: NeutralShift | None
    ) -> Values:
        """Return the probabilities of a track with one more reading, as `Smoother` has them."""
        shown = expression if shift is None else shift.applied(expression)
        new = np.array(shown.probabilities)
        if known.steadied is None or known.steadied_at is None or self._smoothing_s == 0:
            return new
        seconds = at.seconds_since(known.steadied_at)
        smoothing_s = max(self._smoothing_s, SPEECH_S) if known.speaks else self._smoothing_s
        # Computed here as well as in `Smoother`, since it decides whether the careful model reads,
        # before the smoother sees the result.
        return known.steadied - math.expm1(-seconds / smoothing_s) * (new - known.steadied)

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
    """Build the reader by need for the configured classifier.

    Only the shipped careful model is used together with the quick one: another model may have been
    trained on something else, or may be quick itself.

    Raises:
        ModelError: the quick model is missing or damaged.
    """
    quick = None
    if options.expression_model == CAREFUL_MODEL:
        card = find_model(QUICK_MODEL)
        model = load_model(card, kind="expression", threads=options.threads)
        quick = ExpressionClassifier(model, options.prior)
    threshold = classifier.uncertain_below
    if options.uncertain_below is not None:
        threshold = options.uncertain_below
    # The borders of `Smoother._threshold`: a face must be read carefully where its label changes.
    lead = min(options.hysteresis, (1 - threshold) / 2)
    border = Border(comes=threshold + lead, goes=threshold)
    return NeedReader(classifier, quick, border, options.smoothing_seconds)


def _view(crop: Crop) -> View:
    """Return the coarse crop: float32, with mean 0 and length 1."""
    # Brightness and contrast are taken out: only another view counts as change.
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
    """Return the last careful reading, corrected by a part of the quick model's change."""
    followed = 1.0
    if not has_changed:
        followed = min(FOLLOWED + FOLLOWED_PER_VIEW * _difference(view, last.view), 1.0)
    # In logarithms a step of the quick model adds to the careful one's as evidence does.
    moved = _logarithms(seen) - _logarithms(last.quick)
    logits = _logarithms(last.probabilities) + followed * moved
    return Expression(softmax(logits.tolist(), temperature=1.0))


def _logarithms(probabilities: Values) -> Values:
    return np.log(np.maximum(probabilities, _LEAST))


def _difference(one: View, other: View) -> float:
    """Return 1 − correlation of two coarse crops."""
    # Rounding may bring a correlation above 1.
    return max(1 - float((one * other).sum()), 0.0)


def _change(one: Values, other: Values) -> float:
    return float(np.abs(one - other).max())


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
        """Return whether a frame shows another scene than the frame of the last call.

        The first frame, and one more than a second after the last, never do. A frame without a
        picture (black, or one colour) is ignored: cameras deliver single ones.
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
    # Green is most of the luma (0.587 in BT.601), and a slice of one channel needs no conversion.
    light = image if image.ndim == 2 else image[:, :, 1]  # green is most of what is light
    step = max(min(image.shape[:2]) // _SAMPLES, 1)
    few = np.ascontiguousarray(light[::step, ::step])
    return np.asarray(cv2.resize(few, _CELLS, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _differ(before: Cells, now: Cells) -> bool:
    """Return whether two pictures differ both as they are and relative to their mean levels."""
    level = (_level(before) + _level(now)) / 2
    # First in shares of a common level: the noise of a dark picture must not be enlarged by its own
    # small level. Then each in shares of its own: a lamp that goes on or off changes the level
    # alone.
    if not _is_another(before / level, now / level):
        return False
    return _is_another(before / _level(before), now / _level(now))


def _level(cells: Cells) -> float:
    return cv2.mean(cells)[0] + _DARK


def _is_another(before: Cells, now: Cells) -> bool:
    # Most frames end here; the fifteen shifts are tried only for the rest.
    if np.count_nonzero(cv2.absdiff(before, now) > _CHANGED) < _MOST_CELLS * now.size:
        return False
    # The border that a shift would move out of the picture is left out of all comparisons.
    inside = before[1:-1, 2:-2]
    rows, columns = inside.shape
    rest = min(
        np.abs(inside - now[1 + down : 1 + down + rows, 2 + right : 2 + right + columns]).mean()
        for down, right in _SHIFTS
    )
    return bool(rest >= _REST)
