"""Each person's own neutral: a shift of the neutral logit, from a declared baseline. No I/O.

The classifier reads some resting faces as neutral by far and others hardly, so that one threshold
hides the faint expressions of the former and names expressions that the latter do not show. The
shift makes the neutral category lead by ``MARGIN`` in the person's own baseline: it lowers neutral
where it leads by more, and raises it where it leads by less. A shift that only raised neutral would
find no expression that was missed.

The margin is that of 29 actors' posed faces, kept aside: 51.4 instead of 45.9 % of their
expressions were read rightly, and 97.7 % of their new neutral faces stayed neutral. The limits
below were chosen on the neutral faces and the mostly closed smiles of 90 people (DeBruine and Jones
2017, Face Research Lab London Set), read by ``expression-accurate`` with its fitted prior.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, pstdev

from edge_agent.core.expression import EMOTIONS, Emotion, Expression
from edge_agent.core.texts import N_, Worded

MARGIN = 2.0
"""By how much neutral leads in the baseline after the shift: in logits, after the prior."""
MOST_SHIFT = 3.0
"""By how much neutral is lowered at most. Of the 90 neutral faces four would need more; where the
shift is cut, neutral leads by more than ``MARGIN``."""
LEAST_LEAD = 0.5
"""Least lead of neutral over each other category in a baseline. Of the 90 no neutral face leads by
less, and 56 of the smiles do. A limit of −1 for all but happiness accepted posed anger, sadness and
surprise of the 29 actors in 58, 43 and 43 %, this one accepts 31, 23 and 29 % and the same neutral
faces. Jaw, brows and lids tell no more: beyond it they refuse as many neutral faces of photographs
as others."""
MOST_SMILE = 0.25
"""Largest mean of the movement `smile` in a baseline: a closed smile may be read as neutral. Of the
90 no neutral face shows more, nor does one of 77 on photographs, but 20 of 797 of FER2013's; of 34
smiles that ``LEAST_LEAD`` accepts, 10 do."""
LEAST_SECONDS = 10
"""Seconds of the baseline in which the face must be read: half of its length."""
MOST_SPREAD = 2.0
"""Largest standard deviation of the lead over the seconds: as large as the margin itself."""
_LEAST_PROBABILITY = 1e-6
_NEUTRAL = EMOTIONS.index(Emotion.NEUTRAL)
_HAPPINESS = EMOTIONS.index(Emotion.HAPPINESS)


class OwnNeutralState(Worded):
    """What became of the own neutral of a session.

    ``asked``: no baseline has ended yet; ``off``: it is not used, whatever is configured;
    ``calibrated``; ``refused``: no baseline was good enough.
    """

    ASKED = "asked", N_("own neutral: waits for a baseline")
    OFF = "off", ""
    CALIBRATED = "calibrated", N_("own neutral: calibrated")
    REFUSED = "refused", N_("own neutral: baseline refused, set another one")


class BaselineRefusal(StrEnum):
    """Why a baseline calibrates nothing."""

    SHORT = "short"
    FEW_FACES = "few_faces"
    TURNED_AWAY = "turned_away"
    SMILING = "smiling"
    RESTLESS = "restless"
    NOT_NEUTRAL = "not_neutral"


@dataclass(frozen=True, slots=True)
class NeutralShift:
    """A shift of the neutral logit.

    Attributes:
        shift: is added to it.
        temperature: of the softmax that makes probabilities of the logits.
    """

    shift: float
    temperature: float

    def applied(self, expression: Expression) -> Expression:
        """Return the expression with the shifted logit."""
        weights = list(expression.probabilities)
        weights[_NEUTRAL] *= math.exp(self.shift / self.temperature)
        total = math.fsum(weights)
        return Expression(tuple(weight / total for weight in weights))


@dataclass(frozen=True, slots=True)
class SeenSecond:
    """What was seen of the participant's face in a second.

    Attributes:
        at_ms: its start, UTC milliseconds.
        logits: means over the accepted frames in the order of ``EMOTIONS``; ``None``: there was no
            such frame.
        turned_away: frames in which the head was turned away.
        smile: mean strength of the movement `smile` over the accepted frames; ``None``: it was not
            read.
    """

    at_ms: int
    logits: tuple[float, ...] | None
    turned_away: int = 0
    smile: float | None = None


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a baseline comes to.

    Attributes:
        seconds: in how many the face was read.
        logits: the mean logits, empty where nothing was read.
        shift: of the neutral logit; 0 with a refusal.
        refusal: why it calibrates nothing; ``None`` where it does.
    """

    seconds: int
    logits: tuple[float, ...]
    shift: float = 0.0
    refusal: BaselineRefusal | None = None


def logits_of(expression: Expression, temperature: float) -> tuple[float, ...]:
    """Return the logits of an expression after the prior, up to one constant for all of them."""
    return tuple(
        temperature * math.log(max(p, _LEAST_PROBABILITY)) for p in expression.probabilities
    )


def calibrate(seen: Sequence[SeenSecond], length_s: float) -> Calibration:
    """Return what a baseline comes to.

    Args:
        seen: its seconds in which a face was in the picture.
        length_s: how long it lasted.
    """
    read = [one.logits for one in seen if one.logits is not None]
    means = tuple(fmean(column) for column in zip(*read, strict=True))
    refusal = _refusal(seen, read, means, length_s)
    if refusal is not None:
        return Calibration(len(read), means, 0.0, refusal)
    return Calibration(len(read), means, max(MARGIN - _lead(means), -MOST_SHIFT))


def _refusal(
    seen: Sequence[SeenSecond],
    read: Sequence[tuple[float, ...]],
    means: Sequence[float],
    length_s: float,
) -> BaselineRefusal | None:
    if length_s < LEAST_SECONDS:
        return BaselineRefusal.SHORT
    if len(read) < LEAST_SECONDS:
        turned = sum(one.turned_away > 0 and one.logits is None for one in seen)
        # The reason that took most of the seconds that are missing.
        return (
            BaselineRefusal.TURNED_AWAY
            if 2 * turned > length_s - len(read)
            else BaselineRefusal.FEW_FACES
        )
    smiles = [one.smile for one in seen if one.smile is not None]
    is_smiling = bool(smiles) and fmean(smiles) > MOST_SMILE
    if is_smiling or means[_NEUTRAL] - means[_HAPPINESS] < LEAST_LEAD:
        return BaselineRefusal.SMILING
    if pstdev(map(_lead, read)) > MOST_SPREAD:
        return BaselineRefusal.RESTLESS
    if _lead(means) < LEAST_LEAD:
        return BaselineRefusal.NOT_NEUTRAL
    return None


def _lead(logits: Sequence[float]) -> float:
    """Return by how much neutral leads over the largest other logit."""
    return logits[_NEUTRAL] - max(value for place, value in enumerate(logits) if place != _NEUTRAL)
