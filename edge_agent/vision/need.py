"""Reads the faces of a camera as often and as carefully as they need, instead of all in each frame.

A label is steadied over more than half a second, so that about five readings a second are enough;
more while a face changes, fewer while nothing does. The quick classifier reads each time. The
careful one, six times as dear, reads a face when it is new, when the quick one sees it change, now
and then while it hesitates, and every few seconds anyhow. In between, most of what both differed by
the last time is added to what the quick one says: a model that sees one face a little sadder than
another model does sees it so a moment later, too.

The numbers were chosen on made-up videos of photographs of people; `docs/measured.md` tells how
they do on other people.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from edge_agent.core.clock import Instant
from edge_agent.core.expression import Expression, Face
from edge_agent.vision.classifier import ExpressionClassifier
from edge_agent.vision.models.card import find_model
from edge_agent.vision.models.model import load_model
from edge_agent.vision.options import VisionOptions

CAREFUL_MODEL = "expression-accurate"
QUICK_MODEL = "expression-fast"
"""The shipped classifiers that read together: of one crop, one vocabulary and one lesson."""
SEARCH_S = 0.12
"""Seconds between looks while nobody is followed: with the frames that confirm a face, its first
reading comes within 0.3 s."""
FOLLOW_S = 0.19
CALM_S = 0.25
"""The same while a face is followed, and once it has not changed for a while. A little less than
three and four frames at 15 a second: frames come a few milliseconds early or late."""
CHANGING_S = 0.12
"""The same while it changes."""
SPARING_S = 0.32
"""The same in all cases where the processor has no time for more."""
CALM_AFTER_S = 2.0
CHANGED = 0.25
"""Change of a probability from one reading to the next from which a face counts as changing."""
MOVED = 0.4
"""Overlap of a face with where it was a look ago below which it counts as moving."""
CAREFUL_S = 3.0
"""Longest time between two careful readings of a face."""
HESITATES_S = 0.6
HESITATES = 0.2
"""The same while the largest probability is so near to the least of a label: a little more or less
makes it uncertain, or another one."""
CAREFUL_CHANGE = 0.3
"""Change of a probability of the quick one since the last careful reading that asks for another."""
KEPT = 0.85
"""How much of the difference between both models is added: a moment later a little less holds."""
FORGET_S = 10.0
_LEAST = 1e-4

Values = npt.NDArray[np.float64]
Crop = npt.NDArray[np.uint8]


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
        quick: what the quick model said of the same crop.
        ahead: logarithms of the careful model's probabilities minus those of the quick one.
        hesitates: whether a reading since then was near to the least probability of a label.
    """

    at: Instant
    quick: Values
    ahead: Values
    hesitates: bool


@dataclass(slots=True)
class _Known:
    """What is known of a track: its last reading, and when it changed."""

    at: Instant
    probabilities: Values
    changed_at: Instant
    face: Face
    careful: _Careful | None = None


class NeedReader:
    """Reads the faces that a camera follows by need. Belongs to one thread.

    Args:
        careful: the configured classifier.
        quick: one of the same crop that costs a fraction of it; ``None``: each reading is careful,
            and only how often is by need.
        uncertain_below: least probability of a label.

    Attributes:
        effort: may be set at any time; `Effort.EVERY_FRAME` reads each frame with ``careful``.
        careful_readings, quick_readings: how often each classifier was asked.

    Example::

        reader = NeedReader(accurate, fast, accurate.uncertain_below)
        if reader.is_due(frame.at):
            expression = reader.read(track, face, crop, frame.at)
            reader.plan([track], frame.at, is_new=False)
    """

    def __init__(
        self,
        careful: ExpressionClassifier,
        quick: ExpressionClassifier | None,
        uncertain_below: float,
    ) -> None:
        self._careful = careful
        self._quick = quick
        self._uncertain_below = uncertain_below
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

    def read(self, track: int, face: Face, crop: Crop, at: Instant) -> Expression:
        """Return the probabilities of a face that is followed.

        Args:
            track: its number.
            face: where it is.
            crop: as `ExpressionClassifier.classify` takes it.
            at: when the frame was taken.
        """
        known = self._known.get(track)
        if self._quick is None or self.effort is Effort.EVERY_FRAME:
            self.careful_readings += 1
            expression = self._careful.classify(crop)
            careful = None
        else:
            last = None if known is None else known.careful
            expression, careful = self._by_both(self._quick, last, crop, at)
        self._note(track, face, expression, careful, at)
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
            wait = self._pause(self._known[track] for track in tracks)
        self._due = at.shifted(wait)

    def forget(self) -> None:
        """Begin anew with all faces: the scene is another one."""
        self._known = {}
        self._due = None

    def _pause(self, faces: Iterable[_Known]) -> float:
        quiet_s = min(face.at.seconds_since(face.changed_at) for face in faces)
        if self.effort is Effort.SPARING:
            return SPARING_S
        if quiet_s <= 0:
            return CHANGING_S
        return FOLLOW_S if quiet_s < CALM_AFTER_S else CALM_S

    def _by_both(
        self, quick: ExpressionClassifier, last: _Careful | None, crop: Crop, at: Instant
    ) -> tuple[Expression, _Careful]:
        """Return the reading of a crop, and the careful one that it leans on."""
        self.quick_readings += 1
        seen = np.array(quick.classify(crop).probabilities)
        if last is not None and not self._asks_again(last, seen, at):
            expression = _leaning(seen, last)
            last.hesitates = last.hesitates or self._hesitates(expression)
            return expression, last
        self.careful_readings += 1
        expression = self._careful.classify(crop)
        ahead = _logarithms(np.array(expression.probabilities)) - _logarithms(seen)
        return expression, _Careful(at, seen, ahead, self._hesitates(expression))

    def _hesitates(self, expression: Expression) -> bool:
        return abs(expression.confidence - self._uncertain_below) < HESITATES

    def _asks_again(self, last: _Careful, seen: Values, at: Instant) -> bool:
        if self.effort is Effort.SPARING:
            return False
        longest_s = HESITATES_S if last.hesitates else CAREFUL_S
        if at.seconds_since(last.at) >= longest_s:
            return True
        return _change(seen, last.quick) > CAREFUL_CHANGE

    def _note(
        self, track: int, face: Face, expression: Expression, careful: _Careful | None, at: Instant
    ) -> None:
        known = self._known.get(track)
        probabilities = np.array(expression.probabilities)
        if known is None:
            self._known[track] = _Known(at, probabilities, at, face, careful)
            return
        if (
            _change(probabilities, known.probabilities) > CHANGED
            or known.face.box.overlap(face.box) < MOVED
        ):
            known.changed_at = at
        known.at = at
        known.probabilities = probabilities
        known.face = face
        known.careful = careful


def open_need_reader(classifier: ExpressionClassifier, options: VisionOptions) -> NeedReader:
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
    threshold = options.uncertain_below
    if threshold is None:
        threshold = classifier.uncertain_below
    return NeedReader(classifier, quick, threshold)


def _leaning(seen: Values, careful: _Careful) -> Expression:
    """Return what the quick model says, moved by what the careful one differed by."""
    logits = _logarithms(seen) + KEPT * careful.ahead
    powers = [math.exp(value) for value in (logits - logits.max()).tolist()]
    total = math.fsum(powers)
    return Expression(tuple(power / total for power in powers))


def _logarithms(probabilities: Values) -> Values:
    return np.log(np.maximum(probabilities, _LEAST))


def _change(one: Values, other: Values) -> float:
    return float(np.abs(one - other).max())
