"""The kinds of steps that a protocol may have, one entry each.

Reading a file, the participant's screens, the form and the preview of the editor, and the table of
the study guide walk ``STEP_KINDS``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from dashboard.protocols.media import MediaKind
from dashboard.protocols.questions import ProtocolQuestion
from dashboard.protocols.texts import Label, ProtocolTable, Scale, Text, Texts, on_screen
from edge_agent.core.study import MOST_POINTS, QuestionKind
from edge_agent.core.texts import N_, Message

CROSS = "+"
"""The text of a blank screen with a cross."""
MOST_OPTIONS = 20
_SECONDS = "1 to 3600"
_OWN_TEXT = "1 to 2000 characters; left out: that of [texts]"
_FROM_FOLDER = "from the folder of the protocol"
_ASKS = {
    Scale.VALENCE: N_("asks for valence"),
    Scale.AROUSAL: N_("asks for arousal"),
    Scale.EMOTION: N_("asks for emotion"),
}

Seconds = Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)]
Moment = Annotated[float, Field(ge=0.1, le=3600, allow_inf_nan=False)]
FileName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
QuestionName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,39}$")]
BlockName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,39}$")]
PointName = Annotated[str, Field(max_length=80), AfterValidator(on_screen)]


class ScreenKind(StrEnum):
    """The kind of screen before the participant.

    Attributes:
        section: the part of the participant's page that shows it, without a medium.
        is_answered: whether the participant ends it, by an answer or by going on.
    """

    section: str
    is_answered: bool

    BASELINE = "baseline", "text"
    STIMULUS = "stimulus", "text"
    INSTRUCTION = "instruction", "instruction", True
    BLANK = "blank", "blank"
    REST = "rest", "text"
    PRESSURE = "pressure", "text"
    SCALE = "scale", "points", True
    QUESTION = "question", "question", True

    def __new__(cls, value: str, section: str = "", is_answered: bool = False) -> Self:
        """Make a member of its value and what the participant's page has of it."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.section = section
        member.is_answered = is_answered
        return member


@dataclass(frozen=True, slots=True)
class Screen:
    """One screen of the participant's page.

    Attributes:
        kind: what it is.
        seconds: how long; ``None``: until the medium has ended, or somebody goes on.
        condition: label of the condition that is open while it is shown; ``None``: none.
        opens: whether that condition begins here.
        text: what is read.
        media: kind of the file that is shown or played.
        file: its name, from the folder of the protocol.
        scale: what is asked.
        question: what the protocol asks in its own words.
        label: what the operator reads instead of a condition.
        practice: whether it is practice, which opens no condition and is left out of the analysis.
        step: number of its step in the file, from 1; 0: not known, of an earlier release.
    """

    kind: ScreenKind
    seconds: float | None
    condition: str | None = None
    opens: bool = False
    text: str = ""
    media: MediaKind | None = None
    file: str = ""
    scale: Scale | None = None
    question: ProtocolQuestion | None = None
    label: str = ""
    practice: bool = False
    step: int = 0

    @property
    def title(self) -> str:
        """Title of the screen on the operator's page."""
        match self.kind:
            case ScreenKind.SCALE:
                return Message(_ASKS[self.scale or Scale.EMOTION])
            case ScreenKind.QUESTION if self.question is not None:
                return Message(N_("asks: {name}"), name=self.question.name)
            case ScreenKind.STIMULUS if self.practice:
                return Message(N_("practice: {label}"), label=self.label)
            case ScreenKind.BASELINE | ScreenKind.STIMULUS:
                return self.condition or self.kind.value
            case _:
                return Message(_TITLES[self.kind])

    @property
    def shown_kind(self) -> str:
        """The kind as the recording tells it: a question and a scale by their own kind."""
        if self.question is not None:
            return self.question.kind.value
        return (self.scale or self.kind).value


_TITLES = {
    ScreenKind.INSTRUCTION: N_("instruction"),
    ScreenKind.BLANK: N_("blank screen"),
    ScreenKind.PRESSURE: N_("take the pressure"),
    ScreenKind.REST: N_("rest"),
    ScreenKind.QUESTION: N_("question"),
}


class StepBase(ProtocolTable):
    """Fields that every step may have."""

    block: BlockName | None = Field(
        None,
        title=N_("Block"),
        description="1 to 40 letters, digits, blanks, - and _; the same in steps beside each other",
    )


