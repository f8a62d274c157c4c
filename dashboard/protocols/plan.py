"""A protocol and a participant's place in the order become the list of screens that are shown."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum

from pydantic import TypeAdapter

from dashboard.protocols.file import (
    Baseline,
    MediaKind,
    Order,
    Pressure,
    Report,
    Rest,
    Step,
    Stimulus,
    StudyProtocol,
)
from dashboard.protocols.texts import Scale, Texts
from edge_agent.core.texts import N_, Message

_ASKS = {
    Scale.VALENCE: N_("asks for valence"),
    Scale.AROUSAL: N_("asks for arousal"),
    Scale.EMOTION: N_("asks for emotion"),
}


class ScreenKind(StrEnum):
    """The kind of screen before the participant."""

    BASELINE = "baseline"
    STIMULUS = "stimulus"
    REST = "rest"
    PRESSURE = "pressure"
    SCALE = "scale"


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen of the participant's page.

    Attributes:
        kind: what it is.
        seconds: how long; ``None``: until the medium has ended, or the question is answered.
        condition: label of the condition that is open while it is shown; ``None``: none.
        opens: whether that condition begins here.
        text: what is read.
        media: kind of the file that is shown or played.
        file: its name, from the folder of the protocol.
        scale: what is asked.
    """

    kind: ScreenKind
    seconds: float | None
    condition: str | None = None
    opens: bool = False
    text: str = ""
    media: MediaKind | None = None
    file: str = ""
    scale: Scale | None = None

    @property
    def title(self) -> str:
        """Title of the screen on the operator's page."""
        match self.kind:
            case ScreenKind.SCALE:
                return Message(_ASKS[self.scale or Scale.EMOTION])
            case ScreenKind.PRESSURE:
                return Message(N_("take the pressure"))
            case ScreenKind.REST:
                return Message(N_("rest"))
            case _:
                return self.condition or self.kind.value


def williams(count: int) -> tuple[tuple[int, ...], ...]:
    """Return the rows of a Williams design: Latin squares in which each follows each other equally
    often.

    ``count`` rows where it is even, twice as many where it is odd. Williams 1949, Australian
    Journal of Scientific Research A 2:149–168: the first row goes 0, 1, n−1, 2, n−2, …; each
    further one adds 1 modulo n; an odd n needs the mirrored square as well.
    """
    first = [0]
    for step in range(1, count):
        first.append((step + 1) // 2 if step % 2 else count - step // 2)
    square = [tuple((item + row) % count for item in first) for row in range(count)]
    if count % 2 and count > 1:
        square += [row[::-1] for row in square]
    return tuple(square)


def order_rows(protocol: StudyProtocol) -> int:
    """Return how many different orders a protocol has."""
    stimuli = _stimuli(protocol)
    if protocol.order is Order.GIVEN or not stimuli:
        return 1
    return len(williams(len(stimuli)))


def screens_of(protocol: StudyProtocol, row: int) -> tuple[Screen, ...]:
    """Return the screens of a protocol in one of its orders.

    Where it is counterbalanced, the stimuli change places among themselves; all else stays where
    the file has it.

    Args:
        protocol: the protocol.
        row: which order, 0 to ``order_rows`` − 1.
    """
    stimuli = _stimuli(protocol)
    if protocol.order is Order.COUNTERBALANCED and stimuli:
        stimuli = [stimuli[index] for index in williams(len(stimuli))[row]]
    coming = iter(stimuli)
    screens: list[Screen] = []
    for step in protocol.steps:
        # A screen that opens nothing, such as the cuff's, belongs to the condition before it.
        condition = screens[-1].condition if screens else None
        shown = next(coming) if isinstance(step, Stimulus) else step
        screens += _screens(shown, condition, protocol.texts)
    return tuple(screens)


def to_json(screens: tuple[Screen, ...], texts: Texts) -> str:
    """Write screens and what the page says by itself as JSON, as they are kept with a session."""
    plan = {
        "screens": [asdict(screen) for screen in screens],
        "texts": texts.model_dump(exclude_defaults=True),
    }
    return json.dumps(plan, ensure_ascii=False)


def from_json(text: str) -> tuple[tuple[Screen, ...], Texts]:
    """Read what ``to_json`` wrote.

    Raises:
        ValueError, LookupError, TypeError, RecursionError: it is something else.
    """
    plan = json.loads(text)
    screens = _SCREENS.validate_python(plan["screens"])
    if not screens:
        raise ValueError("it has no screens")
    return screens, Texts.model_validate(plan["texts"])


_SCREENS = TypeAdapter(tuple[Screen, ...])


def _stimuli(protocol: StudyProtocol) -> list[Stimulus]:
    return [step for step in protocol.steps if isinstance(step, Stimulus)]


def _screens(step: Step, before: str | None, texts: Texts) -> list[Screen]:
    """Return the screens of one step; ``before`` is the condition that is open when it comes."""
    match step:
        case Baseline():
            text = step.text or texts.baseline
            return [Screen(ScreenKind.BASELINE, step.seconds, step.label, opens=True, text=text)]
        case Stimulus():
            media, file = step.media or (None, "")
            text = step.text or ""
            return [Screen(ScreenKind.STIMULUS, step.seconds, step.label, True, text, media, file)]
        case Rest():
            return [Screen(ScreenKind.REST, step.seconds, text=step.text or texts.rest)]
        case Pressure():
            text = step.text or texts.pressure
            return [Screen(ScreenKind.PRESSURE, step.seconds, before, text=text)]
        case Report():
            return [Screen(ScreenKind.SCALE, None, scale=scale) for scale in step.scales]