class Practised(StepBase):
    """A step that may be practice."""

    practice: bool = Field(
        False,
        title=N_("Practice"),
        description="true or false: opens no condition, and is left out of the analysis",
    )


class Following(StepBase):
    """A step that may belong to the stimulus before it."""

    with_stimulus: bool = Field(
        False,
        title=N_("Belongs to the stimulus before it"),
        description="true or false: comes behind that stimulus wherever an order puts it",
    )


_IN_ALL = (*StepBase.model_fields, *Following.model_fields, *Practised.model_fields)


def keys_of(model: type[ProtocolTable]) -> list[str]:
    """Return the keys of a table, those that steps have in common last."""
    return sorted(model.model_fields, key=lambda name: name in _IN_ALL)


class Baseline(StepBase):
    """The participant looks neutral.

    Opens a condition, and sets the marker that a neutral face is taken from.
    """

    kind: Literal["baseline"]
    seconds: Seconds = Field(60, title=N_("Seconds"), description=_SECONDS)
    label: Label = Field("baseline", title=N_("Condition"), description="Condition that it opens")
    text: Text | None = Field(None, title=N_("Text"), description=_OWN_TEXT)


class Stimulus(Practised):
    """Something is shown or played; opens the condition ``label``."""

    kind: Literal["stimulus"]
    label: Label = Field(title=N_("Condition"), description="Condition that it opens")
    seconds: Seconds | None = Field(
        None,
        title=N_("Seconds"),
        description="1 to 3600; sound, video and experiment may leave it out: until they end",
    )
    text: Text | None = Field(None, title=N_("Text"), description="1 to 2000 characters")
    picture: FileName | None = Field(
        None, title=N_("Picture"), description=f"Picture file, {_FROM_FOLDER}"
    )
    sound: FileName | None = Field(
        None, title=N_("Sound"), description=f"Sound file, {_FROM_FOLDER}"
    )
    video: FileName | None = Field(
        None, title=N_("Video"), description=f"Video file, {_FROM_FOLDER}"
    )
    experiment: FileName | None = Field(
        None, title=N_("Experiment"), description=f"ZIP file of an experiment, {_FROM_FOLDER}"
    )

    @model_validator(mode="after")
    def _one_thing(self) -> Stimulus:
        if (self.text is not None) + len(self._media) != 1:
            raise ValueError(
                N_("a stimulus has exactly one of text, picture, sound, video, experiment")
            )
        if self.seconds is None and (self.text or self.picture):
            raise ValueError(N_("a text or a picture needs seconds (1 to 3600)"))
        return self

    @property
    def media(self) -> tuple[MediaKind, str] | None:
        """Kind and name of its file; ``None`` for a text."""
        return next(iter(self._media), None)

    @property
    def _media(self) -> list[tuple[MediaKind, str]]:
        named = ((kind, getattr(self, kind.value)) for kind in MediaKind)
        return [(kind, name) for kind, name in named if name is not None]


class Instruction(Following):
    """A text that stays until the participant goes on."""

    kind: Literal["instruction"]
    text: Text = Field(title=N_("Text"), description="1 to 2000 characters")


class Blank(Following):
    """An empty screen."""

    kind: Literal["blank"]
    seconds: Moment = Field(1, title=N_("Seconds"), description="0.1 to 3600")
    cross: bool = Field(
        False, title=N_("Cross to look at"), description="true or false: a cross in the middle"
    )


class Rest(Following):
    """Nothing is asked of the participant; no condition is open."""

    kind: Literal["rest"]
    seconds: Seconds = Field(30, title=N_("Seconds"), description=_SECONDS)
    text: Text | None = Field(None, title=N_("Text"), description=_OWN_TEXT)


class Pressure(Following):
    """Somebody takes the blood pressure now.

    The condition of the step before stays open for the reading.
    """

    kind: Literal["pressure"]
    seconds: Seconds = Field(60, title=N_("Seconds"), description=_SECONDS)
    text: Text | None = Field(
        None, title=N_("Text"), description="What the participant reads; left out: that of [texts]"
    )


class Report(Following, Practised):
    """The participant says how they felt, one question after the other, in their own time."""

    kind: Literal["report"]
    scales: tuple[Scale, ...] = Field(
        tuple(Scale), min_length=1, title=N_("Scales"), description=f"Some of: {', '.join(Scale)}"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Report:
        if len(set(self.scales)) != len(self.scales):
            raise ValueError(N_("scales lists a scale twice; list each once"))
        return self


class Asked(Following, Practised):
    """A question in the protocol's own words."""

    name: QuestionName = Field(
        title=N_("Name"),
        description="Its name in the data: a letter, then up to 39 letters, digits and _",
    )
    ask: Text = Field(title=N_("Question"), description="1 to 2000 characters")
    required: bool = Field(
        False,
        title=N_("Needs an answer"),
        description="true or false: false offers to rather not say",
    )


class Likert(Asked):
    """A question answered by one of some points, each with its label."""

    kind: Literal["likert"]
    labels: tuple[PointName, ...] = Field(
        min_length=2,
        max_length=MOST_POINTS,
        title=N_("Labels of the points"),
        description='2 to 11 labels of up to 80 characters, first to last; "" leaves a point bare',
    )

    @model_validator(mode="after")
    def _with_ends(self) -> Likert:
        if not self.labels[0] or not self.labels[-1]:
            raise ValueError(N_("the first and the last of labels need a text"))
        return self


class Slider(Asked):
    """A question answered by a place on a line, 0 to 100."""

    kind: Literal["slider"]
    low: Label = Field(title=N_("Label of the left end"), description="1 to 80 characters")
    high: Label = Field(title=N_("Label of the right end"), description="1 to 80 characters")


class Choice(Asked):
    """A question answered by one of some answers."""

    kind: Literal["choice"]
    options: tuple[Label, ...] = Field(
        min_length=2,
        max_length=MOST_OPTIONS,
        title=N_("Answers"),
        description="2 to 20 answers of up to 80 characters",
    )

    @model_validator(mode="after")
    def _each_once(self) -> Choice:
        if len(set(self.options)) != len(self.options):
            raise ValueError(N_("options lists an answer twice; list each once"))
        return self


class FreeText(Asked):
    """A question answered in the participant's own words."""

    kind: Literal["free_text"]


Step = (
    Baseline
    | Stimulus
    | Rest
    | Pressure
    | Report
    | Instruction
    | Blank
    | Likert
    | Slider
    | Choice
    | FreeText
)


@dataclass(frozen=True, slots=True)
class StepKind:
    """One kind of step.

    Attributes:
        model: its table in the file; the form of the editor has a control for each field.
        title: what people call it.
        says: what it does, in a sentence.
        screens: its screens; gets the step, the texts of the page and the condition that is open.
        answers: the table of the timeline that its answers are in; empty: it asks nothing.
        example: a step of the kind as a file has it; a new step of the editor begins so.
    """

    model: type[StepBase]
    title: str
    says: str
    screens: Callable[[Any, Texts, str | None], tuple[Screen, ...]]
    example: str
    answers: str = ""

    @property
    def name(self) -> str:
        """The value of ``kind``."""
        (name,) = get_args(self.model.model_fields["kind"].annotation)
        return str(name)


def _baseline(step: Baseline, texts: Texts, _: str | None) -> tuple[Screen, ...]:
    text = step.text or texts.baseline
    return (Screen(ScreenKind.BASELINE, step.seconds, step.label, opens=True, text=text),)


def _stimulus(step: Stimulus, _texts: Texts, _: str | None) -> tuple[Screen, ...]:
    media, file = step.media or (None, "")
    condition = None if step.practice else step.label
    return (
        Screen(
            ScreenKind.STIMULUS,
            step.seconds,
            condition,
            opens=condition is not None,
            text=step.text or "",
            media=media,
            file=file,
            label=step.label,
        ),
    )


def _instruction(step: Instruction, _texts: Texts, _: str | None) -> tuple[Screen, ...]:
    return (Screen(ScreenKind.INSTRUCTION, None, text=step.text),)


def _blank(step: Blank, _texts: Texts, _: str | None) -> tuple[Screen, ...]:
    return (Screen(ScreenKind.BLANK, step.seconds, text=CROSS if step.cross else ""),)


def _rest(step: Rest, texts: Texts, _: str | None) -> tuple[Screen, ...]:
    return (Screen(ScreenKind.REST, step.seconds, text=step.text or texts.rest),)


def _pressure(step: Pressure, texts: Texts, before: str | None) -> tuple[Screen, ...]:
    text = step.text or texts.pressure
    return (Screen(ScreenKind.PRESSURE, step.seconds, before, text=text),)


def _report(step: Report, _texts: Texts, _: str | None) -> tuple[Screen, ...]:
    return tuple(Screen(ScreenKind.SCALE, None, scale=scale) for scale in step.scales)


def _question_screens(step: Asked, _texts: Texts, _: str | None) -> tuple[Screen, ...]:
    options: tuple[str, ...] = ()
    ends = ("", "")
    match step:
        case Likert():
            options = step.labels
        case Choice():
            options = step.options
        case Slider():
            ends = (step.low, step.high)
    kind = QuestionKind(KIND_OF[type(step)].name)
    question = ProtocolQuestion(step.name, kind, step.ask, options, *ends, required=step.required)
    return (Screen(ScreenKind.QUESTION, None, question=question),)


STEP_KINDS = (
    StepKind(
        Baseline,
        N_("Baseline"),
        N_("The participant looks neutral; opens a condition, and a neutral face is measured."),
        _baseline,
        'kind = "baseline"\nseconds = 60\n',
    ),
    StepKind(
        Stimulus,
        N_("Stimulus"),
        N_("A text, picture, sound, video or experiment; opens a condition."),
        _stimulus,
        'kind = "stimulus"\nlabel = "happiness"\nseconds = 60\n'
        'text = "Think of a moment in which you were truly happy."\n',
    ),
    StepKind(
        Instruction,
        N_("Instruction"),
        N_("A text that stays until the participant goes on by a key or a click."),
        _instruction,
        'kind = "instruction"\ntext = "You will see three short films."\n',
    ),
    StepKind(
        Blank,
        N_("Blank screen"),
        N_("An empty screen, with a cross in the middle if you like."),
        _blank,
        'kind = "blank"\nseconds = 1\n',
    ),
    StepKind(
        Rest,
        N_("Rest"),
        N_("The participant rests; no condition is open."),
        _rest,
        'kind = "rest"\nseconds = 30\n',
    ),
    StepKind(
        Pressure,
        N_("Blood pressure"),
        N_("The operator takes the blood pressure; the condition before stays open for it."),
        _pressure,
        'kind = "pressure"\nseconds = 60\n',
    ),
    StepKind(
        Report,
        N_("Self-report"),
        N_("Valence and arousal on nine figures each, and which emotion was felt."),
        _report,
        'kind = "report"\nscales = ["valence", "arousal", "emotion"]\n',
        "self_report",
    ),
    StepKind(
        Likert,
        N_("Rating scale"),
        N_("A question of your own with 2 to 11 points and their labels (Likert)."),
        _question_screens,
        'kind = "likert"\nname = "liking"\nask = "How much did you like it?"\n'
        'labels = ["not at all", "", "somewhat", "", "very much"]\n',
        "trial",
    ),
    StepKind(
        Slider,
        N_("Slider"),
        N_("A question of your own, answered by a place on a line between two ends."),
        _question_screens,
        'kind = "slider"\nname = "tension"\nask = "How tense were you?"\n'
        'low = "not at all"\nhigh = "extremely"\n',
        "trial",
    ),
    StepKind(
        Choice,
        N_("Choice"),
        N_("A question of your own, answered by one of your answers."),
        _question_screens,
        'kind = "choice"\nname = "known"\nask = "Did you know this film?"\n'
        'options = ["yes", "no", "not sure"]\n',
        "trial",
    ),
    StepKind(
        FreeText,
        N_("Free text"),
        N_("A question of your own, answered in the participant’s own words."),
        _question_screens,
        'kind = "free_text"\nname = "thoughts"\nask = "What went through your mind?"\n',
        "trial",
    ),
)
"""All kinds, in the order in which the editor offers them."""
BY_NAME = {kind.name: kind for kind in STEP_KINDS}
ABOUT_STIMULI = frozenset(
    kind.name for kind in STEP_KINDS if kind.answers or kind.model is Pressure
)
"""Kinds that are about what came before: what is asked and measured of a stimulus."""
KIND_OF = {kind.model: kind for kind in STEP_KINDS}
